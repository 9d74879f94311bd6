"""SyncNet: LSE-C, LSE-D and offset of a talking face, as papers on lip-sync report them.

The network is that of Chung and Zisserman 2016, "Out of time: automated lip sync in the wild", in
the version whose weights its authors publish as `syncnet_v2.model`; the two measures are those of
Prajwal et al. 2020 (arXiv:2008.10010, section 4). With the published weights the authors report an
offset of 3 frames, a distance of 5.353 and a confidence of 10.021 for their example clip: that is
still to be confirmed with this implementation, which has been tested with made weights alone.
Pictures go in as they are; the published scripts write them to JPEG files first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from torch import Tensor, nn
from torch.nn import functional

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import SAMPLE_RATE
from lipgan_cli.engine.metrics.mfcc import COLUMNS_PER_SECOND, Sound, mfcc
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.weights.tensors import read_tensors

FPS = 25
SIDE = 224  # pixels of a picture
FRAMES, COLUMNS = 5, 20  # of a window: pictures, and MFCC that last as long
EMBEDDING = 1024
REACH = 15  # frames that the sound is shifted to either side
BATCH = 20  # windows

FACE_HEIGHT = 1.23
FACE_RAISED = 0.09
"""Height of the face box that SyncNet's crop starts from, and how far its centre lies above that of
dlib's HOG, in sides of HOG's. Medians over 96 frames of 16 people of GRID (standard deviations 0.08
and 0.04), measured with MTCNN, which learnt from the same pictures (WIDER FACE) as S3FD, the
detector of the published pipeline."""
CROP_SCALE = 0.40
MEDIAN = 13  # frames
OUTSIDE = 110  # level of the pixels that a crop has outside the picture

Rgb = NDArray[np.uint8]
Squares = NDArray[np.float64]

_HINT = "lipgan download-weights syncnet fetches the right file"


class Embedder(Protocol):
    """Embeds what is seen and what is heard, near each other where both belong together."""

    def lips(self, frames: Tensor, /) -> Tensor:
        """Embed every five consecutive frames, BGR (n, 3, 224, 224) in [0, 255]: (n - 4, D)."""

    def sounds(self, windows: Tensor, /) -> Tensor:
        """Embed windows of MFCC (n, 13, 20): (n, D)."""


class SyncNet(nn.Module):
    """The published network: its `state_dict` has the names and shapes of the published file.

    The half that sees has time in its first layer alone, without stride or padding, so that a run
    of frames gives all its windows in one pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_layer(nn.Conv2d(1, 64, 3, padding=1)),  # 13 x 20
            nn.Identity(),
            *_layer(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, (1, 2)),  # 11 x 9
            *_layer(nn.Conv2d(192, 384, 3, padding=1)),
            *_layer(nn.Conv2d(384, 256, 3, padding=1)),
            *_layer(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, 2),  # 5 x 4
            *_layer(nn.Conv2d(256, 512, (5, 4))),  # 1 x 1
        )
        self.netfcaud = _head()
        self.netcnnlip = nn.Sequential(
            *_layer(nn.Conv3d(3, 96, (FRAMES, 7, 7), (1, 2, 2))),  # 109 x 109
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),  # 54 x 54
            *_layer(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1))),  # 26 x 26
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),  # 13 x 13
            *_layer(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_layer(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_layer(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),  # 6 x 6
            *_layer(nn.Conv3d(256, 512, (1, 6, 6))),  # 1 x 1
        )
        self.netfclip = _head()

    def lips(self, frames: Tensor) -> Tensor:
        """Embed every five consecutive frames, BGR (n, 3, 224, 224) in [0, 255]: (n - 4, 1024)."""
        seen = self.netcnnlip(frames.transpose(0, 1)[None])  # (1, 512, n - 4, 1, 1)
        embedded: Tensor = self.netfclip(seen[0, :, :, 0, 0].T)
        return embedded

    def sounds(self, windows: Tensor) -> Tensor:
        """Embed windows of MFCC (n, 13, 20): (n, 1024)."""
        embedded: Tensor = self.netfcaud(self.netcnnaud(windows[:, None]).flatten(1))
        return embedded


def _layer(convolution: nn.Conv2d | nn.Conv3d) -> tuple[nn.Module, nn.Module, nn.Module]:
    norm = nn.BatchNorm2d if isinstance(convolution, nn.Conv2d) else nn.BatchNorm3d
    return convolution, norm(convolution.out_channels), nn.ReLU(inplace=True)


def _head() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING)
    )


def load_syncnet(path: Path, device: torch.device | str = "cpu") -> SyncNet:
    """Read SyncNet's weights, as published or turned into a .safetensors file.

    The network is in evaluation mode, its parameters without gradients.

    Raises:
        InputError: the file is missing, holds anything but tensors, or other weights.
    """
    what = "SyncNet's weights"
    state = read_tensors(require_file(path, what), what, _HINT)
    network = SyncNet()
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path} does not hold SyncNet's weights", _HINT) from error
    return network.to(device).requires_grad_(False).eval()


@dataclass(frozen=True)
class SyncNetFigures:
    """What SyncNet says of a clip: LSE-D (lower is better), LSE-C (higher is better), offset.

    `offset_ms` is by how much the sound is late. The two measures are taken at the best shift and
    hide a constant delay: always give the offset beside them.
    """

    lse_d: float
    lse_c: float
    offset_ms: int

    @property
    def offset_frames(self) -> int:
        """The offset as it is published: the frames by which the sound comes too early."""
        return -self.offset_ms * FPS // 1000


@torch.inference_mode()
def judge(
    network: Embedder,
    frames: Iterable[Rgb],
    samples: Sound,
    device: torch.device | str = "cpu",
    batch: int = BATCH,
) -> SyncNetFigures:
    """Measure uint8 RGB frames (224, 224, 3) at 25 a second against their sound at 16 kHz.

    Raises:
        InputError: picture and sound have less than six frames in common.
    """
    return figures(mean_distances(*embed_clip(network, frames, samples, device, batch)))


@torch.inference_mode()
def embed_clip(
    network: Embedder,
    frames: Iterable[Rgb],
    samples: Sound,
    device: torch.device | str = "cpu",
    batch: int = BATCH,
) -> tuple[Tensor, Tensor]:
    """Embed the windows of a clip, lips and sounds, (n, D) each; see `judge`.

    Samples are int16 or float in [-1, 1]. `network` is on `device`. A clip of n frames has n - 5
    windows, as in the published code; what one side has beyond the other's end is left out. Beyond
    the clip's ends the sound has embeddings of zeros, as published, which weighs in short clips.

    Raises:
        InputError: picture and sound have less than six frames in common.
    """
    common = islice(frames, len(samples) * FPS // SAMPLE_RATE)
    lips = [network.lips(run.to(device)).cpu() for run in _runs(common, batch)]
    seen = torch.cat(lips)[:-1] if lips else torch.empty(0)
    if not len(seen):
        raise InputError(f"SyncNet needs {FRAMES + 1} frames with sound", "give a longer clip")
    heard = np.lib.stride_tricks.sliding_window_view(mfcc(samples), COLUMNS, axis=1)
    windows = heard.transpose(1, 0, 2)[:: COLUMNS_PER_SECOND // FPS][: len(seen)]  # (n, 13, 20)
    sounds = [
        network.sounds(torch.tensor(windows[i : i + batch]).float().to(device)).cpu()
        for i in range(0, len(seen), batch)
    ]
    return seen, torch.cat(sounds)


def _runs(frames: Iterable[Rgb], batch: int) -> Iterator[Tensor]:
    """Yield BGR (n, 3, 224, 224) with `batch` windows each, the last with fewer."""
    held: list[Rgb] = []
    for frame in frames:
        if frame.shape != (SIDE, SIDE, 3):
            raise ValueError(f"SyncNet sees {SIDE}x{SIDE} pixels in RGB, not {frame.shape}")
        held.append(frame)
        if len(held) == batch + FRAMES - 1:
            yield _bgr(held)
            held = held[batch:]
    if len(held) >= FRAMES:
        yield _bgr(held)


def _bgr(frames: list[Rgb]) -> Tensor:
    # The weights learnt from pictures as OpenCV reads them.
    stacked = np.stack(frames)[..., ::-1].transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(stacked)).float()


def mean_distances(lips: Tensor, sounds: Tensor) -> Tensor:
    """Return the mean distance (31,) of lips (n, D) to sounds (n, D) shifted by -15..15 windows.

    At shift s the lips of window i meet the sound of window i + s, zeros beyond both ends. There
    may be more sounds than lips.
    """
    padded = functional.pad(sounds, (0, 0, REACH, REACH))
    shifted = (padded[first : first + len(lips)] for first in range(2 * REACH + 1))
    return torch.stack([functional.pairwise_distance(lips, other).mean() for other in shifted])


def figures(distances: Tensor) -> SyncNetFigures:
    """Read the measures off the mean distances (31,): minimum, median less minimum, its place."""
    least, place = distances.min(0)
    return SyncNetFigures(
        lse_d=float(least),
        lse_c=float(distances.median() - least),
        offset_ms=(int(place) - REACH) * 1000 // FPS,
    )


def syncnet_square(box: NDArray[np.float64]) -> Squares:
    """Return what to cut for a HOG box (left, top, right, bottom, ...): centre x, y and side.

    The published pipeline cuts around the box of another detector (S3FD), which is taken from
    HOG's in proportion: figures are comparable with published ones only approximately. Also takes
    (n, 4 or more) boxes; in pixels.
    """
    left, top, right, bottom = np.asarray(box, np.float64)[..., :4].T
    side = (right - left + bottom - top) / 2
    half = FACE_HEIGHT * side / 2
    below = CROP_SCALE * half - FACE_RAISED * side
    return np.stack(
        [(left + right) / 2, (top + bottom) / 2 + below, half * (2 + 2 * CROP_SCALE)], axis=-1
    )


def syncnet_squares(boxes: NDArray[np.float64]) -> Squares:
    """Return the squares (n, 3) to cut for a track's boxes (n, 4 or more), steadied.

    Boxes that are missing (NaN) are interpolated, then the median over 13 frames is taken; beyond
    both ends the last box counts, where the published pipeline has zeros.
    """
    squares = syncnet_square(boxes)
    seen = np.flatnonzero(~np.isnan(squares[:, 0]))
    if not len(seen):
        return squares
    filled = [np.interp(np.arange(len(squares)), seen, line) for line in squares[seen].T]
    steady: Squares = median_filter(np.stack(filled, axis=1), (MEDIAN, 1), mode="nearest")
    return steady


def crop(frame: Rgb, square: NDArray[np.float64]) -> Rgb:
    """Return the square of an RGB picture as (224, 224, 3); outside the picture it is grey."""
    x, y, side = (float(figure) for figure in square)
    left, top = math.floor(x - side / 2), math.floor(y - side / 2)
    width = max(math.floor(x + side / 2) - left, 1)
    height = max(math.floor(y + side / 2) - top, 1)
    whole = np.full((height, width, 3), OUTSIDE, np.uint8)
    inside = frame[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if inside.size:
        row, column = max(-top, 0), max(-left, 0)
        whole[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return np.asarray(cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
