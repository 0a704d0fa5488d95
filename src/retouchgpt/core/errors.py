"""Every way in which an input can be unusable, each with its data and its repair in one line.

`exit_code` is the command line's: 3 unusable input, 1 our fault. Messages are one line and say what to do.
"""

from __future__ import annotations

from pathlib import Path


class RetouchError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = 1


class InvalidPlan(RetouchError, ValueError):
    """An edit plan with a word or number outside the vocabulary."""

    exit_code = 3


class UnusableInput(RetouchError):
    """The input cannot be used; nothing was written."""

    exit_code = 3


class PhotoNotFound(UnusableInput):
    def __init__(self, path: str | Path) -> None:
        super().__init__(f"no such file: {path}. Check the path and try again.")
        self.path = path


class NotAnImage(UnusableInput):
    def __init__(self, path: str | Path, detail: str = "") -> None:
        why = f" ({detail})" if detail else ""
        super().__init__(f"not an image that can be read: {path}{why}. Use JPEG, PNG, TIFF, WebP, HEIC or AVIF.")
        self.path, self.detail = path, detail


class CorruptPhoto(UnusableInput):
    def __init__(self, path: str | Path, detail: str) -> None:
        super().__init__(f"the file is damaged or cut short: {path} ({detail}). Export it again from its original.")
        self.path, self.detail = path, detail


class AnimatedPhoto(UnusableInput):
    def __init__(self, path: str | Path, frames: int) -> None:
        super().__init__(f"an animation or multi-page file of {frames} frames: {path}. Save one frame as its own file.")
        self.path, self.frames = path, frames


class UnsupportedPhoto(UnusableInput):
    def __init__(self, path: str | Path, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path, self.detail = path, detail


class PhotoTooLarge(UnusableInput):
    def __init__(self, actual_pixels: int, limit_pixels: int) -> None:
        super().__init__(
            f"the photo has {actual_pixels / 1e6:.0f} megapixels; the limit is {limit_pixels / 1e6:.0f}. Scale it down."
        )
        self.actual_pixels, self.limit_pixels = actual_pixels, limit_pixels


class PhotoTooSmall(UnusableInput):
    def __init__(self, width: int, height: int, least: int) -> None:
        super().__init__(
            f"the photo is {width}x{height} px; at least {least} px on each side are needed. Use a larger photo."
        )
        self.width, self.height, self.least = width, height, least


class NotAVideo(UnusableInput):
    def __init__(self, path: str | Path, detail: str) -> None:
        super().__init__(f"not a video that can be read: {path} ({detail}). Use a clip that a player opens.")
        self.path, self.detail = path, detail


class NoVideoStream(UnusableInput):
    def __init__(self, path: str | Path) -> None:
        super().__init__(f"{path} has no moving picture in it. Use a video file.")
        self.path = path


class CorruptVideo(UnusableInput):
    def __init__(self, path: str | Path, seconds: float, detail: str) -> None:
        super().__init__(
            f"the video is damaged about {seconds:.1f} s in: {path} ({detail}). "
            "Cut it before that place or export it anew."
        )
        self.path, self.seconds, self.detail = path, seconds, detail


class UnsupportedVideo(UnusableInput):
    def __init__(self, path: str | Path, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path, self.detail = path, detail


class NoFaceInVideo(UnusableInput):
    def __init__(self, path: str | Path, frames: int) -> None:
        super().__init__(f"no face was found in any of {frames} frames of {path}. Use a clip that shows a face, lit.")
        self.path, self.frames = path, frames


class NoFaceFound(UnusableInput):
    def __init__(self, path: str | Path | None = None) -> None:
        where = f" in {path}" if path is not None else ""
        super().__init__(f"no face was found{where}. Use a photo where a face is in view, upright and lit.")
        self.path = path


class FaceTooSmall(UnusableInput):
    def __init__(self, actual_px: float, least_px: float) -> None:
        super().__init__(
            f"the largest face is {actual_px:.0f} px wide; at least {least_px:.0f} px are needed to judge skin. "
            "Use a larger photo."
        )
        self.actual_px, self.least_px = actual_px, least_px


class NoSuchFace(UnusableInput):
    def __init__(self, asked: str, found: int) -> None:
        super().__init__(
            f"there is no face {asked!r}: {found} found. "
            f"Use largest, all, a number from 1 to {found}, or a place ('the one on the left')."
        )
        self.asked, self.found = asked, found


class NoFaceChosen(UnusableInput):
    def __init__(self) -> None:
        super().__init__("no face is chosen. Tick at least one.")


class EmptyInstruction(UnusableInput):
    def __init__(self) -> None:
        super().__init__('the instruction is empty. Say what to remove, for example "remove the acne on the chin".')


class InstructionTooLong(UnusableInput):
    def __init__(self, actual: int, limit: int) -> None:
        super().__init__(f"the instruction has {actual} characters; the limit is {limit}. Say it in a few sentences.")
        self.actual, self.limit = actual, limit


class OutputNotWritable(UnusableInput):
    def __init__(
        self, path: str | Path, detail: str, repair: str = "Choose another folder or free some space."
    ) -> None:
        super().__init__(f"cannot write {path} ({detail}). {repair}")
        self.path, self.detail = path, detail


class OutputExists(UnusableInput):
    def __init__(self, path: str | Path) -> None:
        super().__init__(f"{path} exists already. Choose another name, or pass --overwrite.")
        self.path = path


class WeightsMissing(UnusableInput):
    def __init__(self, path: str | Path) -> None:
        super().__init__(
            f"no weights in {path}: config.json and model.safetensors are needed. Install the package again."
        )
        self.path = path


class AgentMissing(UnusableInput):
    def __init__(self, path: str | Path) -> None:
        super().__init__(f"no agent in {path}: agent.safetensors is needed. Train one, or retouch without an agent.")
        self.path = path


class WeightsAltered(UnusableInput):
    def __init__(self, path: str | Path, expected: str, actual: str) -> None:
        super().__init__(
            f"the weights {path} are not the published ones (SHA-256 {actual[:12]}, expected {expected[:12]}). "
            "Install the package again."
        )
        self.path, self.expected, self.actual = path, expected, actual


class WeightsMismatch(UnusableInput):
    def __init__(self, path: str | Path, detail: str) -> None:
        super().__init__(
            f"the weights {path} do not fit this version: {detail}. Use weights and package of one version."
        )
        self.path, self.detail = path, detail


class WeightsNotFinite(UnusableInput):
    """Weights or statistics that hold an infinity or no number."""

    def __init__(self, path: str | Path, detail: str) -> None:
        super().__init__(
            f"the weights {path} hold values that are not finite: {detail}. Install the package again, or "
            "count the statistics of your own anew with python -m retouchgpt.training.statistics."
        )
        self.path, self.detail = path, detail


class HubUnavailable(UnusableInput):
    """A model hub that cannot be reached, or does not have what was asked for."""

    def __init__(self, repo_id: str, detail: str) -> None:
        super().__init__(
            f"{repo_id} is no folder here, and the hub did not help: {detail}. Check the name and try again."
        )
        self.repo_id, self.detail = repo_id, detail


class BadData(UnusableInput):
    """Training or evaluation data that cannot be used; the message names the file."""


class BadSession(UnusableInput):
    """A saved session or script that cannot be used."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"not a session that can be used: {detail}.")
        self.detail = detail


class PortTaken(UnusableInput):
    """Another program listens where a server should."""

    def __init__(self, port: int, detail: str) -> None:
        super().__init__(f"cannot listen on port {port} ({detail}). Stop what uses it, or pass another --port.")
        self.port, self.detail = port, detail


class MissingExtra(RetouchError):
    """An optional dependency is not installed."""

    exit_code = 3

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs {package}, which is not installed: pip install 'retouchgpt[{extra}]'.")
        self.package, self.extra = package, extra
