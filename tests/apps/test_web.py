"""The web app in a real browser, end to end, with the weights that ship: what comes out is the Python session's result.

RETOUCHGPT_SCREENSHOTS=FOLDER also writes the pictures of docs/web.md.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from retouchgpt.apps.retouch import EQUAL_STEPS
from retouchgpt.apps.web_view import WHOLE, window
from retouchgpt.apps.web_view import picture as view_picture
from retouchgpt.session import RetouchGPT
from retouchgpt.session.revision import Ticked, for_faces, ticked, with_strength
from tests.apps.web_browser import (
    ARGUMENTS,
    CONTRAST,
    Running,
    acted,
    answered,
    chromium,
    download,
    running,
    say,
    upload,
)

pytestmark = pytest.mark.slow
ALL = "Remove all imperfections."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    chromium()
    with running(tmp_path_factory.mktemp("web"), "--upload-mb", "20") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, headless=True, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def model() -> RetouchGPT:
    return RetouchGPT.from_pretrained()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A painted portrait, 512 px, a PNG with a resolution and EXIF."""
    from retouchgpt.data.portrait import painted_astronaut

    path = tmp_path_factory.mktemp("photos") / "portrait one.png"
    exif = Image.Exif()
    exif[0x013B] = "Someone"
    Image.fromarray(painted_astronaut(1).pixels).save(path, dpi=(300, 300), exif=exif)
    return path


@pytest.fixture
def page(browser: Any, server: Running) -> Iterator[Any]:
    """A page of a new user, on a desktop."""
    with fresh(browser, server) as page:
        yield page


@contextmanager
def fresh(browser: Any, server: Running, **options: Any) -> Iterator[Any]:
    """A new user's page; at its end, nothing may have asked for another place than the server, and no script failed."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    asked: list[str] = []
    failed: list[str] = []
    try:
        page = context.new_page()
        page.on("request", lambda r: asked.append(r.url))
        page.on("pageerror", lambda e: failed.append(str(e)))
        page.goto(server.address)
        page.wait_for_selector("#photo")
        yield page
    finally:
        context.close()
    assert not [u for u in asked if not u.startswith((server.address, "data:", "blob:"))]
    assert not failed


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def picture(page: Any, name: str) -> None:
    folder = os.environ.get("RETOUCHGPT_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(800)
        page.screenshot(path=Path(folder) / f"web_{name}.jpg", type="jpeg", quality=85, full_page=True)


def test_from_upload_to_download_the_pixels_are_the_sessions(
    page: Any, model: RetouchGPT, photo: Path, tmp_path: Path
) -> None:
    session = model.open(photo, "all")
    seen = session.instruct("What do you see?").answer
    answered(page, lambda: upload(page, photo), seen)
    first = session.instruct(ALL)
    say(page, ALL, first.answer)
    saved = download(page, "Download photo", tmp_path)
    assert saved.name == "portrait one_retouched.png"
    assert np.array_equal(pixels(saved), first.image)
    assert first.changed
    with Image.open(saved) as image:
        assert np.allclose(image.info["dpi"], 300, atol=1)
        assert image.getexif()[0x013B] == "Someone"
    mask = pixels(download(page, "Mask", tmp_path))[..., 0]
    assert np.array_equal(mask > 0, first.mask > 0)

    from retouchgpt.photo.layers import has_layers

    layered = download(page, "Layers (TIFF)", tmp_path)
    assert has_layers(layered)
    assert np.array_equal(tifffile.imread(layered), first.image)

    # a strength, moved by the keyboard, is one change that undo takes back
    weaker = session.revise(with_strength(session.turns, 0, 0, 0.95), "Everything: 95%.")
    answered(page, lambda: page.get_by_role("slider", name="Everything").press("ArrowLeft"), weaker.answer)
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), weaker.image)
    answered(page, lambda: page.click("#undo"), session.undo().answer)
    answered(page, lambda: page.click("#undo"), session.undo().answer)
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), pixels(photo))
    answered(page, lambda: page.click("#redo"), session.redo().answer)
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), first.image)
    picture(page, "desktop")

    script = download(page, "Script for batch", tmp_path)
    assert np.array_equal(replayed(model, photo, script), first.image)


def test_steps_can_be_looked_at_one_by_one(page: Any, model: RetouchGPT, photo: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    session = model.open(photo, "all")
    upload(page, photo)
    at_once = session.instruct(ALL)
    say(page, ALL, at_once.answer)
    assert not page.locator("#step").is_visible()
    session.walk(model.pace(EQUAL_STEPS))
    walked = session.again("Retouch in steps.")
    answered(page, lambda: page.locator("#walk input").press("Space"), walked.answer)
    steps = page.locator("#step input[type=radio]")
    assert session.step_count > 0
    expect(steps).to_have_count(session.step_count)
    expect(page.locator("#status", has_text="equal steps")).to_be_visible()
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), walked.image)
    shown = page.get_attribute(".rg-after", "src")
    steps.first.check()
    if session.step_count > 1:
        page.wait_for_function("s => document.querySelector('.rg-after').getAttribute('src') !== s", arg=shown)
    to = window(WHOLE, [f.face for f in session.faces], session.photo.extent)
    address = page.evaluate("document.querySelector('.rg-after').src")
    assert page.request.get(address).body() == view_picture(session.step(1), to, session.photo)[1]
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), walked.image)
    session.walk(None)
    back = session.again("Retouch at once.")
    assert np.array_equal(back.image, at_once.image)
    answered(page, lambda: page.locator("#walk input").press("Space"), back.answer)
    assert not page.locator("#step").is_visible()
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), at_once.image)


def replayed(model: RetouchGPT, photo: Path, script: Path) -> np.ndarray:
    from retouchgpt.session.saved import read_script, turn_from_json

    return model.open(photo, "all").replay([turn_from_json(row) for row in read_script(script)]).image


def test_ticked_findings_and_a_painted_mask(page: Any, model: RetouchGPT, photo: Path, tmp_path: Path) -> None:
    session = model.open(photo, "all")
    upload(page, photo)
    finding = session.found[0]
    page.locator("#found input[type=checkbox]").first.focus()
    page.keyboard.press("Space")
    turns = ticked([Ticked(1, finding.imperfection, finding.region)])
    result = session.revise(turns, turns[0].text)
    answered(page, lambda: page.click("#remove"), result.answer)
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), result.image)

    # all of the mask erased, nothing is left of the edit
    page.click("#viewer .rg-show")
    page.click("#viewer .rg-clear")
    acted(page, lambda: page.click("#viewer .rg-use"))
    page.get_by_text("there is no script for batch").wait_for()
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), pixels(photo))

    # painted at 100 %, on a cheek: the edit stays where the brush was
    ready = page.get_attribute("#viewer .rg-viewer", "data-ready")
    page.click("#place input")
    page.get_by_role("option", name="Face 1 at 100 %").click()
    page.wait_for_selector(f"#viewer .rg-viewer:not([data-ready='{ready}'])")
    page.get_by_role("slider", name="Brush size").fill("20")
    x0, y0, x1, y1 = session.faces[0].face.box
    spot = session.faces[0].face.landmarks[[50, 205]].mean(0)  # the cheek on the viewer's left
    box, shown = page.locator(".rg-mask").bounding_box(), window_box(session)
    scale = box["width"] / (shown[2] - shown[0])
    at = (box["x"] + (spot[0] - shown[0]) * scale, box["y"] + (spot[1] - shown[1]) * scale)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + 4, at[1] + 2)
    page.mouse.up()
    picture(page, "mask")
    acted(page, lambda: page.click("#viewer .rg-use"))
    changed = (pixels(download(page, "Download photo", tmp_path)) != pixels(photo)).any(2)
    rows, columns = np.nonzero(changed)
    assert len(rows), "painting did nothing"
    assert np.abs(rows - spot[1]).max() < 30
    assert np.abs(columns - spot[0]).max() < 30
    assert x0 < columns.min() < columns.max() < x1
    assert y0 < rows.min() < rows.max() < y1


def window_box(session: Any) -> tuple[int, int, int, int]:
    return tuple(window("Face 1 at 100 %", [f.face for f in session.faces], session.photo.extent).box)


def test_what_is_no_photo_gets_one_clear_line_and_no_path(page: Any, server: Running, tmp_path: Path) -> None:
    bad = tmp_path / "notes.png"
    bad.write_text("not an image")
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)).save(noise)
    for path, words in ((bad, "Not an image that can be read: notes.png."), (noise, "No face was found")):
        page.set_input_files("#photo input[type=file]", path)
        page.locator("#status .rg-error", has_text=words).wait_for(timeout=60_000)
        said = page.inner_text("#status").strip()
        assert "\n" not in said
        assert str(server.folder) not in said
        assert not page.locator("#viewer").is_visible()


def test_an_error_in_the_dialogue_changes_nothing(page: Any, model: RetouchGPT, photo: Path, tmp_path: Path) -> None:
    upload(page, photo)
    answered(page, lambda: page.click("#remove"), "Nothing is ticked. Tick what should go.")
    session = model.open(photo, "all")
    say(page, "make her nose smaller", session.instruct("make her nose smaller").answer)
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), pixels(photo))


def test_24_megapixels_at_native_size_with_metadata(page: Any, photo: Path, tmp_path: Path) -> None:
    big = cv2.resize(pixels(photo), (4000, 4000), interpolation=cv2.INTER_CUBIC)
    big = cv2.copyMakeBorder(big, 0, 0, 1000, 1000, cv2.BORDER_REPLICATE)
    path, exif = tmp_path / "big.jpg", Image.Exif()
    exif[0x010F] = "Maker"
    Image.fromarray(big).save(path, quality=90, exif=exif, dpi=(240, 240))
    upload(page, path)
    assert page.evaluate("document.querySelector('.rg-after').naturalWidth") == 1600
    page.fill("#text textarea", ALL)
    page.press("#text textarea", "Enter")
    page.locator("#status", has_text="Done").wait_for(timeout=120_000)
    page.click("#place input")
    page.get_by_role("option", name="Face 1 at 100 %").click()
    page.wait_for_selector("#viewer .rg-native")
    page.wait_for_function(
        "() => { const i = document.querySelector('.rg-after'), w = i.naturalWidth; "
        "return w !== 1600 && w > 800 && Math.abs(i.getBoundingClientRect().width * devicePixelRatio - w) < 1; }"
    )
    saved = download(page, "Download photo", tmp_path)
    assert saved.name == "big_retouched.jpg"
    with Image.open(saved) as image:
        assert image.size == (6000, 4000)
        assert image.getexif()[0x010F] == "Maker"
        assert image.info["dpi"] == (240, 240)
    mask = pixels(download(page, "Mask", tmp_path))[..., 0] > 0
    changed = (pixels(saved) != pixels(path)).any(2)
    assert mask.any()
    assert (changed & mask).any()
    near = cv2.dilate(mask.astype(np.uint8), np.ones((49, 49), np.uint8)) > 0  # beyond touched JPEG blocks
    assert not changed[~near].any()


def test_two_users_at_once_see_their_own_photo_only(
    browser: Any, server: Running, model: RetouchGPT, photo: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    Image.fromarray(np.ascontiguousarray(pixels(photo)[:, ::-1])).save(other)
    photos, asked = (photo, other), ([], [])
    with fresh(browser, server) as one, fresh(browser, server) as two:
        for page, urls in zip((one, two), asked, strict=True):
            page.on("request", lambda r, urls=urls: urls.append(r.url))
        for page, path in zip((one, two), photos, strict=True):
            page.set_input_files("#photo input[type=file]", path)
        for page in (one, two):
            page.wait_for_selector("#viewer .rg-viewer[data-ready]", timeout=120_000)
            page.fill("#text textarea", ALL)
        results = [model.open(path, "all").instruct(ALL) for path in photos]
        one.press("#text textarea", "Enter")
        answered(two, lambda: two.press("#text textarea", "Enter"), results[1].answer)
        one.locator("#chat .message.bot", has_text=results[0].answer).wait_for(timeout=60_000)
        for page, result, name in zip((one, two), results, ("one", "two"), strict=True):
            (tmp_path / name).mkdir()
            assert np.array_equal(pixels(download(page, "Download photo", tmp_path / name)), result.image)
    secrets = [{u.split("/")[4] for u in urls if "/picture/" in u or "/download/" in u} for urls in asked]
    assert len(secrets[0]) == len(secrets[1]) == 1
    assert secrets[0] != secrets[1]


def test_an_instruction_is_for_the_faces_that_are_ticked(
    page: Any, model: RetouchGPT, photo: Path, tmp_path: Path
) -> None:
    pair = tmp_path / "pair.png"
    Image.fromarray(np.concatenate([pixels(photo)[:400], pixels(photo)[:400, ::-1]], 1)).save(pair)
    session = model.open(pair, "all")
    assert len(session.faces) == 2
    upload(page, pair)
    assert page.locator(".rg-badges span").all_inner_texts() == ["1", "2"]
    page.get_by_role("checkbox", name="Face 2", exact=True).uncheck()
    result = session.instruct(for_faces(ALL, [1], 2))
    say(page, ALL, result.answer)
    assert np.array_equal(pixels(download(page, "Download photo", tmp_path)), result.image)


SETTLED = """() => new Promise(requestAnimationFrame).then(() => Promise.all(
    document.getAnimations().filter(a => a.effect.getComputedTiming().iterations !== Infinity)
        .map(a => a.finished.catch(() => 0))))"""
"""Waits until colours have faded to what they will be."""


@pytest.mark.parametrize("name", ["dark", "phone"])
def test_contrast_is_aa_and_nothing_runs_over_the_edge(name: str, browser: Any, server: Running, photo: Path) -> None:
    options: dict[str, Any] = {"color_scheme": "dark"}
    if name == "phone":
        options = {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True,
                    "color_scheme": "light"}  # fmt: skip
    with fresh(browser, server, **options) as page:
        empty = page.evaluate(CONTRAST)
        upload(page, photo)
        answered(page, lambda: page.click("#remove"), "Nothing is ticked. Tick what should go.")
        page.locator("#found input[type=checkbox]").first.check()
        page.click("#viewer .rg-show")
        page.evaluate(SETTLED)
        texts = empty + page.evaluate(CONTRAST)
        assert len(texts) > 40
        print(f"{name}: {len(texts)} texts, least contrast {min(t['ratio'] for t in texts):.2f}")
        low = [t for t in texts if t["ratio"] < t["needed"]]
        assert not low, low
        pale = 90 if name == "dark" else 150
        page.evaluate(f"document.querySelector('#status p').style.color = 'rgb({pale}, {pale}, {pale})'")
        assert any(t["ratio"] < t["needed"] for t in page.evaluate(CONTRAST)), "the measure misses a pale grey"
        page.evaluate("document.querySelector('#status p').style.color = ''")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        if name == "phone":
            small = page.evaluate(
                "[...document.querySelectorAll('#viewer button, #files a, #remove, #undo')]"
                ".filter(e => e.getBoundingClientRect().height < 24).map(e => e.textContent)"
            )
            assert not small
        page.click("#viewer .rg-show")
        say_and_picture(page, name)


def say_and_picture(page: Any, name: str) -> None:
    if os.environ.get("RETOUCHGPT_SCREENSHOTS"):
        page.fill("#text textarea", ALL)
        page.press("#text textarea", "Enter")
        page.locator("#status", has_text="Done").wait_for(timeout=60_000)
        page.wait_for_timeout(1500)
        picture(page, name)


def test_everything_is_reached_by_the_keyboard(page: Any, photo: Path) -> None:
    upload(page, photo)
    page.evaluate("document.activeElement.blur()")
    reached = set()
    stops = page.locator("button, input, textarea, select, a[href], [tabindex='0']").count()
    for _ in range(stops + 5):  # what was found decides how many there are
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(() => { const e = document.activeElement; return e.getAttribute('aria-label') || e.innerText.trim() "
                "|| e.closest('[id]').id; })()"
            )
        )
    for wanted in ("Before and after", "Show mask", "Undo", "Redo", "Start over", "Download photo", "Retouch"):
        assert any(wanted in r for r in reached), (wanted, reached)
    before = page.evaluate("getComputedStyle(document.querySelector('.rg-sheet')).getPropertyValue('--rg-x')")
    page.get_by_role("slider", name="Before and after").press("Home")
    after = page.evaluate("getComputedStyle(document.querySelector('.rg-sheet')).getPropertyValue('--rg-x')")
    assert before != after
    assert after == "0px"

    # the brush too: arrows move it, the space bar paints
    page.get_by_role("button", name="Show mask").press("Enter")
    opaque = (
        "(() => { const c = document.querySelector('.rg-mask'); "
        "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 == 3 && v == 255)"
        ".length; })()"
    )
    empty = page.evaluate(opaque)
    page.locator(".rg-mask").focus()
    for key in ("ArrowUp", "ArrowLeft", "Space"):
        page.keyboard.press(key)
    assert page.evaluate(opaque) > empty + 100


def test_the_server_refuses_strangers_and_too_much(server: Running, tmp_path: Path) -> None:
    assert code(server.address, {"Origin": "http://elsewhere.example"}) == 403
    assert code(server.address, {"Host": "elsewhere.example"}) == 400
    assert code(f"{server.address}/picture/{'x' * 43}/before") == 404
    assert code(f"{server.address}/download/{'x' * 43}/photo") == 404
    assert code(f"{server.address}/gradio_api/file=/etc/passwd") in (403, 404)
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(21 << 20)
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert code(f"{server.address}/gradio_api/upload", kind, body + b"\r\n--b--\r\n") == 413
    with urllib.request.urlopen(server.address) as answer:
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert not server.strayed.exists(), server.strayed.read_text()


def code(url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers or {})) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
