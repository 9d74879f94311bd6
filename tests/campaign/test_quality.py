"""What is seen of a message as it is painted, kept with its pieces, and told at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipgan_cli.engine.cache import Cache
from lipgan_cli.engine.campaign import quality
from lipgan_cli.engine.campaign.quality import (
    HELD,
    MOMENTS_APART,
    SEAM_APART,
    Evidence,
    Quality,
    Witness,
    assess,
)
from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.audio import mel_spectrogram, read_audio
from lipgan_cli.engine.media.film import Film
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.media.picture import to_rgb
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.metrics.artefacts import SeamMeter
from lipgan_cli.engine.metrics.film_sync import judge_film, sound_of, watch
from lipgan_cli.engine.metrics.judge import Judge, load_judge
from lipgan_cli.engine.metrics.lipsync import Windows, embed_mel, embed_mouths, mouth, windows
from lipgan_cli.engine.metrics.scene import Scene, look
from lipgan_cli.engine.progress import Silent

RATE = 16000
SQUARE = (100.0, 90.0, 120.0, 0.0)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


def film_of(squares: np.ndarray) -> Film:
    runs = np.where(np.isnan(squares[:, 0]), -1, 0)
    return Film(squares, np.ones(len(squares)), runs, (), np.zeros(0, np.int64))


def steady(frames: int = 1, square: tuple[float, ...] = SQUARE) -> Film:
    """Return a film with a face that never moves."""
    return film_of(np.tile(np.array(square), (frames, 1)))


def picture(number: int, height: int = 200, width: int = 240) -> np.ndarray:
    """Return an I420 frame of grey blobs that differ from frame to frame."""
    coarse = np.random.default_rng(number).integers(30, 220, (10, 12), dtype=np.uint8)
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    frame[:height] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return frame


def watched(judge: Judge, times: np.ndarray, film: Film | None = None) -> Evidence:
    """Return what is seen of pictures at these times; picture k is of place k."""
    witness = Witness(film or steady(len(times)), judge)
    for place, seconds in enumerate(times.tolist()):
        witness.see(place, None, picture(place), seconds)
    return witness.evidence()


def expected(judge: Judge, times: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every second moment, and what the judge makes of it, as `lipgan score` would."""
    laid = windows(times)
    laid = Windows(laid.times[::MOMENTS_APART], laid.faces[::MOMENTS_APART])
    mouths = [mouth(faces.cut(to_rgb(picture(int(k))), np.array(SQUARE))) for k in places]
    return laid.times, embed_mouths(judge, mouths, laid)


# What is seen


def test_mouths_are_those_that_the_score_sees(judge: Judge) -> None:
    times = np.arange(30) / 25
    seen = watched(judge, times)
    moments, vectors = expected(judge, times, np.arange(30))
    np.testing.assert_allclose(moments, np.arange(2, 28, 2) / 25)
    np.testing.assert_array_equal(seen.times, moments)
    np.testing.assert_allclose(seen.seen, vectors, atol=0.02)  # of a little more contrast
    assert (seen.frames, seen.without_face, seen.measured) == (30, 0, 0)


@pytest.mark.parametrize("fps", [Fraction(12), Fraction(30000, 1001), Fraction(60)])
def test_a_film_of_any_rate_is_seen_25_times_a_second(judge: Judge, fps: Fraction) -> None:
    times = np.arange(round(2 * fps)) / float(fps)
    seen = watched(judge, times)
    np.testing.assert_allclose(np.diff(seen.times), MOMENTS_APART / 25)
    assert 22 <= len(seen.times) <= 25
    np.testing.assert_allclose(
        seen.seen, expected(judge, times, np.arange(len(times)))[1], atol=0.02
    )


def test_a_varying_clock_is_followed(judge: Judge) -> None:
    times = np.cumsum(np.random.default_rng(5).uniform(0.01, 0.06, 60))
    seen = watched(judge, times)
    moments, vectors = expected(judge, times, np.arange(60))
    assert len(moments) > 5
    np.testing.assert_array_equal(seen.times, moments)
    np.testing.assert_allclose(seen.seen, vectors, atol=0.02)


def test_frames_without_a_face_are_counted_and_not_seen(judge: Judge) -> None:
    squares = np.tile(np.array(SQUARE), (40, 1))
    squares[[0, 17, 18]] = np.nan
    there = np.setdiff1d(np.arange(40), [0, 17, 18])
    seen = watched(judge, np.arange(40) / 25, film_of(squares))
    assert (seen.frames, seen.without_face) == (40, 3)
    moments, vectors = expected(judge, there / 25, there)
    np.testing.assert_array_equal(seen.times, moments)
    np.testing.assert_allclose(seen.seen, vectors, atol=0.02)


def test_a_piece_of_nobody_is_none(judge: Judge) -> None:
    seen = watched(judge, np.arange(15) / 25, film_of(np.full((15, 4), np.nan)))
    assert seen.seen.shape == (0, 128)
    assert (seen.frames, seen.without_face) == (15, 15)
    none = Quality(None, None, None, 15, -23.0)
    assert assess([(0.0, seen)], voice(1.0), judge, -23.0) == none
    assert assess([], voice(1.0), judge, None) == Quality(None, None, None, 0, None)


def test_a_leaning_face_is_seen_upright(judge: Judge) -> None:
    upright = picture(1)[:200]
    turn = cv2.getRotationMatrix2D((100.0, 90.0), 25.0, 1.0)  # counterclockwise
    leaning = np.full((300, 240), 128, np.uint8)
    leaning[:200] = cv2.warpAffine(upright, turn, (240, 200), flags=cv2.INTER_CUBIC)
    shown = []
    for frame, roll in ((picture(1), 0.0), (leaning, 25.0), (leaning, 0.0)):
        canvas, place = quality._upright(frame, np.array([100.0, 90.0, 80.0, roll]))
        shown.append(quality._mouth(canvas, place).astype(float))
    assert np.abs(shown[1] - shown[0]).mean() < 4
    assert np.abs(shown[2] - shown[0]).mean() > 12


def test_a_frame_may_be_changed_once_it_was_seen(judge: Judge) -> None:
    witness, frame = Witness(steady(), judge), np.empty((300, 240), np.uint8)
    for number in range(12):
        frame[:] = picture(number)
        witness.see(0, frame.copy(), frame, number / 25)
    np.testing.assert_array_equal(witness.evidence().seen, watched(judge, np.arange(12) / 25).seen)


def test_a_long_piece_is_judged_as_it_comes(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.arange(100) / 25
    whole = watched(judge, times)
    monkeypatch.setattr(quality, "HELD", 16)
    witness, most = Witness(steady(100), judge), 0
    for place, seconds in enumerate(times.tolist()):
        witness.see(place, None, picture(place), seconds)
        most = max(most, len(witness._mouths))
    pieces = witness.evidence()
    assert most < 16
    np.testing.assert_allclose(pieces.times, whole.times)
    np.testing.assert_allclose(pieces.seen, whole.seen, atol=1e-5)


def test_faces_that_make_no_window_do_not_pile_up(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two faces 40 ms from each other, then nobody for a second: no five follow each other.
    monkeypatch.setattr(quality, "HELD", 16)
    witness, asked = Witness(steady(), judge), []
    monkeypatch.setattr(
        quality, "windows", lambda times: asked.append(len(times)) or windows(times)
    )
    for number in range(64):
        witness.see(0, None, picture(number), number // 2 + 0.04 * (number % 2))
    assert len(witness.evidence().seen) == 0
    assert asked == [16] * 4 + [0]  # no mouth is asked about again and again


def test_mouths_that_wait_are_few() -> None:
    assert HELD * 48 * 96 < 2 << 20
    assert HELD / 60 > 3 * 5 / 25  # windows fit in even at 60 frames a second


# The seam


def grainy(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(120, 5, (288, 192)).clip(0, 255).astype(np.uint8)


def with_edge(frame: np.ndarray) -> np.ndarray:
    """Return the frame with a face's square, 96 pixels at 40, 50, that is lighter."""
    painted = frame.copy()
    painted[50:146, 40:136] += 30
    return painted


def seam_of(judge: Judge, frames: list[tuple[np.ndarray | None, np.ndarray]]) -> Evidence:
    witness = Witness(steady(1, (88.0, 98.0, 96.0, 0.0)), judge)
    for number, (source, finished) in enumerate(frames):
        witness.see(0, source, finished, number / 25)
    return witness.evidence()


def test_the_seam_is_that_of_every_tenth_frame(judge: Judge) -> None:
    clean, edge = grainy(), with_edge(grainy())
    assert [n for n in range(40) if Witness.wants_source(n)] == [0, 10, 20, 30]
    # What is painted on frames in between is not looked at, whether their source is there or not.
    seen = seam_of(judge, [(clean, clean if n % SEAM_APART == 0 else edge) for n in range(25)])
    assert (seen.measured, seen.seams) == (3, 3.0)
    meter = SeamMeter()
    meter.add(clean, edge, (40, 50, 96))
    seen = seam_of(judge, [(clean if n % SEAM_APART == 0 else None, edge) for n in range(25)])
    assert (seen.measured, seen.seams) == (3, pytest.approx(3 * (meter.value() or 0)))
    assert seen.seams > 3 * 4
    assert assess([(0.0, seen)], voice(1.0), judge, None).seam == meter.value()


def test_frames_of_all_pieces_count_alike(judge: Judge) -> None:
    clean, edge = grainy(), with_edge(grainy())
    bad = seam_of(judge, [(clean, edge)])
    good = seam_of(judge, [(clean, clean)] * 25)  # three are measured
    told = assess([(0.0, bad), (0.04, good)], voice(1.04), judge, None)
    assert told.seam == pytest.approx((bad.seams + 3) / 4)
    unknown = seam_of(judge, [(None, edge)])
    assert assess([(0.0, unknown)], voice(1.0), judge, None).seam is None
    assert assess([(0.0, unknown), (0.0, bad)], voice(1.0), judge, None).seam == bad.seams


def test_the_seam_of_a_leaning_face_lies_along_its_own_sides(judge: Judge) -> None:
    turn = cv2.getRotationMatrix2D((96.0, 96.0), 30.0, 1.0)
    square = np.zeros((192, 192), np.uint8)
    square[56:136, 56:136] = 30
    clean = cv2.GaussianBlur(grainy(), (0, 0), 1.0)
    finished = clean.copy()
    finished[:192] += cv2.warpAffine(square, turn, (192, 192))
    found = []
    for roll in (30.0, 0.0):
        witness = Witness(steady(1, (96.0, 96.0, 80.0, roll)), judge)
        witness.see(0, clean, finished, 0.0)
        found.append(witness.evidence().seams)
    assert found[0] > 2 * found[1] > 2


# What is kept


def test_evidence_is_kept_as_arrays(judge: Judge, tmp_path: Path) -> None:
    seen = replace(watched(judge, np.arange(30) / 25), seams=3.25, measured=3, without_face=2)
    cache = Cache(tmp_path, 1 << 20)
    assert cache.put({"piece": 1}, seen.to_arrays() | {"other": np.zeros(3)})
    kept = Evidence.from_arrays(cache.get({"piece": 1}) or {})
    assert (kept.frames, kept.without_face, kept.measured) == (30, 2, 3)
    assert kept.seams == 3.25
    for one, other in ((kept.seen, seen.seen), (kept.times, seen.times)):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert sum(array.nbytes for array in kept.to_arrays().values()) < 10_000  # of 1.2 s


# What is told


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Return noise whose colour changes every 50 ms, so that no moment is like another."""
    random = np.random.default_rng(seed)
    out = []
    for _ in range(round(seconds * 20)):
        hiss = random.normal(0, 0.1, RATE // 20)
        out.append(np.convolve(hiss, random.normal(0, 1, random.integers(2, 30)), "same"))
    return np.concatenate(out).astype(np.float32) * np.float32(0.3)


def agreeing(judge: Judge, samples: np.ndarray, late_columns: int = 0) -> Evidence:
    """Return what a judge would see of mouths that say just this sound."""
    times = np.arange(2, round(len(samples) / RATE * 25) - 4, MOMENTS_APART) / 25
    heard = embed_mel(judge, mel_spectrogram(levelled(samples)))
    centred = np.floor(80 * times + 0.5).astype(int)
    return Evidence(heard[centred + late_columns], times, round(times[-1] * 25) + 3, 0, 0.0, 0)


@pytest.mark.parametrize("late", [-2, 0, 8])
def test_the_offset_is_by_how_much_the_sound_is_late(judge: Judge, late: int) -> None:
    samples = voice(4.0)
    told = assess([(0.0, agreeing(judge, samples, late))], samples, judge, -16.0)
    assert told.offset_ms == pytest.approx(late * 12.5, abs=3)
    assert told.confidence is not None
    assert told.confidence > 0.05
    assert told.loudness_lufs == -16.0
    assert told.in_sync(0.05) is (abs(late * 12.5) < 40)
    assert told.in_sync(0.05, late_ms=late * 12.5)


def part(seen: Evidence, first: float, last: float) -> Evidence:
    """Return what was seen between two times, as of a piece of its own."""
    there = (seen.times >= first) & (seen.times < last)
    return replace(seen, seen=seen.seen[there], times=seen.times[there] - first, frames=1)


@given(
    cuts=st.lists(st.floats(0.1, 3.9), max_size=4),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=15)
def test_pieces_are_one_message_wherever_it_is_cut(cuts: list[float], order: Random) -> None:
    judge, samples, seen, whole = _message()
    pieces = [(first, part(seen, first, last)) for first, last in pairwise([0, *sorted(cuts), 4])]
    order.shuffle(pieces)
    told = assess(pieces, samples, judge, None)
    assert told.offset_ms == pytest.approx(whole.offset_ms, abs=2)
    assert told.confidence == pytest.approx(whole.confidence, abs=0.01)


@cache
def _message() -> tuple[Judge, np.ndarray, Evidence, Quality]:
    judge, samples = load_judge(), voice(4.0)
    seen = agreeing(judge, samples, 3)
    return judge, samples, seen, assess([(0.0, seen)], samples, judge, None)


def test_nothing_is_said_of_too_little_or_of_silence(judge: Judge) -> None:
    samples = voice(4.0)
    seen = agreeing(judge, samples)
    short = assess([(0.0, part(seen, 0.0, 2.0))], samples, judge, -20.0)
    assert (short.offset_ms, short.confidence, short.in_sync(0.0)) == (None, None, None)
    enough = assess([(0.0, part(seen, 0.0, 2.04))], samples, judge, -20.0)
    assert enough.confidence is not None
    silent = assess([(0.0, seen)], np.zeros(4 * RATE, np.float32), judge, None)
    assert silent == Quality(None, None, None, 0, None)


def test_loudness_changes_nothing_of_the_rest(judge: Judge) -> None:
    samples = voice(4.0)
    seen = agreeing(judge, samples)
    told, quieter = (assess([(0.0, seen)], samples * gain, judge, None) for gain in (1, 0.3))
    assert quieter.confidence == pytest.approx(told.confidence, abs=1e-3)


def test_who_is_in_sync() -> None:
    good = Quality(-39.0, 0.2, 1.0, 0, -23.0)
    assert good.in_sync(0.2) is True
    assert good.in_sync(0.21) is False
    assert replace(good, offset_ms=41.0).in_sync(0.2) is False
    assert replace(good, offset_ms=141.0).in_sync(0.2, late_ms=120.0) is True
    assert replace(good, offset_ms=None, confidence=None).in_sync(0.0) is None


# Real clips


@dataclass(frozen=True, eq=False)
class Clip:
    """A real clip, what was seen of it whole and in two parts, and its sound."""

    scene: Scene
    whole: Evidence
    parts: list[tuple[float, Evidence]]
    samples: np.ndarray


@pytest.fixture(scope="module")
def clip(grid_dir: Path, judge: Judge) -> Clip:
    info = probe(grid_dir / "test" / "s1" / "bbas1s.mpg")
    scene = look(info, Silent())
    film = film_of(np.column_stack([scene.squares, np.zeros(info.frames)]))
    spans = [(0, info.frames), (0, 31), (31, info.frames)]
    witnesses = [Witness(film, judge) for _ in spans]
    for place, frame in enumerate(read_frames(info)):
        for (first, last), witness in zip(spans, witnesses, strict=True):
            if first <= place < last:
                witness.see(place, frame, frame, (place - first) / 25)
    whole, *parts = (witness.evidence() for witness in witnesses)
    begins = [first / 25 for first, _ in spans[1:]]
    samples = read_audio(info.path, origin=info.start, seconds=info.duration)
    return Clip(scene, whole, list(zip(begins, parts, strict=True)), samples)


def test_a_real_clip_has_the_figures_of_the_score(clip: Clip, judge: Judge) -> None:
    info = clip.scene.info
    scored = judge_film(watch(judge, clip.scene, info, sound_of(info), None, Silent()))["own"]
    told = assess([(0.0, clip.whole)], clip.samples, judge, None)
    assert told.offset_ms == pytest.approx(scored.offset_ms, abs=20)
    assert told.confidence == pytest.approx(scored.confidence, abs=0.02)
    assert told.seam == 1
    assert told.in_sync(0.3)
    # Its two parts, put together again, lose two windows.
    joined = assess(clip.parts, clip.samples, judge, None)
    assert joined.offset_ms == pytest.approx(told.offset_ms, abs=10)
    assert joined.confidence == pytest.approx(told.confidence, abs=0.02)
    assert joined.seam == 1


def test_a_sound_that_is_late_or_another_is_told(clip: Clip, judge: Judge, grid_dir: Path) -> None:
    own = assess([(0.0, clip.whole)], clip.samples, judge, None)
    late = np.concatenate([np.zeros(RATE // 5, np.float32), clip.samples])
    told = assess([(0.0, clip.whole)], late, judge, None)
    assert told.offset_ms == pytest.approx((own.offset_ms or 0) + 200, abs=20)
    assert told.in_sync(0.2) is False
    other = read_audio(grid_dir / "test" / "s1" / "sbbh2n.mpg")
    swapped = assess([(0.0, clip.whole)], other, judge, None)
    assert (swapped.confidence or 0) < (own.confidence or 0) / 2
