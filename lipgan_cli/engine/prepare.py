"""Preparing a dataset: videos become face crops, mels and subsets."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipgan_cli.engine.data import shelf
from lipgan_cli.engine.data.corpus import (
    Source,
    Subsets,
    SubsetSizes,
    draw,
    find_clips,
    natural,
    plain_name,
)
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.recording import Job, Parameters, Recorded, Stamp, Unwritable, record
from lipgan_cli.engine.data.shelf import ClipOffset, LeftOut, Stored
from lipgan_cli.engine.data.workers import Failed, work
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.paths import datasets_dir, locked
from lipgan_cli.engine.progress import Progress


@dataclass(frozen=True)
class PrepareRequest:
    """What to prepare, and where to."""

    corpus: Path  # a folder of videos, or one video
    output: Path  # the dataset's folder; new clips are added to those in it
    test_dir: Path | None = None  # a corpus whose clips are for testing only
    processes: int = 0  # 0: one per core
    small: int | None = None  # clips of a speaker at most; None: as the dataset has it
    full: int | None = None
    test: int | None = None
    max_offset_ms: float | None = None  # beyond, a clip is in no subset; 0: no limit


@dataclass(frozen=True)
class PrepareSummary:
    """What a run has done, and what the dataset now holds."""

    dataset: Path
    prepared: int  # clips
    present: int  # clips that were there already
    left_out: tuple[LeftOut, ...]
    frames_without_face: int  # in the clips of this run
    video_seconds: float  # of the clips of this run
    seconds: float  # that the run took
    times_real_time: float | None  # seconds of video a second; None when nothing was to be done
    subsets: dict[str, int]  # clips in each
    offsets: tuple[ClipOffset, ...]  # of the sound of every clip of the dataset


def dataset_folder(name: str | None, corpus: Path) -> Path:
    """Return the folder of the user's dataset of this name, or of the corpus's own.

    Raises:
        InputError: the name cannot be that of a folder.
    """
    if name is None:
        name = corpus.resolve().stem if corpus.is_file() else corpus.resolve().name
    if not name or plain_name(name) != name:
        raise InputError(f"{name!r} cannot name a dataset", "give another one with --name")
    return datasets_dir() / name


def prepare(request: PrepareRequest, progress: Progress) -> PrepareSummary:
    """Prepare a corpus into a dataset; clips that are in it already are left as they are.

    Raises:
        InputError: the corpus holds no video that can be prepared, the output is no dataset, or
            another run writes it.
        LipganError: the output cannot be written.
    """
    began = time.monotonic()
    dataset, parameters = request.output, Parameters()
    # The test corpus comes first: a file that is in both belongs to it.
    sources = find_clips(request.test_dir, held_out=True) if request.test_dir else []
    sources += find_clips(request.corpus)
    about = shelf.check_dataset(dataset)
    with locked(dataset):
        shelf.sweep(dataset)
        clips = shelf.read_clips(dataset, parameters)
        same_parameters = about.get("parameters") == asdict(parameters)
        refused = shelf.read_left_out(dataset) if same_parameters else []
        stamps, left_out = _stamp(sources, clips.values(), refused, progress)
        plan = _plan(stamps, clips, refused, dataset, parameters)
        left_out += plan.left_out
        separate_test = request.test_dir is not None or bool(about.get("separate_test"))
        sizes, limit = _sizes(request, about), _limit(request, about)
        shelf.write_about(dataset, parameters, sizes, separate_test, limit)
        processes = request.processes or _cores()
        try:
            recorded = _work(plan.jobs, processes, left_out, progress)
        finally:
            shelf.sweep(dataset)
        for key in recorded:
            clip = shelf.read_clip(dataset, key, parameters)
            if clip is not None:
                clips[key] = clip
        offsets = _offsets(dataset, clips, processes, progress) if clips else []
        astray = {offset.key for offset in offsets if offset.beyond(limit)}
        reason = f"sound and picture are more than {limit or 0:g} ms apart"
        left_out += [LeftOut(clips[key].source, reason) for key in sorted(astray)]
        in_sync = [clip for key, clip in clips.items() if key not in astray]
        before = shelf.read_subsets(dataset)
        subsets = draw(shelf.candidates(in_sync), before, sizes, separate_test)
        shelf.set_aside(dataset, Subsets(*(keys & astray for keys in before.named().values())))
        shelf.write_subsets(dataset, subsets)
        named = {path.source for path in left_out} | {source.path.resolve() for source in sources}
        others = [clip for clip in refused if clip.source not in named]  # of another corpus
        shelf.write_left_out(dataset, [*left_out, *others], clips.values())
    if not clips:
        raise _nothing(left_out, dataset)
    video_seconds = sum(clip.seconds for clip in recorded.values())
    seconds = time.monotonic() - began
    return PrepareSummary(
        dataset=dataset,
        prepared=len(recorded),
        present=plan.present,
        left_out=tuple(left_out),
        frames_without_face=sum(clip.missing for clip in recorded.values()),
        video_seconds=video_seconds,
        seconds=seconds,
        times_real_time=video_seconds / seconds if recorded else None,
        subsets={name: len(keys) for name, keys in subsets.named().items()},
        offsets=tuple(offsets),
    )


def _offsets(
    dataset: Path, keys: Iterable[str], processes: int, progress: Progress
) -> list[ClipOffset]:
    # torch takes seconds to import; what is wrong with the corpus is told before.
    from lipgan_cli.engine.data.offsets import measure_offsets

    return measure_offsets(Dataset.open(dataset), sorted(keys, key=natural), processes, progress)


def _nothing(left_out: list[LeftOut], dataset: Path) -> LipganError:
    """Return the error for a corpus of which not one video could be prepared."""
    if len(left_out) == 1:
        return InputError(f"{left_out[0].source} cannot be prepared: {left_out[0].reason}")
    reason, count = Counter(clip.reason for clip in left_out).most_common(1)[0]
    return InputError(
        f"none of {len(left_out)} videos can be prepared; {count} of them: {reason}",
        f"{dataset / 'left_out.jsonl'} gives the reason for each",
    )


def _sizes(request: PrepareRequest, about: dict[str, Any]) -> SubsetSizes:
    """Return the subset sizes asked for, else those that the dataset has, else the usual ones."""
    asked = {"small": request.small, "full": request.full, "test": request.test}
    stored = about.get("subset_sizes", {})
    known = asdict(SubsetSizes()) | stored | {k: v for k, v in asked.items() if v is not None}
    return SubsetSizes(small=known["small"], full=known["full"], test=known["test"])


def _limit(request: PrepareRequest, about: dict[str, Any]) -> float | None:
    """Return the limit asked for, else that which the dataset has; 0 is none."""
    stored: float | None = about.get("max_offset_ms")
    return (stored if request.max_offset_ms is None else request.max_offset_ms) or None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _stamp(
    sources: list[Source], clips: Iterable[Stored], refused: Iterable[LeftOut], progress: Progress
) -> tuple[list[tuple[Source, Stamp]], list[LeftOut]]:
    """Return the sources with their content's hash, and those that cannot be read.

    A file that an earlier run has seen is not read again while its size and date are the same.
    """
    known = {clip.source: clip.stamp for clip in clips}
    known |= {clip.source: clip.stamp for clip in refused if clip.stamp}
    out, unreadable = [], []

    def stamp(source: Source) -> Stamp | LeftOut:
        path = source.path.resolve()
        try:
            status = path.stat()
            old = known.get(path)
            if old and (old.size, old.changed_ns) == (status.st_size, status.st_mtime_ns):
                return old
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return LeftOut(path, f"cannot be read: {error.strerror}")
        return Stamp(digest, status.st_size, status.st_mtime_ns)

    with (
        progress.task("Reading the corpus", len(sources), "files") as bar,
        ThreadPoolExecutor(_cores()) as threads,
    ):
        for source, result in zip(sources, threads.map(stamp, sources), strict=True):
            if isinstance(result, Stamp):
                out.append((source, result))
            else:
                unreadable.append(result)
            bar.advance()
    return out, unreadable


@dataclass(frozen=True)
class _Plan:
    jobs: list[Job]
    present: int
    left_out: list[LeftOut]


def _plan(
    stamped: list[tuple[Source, Stamp]],
    clips: dict[str, Stored],
    refused: Iterable[LeftOut],
    dataset: Path,
    parameters: Parameters,
) -> _Plan:
    """Decide which sources are to be prepared, and under which keys."""
    stored = {clip.stamp.sha256: clip for clip in clips.values()}
    reasons = {clip.stamp.sha256: clip.reason for clip in refused if clip.stamp}
    contents = {stamp.sha256 for _, stamp in stamped}
    taken = {key.casefold() for key in clips}
    seen: dict[str, Path] = {}
    jobs, present, left_out = [], 0, []
    for source, stamp in stamped:
        path = source.path.resolve()
        if stamp.sha256 in seen:
            other = seen[stamp.sha256]
            if other != path:
                left_out.append(LeftOut(path, f"has the same content as {other}", stamp))
            continue
        seen[stamp.sha256] = path
        clip = stored.get(stamp.sha256)
        if clip is not None and clip.current:
            present += 1
            continue
        if stamp.sha256 in reasons:
            left_out.append(LeftOut(path, reasons[stamp.sha256], stamp, final=True))
            continue
        if clip is not None:
            key = clip.key
        else:
            key = f"{source.speaker}/{source.name}"
            old = clips.get(key)
            replaced = old and old.source == path and old.stamp.sha256 not in contents
            if key.casefold() in taken and not replaced:
                key = f"{key}-{stamp.sha256[:8]}"
        taken.add(key.casefold())
        jobs.append(Job(source, stamp, key, dataset / "clips" / key, parameters))
    return _Plan(jobs, present, left_out)


def _work(
    jobs: list[Job], processes: int, left_out: list[LeftOut], progress: Progress
) -> dict[str, Recorded]:
    """Do the jobs; return what became of each key, and add to `left_out` what could not be done."""
    recorded: dict[str, Recorded] = {}
    began, seconds = time.monotonic(), 0.0
    with (
        progress.task("Preparing", len(jobs), "clips") as bar,
        closing(work(record, jobs, processes)) as outcomes,
    ):
        for job, outcome in outcomes:
            path = job.source.path.resolve()
            if isinstance(outcome, Recorded):
                recorded[job.key] = outcome
                seconds += outcome.seconds
            elif isinstance(outcome, Unwritable):
                raise LipganError(outcome.reason, "make room, or choose another output folder")
            else:
                final = not isinstance(outcome, Failed)
                left_out.append(LeftOut(path, outcome.reason, job.stamp, final))
            bar.advance()
            bar.show(**{"x real time": seconds / max(time.monotonic() - began, 1e-9)})
    return recorded
