"""Long recordings in `prepare`: parts, each a clip of its own, some of them held out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipgan_cli.engine import prepare as module
from lipgan_cli.engine.data import parts, recording
from lipgan_cli.engine.data.dataset import Clip, Dataset
from lipgan_cli.engine.data.parts import cut
from lipgan_cli.engine.data.recording import Job
from lipgan_cli.engine.media import flac, video
from lipgan_cli.engine.media.audio import mel_spectrogram, mel_windows
from lipgan_cli.engine.prepare import PrepareRequest, PrepareSummary, prepare
from lipgan_cli.engine.progress import Silent

RATE = 16000
FPS = 10


@pytest.fixture(scope="session")
def films(film_head: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of 46 s (eight parts), of 23 s (four), another of these, and one of 3 s."""
    folder = tmp_path_factory.mktemp("films")
    film_head(folder / "long.mp4", 46)
    film_head(folder / "medium.mp4", 23)
    film_head(folder / "other.mp4", 20.5, seed=2)
    film_head(folder / "short.mp4", 3, seed=3)
    return folder


@pytest.fixture
def presenter(films: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Put one of the recordings in the place of presenter.mp4."""

    def place(name: str) -> Path:
        shutil.copy(films / f"{name}.mp4", tmp_path / "presenter.mp4")
        return tmp_path / "presenter.mp4"

    return place


@pytest.fixture
def jobs_done(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Let jobs run in this process; tell which did."""
    done: list[Job] = []

    def serial(
        do: Callable[[Job], Any], jobs: list[Job], processes: int
    ) -> Iterator[tuple[Job, Any]]:
        for job in jobs:
            done.append(job)
            yield job, do(job)

    monkeypatch.setattr(module, "work", serial)
    return done


def run(source: Path, output: Path, **settings: Any) -> PrepareSummary:
    return prepare(PrepareRequest(source, output, processes=2, **settings), Silent())


def names(output: Path) -> list[str]:
    """All folders of clips, those that are not whole too."""
    return sorted(f"{path.parent.name}/{path.name}" for path in output.glob("clips/*/*"))


def keys(count: int, name: str = "presenter") -> list[str]:
    return [f"presenter/{name}-{number:03d}" for number in range(count)]


def subset(output: Path, name: str) -> list[str]:
    return (output / "subsets" / f"{name}.txt").read_text("utf-8").splitlines()


def about(output: Path, key: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((output / "clips" / key / "clip.json").read_text("utf-8"))
    return data


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_long_recording_holds_out_seconds_of_itself(
    presenter: Callable[[str], Path], tmp_path: Path, jobs_done: list[Job]
) -> None:
    source, output = presenter("long"), tmp_path / "out"
    summary = run(source, output)
    assert names(output) == keys(8)
    assert (summary.prepared, summary.present, summary.left_out) == (8, 0, ())
    assert summary.subsets == {"small": 3, "full": 6, "test": 2}
    assert not set(subset(output, "test")) & set(subset(output, "full"))
    assert summary.video_seconds == pytest.approx(46 - 7 * 0.6, abs=8 / FPS)
    assert [offset.key for offset in summary.offsets] == keys(8)
    lists = {path: path.read_bytes() for path in output.glob("subsets/*")}
    jobs_done.clear()
    again = run(source, output)
    assert not jobs_done
    assert (again.prepared, again.present, again.times_real_time) == (0, 8, None)
    assert {path: path.read_bytes() for path in output.glob("subsets/*")} == lists
    # A copy elsewhere is the same content; of the same file twice, one is left out.
    elsewhere = shutil.copy(source, tmp_path / "copy.mp4")
    assert run(elsewhere, output).present == 8
    assert not jobs_done


def test_a_part_is_what_the_whole_has_there(
    presenter: Callable[[str], Path],
    tmp_path: Path,
    jobs_done: list[Job],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frames, boxes, times and sound; and no part has anything of another."""
    source, output = presenter("medium"), tmp_path / "out"
    run(source, output)
    with monkeypatch.context() as patch:
        patch.setattr(parts, "WHOLE_SECONDS", 100.0)
        run(source, tmp_path / "whole")
    (whole,) = Dataset.open(tmp_path / "whole").clips("full")
    assert whole.key == "presenter/presenter"
    told = about(tmp_path / "whole", whole.key)
    assert "part" not in told
    everything = mel_windows(whole.mel(), whole.times)
    sound, before = whole.sound(), -1
    for part, clip in zip(cut(np.arange(231) / FPS), opened(output), strict=True):
        assert clip.frames.tolist() == list(part.frames)
        here = slice(part.frames.start, part.frames.stop)
        mine = about(output, clip.key)
        assert mine["part"] == {
            "number": part.number,
            "of": 4,
            "with_face": [0, 1, 2, 3],
            "begins": part.begins,
        }
        for what in ("boxes", "squares"):
            assert mine[what] == told[what][here]
        for what in ("sha256", "fps", "parameters", "source"):
            assert mine[what] == told[what]
        for number in clip.frames:
            face = f"{number:05d}.jpg"
            assert (clip.folder / face).read_bytes() == (whole.folder / face).read_bytes()
        np.testing.assert_allclose(clip.times + part.begins, whole.times[here], atol=1e-9)
        # Its own sound is that piece of the whole's, and its windows hear nothing else.
        first = round(part.begins * RATE)
        piece = clip.sound()
        assert np.array_equal(piece, sound[first : first + len(piece)])
        assert np.array_equal(clip.mel(), mel_spectrogram(piece))
        assert np.array_equal(mel_windows(clip.mel(), clip.times), everything[here])
        assert first > before
        before = first + len(piece)


def opened(output: Path) -> list[Clip]:
    dataset = Dataset.open(output)
    return [dataset.clip(key) for key in names(output)]


@pytest.mark.parametrize("held", [True, False])
def test_a_recording_is_decoded_as_often_as_a_clip_however_many_parts_it_has(
    presenter: Callable[[str], Path],
    tmp_path: Path,
    jobs_done: list[Job],
    monkeypatch: pytest.MonkeyPatch,
    held: bool,
) -> None:
    """Once where its frames fit in memory; else once to follow the face, once to cut it."""
    decoded = 0
    read = video.read_frames

    def counted(*arguments: Any, **settings: Any) -> Iterator[video.Frame]:
        nonlocal decoded
        for frame in read(*arguments, **settings):
            decoded += 1
            yield frame

    monkeypatch.setattr(recording.video, "read_frames", counted)
    monkeypatch.setattr(recording, "HELD_BYTES", 1 << 30 if held else 0)
    run(presenter("medium"), tmp_path / "out")
    assert decoded == (230 if held else 460)


def test_what_an_interrupted_run_has_not_made_the_next_one_does(
    presenter: Callable[[str], Path],
    tmp_path: Path,
    jobs_done: list[Job],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, output = presenter("medium"), tmp_path / "out"
    run(source, tmp_path / "whole")
    write, written = flac.write_flac, 0

    def interrupted(path: Path, samples: np.ndarray) -> None:
        nonlocal written
        if written == 2:
            raise KeyboardInterrupt
        written += 1
        write(path, samples)

    with monkeypatch.context() as patch:
        patch.setattr(recording.flac, "write_flac", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(source, output)
    assert names(output) == keys(2)
    kept = {name: (output / "clips" / name).stat().st_mtime_ns for name in keys(2)}
    jobs_done.clear()
    summary = run(source, output)
    assert [job.done for job in jobs_done] == [{0, 1}]
    assert (summary.prepared, summary.present) == (2, 0)
    assert {name: (output / "clips" / name).stat().st_mtime_ns for name in keys(2)} == kept
    for key in keys(4):
        assert content(output / "clips" / key) == content(tmp_path / "whole" / "clips" / key)
    # One that is damaged is made again, alone.
    (output / "clips" / keys(4)[1] / "clip.json").unlink()
    jobs_done.clear()
    assert run(source, output).prepared == 1
    assert [job.done for job in jobs_done] == [{0, 2, 3}]
    assert names(output) == keys(4)


@pytest.mark.skipif(os.name == "nt", reason="there are no process groups to kill")
def test_kill_9_leaves_whole_parts_alone(
    presenter: Callable[[str], Path], tmp_path: Path, jobs_done: list[Job]
) -> None:
    source, output = presenter("long"), tmp_path / "out"
    code = "import sys; from lipgan_cli.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "prep", str(source), "-o", str(output), "-j", "1"]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    while not (output / "clips" / keys(2)[1]).is_dir():
        assert process.poll() is None, "the run ended before it was killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = [name for name in names(output) if "/." not in name]
    assert 2 <= len(left) <= 8
    for key in left:
        clip = Dataset.open(output).clip(key)
        assert clip.face(len(clip) - 1).shape == (96, 96, 3)
        assert np.array_equal(clip.mel(), mel_spectrogram(clip.sound()))
    summary = run(source, output)
    assert summary.prepared == 8 - len(left)
    assert names(output) == keys(8)
    assert summary.subsets == {"small": 3, "full": 6, "test": 2}


def test_a_part_without_a_face_is_left_out(
    film_head: Callable[..., Path], tmp_path: Path, jobs_done: list[Job]
) -> None:
    """The second of four parts, from 5.9 s to 11.2 s, and a little of the third."""
    source = film_head(tmp_path / "presenter.mp4", 23, empty=(5.5, 12.5))
    output = tmp_path / "out"
    summary = run(source, output)
    assert (summary.prepared, len(summary.left_out)) == (3, 0)
    assert names(output) == [key for key in keys(4) if not key.endswith("001")]
    frames = cut(np.arange(231) / FPS)[1].frames
    assert summary.frames_without_face == len(frames) + 125 - 118
    lines = [json.loads(line) for line in (output / "left_out.jsonl").read_text().splitlines()]
    assert lines == [
        {"source": str(source), "reason": "no face in part 1 of 4", "final": False},
        {
            "clip": "presenter/presenter-002",
            "frames": [118, 124],
            "seconds": [11.8, 12.5],
            "reason": "no face",
        },
    ]
    jobs_done.clear()
    again = run(source, output)
    assert not jobs_done
    assert (again.prepared, again.present) == (0, 3)
    assert len((output / "left_out.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("long", "medium", keys(4)),
        ("medium", "long", keys(8)),
        ("medium", "short", ["presenter/presenter"]),
        ("short", "medium", keys(4)),
    ],
)
def test_a_recording_that_has_changed_takes_its_own_place(
    presenter: Callable[[str], Path],
    tmp_path: Path,
    jobs_done: list[Job],
    one: str,
    other: str,
    expected: list[str],
) -> None:
    """Nothing of the old one stays: its seconds would be trained on here and tested on there."""
    output = tmp_path / "out"
    run(presenter(one), output)
    tested = set(subset(output, "test"))
    summary = run(presenter(other), output)
    assert names(output) == expected
    assert summary.prepared == len(expected)
    assert {*subset(output, "full"), *subset(output, "test")} == set(expected)
    assert tested & set(expected) <= set(subset(output, "test"))
    assert [offset.key for offset in summary.offsets] == expected


def test_an_old_recording_stays_until_the_new_one_is_there(
    presenter: Callable[[str], Path], tmp_path: Path, jobs_done: list[Job]
) -> None:
    output = tmp_path / "out"
    run(presenter("medium"), output)
    source = presenter("short")
    source.write_bytes(source.read_bytes()[:2000])
    summary = run(source, output)
    assert (summary.prepared, len(summary.left_out)) == (0, 1)
    assert names(output) == keys(4)


def test_clips_that_are_called_like_parts_keep_apart(
    films: Path, tmp_path: Path, jobs_done: list[Job]
) -> None:
    folder, output = tmp_path / "presenter", tmp_path / "out"
    folder.mkdir()
    shutil.copy(films / "medium.mp4", folder / "take.mp4")
    shutil.copy(films / "short.mp4", folder / "take-001.mp4")
    run(folder, output)
    digest = about(output, names(output)[-1])["sha256"][:8]
    assert names(output) == ["presenter/take-001", *keys(4, f"take-{digest}")]
    assert about(output, "presenter/take-001")["seconds"] == 3
    jobs_done.clear()
    run(folder, output)
    assert not jobs_done
    # A clip that comes later, and is called like a part that is there.
    (tmp_path / "second").mkdir()
    later = tmp_path / "second" / "presenter"
    later.mkdir()
    shutil.copy(films / "medium.mp4", later / "talk.mp4")
    run(later, tmp_path / "more")
    shutil.copy(films / "short.mp4", later / "talk-002.mp4")
    run(later, tmp_path / "more")
    found = names(tmp_path / "more")
    assert [name for name in found if len(name) < 20] == keys(4, "talk")
    assert len(found) == 5


def test_a_recording_that_an_earlier_version_made_one_clip_of_stays_one(
    presenter: Callable[[str], Path],
    tmp_path: Path,
    jobs_done: list[Job],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is trained on as it is; cut into parts, some of it would be tested on."""
    source, output = presenter("medium"), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(parts, "WHOLE_SECONDS", 100.0)
        run(source, output)
    jobs_done.clear()
    assert run(source, output).present == 1
    assert not jobs_done
    usual = module.Parameters()
    monkeypatch.setattr(
        module, "Parameters", lambda: type(usual)(**{**vars(usual), "key_interval": 7})
    )
    assert run(source, output).prepared == 1
    assert names(output) == ["presenter/presenter"]


def test_a_recording_of_the_test_corpus_is_for_testing(
    films: Path, presenter: Callable[[str], Path], tmp_path: Path, jobs_done: list[Job]
) -> None:
    tests = tmp_path / "tests" / "presenter"
    tests.mkdir(parents=True)
    shutil.copy(films / "other.mp4", tests)
    summary = run(presenter("medium"), tmp_path / "out", test_dir=tmp_path / "tests")
    assert subset(tmp_path / "out", "test") == keys(3, "other")
    assert subset(tmp_path / "out", "full") == keys(4)
    assert summary.prepared == 7


def test_one_recording_is_decoded_by_all_cores(
    presenter: Callable[[str], Path], tmp_path: Path, jobs_done: list[Job]
) -> None:
    source = presenter("short")
    prepare(PrepareRequest(source, tmp_path / "out", processes=5), Silent())
    assert [job.threads for job in jobs_done] == [5]
