"""Folders of pictures, matched by name and measured pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.image import (
    GAUSSIAN_WINDOW,
    UNIFORM_WINDOW,
    FigureTable,
    PairFigures,
    compare_crop,
    fits_window,
)
from lipgan_cli.engine.metrics.pictures import picture_size, read_picture
from lipgan_cli.engine.metrics.pool import mapped
from lipgan_cli.engine.progress import Progress

Pair = tuple[Path, Path]
"""The files of a real picture and of the generated one."""

NAMED = 5
"""Files that an error names before it says how many more there are."""


SETS = "; --fid can compare them all the same"


def match(real: Sequence[Path], generated: Sequence[Path], otherwise: str = SETS) -> list[Pair]:
    """Pair the files of two folders by name, whatever their endings.

    otherwise: what the hint says can be done with folders that do not match.

    Raises:
        InputError: a file has no counterpart, or two of a folder have one name.
    """
    ours, theirs = _by_name(real), _by_name(generated)
    lonely = [
        f"only in {pictures[0].parent}: {_some(sorted(names))}"
        for pictures, names in (
            (real, ours.keys() - theirs.keys()),
            (generated, theirs.keys() - ours.keys()),
        )
        if names
    ]
    if lonely:
        raise InputError(
            f"the folders do not match by name: {'; '.join(lonely)}",
            f"give each generated one its real one's name{otherwise}",
        )
    return [(ours[name], theirs[name]) for name in ours]


def check_sizes(pairs: Iterable[Pair], gaussian: bool = False) -> None:
    """Check from their heads that the pictures can be measured.

    Raises:
        InputError: the two of a pair differ in size or are too small, or one is not a picture.
    """
    for real, generated in pairs:
        (width, height), other = picture_size(real), picture_size(generated)
        if (width, height) != other:
            raise InputError(
                f"{real} has {width}x{height} pixels, {generated} has {other[0]}x{other[1]}",
                "pictures are compared at equal size",
            )
        check_window(real, width, height, gaussian)


def check_window(path: Path, width: int, height: int, gaussian: bool) -> None:
    """Check that pictures of that size hold an SSIM window.

    Raises:
        InputError: they do not.
    """
    if not fits_window(height, width, gaussian):
        window = GAUSSIAN_WINDOW if gaussian else UNIFORM_WINDOW
        raise InputError(
            f"{path} has {width}x{height} pixels, less than SSIM's window of {window}x{window}",
            "give larger pictures",
        )


def compare_pairs(pairs: Sequence[Pair], gaussian: bool, progress: Progress) -> FigureTable:
    """Measure one pair or more of pictures that `check_sizes` has passed, a row each.

    Raises:
        InputError: a picture is damaged.
    """
    width, height = picture_size(pairs[0][0])
    figures = FigureTable()
    with progress.task("PSNR and SSIM", len(pairs), "pairs") as task:
        work = partial(_compare_files, gaussian=gaussian)
        for result in mapped(work, pairs, len(pairs) * width * height):
            figures.append(result)
            task.advance()
    return figures


def _compare_files(pair: Pair, gaussian: bool) -> PairFigures:
    return compare_crop(read_picture(pair[0]), read_picture(pair[1]), gaussian)


def _by_name(pictures: Iterable[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in pictures:
        other = named.setdefault(path.stem, path)
        if other is not path:
            raise InputError(
                f"{other} and {path} have the same name: it is not clear which to compare",
                "keep one of the two",
            )
    return named


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
