"""A browser and a running `retouchgpt web` for tests: started once, cut off from any other network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
START_SECONDS = 180
CUT_OFF = """
import socket, sys
real = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        open(sys.argv[1], "a").write(f"{address}\\n")
        raise OSError("no network in this test")
    return real(self, address)
socket.socket.connect = connect
from retouchgpt.apps.cli import main
sys.exit(main(sys.argv[2:]))
"""
"""Runs the command with every connection beyond this computer refused and written down."""

CONTRAST = """
() => {
  const parse = (text) => {
    const v = text.match(/[\\d.]+/g).map(Number);
    const unit = text.startsWith("color(") ? 255 : 1;
    return [v[0] * unit, v[1] * unit, v[2] * unit, v.length > 3 ? v[3] : 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = (c) => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = c.slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const chain = (e) => { const out = []; for (; e; e = e.parentElement) out.push(e); return out; };
  const behind = (e) => chain(e).reverse().reduce(
    (under, x) => over(parse(getComputedStyle(x).backgroundColor), under), [255, 255, 255, 1]);
  const seen = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && e.getClientRects().length;
  const out = [];
  for (const e of document.body.querySelectorAll("*")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const hint = e.placeholder && !e.value;
    if (!(own || hint || e.value) || !seen(e)) continue;
    if (e.matches("script, style, option, [type=range], [type=checkbox]")) continue;
    if (e.closest("[aria-hidden=true], :disabled")) continue;
    const look = getComputedStyle(e, hint ? "::placeholder" : null);
    const opacity = chain(e).reduce((o, x) => o * getComputedStyle(x).opacity, 1);
    const under = behind(e), ink = parse(look.color);
    ink[3] *= opacity;
    const [a, b] = [light(over(ink, under)), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), px = parseFloat(look.fontSize);
    const large = px >= 24 || (px >= 18.66 && look.fontWeight >= 700);
    out.push({ text: (e.placeholder || e.value || e.textContent).trim().slice(0, 40), ratio, needed: large ? 3 : 4.5 });
  }
  return out;
}
"""
"""WCAG 2 contrast of every visible text of a page against what lies behind it."""


def chromium() -> str:
    """The browser's path. Without one the test fails in CI, and says elsewhere what to install."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    text = "the web app's tests need a browser: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


@dataclass(frozen=True)
class Running:
    """A started server. address: http://127.0.0.1:PORT. folder: its TMPDIR. strayed: where refused connections are
    written."""

    address: str
    folder: Path
    strayed: Path
    process: subprocess.Popen[str]


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    """`retouchgpt web` on a free port; ends by SIGTERM, and must then leave in good order with nothing left behind."""
    own, strayed = folder / "tmp", folder / "strayed.txt"
    own.mkdir()
    command = [sys.executable, "-c", CUT_OFF, str(strayed), "web", "--port", "0", *arguments]
    with (folder / "server.txt").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | {"TMPDIR": str(own)}
        )
        late = threading.Timer(START_SECONDS, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            late.cancel()
            assert "http://127.0.0.1:" in line, (folder / "server.txt").read_text()[-2000:]
            yield Running(line.split("on ")[1].split()[0], own, strayed, process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert not list(own.glob("retouchgpt-web-*")), "copies of photos were left behind"
        finally:
            late.cancel()
            process.kill()
            process.wait()


def upload(page: Any, path: Path) -> None:
    """Drop a photo and wait until its picture is there."""
    page.set_input_files("#photo input[type=file]", path)
    page.wait_for_selector("#viewer .rg-viewer[data-ready]", timeout=60_000)


def say(page: Any, text: str, answer: str) -> None:
    """Type an instruction, press Enter, and wait for exactly this answer."""
    page.fill("#text textarea", text)
    answered(page, lambda: page.press("#text textarea", "Enter"), answer)


def answered(page: Any, act: Callable[[], Any], answer: str) -> None:
    """Do something and wait for a new answer at the end of the dialogue, exactly this one."""
    from playwright.sync_api import expect

    told = page.locator("#chat .message.bot")
    before = told.count()
    act()
    expect(told).to_have_count(before + 1, timeout=60_000)
    expect(told.last).to_have_text(answer, timeout=60_000)


def download(page: Any, name: str, folder: Path) -> Path:
    """Click a link of the download list; the file under the name that the app gave it."""
    with page.expect_download(timeout=60_000) as caught:
        page.get_by_role("link", name=name, exact=True).click()
    out = folder / caught.value.suggested_filename
    caught.value.save_as(out)
    return out
