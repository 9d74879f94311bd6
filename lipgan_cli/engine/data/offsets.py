"""How late the sound of each prepared clip is, as the lip-sync judge finds it.

It is kept in the dataset's offsets.json, with the SHA-256 of the judge and of each clip.json: what
has not changed is not judged again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import torch

from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.cluster import work_on
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.shelf import ClipOffset
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.metrics.judge import DEFAULT_JUDGE, Judge, load_judge
from lipgan_cli.engine.metrics.lipsync import embed, mouth, verdict
from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.workers import Failed, work

FILE = "offsets.json"
FEW = 30
"""Clips below which a second process would start longer than it works."""


@dataclass(frozen=True, eq=False)
class _Job:
    dataset: Dataset
    key: str
    sha256: str  # of the clip's clip.json


def measure_offsets(
    dataset: Dataset,
    keys: Iterable[str],
    processes: int,
    progress: Progress,
    scheduler: str | None = None,
) -> list[ClipOffset]:
    """Return the offset of every clip, in the order of `keys`; those judged before are not again.

    With a scheduler, the workers of its cluster judge, which see the dataset under the same path.
    What is found is kept, with Ctrl-C too. A clip that is damaged has no offset, and is tried again
    the next time.
    """
    judge_hash = content_hash(DEFAULT_JUDGE)
    known = _read(dataset.path, judge_hash)
    jobs = [_Job(dataset, key, content_hash(dataset.about_file(key))) for key in keys]
    found = {job: known[job.key, job.sha256] for job in jobs if (job.key, job.sha256) in known}
    missing = [job for job in jobs if job not in found]
    if missing:
        try:
            found.update(_judged(missing, processes, progress, scheduler))
        finally:
            _write(dataset.path, judge_hash, {job: found[job] for job in jobs if job in found})
    return [found.get(job, ClipOffset(job.key, None, None)) for job in jobs]


def _judged(
    jobs: Sequence[_Job], processes: int, progress: Progress, scheduler: str | None
) -> Iterator[tuple[_Job, ClipOffset]]:
    if len(jobs) < FEW:
        work_done = ((job, _outcome(job)) for job in jobs)
    elif scheduler is None:
        work_done = work(_outcome, jobs, processes)
    else:
        work_done = work_on(scheduler, _outcome, jobs, jobs[0].dataset.path)
    with (
        progress.task("Judging sound against picture", len(jobs), "clips") as bar,
        closing(work_done) as outcomes,
    ):
        for job, outcome in outcomes:
            if isinstance(outcome, ClipOffset):
                yield job, outcome
            else:
                progress.note(f"{job.key}: {outcome.reason}")
            bar.advance()


def _outcome(job: _Job) -> ClipOffset | Failed:
    try:
        clip = job.dataset.clip(job.key)
        mouths = (mouth(clip.face(i)) for i in range(len(clip)))
        said = verdict(embed(_judge(DEFAULT_JUDGE), mouths, clip.times, clip.mel()))
    except LipganError as error:
        return Failed(error.message)
    if said is None:
        return ClipOffset(job.key, None, None)
    return ClipOffset(job.key, round(said.offset_ms, 1), round(said.confidence, 4))


@cache
def _judge(file: Path) -> Judge:
    if parent_process() is not None:
        torch.set_num_threads(1)  # the processes share the cores
    return load_judge(file)


def _read(dataset: Path, judge_hash: str) -> dict[tuple[str, str], ClipOffset]:
    """What this judge found, by key and hash; a damaged file costs only its work."""
    try:
        stored = json.loads((dataset / FILE).read_text("utf-8"))
        if stored["judge"] != judge_hash:
            return {}
        return {(entry["key"], entry["sha256"]): _known(entry) for entry in stored["clips"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _known(entry: Mapping[str, Any]) -> ClipOffset:
    late, confidence = (
        None if entry[name] is None else float(entry[name]) for name in ("offset_ms", "confidence")
    )
    return ClipOffset(entry["key"], late, confidence)


def _write(dataset: Path, judge_hash: str, found: Mapping[_Job, ClipOffset]) -> None:
    clips = [{**asdict(offset), "sha256": job.sha256} for job, offset in found.items()]
    with atomic_path(dataset / FILE) as temporary:
        temporary.write_text(json.dumps({"judge": judge_hash, "clips": clips}), "utf-8")
