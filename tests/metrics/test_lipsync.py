"""Windows of mouths, offsets and their signs, confidence: with vectors whose cosines are known."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media.audio import mel_spectrogram
from lipgan_cli.engine.metrics import lipsync
from lipgan_cli.engine.metrics.judge import HEARD, Judge
from lipgan_cli.engine.metrics.lipsync import (
    FEWEST,
    REACH,
    Embedded,
    SyncFigures,
    Windows,
    agreement,
    area_under_curve,
    embed,
    embed_mel,
    embed_mouths,
    joint,
    likeness,
    mouth,
    stretch,
    verdict,
    windows,
)


@pytest.fixture(scope="module")
def judge():
    torch.manual_seed(3)
    return Judge().requires_grad_(False).eval()


# Windows of five faces


def test_at_25_fps_a_window_is_five_frames_that_follow_each_other():
    laid = windows(1 + np.arange(10) / 25)
    np.testing.assert_allclose(laid.times, 1 + np.arange(2, 8) / 25)
    assert laid.faces.tolist() == [list(range(i - 2, i + 3)) for i in range(2, 8)]
    # Column c is at c / 80 seconds: 1.08 s is column 86.4.
    assert laid.columns.tolist() == [86, 90, 93, 96, 99, 102]


def test_at_50_fps_every_other_frame_is_seen():
    laid = windows(np.arange(20) / 50)
    np.testing.assert_allclose(laid.times, np.arange(2, 9) / 25)
    # The last film frame is at 0.38 s, half a step before the last window's end.
    expected = [[2 * j - 4, 2 * j - 2, 2 * j, 2 * j + 2, 2 * j + 4] for j in range(2, 8)]
    assert laid.faces.tolist() == [*expected, [12, 14, 16, 18, 19]]


def test_at_24_fps_the_nearest_frames_are_seen():
    laid = windows(np.arange(48) / 24)
    # Moments are at 0.08, 0.12 ..., frame k at k / 24 s: frame 12, at 0.5 s, is nearest to two.
    assert laid.faces[0].tolist() == [0, 1, 2, 3, 4]
    assert laid.faces[8].tolist() == [8, 9, 10, 11, 12]  # 0.32 0.36 0.4 0.44 0.48
    assert laid.faces[12].tolist() == [12, 12, 13, 14, 15]  # 0.48 0.52 0.56 0.6 0.64
    np.testing.assert_allclose(laid.times, np.arange(2, 2 + len(laid.times)) / 25)
    assert laid.times[-1] == pytest.approx(1.88)  # its last face is wanted at 1.96, and is at 1.958


def test_a_slow_film_shows_faces_again():
    laid = windows(np.arange(12) / 12)
    # 0.04 s: faces wanted at -0.04, 0, 0.04, 0.08, 0.12; frames are at 0, 0.083, 0.167 ...
    assert laid.times[0] == pytest.approx(0.04)
    assert laid.faces[0].tolist() == [0, 0, 0, 1, 1]
    assert laid.faces[1].tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("fps", [12, 15, 23.976, 24, 25, 29.97, 30, 50, 59.94, 120])
def test_windows_of_any_rate_show_what_is_nearest(fps):
    times = 0.3 + np.arange(round(3 * fps)) / fps
    laid = windows(times)
    assert 68 <= len(laid.times) <= 74
    np.testing.assert_allclose(np.diff(laid.times), 1 / 25)
    wanted = laid.times[:, None] + np.arange(-2, 3) / 25
    apart = np.abs(times[laid.faces] - wanted)
    np.testing.assert_allclose(apart, np.abs(times - wanted[..., None]).min(2), atol=1e-9)
    assert apart.max() <= max(1 / 25, 1 / fps) / 2 + 1e-6


@given(
    fps=st.sampled_from([12.0, 24.0, 25.0, 29.97, 50.0]),
    kept=st.lists(st.booleans(), min_size=2, max_size=90),
)
def test_windows_are_in_order_and_near_their_frames(fps, kept):
    times = np.flatnonzero(kept) / fps
    laid = windows(times)
    assert laid.faces.shape == (len(laid.times), 5)
    assert (np.diff(laid.faces, axis=0) >= 0).all()
    assert (np.diff(laid.faces, axis=1) >= 0).all()
    if len(laid.times):
        wanted = laid.times[:, None] + np.arange(-2, 3) / 25
        slack = max(1 / 25, float(np.median(np.diff(times)))) / 2 + 1e-5
        assert np.abs(times[laid.faces] - wanted).max() <= slack


def test_no_window_reaches_over_a_gap():
    times = np.delete(np.arange(20) / 25, 10)
    laid = windows(times)
    moments = np.round(laid.times * 25).astype(int).tolist()
    assert moments == [2, 3, 4, 5, 6, 7, 13, 14, 15, 16, 17]
    assert laid.faces[5].tolist() == [5, 6, 7, 8, 9]
    assert laid.faces[6].tolist() == [10, 11, 12, 13, 14]  # without the one that is missing


def test_few_faces_have_no_window():
    for count in range(5):
        laid = windows(np.arange(count) / 25)
        assert laid.times.shape == (0,)
        assert laid.faces.shape == (0, 5)
        assert laid.columns.shape == (0,)
    assert len(windows(np.arange(5) / 25).times) == 1


# What is seen and heard


def test_a_mouth_is_the_grey_lower_half():
    face = np.zeros((96, 96, 3), np.uint8)
    face[:48] = 255
    face[48:, :, 0] = 200  # red: 0.299 of grey
    grey = mouth(face)
    assert grey.shape == (48, 96)
    assert grey.dtype == np.uint8
    assert (grey == 60).all()


@pytest.mark.parametrize(
    ("first", "columns", "expected"),
    [
        (0, 5, [1, 2, 3, 4, 5]),
        (-2, 4, [-4, -4, 1, 2]),
        (3, 4, [4, 5, -4, -4]),
        (-1, 7, [-4, 1, 2, 3, 4, 5, -4]),
        (9, 2, [-4, -4]),
        (-9, 3, [-4, -4, -4]),
        (2, 0, []),
    ],
)
def test_beyond_the_ends_of_a_sound_there_is_silence(first, columns, expected):
    mel = np.tile(np.arange(1, 6, dtype=np.float32), (80, 1))
    part = stretch(mel, first, columns)
    assert part.dtype == np.float32
    assert part.shape == (80, columns)
    assert part[0].tolist() == part[79].tolist() == expected


def test_every_column_is_embedded_by_its_neighbours_alone(judge):
    mel = np.random.default_rng(0).uniform(-4, 4, (80, 45)).astype(np.float32)
    vectors = embed_mel(judge, mel)
    assert vectors.shape == (45, 128)
    assert vectors.dtype == np.float32
    alone = np.concatenate(
        [
            judge.embed_sounds(torch.from_numpy(stretch(mel, c - HEARD, 2 * HEARD + 1))[None])[0]
            for c in range(45)
        ]
    )
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    # What lies further away may be anything, and its end does not matter.
    other = mel.copy()
    other[:, 31:] = 4
    np.testing.assert_allclose(embed_mel(judge, other)[:21], vectors[:21], atol=1e-5)
    np.testing.assert_allclose(embed_mel(judge, mel[:, 5:])[10:], vectors[15:], atol=1e-5)
    assert np.abs(embed_mel(judge, other)[21:] - vectors[21:]).max(1).min() > 1e-4


@pytest.mark.parametrize("piece", [1, 7, 45, 46])
def test_a_long_sound_goes_in_pieces(judge, monkeypatch, piece):
    mel = np.random.default_rng(0).uniform(-4, 4, (80, 45)).astype(np.float32)
    whole = embed_mel(judge, mel)
    monkeypatch.setattr(lipsync, "PIECE_COLUMNS", piece)
    np.testing.assert_allclose(embed_mel(judge, mel), whole, atol=1e-5)


def test_no_sound_has_no_vector(judge):
    assert embed_mel(judge, np.zeros((80, 0), np.float32)).shape == (0, 128)
    assert embed_mel(judge, mel_spectrogram(np.zeros(0, np.float32))).shape == (1, 128)


class Plain:
    """Gives the brightness of the five mouths as the first five numbers of a vector."""

    log_scale = torch.zeros(())

    def __init__(self):
        self.batches = []

    def embed_faces(self, pictures):
        self.batches.append(len(pictures))
        out = torch.zeros(len(pictures), 128)
        out[:, :5] = pictures.float().mean((2, 3))
        return out


class Film:
    """Sends mouths one after the other and counts how many of them somebody holds."""

    def __init__(self, count):
        self.count, self.held, self.most, self.sent, self.ended = count, 0, 0, 0, False

    def __iter__(self):
        for number in range(self.count):
            picture = np.full((48, 96), number, np.uint8)
            self.held += 1
            self.sent += 1
            self.most = max(self.most, self.held)
            weakref.finalize(picture, self._gone)
            yield picture
            del picture
        self.ended = True

    def _gone(self):
        self.held -= 1


@pytest.mark.parametrize("fps", [12, 24, 25, 50])
def test_mouths_of_a_window_come_in_order_and_few_are_held(monkeypatch, fps):
    monkeypatch.setattr(lipsync, "PIECE", 8)
    laid = windows(np.arange(60) / fps)
    film, judge = Film(60), Plain()
    seen = embed_mouths(judge, film, laid)
    assert seen[:, :5].tolist() == laid.faces.tolist()
    assert sum(judge.batches) == len(laid.times)
    assert set(judge.batches[:-1]) <= {8}
    assert film.ended
    assert film.most <= 4 * fps / 25 + 4


def test_mouths_that_no_window_shows_are_not_held():
    laid = Windows(np.array([0.1, 9.0]), np.arange(5) + np.array([[0], [100]]))
    film = Film(110)
    assert embed_mouths(Plain(), film, laid)[:, :5].tolist() == laid.faces.tolist()
    assert film.most <= 10


def test_mouths_are_asked_for_to_the_end():
    """Whoever reads a film counts on it: the end of its task comes after the last frame."""
    for laid in (windows(np.zeros(0)), Windows(np.zeros(1), np.arange(5)[None])):
        film = Film(9)
        assert len(embed_mouths(Plain(), film, laid)) == len(laid.times)
        assert film.ended
        assert film.held == 0


def test_a_film_that_ends_early_has_fewer_windows(judge):
    laid = windows(np.arange(20) / 25)
    film = Film(17)
    assert embed_mouths(Plain(), film, laid)[:, :5].tolist() == laid.faces[:13].tolist()
    assert film.ended
    mouths = np.zeros((17, 48, 96), np.uint8)
    clip = embed(judge, mouths, np.arange(20) / 25, np.zeros((80, 64), np.float32))
    assert len(clip.seen) == len(clip.columns) == 13


def test_a_clip_is_its_mouths_and_its_sound(judge):
    random = np.random.default_rng(0)
    mouths = random.integers(0, 255, (12, 48, 96), dtype=np.uint8)
    mel = random.uniform(-4, 4, (80, 40)).astype(np.float32)
    clip = embed(judge, mouths, 0.1 + np.arange(12) / 25, mel)
    assert clip.seen.shape == (8, 128)
    assert clip.columns.tolist() == [14, 18, 21, 24, 27, 30, 34, 37]
    np.testing.assert_allclose(clip.heard, embed_mel(judge, mel))
    own = judge.embed_faces(torch.from_numpy(mouths[3:8])[None])[0]
    np.testing.assert_allclose(clip.seen[3], own, atol=1e-5)


# Offsets


def coded(late=0, weights=(1.0,), moments=20, columns=250, first=80):
    """A clip whose faces fit the sound `late` columns late, and those after it, by `weights`.

    Every column of sound is a direction of its own.
    """
    heard = np.eye(columns, dtype=np.float32)
    own = first + 4 * np.arange(moments)
    seen = np.zeros((moments, columns), np.float32)
    for away, weight in enumerate(weights):
        there = own + late + away < columns
        seen[np.flatnonzero(there), own[there] + late + away] = weight
    return Embedded(seen, own, heard)


@pytest.mark.parametrize("late", [-48, -47, -16, -1, 0, 1, 3, 4, 16, 47, 48])
def test_a_late_sound_has_a_positive_offset(late):
    said = verdict(coded(late))
    assert said == SyncFigures(offset_ms=12.5 * late, confidence=1.0, moments=20)
    assert said.in_sync == (abs(late) <= 3)


def test_a_sound_that_is_moved_is_that_much_later():
    clip = coded(-5)
    silence = np.zeros((16, 250), np.float32)
    late = clip.against(np.concatenate([silence, clip.heard[:-16]]))
    early = clip.against(np.concatenate([clip.heard[16:], silence]))
    assert verdict(late).offset_ms - verdict(clip).offset_ms == 200
    assert verdict(early).offset_ms - verdict(clip).offset_ms == -200


def test_what_is_too_late_is_not_found():
    assert verdict(coded(49)).confidence == 0


def test_the_peak_of_a_parabola():
    # Through -1: 0, 0: 0.8, 1: 0.6 goes a parabola with its top at 0.3 columns of 12.5 ms.
    assert verdict(coded(0, (0.8, 0.6))).offset_ms == pytest.approx(3.75)
    assert verdict(coded(7, (0.8, 0.6))).offset_ms == pytest.approx(12.5 * 7.3)
    assert verdict(coded(-8, (0.6, 0.8))).offset_ms == pytest.approx(12.5 * -7.3)
    assert verdict(coded(0, (0.6, 0.8, 0.6))).offset_ms == pytest.approx(12.5)


@pytest.mark.parametrize(
    ("curve", "best", "top"),
    [
        ([0, 1, 0], 1, 0.0),
        ([0, 1, 0.5], 1, 1 / 6),
        ([1, 1, 0], 1, -0.5),
        ([1, 1, 1], 1, 0.0),  # flat
        ([2, 1, 0], 0, 0.0),  # at an end
        ([0, 1, 2], 2, 0.0),
        ([np.nan, 1, 0], 1, 0.0),
    ],
)
def test_where_a_parabola_has_its_top(curve, best, top):
    assert lipsync._peak(np.array(curve, float), best) == pytest.approx(top)


def test_confidence_is_the_best_less_the_median():
    curve = np.linspace(-1, 1, 97)
    curve[60] = 3
    clip = coded()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lipsync, "likeness", lambda _clip: curve)
        said = verdict(clip)
    assert said.offset_ms == pytest.approx(12 * 12.5, abs=0.2)
    assert said.confidence == pytest.approx(3 - np.median(curve))


def test_a_sound_that_does_not_belong_has_no_confidence():
    random = np.random.default_rng(0)
    vectors = random.standard_normal((2, 600, 128))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    seen, heard = vectors.astype(np.float32)
    related = Embedded(heard[100:500:3], np.arange(100, 500, 3), heard)
    unrelated = Embedded(seen[100:500:3], np.arange(100, 500, 3), heard)
    assert verdict(related).confidence == pytest.approx(1, abs=0.03)
    assert 0 <= verdict(unrelated).confidence < 0.03
    assert abs(agreement(unrelated)) < 0.03
    constant = Embedded(
        np.repeat(seen[:1], 40, 0), np.arange(100, 140), np.repeat(heard[:1], 600, 0)
    )
    assert verdict(constant).confidence == pytest.approx(0, abs=1e-6)


def test_few_moments_have_no_verdict():
    assert verdict(coded(moments=FEWEST - 1)) is None
    assert verdict(coded(moments=FEWEST)).moments == FEWEST


def test_no_sound_has_no_verdict():
    clip = coded()
    silent = clip.against(clip.heard[:1])
    assert np.isnan(likeness(silent)).all()
    assert verdict(silent) is None
    assert agreement(silent) == 0
    nobody = Embedded(np.zeros((0, 8), np.float32), np.zeros(0, np.int64), clip.heard[:, :8])
    assert verdict(nobody) is None
    assert agreement(nobody) == 0


def test_a_place_counts_where_a_third_of_the_moments_has_a_sound():
    # Moments at columns 0, 4 .. 76; k columns early, those from k on have one: at least 7 of 20.
    curve = likeness(coded(first=0, columns=400))
    assert np.isfinite(curve[REACH:]).all()
    assert np.isfinite(curve[: REACH + 1]).sum() == REACH + 1  # 48 early: 8 of 20 are left
    curve = likeness(coded(first=0, moments=15, columns=400))  # columns 0 .. 56, five are enough
    assert np.isfinite(curve).tolist() == [k <= 40 for k in range(48, -49, -1)]
    assert curve[REACH] == 1


@pytest.mark.parametrize(
    ("late", "weights", "value"),
    [
        (0, (1.0,), 1.0),
        (3, (1.0,), 1.0),
        (-3, (1.0,), 1.0),
        (4, (1.0,), 0.0),
        (-4, (1.0,), 0.0),
        (2, (0.6, 0.8), 0.8),
        (3, (0.6, 0.8), 0.6),
    ],
)
def test_agreement_is_that_within_a_frame(late, weights, value):
    assert agreement(coded(late, weights)) == pytest.approx(value)


def test_another_place_does_not_raise_agreement():
    worse = coded(20)
    assert verdict(worse).confidence == 1
    assert agreement(worse) == 0


def test_sound_only_elsewhere_has_no_agreement():
    clip = coded(10, first=0, moments=15, columns=400)
    # Sound at columns 60 and up: only where it is 20 and more columns late.
    part = Embedded(clip.seen, clip.columns - 60, clip.heard)
    assert np.isnan(likeness(part)[REACH - 3 : REACH + 4]).all()
    assert np.isfinite(likeness(part)).any()
    assert agreement(part) == 0


@pytest.mark.parametrize(
    ("right", "wrong", "area"),
    [
        ([2.0, 3.0], [0.0, 1.0], 1.0),
        ([0.0, 1.0], [2.0, 3.0], 0.0),
        ([1.0, 2.0], [0.0, 2.0], 0.625),
        ([1.0], [1.0], 0.5),
        ([1.0, 2.0, 3.0], [1.5], 2 / 3),
        ([], [1.0], None),
        ([1.0], [], None),
    ],
)
def test_area_under_curve(right, wrong, area):
    assert area_under_curve(right, wrong) == (area if area is None else pytest.approx(area))


def test_faces_and_sound_of_a_moment_side_by_side():
    seen = np.arange(12, dtype=np.float32).reshape(4, 3)
    heard = -np.arange(15, dtype=np.float32).reshape(5, 3)
    together = joint(Embedded(seen, np.array([-1, 0, 4, 5]), heard))
    assert together.tolist() == [[3, 4, 5, 0, -1, -2], [6, 7, 8, -12, -13, -14]]
