"""The manifest, what a second run does, whose a folder is, and who may write in it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lipgan_cli.engine.campaign.agenda import Agenda, Reason, Wanted, plan
from lipgan_cli.engine.campaign.folder import (
    Identity,
    check_folder,
    manifest_name,
    open_folder,
)
from lipgan_cli.engine.campaign.manifest import (
    Entry,
    Status,
    manifests,
    open_manifest,
    read_entries,
)
from lipgan_cli.engine.campaign.shards import Shard, parse_shard
from lipgan_cli.engine.errors import BusyError, InputError, LipganError

ROOT = Path(__file__).parents[2]
HERE = Identity("a" * 64, "anna.mp4", {"blend": "feather", "crf": 18, "part": (0, 2.5)})
FULL = Entry(
    id="Åsa, the 2nd",
    key="k",
    status=Status.REJECTED,
    line=12,
    row=MappingProxyType({"id": "Åsa, the 2nd", "text": 'Hello "Åsa"\nand you'}),
    inputs={"presenter": "p", "text": "t", "weights": "w"},
    output="sub/Åsa.mp4",
    bytes=1234,
    seconds=5.04,
    frames=126,
    elapsed=3.25,
    device="cpu",
    versions={"lipgan": "1.0"},
    warnings=("no face from 1.00 s to 1.20 s",),
    quality={"offset_ms": -40.0, "confidence": None},
    moment=60,
    face=(320.5, 180.0, 96.0),
    error="confidence 0.1",
    finished="2026-11-26T10:00:00.000000+00:00",
)


def made(folder: Path, name: str, key: str = "k", size: int = 3, **other: object) -> Entry:
    """Write a film and return what a manifest says of it."""
    (folder / f"{name}.mp4").write_bytes(b"x" * size)
    entry = Entry(name, key, Status.DONE, output=f"{name}.mp4", bytes=size)
    return dataclasses.replace(entry, **other)


def failed(name: str, key: str = "k") -> Entry:
    return Entry(name, key, Status.FAILED, output=f"{name}.mp4", error="no such file")


def table(*names: str, key: str = "k") -> list[Wanted]:
    return [Wanted(name, key, Path(f"{name}.mp4")) for name in names]


def append(path: Path, *entries: Entry) -> None:
    with open_manifest(path) as manifest:
        for entry in entries:
            manifest.add(entry)


# A line


def test_a_line_says_everything_again():
    line = FULL.to_json()
    assert "\n" not in line
    assert "Åsa" in line  # readable, and found by a search
    assert Entry.from_json(line) == dataclasses.replace(FULL, row=dict(FULL.row))
    assert list(json.loads(line)) == [field.name for field in dataclasses.fields(Entry)]


def test_an_entry_knows_when_it_was_made():
    entry = failed("a")
    assert entry.finished.endswith("+00:00")
    assert entry.finished <= failed("a").finished
    assert Entry.from_json('{"id": "a", "key": "k", "status": "done"}') == Entry(
        "a", "k", Status.DONE, finished=""
    )


def test_numbers_that_are_none_are_null():
    entry = Entry("a", "k", Status.DONE, quality={"seam": math.nan, "offset_ms": math.inf})
    assert json.loads(entry.to_json())["quality"] == {"seam": None, "offset_ms": None}


def test_a_newer_line_can_be_read():
    told = {**json.loads(FULL.to_json()), "colour": {"new": [1]}}
    assert Entry.from_json(json.dumps(told)) == Entry.from_json(FULL.to_json())


@pytest.mark.parametrize(
    "line",
    [
        *("", "\0\0\0", "7", "[]", "null", "{}", "[" * 100_000),
        '{"id": "a", "key": "k"}',
        '{"id": "a", "key": "k", "status": "unheard of"}',
        '{"id": 7, "key": "k", "status": "done"}',
        '{"id": "a", "key": "k", "status": "done", "bytes": "many"}',
        '{"id": "a", "key": "k", "status": "done", "face": [1, 2]}',
    ],
)
def test_a_damaged_line_says_nothing(line: str):
    assert Entry.from_json(line) is None


@given(st.data())
def test_no_beginning_of_a_line_is_taken_for_a_line(data: st.DataObject):
    line = FULL.to_json()
    assert Entry.from_json(line[: data.draw(st.integers(0, len(line) - 1))]) is None


@given(st.dictionaries(st.text(st.characters()), st.text(st.characters())))
@example({"path": "half a pair: \ud800"})
def test_whatever_a_row_holds_comes_back(row: dict[str, str]):
    entry = dataclasses.replace(FULL, row=row)
    line = entry.to_json()
    assert "\n" not in line
    assert Entry.from_json(line.encode().decode()) == entry


# A file


def test_the_last_line_about_a_message_counts(tmp_path: Path):
    path = tmp_path / "manifest.jsonl"
    append(path, failed("a"), failed("b"))
    append(path, made(tmp_path, "a"))
    entries = read_entries(tmp_path)
    assert {name: entry.status for name, entry in entries.items()} == {
        "a": Status.DONE,
        "b": Status.FAILED,
    }
    assert path.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_torn_line_is_ignored_and_stays_alone(tmp_path: Path, cut: int):
    path = tmp_path / "manifest.jsonl"
    append(path, failed("a"), failed("b"))
    path.write_bytes(path.read_bytes()[:-cut])
    # Without its newline alone the line is whole.
    assert set(read_entries(tmp_path)) == ({"a", "b"} if cut == 1 else {"a"})
    append(path, failed("c"))
    assert {"a", "c"} <= set(read_entries(tmp_path))
    assert path.read_bytes().count(b"\n") == 3


def test_damage_within_costs_its_line_alone(tmp_path: Path):
    path = tmp_path / "manifest.jsonl"
    append(path, failed("a"), failed("b"), failed("c"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"\xef\xbb\xbf" + lines[0] + b"\xff\xfe\0" + lines[1] + b"\n" + lines[2])
    assert set(read_entries(tmp_path)) == {"a", "c"}


def test_a_line_separator_in_a_text_ends_no_line(tmp_path: Path):
    entry = dataclasses.replace(FULL, row={"text": "a\u2028b\x85c\rd"})
    append(tmp_path / "manifest.jsonl", entry)
    assert read_entries(tmp_path) == {FULL.id: entry}


def test_between_files_the_time_counts_and_within_one_the_order(tmp_path: Path):
    early, late = "2026-11-26T10:00:00.000000+00:00", "2026-11-26T11:00:00.000000+00:00"
    first = dataclasses.replace(failed("a", "first"), finished=late)
    second = dataclasses.replace(failed("a", "second"), finished=early)  # the clock was set back
    append(tmp_path / "manifest.jsonl", first, second)
    assert read_entries(tmp_path)["a"].key == "second"
    append(tmp_path / "manifest-1-of-2.jsonl", dataclasses.replace(first, key="shard"))
    assert read_entries(tmp_path)["a"].key == "shard"
    append(tmp_path / "manifest-0.jsonl", first)
    append(tmp_path / "other.jsonl", first)
    assert [path.name for path in manifests(tmp_path)] == [
        "manifest-1-of-2.jsonl",
        "manifest.jsonl",
    ]


def test_threads_write_whole_lines(tmp_path: Path):
    path = tmp_path / "manifest.jsonl"
    with open_manifest(path) as manifest:
        entry = dataclasses.replace(FULL, row={"text": "x" * 20_000})
        threads = [
            threading.Thread(
                target=lambda t=t: [
                    manifest.add(dataclasses.replace(entry, id=f"{t}-{k}")) for k in range(10)
                ]
            )
            for t in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read_entries(tmp_path)) == 80
    assert path.read_bytes().count(b"\n") == 80


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_is_told_and_what_comes_after_is_whole(tmp_path: Path):
    import resource

    path = tmp_path / "manifest.jsonl"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    long = dataclasses.replace(FULL, id="long", row={"text": "x" * 5000})
    with open_manifest(path) as manifest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
        try:
            with pytest.raises(LipganError, match=r"cannot write .*manifest\.jsonl"):
                manifest.add(long)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        manifest.add(failed("a"))
    assert set(read_entries(tmp_path)) == {"a"}


def test_a_folder_that_is_not_there_has_no_entries(tmp_path: Path):
    assert read_entries(tmp_path / "missing") == {}


# What is to be done


def test_a_plain_run_makes_what_is_missing_or_failed(tmp_path: Path):
    entries = {
        "done": made(tmp_path, "done"),
        "other text": made(tmp_path, "other text", key="old"),
        "moved": made(tmp_path, "moved", output="elsewhere.mp4"),
        "deleted": made(tmp_path, "deleted"),
        "cut": made(tmp_path, "cut"),
        "folder": made(tmp_path, "folder"),
        "failed": failed("failed"),
        "failed, changed": failed("failed, changed", key="old"),
        "rejected": made(tmp_path, "rejected", status=Status.REJECTED),
        "rejected, changed": made(tmp_path, "rejected, changed", "old", status=Status.REJECTED),
        "gone from the table": made(tmp_path, "gone from the table"),
    }
    (tmp_path / "deleted.mp4").unlink()
    (tmp_path / "cut.mp4").write_bytes(b"x")
    (tmp_path / "folder.mp4").unlink()
    (tmp_path / "folder.mp4").mkdir()
    rows = table("new", *list(entries)[:-1])
    agenda = plan(tmp_path, rows, entries)
    assert {rows[position].id: reason for position, reason in agenda.todo.items()} == {
        "new": Reason.NEW,
        "other text": Reason.CHANGED,
        "moved": Reason.CHANGED,
        "deleted": Reason.LOST,
        "cut": Reason.LOST,
        "folder": Reason.LOST,
        "failed": Reason.FAILED,
        "failed, changed": Reason.FAILED,
        "rejected, changed": Reason.CHANGED,
    }
    assert list(agenda.todo) == sorted(agenda.todo)
    assert [entry.id for entry in agenda.kept.values()] == ["done", "rejected"]
    assert all(rows[position].id == entry.id for position, entry in agenda.kept.items())
    assert agenda.left == {}
    assert agenda.strays == ("gone from the table.mp4",)


def test_a_retry_makes_the_failed_and_rejected_and_no_others(tmp_path: Path):
    entries = {
        "done": made(tmp_path, "done"),
        "changed": made(tmp_path, "changed", key="old"),
        "failed": failed("failed", key="old"),
        "rejected": made(tmp_path, "rejected", status=Status.REJECTED),
        "rejected, lost": made(tmp_path, "rejected, lost", status=Status.REJECTED, bytes=9),
    }
    agenda = plan(tmp_path, table("new", *entries), entries, retry_failed=True)
    assert agenda == Agenda(
        todo={3: Reason.FAILED, 4: Reason.REJECTED, 5: Reason.LOST},
        left={0: Reason.NEW, 2: Reason.CHANGED},
        kept={1: entries["done"]},
        strays=(),
    )


def test_by_force_all_are_made(tmp_path: Path):
    entries = {"a": made(tmp_path, "a"), "b": failed("b")}
    agenda = plan(tmp_path, table("a", "b", "c"), entries, force=True)
    assert agenda.todo == {0: Reason.FORCED, 1: Reason.FAILED, 2: Reason.NEW}
    assert agenda.kept == {}


def test_ten_thousand_rows_are_read_and_planned_quickly(tmp_path: Path):
    (tmp_path / "film.mp4").touch()  # of all of them: what counts is how often it is asked for
    names = [f"m{number}" for number in range(10_000)]
    line = dataclasses.replace(FULL, id="NAME", output="film.mp4", bytes=0).to_json() + "\n"
    lines = "".join(line.replace("NAME", name) for name in names)
    (tmp_path / "manifest.jsonl").write_text(lines, "utf-8")
    rows = [Wanted(name, "k", Path("film.mp4")) for name in names]
    begun = time.process_time()
    agenda = plan(tmp_path, rows, read_entries(tmp_path))
    taken = time.process_time() - begun
    assert len(agenda.kept) == 10_000
    assert taken < 4  # 0.7 s on two slow cores


# Shards


@given(st.integers(1, 40), st.integers(0, 200))
def test_shards_deal_every_row_once(count: int, rows: int):
    shards = [Shard(number, count) for number in range(1, count + 1)]
    dealt = [sum(shard.has(row) for shard in shards) for row in range(rows)]
    assert dealt == [1] * rows
    sizes = [sum(shard.has(row) for row in range(rows)) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


def test_a_shard_plans_its_own_rows(tmp_path: Path):
    entries = {"d": made(tmp_path, "d"), "e": made(tmp_path, "e")}
    rows = table("a", "b", "c", "d", "e")
    first = plan(tmp_path, rows, entries, Shard(1, 2))
    second = plan(tmp_path, rows, entries, Shard(2, 2))
    assert list(first.todo) == [0, 2]
    assert list(first.kept) == [4]
    assert list(second.todo) == [1]
    assert list(second.kept) == [3]
    assert first.strays == second.strays == ()


def test_a_shard_is_read():
    assert parse_shard("2/8") == parse_shard(" 2 / 8 ") == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"
    assert manifest_name(Shard(2, 8)) == "manifest-2-of-8.jsonl"
    assert manifest_name(None) == "manifest.jsonl"


@pytest.mark.parametrize("text", ["", "2", "/8", "2/", "2/8/9", "a/b", "-1/8", "1.5/8", "1/1e9"])
def test_what_is_no_shard_is_said_so(text: str):
    with pytest.raises(InputError, match="is no shard") as caught:
        parse_shard(text)
    assert "2/8" in caught.value.hint


@pytest.mark.parametrize(("text", "hint"), [("0/8", "1/8 to 8/8"), ("9/8", "1/8"), ("0/0", "one")])
def test_a_shard_that_there_is_not(text: str, hint: str):
    with pytest.raises(InputError, match=f"there is no shard {text}") as caught:
        parse_shard(text)
    assert hint in caught.value.hint


# Whose a folder is


def test_a_new_folder_says_whose_it_is(tmp_path: Path):
    out = tmp_path / "for Åsa [1]"
    with open_folder(out, HERE, [Path("a.mp4")]) as folder:
        assert (folder.path, folder.entries) == (out, {})
        folder.manifest.add(failed("a"))
    assert json.loads((out / "campaign.json").read_text("utf-8")) == {
        "format": 1,
        "presenter": {"name": "anna.mp4", "sha256": "a" * 64},
        "options": {"blend": "feather", "crf": 18, "part": [0, 2.5]},
    }
    with open_folder(out, HERE, [Path("a.mp4"), Path("more.mp4")]) as folder:
        assert set(folder.entries) == {"a"}


def test_a_check_writes_nothing(tmp_path: Path):
    check_folder(tmp_path / "out", HERE, [])
    assert list(tmp_path.iterdir()) == []


def test_another_name_of_the_recording_is_no_difference(tmp_path: Path):
    with open_folder(tmp_path, HERE, []):
        pass
    check_folder(tmp_path, dataclasses.replace(HERE, name="copy.mp4"), [])


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"presenter": "b" * 64, "name": "bob.mp4"}, "presenter anna.mp4, not bob.mp4"),
        ({"presenter": "b" * 64}, "presenter anna.mp4, not another recording of that name"),
        (
            {"options": {"blend": "hard", "part": [0, 2.5], "weights": "c" * 64}},
            "blend feather, not hard; crf 18, not none; weights none, not cccccccccccc",
        ),
    ],
)
def test_another_campaign_is_refused_with_what_differs(
    tmp_path: Path, other: Mapping[str, object], said: str
):
    with open_folder(tmp_path, HERE, []) as folder:
        folder.manifest.add(failed("a"))
    before = (tmp_path / "campaign.json").read_bytes()
    stranger = dataclasses.replace(HERE, **other)
    for refusing in (check_folder, lambda *given: open_folder(*given).__enter__()):
        with pytest.raises(InputError) as caught:
            refusing(tmp_path, stranger, [])
        assert caught.value.message == f"{tmp_path} is another campaign's: {said}"
        assert "--force" in caught.value.hint
    assert (tmp_path / "campaign.json").read_bytes() == before
    with open_folder(tmp_path, stranger, [], force=True):
        pass
    check_folder(tmp_path, stranger, [])


def test_a_run_that_has_made_nothing_binds_nobody(tmp_path: Path):
    with open_folder(tmp_path, HERE, []):
        pass
    stranger = dataclasses.replace(HERE, presenter="b" * 64)
    check_folder(tmp_path, stranger, [Path("a.mp4")])
    with open_folder(tmp_path, stranger, []) as folder:
        folder.manifest.add(failed("a"))
    with pytest.raises(InputError, match="is another campaign's"):
        check_folder(tmp_path, HERE, [])


def test_files_of_others_are_not_replaced(tmp_path: Path):
    (tmp_path / "messages.csv").write_text("x")
    outputs = [Path("a.mp4"), Path("sub/b.mp4"), Path("c" * 300)]
    check_folder(tmp_path, HERE, outputs)
    for name in outputs[:2]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with (
        pytest.raises(InputError, match=r"no campaign's, and holds a\.mp4 and 1 more"),
        open_folder(tmp_path, HERE, outputs),
    ):
        pass
    assert not list(tmp_path.glob(".*"))
    with open_folder(tmp_path, HERE, outputs, force=True):
        pass
    check_folder(tmp_path, HERE, outputs)  # now it is this one's


def test_a_manifest_without_its_campaign_is_refused(tmp_path: Path):
    append(tmp_path / "manifest-1-of-2.jsonl", failed("a"))
    with pytest.raises(InputError, match=r"holds manifest-1-of-2\.jsonl already"):
        check_folder(tmp_path, HERE, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 2, "presenter": 7}', "of format 2, not 1"),
    ],
)
def test_a_description_that_cannot_be_used(tmp_path: Path, text: str, said: str):
    (tmp_path / "campaign.json").write_text(text)
    with pytest.raises(InputError, match=said):
        check_folder(tmp_path, HERE, [])
    with open_folder(tmp_path, HERE, [], force=True):
        pass
    check_folder(tmp_path, HERE, [])


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        check_folder(tmp_path / "out", HERE, [])


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path: Path):
    outputs = [Path("a.mp4"), Path("sub") / f"{'b' * 50}.mp4"]
    left = [
        tmp_path / ".a.0123abcd.part.mp4",
        tmp_path / "sub" / f".{'b' * 40}.0123abcd.part.mp4",
        tmp_path / ".campaign.0123abcd.part.json",
    ]
    others = [
        tmp_path / ".film.0123abcd.part.mp4",
        tmp_path / ".a.0123abcd.part.mkv",
        tmp_path / "sub" / ".a.0123abcd.part.mp4",
        tmp_path / ".a.part.mp4",
    ]
    (tmp_path / "sub").mkdir()
    for path in [*left, *others]:
        path.touch()
    with open_folder(tmp_path, HERE, outputs, Shard(1, 2)):
        assert all(path.exists() for path in left)  # shard 2 may be making them
    os.utime(left[0], (1, 1))
    with open_folder(tmp_path, HERE, outputs, Shard(1, 2)):
        assert [path.exists() for path in left] == [False, True, True]
    with open_folder(tmp_path, HERE, outputs):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


# Who may write in it


def hold(folder: Path, shard: str | None = None, identity: Identity = HERE, force: bool = False):
    chosen = None if shard is None else parse_shard(shard)
    return open_folder(folder, identity, [], chosen, force)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (None, None, "another run is writing {}"),
        ("1/2", "1/2", "another run is writing shard 1/2 of {}"),
        ("1/2", None, "shard 1/2 is writing {}"),
        (None, "1/2", "a run without shards is writing {}"),
        ("1/2", "2/3", "shard 1/2 is writing {}"),
        ("1/1", "1/2", "shard 1/1 is writing {}"),
    ],
)
def test_no_row_is_made_by_two_at_once(
    tmp_path: Path, first: str | None, second: str | None, said: str
):
    with hold(tmp_path, first):
        with pytest.raises(BusyError) as caught, hold(tmp_path, second):
            pass
        assert caught.value.message == said.format(tmp_path)
    with hold(tmp_path, second):  # what was refused holds nothing
        pass


def test_shards_work_side_by_side_each_with_a_manifest(tmp_path: Path):
    with hold(tmp_path, "1/3") as one, hold(tmp_path, "2/3") as two, hold(tmp_path, "3/3"):
        one.manifest.add(failed("a"))
        two.manifest.add(failed("b"))
        with pytest.raises(BusyError), hold(tmp_path, "2/3"):
            pass
    with hold(tmp_path) as whole:
        assert set(whole.entries) == {"a", "b"}
    assert [path.name for path in manifests(tmp_path)] == [
        "manifest-1-of-3.jsonl",
        "manifest-2-of-3.jsonl",
        "manifest-3-of-3.jsonl",
        "manifest.jsonl",
    ]


def test_a_campaign_is_not_replaced_under_a_run(tmp_path: Path):
    other = dataclasses.replace(HERE, presenter="b" * 64)
    with hold(tmp_path, "1/2"):
        with pytest.raises(BusyError), hold(tmp_path, "2/2", other, force=True):
            pass
        check_folder(tmp_path, HERE, [])
    with (
        hold(tmp_path, "1/2", other, force=True),
        hold(tmp_path, "2/2", other, force=True),  # the same command, of a job array
    ):
        check_folder(tmp_path, other, [])


def test_many_shards_that_begin_at_once_all_get_in(tmp_path: Path):
    everybody, problems = threading.Barrier(12), []

    def work(number: int) -> None:
        try:
            with hold(tmp_path / "out", f"{number}/12") as folder:
                folder.manifest.add(failed(f"m{number}"))
                everybody.wait(30)
        except (LipganError, threading.BrokenBarrierError) as error:
            problems.append(error)
            everybody.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(read_entries(tmp_path / "out")) == 12


RUN = """
import sys
from pathlib import Path
from lipgan_cli.engine.campaign.folder import Identity, open_folder
from lipgan_cli.engine.campaign.manifest import Entry, Status

with open_folder(Path(sys.argv[1]), Identity("a" * 64, "anna.mp4", {}), []) as folder:
    for number in range(1_000_000):
        folder.manifest.add(Entry(f"m{number}", "k", Status.DONE, row={"text": "x" * 3000}))
        print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_run_has_told_all_that_it_finished_and_lets_go(tmp_path: Path):
    identity = dataclasses.replace(HERE, options={})
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "0\n"
    with pytest.raises(BusyError), open_folder(tmp_path, identity, []):
        pass
    time.sleep(0.1)
    run.send_signal(signal.SIGKILL)
    said = [0, *map(int, run.communicate()[0].split())]
    with open_folder(tmp_path, identity, []) as folder:
        assert {f"m{number}" for number in said} <= set(folder.entries)
        assert len(folder.entries) <= len(said) + 1
