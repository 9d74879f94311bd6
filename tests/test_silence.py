"""In silence the mouth of a result is as closed as the recording's own, by dlib's 68 points."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from lipgan_cli import SyncOptions, sync
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.landmarks import INNER_LIPS, Landmarks, installed_landmarks
from lipgan_cli.engine.media.people import one_person
from lipgan_cli.engine.media.picture import luma
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.media.voice import activity

EYES = (slice(36, 42), slice(42, 48))
PAIRS = ((1, 7), (2, 6), (3, 5))  # upper and lower points of the inner lips
SHARP = 0.02
"""Openings below are alike: a pixel of GRID's frames."""


@pytest.fixture(scope="module")
def landmarks() -> Landmarks:
    found = installed_landmarks()
    if found is None:
        pytest.skip("dlib's 68 points are not installed: the extra faces")
    return found


def openings(path: Path, landmarks: Landmarks) -> np.ndarray:
    """Return how far the lips are apart in each frame of a film, in distances of the eyes."""
    frames = list(read_frames(probe(path)))
    boxes = one_person(find_tracks(frames, HogDetector()))
    out = []
    for frame, (left, top, right, bottom, _) in zip(frames, boxes, strict=True):
        points = landmarks.points(luma(frame), (left, top, right, bottom))
        lips = points[INNER_LIPS]
        eyes = np.linalg.norm(points[EYES[0]].mean(axis=0) - points[EYES[1]].mean(axis=0))
        out.append(np.mean([np.linalg.norm(lips[a] - lips[b]) for a, b in PAIRS]) / eyes)
    return np.array(out)


def write_wav(path: Path, sound: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("clip", ["s1/bbas1s.mpg", "s32/bbac1n.mpg"])
@pytest.mark.parametrize("sound", ["pauses", "room", "nothing"])
def test_the_mouth_closes_where_nobody_speaks(
    data_dir: Path, tmp_path: Path, landmarks: Landmarks, clip: str, sound: str
) -> None:
    face = data_dir / "grid" / "test" / clip
    own = openings(face, landmarks)
    info = probe(face)
    spoken = activity(read_audio(face, info.start))
    columns = np.minimum((np.arange(len(own)) / 25 * 80).astype(int), len(spoken) - 1)
    closed = max(SHARP, float(np.median(own[spoken[columns] == 0])))
    assert np.percentile(own, 90) > 2 * closed  # the recording does open its mouth

    speech = {
        "pauses": lambda: read_audio(data_dir / "speech" / "jfk.flac")[: 6 * 16000],
        "room": lambda: read_audio(data_dir / "speech" / "picovoice_silence.wav")[:32000],
        "nothing": lambda: np.zeros(32000, np.float32),
    }[sound]()
    made = sync(
        SyncOptions(
            face=face,
            speech=write_wav(tmp_path / "speech.wav", speech),
            output=tmp_path / "out.mkv",
            codec="ffv1",
            cache=False,
        )
    )
    if sound != "pauses":
        assert made.silence == ((0.0, 2.0),)
    result = openings(made.output, landmarks)
    times = np.arange(len(result)) / 25
    silent = np.zeros(len(result), bool)
    for first, last in made.silence:
        silent |= (times >= first) & (times < last)
    assert silent.sum() > 15
    assert result[silent].mean() <= 1.2 * closed
    if sound == "pauses":
        assert np.percentile(result[~silent], 90) > 1.5 * result[silent].mean()
