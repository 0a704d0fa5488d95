"""What a file says beside its pixels: EXIF turned upright, IPTC, density, and the note that says what was edited."""

from __future__ import annotations

import re
import struct
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image

from . import jpeg, tiff
from .depths import density

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for a photo in which a trained algorithm made a part."""
EMPTY_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
WHOLE = {3: "H", 4: "I", 8: "h", 9: "i"}
"""TIFF's types of whole numbers: an orientation should be the first, and is not always."""
XMP_ORIENTATION = re.compile(
    rb"""(\btiff:Orientation\s*=\s*["'])[^"']*(?=["'])|(<tiff:Orientation\b[^>/]*>)[^<]*(?=</tiff:Orientation>)"""
)
RDF_END = re.compile(rb"</rdf:RDF\s*>")
RDF_ALONE = re.compile(rb"(<rdf:RDF\b[^>]*?)/>")
HISTORY = re.compile(rb"<xmpMM:History>\s*<rdf:Seq>(.*?)</rdf:Seq>\s*</xmpMM:History>", re.S)
SOURCE = re.compile(
    rb"""<Iptc4xmpExt:DigitalSourceType\b[^>]*?(?:/>|>.*?</Iptc4xmpExt:DigitalSourceType>)"""
    rb"""|\sIptc4xmpExt:DigitalSourceType\s*=\s*(?:"[^"]*"|'[^']*')""",
    re.S,
)


def noted(xmp: bytes | None, instruction: str, version: str) -> bytes:
    """An XMP packet with a note of the edit: IPTC's digital source type, and an entry of its history that names this
    software and the instruction. All else in the packet stays as it was."""
    packet = xmp if xmp and b"RDF" in xmp else EMPTY_PACKET
    packet = RDF_ALONE.sub(rb"\1></rdf:RDF>", SOURCE.sub(b"", packet))
    if xmp and not RDF_END.search(packet):  # another prefix than every writer's: better no note than no metadata
        return xmp
    text = escape(_xml_text(instruction), {'"': "&quot;", "\n": " ", "\r": " "})
    entry = (
        '<rdf:li rdf:parseType="Resource" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"><stEvt:action>edited</stEvt:action>'
        f"<stEvt:softwareAgent>RetouchGPT {escape(version)}</stEvt:softwareAgent>"
        f"<stEvt:parameters>{text}</stEvt:parameters></rdf:li>"
    ).encode()
    source = (
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType></rdf:Description>"
    ).encode()
    if found := HISTORY.search(packet):
        packet = packet[: found.end(1)] + entry + packet[found.end(1) :]
    else:
        source += (
            b'<rdf:Description rdf:about="" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"><xmpMM:History><rdf:Seq>'
            + entry
            + b"</rdf:Seq></xmpMM:History></rdf:Description>"
        )
    end = list(RDF_END.finditer(packet))[-1].start()
    return packet[:end] + source + packet[end:]


def _xml_text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(c for c in text if c in "\t\n\r" or (ord(c) >= 32 and not 0xD800 <= ord(c) <= 0xDFFF))


def upright_exif(exif: bytes | None) -> bytes | None:
    """The same EXIF block with orientation 1 and no thumbnail (which would still show the old face).

    The bytes are patched in place, so maker notes and private tags survive.
    """
    if not exif:
        return None
    data = bytearray(exif)
    start = 6 if data[:6] == b"Exif\0\0" else 0
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(data[start : start + 2])]
        (ifd,) = struct.unpack_from(order + "I", data, start + 4)
        (entries,) = struct.unpack_from(order + "H", data, start + ifd)
        for i in range(entries):
            at = start + ifd + 2 + 12 * i
            tag, kind = struct.unpack_from(order + "HH", data, at)
            if tag == 0x0112 and kind in WHOLE:
                struct.pack_into(order + WHOLE[kind], data, at + 8, 1)
        struct.pack_into(order + "I", data, start + ifd + 2 + 12 * entries, 0)
    except (KeyError, struct.error):
        return None
    return bytes(data)


def upright_xmp(xmp: Any) -> bytes | None:
    """The same packet with orientation 1, which some programs read here and not in EXIF; None for what is no packet."""
    return XMP_ORIENTATION.sub(rb"\g<1>\g<2>1", xmp) if isinstance(xmp, bytes) and xmp else None


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an opened picture, 1 to 8; 1 for what is none."""
    try:
        value = int(image.getexif().get(0x0112, 1) or 1)
    except (TypeError, ValueError):
        return 1
    return value if 1 <= value <= 8 else 1


def dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """Pixels an inch both ways, where a JPEG, PNG or WebP says so (of a JPEG with EXIF Pillow takes 72 otherwise)."""
    if image.format in ("JPEG", "MPO") and not image.info.get("jfif_unit") and 282 not in image.getexif():
        return None
    return density(image.info.get("dpi"))


def iptc_of(image: Image.Image) -> bytes | None:
    """IPTC records of a JPEG's Photoshop block, or of a TIFF's tag."""
    blocks = image.info.get("photoshop")
    found = blocks.get(jpeg.IPTC_RESOURCE) if isinstance(blocks, dict) else None
    if found is None and image.format == "TIFF":
        found = image.tag_v2.get(tiff.IPTC)  # type: ignore[attr-defined]
    return found if isinstance(found, bytes) and found else None
