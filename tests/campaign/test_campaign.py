"""A campaign from end to end: each row once, whatever fails, stops or is run again."""

from __future__ import annotations

import _thread
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from lipgan_cli.engine import campaign as engine
from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.campaign import making, rows, stage
from lipgan_cli.engine.campaign.forecast import forecast
from lipgan_cli.engine.campaign.manifest import Entry, Status, read_entries
from lipgan_cli.engine.campaign.prepared import prepare
from lipgan_cli.engine.campaign.rows import Job, make_there, rejudged
from lipgan_cli.engine.campaign.shards import Shard
from lipgan_cli.engine.errors import BusyError, InputError, LipganError
from lipgan_cli.engine.media.video import probe
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.provenance import soundmark
from lipgan_cli.engine.provenance.verification import Verdict, verify
from lipgan_cli.engine.sync.options import MarkOptions

TEXT = "Hello {name}, your parcel comes."


def hums(studio: Any, count: int, seconds: float = 0.4) -> Path:
    """Write a table of messages that are sounds; all have the same one."""
    studio.hum("a.wav", seconds)
    return Path(studio.table({"id": f"m{k}", "audio": "a.wav"} for k in range(count)))


def films(folder: Path) -> dict[str, int]:
    """Return the films in a folder, and when each was written."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".mp4", ".mkv", ".webm")
    }


def statuses(studio: Any) -> dict[str, str]:
    return {name: entry.status.value for name, entry in sorted(studio.entries().items())}


def attempts(studio: Any) -> list[str]:
    """Return the ids of all attempts, in the order in which they ended."""
    lines = [line for path in studio.out.glob("*.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line)["id"] for line in lines]


def test_one_row_one_film_and_all_that_is_known_of_it(studio: Any) -> None:
    recording = studio.recording()
    studio.hum("a b.wav", 0.4)
    table = studio.table(
        [
            {"id": "anna", "audio": "a b.wav", "text": "", "start": "", "end": "", "output": ""},
            {
                "id": "[bo] é",
                "audio": "",
                "text": "to Bo, it's",
                "start": 0.8,
                "output": "x/é.mkv",
            },
            {"id": "cem", "audio": "a b.wav", "start": 1, "end": 1.2, "output": "c.webm"},
        ]
    )
    told: list[tuple[str, float, float | None]] = []
    made = studio.run(recording, table, lambda *step: told.append(step), preset=None)
    assert films(studio.out).keys() == {"anna.mp4", "x/é.mkv", "c.webm"}
    assert studio.numbers(studio.out / "anna.mp4") == list(range(10))
    assert studio.numbers(studio.out / "x" / "é.mkv") == list(range(20, 41))  # 0.83 s
    assert studio.numbers(studio.out / "c.webm") == [25, 26, 27, 28, 29, 28, 27, 26, 25, 26]
    for name in films(studio.out):
        with av.open(str(studio.out / name)) as film:
            assert len(film.streams.audio) == 1

    assert (made.rows, made.made, made.kept, made.failed, made.rejected, made.left) == (
        (3, 3, 0, 0, 0, 0)
    )
    assert made.folder == studio.out
    assert made.manifest == studio.out / "manifest.jsonl"
    assert made.seconds == pytest.approx(0.4 + 0.84 + 0.4, abs=0.01)
    assert 0 < made.started < made.elapsed
    assert made.speed == pytest.approx(made.seconds / made.elapsed)
    assert (made.strays, made.sheet) == ((), ())
    assert told[-1] == ("speaking", 3, 3)

    entry = studio.entries()["[bo] é"]
    text = entry.inputs.pop("text")
    assert len(text) == 64
    assert entry == Entry(
        id="[bo] é",
        key=entry.key,
        status=Status.DONE,
        line=3,
        row={"id": "[bo] é", "audio": "", "text": "to Bo, it's", "start": "0.8", "end": "",
             "output": "x/é.mkv"},
        inputs={
            "presenter": hashlib.sha256(recording.read_bytes()).hexdigest(),
            "weights": entry.inputs["weights"],
        },
        output="x/é.mkv",
        bytes=(studio.out / "x" / "é.mkv").stat().st_size,
        seconds=entry.seconds,
        frames=21,
        elapsed=entry.elapsed,
        device="cpu",
        versions=entry.versions,
        quality=entry.quality,
        moment=entry.moment,
        face=entry.face,
        finished=entry.finished,
    )  # fmt: skip
    assert sorted(entry.quality) == [
        "confidence", "frames_without_face", "loudness_lufs", "offset_ms", "seam",
    ]  # fmt: skip
    assert {"lipgan", "torch", "av"} <= entry.versions.keys()
    assert 0 < entry.elapsed < made.elapsed
    audio = studio.entries()["anna"].inputs["audio"]
    assert audio == hashlib.sha256((studio.folder / "a b.wav").read_bytes()).hexdigest()


def test_a_second_run_makes_what_is_missing_or_changed_and_nothing_else(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, table = studio.recording(), hums(studio, 4)
    studio.hum("b.wav", 0.3)
    studio.run(recording, table)
    before, painted = films(studio.out), len(studio.network.painted)

    with monkeypatch.context() as patch:
        patch.setattr(making, "open_stage", None)  # nothing to do, nothing to load
        made = studio.run(recording, table)
    assert (made.kept, made.made, made.speed) == (4, 0, None)
    assert films(studio.out) == before
    assert len(studio.network.painted) == painted

    (studio.out / "m1.mp4").unlink()
    (studio.out / "m3.mp4").write_bytes(b"cut off")
    rows = [{"id": "m0", "audio": "a.wav"}, {"id": "m1", "audio": "a.wav"}]
    rows += [{"id": "m2", "audio": "b.wav"}, {"id": "m3", "audio": "a.wav"}]
    table = studio.table([*rows, {"id": "m4", "audio": "b.wav"}])
    made = studio.run(recording, table)
    assert (made.rows, made.kept, made.made) == (5, 1, 4)
    assert films(studio.out)["m0.mp4"] == before["m0.mp4"]
    assert attempts(studio)[4:] != attempts(studio)[:4]
    assert sorted(attempts(studio)[4:]) == ["m1", "m2", "m3", "m4"]
    assert studio.numbers(studio.out / "m2.mp4") == list(range(8))
    assert studio.numbers(studio.out / "m3.mp4") == list(range(10))

    made = studio.run(recording, studio.table(rows[:3]))
    assert (made.rows, made.kept, made.strays) == (3, 3, ("m3.mp4", "m4.mp4"))
    made = studio.run(recording, studio.table(rows[:1]), force=True)
    assert (made.kept, made.made) == (0, 1)


def test_another_template_makes_all_anew_and_another_name_one(studio: Any) -> None:
    recording = studio.recording()
    people = [{"id": name, "name": name} for name in ("Anna", "Bo")]
    studio.run(recording, studio.table(people), template=TEXT)
    assert studio.run(recording, studio.table(people), template=TEXT).kept == 2
    people[1]["name"] = "Bob"
    made = studio.run(recording, studio.table(people), template=TEXT)
    assert (made.kept, made.made) == (1, 1)
    bye = {"template": "Bye {name}.", "limit": 1}
    made = studio.run(recording, studio.table(people), **bye)
    assert (made.kept, made.made, made.left) == (0, 1, 1)
    made = studio.run(recording, studio.table(people), pause_seconds=0.6, **bye)
    assert (made.kept, made.made, made.left) == (0, 1, 1)


def test_rows_that_fail_stop_no_other_and_are_tried_again(studio: Any) -> None:
    recording = studio.recording(face=lambda number: number < 40)
    studio.hum("good.wav", 0.4)
    (studio.folder / "damaged.wav").write_bytes(b"RIFF and no sound")
    messages = [
        {"id": "a", "audio": "damaged.wav", "text": "", "start": ""},
        {"id": "b", "audio": "good.wav"},
        {"id": "c", "text": "fail here"},
        {"id": "d", "audio": "good.wav", "start": 1.8},
        {"id": "e", "text": "as it is"},
    ]
    made = studio.run(recording, studio.table(messages))
    assert (made.rows, made.made, made.failed, made.left) == (5, 2, 3, 0)
    assert films(studio.out).keys() == {"b.mp4", "e.mp4"}
    told = {name: entry.error for name, entry in studio.entries().items() if entry.error}
    assert told.keys() == {"a", "c", "d"}
    assert "damaged.wav" in told["a"]
    assert told["c"] == "the voice cannot say 'fail here'"
    assert "no face in the part that is shown" in told["d"]
    assert all(
        entry.status is Status.FAILED and entry.output == f"{name}.mp4"
        for name, entry in studio.entries().items()
        if name in told
    )

    made = studio.run(recording, studio.table(messages), limit=1)
    assert (made.kept, made.made, made.failed, made.left) == (2, 0, 1, 2)
    studio.hum("damaged.wav", 0.4)  # mended
    made = studio.run(recording, studio.table(messages))
    assert (made.kept, made.made, made.failed) == (2, 1, 2)
    assert statuses(studio) == {
        "a": "done", "b": "done", "c": "failed", "d": "failed", "e": "done",
    }  # fmt: skip
    assert not list(studio.out.glob(".*.part*"))


def test_retry_failed_makes_the_failed_ones_alone(studio: Any) -> None:
    recording = studio.recording()
    messages = [{"id": "a", "text": "fail here"}, {"id": "b", "text": "as it is"}]
    studio.run(recording, studio.table(messages))
    messages += [{"id": "c", "text": "new here"}]
    made = studio.run(recording, studio.table(messages), retry_failed=True)
    assert (made.rows, made.kept, made.failed, made.left) == (3, 1, 1, 1)
    assert attempts(studio).count("a") == 2
    messages[0]["text"] = "no more"
    made = studio.run(recording, studio.table(messages), retry_failed=True)
    assert (made.made, made.failed, made.left) == (1, 0, 1)
    assert statuses(studio) == {"a": "done", "b": "done"}


def test_an_old_film_does_not_stay_where_its_row_has_failed_since(studio: Any) -> None:
    recording = studio.recording()
    studio.run(recording, studio.table([{"id": "a", "text": "as it is"}]))
    studio.run(recording, studio.table([{"id": "a", "text": "fail now"}]))
    assert statuses(studio) == {"a": "failed"}
    assert not films(studio.out)


def test_a_voice_that_cannot_speak_at_all_is_one_fault_and_not_a_thousand(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = studio.recording()
    messages = [{"id": f"m{k}", "text": f"fail {k}"} for k in range(4)]
    made = studio.run(recording, studio.table(messages))  # it may be these texts
    assert made.failed == 4

    def mute(text: str, output: Path) -> None:
        raise LipganError("the voice is broken")

    monkeypatch.setattr(studio.voice, "say", mute)
    with pytest.raises(LipganError, match="the voice is broken"):
        studio.run(recording, studio.table(messages), force=True)
    assert len(attempts(studio)) == 4


def test_a_limit_makes_so_many_more_each_time(studio: Any) -> None:
    recording, table = studio.recording(), hums(studio, 5)
    made = [studio.run(recording, table, limit=2) for _ in range(3)]
    assert [(one.kept, one.made, one.left) for one in made] == [(0, 2, 3), (2, 2, 1), (4, 1, 0)]
    assert sorted(attempts(studio)) == [f"m{k}" for k in range(5)]


def test_shards_together_make_each_row_once(studio: Any) -> None:
    recording, table = studio.recording(), hums(studio, 5)
    first = studio.run(recording, table, shard=Shard(1, 2))
    assert (first.rows, first.made) == (3, 3)
    assert films(studio.out).keys() == {"m0.mp4", "m2.mp4", "m4.mp4"}
    second = studio.run(recording, table, shard=Shard(2, 2))
    assert (second.rows, second.made) == (2, 2)
    assert first.manifest.name == "manifest-1-of-2.jsonl"
    assert second.manifest.name == "manifest-2-of-2.jsonl"
    assert sorted(attempts(studio)) == [f"m{k}" for k in range(5)]
    assert studio.run(recording, table).kept == 5


def test_the_gate_rejects_what_is_out_of_sync_and_keeps_its_film(studio: Any) -> None:
    recording, table = studio.recording(), hums(studio, 1, seconds=2.2)
    made = studio.run(recording, table, min_sync=1.0)
    assert (made.made, made.rejected, made.failed) == (0, 1, 0)
    assert films(studio.out).keys() == {"m0.mp4"}
    entry = studio.entries()["m0"]
    assert entry.status is Status.REJECTED
    assert entry.error == f"sync confidence {entry.quality['confidence']:.2f}, below 1"
    assert entry.frames == 55
    assert entry.bytes == (studio.out / "m0.mp4").stat().st_size
    made = studio.run(recording, table, min_sync=1.0)
    assert (made.kept, made.rejected) == (1, 0)  # it would come out the same
    made = studio.run(recording, table, min_sync=0.0)  # another gate looks at the same film
    assert (made.kept, made.kept_rejected, made.made) == (1, 1, 0)
    film, entry = entry, studio.entries()["m0"]
    assert replace(entry, error=film.error, finished=film.finished) == film
    offset = entry.quality["offset_ms"]
    assert abs(offset) > 40  # of a hum that never changes anything can be said
    assert entry.error == f"the sound is {offset:+.0f} ms from the mouth"
    assert studio.run(recording, table).kept_rejected == 1  # no gate says nothing new
    made = studio.run(recording, table, retry_failed=True)
    assert (made.made, made.rejected) == (1, 0)
    assert statuses(studio) == {"m0": "done"}


def test_a_film_is_judged_anew_by_its_figures(studio: Any) -> None:
    recording = studio.recording()
    made = studio.run(recording, hums(studio, 1), min_sync=0.3)
    assert (made.made, made.rejected) == (1, 0)
    plain = studio.entries()["m0"]
    unsure = replace(plain, quality={**plain.quality, "offset_ms": 4.0, "confidence": 0.2})
    options = studio.options(recording, min_sync=0.3)
    rejected = rejudged(unsure, options)
    assert (rejected.status, rejected.error) == (Status.REJECTED, "sync confidence 0.20, below 0.3")
    assert rejudged(rejected, options) is rejected
    assert rejudged(rejected, replace(options, min_sync=None)) is rejected
    again = rejudged(rejected, replace(options, min_sync=0.1))
    assert replace(again, finished=unsure.finished) == unsure


def test_what_is_too_short_to_be_judged_is_not_rejected(studio: Any) -> None:
    made = studio.run(studio.recording(), hums(studio, 1, seconds=0.4), min_sync=1.0)
    assert (made.made, made.rejected) == (1, 0)
    assert studio.entries()["m0"].quality["confidence"] is None


# Runs that are stopped


def test_ctrl_c_costs_the_films_in_work_and_no_others(studio: Any) -> None:
    recording, table = studio.recording(), hums(studio, 8)
    own, calls = studio.network.faces, []

    def interrupting(*given: Any) -> np.ndarray:
        calls.append(len(calls))
        if len(calls) == 6:
            _thread.interrupt_main()
            time.sleep(0.2)
        return own(*given)

    studio.network.faces = interrupting
    with pytest.raises(KeyboardInterrupt):
        studio.run(recording, table, workers=2)
    done = statuses(studio)
    assert set(done.values()) == {"done"}
    assert 2 <= len(done) <= 6
    assert not list(studio.out.glob(".*.part*"))
    assert len(films(studio.out)) - len(done) <= 2
    before = films(studio.out)
    made = studio.run(recording, table)
    assert (made.kept, made.made, made.failed) == (len(done), 8 - len(done), 0)
    assert all(films(studio.out)[f"{name}.mp4"] == before[f"{name}.mp4"] for name in done)


def test_ctrl_c_while_a_film_is_noted_loses_no_note(studio: Any) -> None:
    def interrupting(step: str, done: float, total: float | None) -> None:
        if step == "speaking" and done == 2:
            raise KeyboardInterrupt

    recording, table = studio.recording(), hums(studio, 5)
    with pytest.raises(KeyboardInterrupt):
        studio.run(recording, table, interrupting, workers=1)
    assert statuses(studio) == {"m0": "done", "m1": "done"}
    assert studio.run(recording, table).kept == 2


PROCESS = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("small", sys.argv[1])
small = sys.modules["small"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(small)
import pytest
class Slow(small.Mouth):
    def faces(self, *given):
        time.sleep(0.15)
        return super().faces(*given)
studio = small.Studio(Path(sys.argv[2]), None, Slow())
small.furnish(studio, pytest.MonkeyPatch())
studio.run(studio.folder / "presenter.mp4", studio.folder / "messages.csv", workers=2)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_kill_9_costs_the_films_in_work_and_no_others(studio: Any) -> None:
    recording, table = studio.recording(), hums(studio, 10)
    studio.stage(recording)  # the faces are found, as the process then knows
    small = Path(__file__).with_name("conftest.py")
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(small), str(studio.folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    manifest = studio.out / "manifest.jsonl"
    deadline = time.monotonic() + 120
    while not (manifest.exists() and manifest.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()

    done, there = statuses(studio), films(studio.out)
    assert set(done.values()) == {"done"}
    assert 3 <= len(done) < 10
    whole = {name for name in there if not name.startswith(".")}
    assert {f"{name}.mp4" for name in done} <= whole
    assert len(whole) - len(done) <= 2
    made = studio.run(recording, table)
    assert (made.kept, made.made, made.failed) == (len(done), 10 - len(done), 0)
    assert all(films(studio.out)[f"{name}.mp4"] == there[f"{name}.mp4"] for name in done)
    assert films(studio.out).keys() == {f"m{k}.mp4" for k in range(10)}  # no leavings
    for k in range(10):
        assert studio.numbers(studio.out / f"m{k}.mp4") == list(range(10))


def test_two_runs_at_once_are_refused(studio: Any) -> None:
    recording, table = studio.recording(), hums(studio, 3)
    refused: list[BusyError] = []

    def meanwhile(step: str, done: float, total: float | None) -> None:
        if step == "speaking" and done == 1:
            for shard in (None, Shard(1, 2)):
                with pytest.raises(BusyError) as raised:
                    studio.run(recording, table, shard=shard)
                refused.append(raised.value)

    assert studio.run(recording, table, meanwhile).made == 3
    assert [error.exit_code for error in refused] == [2, 2]
    assert "another run is writing" in refused[0].message
    assert "a run without shards is writing" in refused[1].message
    assert len(attempts(studio)) == 3


# Presenters


def test_a_photo_can_be_a_presenter(studio: Any) -> None:
    frame = studio.frames(studio.recording(1))[0]
    photo = studio.folder / "photo.png"
    cv2.imwrite(str(photo), cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420))
    people = [{"id": name, "name": name} for name in ("Anna", "Bo")]
    made = studio.run(photo, studio.table(people), template=TEXT)
    assert (made.made, made.failed) == (2, 0)
    for name in ("Anna", "Bo"):
        shown = studio.numbers(studio.out / f"{name}.mp4")
        assert shown == [0] * len(shown)
        assert len(shown) == studio.entries()[name].frames
    assert probe(studio.out / "Bo.mp4").fps == 25
    # Whatever is before it, the shared piece of a photo is one and the same.
    assert len(studio.network.painted) < 0.8 * sum(e.frames for e in studio.entries().values())


def test_a_recording_of_a_varying_rate_keeps_its_times(studio: Any) -> None:
    times = np.cumsum([0, *np.random.default_rng(3).integers(20, 90, 59)]).tolist()
    made = studio.run(studio.recording(60, times=times), hums(studio, 2, seconds=1.0))
    assert made.made == 2
    info = probe(studio.out / "m1.mp4")
    assert not info.clock.constant
    shown = info.clock.seconds(np.arange(info.frames)) * 1000
    np.testing.assert_allclose(shown, times[: info.frames], atol=1)


def test_a_recording_without_a_face_is_found_before_anything_is_made(studio: Any) -> None:
    recording = studio.recording(face=lambda number: False)
    with pytest.raises(InputError, match="no face found in the 60 frames"):
        studio.run(recording, hums(studio, 2))
    assert not films(studio.out)
    assert not studio.entries()


# The same films, whoever makes them


def test_side_by_side_the_same_films_are_made(studio: Any) -> None:
    recording = studio.recording()
    names = ["Anna", "Bob", "Christopher"]
    table = studio.table({"id": name, "name": name} for name in names)
    made = []
    for workers in (1, 3):
        output = studio.folder / f"out-{workers}"
        studio.run(recording, table, template=TEXT, output=output, workers=workers, cache=False)
        made.append({name: (output / name).read_bytes() for name in films(output)})
    assert made[0] == made[1]
    assert len(set(made[0].values())) == len(names)


def test_a_worker_elsewhere_makes_the_same_film(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options that go to another machine mean the same in another working folder."""
    recording, table = studio.recording(), hums(studio, 2)
    monkeypatch.chdir(studio.folder)
    relative = {"output": Path("out"), "cache": False}
    options = studio.options(Path(recording.name), Path(table.name), **relative)
    told = prepare(options, Silent())
    agenda = told.plan({})
    studio.out.mkdir()
    (studio.folder / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    opened: list[object] = []
    own = rows.open_stage
    monkeypatch.setattr(rows, "open_stage", lambda *given: (opened.append(1), own(*given))[1])
    rows._stage.cache_clear()
    name = None if told.voice is None else told.voice.name
    outcomes = [make_there(Job(row, told.options, told.hash, name)) for row in told.rows(agenda)]
    rows._stage.cache_clear()
    assert [outcome.entry.error for outcome in outcomes] == ["", ""]
    assert len(opened) == 1  # the second row finds the stage as it was left
    there = {name: (studio.out / name).read_bytes() for name in films(studio.out)}
    assert there.keys() == {"m0.mp4", "m1.mp4"}
    studio.run(recording, table, output=studio.folder / "here")
    assert there == {name: (studio.folder / "here" / name).read_bytes() for name in there}


def test_frames_that_do_not_fit_into_memory_are_read_again(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, table = studio.recording(), hums(studio, 1, seconds=3.0)
    studio.run(recording, table, output=studio.folder / "held")
    monkeypatch.setattr(stage, "HELD_BYTES", 20 * 256 * 192 * 3 // 2 + 1)  # of 60 frames
    studio.run(recording, table)
    held = (studio.folder / "held" / "m0.mp4").read_bytes()
    assert held == (studio.out / "m0.mp4").read_bytes()
    seams = [
        read_entries(folder)["m0"].quality["seam"]
        for folder in (studio.folder / "held", studio.out)
    ]
    assert seams[0] == pytest.approx(1, abs=0.1)
    assert seams[1] == pytest.approx(1, abs=0.1)


# Tables


def test_messages_come_on_standard_input_as_json_lines(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = studio.recording()
    studio.hum("a.wav", 0.4)
    monkeypatch.chdir(studio.folder)
    lines = b'{"id": "a", "audio": "a.wav"}\n\n{"id": 7, "text": "as it is"}\n'
    made = studio.run(recording, "-", stdin=io.BytesIO(lines))
    assert made.made == 2
    assert films(studio.out).keys() == {"a.mp4", "7.mp4"}
    assert studio.entries()["7"].line == 3


def test_outputs_that_would_replace_what_is_read_are_refused(studio: Any) -> None:
    hums(studio, 1)
    studio.run(studio.recording(), studio.folder / "messages.csv")
    inside = studio.recording(name="out/presenter.mp4")
    (studio.out / "sound.mp4").write_bytes((studio.folder / "a.wav").read_bytes())
    before = inside.read_bytes()
    table = studio.table(
        [
            {"id": "presenter", "audio": "a.wav"},
            {"id": "b", "audio": "out/sound.mp4"},
            {"id": "sound", "audio": "a.wav"},
        ]
    )
    for options in ({}, {"force": True}):
        with pytest.raises(InputError) as raised:
            studio.run(inside, table, **options)
        assert str(raised.value).splitlines()[1:] == [
            "line 2: the output presenter.mp4 is a file to be read",
            "line 4: the output sound.mp4 is a file to be read",
        ]
    assert inside.read_bytes() == before


def test_a_codec_has_a_container_that_holds_it(studio: Any) -> None:
    studio.run(studio.recording(), hums(studio, 1), codec="ffv1")
    assert films(studio.out).keys() == {"m0.mkv"}


def test_parts_and_containers_that_cannot_be_are_told_with_their_lines(studio: Any) -> None:
    studio.hum("a.wav")
    table = studio.table(
        [
            {"id": "a", "audio": "a.wav", "start": "", "output": ""},
            {"id": "b", "audio": "a.wav", "start": 2.4},
            {"id": "c", "audio": "a.wav", "output": "c.webm"},
        ]
    )
    recording = studio.recording()
    with pytest.raises(InputError) as raised:
        studio.run(recording, table, codec="h264")
    assert str(raised.value).splitlines() == [
        f"{table} has 2 faults:",
        f"line 3: {recording} has no frame from 2.4 s to its end",
        "line 4: .webm cannot hold h264",
    ]
    assert not studio.out.exists()


def test_a_sheet_shows_all_messages(studio: Any) -> None:
    recording = studio.recording()
    messages = [{"id": "a", "text": "as it is"}, {"id": "b", "text": "fail here"}]
    sheet = studio.folder / "sheet.jpg"
    made = studio.run(recording, studio.table(messages), sheet=sheet)
    assert made.sheet == (sheet,)
    assert cv2.imread(str(sheet)).shape == (160 + 34, 2 * 160, 3)
    assert films(studio.out).keys() == {"a.mp4"}


# What a run would do


def test_a_forecast_makes_nothing_and_is_near(studio: Any) -> None:
    recording, table = studio.recording(), hums(studio, 4)
    options = studio.options(recording, table)
    told = forecast(options)
    assert not studio.out.exists()
    assert (told.rows, told.kept, told.todo, told.failed_before, told.tried) == (4, 0, 4, 0, 3)
    assert told.seconds == pytest.approx(4 * 0.4, abs=0.01)
    assert told.expected_seconds > 0
    assert told.free_bytes > 0
    made = studio.run(recording, table)
    size = sum((studio.out / name).stat().st_size for name in films(studio.out))
    assert told.expected_bytes == pytest.approx(size, rel=0.02)
    assert made.seconds == pytest.approx(told.seconds)

    (studio.out / "m1.mp4").unlink()
    told = forecast(options)
    assert (told.rows, told.kept, told.todo, told.tried) == (4, 3, 1, 1)
    told = forecast(replace(options, shard=Shard(1, 2)))
    assert (told.rows, told.todo, told.expected_seconds, told.expected_bytes) == (2, 0, 0, 0)


def test_a_forecast_counts_letters_and_survives_rows_that_fail(studio: Any) -> None:
    studio.hum("a.wav", 2.0)
    messages: list[dict[str, object]] = [
        {"id": "a", "text": "fail here", "audio": ""},
        {"id": "b", "text": "twenty letters here:"},
        {"id": "c", "audio": "a.wav"},
        {"id": "d", "text": "twenty letters here!"},
    ]
    recording = studio.recording()
    told = forecast(studio.options(recording, studio.table(messages)))
    assert (told.todo, told.tried) == (4, 2)
    # 20 letters of 30 ms and a pause of 0.5 s are 1.1 s; the 9 of the first are as long each.
    assert told.seconds == pytest.approx(2.0 + 1.1 / 20 * 49, abs=0.1)
    with pytest.raises(LipganError, match="cannot say 'fail here'"):
        forecast(studio.options(recording, studio.table(messages[:1])))
    studio.run(recording, studio.table(messages[:1]))
    told = forecast(studio.options(recording, studio.table(messages)))
    assert told.failed_before == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limit": 0}, "a limit of 0 messages"),
        ({"workers": 0}, "0 workers"),
        ({"min_sync": 1.5}, "a least confidence of 1.5"),
        ({"min_sync": float("nan")}, "a least confidence of nan"),
        ({"loudness_lufs": 0.0}, "a loudness of 0 LUFS"),
        ({"pause_seconds": -1.0}, "a pause of -1 s"),
        ({"av_offset_ms": 1e6}, "an offset of 1e\\+06 ms"),
        ({"person": "somebody"}, "no way to choose a face"),
        ({"start": 9.0}, "has no frame from 9 s to its end"),
        ({"sheet": "sheet.bmp"}, "does not end in .png or .jpg"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_made(
    studio: Any, options: dict[str, Any], told: str
) -> None:
    recording, table = studio.recording(30), hums(studio, 1)
    before = sorted(studio.folder.iterdir())
    for ask in (engine.campaign, forecast):
        with pytest.raises(InputError, match=told) as raised:
            ask(studio.options(recording, table, **options))
        assert raised.value.hint
    assert sorted(studio.folder.iterdir()) == before


def test_every_film_is_marked_whole_or_in_pieces(studio: Any) -> None:
    """A label is in shared pieces too; credentials and the mark in the sound are a film's own."""
    consent = studio.folder / "consent.txt"
    consent.write_text("yes")
    table = studio.table([{"id": "anna", "name": "Anna"}, {"id": "bo", "name": "Bo"}])
    made = studio.run(
        studio.recording(),
        table,
        template="Hello {name}! A body that all of them have in common.",
        marks=MarkOptions(consent=consent, label="de"),
    )
    assert (made.made, made.failed) == (2, 0)
    numbers = set()
    for name in ("anna.mp4", "bo.mp4"):
        found = verify(studio.out / name, listen=soundmark.find)
        assert (found.verdict, found.sound_fits) == (Verdict.OWN, True)
        assert found.tag is not None
        assert found.credentials is not None
        assert found.credentials.statement is not None
        assert found.credentials.statement.consent_sha256 == content_hash(consent)
        numbers.add(found.credentials.statement.sound_mark)
    assert len(numbers) == 2
