"""Preparing a dataset: videos become face crops, mels and subsets."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lipgan_cli.engine.cluster import check_scheduler, work_on
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
from lipgan_cli.engine.data.parts import part_name, recording_name
from lipgan_cli.engine.data.recording import Job, Parameters, Recorded, Stamp, Unwritable, record
from lipgan_cli.engine.data.shelf import ClipOffset, LeftOut, Stored
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.paths import datasets_dir, locked
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.workers import Failed, cores, work


@dataclass(frozen=True)
class PrepareRequest:
    """What to prepare, and where to."""

    corpus: Path  # a folder of videos, or one video
    output: Path  # the dataset's folder; new clips are added to those in it
    test_dir: Path | None = None  # a corpus whose clips are for testing only
    processes: int = 0  # 0: one per core
    scheduler: str | None = None  # of a Dask cluster that makes the clips, instead of processes
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

    Over a cluster, the workers write the clips, into a folder that they share with this process,
    which alone locks the dataset and writes its lists.

    Raises:
        InputError: the corpus holds no video that can be prepared, the output is no dataset,
            another run writes it, or the cluster cannot be used.
        LipganError: the output cannot be written, or the scheduler was lost.
    """
    began = time.monotonic()
    if request.scheduler is not None:
        check_scheduler(request.scheduler)
        request = _absolute(request)
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
        # A worker's other cores belong to other workers: a job there has one thread.
        threads = _processes(request) if request.scheduler is None else 1
        plan = _plan(stamps, clips, refused, dataset, parameters, threads)
        left_out += plan.left_out
        separate_test = request.test_dir is not None or bool(about.get("separate_test"))
        sizes, limit = _sizes(request, about), _limit(request, about)
        shelf.write_about(dataset, parameters, sizes, separate_test, limit)
        try:
            recorded = _work(plan.jobs, request, left_out, progress)
        finally:
            shelf.sweep(dataset)
        prepared = [key for outcome in recorded for key in outcome.keys]
        for key in prepared:
            clip = shelf.read_clip(dataset, key, parameters)
            if clip is not None:
                clips[key] = clip
        for key in _replaced(clips, stamps):
            shelf.discard(dataset, key)
            del clips[key]
        offsets = _offsets(dataset, clips, request, progress) if clips else []
        astray = {each.key: reason for each in offsets if (reason := each.astray(limit))}
        left_out += [LeftOut(clips[key].source, reason) for key, reason in astray.items()]
        in_sync = [clip for key, clip in clips.items() if key not in astray]
        before = shelf.read_subsets(dataset)
        subsets = draw(shelf.candidates(in_sync), before, sizes, separate_test)
        aside = (keys & astray.keys() for keys in before.named().values())
        shelf.set_aside(dataset, Subsets(*aside))
        shelf.write_subsets(dataset, subsets)
        named = {path.source for path in left_out} | {source.path.resolve() for source in sources}
        others = [clip for clip in refused if clip.source not in named]  # of another corpus
        shelf.write_left_out(dataset, [*left_out, *others], clips.values())
    if not clips:
        raise _nothing(left_out, dataset)
    video_seconds = sum(outcome.seconds for outcome in recorded)
    seconds = time.monotonic() - began
    return PrepareSummary(
        dataset=dataset,
        prepared=len(prepared),
        present=plan.present,
        left_out=tuple(left_out),
        frames_without_face=sum(outcome.missing for outcome in recorded),
        video_seconds=video_seconds,
        seconds=seconds,
        times_real_time=video_seconds / seconds if recorded else None,
        subsets={name: len(keys) for name, keys in subsets.named().items()},
        offsets=tuple(offsets),
    )


def _offsets(
    dataset: Path, keys: Iterable[str], request: PrepareRequest, progress: Progress
) -> list[ClipOffset]:
    # torch takes seconds to import; what is wrong with the corpus is told before.
    from lipgan_cli.engine.data.offsets import measure_offsets

    opened, ordered = Dataset.open(dataset), sorted(keys, key=natural)
    return measure_offsets(opened, ordered, _processes(request), progress, request.scheduler)


def _absolute(request: PrepareRequest) -> PrepareRequest:
    """Return the request with paths that mean the same from wherever a worker was started."""
    tests = request.test_dir and request.test_dir.absolute()
    corpus, output = request.corpus.absolute(), request.output.absolute()
    return replace(request, corpus=corpus, output=output, test_dir=tests)


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


def _processes(request: PrepareRequest) -> int:
    return request.processes or cores()


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
        ThreadPoolExecutor(cores()) as threads,
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
    processes: int,
) -> _Plan:
    """Decide which sources are to be prepared, and under which keys."""
    stored: dict[str, list[Stored]] = {}
    for clip in clips.values():
        stored.setdefault(clip.stamp.sha256, []).append(clip)
    reasons = {clip.stamp.sha256: clip.reason for clip in refused if clip.stamp}
    names = _Names(clips, stamped)
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
        made = stored.get(stamp.sha256, [])
        done = frozenset(clip.part.number for clip in made if clip.part and clip.current)
        if made and all(clip.current and clip.of_all(done) for clip in made):
            present += len(made)
            continue
        if stamp.sha256 in reasons:
            left_out.append(LeftOut(path, reasons[stamp.sha256], stamp, final=True))
            continue
        key, base = names.kept(made[0]) if made else names.new(source, stamp)
        whole = any(clip.part is None for clip in made)
        job = Job(source, stamp, key, base, dataset / "clips", parameters, done, whole)
        jobs.append(job)
    threads = max(1, processes // max(1, len(jobs)))  # what processes without a job leave
    return _Plan([replace(job, threads=threads) for job in jobs], present, left_out)


class _Names:
    """Gives every source the key of its clip, and one that the keys of its parts begin with."""

    def __init__(self, clips: dict[str, Stored], stamped: list[tuple[Source, Stamp]]) -> None:
        self._clips = clips
        self._contents = {stamp.sha256 for _, stamp in stamped}
        self._taken = {key.casefold() for key in clips}
        # Whose names end like those of parts of a recording: that must be called otherwise.
        self._numbered: dict[str, set[Path | None]] = {}
        for key, clip in clips.items():
            self._note(key, clip.source if clip.stamp.sha256 not in self._contents else None)
        for source, _ in stamped:
            self._note(f"{source.speaker}/{source.name}", source.path.resolve())

    def _note(self, key: str, owner: Path | None) -> None:
        base = recording_name(key.casefold())
        if base is not None:
            self._numbered.setdefault(base, set()).add(owner)

    def kept(self, clip: Stored) -> tuple[str, str]:
        """Return the key and base of a source that has clips already, of which this is one."""
        self._taken.add(clip.key.casefold())
        if clip.part is None:
            return clip.key, clip.key
        base = clip.key.removesuffix(part_name("", clip.part.number))
        return base, base

    def new(self, source: Source, stamp: Stamp) -> tuple[str, str]:
        """Return the key and base of a source that has none; its own where that is free."""
        path, own = source.path.resolve(), f"{source.speaker}/{source.name}"
        hashed = f"{own}-{stamp.sha256[:8]}"
        old = self._clips.get(own)
        replaced = old and old.source == path and old.stamp.sha256 not in self._contents
        key = hashed if own.casefold() in self._taken and not replaced else own
        self._taken.add(key.casefold())
        alone = self._numbered.get(own.casefold(), set()) <= {path}
        return key, key if alone else hashed


def _replaced(clips: dict[str, Stored], stamped: list[tuple[Source, Stamp]]) -> list[str]:
    """Return the clips of what a file held before it came to hold something else that is here."""
    here = {clip.stamp.sha256 for clip in clips.values()}
    contents = {stamp.sha256 for _, stamp in stamped}
    arrived = {source.path.resolve() for source, stamp in stamped if stamp.sha256 in here}
    return [
        key
        for key, clip in clips.items()
        if clip.source in arrived and clip.stamp.sha256 not in contents
    ]


def _work(
    jobs: list[Job], request: PrepareRequest, left_out: list[LeftOut], progress: Progress
) -> list[Recorded]:
    """Do the jobs; return what was made, and add to `left_out` what could not be done."""
    recorded: list[Recorded] = []
    began, seconds = time.monotonic(), 0.0
    if request.scheduler is None:
        work_done = work(record, jobs, _processes(request))
    else:
        inputs = [path for path in (request.corpus, request.test_dir) if path is not None]
        work_done = work_on(request.scheduler, record, jobs, request.output, inputs)
    with (
        progress.task("Preparing", len(jobs), "videos") as bar,
        closing(work_done) as outcomes,
    ):
        for job, outcome in outcomes:
            path = job.source.path.resolve()
            if isinstance(outcome, Recorded):
                recorded.append(outcome)
                seconds += outcome.seconds
            elif isinstance(outcome, Unwritable):
                raise LipganError(outcome.reason, "make room, or choose another output folder")
            else:
                final = not isinstance(outcome, Failed)
                left_out.append(LeftOut(path, outcome.reason, job.stamp, final))
            bar.advance()
            bar.show(**{"x real time": seconds / max(time.monotonic() - began, 1e-9)})
    return recorded
