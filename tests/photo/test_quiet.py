"""What native libraries write stays off the terminal, and standard error comes back, whoever leaves last."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from retouchgpt.apps import cli
from retouchgpt.photo.quiet import quiet


def test_standard_error_comes_back_when_the_last_leaves(capfd: Any) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with quiet():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with quiet():
        thread.start()
        inside.wait(10)
        os.write(2, b"library: a warning\n")
    os.write(2, b"still closed\n")
    leave.set()
    thread.join()
    os.write(2, b"open again\n")
    assert capfd.readouterr().err == "open again\n"


def test_a_damaged_photo_gets_one_line_and_nothing_of_the_library_below(tmp_path: Path, capfd: Any) -> None:
    import cv2
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 65535, (64, 64, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), noise)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "a.png").write_bytes(data)
    assert cli.main(["retouch", str(tmp_path / "a.png"), "-i", "remove the acne"]) == 3
    said = capfd.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert "damaged" in said.err
