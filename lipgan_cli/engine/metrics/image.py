"""PSNR, SSIM and changes of pairs of pictures, whole and in the parts of the face.

A picture is uint8 RGB (H, W, 3). PSNR and SSIM are scikit-image's to 1e-9, but faster.
Identical pictures have an infinite PSNR: a `Summary` takes its figures over the pairs that differ
and says beside them how many were identical.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
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
_UPPER_ROWS = (0, 48)
# dlib's points of the eyes in 265 frames of GRID's speakers lie in rows 15.2 to 31.6 and columns
# 18.4 to 77.8 of our crops, in 95 % of the frames.
_EYES_ROWS = (14, 33)
_EYES_COLUMNS = (16, 80)

COLUMNS = ("psnr", "ssim", "mouth_psnr", "mouth_ssim", "upper_change", "eyes_change")
"""The figures of a pair in the order of a `FigureTable`."""


@dataclass(frozen=True)
class Figures:
    """One pair's PSNR in dB (infinite when identical) and SSIM in [-1, 1]."""

    psnr: float
    ssim: float


_NO_FIGURES = Figures(math.nan, math.nan)


@dataclass(frozen=True)
class PairFigures:
    """One pair's figures.

    `mouth` is None where the picture shows no mouth. The changes are mean absolute differences in
    levels of 0..255, of the upper half of the face and of the band of its eyes; None likewise.
    """

    whole: Figures
    mouth: Figures | None
    upper_change: float | None = None
    eyes_change: float | None = None


@dataclass(frozen=True)
class FigureTable:
    """The figures of many pairs, a row of `COLUMNS` each: 48 bytes a pair; NaN where there is none.

    `append(None)` adds a row without figures, so that the rows of several tables go together.
    """

    values: array[float] = field(default_factory=lambda: array("d"))

    @classmethod
    def of(cls, pairs: Iterable[PairFigures | None]) -> FigureTable:
        """Collect pairs one by one."""
        table = cls()
        for pair in pairs:
            table.append(pair)
        return table

    def append(self, pair: PairFigures | None) -> None:
        """Add a pair as the last row."""
        whole = _NO_FIGURES if pair is None else pair.whole
        mouth = _NO_FIGURES if pair is None or pair.mouth is None else pair.mouth
        upper, eyes = (None, None) if pair is None else (pair.upper_change, pair.eyes_change)
        self.values.extend((whole.psnr, whole.ssim, mouth.psnr, mouth.ssim))
        self.values.extend(math.nan if change is None else change for change in (upper, eyes))

    def extend(self, other: FigureTable) -> None:
        """Add the rows of another table."""
        self.values.extend(other.values)

    def part(self, first: int, last: int) -> FigureTable:
        """Return rows `first` to `last` - 1 as a table of their own."""
        return FigureTable(self.values[first * len(COLUMNS) : last * len(COLUMNS)])

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.values) // len(COLUMNS)

    def rows(self) -> NDArray[np.float64]:
        """Return a copy of all figures, (pairs, 6)."""
        return np.array(self.values, np.float64).reshape(-1, len(COLUMNS))

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a copy of one of `COLUMNS`, (pairs,)."""
        return np.array(self.values[COLUMNS.index(name) :: len(COLUMNS)], np.float64)

    def summary(self, name: str) -> Summary | None:
        """Summarise one of `COLUMNS` over the pairs that have it; None where none has."""
        values = self.column(name)
        there = values[~np.isnan(values)]
        return Summary.of(there) if there.size else None


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
    """The summaries of whole pictures and of the parts of the face; None where none shows one."""

    whole: FigureSummary
    mouth: FigureSummary | None
    upper_change: Summary | None = None
    eyes_change: Summary | None = None

    @classmethod
    def of(cls, pairs: Iterable[PairFigures] | FigureTable) -> PairSummary:
        """Summarise one pair or more."""
        table = pairs if isinstance(pairs, FigureTable) else FigureTable.of(pairs)
        psnr_, ssim_, mouth_psnr, mouth_ssim, upper, eyes = map(table.summary, COLUMNS)
        if psnr_ is None or ssim_ is None:
            raise ValueError("there is nothing to summarise")
        lips = None
        if mouth_psnr is not None and mouth_ssim is not None:
            lips = FigureSummary(mouth_psnr, mouth_ssim)
        return cls(FigureSummary(psnr_, ssim_), lips, upper, eyes)


def mouth_region(height: int, width: int) -> Region:
    """The mouth of a face crop: rows 54..89 and columns 24..71 at 96x96, else in proportion."""
    return _region(_MOUTH_ROWS, _MOUTH_COLUMNS, height, width)


def upper_region(height: int, width: int) -> Region:
    """The upper half of a face crop, which the network is given: rows 0..47 at 96x96."""
    return _region(_UPPER_ROWS, (0, _CROP), height, width)


def eyes_region(height: int, width: int) -> Region:
    """The eyes of a face crop: rows 14..32 and columns 16..79 at 96x96, else in proportion."""
    return _region(_EYES_ROWS, _EYES_COLUMNS, height, width)


def _region(rows: tuple[int, int], columns: tuple[int, int], height: int, width: int) -> Region:
    return (
        slice(_scale(rows[0], height), _scale(rows[1], height)),
        slice(_scale(columns[0], width), _scale(columns[1], width)),
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


def change(real: Picture, generated: Picture) -> float:
    """Mean absolute difference in levels of 0..255; 0 of pictures without pixels."""
    return cv2.norm(real, generated, cv2.NORM_L1) / real.size if real.size else 0.0


def ssim(real: Picture, generated: Picture, gaussian: bool = False) -> float:
    """Structural similarity: a uniform 7x7 window, or the Gaussian one of Wang et al. 2004."""
    return _similarity(real, generated, gaussian)[0]


def _similarity(
    real: Picture, generated: Picture, gaussian: bool
) -> tuple[float, NDArray[np.float64]]:
    """The mean similarity, and that in the window around each pixel (H, W, 3)."""
    mean, local = structural_similarity(  # type: ignore[no-untyped-call]
        real,
        generated,
        win_size=None if gaussian else UNIFORM_WINDOW,
        channel_axis=-1,
        data_range=DATA_RANGE,
        gaussian_weights=gaussian,
        sigma=1.5,
        use_sample_covariance=not gaussian,
        full=True,
    )
    return float(mean), local


def fits_window(height: int, width: int, gaussian: bool = False) -> bool:
    """Whether a picture of that size holds an SSIM window."""
    return min(height, width) >= (GAUSSIAN_WINDOW if gaussian else UNIFORM_WINDOW)


def compare(
    real: Picture,
    generated: Picture,
    mouth: Region | None,
    gaussian: bool = False,
    upper: Region | None = None,
    eyes: Region | None = None,
) -> PairFigures:
    """Measure one pair of equal size; the mouth is measured as a picture of its own.

    A mouth that is smaller than the SSIM window is not measured.
    """
    mean, local = _similarity(real, generated, gaussian)
    lips = None
    if mouth is not None:
        picture, other = real[mouth], generated[mouth]
        height, width = picture.shape[:2]
        if fits_window(height, width, gaussian):
            # The windows that lie in the mouth whole are among those of the whole picture.
            edge = (GAUSSIAN_WINDOW if gaussian else UNIFORM_WINDOW) // 2
            inside = local[mouth][edge : height - edge, edge : width - edge]
            lips = Figures(psnr(picture, other), float(inside.mean()))
    return PairFigures(
        Figures(psnr(real, generated), mean),
        lips,
        None if upper is None else change(real[upper], generated[upper]),
        None if eyes is None else change(real[eyes], generated[eyes]),
    )


def compare_crop(real: Picture, generated: Picture, gaussian: bool = False) -> PairFigures:
    """Measure one pair of face crops, with the parts where they are in all crops."""
    size = real.shape[:2]
    return compare(
        real, generated, mouth_region(*size), gaussian, upper_region(*size), eyes_region(*size)
    )
