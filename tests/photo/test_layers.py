"""Layers: they flatten to the result to the bit, other readers agree, and masks edited elsewhere come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psdtags
import pytest
import tifffile
from psd_tools import PSDImage

from retouchgpt.core.errors import CorruptPhoto, OutputExists, OutputNotWritable, UnsupportedPhoto
from retouchgpt.core.geometry import Box, Similarity
from retouchgpt.photo import layers as module
from retouchgpt.photo import profiles
from retouchgpt.photo.files import Photo, open_photo
from retouchgpt.photo.layers import BACKGROUND, Layer, Part, has_layers, read_mask, save_layers, split
from retouchgpt.session.result import read_brush

SIDE = 96


def edit_of(dtype: Any, *, grey: bool = False, alpha: bool = False) -> tuple[Photo, np.ndarray, tuple[Layer, ...]]:
    """A photo, its result, and its layers: two kinds that touch, and pixels that no kind claims."""
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    pixels = rng.integers(0, top // 2, (SIDE, SIDE, 3), dtype=dtype)
    if grey:
        pixels[..., 1] = pixels[..., 2] = pixels[..., 0]
    after = pixels.copy()
    after[20:50, 30:60] += top // 7
    after[80:84, 80:84] += top // 9
    left, right = np.zeros((2, 48, 48), np.float32)
    left[10:25, 15:24], right[10:25, 22:30] = 0.9, 0.5
    frame = Similarity(2.0, 0.0, 0.0, 0.0)  # a model frame of 192 px over the photo, maps of 48
    layers = split(pixels, after, [Part("acne", left, frame, 192), Part("moles", right, frame, 192)])
    mode = ("L" if dtype == np.uint8 else "I;16") if grey else "RGB"
    depth = rng.integers(0, top, (SIDE, SIDE), dtype=dtype) if alpha else None
    icc = profiles.made(profiles.ADOBE_RGB, grey=grey)
    return Photo(None, pixels, "TIFF", mode, depth, icc=icc, dpi=(300.0, 300.0)), after, layers


def test_every_changed_pixel_is_in_one_layer() -> None:
    photo, after, layers = edit_of(np.uint8)
    assert [layer.name for layer in layers] == ["acne", "moles", "retouch"]
    count = np.zeros((SIDE, SIDE), int)
    for layer in layers:
        count[layer.box.slices] += layer.mask
    assert np.array_equal(count, (after != photo.pixels).any(2).astype(int))
    assert layers[0].box == Box(30, 20, 47, 50), "the second begins at 44; where both claim a pixel the stronger has it"
    assert split(photo.pixels, photo.pixels, []) == ()


def flattened(path: Path) -> np.ndarray:
    """A layered TIFF's layers put over one another as any program would."""
    source = psdtags.TiffImageSourceData.fromtiff(path)
    out: Any = None
    for layer in source.layers:
        colours = np.stack([c.data for c in layer.channels if c.channelid >= 0], -1)
        if out is None:
            out = colours.astype(float)
            continue
        mask = layer.asarray(channelid=psdtags.PsdChannelId.USER_LAYER_MASK)
        share = (mask / np.iinfo(mask.dtype).max)[..., None] * layer.opacity / 255
        y0, x0, y1, x1 = layer.rectangle
        out[y0:y1, x0:x1] = out[y0:y1, x0:x1] * (1 - share) + colours * share
    return np.rint(out)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_layered_tiff_flattens_to_the_result(dtype: Any, grey: bool, tmp_path: Path) -> None:
    photo, after, layers = edit_of(dtype, grey=grey)
    out = save_layers(photo, after, layers, tmp_path / "l.tif", note="remove the acne")
    again = open_photo(out)
    assert np.array_equal(again.pixels, after)
    assert again.icc == photo.icc
    assert again.dpi == pytest.approx((300, 300))
    assert b"remove the acne" in (again.xmp or b"")
    assert np.array_equal(flattened(out), after[..., :1] if grey else after)
    source = psdtags.TiffImageSourceData.fromtiff(out)
    assert [layer.name for layer in source.layers] == [BACKGROUND, "acne", "moles", "retouch"]
    assert np.array_equal(source.layers[0].channels[0].data, photo.pixels[..., 0])


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_psd_is_read_as_meant(dtype: Any, grey: bool, tmp_path: Path) -> None:
    photo, after, layers = edit_of(dtype, grey=grey)
    file = PSDImage.open(save_layers(photo, after, layers, tmp_path / "l.psd"))
    top = np.iinfo(dtype).max
    assert file.depth == photo.depth
    assert [layer.name for layer in file] == [BACKGROUND, "acne", "moles", "retouch"]
    assert all(layer.is_visible() for layer in file)
    wanted = after[..., :1] if grey else after
    assert np.array_equal(np.rint(file.numpy("color") * top).reshape(wanted.shape), wanted)
    composed = file.composite(force=True, ignore_preview=True, apply_icc=False)
    shown = np.asarray(composed.convert("RGB")).astype(int)
    assert np.abs(shown - after / (top / 255)).max() <= 1
    assert file.image_resources.get_data(1039) == photo.icc


@pytest.mark.parametrize("suffix", [".tif", ".psd"])
def test_alpha_stays(suffix: str, tmp_path: Path) -> None:
    photo, after, layers = edit_of(np.uint8, alpha=True)
    out = save_layers(photo, after, layers, tmp_path / f"l{suffix}")
    if suffix == ".tif":
        assert np.array_equal(open_photo(out).alpha, photo.alpha)
        return
    composed = np.asarray(PSDImage.open(out).composite(force=True, ignore_preview=True).convert("RGBA")).astype(int)
    assert np.abs(composed[..., 3] - photo.alpha).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".tif", ".psd"])
def test_masks_come_back(suffix: str, dtype: Any, tmp_path: Path) -> None:
    photo, after, layers = edit_of(dtype)
    out = save_layers(photo, after, layers, tmp_path / f"l{suffix}")
    assert has_layers(out)
    assert np.array_equal(read_mask(out), (after != photo.pixels).any(2).astype(np.float32))
    assert np.array_equal(read_brush(out, (SIDE, SIDE)), read_mask(out))


def test_an_edited_mask_and_a_hidden_layer_are_obeyed(tmp_path: Path) -> None:
    photo, after, layers = edit_of(np.uint8)
    out = save_layers(photo, after, layers, tmp_path / "l.tif")
    source = psdtags.TiffImageSourceData.fromtiff(out)
    drawn = next(c for c in source.layers[1].channels if c.channelid == psdtags.PsdChannelId.USER_LAYER_MASK)
    drawn.data[:10] = 0
    drawn.data[10:12] = 128
    source.layers[2].flags = psdtags.PsdLayerFlag(source.layers[2].flags | 2)
    source.layers[3].mask.flags = psdtags.PsdLayerMaskFlag.DISABLED
    tifffile.imwrite(
        tmp_path / "e.tif", after, photometric="rgb", metadata=None, byteorder="<", extratags=[source.tifftag()]
    )
    mask = read_mask(tmp_path / "e.tif")
    box = layers[0].box
    assert not mask[:, box.x1 :].any()
    assert not mask[: box.y0 + 10].any()
    assert mask[box.y0 + 11, box.x0] == pytest.approx(128 / 255)
    assert mask[box.y0 + 20, box.x0] == 1


def test_a_psd_that_would_be_too_large_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, after, layers = edit_of(np.uint8)
    for name, limit, words in (("PSD_BYTES", 1000, "GB"), ("PSD_SIDE", 40, "px a side")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, limit)
            with pytest.raises(OutputNotWritable, match=words):
                save_layers(photo, after, layers, tmp_path / "l.psd")
    assert not list(tmp_path.iterdir())


def test_files_that_do_not_do(tmp_path: Path) -> None:
    photo, after, layers = edit_of(np.uint8)
    with pytest.raises(UnsupportedPhoto, match=r"\.psd"):
        save_layers(photo, after, layers, tmp_path / "l.png")
    out = save_layers(photo, after, layers, tmp_path / "l.psd")
    with pytest.raises(OutputExists):
        save_layers(photo, after, layers, out)
    out.write_bytes(out.read_bytes()[:400])
    with pytest.raises(CorruptPhoto):
        read_mask(out)
    save_layers(photo, photo.pixels, (), tmp_path / "none.tif")
    with pytest.raises(UnsupportedPhoto, match="mask"):
        read_mask(tmp_path / "none.tif")
    assert not has_layers(tmp_path / "missing.tif")
