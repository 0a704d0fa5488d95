"""What of a correction is done: nothing that cannot be noticed, and no step where it ends."""

from __future__ import annotations

import numpy as np
import pytest

from retouchgpt.session.face import UNSEEN, noticed

SIDE = 64
FULL = np.ones((SIDE, SIDE), np.float32)


def correction(levels: float) -> np.ndarray:
    out = np.zeros((SIDE, SIDE, 3), np.float32)
    out[20:44, 20:44, 1] = -levels / 255
    return out


def test_what_is_too_faint_to_be_seen_is_left_undone_and_what_can_be_seen_is_done_in_full() -> None:
    inside = np.s_[20:44, 20:44]
    assert not noticed(correction(0.9 * UNSEEN[0]), FULL).any()
    assert (noticed(correction(20), FULL)[inside] == 1).all()
    assert 0.3 < noticed(correction(sum(UNSEEN) / 2), FULL)[32, 32] < 0.7


def test_a_quiet_pixel_among_loud_ones_stays_with_them() -> None:
    grain = correction(20)
    grain[::2] = 0
    assert (noticed(grain, FULL)[24:40, 24:40] == 1).all()
    assert not noticed(grain, FULL)[:10].any(), "far away nothing is done"


def test_a_soft_end_has_no_step() -> None:
    ramp = np.zeros((SIDE, SIDE, 3), np.float32)
    ramp[:] = np.linspace(0, 8 / 255, SIDE, dtype=np.float32)[None, :, None]
    done = ramp[..., 0] * noticed(ramp, FULL)
    assert np.abs(np.diff(done, axis=1)).max() < 0.5 / 255, "less than can be told from rounding"
    assert not done[:, :8].any()


def test_of_a_weaker_wish_a_fainter_change_is_done() -> None:
    fifth = correction(2) / 2
    assert noticed(fifth, FULL)[32, 32] == 0
    assert noticed(fifth, 0.25 * FULL)[32, 32] == pytest.approx(1)
    assert noticed(fifth * 0.1, 0 * FULL)[32, 32] == 0, "however weak, what cannot be seen is left"
