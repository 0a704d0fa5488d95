"""What lies on skin in skin's own colour: frames of glasses, beards, strands. The skin map cannot tell them by colour.

Glasses and beard are first looked for as a whole (does this face wear one?), where they differ most from a bare face,
and only then drawn, so that a face without keeps its skin.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import LEFT_EYE_CONTOUR, RIGHT_EYE_CONTOUR, Extent

from .beard import Places, fitted, places
from .colour import colourless
from .regions import LIPS, OUTER_CORNERS, OVAL, eye_distance, protected_map

FloatImage = NDArray[Any]
Mask = NDArray[np.bool_]

BETWEEN_BROWS, NOSE_TIP, UNDER_NOSE, FOREHEAD_TOP, CHIN_TIP = 9, 4, 2, 10, 152


class Worn(NamedTuple):
    """From which contrasts (log units) a face wears glasses: across the bridge of the nose, below `bridge` there are
    none, from `sure` there are where the rims have at least `rim`. Between, the product of both tells, and the product
    over the contrast of this face's own skin, for wrinkles and hard light make lines too."""

    bridge: float
    sure: float
    rim: float
    product: float
    over_skin: float = 1.4


IN_COLOUR, IN_GREY = Worn(0.3, 1.2, 0.05, 0.15), Worn(0.22, 1.0, 0.04, 0.1)
"""In grey the channel that shows a frame best is lost. Of 51 faces out of 315 that count as wearing glasses in colour,
32 do in grey by the thresholds for colour and 42 by these, which were chosen on them; of the other 264 none does."""
FRAME, FRAME_OVER_SKIN = 0.17, 1.9
"""Contrast of a frame: in log units, and over the middle of this face's own skin."""
SURELY, SURELY_AT_NOSE, NEAR_FRAME = 2.0, 1.2, 0.15
"""Times that contrast from which what joins the found lines is frame, too: around the eyes, and along the nose, where
pads lie and the rims of turned faces end. And up to how many eye distances away."""
THICK, FRAME_ROOM = 0.05, 0.035
"""How far from its line a frame may reach, and room around it, in eye distances."""
SURE_HAIR, MAYBE_HAIR = 1.0, -4.0
"""Log odds of hair, see `photo/beard.py`, that make a face bearded, and that are beard on a bearded one."""
BEARDED = 0.02
"""Share of the lower face that is surely hair from which a face is bearded."""
BEARD_ROOM, BEARD_GAP = 0.1, 0.16
"""How far around its hair a beard is covered, and half the width of gaps that are, in eye distances."""
SIDEBURNS, SIDEBURNS_LEAST, HAIRY_JAW = 0.7, 0.1, 0.3
"""How far over the base of the nose a beard goes on along the face's edge and how far in, in eye distances, on a side
of whose jaw this share is hair."""
HAIRY = 0.033
"""Density, see `_density`, that is hair at the face's edge: at least."""
HAIRY_AT_EDGE, EDGE_REACH = 4.5, 0.3
"""Density over smooth skin's that is hair at the face's edge, and how far in the edge reaches, in eye distances. Lower,
wrinkles and clusters of marks near the edge were taken for hair."""


CROWS_FEET = 0.5
"""Reach of crow's feet from the outer corner of the eye, in eye distances."""
HANGING_EDGE, HANGING_BESIDE, HANGING_BELOW = 0.25, 0.8, 0.6
"""Hair hangs over a side of the face where of its outermost quarter of an eye distance at least so much is dense beside
the eye, and so much below it. Of 268 faces eight have such a side, all with hair or an arm of glasses there or make-up;
with 0.7 and 0.4 there would be fifteen, and no crow's feet among them yet."""
ISLAND = 0.25
"""Area below which skin that nothing joins to the face is hair, in squares of the eye distance."""


class Coverings(NamedTuple):
    """What covers the skin, (H, W) each: frames of glasses; beard and hair that hangs into the face."""

    frames: Mask
    hair: Mask

    @property
    def all(self) -> Mask:
        return self.frames | self.hair


def coverings(image: FloatImage, landmarks: NDArray[np.floating], skin: FloatImage) -> Coverings:
    """What lies on the skin.

    image: float RGB (H, W, 3) in [0, 1]. landmarks: (478, 2) px of it. skin: (H, W) in [0, 1], what else is skin.
    """
    points = np.asarray(landmarks, np.float32)
    unit = eye_distance(points)
    protected = protected_map(points, Extent(image.shape[1], image.shape[0]))
    bare = skin * (cv2.dilate(protected, _disk(0.04 * unit)) < 0.3)
    height, density = _height(points, image.shape[:2]), _density(image, protected < 0.3, unit)
    smooth = (bare > 0.8) & (height > 0.25 * unit)
    own = float(np.percentile(density[smooth], 30)) if smooth.sum() > 100 else 0.02
    face = _polygon(points[list(OVAL)], image.shape[:2])
    lower = face & (height < 0.12 * unit)
    inwards = cv2.distanceTransform(face.astype(np.uint8), cv2.DIST_L2, 5) / unit
    hairy = (density > max(HAIRY, HAIRY_AT_EDGE * own)) & (inwards < EDGE_REACH)
    hanging = _hanging(hairy, face & (inwards < HANGING_EDGE), height, points, unit)
    open_to_hair = (~lower & ~_beside_eyes(points, unit, image.shape[:2])) | hanging
    strands = cv2.morphologyEx((hairy & open_to_hair).astype(np.uint8), cv2.MORPH_OPEN, _disk(0.04 * unit)) > 0
    beard = _beard(image, points)
    return Coverings(_glasses(image, points, bare), beard | _hair(strands, skin, ~lower | hanging, unit))


def _glasses(image: FloatImage, points: FloatImage, bare: FloatImage) -> Mask:
    none = np.zeros(image.shape[:2], bool)
    bridge = _bridge_contrast(image, points)
    worn = IN_GREY if colourless(image) else IN_COLOUR
    if bridge < worn.bridge:
        return none
    unit = eye_distance(points)
    fine = _log(image, 0.006 * unit)
    disk = _disk(0.05 * unit)  # thin lines only: steps of shading are the nose's and the cheeks'
    bright, dark = (cv2.morphologyEx(fine, how, disk) for how in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    contrast = np.maximum(bright, dark).max(2)
    zone = _around_eyes(points, image.shape[:2])
    free = (bare > 0.9) & ~zone
    own = float(np.median(contrast[free])) if free.sum() > 50 else 0.1
    if not _worn(bridge, _rim_contrast(image, points), own, worn):
        return none
    drawn = np.zeros(image.shape[:2], np.uint8)
    for line in _frame(contrast, points):
        cv2.polylines(drawn, [np.rint(line * 16).astype(np.int32)], False, 1, 1, cv2.LINE_8, 4)
    least = max(FRAME, FRAME_OVER_SKIN * own)
    thick = (contrast > least) & (cv2.dilate(drawn, _disk(THICK * unit)) > 0)
    frames = drawn | thick.astype(np.uint8)
    near = cv2.distanceTransform((drawn == 0).astype(np.uint8), cv2.DIST_L2, 5) < NEAR_FRAME * unit
    near &= ~_beside_eyes(points, unit, near.shape)  # the lines there are crow's feet
    nose = _along_nose(points, near.shape)
    sure = ((contrast > np.where(nose, SURELY_AT_NOSE, SURELY) * least) & near & (bare > 0)).astype(np.uint8)
    frames |= _joined(cv2.morphologyEx(sure, cv2.MORPH_CLOSE, _disk(0.02 * unit)), frames)
    return cv2.dilate(frames, _disk(math.ceil(FRAME_ROOM * unit))) > 0


def _along_nose(points: FloatImage, shape: tuple[int, ...]) -> Mask:
    """The bridge of the nose and its sides, from between the brows to half-way down."""
    unit, (right, _) = eye_distance(points), _axes(points)
    top, end = points[BETWEEN_BROWS], (points[BETWEEN_BROWS] + points[NOSE_TIP]) / 2
    return _polygon(
        np.array([p + x * 0.3 * unit * right for p, x in ((top, -1), (top, 1), (end, 1), (end, -1))]), shape
    )


def _joined(mask: NDArray[np.uint8], to: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Connected parts of a mask that touch `to`."""
    _, labels = cv2.connectedComponents(mask)
    touching = np.zeros(labels.max() + 1, np.uint8)
    touching[np.unique(labels[to > 0])] = 1
    touching[0] = 0
    return touching[labels]


class Lens(NamedTuple):
    """Where a rim runs around the lens' middle, in eye distances: (nearest, farthest) towards the nose, away from it,
    up and down."""

    nose: tuple[float, float] = (0.24, 0.48)
    away: tuple[float, float] = (0.27, 0.72)
    up: tuple[float, float] = (0.17, 0.5)
    down: tuple[float, float] = (0.17, 0.62)


LENS = Lens()
ANGLES = 144
OTHER_LENS = 0.5
"""Weight of the other lens' lines, which may lie four places off."""
CROOKED = 0.01
"""What a rim pays for each place that it moves in or out, in log units."""
LENS_BELOW_EYE = 0.06
"""How far the lens' middle lies under the eye's, in eye distances."""
PLAINEST = 0.5
"""Contrast (log units) above which a line is no plainer: hair at the edge is no better frame than a frame."""


def _frame(contrast: FloatImage, points: FloatImage) -> list[FloatImage]:
    """Both rims, the bridge and the arms as lines (n, 2) in px: of each the plainest that runs where it may.

    Single lines, since wrinkles, folds and shadows are as plain as a frame; but none of them runs all the way.
    """
    unit, (right, down) = eye_distance(points), _axes(points)
    protected = protected_map(points, Extent(contrast.shape[1], contrast.shape[0]))
    lines = np.minimum(contrast, PLAINEST) * (1 - 0.6 * protected)
    found, inner = [], []
    eyes = ((RIGHT_EYE_CONTOUR, -1.0), (LEFT_EYE_CONTOUR, 1.0))
    middles = [points[list(contour)].mean(0) + LENS_BELOW_EYE * unit * down for contour, _ in eyes]
    grids = [_around_lens(m, side * right * unit, down * unit) for m, (_, side) in zip(middles, eyes, strict=True)]
    for rim, middle, (_, side) in zip(_rims(lines, grids), middles, eyes, strict=True):
        across = (rim - middle) @ right * side
        found.append(np.concatenate([rim, rim[:1]]))
        inner.append(rim[int(across.argmin())])
        outer = rim[int(across.argmax())]
        found.append(_across(lines, outer, outer + 0.7 * side * right * unit, down * unit, (-0.3, 0.12)))
    found.append(_across(lines, inner[0], inner[1], down * unit, (-0.25, 0.15)))
    return found


def _around_lens(middle: FloatImage, out: FloatImage, down: FloatImage) -> FloatImage:
    """Places where a rim may run: angles from outwards on, by shares of the way out, (ANGLES, 64, 2) in px.

    out, down: vectors of one eye distance.
    """
    angle = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    across, along = np.cos(angle), np.sin(angle)
    near, far = (
        np.hypot(np.where(across > 0, LENS.away[k], LENS.nose[k]) * across,
                 np.where(along > 0, LENS.down[k], LENS.up[k]) * along)
        for k in (0, 1)
    )  # fmt: skip
    away = near[:, None] + (far - near)[:, None] * np.linspace(0, 1, 64)
    return (middle + away[..., None] * (across[:, None, None] * out + along[:, None, None] * down)).astype(np.float32)


def _rims(lines: FloatImage, grids: list[FloatImage]) -> list[FloatImage]:
    """The plainest closed line around each lens, (ANGLES, 2); where one is faint, the other's shape helps."""
    seen = [cv2.remap(lines, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR) for grid in grids]
    helped = [own + OTHER_LENS * cv2.dilate(other, np.ones((1, 9), np.uint8)) for own, other in (seen, reversed(seen))]
    rims = []
    for grid, values in zip(grids, helped, strict=True):
        around = _plainest(np.concatenate([values] * 3), 3, CROOKED)[ANGLES : 2 * ANGLES]
        rims.append(grid[np.arange(ANGLES), around])
    return rims


def _across(
    lines: FloatImage, start: FloatImage, end: FloatImage, down: FloatImage, reach: tuple[float, float]
) -> FloatImage:
    """The plainest line from somewhere beside `start` to somewhere beside `end`, (n, 2)."""
    t = np.linspace(0, 1, 48)[:, None, None]
    s = np.linspace(*reach, 48)[None, :, None]
    where = (start + (end - start) * t + down * s).astype(np.float32)
    values = cv2.remap(lines, where[..., 0], where[..., 1], cv2.INTER_LINEAR)
    return where[np.arange(len(values)), _plainest(values, 2)]


def _worn(bridge: float, rim: float, own: float, least: Worn) -> bool:
    """Whether there are glasses, by contrasts in log units: across the bridge, of the rims, of fine detail on skin."""
    both = bridge * rim
    sure = bridge >= least.sure and rim >= least.rim
    return sure or (both >= least.product and both >= least.over_skin * own)


def _bridge_contrast(image: FloatImage, points: FloatImage) -> float:
    """Largest step along the ridge of the nose, from between the brows to the tip, in log units."""
    rows, columns = 96, 24
    top, tip = points[BETWEEN_BROWS], points[NOSE_TIP]
    along = tip - top
    across = np.array((-along[1], along[0])) / max(float(np.hypot(*along)), 1e-6) * 0.1 * eye_distance(points)
    t, s = np.linspace(0, 1, rows)[:, None, None], np.linspace(-1, 1, columns)[None, :, None]
    where = (top + along * t + across * s).astype(np.float32)
    strip = cv2.remap(image.astype(np.float32), where[..., 0], where[..., 1], cv2.INTER_LINEAR)
    profile = np.median(np.log(strip + 0.03), axis=1)
    return float(np.abs(profile[4:] - profile[:-4]).max())


def _rim_contrast(image: FloatImage, points: FloatImage) -> float:
    """Contrast of the plainest line that runs under either eye from side to side, in log units."""
    unit = eye_distance(points)
    fine, disk = _log(image, 0.006 * unit, 0.06), _disk(0.03 * unit)
    bright, dark = (cv2.morphologyEx(fine, how, disk) for how in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    lines = np.maximum(bright, dark).max(2)
    right, down = _axes(points)
    angle = np.deg2rad(np.linspace(25, 155, 40))[:, None, None]
    away = (np.cos(angle) * right + np.sin(angle) * down) * (np.linspace(0.27, 0.75, 50) * unit)[None, :, None]
    found = []
    for contour in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR):
        where = (points[list(contour)].mean(0) + away).astype(np.float32)
        found.append(_path(cv2.remap(lines, where[..., 0], where[..., 1], cv2.INTER_LINEAR)))
    return max(found)


def _plainest(values: FloatImage, reach: int = 2, cost: float = 0.0) -> NDArray[np.intp]:
    """The column in each row of the path with the largest sum through `values` that moves by at most `reach` a row,
    each column that it moves at a cost."""
    total, width = values.copy(), values.shape[1]
    steps = np.arange(-reach, reach + 1)
    came = np.zeros(values.shape, np.intp)
    for row in range(1, len(total)):
        around = np.pad(total[row - 1], reach, constant_values=-np.inf)
        ways = np.stack([around[k : k + width] for k in range(2 * reach + 1)]) - cost * np.abs(steps)[:, None]
        came[row] = steps[ways.argmax(0)]
        total[row] += ways.max(0)
    path = np.zeros(len(total), np.intp)
    path[-1] = total[-1].argmax()
    for row in range(len(total) - 1, 0, -1):
        path[row - 1] = path[row] + came[row, path[row]]
    return path


def _path(values: FloatImage) -> float:
    """30th percentile along the plainest path through the rows."""
    return float(np.percentile(values[np.arange(len(values)), _plainest(values)], 30))


def _around_eyes(points: FloatImage, shape: tuple[int, ...]) -> Mask:
    """Where frames lie: over the whole width, from the brows to well under the eyes."""
    unit = eye_distance(points)
    right, down = _axes(points)
    centre = points[[*RIGHT_EYE_CONTOUR, *LEFT_EYE_CONTOUR]].mean(0)
    corners = ((-1.4, -0.42), (1.4, -0.42), (1.4, 0.7), (-1.4, 0.7))
    return _polygon(np.array([centre + (x * right + y * down) * unit for x, y in corners]), shape)


def hair_places(image: FloatImage, landmarks: NDArray[np.floating]) -> Places | None:
    """`photo/beard.py`'s places of a face, as `coverings` looks at them; image and landmarks as there."""
    points = np.asarray(landmarks, np.float32)
    unit, shape = eye_distance(points), image.shape[:2]
    face = _polygon(points[list(OVAL)], shape)
    inwards = cv2.distanceTransform(face.astype(np.uint8), cv2.DIST_L2, 5) / unit
    protected = protected_map(points, Extent(shape[1], shape[0])) > 0.3
    open_face = face & (cv2.dilate(protected.astype(np.uint8), _disk(0.05 * unit)) == 0)
    return places(image, points, open_face, _height(points, shape) / unit, inwards, unit)


def _beard(image: FloatImage, points: FloatImage) -> Mask:
    """Hair of the lower face, and along the face's edge over a hairy jaw, of a face that surely has some."""
    shape = image.shape[:2]
    found, unit = hair_places(image, points), eye_distance(points)
    if found is None or not found.lower.any():
        return np.zeros(shape, bool)
    odds = np.full(found.lower.shape, -np.inf)
    odds[found.lower] = fitted().odds(found.numbers[found.lower])
    if (odds[found.lower] > SURE_HAIR).mean() <= BEARDED:
        return np.zeros(shape, bool)
    small = (odds > MAYBE_HAIR).astype(np.uint8)
    small = cv2.morphologyEx(small, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    hair = cv2.resize(
        small, (small.shape[1] * found.step, small.shape[0] * found.step), interpolation=cv2.INTER_NEAREST
    )
    hair = _closed(hair[: shape[0], : shape[1]], _polygon(points[list(LIPS)], shape), unit)
    hair = cv2.dilate(hair, _disk(BEARD_ROOM * unit)) > 0
    return hair | _sideburns(hair, points)


def _closed(hair: NDArray[np.uint8], lips: Mask, unit: float) -> NDArray[np.uint8]:
    """Hair, and what lies in narrow gaps of it or between it and the lips."""
    around = cv2.dilate(lips.astype(np.uint8), _disk(0.05 * unit))  # which `hair_places` does not look at
    closed = cv2.morphologyEx(np.maximum(hair, around), cv2.MORPH_CLOSE, _disk(BEARD_GAP * unit))
    return np.where(around > hair, 0, closed).astype(np.uint8)


def _sideburns(hair: Mask, points: FloatImage) -> Mask:
    """The face's edge, (H, W), from its jaws up, on the sides where these are hairy."""
    unit, face = eye_distance(points), _polygon(points[list(OVAL)], hair.shape)
    height = _height(points, hair.shape) / unit
    inwards = cv2.distanceTransform(face.astype(np.uint8), cv2.DIST_L2, 5) / unit
    right, _ = _axes(points)
    y, x = np.mgrid[: hair.shape[0], : hair.shape[1]]
    middle = points[UNDER_NOSE]
    across = (x - middle[0]) * right[0] + (y - middle[1]) * right[1]
    out = np.zeros(hair.shape, bool)
    for side in (across < 0, across > 0):
        jaw = face & side & (height < 0) & (height > -0.4) & (inwards < 0.2)
        if _share(hair, jaw) >= HAIRY_JAW:
            out |= face & side & (height < SIDEBURNS) & (height > -0.4) & (inwards < SIDEBURNS_LEAST)
    return out


def _hanging(hairy: Mask, edge: Mask, height: FloatImage, points: FloatImage, unit: float) -> Mask:
    """Sides of the face (H, W) that hair hangs over: dense beside the eye, where crow's feet are too, and on below
    it, where those are not. edge: (H, W), the outermost of the face."""
    out = np.zeros(hairy.shape, bool)
    right, _ = _axes(points)
    y, x = np.mgrid[: hairy.shape[0], : hairy.shape[1]]
    middle = points[BETWEEN_BROWS]
    across = (x - middle[0]) * right[0] + (y - middle[1]) * right[1]
    level = _height_of(points, points[list(OUTER_CORNERS)])
    for corner, height_of_eye in zip(OUTER_CORNERS, level, strict=True):
        side = across * float((points[corner] - middle) @ right) > 0
        under = (height - height_of_eye) / unit
        beside, below = edge & side & (np.abs(under) < 0.35), edge & side & (under < -0.35) & (under > -0.75)
        if _share(hairy, beside) >= HANGING_BESIDE and _share(hairy, below) >= HANGING_BELOW:
            out |= side
    return out


def _share(mask: Mask, where: Mask) -> float:
    """Share of `where` that is in `mask`, 0 of too little."""
    return float(mask[where].mean()) if where.sum() > 30 else 0.0


def _beside_eyes(points: FloatImage, unit: float, shape: tuple[int, ...]) -> Mask:
    """Where crow's feet lie, which are as dense as hair."""
    out = np.zeros(shape, np.uint8)
    for corner in OUTER_CORNERS:
        x, y = (round(float(v)) for v in points[corner])
        cv2.circle(out, (x, y), max(round(CROWS_FEET * unit), 1), 1, -1)
    return out > 0


def _hair(strands: Mask, skin: FloatImage, upper: Mask, unit: float) -> Mask:
    """Strands with what looks like skin among them: small islands that no skin joins to the face."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(((skin > 0) & ~strands).astype(np.uint8))
    sizes = stats[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0
    island = (sizes > 0) & (sizes < ISLAND * unit * unit)
    island[int(sizes.argmax())] = False
    return strands | (island[labels] & upper)


def _height(points: FloatImage, shape: tuple[int, ...]) -> FloatImage:
    """Of every pixel (H, W) over the base of the nose, along the face's axis, in px."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return _height_of(points, np.stack([x, y], 2))


def _height_of(points: FloatImage, places: FloatImage) -> FloatImage:
    """`_height` of places (..., 2) in px."""
    up = points[FOREHEAD_TOP] - points[CHIN_TIP]
    up = up / max(float(np.hypot(*up)), 1e-6)
    return (places - points[UNDER_NOSE]) @ up


def _density(image: FloatImage, counted: Mask, unit: float) -> FloatImage:
    """How dense fine contrast is, (H, W) in log units: a mean of roots, which many hairs lift and one edge does not.

    counted: (H, W), what is not eye, brow or lip, whose own hairs and edges would make crow's feet of hair.
    """
    luma = np.log(image.mean(2) + 0.05).astype(np.float32)
    fine = cv2.GaussianBlur(luma, (0, 0), max(0.004 * unit, 0.3)) - cv2.GaussianBlur(luma, (0, 0), 0.025 * unit)
    weight = cv2.erode(counted.astype(np.float32), _disk(0.03 * unit))
    mass = cv2.GaussianBlur(weight, (0, 0), 0.06 * unit) + 1e-3
    return (cv2.GaussianBlur(np.sqrt(np.abs(fine)) * weight, (0, 0), 0.06 * unit) / mass) ** 2


def _log(image: FloatImage, sigma: float, floor: float = 0.04) -> FloatImage:
    return np.log(cv2.GaussianBlur(image.astype(np.float32), (0, 0), max(sigma, 0.3)) + np.float32(floor))


def _axes(points: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Unit vectors to the viewer's right along the eyes, and down the face."""
    right = points[list(LEFT_EYE_CONTOUR)].mean(0) - points[list(RIGHT_EYE_CONTOUR)].mean(0)
    right = right / max(float(np.hypot(*right)), 1e-6)
    return right, np.array((-right[1], right[0]))


def _polygon(points: FloatImage, shape: tuple[int, ...]) -> Mask:
    out = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(out, [np.rint(points).astype(np.int32)], 1)
    return out > 0


def _disk(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)).astype(np.uint8)
