"""The seam: an edge, a blur, and none, of a known mask and of an unknown one."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.blend import crop, paste
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.people import one_person
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.metrics.artefacts import SeamMeter, seams

PLACE = (40, 50, 96)


def grainy(seed: int = 0) -> np.ndarray:
    """Return an I420 frame, 192 x 192, of grain."""
    random = np.random.default_rng(seed)
    return random.normal(120, 5, (288, 192)).clip(0, 255).astype(np.uint8)


def measured(source: np.ndarray, result: np.ndarray, place: tuple[int, int, int] = PLACE) -> float:
    meter = SeamMeter()
    meter.add(source, result, place)
    value = meter.value()
    assert value is not None
    return value


def test_a_known_mask_tells_an_edge_from_a_blur() -> None:
    source, box = grainy(), np.ones((96, 96), np.float32)
    edge, blur = source.copy(), source.copy()
    edge[50:146, 40:136] += 30
    blur[40:156, 30:146] = 120
    assert seams(source, source, box, PLACE) == [1] * 5
    assert min(seams(source, edge, box, PLACE)) > 4
    assert seams(source, blur, box, PLACE) == [0] * 5


def test_steps_across_a_square_by_hand() -> None:
    # A slope of 4 levels a pixel from left to right: none down, 4 across. In the square 10 more.
    source = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (90, 1))
    result = source.copy()
    result[20:40, 20:40] += 10
    # Top and bottom: 0, now 10. Left 4, now 14; right 4, now 6 the other way: 40 steps of each.
    assert measured(source, result, (20, 20, 20)) == pytest.approx((10 + 10 + 14 + 6) / (4 + 4))


def test_an_unknown_mask_tells_an_edge_from_none() -> None:
    source = grainy()
    assert measured(source, source) == 1
    edge = source.copy()
    edge[50:146, 40:136] += 30
    assert measured(source, edge) > 4


@pytest.mark.parametrize("off", [(1, -2, 0), (9, 4, -14), (-12, -13, 26)])
def test_an_edge_is_found_where_another_tool_has_put_it(off: tuple[int, int, int]) -> None:
    source = grainy()
    left, top, side = (a + b for a, b in zip(PLACE, off, strict=True))
    edge = source.copy()
    edge[top : top + side, left : left + side] += 30
    assert measured(source, edge) > 4


def test_a_fade_is_no_edge() -> None:
    source = grainy()
    ramp = np.minimum(np.arange(96), 95 - np.arange(96)) / 24
    fade = np.minimum(np.minimum(ramp[:, None], ramp), 1) * 30
    faded = source.astype(float)
    faded[50:146, 40:136] += fade
    assert 0.9 < measured(source, np.rint(faded).astype(np.uint8)) < 1.2


def test_a_blurred_square_is_less_than_its_source() -> None:
    source, blur = grainy(), grainy()
    blur[10:186, 5:186] = 120
    assert measured(source, blur) < 0.3


def test_flat_pictures_are_alike() -> None:
    flat = np.full((288, 192), 120, np.uint8)
    assert measured(flat, flat) == 1
    edge = flat.copy()
    edge[50:146, 40:136] += 10
    assert measured(flat, edge) == 20  # a step of 10 where there was none to be seen


def test_a_square_that_reaches_outside_is_measured_as_far_as_it_goes() -> None:
    source, edge = grainy(), grainy()
    edge[:70, 150:] += 30
    assert measured(source, source, (150, -20, 90)) == 1
    assert measured(source, edge, (150, -20, 90)) > 2


def test_frames_count_alike_whatever_the_size_of_their_squares() -> None:
    source, edge = grainy(), grainy()
    edge[50:146, 40:136] += 30
    meter = SeamMeter()
    assert meter.value() is None
    meter.add(source, edge, PLACE)
    meter.add(source, source, PLACE)  # half the frames of that size show it half as much
    first = meter.value()
    for _ in range(2):
        meter.add(source, source, (30, 40, 64))
    assert meter.value() == pytest.approx((first + 1) / 2)
    assert SeamMeter().value() is None  # no two meters share their sums


@pytest.mark.parametrize("clip", ["test/s32/bbac1n.mpg", "test/s33/bbac1s.mpg"])
def test_a_box_shows_on_a_real_face_and_the_blend_does_not(grid_dir: Path, clip: str) -> None:
    frames = [frame.copy() for frame in islice(read_frames(probe(grid_dir / clip)), 8)]
    boxes = one_person(find_tracks(frames, HogDetector()))[:, :4]
    places = [faces.region(square) for square in faces.squares(boxes, 25)]
    found = {}
    for blend in Blend:
        meter = SeamMeter()
        for frame, place in zip(frames, places, strict=True):
            original = crop(frame, place)
            # A network's face is softer than its source, and its light a little off.
            rows = original.astype(int)
            soft = (rows + np.roll(rows, 1, 0) + np.roll(rows, 1, 1)) // 3 + 6
            result = frame.copy()
            paste(result, place, soft.clip(0, 255).astype(np.uint8), original, blend)
            meter.add(frame, result, place)
        found[blend] = meter.value()
    assert found[Blend.NONE] > 1.2
    assert 0.9 < found[Blend.FEATHER] < 1.12
