"""A corpus of videos: finding the clips, and drawing the subsets small, full and test."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

from lipgan_cli.engine.errors import InputError

SUFFIXES = frozenset({".mpg", ".mpeg", ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})
FEWEST_FOR_TEST = 5  # clips; speakers with fewer are for training only


@dataclass(frozen=True)
class Source:
    """One video of a corpus."""

    path: Path
    speaker: str
    name: str  # of the clip, unique only together with its content
    held_out: bool = False  # from the test corpus


def find_clips(place: Path, held_out: bool = False) -> list[Source]:
    """Return the videos of a corpus, sorted by speaker and name.

    `place` is a folder of one folder per speaker, with videos at any depth (GRID's own layout), a
    flat folder of videos (the speaker is the folder's name), or one video (the speaker is its own).

    Raises:
        InputError: it does not exist or holds no video.
    """
    if not place.exists():
        raise InputError(f"{place} does not exist", "give a folder of videos, or one video")
    if place.is_file():
        name = plain_name(place.stem)
        return [Source(place, name, name, held_out)]
    top = plain_name(place.resolve().name) or "speaker"
    found = []
    for path in _files(place):
        inner = path.relative_to(place).parts
        speaker = plain_name(inner[0]) if len(inner) > 1 else top
        found.append(Source(path, speaker, plain_name(path.stem), held_out))
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise InputError(f"{place} holds no video", f"give a folder with videos ({kinds})")
    return sorted(found, key=lambda source: (natural(source.speaker), natural(source.path.name)))


def _files(place: Path) -> Iterable[Path]:
    """Yield the videos under a folder; hidden files are none. Links are followed once."""
    visited = set()
    for folder, folders, files in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(folder, name)


def plain_name(name: str) -> str:
    """Return a name that can stand in a list of `speaker/clip` lines and name a folder anywhere."""
    return re.sub(r'[\x00-\x1f\ud800-\udfff/\\:*?"<>|]', "_", name).strip(" .") or "_"


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which s2 comes before s10."""
    parts = re.split(r"([0-9]+)", text)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


@dataclass(frozen=True)
class SubsetSizes:
    """How many clips of a speaker each subset takes, at most."""

    small: int = 300
    full: int = 980
    test: int = 20


@dataclass(frozen=True)
class Candidate:
    """A prepared clip that can be drawn."""

    key: str  # speaker/clip
    speaker: str
    sha256: str  # of the source's content: the order in which clips are drawn
    held_out: bool


@dataclass
class Subsets:
    """The keys of the clips in each subset."""

    small: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    test: set[str] = field(default_factory=set)

    def named(self) -> Mapping[str, set[str]]:
        """Return the subsets by name."""
        return {"small": self.small, "full": self.full, "test": self.test}


def draw(
    clips: Iterable[Candidate], before: Subsets, sizes: SubsetSizes, separate_test: bool
) -> Subsets:
    """Draw the subsets, keeping every clip on the side on which it was before.

    Of a speaker's n clips, test takes a fifth, full the rest and small 0.3 n out of full, each up
    to its size. Clips are drawn in the order of their content's hash. With a separate test corpus,
    test is drawn from that alone and the others are for training only.
    """
    speakers: dict[str, list[Candidate]] = {}
    for clip in sorted(clips, key=lambda clip: clip.sha256):
        speakers.setdefault(clip.speaker, []).append(clip)
    drawn = Subsets()
    for own in speakers.values():
        keys = {clip.key for clip in own}
        test, full, small = before.test & keys, before.full & keys, before.small & keys
        unused = [clip for clip in own if clip.key not in test | full]
        if separate_test:
            wanted = sizes.test
            fit_for_test = [clip.key for clip in unused if clip.held_out]
        else:
            wanted = _test_size(len(own), sizes.test)
            fit_for_test = [clip.key for clip in unused if not clip.held_out]
        test |= set(fit_for_test[: max(0, wanted - len(test))])
        rest = [clip.key for clip in unused if not clip.held_out and clip.key not in test]
        full |= set(rest[: max(0, sizes.full - len(full))])
        count = sum(not clip.held_out for clip in own)
        ordered = [clip.key for clip in own if clip.key in full - small]
        small |= set(ordered[: max(0, _small_size(count, sizes.small) - len(small))])
        drawn.test |= test
        drawn.full |= full
        drawn.small |= small
    return drawn


def _test_size(clips: int, most: int) -> int:
    return min(most, floor(Fraction(clips, 5) + Fraction(1, 2))) if clips >= FEWEST_FOR_TEST else 0


def _small_size(clips: int, most: int) -> int:
    return min(most, ceil(Fraction(3, 10) * clips))
