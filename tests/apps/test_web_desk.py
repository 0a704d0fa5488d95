"""Desks and views of the web app without a browser: who may see what, how long it stays, masks there and back."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from retouchgpt.apps import cli, web_view
from retouchgpt.apps.web import listen
from retouchgpt.apps.web_desk import FILES, PUT_AWAY, Closed, Desk, Desks, line
from retouchgpt.core.errors import NotAnImage, PortTaken
from retouchgpt.core.geometry import Box, Extent
from retouchgpt.photo.faces import Face
from retouchgpt.session import RetouchGPT
from tests.fakes import Planner, Writer, acne_network


@pytest.fixture(scope="module")
def model() -> RetouchGPT:
    return RetouchGPT(acne_network(), Planner(), Writer())


@pytest.fixture
def upload(tmp_path: Path, portrait: Any) -> Path:
    path = tmp_path / "portrait.png"
    Image.fromarray(portrait).save(path)
    return path


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    (tmp_path / "desks").mkdir()
    desks = Desks(tmp_path / "desks", most=2, idle_seconds=60)
    yield desks
    desks.close_all()
    assert not list((tmp_path / "desks").iterdir())


def test_a_desk_that_makes_room_or_was_not_used_is_gone_with_its_files(
    desks: Desks, model: RetouchGPT, upload: Path
) -> None:
    first, second = (desks.open(upload, model) for _ in range(2))
    first.open_session.instruct("remove the acne")
    third = desks.open(upload, model)
    assert [desks.find(d.token) for d in (first, second, third)] == [first, None, third]
    assert not second.folder.exists()
    with pytest.raises(Closed, match="put away"):
        _ = second.open_session
    first.used -= 61
    desks.tidy()
    assert desks.find(first.token) is None
    assert first.session is None
    assert not first.folder.exists()
    assert third.folder.exists()
    assert len({d.token for d in (first, second, third)}) == 3


def test_pictures_keep_their_address_while_they_stay_and_go_after_a_while(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "a.png", None)
    same = ("image/png", b"same")
    one = desk.show({"before": same, "after": ("image/png", b"1")})
    for i in range(8):
        other = desk.show({"before": same, "after": ("image/png", b"2%d" % i)})
    assert one["before"] == other["before"]
    known = set(desk.pictures)
    assert one["before"].rsplit("/", 1)[-1] in known
    assert one["after"].rsplit("/", 1)[-1] not in known


def test_what_cannot_be_opened_leaves_nothing_and_names_no_folder(
    desks: Desks, model: RetouchGPT, tmp_path: Path
) -> None:
    bad = tmp_path / "my notes.png"
    bad.write_text("no image")
    with pytest.raises(NotAnImage) as caught:
        desks.open(bad, model)
    assert line(caught.value).startswith("Not an image that can be read: my notes.png. Use JPEG,")
    assert not list(desks.folder.iterdir())
    assert line(Closed()) == PUT_AWAY


def test_an_error_of_ours_tells_no_secrets() -> None:
    assert "/srv/secret" not in line(RuntimeError("/srv/secret"))


def test_downloads_are_in_the_photos_own_format(desks: Desks, model: RetouchGPT, upload: Path) -> None:
    desk = desks.open(upload, model)
    desk.result = desk.open_session.instruct("remove the acne")
    with Image.open(desk.write("photo")) as image:
        assert np.array_equal(np.asarray(image), desk.result.image)
    assert {desk.write(what).name for what in FILES} == {
        "portrait_retouched.png", "portrait_mask.png", "portrait_layers.tif", "portrait_retouched.json",
        "portrait.script.json",
    }  # fmt: skip


def face(box: Box) -> Face:
    return Face(1, np.zeros((478, 2), np.float32), box, 500.0)


def test_the_whole_photo_is_shrunk_and_a_face_is_not() -> None:
    faces, photo = [face(Box(1000, 1000, 3000, 3400))], Extent(6000, 4000)
    whole = web_view.window(web_view.WHOLE, faces, photo)
    assert whole.picture == (1600, 1067)
    assert not whole.native
    near = web_view.window("Face 1 at 100 %", faces, photo)
    assert near.native
    assert near.picture == near.box.extent == (3680, 3840)
    assert max(near.mask) == web_view.LONG_SIDE
    assert web_view.window("somewhere", faces, photo) == whole


def test_a_mask_comes_back_as_it_went_but_where_it_was_painted() -> None:
    rng = np.random.default_rng(3)
    mask = rng.random((3000, 2400), np.float32)
    to = web_view.window(web_view.WHOLE, [], Extent(2400, 3000))
    levels = web_view.mask_levels(mask, to)
    shown = web_view.Shown(web_view.WHOLE, to, levels)
    assert np.array_equal(web_view.corrected(mask, shown, levels), mask)
    painted = levels.copy()
    painted[400:500, 300:600] = 255
    painted[900:1000, 300:600] = 0
    out = web_view.corrected(mask, shown, painted)
    scale = 3000 / levels.shape[0]
    rows, columns = slice(round(410 * scale), round(490 * scale)), slice(round(310 * scale), round(590 * scale))
    assert out[rows, columns].min() > 0.98
    assert out[slice(round(910 * scale), round(990 * scale)), columns].max() == 0
    assert np.array_equal(out[: round(390 * scale)], mask[: round(390 * scale)])


def data_url(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def test_only_a_picture_of_the_right_size_is_a_mask() -> None:
    to = web_view.window(web_view.WHOLE, [], Extent(64, 48))
    fine = Image.new("RGBA", (64, 48), (1, 2, 3, 77))
    assert (web_view.painted_levels(data_url(fine), to) == 77).all()
    for bad in (data_url(Image.new("RGBA", (65, 48))), data_url(Image.new("L", (64, 48))), "data:image/png;base64,xx",
                data_url(fine)[:-60], "http://127.0.0.1/", None, 3):  # fmt: skip
        with pytest.raises(web_view.BadMask):
            web_view.painted_levels(bad, to)


def test_a_taken_port_is_one_line(capsys: Any) -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        assert taken.getsockname()[0] == "127.0.0.1"
        with pytest.raises(PortTaken):
            listen(port)
        assert cli.main(["web", "--port", str(port)]) == 3
    read = capsys.readouterr()
    assert f"port {port}" in read.err
    assert len(read.err.splitlines()) == 1
