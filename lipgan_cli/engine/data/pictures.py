"""How the faces of a sample vary, always alike: light and colour, place and shape, grain.

All numbers of a sample are drawn whatever is chosen, so that switching one augmentation off leaves
the others as they are. The order is that of a camera: the face and its place in the picture, the
light on it, the lens, the sensor, the coder.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator as Random
from numpy.typing import NDArray

from lipgan_cli.engine.config import Augmentation

EXPOSURE = 0.25  # stops either way: a lamp more or less, with no detail lost
LIFT = 0.08  # of full scale, either way: stray light, a black level
CONTRAST = 0.25  # stops of slope about mid-grey, either way
GAMMA = 0.4  # stops of the exponent either way: 0.76 to 1.32, what cameras differ by
TINT = 0.15  # stops a channel, either way: a wrong white balance
SATURATION = 0.3, 1.3  # from nearly grey to gaudy
HUE = 8.0  # degrees either way; lips differ from skin by about 20
MONOCHROME_CHANCE = 0.15  # enough to be learnt, with most samples left in colour
BLUR_CHANCE = 0.3  # a face that is small in its video, or out of focus
BLUR = 0.4, 1.2  # pixels, standard deviation: lips stay visible at 96 x 96
NOISE_CHANCE = 0.5
NOISE = 12.0  # levels of 255, greatest standard deviation: a video at dusk
JPEG_CHANCE = 0.5
JPEG = 30, 95  # quality: a video call, to what is stored
SHIFT = 4.0  # pixels either way: how detectors and other crops differ
ZOOM = 0.05  # part of the size, either way: the same
ROTATION = 8.0  # degrees either way: a head held aslant
SHEAR = 0.08  # pixels sideways a pixel down, either way: a camera from the side
WARP = 3.0  # pixels, greatest shift of a control point: another face, not a broken one
WARP_GRID = 5  # control points a side: cheeks, lips and chin move apart

BORDER = cv2.BORDER_REFLECT_101  # a rim of skin or hair goes on as skin or hair

_LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue, as cv2 has it
_GREY = np.tile(_LUMA, (3, 1))
_KEPT = np.eye(3)
_ALONG = np.ones((3, 3)) / 3
_ACROSS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
_LEVELS = np.linspace(0, 1, 256, dtype=np.float32)
_NOISES = 1 << 17  # values of noise in stock: five faces' worth, which fits a core's cache

_LIGHT = {Augmentation.BRIGHTNESS, Augmentation.CONTRAST, Augmentation.GAMMA}
_PLACE = {Augmentation.JITTER, Augmentation.ROTATION, Augmentation.SHEAR, Augmentation.WARP}

Chosen = frozenset[Augmentation]
Face = NDArray[np.uint8]
Step = Callable[[Face], Face]


def vary(faces: Sequence[Face], random: Random, chosen: Collection[Augmentation]) -> list[Face]:
    """Change uint8 RGB faces (H, W, 3) of one size, all with the same parameters."""
    height, width = faces[0].shape[:2]
    chosen = frozenset(chosen)
    steps = [
        _placed(random.random(7 + 2 * WARP_GRID**2), chosen, height, width),
        _lit(random.random(4), chosen),
        _coloured(random.random(6), chosen),
        _blurred(random.random(2), chosen),
        _grained(random.random(3), chosen, height * width * 3),
        _coded(random.random(2), chosen),
    ]
    out = list(faces)
    for step in steps:
        if step is not None:
            out = [step(face) for face in out]
    return out


def _placed(drawn: NDArray[np.float64], chosen: Chosen, height: int, width: int) -> Step | None:
    """One map from places in the result to places in the face, for all that is geometric."""
    mirrored = Augmentation.MIRROR in chosen and drawn[0] < 0.5
    if chosen.isdisjoint(_PLACE):
        return (lambda face: _face(cv2.flip(face, 1))) if mirrored else None
    spread = 2 * drawn - 1  # [-1, 1)
    linear = np.eye(2)
    shift = np.zeros(2)
    if Augmentation.JITTER in chosen:
        shift = SHIFT * spread[1:3]
        linear *= 1 + ZOOM * spread[3]
    if Augmentation.ROTATION in chosen:
        angle = np.deg2rad(ROTATION * spread[4])
        linear @= np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if Augmentation.SHEAR in chosen:
        linear @= np.array([[1, SHEAR * spread[5]], [0, 1]])
    if mirrored:
        linear[:, 0] *= -1
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    affine = np.column_stack([linear, middle + shift - linear @ middle])  # (2, 3)
    if Augmentation.WARP not in chosen:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return lambda face: _face(
            cv2.warpAffine(face, affine, (width, height), flags=flags, borderMode=BORDER)
        )
    grid = (WARP * spread[7:]).reshape(WARP_GRID, WARP_GRID, 2).astype(np.float32)
    pushed = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    columns, rows = cv2.split(cv2.add(cv2.transform(_places(height, width), affine), pushed))
    return lambda face: _face(cv2.remap(face, columns, rows, cv2.INTER_LINEAR, borderMode=BORDER))


@cache
def _places(height: int, width: int) -> NDArray[np.float32]:
    """Column and row of every pixel, (H, W, 2)."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.dstack([columns, rows])


def _lit(drawn: NDArray[np.float64], chosen: Chosen) -> Step | None:
    """One table for all that changes a pixel by its own level alone."""
    spread = 2 * drawn - 1
    if chosen.isdisjoint(_LIGHT):
        return None
    level = _LEVELS
    if Augmentation.GAMMA in chosen:
        level = level**2.0 ** (GAMMA * spread[0])
    if Augmentation.CONTRAST in chosen:
        level = 0.5 + (level - 0.5) * 2.0 ** (CONTRAST * spread[1])
    if Augmentation.BRIGHTNESS in chosen:
        level = level * 2.0 ** (EXPOSURE * spread[2]) + LIFT * spread[3]
    table = (level.clip(0, 1) * 255).round().astype(np.uint8)
    return lambda face: _face(cv2.LUT(face, table))


def _coloured(drawn: NDArray[np.float64], chosen: Chosen) -> Step | None:
    """One matrix for all that mixes the colours of a pixel."""
    matrix = _KEPT
    if Augmentation.HUE in chosen:
        least, greatest = SATURATION
        saturation = least + (greatest - least) * drawn[0]
        turn = _turn(np.deg2rad(HUE * (2 * drawn[1] - 1)))
        tint = 2.0 ** (TINT * (2 * drawn[2:5] - 1))
        matrix = (saturation * turn + (1 - saturation) * _GREY) * tint
    if Augmentation.MONOCHROME in chosen and drawn[5] < MONOCHROME_CHANCE:
        matrix = _GREY
    elif Augmentation.HUE not in chosen:
        return None
    return lambda face: _face(cv2.transform(face, matrix))


def _turn(angle: float) -> NDArray[np.float64]:
    """The matrix that turns colours about the grey axis, which stays, as does their luma."""
    turned = _ALONG + np.cos(angle) * (_KEPT - _ALONG) + np.sin(angle) * _ACROSS
    return np.asarray(turned + (_LUMA - _LUMA @ turned))  # the same to each row


def _blurred(drawn: NDArray[np.float64], chosen: Chosen) -> Step | None:
    if Augmentation.BLUR not in chosen or drawn[0] >= BLUR_CHANCE:
        return None
    sigma = BLUR[0] + (BLUR[1] - BLUR[0]) * drawn[1]
    return lambda face: _face(cv2.GaussianBlur(face, (5, 5), sigma))


def _grained(drawn: NDArray[np.float64], chosen: Chosen, values: int) -> Step | None:
    """Noise of one strength, another for each face."""
    if Augmentation.NOISE not in chosen or drawn[0] >= NOISE_CHANCE:
        return None
    strength = float(NOISE * drawn[1])
    stock = _noise(values)
    place = int(drawn[2] * _NOISES)

    def step(face: Face) -> Face:
        nonlocal place
        grain = stock[place : place + values].reshape(face.shape)
        place = (place + values) % _NOISES
        return _face(cv2.addWeighted(face, 1, grain, strength, 0, dtype=cv2.CV_8U))

    return step


@cache
def _noise(values: int) -> NDArray[np.float32]:
    """Standard normal noise: drawing it anew costs more than all the rest together."""
    noise = np.random.default_rng(0).standard_normal(_NOISES, np.float32)
    return np.concatenate([noise, np.resize(noise, values)])


def _coded(drawn: NDArray[np.float64], chosen: Chosen) -> Step | None:
    if Augmentation.JPEG not in chosen or drawn[0] >= JPEG_CHANCE:
        return None
    quality = round(JPEG[0] + (JPEG[1] - JPEG[0]) * drawn[1])

    def step(face: Face) -> Face:
        # The coder must know red from blue: it keeps less of the one.
        picture = cv2.cvtColor(face, cv2.COLOR_RGB2BGR)
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = _face(cv2.imdecode(coded, cv2.IMREAD_COLOR))
        return _face(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))

    return step


def _face(picture: object) -> Face:
    """The same, known to be bytes."""
    return np.asarray(picture, np.uint8)
