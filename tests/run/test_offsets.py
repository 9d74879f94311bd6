"""Offsets by hand: which sound a judge finds best, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from lipgan_cli.engine.run.offsets import ClipOffsets, clip_offsets, found


def test_three_windows_by_hand():
    scores = np.array([[0.9, 0.2, 0.1], [0.3, 0.6, 0.7], [0.8, 0.1, 0.3]])
    measured = clip_offsets(scores, np.array([4, 5, 7]))
    # The windows' best sounds are 0, 2 and -3 frames away.
    assert measured.near.tolist() == [True, False, False]
    # Means at offsets -3, -2, -1, 0, 1, 2, 3: 0.8, 0.1, 0.3, 0.6, 0.2, 0.7, 0.1.
    assert measured.offset == -3
    assert measured.confidence == pytest.approx(0.8 - 0.3)


def test_a_neighbour_is_near_enough():
    scores = np.eye(4)[[1, 2, 3, 3]]
    measured = clip_offsets(scores, np.arange(4))
    assert measured.near.all()
    assert measured.offset == 1


def test_sounds_beyond_the_reach_do_not_count():
    scores = np.array([[0.0, 1.0], [0.0, 0.5]])
    assert clip_offsets(scores, np.array([0, 16])).near.tolist() == [True, True]
    assert clip_offsets(scores, np.array([0, 15])).near.tolist() == [False, True]


def test_several_clips_are_summed_up():
    clips = [
        ClipOffsets(np.array([True, True, True]), 1, 0.5),
        ClipOffsets(np.array([False]), -2, 0.1),
    ]
    summed = found(clips)
    assert summed.windows == 0.75  # 3 windows of 4
    assert summed.clips == 0.5
    assert summed.confidence == pytest.approx(0.3)
    assert summed.measured == 2
