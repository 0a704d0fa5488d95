"""The video bench: motion in closed form, a measure that sees flicker and swimming, methods in one table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.evaluation import documents, native_size
from retouchgpt.evaluation.cases import painted_faces
from retouchgpt.evaluation.video import CLEAN, PLACE, UNTOUCHED, Motion, PaintedClip, measure, run
from retouchgpt.photo.frames import rounded
from tests.fakes import acne_network

pytest.importorskip("av")


@pytest.fixture(scope="module")
def clip(faces_folder: Path) -> PaintedClip:
    face = next(painted_faces(faces_folder, paintings=1, offset=50_000))
    return PaintedClip(face, Motion(0), 3, 0)


def test_a_rendered_face_comes_back_to_its_own_frame(clip: PaintedClip) -> None:
    y, x = np.mgrid[0:512, 0:512].astype(np.float32)
    smooth = np.stack([x, y, x + y], -1) / 4
    for t in (0, 7):
        back = clip.motion.face(clip.motion.render(smooth, t), t)
        assert np.abs(back - smooth)[100:400, 100:400].max() < 0.1
    moved = clip.motion.place(np.array([[256.0, 256.0]]), 0) - clip.motion.place(np.array([[256.0, 256.0]]), 7)
    assert np.hypot(*moved[0]) > 3, "it does move"


def test_the_measure_knows_perfect_flickering_and_swimming_edits(clip: PaintedClip) -> None:
    pictures = [clip.picture(t) for t in range(3)]
    nothing, clean = measure(clip, pictures), measure(clip, [clip.target(t) for t in range(3)])
    assert (nothing.flicker, nothing.removal) == (0, 0)
    assert clean.removal == 1
    added = clip.face.painted.clean.astype(np.float32) - clip.face.painted.image
    still = [p + clip.motion.render(added, t) * clip.motion.light(t) for t, p in enumerate(pictures)]
    blinking = [s if t % 2 else p.astype(np.float32) for t, (s, p) in enumerate(zip(still, pictures, strict=True))]
    swimming = [p + clip.motion.render(added, 0) * clip.motion.light(t) for t, p in enumerate(pictures)]
    scores = [measure(clip, frames) for frames in (still, blinking, swimming)]
    assert scores[0].removal > 0.8
    assert scores[0].flicker < 0.5 * min(scores[1].flicker, scores[2].flicker)
    assert scores[0].warped < min(scores[1].warped, scores[2].warped)
    assert scores[0].unrounded == pytest.approx(nothing.warped, rel=0.1)


def test_all_methods_stand_in_one_table(faces_folder: Path, tmp_path: Path) -> None:
    result = run(faces_folder, network=acne_network(), limit=1, frames=3, out=tmp_path, progress=False)
    means = result.means()
    assert list(means)[:2] == [UNTOUCHED, CLEAN]
    assert means[UNTOUCHED]["over"] == 1
    assert means["ours"]["flicker"] < means["frame by frame"]["flicker"]
    assert f"| {UNTOUCHED} |" in (tmp_path / "video.md").read_text()
    assert json.loads((tmp_path / "video.json").read_text())["frames"] == 3
    assert (tmp_path / "video_0.jpg").stat().st_size > 10_000


def test_a_rounded_edit_is_as_steady_as_an_exact_one(clip: PaintedClip) -> None:
    added = clip.face.painted.clean.astype(np.float32) - clip.face.painted.image
    pictures = [clip.picture(t) for t in range(3)]
    exact = [p + 0.4 * clip.motion.render(added, t) * clip.motion.light(t) for t, p in enumerate(pictures)]
    plain, ours = (measure(clip, [way(f) for f in exact]) for way in (np.rint, rounded))
    unrounded = measure(clip, exact).unrounded
    assert plain.warped > 1.005 * unrounded, "rounding adds noise"
    assert ours.warped - unrounded < 0.7 * (plain.warped - unrounded)
    assert ours.removal == pytest.approx(plain.removal, abs=0.005)


def test_documents_take_a_table_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- end of a -->\nafter\n")
    documents.put(page, "a", "new\n")
    documents.put(page, "a", "newer")
    assert page.read_text() == "before\n<!-- a -->\nnewer\n<!-- end of a -->\nafter\n"
    with pytest.raises(BadData, match="no place"):
        documents.check(page, "b")


@pytest.mark.parametrize(("name", "place"), [("files.md", native_size.PLACE), ("video.md", PLACE)])
def test_the_documents_have_their_places(name: str, place: str) -> None:
    documents.check(Path(__file__).parents[2] / "docs" / name, place)
