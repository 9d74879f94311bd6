"""What a dataset holds already, and keeping its lists; only one run at a time writes them."""

from __future__ import annotations

import json
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
class Stored:
    """A clip that is in the dataset."""

    key: str
    source: Path
    stamp: Stamp
    held_out: bool
    current: bool  # made with the parameters of this version
    fps: float
    without_face: tuple[tuple[int, int], ...]  # first and last frame of every stretch


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
        confidence: how clear that is; about 0 of a sound that does not belong to the face.
    """

    key: str
    offset_ms: float | None
    confidence: float | None

    def beyond(self, limit: float | None) -> bool:
        """Whether the sound is further off than `limit` ms either way; None is no limit."""
        return limit is not None and self.offset_ms is not None and abs(self.offset_ms) > limit


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
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


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
    """Remove what an interrupted run has left behind. Safe only while the dataset is locked."""
    for place in [*dataset.glob("clips/*/.*.part*"), *dataset.glob("subsets/**/.*.part*")]:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
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
        Candidate(clip.key, clip.key.split("/")[0], clip.stamp.sha256, clip.held_out)
        for clip in clips
    ]


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
    for kept in stored:
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


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
