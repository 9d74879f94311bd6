"""What a first run found is found again, and never where anything differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine import cache
from lipgan_cli.engine.cache import open_cache
from lipgan_cli.engine.media.choices import Detector
from lipgan_cli.engine.media.detectors import Face, HogDetector
from lipgan_cli.engine.sync import SyncOptions, survey
from lipgan_cli.engine.sync.outlook import foresee

pytestmark = pytest.mark.usefixtures("network", "talking")


class Counting:
    """Counts the pictures that are looked at."""

    sizes = HogDetector.sizes

    def __init__(self, detector: HogDetector) -> None:
        self._detector, self.looks = detector, 0

    def detect(self, luma: np.ndarray, longest: int) -> list[Face]:
        self.looks += 1
        return self._detector.detect(luma, longest)


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counting:
    """The one detector, whichever was asked for."""
    weights = tmp_path / "mmod.dat"
    weights.write_bytes(b"weights")
    counting = Counting(survey.HogDetector())
    monkeypatch.setattr(survey, "_detector", lambda choice: counting)
    monkeypatch.setattr(survey, "_mmod", lambda: weights)
    return counting


def looks(studio: Any, counting: Counting, film: Path, speech: Path, **options: Any) -> int:
    """Return how many pictures a run looks at."""
    before = counting.looks
    summary = studio.sync(film, speech, force=True, **options)
    assert summary.cached == (counting.looks == before)
    return counting.looks - before


def test_a_second_run_looks_at_nothing_and_makes_the_same(
    studio: Any, network: Any, detector: Counting, rendered: list[np.ndarray]
) -> None:
    network.paint = lambda target: 255 - target
    film = studio.film(
        "face.mp4", (studio.scene(k, face=k not in range(20, 40)) for k in range(60))
    )
    speech = studio.wav("speech.wav", 2.4)
    first = studio.sync(film, speech)
    assert not first.cached
    mine = rendered.copy()
    rendered.clear()
    detector.detect = None  # type: ignore[method-assign,assignment]
    again = studio.sync(film, speech, force=True)
    assert again.cached
    assert all(np.array_equal(one, other) for one, other in zip(mine, rendered, strict=True))
    same = ("frames", "face_pixels", "people", "cuts", "without_face", "repeated", "seconds")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
    assert again.cuts == (0.8,)
    assert again.without_face == ((0.8, 1.6),)


@pytest.mark.usefixtures("rendered")
def test_other_speech_and_other_ways_to_write_are_no_reason_to_look_again(
    studio: Any, detector: Counting
) -> None:
    film = studio.film("face.mp4", studio.scenes(30))
    assert looks(studio, detector, film, studio.wav("one.wav", 1.0)) > 0
    other = studio.wav("two.wav", 0.6)
    assert looks(studio, detector, film, other) == 0
    assert looks(studio, detector, film, studio.wav("three.wav", 4.0)) == 0
    assert looks(studio, detector, film, other, fit="loop", crf=30, av_offset_ms=40.0) == 0
    copied = studio.folder / "a copy.mp4"
    copied.write_bytes(film.read_bytes())
    assert looks(studio, detector, copied, other) == 0


@pytest.mark.usefixtures("rendered")
def test_whatever_the_faces_depend_on_is_looked_at_again(studio: Any, detector: Counting) -> None:
    film = studio.film("face.mp4", studio.scenes(30))
    speech = studio.wav("speech.wav", 1.0)
    assert looks(studio, detector, film, speech) > 0
    assert looks(studio, detector, film, speech) == 0
    # Whoever speaks, the faces are known.
    assert looks(studio, detector, film, speech, person="left") == 0
    for weights in (b"weights", b"other weights"):
        (studio.folder / "mmod.dat").write_bytes(weights)
        assert looks(studio, detector, film, speech, detector=Detector.MMOD) > 0
        assert looks(studio, detector, film, speech, detector=Detector.MMOD) == 0
    assert looks(studio, detector, film, speech, start=0.2) > 0
    assert looks(studio, detector, film, speech, end=0.8) > 0
    assert looks(studio, detector, film, speech, cache=False) > 0
    assert looks(studio, detector, film, speech) == 0
    # Another film under the same name and from the same time.
    time = film.stat().st_mtime
    film.write_bytes(studio.film("other.mp4", map(studio.scene, range(1, 31))).read_bytes())
    os.utime(film, (time, time))
    assert looks(studio, detector, film, speech) > 0


@pytest.mark.usefixtures("rendered")
def test_another_release_finds_its_own(
    studio: Any, detector: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(20)), studio.wav("speech.wav", 0.8)
    assert looks(studio, detector, film, speech) > 0
    monkeypatch.setattr(cache, "__version__", "99.0")
    assert looks(studio, detector, film, speech) > 0
    monkeypatch.setattr(survey, "VERSION", 99)
    assert looks(studio, detector, film, speech) > 0


@pytest.mark.usefixtures("rendered")
def test_a_longer_film_is_searched_as_far_as_it_is_shown(studio: Any, detector: Counting) -> None:
    """In pieces of ten seconds: at 5 fps these are 50 frames."""
    film = studio.film("face.mp4", studio.scenes(80), 5)
    short = looks(studio, detector, film, studio.wav("one.wav", 2.0))
    assert looks(studio, detector, film, studio.wav("two.wav", 9.0)) == 0
    assert looks(studio, detector, film, studio.wav("three.wav", 12.0)) > short
    assert looks(studio, detector, film, studio.wav("four.wav", 30.0)) == 0
    assert looks(studio, detector, film, studio.wav("five.wav", 2.0), start=1.0) == short


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_entry_is_made_anew(studio: Any, detector: Counting, damage: str) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(20)), studio.wav("speech.wav", 0.8)
    looks(studio, detector, film, speech)
    entries = list(open_cache().folder.glob("*.npz"))
    assert len(entries) == 2  # all faces, and who speaks
    for entry in entries:
        data = bytearray(entry.read_bytes())
        if damage == "flipped":
            data[len(data) // 2] ^= 255
        entry.write_bytes({"cut": data[:-200], "emptied": b""}.get(damage, data))
    assert looks(studio, detector, film, speech) > 0
    assert looks(studio, detector, film, speech) == 0


@pytest.mark.usefixtures("rendered")
def test_photos_and_runs_without_a_cache_keep_nothing(studio: Any, detector: Counting) -> None:
    photo = studio.folder / "photo.png"
    Image.fromarray(studio.scene(0)).save(photo)
    speech = studio.wav("speech.wav", 0.4)
    looks(studio, detector, photo, speech)
    looks(studio, detector, studio.film("face.mp4", studio.scenes(10)), speech, cache=False)
    assert open_cache().usage().entries == 0


@pytest.mark.usefixtures("rendered")
def test_a_cache_that_cannot_be_written_is_no_error(
    studio: Any, detector: Counting, home: Path
) -> None:
    folder = open_cache().folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file where the folder should be")
    film, speech = studio.film("face.mp4", studio.scenes(10)), studio.wav("speech.wav", 0.4)
    assert looks(studio, detector, film, speech) > 0
    assert looks(studio, detector, film, speech) > 0


@pytest.mark.usefixtures("rendered")
def test_a_check_leaves_to_the_run_what_it_found(studio: Any, detector: Counting) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(20)), studio.wav("speech.wav", 0.8)
    options = SyncOptions(film, speech, studio.out(), force=True)
    for first in (True, False):
        before = detector.looks
        assert len(foresee(options).faces) == 1
        assert (detector.looks > before) == first
    for person in ("largest", "1"):
        assert looks(studio, detector, film, speech, person=person) == 0


RUN = """
import sys
import numpy as np
from lipgan_cli.engine import sync as engine
from lipgan_cli.engine.sync import presenter

class Mirror:
    def faces(self, reference, target, windows, keys=None):
        return target

presenter._network = lambda *given: Mirror()
for _ in range(2):
    made = engine.sync(engine.SyncOptions(*sys.argv[1:4], force=True))
    assert made.frames == 20, made
print(made.cached)
"""


def test_two_runs_at_once_share_a_cache(studio: Any) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(20)), studio.wav("speech.wav", 0.8)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(film), str(speech), str(studio.folder / f"{k}.mp4")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    for run in runs:
        said, complaints = run.communicate(timeout=120)
        assert (run.returncode, said, complaints) == (0, "True\n", "")
    assert open_cache().usage().entries == 2  # all faces, and who speaks
    one, other = (studio.source(studio.folder / f"{k}.mp4") for k in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
