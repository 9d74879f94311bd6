"""The use case `prepare`: what lands in a dataset, what does not, and what a second run does."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipgan_cli.engine import prepare as module
from lipgan_cli.engine.data import offsets
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.recording import Job, Unwritable
from lipgan_cli.engine.data.shelf import ClipOffset
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import mel_spectrogram, mel_windows, read_audio
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.paths import locked
from lipgan_cli.engine.prepare import PrepareRequest, PrepareSummary, dataset_folder, prepare
from lipgan_cli.engine.progress import Progress, Silent
from lipgan_cli.engine.workers import Failed

RATE = 16000
FRAMES = 14


@pytest.fixture(scope="session")
def head() -> np.ndarray:
    """An RGB picture, 176 x 176, with a face that the HOG detector finds."""
    from skimage.data import astronaut

    return astronaut()[40:216, 136:312].copy()


def write_clip(
    path: Path,
    pictures: list[np.ndarray],
    sound: bool = True,
    pitch: int = 200,
) -> Path:
    """Encode RGB pictures at 25 fps, with a tone that tells clips apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        audio = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            moments = np.arange(RATE * len(pictures) // 25, dtype=np.float32) / RATE
            wave = 0.5 * np.sin(2 * np.pi * pitch * moments)
            piece = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, 0, Fraction(1, RATE)
            container.mux(audio.encode(piece))
            container.mux(audio.encode())
    return path


@pytest.fixture(scope="session")
def stock(head: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips to build corpora from: good ones 0 to 11, and bad ones."""
    folder = tmp_path_factory.mktemp("stock")
    empty = np.full_like(head, 120)
    for number in range(12):
        write_clip(folder / f"{number}.mp4", [head] * FRAMES, pitch=200 + 50 * number)
    write_clip(folder / "late.mp4", [empty] * 5 + [head] * FRAMES)
    write_clip(folder / "empty room.mp4", [empty] * FRAMES)
    write_clip(folder / "mute.mp4", [head] * FRAMES, sound=False)
    (folder / "text.mp4").write_text("this is no video\n")
    (folder / "nothing.mp4").touch()
    (folder / "cut.mp4").write_bytes((folder / "0.mp4").read_bytes()[:3000])
    return folder


@pytest.fixture
def corpus(stock: Path, tmp_path: Path) -> Callable[..., Path]:
    """Build a corpus: `corpus("name", s1=[0, 1], s2=["mute"])`."""

    def build(name: str, **speakers: list[int | str]) -> Path:
        for speaker, clips in speakers.items():
            for clip in clips:
                target = tmp_path / name / speaker / f"{clip}.mp4"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(stock / f"{clip}.mp4", target)
        return tmp_path / name

    return build


@pytest.fixture
def jobs_done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let jobs run in this process, which is quicker than to start others; tell which did."""
    done: list[str] = []

    def serial(
        do: Callable[[Job], Any], jobs: list[Job], processes: int
    ) -> Iterator[tuple[Job, Any]]:
        for job in jobs:
            done.append(job.key)
            yield job, do(job)

    monkeypatch.setattr(module, "work", serial)
    return done


def run(
    source: Path, output: Path, test_dir: Path | None = None, **settings: Any
) -> PrepareSummary:
    return prepare(PrepareRequest(source, output, test_dir, processes=2, **settings), Silent())


def subset(path: Path, name: str) -> list[str]:
    return (path / "subsets" / f"{name}.txt").read_text("utf-8").splitlines()


def left_out(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "left_out.jsonl").read_text("utf-8").splitlines()]


def test_a_corpus_becomes_a_dataset_in_processes(
    corpus: Callable[..., Path], tmp_path: Path
) -> None:
    source = corpus("in", s1=[0, 1, 2, 3, 4], s2=["late", "empty room", "mute", "text", "cut"])
    output = tmp_path / "out"
    summary = run(source, output)
    assert (summary.dataset, summary.prepared, summary.present) == (output, 6, 0)
    assert summary.frames_without_face == 5
    assert summary.video_seconds == pytest.approx(5 * FRAMES / 25 + 19 / 25)
    assert summary.subsets == {"small": 3, "full": 5, "test": 1}
    reasons = {entry.source.stem: entry.reason for entry in summary.left_out}
    assert reasons == {
        "empty room": f"no face in {FRAMES} frames",
        "mute": "has no audio track",
        "text": "is not a video or picture that can be read",
        "cut": reasons["cut"],
    }
    listed = left_out(output)
    assert {Path(line["source"]).stem for line in listed if "source" in line} == set(reasons)
    assert [line for line in listed if "clip" in line] == [
        {"clip": "s2/late", "frames": [0, 4], "seconds": [0.0, 0.2], "reason": "no face"}
    ]
    assert not multiprocessing.active_children()


def test_a_prepared_clip_is_what_the_video_shows(
    corpus: Callable[..., Path], tmp_path: Path, head: np.ndarray, jobs_done: list[str]
) -> None:
    source = corpus("in", s1=["late"])
    run(source, tmp_path / "out")
    folder = tmp_path / "out" / "clips" / "s1" / "late"
    (clip,) = Dataset.open(tmp_path / "out").clips("full")
    assert clip.frames.tolist() == list(range(5, 5 + FRAMES))
    np.testing.assert_allclose(clip.times, np.arange(5, 5 + FRAMES) / 25)
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [*(f"{n:05d}.jpg" for n in range(5, 5 + FRAMES)), "clip.json", "mel.npz", "sound.flac"]
    )
    about = json.loads((folder / "clip.json").read_text())
    assert about["source"] == str((source / "s1" / "late.mp4").resolve())
    assert len(about["sha256"]) == 64
    assert about["fps"] == "25"
    assert about["without_face"] == [[0, 4]]
    assert len(about["boxes"]) == len(about["squares"]) == FRAMES
    # The crop is the square of the picture, the colours in the right order.
    x, y, side = about["squares"][3]
    seen = head[
        max(0, round(y - side / 2)) : round(y + side / 2), round(x - side / 2) : round(x + side / 2)
    ]
    np.testing.assert_allclose(clip.face(3).mean(axis=(0, 1)), seen.mean(axis=(0, 1)), atol=4)
    # And its sound is that from the first frame on, faces or not, and its mel that of the sound.
    sound = levelled(read_audio(source / "s1" / "late.mp4", origin=0.0))
    np.testing.assert_allclose(clip.sound(), sound[: len(clip.sound())], atol=0.51 / 16384)
    assert np.array_equal(clip.mel(), mel_spectrogram(clip.sound()))
    # Sixteen bits say no less: -92 dB are 0.16 above the mel's own floor at most.
    here = mel_windows(clip.mel(), clip.times)
    np.testing.assert_allclose(here, mel_windows(mel_spectrogram(sound), clip.times), atol=0.2)


def test_a_second_run_does_only_what_is_missing(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    output = tmp_path / "out"
    run(corpus("in", s1=[0, 1], s2=["mute"]), output)
    assert jobs_done == ["s1/0", "s1/1", "s2/mute"]
    jobs_done.clear()
    summary = run(corpus("in", s1=[2]), output)
    assert jobs_done == ["s1/2"]
    assert (summary.prepared, summary.present, len(summary.left_out)) == (1, 2, 1)
    jobs_done.clear()
    (output / "clips" / "s1" / "1" / "clip.json").unlink()
    summary = run(tmp_path / "in", output)
    assert jobs_done == ["s1/1"]
    assert summary.subsets["full"] == 3
    jobs_done.clear()
    assert run(tmp_path / "in", output).times_real_time is None
    assert not jobs_done


def test_what_was_left_out_of_one_corpus_is_remembered_beside_another(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    output = tmp_path / "out"
    run(corpus("in", s1=[0], s2=["mute"]), output)
    run(corpus("other", s3=[1]), output)
    assert "no audio track" in (output / "left_out.jsonl").read_text()
    jobs_done.clear()
    run(tmp_path / "in", output)
    assert not jobs_done


def test_other_parameters_make_the_clips_anew(
    corpus: Callable[..., Path],
    tmp_path: Path,
    jobs_done: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, output = corpus("in", s1=[0], s2=["mute"]), tmp_path / "out"
    run(source, output)
    jobs_done.clear()
    usual = module.Parameters()
    monkeypatch.setattr(
        module, "Parameters", lambda: type(usual)(**{**vars(usual), "key_interval": 7})
    )
    summary = run(source, output)
    assert jobs_done == ["s1/0", "s2/mute"]
    assert (summary.prepared, summary.present) == (1, 0)
    about = json.loads((output / "clips" / "s1" / "0" / "clip.json").read_text())
    assert about["parameters"]["key_interval"] == 7


def test_clips_never_move_between_training_and_testing(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    output = tmp_path / "out"
    run(corpus("in", s1=[0, 1, 2, 3]), output)
    assert subset(output, "test") == []
    run(corpus("in", s1=[4, 5, 6, 7, 8]), output)
    test, full = subset(output, "test"), subset(output, "full")
    assert len(test) == 2
    assert {"s1/0", "s1/1", "s1/2", "s1/3"} <= set(full)
    run(corpus("in", s1=[9, 10, 11]), output)
    assert set(test) <= set(subset(output, "test"))
    assert set(full) <= set(subset(output, "full"))
    assert not set(subset(output, "test")) & set(subset(output, "full"))


def test_the_same_content_is_never_on_both_sides(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    """A double in one corpus, and a clip that is in both corpora under two names."""
    source = corpus("in", s1=[0, 1, 2])
    shutil.copy(source / "s1" / "0.mp4", source / "s1" / "copy of 0.mp4")
    tests = corpus("tests", s1=[5])
    shutil.copy(source / "s1" / "2.mp4", tests / "s1" / "other name.mp4")
    summary = run(source, tmp_path / "out", test_dir=tests)
    assert subset(tmp_path / "out", "full") == ["s1/0", "s1/1"]
    assert subset(tmp_path / "out", "test") == ["s1/5", "s1/other name"]
    assert sorted(entry.source.name for entry in summary.left_out) == ["2.mp4", "copy of 0.mp4"]
    assert all("same content as" in entry.reason for entry in summary.left_out)


def test_clips_named_alike_keep_apart(
    corpus: Callable[..., Path], stock: Path, tmp_path: Path, jobs_done: list[str]
) -> None:
    source, tests = corpus("in", s1=[0]), corpus("tests", s1=[0])
    shutil.copy(stock / "1.mp4", tests / "s1" / "0.mp4")
    run(source, tmp_path / "out", test_dir=tests)
    (full,), (test,) = subset(tmp_path / "out", "full"), subset(tmp_path / "out", "test")
    assert test == "s1/0"
    assert full.startswith("s1/0-")
    assert len(full) == len("s1/0-") + 8
    jobs_done.clear()
    run(source, tmp_path / "out", test_dir=tests)
    assert not jobs_done


def test_a_dataset_with_a_test_corpus_takes_no_test_clips_from_the_other(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    output = tmp_path / "out"
    run(corpus("in", s1=[0]), output, test_dir=corpus("tests", s1=[5]))
    run(corpus("in", s1=[1, 2, 3, 4, 6, 7]), output)
    assert subset(output, "test") == ["s1/5"]
    assert len(subset(output, "full")) == 7


def test_a_file_that_has_changed_takes_its_own_place(
    corpus: Callable[..., Path], stock: Path, tmp_path: Path, jobs_done: list[str]
) -> None:
    source, output = corpus("in", s1=[0]), tmp_path / "out"
    run(source, output)
    shutil.copy(stock / "1.mp4", source / "s1" / "0.mp4")
    summary = run(source, output)
    assert (summary.prepared, summary.subsets["full"]) == (1, 1)
    assert subset(output, "full") == ["s1/0"]


def test_sizes_are_kept_with_the_dataset(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    output = tmp_path / "out"
    summary = run(corpus("in", s1=[0, 1, 2, 3, 4]), output, small=1, full=3, test=0)
    assert summary.subsets == {"small": 1, "full": 3, "test": 0}
    assert run(tmp_path / "in", output).subsets == {"small": 1, "full": 3, "test": 0}
    about = json.loads((output / "dataset.json").read_text())
    assert about["subset_sizes"] == {"small": 1, "full": 3, "test": 0}
    assert about["format"] == 2
    assert about["parameters"]["jpeg_quality"] == 95


def test_what_an_interrupted_run_left_is_swept(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    source, output = corpus("in", s1=[0]), tmp_path / "out"
    run(source, output)
    half = output / "clips" / "s1" / ".1.abcd.part"
    half.mkdir()
    (half / "00000.jpg").touch()
    (output / ".dataset.abcd.part.json").touch()
    run(source, output)
    assert sorted(p.name for p in (output / "clips" / "s1").iterdir()) == ["0"]
    assert not list(output.glob(".*part*"))


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> dict[str, float | None]:
    """Let clips be as late as this dictionary says, in ms; others are not."""
    told: dict[str, float | None] = {}

    def measure_offsets(
        dataset: Dataset,
        keys: Iterable[str],
        processes: int,
        progress: Progress,
        scheduler: str | None,
    ) -> list[ClipOffset]:
        return [ClipOffset(key, told.get(key, 0.0), 0.5) for key in keys]

    monkeypatch.setattr(offsets, "measure_offsets", measure_offsets)
    return told


def test_every_clip_has_an_offset(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    """By the judge of the install: a face that does not move and a tone are nothing to go by."""
    output = tmp_path / "out"
    summary = run(corpus("in", s1=[0, 1], s2=["mute"]), output)
    assert [offset.key for offset in summary.offsets] == ["s1/0", "s1/1"]
    for offset in summary.offsets:
        assert offset.offset_ms is not None
        assert abs(offset.offset_ms) <= 600
        assert offset.confidence is not None
        assert 0 <= offset.confidence < 1
    assert summary.subsets["full"] == 2
    assert json.loads((output / "dataset.json").read_text())["max_offset_ms"] is None
    again = run(corpus("in", s3=[2]), output)
    assert again.offsets[:2] == summary.offsets
    assert [offset.key for offset in again.offsets[2:]] == ["s3/2"]


def test_clips_whose_sound_is_off_are_in_no_subset(
    corpus: Callable[..., Path],
    tmp_path: Path,
    jobs_done: list[str],
    late: dict[str, float | None],
) -> None:
    late |= {"s1/1": 120.0, "s1/2": -81.0, "s1/3": 80.0, "s1/4": None}
    source, output = corpus("in", s1=[0, 1, 2, 3, 4], s2=["mute"]), tmp_path / "out"
    summary = run(source, output, max_offset_ms=80)
    assert (summary.prepared, summary.subsets["full"]) == (5, 3)
    assert subset(output, "full") == ["s1/0", "s1/3", "s1/4"]
    assert not {"s1/1", "s1/2"} & {*subset(output, "test"), *subset(output, "small")}
    assert {offset.key: offset.offset_ms for offset in summary.offsets} == {"s1/0": 0.0, **late}
    reason = "sound and picture are more than 80 ms apart"
    astray = {str(source.resolve() / "s1" / f"{n}.mp4") for n in (1, 2)}
    assert {str(clip.source) for clip in summary.left_out if clip.reason == reason} == astray
    listed = [line for line in left_out(output) if line["reason"] == reason]
    assert {line["source"] for line in listed} == astray
    assert not any(line["final"] for line in listed)
    assert (output / "clips" / "s1" / "1" / "clip.json").is_file()


def test_the_limit_is_kept_with_the_dataset_until_it_is_lifted(
    corpus: Callable[..., Path],
    tmp_path: Path,
    jobs_done: list[str],
    late: dict[str, float | None],
) -> None:
    late["s1/1"] = 120.0
    source, output = corpus("in", s1=[0, 1, 2]), tmp_path / "out"
    run(source, output, max_offset_ms=80.5)
    about = json.loads((output / "dataset.json").read_text())
    assert about["max_offset_ms"] == 80.5
    jobs_done.clear()
    summary = run(source, output)
    assert subset(output, "full") == ["s1/0", "s1/2"]
    assert [clip.reason for clip in summary.left_out] == [
        "sound and picture are more than 80.5 ms apart"
    ]
    assert (summary.prepared, summary.present) == (0, 3)
    # Of another corpus, too, it stays left out, once.
    run(corpus("other", s1=[5]), output)
    assert len(left_out(output)) == 1
    assert subset(output, "full") == ["s1/0", "s1/2", "s1/5"]
    run(source, output, max_offset_ms=130)
    assert subset(output, "full") == ["s1/0", "s1/1", "s1/2", "s1/5"]
    run(source, output, max_offset_ms=80)
    run(source, output, max_offset_ms=0)
    assert subset(output, "full") == ["s1/0", "s1/1", "s1/2", "s1/5"]
    assert left_out(output) == []
    assert json.loads((output / "dataset.json").read_text())["max_offset_ms"] is None
    assert not [key for key in jobs_done if key != "s1/5"]


def test_clips_whose_sound_is_off_come_back_to_their_side(
    corpus: Callable[..., Path],
    tmp_path: Path,
    jobs_done: list[str],
    late: dict[str, float | None],
) -> None:
    source, output = corpus("in", s1=list(range(10))), tmp_path / "out"
    run(source, output)
    test, full = subset(output, "test"), subset(output, "full")
    assert (len(test), len(full)) == (2, 8)
    for away in (test[0], full[0]):
        late.clear()
        late[away] = 300.0
        run(source, output, max_offset_ms=80)
        assert subset(output, "test") == [key for key in test if key != away]
        assert subset(output, "full") == [key for key in full if key != away]
        run(source, output, max_offset_ms=0)
        assert (subset(output, "test"), subset(output, "full")) == (test, full)


def test_what_was_trained_on_is_not_tested_on_when_it_comes_back(
    corpus: Callable[..., Path],
    tmp_path: Path,
    jobs_done: list[str],
    late: dict[str, float | None],
) -> None:
    """Four clips are all for training; the fifth gives the speaker a test clip."""
    source, output = corpus("in", s1=[0, 1, 2, 3]), tmp_path / "out"
    run(source, output)
    late["s1/2"] = 300.0
    run(source, output, max_offset_ms=80)
    run(corpus("more", s1=[4]), output)
    assert subset(output, "full") == ["s1/0", "s1/1", "s1/3", "s1/4"]
    run(source, output, max_offset_ms=0)
    assert subset(output, "full") == ["s1/0", "s1/1", "s1/2", "s1/3", "s1/4"]
    assert subset(output, "test") == []
    assert subset(output, "aside/full") == []


def test_a_dataset_may_be_all_off(
    corpus: Callable[..., Path],
    tmp_path: Path,
    jobs_done: list[str],
    late: dict[str, float | None],
) -> None:
    late |= {"s1/0": 300.0, "s1/1": -300.0}
    summary = run(corpus("in", s1=[0, 1]), tmp_path / "out", max_offset_ms=80)
    assert summary.subsets == {"small": 0, "full": 0, "test": 0}
    assert (summary.prepared, len(summary.left_out)) == (2, 2)


def test_a_run_that_is_interrupted_can_be_taken_up(
    corpus: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs_done: list[str],
) -> None:
    def interrupted(
        do: Callable[[Job], Any], jobs: list[Job], processes: int
    ) -> Iterator[tuple[Job, Any]]:
        yield jobs[0], do(jobs[0])
        (jobs[1].folder.parent / ".1.abcd.part").mkdir()
        raise KeyboardInterrupt

    source, output = corpus("in", s1=[0, 1, 2]), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(module, "work", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(source, output)
    assert [p.name for p in (output / "clips" / "s1").iterdir()] == ["0"]
    summary = run(source, output)
    assert (summary.prepared, summary.present) == (2, 1)


def test_a_clip_whose_process_dies_is_left_out_and_tried_again(
    corpus: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs_done: list[str],
) -> None:
    def dying(
        do: Callable[[Job], Any], jobs: list[Job], processes: int
    ) -> Iterator[tuple[Job, Any]]:
        for job in jobs:
            yield job, Failed("it died") if job.key == "s1/0" else do(job)

    source, output = corpus("in", s1=[0, 1]), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(module, "work", dying)
        summary = run(source, output)
    assert [(e.source.name, e.reason) for e in summary.left_out] == [("0.mp4", "it died")]
    assert (summary.prepared, run(source, output).prepared) == (1, 1)


@pytest.mark.skipif(os.name == "nt", reason="there are no signals to die by")
def test_two_runs_at_once_are_refused(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    source, output = corpus("in", s1=[0]), tmp_path / "out"
    with locked(output), pytest.raises(InputError, match="another run is writing"):
        run(source, output)
    assert run(source, output).prepared == 1


def test_a_full_disk_ends_the_run(
    corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(
        do: Callable[[Job], Any], jobs: list[Job], processes: int
    ) -> Iterator[tuple[Job, Any]]:
        yield jobs[0], Unwritable("cannot write there: No space left on device")
        raise AssertionError("the next clip was begun")

    monkeypatch.setattr(module, "work", full)
    with pytest.raises(LipganError, match="No space left") as raised:
        run(corpus("in", s1=[0, 1]), tmp_path / "out")
    assert raised.value.exit_code == 1


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is unwritable for root")
def test_an_output_that_cannot_be_written_is_refused(
    corpus: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot write"):
        run(corpus("in", s1=[0]), tmp_path / "locked" / "out")


def test_outputs_of_something_else_are_refused(corpus: Callable[..., Path], tmp_path: Path) -> None:
    source = corpus("in", s1=[0])
    with pytest.raises(InputError, match="not empty and not a prepared dataset"):
        run(source, source)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        run(source, tmp_path / "file")


def test_a_corpus_of_nothing_but_bad_files(
    corpus: Callable[..., Path], tmp_path: Path, jobs_done: list[str]
) -> None:
    with pytest.raises(InputError, match=r"empty room\.mp4 cannot be prepared: no face in 14"):
        run(corpus("one", s1=["empty room"]) / "s1" / "empty room.mp4", tmp_path / "a")
    with pytest.raises(InputError, match=r"none of 3 videos can be prepared; 1 of them"):
        run(corpus("two", s1=["mute", "text", "nothing"]), tmp_path / "b")


def test_the_dataset_is_named_after_the_corpus(home: Path, tmp_path: Path) -> None:
    (tmp_path / "GRID small").mkdir()
    (tmp_path / "film.v2.mp4").touch()
    assert dataset_folder(None, tmp_path / "GRID small") == home / "datasets" / "GRID small"
    assert dataset_folder(None, tmp_path / "film.v2.mp4") == home / "datasets" / "film.v2"
    assert dataset_folder("mine", tmp_path) == home / "datasets" / "mine"
    for bad in ("", "a/b", "..", ".hidden"):
        with pytest.raises(InputError, match="cannot name a dataset"):
            dataset_folder(bad, tmp_path)


def test_real_clips(grid_dir: Path, tmp_path: Path, jobs_done: list[str]) -> None:
    """One clip of each kind: steady squares, one face throughout, sound and picture together."""
    for speaker in ("s1", "s4", "s29"):
        clip = min((grid_dir / "train" / speaker).iterdir())
        (tmp_path / "in" / speaker).mkdir(parents=True)
        shutil.copy(clip, tmp_path / "in" / speaker)
    (tmp_path / "tests" / "s32").mkdir(parents=True)
    shutil.copy(min((grid_dir / "test" / "s32").iterdir()), tmp_path / "tests" / "s32")
    summary = run(tmp_path / "in", tmp_path / "out", test_dir=tmp_path / "tests")
    assert (summary.prepared, summary.left_out, summary.frames_without_face) == (4, (), 0)
    dataset = Dataset.open(tmp_path / "out")
    for clip in dataset.clips("full") + dataset.clips("test"):
        assert 70 <= len(clip) <= 76
        assert clip.mel().shape[1] >= 230
        assert clip.mel().max() > 0  # someone speaks
        about = json.loads((clip.folder / "clip.json").read_text())
        squares = np.array(about["squares"])
        assert len(set(squares[:, 2])) == 1
        step = np.hypot(*np.diff(squares[:, :2], axis=0).T) / squares[0, 2]
        assert step.max() < 0.02
    assert [offset.key.split("/")[0] for offset in summary.offsets] == ["s1", "s4", "s29", "s32"]
    assert all(abs(offset.offset_ms or 999) <= 40 for offset in summary.offsets)
