"""How late the sound of each prepared clip is, as the lip-sync judge finds it.

It is kept in the dataset's offsets.json, with the SHA-256 of each source and of the judge: what has
not changed is not judged again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.shelf import ClipOffset, Stored
from lipgan_cli.engine.metrics.judge import DEFAULT_JUDGE, load_judge
from lipgan_cli.engine.metrics.lipsync import SyncFigures, embed, mouth, verdict
from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.progress import Progress

FILE = "offsets.json"


def measure_offsets(
    dataset: Dataset, clips: Mapping[str, Stored], progress: Progress
) -> list[ClipOffset]:
    """Return the offset of every clip, in the order of `clips`; those judged before are not again.

    What is found is written when all are done.
    """
    judge_hash = hashlib.sha256(DEFAULT_JUDGE.read_bytes()).hexdigest()
    known = _read(dataset.path, judge_hash)
    found: dict[str, ClipOffset] = {}
    missing = []
    for key, clip in clips.items():
        entry = known.get(key)
        if entry is not None and entry["sha256"] == clip.stamp.sha256:
            found[key] = ClipOffset(key, entry["offset_ms"], entry["confidence"])
        else:
            missing.append(key)
    if missing:
        found |= {offset.key: offset for offset in _judged(dataset, missing, progress)}
        entries = {
            key: {"sha256": clips[key].stamp.sha256, **asdict(offset)}
            for key, offset in found.items()
        }
        with atomic_path(dataset.path / FILE) as temporary:
            temporary.write_text(json.dumps({"judge": judge_hash, "clips": entries}), "utf-8")
    return [found[key] for key in clips]


def _judged(dataset: Dataset, keys: Sequence[str], progress: Progress) -> Iterator[ClipOffset]:
    judge = load_judge()
    with progress.task("Judging sound against picture", len(keys), "clips") as bar:
        for key in keys:
            clip = dataset.clip(key)
            mouths = (mouth(clip.face(i)) for i in range(len(clip)))
            said = verdict(embed(judge, mouths, clip.times, clip.mel()))
            yield _offset(key, said)
            bar.advance()


def _offset(key: str, said: SyncFigures | None) -> ClipOffset:
    if said is None:
        return ClipOffset(key, None, None)
    return ClipOffset(key, round(said.offset_ms, 1), round(said.confidence, 4))


def _read(dataset: Path, judge_hash: str) -> dict[str, Any]:
    """What this judge has found before; a damaged file costs only its work."""
    try:
        stored = json.loads((dataset / FILE).read_text("utf-8"))
        return dict(stored["clips"]) if stored["judge"] == judge_hash else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
