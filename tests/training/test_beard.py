"""The fit of what tells a beard: on a folder of faces with and without, and what it says of a bad list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.training.beard import OTHERS, fit, main, seen, shares, table
from tests.photo.test_beard import bearded


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, face: Any) -> tuple[Path, Path]:
    """Four bearded and four bare pictures of one face, and their list."""
    folder = tmp_path_factory.mktemp("faces")
    image, points = face
    pictures = {f"b{i}": bearded(image, points, i) for i in range(4)}
    pictures |= {"n0": image, "n1": image // 3, "n2": image // 2, "n3": cv2.GaussianBlur(image, (3, 3), 0)}
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    side = image.shape[0]
    (folder / "index.json").write_text(json.dumps([{"id": n, "kind": "test", "size": side} for n in pictures]))
    np.savez(folder / "landmarks.npz", **dict.fromkeys(pictures, points / side))
    labels = folder / "labels.json"
    labels.write_text(json.dumps({"bearded": [n for n in pictures if n[0] == "b"],
                                  "bare": [n for n in pictures if n[0] == "n"]}))  # fmt: skip
    return labels, folder


def test_each_face_is_told_right_by_a_fit_on_others_and_the_fit_is_written(
    labelled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = seen(*labelled)
    assert [p.face for p in pictures] == sorted([*range(8)] * (2 + OTHERS)), "as it is, grey and as others"
    share, said = shares(pictures)
    assert share[said].min() > 0.1 > share[~said].max()
    assert "| 0.08 | 1.00 | 0.00 |" in table(share, said)
    main([*map(str, labelled), "--out", str(tmp_path / "fit.json")])
    assert "4 bearded and 4 bare faces" in capsys.readouterr().out
    told = json.loads((tmp_path / "fit.json").read_text())
    np.testing.assert_allclose(told["weights"], fit(pictures).weights, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "no list"), ('{"bearded": []}', "no list"), ('{"bearded": ["b0"], "bare": []}', "no bearded")],
)
def test_a_bad_list_is_said_in_a_line(text: str, said: str, labelled: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(BadData, match=said):
        seen(tmp_path / "labels.json", labelled[1])
