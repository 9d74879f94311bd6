"""PSNR and SSIM of pairs of pictures, by scikit-image, whole and in the mouth region.

A picture is uint8 RGB (H, W, 3). Identical pictures have an infinite PSNR: a `Summary` takes its
figures over the pairs that differ and says beside them how many were identical.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

Picture = NDArray[np.uint8]
Region = tuple[slice, slice]

DATA_RANGE = 255
UNIFORM_WINDOW = 7
GAUSSIAN_WINDOW = 11
"""Sides of the two SSIM windows in pixels: smaller pictures have no SSIM."""

_CROP = 96
_MOUTH_ROWS = (54, 90)
_MOUTH_COLUMNS = (24, 72)


@dataclass(frozen=True)
class Figures:
    """One pair's PSNR in dB (infinite when identical) and SSIM in [-1, 1]."""

    psnr: float
    ssim: float


@dataclass(frozen=True)
class PairFigures:
    """One pair's figures; `mouth` is None where the picture shows no mouth."""

    whole: Figures
    mouth: Figures | None


@dataclass(frozen=True)
class Summary:
    """What a list of figures comes to, as in tables 7.1 and 7.2 of the thesis.

    `count` is the number of pairs and `identical` how many of them have an infinite figure, which
    mean, median, max and min leave out. They are infinite only when every pair is identical.
    """

    mean: float
    median: float
    max: float
    min: float
    count: int
    identical: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Summary:
        """Summarise one figure or more."""
        every = np.fromiter(values, dtype=np.float64)
        if every.size == 0:
            raise ValueError("there is nothing to summarise")
        finite = every[np.isfinite(every)]
        kept = finite if finite.size else every
        return cls(
            mean=float(kept.mean()),
            median=float(np.median(kept)),
            max=float(kept.max()),
            min=float(kept.min()),
            count=int(every.size),
            identical=int(every.size - finite.size),
        )


@dataclass(frozen=True)
class FigureSummary:
    """The summaries of PSNR in dB and SSIM over the same pairs."""

    psnr: Summary
    ssim: Summary

    @classmethod
    def of(cls, figures: Iterable[Figures]) -> FigureSummary:
        """Summarise one pair or more."""
        kept = list(figures)
        return cls(Summary.of(f.psnr for f in kept), Summary.of(f.ssim for f in kept))


@dataclass(frozen=True)
class PairSummary:
    """The summaries of whole pictures and of their mouths; `mouth` is None where none shows one."""

    whole: FigureSummary
    mouth: FigureSummary | None

    @classmethod
    def of(cls, pairs: Iterable[PairFigures]) -> PairSummary:
        """Summarise one pair or more."""
        kept = list(pairs)
        mouths = [pair.mouth for pair in kept if pair.mouth is not None]
        return cls(
            FigureSummary.of(pair.whole for pair in kept),
            FigureSummary.of(mouths) if mouths else None,
        )


def mouth_region(height: int, width: int) -> Region:
    """The mouth of a face crop: rows 54..89 and columns 24..71 at 96x96, else in proportion."""
    return (
        slice(_scale(_MOUTH_ROWS[0], height), _scale(_MOUTH_ROWS[1], height)),
        slice(_scale(_MOUTH_COLUMNS[0], width), _scale(_MOUTH_COLUMNS[1], width)),
    )


def _scale(edge: int, side: int) -> int:
    return math.floor(edge * side / _CROP + 0.5)


def psnr(real: Picture, generated: Picture) -> float:
    """Peak signal-to-noise ratio in dB; infinite for identical pictures."""
    if np.array_equal(real, generated):
        return math.inf
    decibels = peak_signal_noise_ratio(  # type: ignore[no-untyped-call]
        real, generated, data_range=DATA_RANGE
    )
    return float(decibels)


def ssim(real: Picture, generated: Picture, gaussian: bool = False) -> float:
    """Structural similarity: a uniform 7x7 window, or the Gaussian one of Wang et al. 2004."""
    similarity = structural_similarity(  # type: ignore[no-untyped-call]
        real,
        generated,
        win_size=None if gaussian else UNIFORM_WINDOW,
        channel_axis=-1,
        data_range=DATA_RANGE,
        gaussian_weights=gaussian,
        sigma=1.5,
        use_sample_covariance=not gaussian,
    )
    return float(similarity)


def fits_window(height: int, width: int, gaussian: bool = False) -> bool:
    """Whether a picture of that size holds an SSIM window."""
    return min(height, width) >= (GAUSSIAN_WINDOW if gaussian else UNIFORM_WINDOW)


def compare(
    real: Picture, generated: Picture, mouth: Region | None, gaussian: bool = False
) -> PairFigures:
    """Measure one pair of equal size; the mouth is cut out and measured as a picture of its own.

    A mouth that is smaller than the SSIM window is not measured.
    """
    whole = Figures(psnr(real, generated), ssim(real, generated, gaussian))
    if mouth is None:
        return PairFigures(whole, None)
    lips, generated_lips = real[mouth], generated[mouth]
    height, width = lips.shape[:2]
    if not fits_window(height, width, gaussian):
        return PairFigures(whole, None)
    return PairFigures(
        whole, Figures(psnr(lips, generated_lips), ssim(lips, generated_lips, gaussian))
    )


def compare_crop(real: Picture, generated: Picture, gaussian: bool = False) -> PairFigures:
    """Measure one pair of face crops, with the mouth region that `mouth_region` gives."""
    height, width = real.shape[:2]
    return compare(real, generated, mouth_region(height, width), gaussian)
