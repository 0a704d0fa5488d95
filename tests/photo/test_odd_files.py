"""Files that other software really writes: read as meant, told where something of them is left out, or refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from retouchgpt.core.errors import AnimatedPhoto, CorruptPhoto, NotAnImage, UnsupportedPhoto
from retouchgpt.photo import colour, jpeg, metadata
from retouchgpt.photo.faces import _pieces
from retouchgpt.photo.files import DAMAGED_EXIF, open_photo, save_photo

RNG = np.random.default_rng(0)
EIGHT = cv2.GaussianBlur(RNG.integers(0, 255, (64, 80, 3), dtype=np.uint8), (0, 0), 1)
DEEP = RNG.integers(0, 65535, (64, 80, 3), dtype=np.uint16)


def packed(path: Path, values: np.ndarray, bits: int) -> None:
    """A TIFF (H, W, 3) of so many bits a channel, row by row without gaps."""
    height, width, _ = values.shape
    digits = (values[..., None].astype(np.uint32) >> np.arange(bits - 1, -1, -1)) & 1
    data = np.packbits(digits.astype(np.uint8).reshape(height, -1), axis=1).tobytes()
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 16),
        (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data)),
    ]  # fmt: skip
    body = struct.pack("<4H", bits, bits, bits, 0) + data + bytes(len(data) % 2)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(body))
    path.write_bytes(head + body + struct.pack("<H", len(tags)) + entries + bytes(4))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_bits_between_eight_and_sixteen_fill_the_range(bits: int, tmp_path: Path) -> None:
    codes = DEEP >> (16 - bits)
    codes[0, 0], codes[0, 1] = (1 << bits) - 1, 0
    packed(tmp_path / "a.tif", codes, bits)
    photo = open_photo(tmp_path / "a.tif")
    assert photo.bits == bits
    assert photo.pixels[0, 0].tolist() == [65535] * 3
    assert photo.pixels[0, 1].tolist() == [0] * 3
    assert np.array_equal(photo.pixels >> (16 - bits), codes)
    assert any(f"{bits} bits" in note for note in photo.notes)
    save_photo(photo, photo.pixels, tmp_path / "out.tif")
    assert np.array_equal(open_photo(tmp_path / "out.tif").pixels, photo.pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", [colour.CIELAB, colour.ICCLAB])
def test_lab_is_converted_at_its_depth(photometric: int, dtype: Any, tmp_path: Path) -> None:
    image = Image.fromarray(EIGHT)
    forms = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    lab = np.asarray(ImageCms.profileToProfile(image, *forms, outputMode="LAB"))  # a and b signed
    if dtype == np.uint16:
        lab = lab.astype(np.uint16) << 8
        lab[..., 0] = lab[..., 0] / 65280 * (65535 if photometric == colour.CIELAB else 65280)
    if photometric == colour.ICCLAB:
        lab = lab ^ np.array((0, 0x80, 0x80), dtype) << (0 if dtype == np.uint8 else 8)
    tifffile.imwrite(tmp_path / "a.tif", lab, photometric=photometric, iccprofile=b"lab profile" * 20)
    photo = open_photo(tmp_path / "a.tif")
    assert photo.depth == np.dtype(dtype).itemsize * 8
    assert photo.notes == ("converted from LAB to RGB",)
    assert photo.icc is None, "a profile of Lab would be wrong for what is written"
    here = photo.pixels.astype(float) / (257 if photo.depth == 16 else 1)
    assert np.abs(here - EIGHT).mean() < 1.5
    assert open_photo(save_photo(photo, photo.pixels, tmp_path / "b.tif").path).mode == "RGB"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_small_copy_is_no_page_and_a_second_picture_is(dtype: Any, tmp_path: Path) -> None:
    pixels = DEEP.astype(dtype)
    for name, kind in (("copy", 1), ("page", 2)):
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as out:
            out.write(pixels, photometric="rgb")
            out.write(pixels[::2, ::2], photometric="rgb", subfiletype=kind)
    assert np.array_equal(open_photo(tmp_path / "copy.tif").pixels, pixels)
    with pytest.raises(AnimatedPhoto, match="2 frames"):
        open_photo(tmp_path / "page.tif")


@pytest.mark.parametrize("name", ["x.dng", "x.nef", "x.cr2", "x.arw"])
def test_a_raw_files_preview_is_not_taken_for_the_photo(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    version = [(50706, 1, 4, b"\1\4\0\0", True)] if name == "x.dng" else []
    with tifffile.TiffWriter(path) as out:
        out.write(EIGHT, photometric="rgb", subifds=1, subfiletype=1, extratags=version)
        out.write(DEEP[..., 0], photometric=32803)
    for place in (path, path.with_suffix(".tif")):  # known by its tags where the name does not tell
        path.replace(place) if place != path else None
        with pytest.raises(UnsupportedPhoto, match="raw"):
            open_photo(place)
    path.write_bytes(b"FUJIFILMCCD-RAW " + bytes(500))
    with pytest.raises(UnsupportedPhoto, match="raw"):
        open_photo(path)


@pytest.mark.parametrize(
    ("dtype", "compression"), [(np.uint8, "webp"), (np.uint8, "jpeg2000"), (np.uint16, "jpeg2000")]
)
def test_compressions_that_pillow_lacks(dtype: Any, compression: str, tmp_path: Path, capfd: Any) -> None:
    pixels = EIGHT.astype(dtype) * (1 if dtype == np.uint8 else 257)
    arguments = {"level": 101 if compression == "webp" else 0}
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", compression=compression, compressionargs=arguments)
    photo = open_photo(tmp_path / "a.tif")
    assert photo.pixels.dtype == dtype
    assert np.abs(photo.pixels.astype(int) - pixels).max() <= (0 if compression == "jpeg2000" else 3)
    assert capfd.readouterr() == ("", "")


def test_resolution_is_kept_only_where_it_is_said(tmp_path: Path) -> None:
    Image.fromarray(EIGHT).save(tmp_path / "none.tif")
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    Image.fromarray(EIGHT).save(tmp_path / "none.jpg", exif=exif)
    Image.fromarray(EIGHT).save(tmp_path / "some.jpg", exif=exif, dpi=(240, 240))
    tifffile.imwrite(tmp_path / "cm.tif", DEEP, photometric="rgb", resolution=(100, 100), resolutionunit=3)
    tifffile.imwrite(tmp_path / "ratio.tif", EIGHT, photometric="rgb", resolution=(1, 1), resolutionunit=1)
    found = [open_photo(tmp_path / n).dpi for n in ("none.tif", "none.jpg", "ratio.tif", "some.jpg", "cm.tif")]
    assert found[:3] == [None] * 3
    assert found[3] == (240, 240)
    assert found[4] == pytest.approx((254, 254))


def test_tags_come_along_where_pillow_cannot_open_a_tiff(tmp_path: Path) -> None:
    lab = np.zeros((40, 40, 3), np.uint16)
    tags = [(0x010F, 2, 0, "Camera", True)]
    tifffile.imwrite(tmp_path / "a.tif", lab, photometric=8, resolution=(300, 300), resolutionunit=2, extratags=tags)
    with pytest.raises(OSError, match="identify"):
        Image.open(tmp_path / "a.tif")
    photo = open_photo(tmp_path / "a.tif")
    assert photo.dpi == pytest.approx((300, 300))
    read = Image.Exif()
    read.load(photo.exif)
    assert read[0x010F] == "Camera"


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp"])
def test_orientation_in_xmp_is_turned_too(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    head = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    one = b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    two = b'<rdf:Description rdf:about=""><tiff:Orientation>6</tiff:Orientation></rdf:Description>'
    packet = head + one + two + b"</rdf:RDF></x:xmpmeta>"
    keywords: dict[str, Any] = {"xmp": packet}
    if suffix == "tif":
        keywords = {"tiffinfo": {700: packet, 274: 6}}
    elif suffix == "png":
        from PIL.PngImagePlugin import PngInfo

        keywords = {"pnginfo": PngInfo()}
        keywords["pnginfo"].add_itxt("XML:com.adobe.xmp", packet.decode())
    if suffix != "tif":
        keywords["exif"] = exif
    Image.fromarray(EIGHT).save(tmp_path / f"a.{suffix}", **keywords)
    photo = open_photo(tmp_path / f"a.{suffix}")
    assert photo.extent == (64, 80)
    assert photo.xmp == packet.replace(b'"6"', b'"1"').replace(b">6<", b">1<")


@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("order", ["II", "MM"])
def test_an_orientation_of_another_type_is_turned_once(order: str, kind: int, tmp_path: Path) -> None:
    way, code = ("<" if order == "II" else ">"), {3: "H", 4: "I"}[kind]
    value = struct.pack(way + code, 6).ljust(4, b"\0")
    entry = struct.pack(way + "HHI", 0x0112, kind, 1) + value
    block = b"Exif\0\0" + order.encode() + struct.pack(way + "HIH", 42, 8, 1) + entry + bytes(4)
    Image.fromarray(EIGHT).save(tmp_path / "a.jpg", exif=block)
    photo = open_photo(tmp_path / "a.jpg")
    assert photo.extent == (64, 80)
    save_photo(photo, photo.pixels, tmp_path / "b.jpg")
    assert open_photo(tmp_path / "b.jpg").extent == (64, 80)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    image = Image.fromarray(EIGHT)
    image.save(tmp_path / "two.jpg", format="MPO", save_all=True, append_images=[image])
    assert "2 pictures" in open_photo(tmp_path / "two.jpg").notes[0]
    half = np.dstack([EIGHT // 2, np.full((64, 80), 128, np.uint8)])
    tifffile.imwrite(tmp_path / "pre.tif", half, photometric="rgb", extrasamples=["assocalpha"])
    assert "premultiplied" in open_photo(tmp_path / "pre.tif").notes[0]
    five = np.dstack([EIGHT, EIGHT[..., :2]])
    tifffile.imwrite(tmp_path / "five.tif", five, photometric="rgb", extrasamples=["unassalpha", "unspecified"])
    assert "beyond colour" in open_photo(tmp_path / "five.tif").notes[0]
    coded = io.BytesIO()
    image.save(coded, "JPEG")
    broken = b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20)
    segment = b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken
    (tmp_path / "exif.jpg").write_bytes(coded.getvalue()[:2] + segment + coded.getvalue()[2:])
    assert open_photo(tmp_path / "exif.jpg").notes == (DAMAGED_EXIF,)


def test_a_jpeg_too_coarse_for_the_edit_says_so(tmp_path: Path) -> None:
    for quality, lost in ((90, False), (1, True)):
        Image.fromarray(EIGHT).save(tmp_path / f"{quality}.jpg", quality=quality)
        photo = open_photo(tmp_path / f"{quality}.jpg")
        after = photo.pixels.copy()
        after[20:36, 20:36] = np.where(after[20:36, 20:36] < 128, after[20:36, 20:36] + 12, after[20:36, 20:36] - 12)
        note = save_photo(photo, after, tmp_path / f"{quality}_out.jpg").notes[-1]
        assert ("coarse tables" in note) == lost, note
        again = open_photo(tmp_path / f"{quality}_out.jpg").pixels.astype(int)
        wanted = after.astype(int) - photo.pixels
        share = ((again - photo.pixels) * wanted).sum() / (wanted**2).sum()
        assert (share < jpeg.SHOWN) == lost


def test_refusals_say_what_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "empty.jpg").touch()
    tifffile.imwrite(tmp_path / "float.tif", EIGHT.astype(np.float32), photometric="rgb")
    tifffile.imwrite(tmp_path / "sensor.tif", DEEP[..., 0], photometric=32803)
    Image.fromarray(EIGHT).save(tmp_path / "a.avif")
    whole = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "cut.avif").write_bytes(whole[: len(whole) // 2])
    for name, error, words in (
        ("folder.jpg", NotAnImage, "it is a folder"),
        ("empty.jpg", NotAnImage, "it is empty"),
        ("float.tif", UnsupportedPhoto, "float32"),
        ("sensor.tif", UnsupportedPhoto, "CFA"),
        ("cut.avif", CorruptPhoto, r"\(its picture cannot be decoded\)"),
    ):
        with pytest.raises(error, match=words) as caught:
            open_photo(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1


def test_no_packet_is_none() -> None:
    assert metadata.upright_xmp(None) is None
    assert metadata.upright_xmp("text") is None
    assert metadata.upright_xmp(b"<x/>") == b"<x/>"


def test_a_thin_picture_is_searched_in_few_pieces() -> None:
    pieces = list(_pieces(np.zeros((40, 5000, 3), np.uint8)))
    assert len(pieces) < 20
    assert {p.shape[:2] for _, _, p in pieces} == {(40, 512)}
    covered = np.zeros(5000, bool)
    for x, _, piece in pieces:
        covered[x : x + piece.shape[1]] = True
    assert covered.all()


def test_a_tag_of_another_type_than_it_should_be_costs_that_tag_only(tmp_path: Path) -> None:
    tags = [(0x010F, 5, 1, (3, 7), True), (0x0110, 2, 0, "Model", True)]
    tifffile.imwrite(tmp_path / "a.tif", EIGHT, photometric="rgb", extratags=tags)
    photo = open_photo(tmp_path / "a.tif")
    read = Image.Exif()
    read.load(photo.exif)
    assert read[0x0110] == "Model"
    assert 0x010F not in read
    save_photo(photo, photo.pixels, tmp_path / "b.tif")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = 1.5  # a date that is a number
    exif.get_ifd(0x8769)[0x829A] = 0.005
    Image.fromarray(EIGHT).save(tmp_path / "a.jpg", exif=exif)
    photo = open_photo(tmp_path / "a.jpg")
    assert np.array_equal(open_photo(save_photo(photo, photo.pixels, tmp_path / "c.tif").path).pixels, photo.pixels)
