"""The note of an edit: well-formed XMP that keeps all that was there, and says it once."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from retouchgpt.photo.files import FORMATS, open_photo, save_photo
from retouchgpt.photo.metadata import SOURCE_TYPE, noted

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
EVENT = "{http://ns.adobe.com/xap/1.0/sType/ResourceEvent#}"
HEAD = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
LIGHTROOM = (
    HEAD + b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"'
    b' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    b' xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"'
    b' Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">'
    b'<xmpMM:History> <rdf:Seq><rdf:li stEvt:action="derived"/></rdf:Seq> </xmpMM:History>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
ELEMENT = (
    HEAD + b'<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" rdf:about="">'
    b"<Iptc4xmpExt:DigitalSourceType>old</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>"
)
ALONE = HEAD[:-1] + b"/></x:xmpmeta>"
PACKETS = {"none": None, "empty": b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>', "rich": LIGHTROOM, "element": ELEMENT,
           "alone": ALONE}  # fmt: skip
TEXT = 'remove the "acne" & <moles>,\nkeep \N{GRINNING FACE}\x07 é'


def parsed(packet: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(packet.split(b"?>", 1)[1].split(b"<?xpacket end")[0] if b"<?" in packet else packet)


@pytest.mark.parametrize("name", PACKETS)
def test_a_note_is_added_once_and_the_rest_stays(name: str) -> None:
    once = noted(PACKETS[name], TEXT, "1.0")
    twice = noted(once, "a bit less", "1.0")
    for packet, texts in ((once, [TEXT]), (twice, [TEXT, "a bit less"])):
        tree = parsed(packet)
        assert [e.text for e in tree.iter(f"{EXT}DigitalSourceType")] == [SOURCE_TYPE]
        assert b"digitalCapture" not in packet
        wanted = [t.replace("\n", " ").replace("\x07", "") for t in texts]
        assert [e.text for e in tree.iter(f"{EVENT}parameters")] == wanted
        assert {e.text for e in tree.iter(f"{EVENT}softwareAgent")} == {"RetouchGPT 1.0"}
        assert len(list(tree.iter("{http://ns.adobe.com/xap/1.0/mm/}History"))) == 1
    if name == "rich":
        assert b'xmp:Rating="4"' in once
        assert len(list(parsed(once).iter(f"{RDF}li"))) == 2


def test_a_packet_of_other_prefixes_is_left_as_it_is() -> None:
    strange = LIGHTROOM.replace(b"rdf:", b"r:").replace(b"xmlns:rdf", b"xmlns:r")
    assert noted(strange, "x", "1") == strange


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_every_format_holds_the_note(suffix: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    photo = open_photo(tmp_path / "in.png")
    edited = photo.pixels.copy()
    edited[4:8, 4:8] = 9
    save_photo(photo, edited, tmp_path / f"a{suffix}", note="remove the acne")
    xmp = open_photo(tmp_path / f"a{suffix}").xmp
    assert xmp is not None
    assert next(parsed(xmp).iter(f"{EXT}DigitalSourceType")).text == SOURCE_TYPE
    save_photo(photo, photo.pixels, tmp_path / f"b{suffix}", note="remove the acne")
    assert open_photo(tmp_path / f"b{suffix}").xmp is None, "nothing was edited"
    Image.fromarray(pixels).quantize(16).save(tmp_path / "p.png")
    palette = open_photo(tmp_path / "p.png")
    if suffix in (".png", ".tif"):
        save_photo(palette, 255 - palette.pixels, tmp_path / f"p2{suffix}", note="x")
        assert b"softwareAgent" in (open_photo(tmp_path / f"p2{suffix}").xmp or b"")
