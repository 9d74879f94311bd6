"""Sound in files of our own: FLAC, mono, 16 kHz, 16 bits, half as loud as it is.

Coders and resamplers overshoot: speech that filled [-1, 1] comes back with peaks of 1.4, which a
file without room for them would cut off.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import SAMPLE_RATE, Samples

LOUDEST = 32768
FULL_SCALE = LOUDEST // 2
BLOCK = 1 << 16  # samples handed to the coder at once


def quantised(samples: Samples) -> Samples:
    """Return the samples as a file keeps them: steps of 1 / 16384, cut off beyond [-2, 2]."""
    return _integers(samples).astype(np.float32) / np.float32(FULL_SCALE)


def write_flac(path: Path, samples: Samples) -> None:
    """Write mono 16 kHz samples in [-2, 2]; `read_flac` returns them `quantised`.

    Raises:
        LipganError: the file cannot be written.
    """
    # The coder wants sound: an empty track would be no file.
    integers = _integers(samples) if len(samples) else np.zeros(1, np.int16)
    try:
        with av.open(str(path.absolute()), "w") as container:
            stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16")
            for first in range(0, len(integers), BLOCK):
                frame = av.AudioFrame.from_ndarray(
                    integers[None, first : first + BLOCK], "s16", "mono"
                )
                frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
                frame.pts = first
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise LipganError(f"cannot write {path}: {error.strerror}") from error


def read_flac(path: Path) -> Samples:
    """Return the samples of such a file, shape (n,), in [-2, 2].

    Three times as fast as `read_audio`, which asks what clock, rate and channels a file has.

    Raises:
        InputError: the file is missing, damaged, or other than `write_flac` writes it.
    """
    try:
        # An absolute name, because ffmpeg takes "a:b.flac" for a protocol.
        with av.open(str(path.absolute())) as container:
            pieces = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    except (OSError, ValueError, IndexError) as error:  # errors of av are among these
        raise InputError(f"{path} is not a FLAC file that can be read") from error
    if not pieces or pieces[0].dtype != np.int16:
        raise InputError(f"{path} is not FLAC of 16 bits")
    return np.concatenate(pieces).astype(np.float32) / np.float32(FULL_SCALE)


def _integers(samples: Samples) -> NDArray[np.int16]:
    scaled = np.round(samples * np.float32(FULL_SCALE))
    return scaled.clip(-LOUDEST, LOUDEST - 1).astype(np.int16)
