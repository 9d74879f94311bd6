"""The measuring protocol with models and clips whose figures are known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from lipgan_cli.engine.metrics import protocol
from lipgan_cli.engine.metrics.image import PairSummary, compare_crop
from lipgan_cli.engine.metrics.protocol import CONDITIONS, measure


@dataclass(frozen=True)
class FakeClip:
    """A clip whose frame i is noise about 10 * i + tone, and whose mel is flat at `level`."""

    key: str
    length: int
    level: float = 0.0
    start: float = 1.0  # well inside the mel, so that windows hear no silence beyond its end
    asked: list[int] = field(default_factory=list)

    @property
    def speaker(self):
        return self.key.split("/")[0]

    @property
    def times(self):
        return self.start + np.arange(self.length) / 25

    def __len__(self):
        return self.length

    def face(self, index, /):
        self.asked.append(index)
        noise = np.random.default_rng(index).integers(0, 20, (96, 96, 3))
        return (noise + 10 * index).astype(np.uint8)

    def mel(self):
        return np.full((80, 400), self.level, np.float32)


def copying(reference, _target, _windows):
    return reference


def perfect(_reference, target, _windows):
    return target


def listening(_reference, target, windows):
    """Off by one step of brightness for every unit that the sound is away from level 1."""
    off = np.abs(windows.mean(axis=(1, 2)) - 1).round().astype(np.int64)
    return np.clip(target.astype(np.int64) + off[:, None, None, None], 0, 255).astype(np.uint8)


def test_every_sixth_frame_against_the_one_half_a_clip_away():
    seen = []

    def animate(reference, target, _windows):
        seen.append((reference, target))
        return target

    clip = FakeClip("s1/a", 13)
    figures = measure(animate, [clip]).figures()
    assert figures.total.frames == 3  # 0, 6, 12
    reference, target = seen[0]
    assert np.array_equal(target, np.stack([clip.face(i) for i in (0, 6, 12)]))
    assert np.array_equal(reference, np.stack([clip.face(i) for i in (6, 12, 5)]))


def test_step_can_be_chosen():
    assert measure(perfect, [FakeClip("s1/a", 13)], every=1).figures().total.frames == 13


def test_model_that_returns_the_truth_is_identical():
    total = measure(perfect, [FakeClip("s1/a", 12)]).figures().total
    assert total.right.whole.psnr.identical == total.right.whole.psnr.count == 2
    assert total.right.mouth.psnr.mean == math.inf
    assert total.right.whole.ssim.mean == pytest.approx(1)
    assert total.gap_to_still is None


def test_model_that_returns_the_reference_is_the_copy():
    total = measure(copying, [FakeClip("s1/a", 24), FakeClip("s1/b", 24)]).figures().total
    assert total.right == total.copy == total.swapped == total.still
    assert total.gap_to_swapped == total.gap_to_still == 0


def test_figures_are_means_over_frames():
    clip = FakeClip("s1/a", 12)
    mouths = [compare_crop(clip.face(i), clip.face((i + 6) % 12)).mouth.psnr for i in (0, 6)]
    total = measure(copying, [clip]).figures().total
    assert total.copy.mouth.psnr.mean == pytest.approx(np.mean(mouths))


def decibels(off):
    return 20 * math.log10(255 / off)


def test_controls_hear_what_they_should():
    # One off with a's audio (level 2), three with b's (level 4), five in silence (level -4).
    clips = [FakeClip("s1/a", 7, level=2), FakeClip("s1/b", 7, level=4)]
    total = measure(listening, clips).figures().total
    both = [decibels(1), decibels(3)]
    assert (total.right.mouth.psnr.max, total.right.mouth.psnr.min) == pytest.approx(both)
    assert (total.swapped.mouth.psnr.max, total.swapped.mouth.psnr.min) == pytest.approx(both)
    assert total.still.mouth.psnr.mean == pytest.approx(decibels(5))
    assert total.gap_to_swapped == pytest.approx(0)


def test_gaps_are_right_minus_control():
    # b has one frame and a has three, so that the right audio wins three times and loses once.
    clips = [FakeClip("s1/a", 13, level=2), FakeClip("s1/b", 1, level=4)]
    total = measure(listening, clips).figures().total
    win = decibels(1) - decibels(3)
    assert total.gap_to_swapped == pytest.approx((3 * win - win) / 4)
    still = 3 * (decibels(1) - decibels(5)) + (decibels(3) - decibels(5))
    assert total.gap_to_still == pytest.approx(still / 4)


def test_swapped_is_the_clip_half_a_list_away_in_the_order_of_keys():
    heard = []

    def animate(_reference, target, windows):
        heard.append(windows[0, 0, 26])
        return target

    levels = {"s1/a": 0.0, "s1/b": 1.0, "s1/c": 2.0}
    clips = [FakeClip(key, 1, level) for key, level in reversed(levels.items())]
    measure(animate, clips)
    # Per clip: right, still, swapped; a hears b (0 + 1), b hears c, c hears a.
    assert heard == [0, -4, 1, 1, -4, 2, 2, -4, 0]


def test_swapped_audio_is_taken_at_the_same_time():
    windows = []

    class Ramp(FakeClip):
        def mel(self):
            return np.tile(np.arange(400, dtype=np.float32) + self.level, (80, 1))

    def animate(_reference, target, heard):
        windows.append(heard)
        return target

    measure(animate, [Ramp("s1/a", 13, 0.0, 0.0), Ramp("s1/b", 13, 1000.0)])
    right, _still, swapped = windows[:3]
    # Frame 6 is at 0.24 s: its window of 27 columns is centred on column 19.
    assert right[1, 0].tolist() == list(range(6, 33))
    assert swapped[1, 0].tolist() == list(range(1006, 1033))


def test_audio_of_a_shorter_clip_goes_on_in_silence():
    windows = []

    class Short(FakeClip):
        def mel(self):
            return np.zeros((80, 3), np.float32)

    def animate(_reference, target, heard):
        windows.append(heard)
        return target

    measure(animate, [FakeClip("s1/a", 25), Short("s1/b", 1)])
    assert (windows[2][4] == -4).all()  # frame 24 of a hears b, which is over by then


def test_speakers_stand_apart_and_a_lone_clip_has_no_swapped():
    clips = [
        FakeClip("s2/a", 6, level=2),
        FakeClip("s10/a", 12, level=2),
        FakeClip("s10/b", 12, level=4),
    ]
    figures = measure(listening, clips).figures()
    alone, pair = figures.speakers
    assert [alone.name, pair.name, figures.total.name] == ["s2", "s10", "all"]
    assert (alone.swapped, alone.gap_to_swapped) == (None, None)
    assert (alone.clips, pair.clips, figures.total.clips) == (1, 2, 3)
    assert (alone.frames, pair.frames, figures.total.frames) == (1, 4, 5)
    # The gap in total covers the frames that have a swapped figure.
    assert figures.total.swapped.whole.psnr.count == 4
    assert figures.total.gap_to_swapped == pytest.approx(pair.gap_to_swapped)
    assert figures.total.right.whole.psnr.count == 5


def test_long_clips_go_in_batches(monkeypatch):
    sizes = []

    def animate(_reference, target, windows):
        assert len(target) == len(windows)
        sizes.append(len(target))
        return target

    monkeypatch.setattr(protocol, "BATCH", 4)
    figures = measure(animate, [FakeClip("s1/a", 10)], every=1).figures()
    assert figures.total.frames == 10
    assert sizes == [4, 4, 3, 3, 3, 3]  # right and still each time


def test_each_measured_frame_can_be_kept():
    kept = []
    clip = FakeClip("s1/a", 13)
    measure(copying, [clip], keep=lambda *frame: kept.append(frame))
    assert [(key, index) for key, index, _, _ in kept] == [("s1/a", 0), ("s1/a", 6), ("s1/a", 12)]
    assert np.array_equal(kept[1][2], clip.face(6))
    assert np.array_equal(kept[1][3], clip.face(12))


def test_every_measured_frame_has_its_row_under_each_condition():
    clips = [
        FakeClip("s2/b", 7, level=2),
        FakeClip("s1/a", 1, level=2),
        FakeClip("s2/a", 13, level=4),
    ]
    measured = measure(listening, clips)
    # Speakers as they come, clips by their keys.
    assert measured.speakers == {"s2": (2, 5), "s1": (1, 1)}
    rows = [("s2/a", 0), ("s2/a", 6), ("s2/a", 12), ("s2/b", 0), ("s2/b", 6), ("s1/a", 0)]
    assert measured.frames == rows
    assert tuple(measured.tables) == CONDITIONS
    found = {name: table.column("psnr").tolist() for name, table in measured.tables.items()}
    far, near = decibels(3), decibels(1)
    assert found["right"] == pytest.approx([far] * 3 + [near] * 3)
    # The lone clip has a row without figures, so that all tables go together.
    assert found["swapped"] == pytest.approx([near] * 3 + [far] * 2 + [math.nan], nan_ok=True)
    assert found["still"] == pytest.approx([decibels(5)] * 6)
    assert len(found["copy"]) == 6


def test_groups_are_parts_of_the_tables():
    clips = [FakeClip("s2/b", 7, level=2), FakeClip("s1/a", 13, level=4)]
    measured = measure(listening, clips)
    figures = measured.figures()
    right = measured.tables["right"]
    assert figures.speakers[0].right == PairSummary.of(right.part(0, 2))
    assert figures.speakers[1].right == PairSummary.of(right.part(2, 5))
    assert figures.total.right == PairSummary.of(right)
    assert figures.total.swapped is None  # nobody has another clip


def test_clips_without_a_frame_are_left_out():
    clips = [FakeClip("s1/a", 7, level=2), FakeClip("s1/b", 0), FakeClip("s1/c", 7, level=4)]
    figures = measure(listening, clips).figures()
    assert figures.total.clips == 2
    assert figures.total.swapped.whole.psnr.max == pytest.approx(decibels(1))


def test_no_frames_is_an_error():
    with pytest.raises(ValueError, match="no frame to measure"):
        measure(copying, [FakeClip("s1/a", 0)])
