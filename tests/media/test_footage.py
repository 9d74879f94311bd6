"""Footage: parts of a recording, and frames of it that are kept in memory."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.media import footage as module
from lipgan_cli.engine.media.footage import Footage, open_footage
from lipgan_cli.engine.media.picture import Frame, luma

FRAME_BYTES = 64 * 48 * 3 // 2
RATE = 16000


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames at 25 fps whose greys are their numbers, and a click at 0.8 s."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("flac", rate=RATE, layout="mono")
        for number in range(40):
            planes = np.full((72, 64), 128, np.uint8)
            planes[:48] = 20 + number
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        samples = np.zeros((1, round(1.6 * RATE)), np.int16)
        samples[0, round(0.8 * RATE) :][:100] = 20000
        for first in range(0, samples.shape[1], 4096):
            block = np.ascontiguousarray(samples[:, first : first + 4096])
            piece = av.AudioFrame.from_ndarray(block, "s16", "mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, first, Fraction(1, RATE)
            container.mux(sound.encode(piece))
        container.mux(sound.encode())
    return path


def number_of(frame: Frame | None) -> int | None:
    return None if frame is None else int(luma(frame)[0, 0]) - 20


def read(footage: Footage, first: int, count: int) -> list[int | None]:
    frames = footage.read(first)
    return [number_of(next(frames)) for _ in range(count)]


@pytest.mark.parametrize("held", [0, 1, 7, 20, 100])
def test_frames_are_the_same_whether_they_are_held_or_read(clip: Path, held: int) -> None:
    footage = open_footage(clip, Fraction(2, 5), Fraction(6, 5)).hold(held * FRAME_BYTES)
    assert footage.clock.frames == 20
    assert len(footage.held) == min(held, 20)
    for first in (0, 5, 7, 19):
        assert read(footage, first, 20 - first) == list(range(10 + first, 30))
    assert read(footage, 15, 10) == list(range(25, 35))  # behind the part, too
    for place in range(20):
        found = footage.held_frame(place)
        assert number_of(found) == (10 + place if place < held else None)


def test_who_needs_held_frames_alone_does_not_open_the_file(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    footage = open_footage(clip, None, None).hold(10 * FRAME_BYTES)
    monkeypatch.setattr(module, "read_frames", None)
    assert read(footage, 3, 7) == list(range(3, 10))


@pytest.mark.parametrize("held", [0, 12, 100])
def test_a_part_of_a_part_has_its_own_frames_time_and_sound(clip: Path, held: int) -> None:
    footage = open_footage(clip, Fraction(2, 5), None).hold(held * FRAME_BYTES)
    part = footage.part(6, 16)
    assert (part.clock.frames, part.clock.duration) == (10, Fraction(2, 5))
    assert read(part, 0, 10) == list(range(16, 26))
    assert number_of(part.held_frame(2)) == (18 if held > 8 else None)
    assert part.begins == pytest.approx(0.64)
    sound = part.sound(0.4)
    assert sound is not None
    assert len(sound) == round(0.4 * RATE)
    assert np.argmax(np.abs(sound) > 0.3) / RATE == pytest.approx(0.16, abs=0.001)


def test_a_part_shares_its_frames(clip: Path) -> None:
    footage = open_footage(clip, None, None).hold(10 * FRAME_BYTES)
    part = footage.part(4, 12)
    assert part.held_frame(0) is footage.held_frame(4)


def test_a_photo_is_held_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(path)
    footage: Any = open_footage(path, None, None)
    assert footage.hold(1) is footage
    assert footage.held_frame(0) is footage.photo
    assert footage.part(0, 1).photo is footage.photo
