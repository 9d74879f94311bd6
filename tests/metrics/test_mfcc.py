"""MFCC: the numbers of python_speech_features, and how they follow the sound."""

from __future__ import annotations

import numpy as np
import pytest

from lipgan_cli.engine.metrics import mfcc as module
from lipgan_cli.engine.metrics.mfcc import mfcc

# python_speech_features 0.6, NumPy 2.4 and SciPy 1.17: mfcc(made(), 16000), rows 0, 8 and 17.
GOLDEN = {
    0: [
        *(22.907865737, -31.474059398, -13.160283164, -3.075700699, -4.883408216, -1.325262641),
        *(2.073432585, -7.347802234, -2.714788445, -11.522556821, -6.670630396, -9.322037685),
        -8.292555264,
    ],
    8: [
        *(21.431223647, -38.035969783, -12.263493429, 2.404735105, 6.095671977, -11.418250725),
        *(7.105268825, 28.352587316, -5.919039520, -18.810325610, 2.222846848, -7.110628562),
        -0.996938867,
    ],
    17: [
        *(21.660349528, -20.345235195, -14.224976302, -15.121991748, -7.972281100, -2.779739524),
        *(-0.737778641, -6.056579948, -6.880708242, 1.571252986, 6.821347688, -0.280808380),
        -2.568439010,
    ],
}


def made():
    """A sound of whole numbers with a pause in it; 3000 samples, so that the end is filled up."""
    n = np.arange(3000, dtype=np.int64)
    samples = ((n * n * 7 + n * 31) % 20011 - 10005).astype(np.int16)
    samples[1000:1600] = 0
    return samples


def test_the_numbers_are_those_of_the_published_front_end():
    columns = mfcc(made())
    assert columns.shape == (13, 18)
    for column, expected in GOLDEN.items():
        assert columns[:, column] == pytest.approx(expected, abs=1e-8)


def test_digital_silence_is_the_smallest_number_and_not_infinite():
    columns = mfcc(np.zeros(640, np.int16))
    assert columns.shape == (13, 3)
    assert columns[0] == pytest.approx(np.log(2.0**-52))
    # All bands are alike: what is left of a cosine transform is its first figure, replaced above.
    assert columns[1:] == pytest.approx(0, abs=1e-10)


def test_the_first_figure_is_the_energy_of_the_window():
    # A click: its window's power spectrum is flat, 257 bins of 1000**2 / 512, but that the
    # emphasis leaves -970 after it: 1000**2 + 970**2 - 2 * 1000 * 970 * cos.
    samples = np.zeros(400, np.int16)
    samples[200] = 1000
    angles = np.pi * np.arange(257) / 256
    power = (1000.0**2 + 970.0**2 - 2 * 1000 * 970 * np.cos(angles)) / 512
    assert mfcc(samples)[0, 0] == pytest.approx(np.log(power.sum()), abs=1e-9)


@pytest.mark.parametrize(
    ("samples", "columns"), [(0, 1), (1, 1), (400, 1), (401, 2), (560, 2), (561, 3), (16000, 99)]
)
def test_how_many_columns_a_sound_has(samples, columns):
    assert mfcc(np.ones(samples, np.int16)).shape == (13, columns)


def test_floats_count_as_the_16_bits_that_they_round_to():
    samples = made()
    assert np.array_equal(mfcc((samples / 32768).astype(np.float32)), mfcc(samples))
    loud = np.array([-2, -1, 1, 2] * 100, np.float32)
    clipped = np.array([-32768, -32768, 32767, 32767] * 100, np.int16)
    assert np.array_equal(mfcc(loud), mfcc(clipped))


def test_blocks_leave_no_trace(monkeypatch):
    whole = mfcc(made())
    monkeypatch.setattr(module, "BLOCK", 5)
    assert mfcc(made()) == pytest.approx(whole, abs=1e-10)
