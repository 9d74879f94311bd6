"""What a dataset holds already, and keeping its lists; only one run at a time writes them."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipgan_cli.engine.data.corpus import Candidate, Subsets, SubsetSizes, natural
from lipgan_cli.engine.data.dataset import FORMAT, SUBSETS, read_about, read_subset
from lipgan_cli.engine.data.recording import Parameters, Stamp
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import atomic_path

ASIDE = "aside"
"""The folder of the lists of clips that were in a subset before their sound was found to be off."""


@dataclass(frozen=True)
class StoredPart:
    """Which part of a long recording a clip is, and which others there must be."""

    number: int
    of: int
    with_face: frozenset[int]  # the numbers of those that have a face


CLEAR = 0.15
"""Confidence below which an offset says little: sounds of other clips come near it."""


@dataclass(frozen=True)
class Stored:
    """A clip that is in the dataset."""

    key: str
    source: Path
    stamp: Stamp
    held_out: bool
    current: bool  # made with the parameters of this version
    fps: float
    without_face: tuple[tuple[int, int], ...]  # first and last frame of every stretch
    part: StoredPart | None = None  # None: all of its source

    def of_all(self, numbers: frozenset[int]) -> bool:
        """Whether these are all clips that its source makes."""
        return self.part is None or self.part.with_face <= numbers


@dataclass(frozen=True)
class LeftOut:
    """A clip that is not in the dataset, and why."""

    source: Path
    reason: str
    stamp: Stamp | None = None
    final: bool = False  # the same content would be left out again


@dataclass(frozen=True)
class ClipOffset:
    """By how much the sound of a clip is late, as the lip-sync judge finds it.

    Attributes:
        offset_ms: negative where it is early; None of a face seen for too short a time.
        confidence: how clear that is; less than `CLEAR` where nobody is heard, or somebody else.
    """

    key: str
    offset_ms: float | None
    confidence: float | None

    @property
    def clear(self) -> bool:
        """Whether the offset says anything."""
        return self.confidence is not None and self.confidence >= CLEAR

    def astray(self, limit: float | None) -> str:
        """Why the clip is to be left out under a limit in ms either way; nothing if it is not."""
        if limit is None or self.offset_ms is None:
            return ""
        if not self.clear:
            return "sound and picture do not fit together"
        if abs(self.offset_ms) > limit:
            return f"sound and picture are more than {limit:g} ms apart"
        return ""


def read_clips(dataset: Path, parameters: Parameters) -> dict[str, Stored]:
    """Return the whole clips of a dataset by key; a folder that is damaged counts as missing."""
    clips = {}
    for place in sorted((dataset / "clips").glob("*/*/clip.json")):
        key = f"{place.parent.parent.name}/{place.parent.name}"
        clip = read_clip(dataset, key, parameters)
        if clip is not None:
            clips[key] = clip
    return clips


def read_clip(dataset: Path, key: str, parameters: Parameters) -> Stored | None:
    """Return one clip of a dataset, or None where it is missing or damaged."""
    try:
        about = json.loads((dataset / "clips" / key / "clip.json").read_text("utf-8"))
        rate = about["fps"].split("/")
        return Stored(
            key=key,
            source=Path(about["source"]),
            stamp=Stamp(about["sha256"], about["size"], about["changed_ns"]),
            held_out=bool(about["held_out"]),
            current=about["parameters"] == asdict(parameters),
            fps=int(rate[0]) / int(rate[1] if len(rate) > 1 else 1),
            without_face=tuple((first, last) for first, last in about["without_face"]),
            part=_part(about.get("part")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _part(about: dict[str, Any] | None) -> StoredPart | None:
    if about is None:
        return None
    return StoredPart(about["number"], about["of"], frozenset(about["with_face"]))


def discard(dataset: Path, key: str) -> None:
    """Remove a clip, at once and whole."""
    folder = dataset / "clips" / key
    going = folder.with_name(f".{folder.name[:40]}.{secrets.token_hex(4)}.part")
    folder.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def check_dataset(path: Path) -> dict[str, Any]:
    """Return what dataset.json says, {} for a folder that is new or empty.

    Raises:
        InputError: `path` is a file, or a folder of something else.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file, not a folder", "give another output folder")
    about = read_about(path)
    if about is not None:
        return about
    if path.is_dir() and any(place.name != ".lock" for place in path.iterdir()):
        raise InputError(
            f"{path} is not empty and not a prepared dataset", "give another output folder"
        )
    return {}


def sweep(dataset: Path) -> None:
    """Remove what an interrupted run has left behind. Safe only while the dataset is locked.

    What a worker of a cluster is still writing stays for the next time.
    """
    for place in [*dataset.glob("clips/*/.*.part*"), *dataset.glob("subsets/**/.*.part*")]:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
    for place in dataset.glob(".*.part*"):
        place.unlink()


def write_about(
    dataset: Path,
    parameters: Parameters,
    sizes: SubsetSizes,
    separate_test: bool,
    max_offset_ms: float | None,
) -> None:
    """Write dataset.json."""
    about = {
        "format": FORMAT,
        "parameters": asdict(parameters),
        "subset_sizes": asdict(sizes),
        "separate_test": separate_test,
        "max_offset_ms": max_offset_ms,
    }
    _write(dataset / "dataset.json", json.dumps(about, indent=2) + "\n")


def read_subsets(dataset: Path) -> Subsets:
    """Return the subsets as they are stored, with the clips that are set aside."""
    names = ((name, f"{ASIDE}/{name}") for name in SUBSETS)
    return Subsets(
        *({key for each in both for key in read_subset(dataset, each)} for both in names)
    )


def write_subsets(dataset: Path, subsets: Subsets) -> None:
    """Write the lists, sorted by name."""
    for name, keys in subsets.named().items():
        _write_list(dataset / "subsets" / f"{name}.txt", keys)


def set_aside(dataset: Path, subsets: Subsets) -> None:
    """Remember on which side clips were that are in no subset now: they may come back."""
    for name, keys in subsets.named().items():
        place = dataset / "subsets" / ASIDE / f"{name}.txt"
        if keys or place.is_file():
            _write_list(place, keys)


def _write_list(path: Path, keys: Iterable[str]) -> None:
    _write(path, "".join(f"{key}\n" for key in sorted(keys, key=natural)))


def candidates(clips: Iterable[Stored]) -> list[Candidate]:
    """Return the clips as what subsets are drawn from."""
    return [
        Candidate(clip.key, clip.key.split("/")[0], _content(clip), clip.held_out) for clip in clips
    ]


def _content(clip: Stored) -> str:
    """Return what stands for a clip's content: of a part, its recording's hash and its number."""
    if clip.part is None:
        return clip.stamp.sha256
    return hashlib.sha256(f"{clip.stamp.sha256} {clip.part.number}".encode()).hexdigest()


def read_left_out(dataset: Path) -> list[LeftOut]:
    """Return the clips that earlier runs left out for good."""
    path = dataset / "left_out.jsonl"
    out = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        try:
            entry = json.loads(line)
            if entry.get("final"):
                stamp = Stamp(entry["sha256"], entry["size"], entry["changed_ns"])
                out.append(LeftOut(Path(entry["source"]), entry["reason"], stamp, True))
        except (ValueError, KeyError):
            continue  # a line that is damaged costs only another try
    return out


def write_left_out(dataset: Path, clips: Iterable[LeftOut], stored: Iterable[Stored]) -> None:
    """Write what is left out: whole clips, and the frames without a face of those prepared."""
    lines: list[dict[str, Any]] = []
    for clip in clips:
        line = {"source": str(clip.source), "reason": clip.reason, "final": clip.final}
        lines.append(line | (asdict(clip.stamp) if clip.stamp else {}))
    present = list(stored)
    for source, number, of in sorted(_faceless(present)):
        reason = f"no face in part {number} of {of}"
        lines.append({"source": source, "reason": reason, "final": False})
    for kept in present:
        for first, last in kept.without_face:
            seconds = [round(first / kept.fps, 3), round((last + 1) / kept.fps, 3)]
            lines.append(
                {
                    "clip": kept.key,
                    "frames": [first, last],
                    "seconds": seconds,
                    "reason": "no face",
                }
            )
    _write(
        dataset / "left_out.jsonl",
        "".join(json.dumps(line) + "\n" for line in lines),
    )


def _faceless(clips: Iterable[Stored]) -> set[tuple[str, int, int]]:
    """Return the parts of recordings in which no face is seen: source, number, of how many."""
    return {
        (str(clip.source), number, clip.part.of)
        for clip in clips
        if clip.part is not None
        for number in set(range(clip.part.of)) - clip.part.with_face
    }


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
