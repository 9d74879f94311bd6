"""Downloads from a server on this machine: a verified file, or a clear error and nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from lipgan_cli.engine import weights
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.paths import locked
from lipgan_cli.engine.weights import State, transfer
from lipgan_cli.engine.weights import download as module
from lipgan_cli.engine.weights.download import download

CONTENT = bytes(range(256)) * 2000


@pytest.mark.parametrize("address", ["file", "packed.bz2", "moved"])
def test_download_gives_a_verified_file(row, home, files, address):
    wanted = row(address)
    assert weights.inspect(wanted).state is State.MISSING
    installed = download(wanted, pause=0)
    assert installed.path == home / "weights" / "toy.dat"
    assert installed.path.read_bytes() == CONTENT
    assert installed.version.what == "as published"
    assert installed.own
    assert installed == weights.inspect(wanted)
    assert files() == ["toy.dat"]


def test_progress_counts_every_byte(row, notes):
    download(row("file"), notes)
    assert notes.tasks == [("downloading toy", 512_000)]
    assert notes.steps == 512_000
    assert notes.notes == []


def test_what_is_there_is_not_fetched_again(row, asked):
    wanted = row("file")
    first = download(wanted)
    assert download(wanted) == first
    assert asked() == ["file"]
    download(wanted, force=True)
    assert asked() == ["file", "file"]


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], b"!" + CONTENT[1:]])
def test_damaged_file_is_told_and_replaced(row, home, files, notes, content):
    wanted = row("file")
    (home / "weights").mkdir()
    (home / "weights" / "toy.dat").write_bytes(content)
    assert weights.inspect(wanted).state is State.DAMAGED
    assert download(wanted, notes).state is State.VERIFIED
    assert notes.notes[0].endswith(
        "toy.dat is not the file that was published; it is fetched again"
    )
    assert files() == ["toy.dat"]


def test_caveat_is_told_when_it_is_fetched(row, notes):
    wanted = row("file", caveat="for laughing only")
    download(wanted, notes)
    assert notes.notes == ["toy: for laughing only"]
    download(wanted, notes)
    assert len(notes.notes) == 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("page", "it gave a web page, not the file"),
        ("page.bz2", "it gave a web page, not the file"),
        ("plainpage", "it gave a web page, not the file"),
        ("short", "it gave 511,999 bytes, not 512,000"),
        ("long", "it gave 512,001 bytes, not 512,000"),
        ("longwithoutlength", "it gave more than 512,000 bytes"),
        ("zeros.bz2", "it gave more than 512,000 bytes"),
        ("text.bz2", "it gave a damaged .bz2 file"),
        ("unfinished.bz2", "it gave an unfinished .bz2 file"),
        ("other", "it gave another file: SHA-256 "),
        ("nothing", "HTTP 404 Not Found"),
    ],
)
def test_wrong_answer_is_told_and_leaves_nothing(row, server, files, asked, address, reason):
    with pytest.raises(LipganError) as caught:
        download(row(address), pause=0)
    host = server.url.removeprefix("http://")
    start = f"the weights toy could not be downloaded: {host}: {reason}"
    assert caught.value.message.startswith(start)
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 1
    assert "--from FILE" in caught.value.hint
    assert files() == []
    assert asked() == [address]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("cut", "the connection closed after 100,000 of 512,000 bytes"),
        ("cutwithoutlength", "the connection closed after 100,000 of 512,000 bytes"),
        ("busy", "HTTP 503 Service Unavailable"),
    ],
)
def test_passing_failure_is_tried_again(row, files, asked, notes, address, reason):
    with pytest.raises(LipganError) as caught:
        download(row(address), notes, pause=0)
    assert caught.value.message.endswith(reason)
    assert "toy.dat" not in files()
    assert asked() == [address] * 3
    assert [note.endswith(f"{reason}; trying again") for note in notes.notes] == [True, True]


def test_pauses_grow_and_a_server_may_ask_for_longer_ones(row, monkeypatch):
    slept = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    with pytest.raises(LipganError):
        download(row("busy"))
    assert slept == [2, 4]
    slept.clear()
    download(row("waiting"))
    assert slept == [7]


def test_broken_download_goes_on_where_it_broke(row, home, files, asked, notes):
    download(row("pieces"), notes, pause=0)
    assert (home / "weights" / "toy.dat").read_bytes() == CONTENT
    assert asked() == ["pieces", *(f"pieces {n}00000-" for n in range(1, 6))]
    assert files() == ["toy.dat"]
    assert notes.steps == 512_000
    assert notes.tasks[1] == ("downloading toy, the rest", 412_000)
    assert notes.notes[0].endswith(
        "the connection closed after 100,000 of 512,000 bytes; going on from there"
    )


def test_file_is_known_by_its_date_where_it_has_no_strong_tag(row, server, asked):
    download(row("weak"), pause=0)
    assert asked() == ["weak", "weak 300000-"]
    assert server.asked[1][1]["If-Range"] == "Mon, 02 Jan 2023 03:04:05 GMT"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("changed", ["changed", "changed 100000-"]),  # the server then gives all of the new one
        ("anonymous", ["anonymous", "anonymous"]),
        ("wrongpart", ["wrongpart", "wrongpart 100000-", "wrongpart"]),
        ("norest", ["norest", "norest 100000-", "norest"]),
    ],
)
def test_what_does_not_fit_is_fetched_anew(row, home, files, asked, address, expected):
    download(row(address), pause=0)
    assert (home / "weights" / "toy.dat").read_bytes() == CONTENT
    assert asked() == expected
    assert files() == ["toy.dat"]


def test_server_that_begins_anew_each_time_is_given_up(row, asked):
    with pytest.raises(LipganError, match="closed after 100,000 of 512,000 bytes"):
        download(row("deaf"), pause=0)
    assert len(asked()) <= 6


def test_interrupted_download_goes_on_the_next_time(row, home, files, asked):
    class Interrupting:
        def advance(self, steps=1):
            raise KeyboardInterrupt

    told = SimpleNamespace(task=lambda *_: nullcontext(Interrupting()))
    wanted = row("file")
    with pytest.raises(KeyboardInterrupt):
        download(wanted, told)
    assert files() == [".toy.dat.part", ".toy.dat.part.json"]
    begun = (home / "weights" / ".toy.dat.part").stat().st_size
    assert 0 < begun <= 262_144
    assert weights.inspect(wanted).state is State.MISSING
    download(wanted)
    assert asked() == ["file", f"file {begun}-"]
    assert files() == ["toy.dat"]


def test_all_that_came_needs_no_server(row, home, files, asked):
    """A process that ended between the last byte and the check."""
    wanted = row("file")
    folder = home / "weights"
    folder.mkdir()
    (folder / ".toy.dat.part").write_bytes(CONTENT)
    note = {"url": wanted.urls[0], "validator": '"one"', "length": 512_000}
    (folder / ".toy.dat.part.json").write_text(json.dumps(note))
    download(wanted)
    assert asked() == []
    assert files() == ["toy.dat"]


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 1}', "null"])
def test_beginning_that_nothing_tells_of_is_not_used(row, home, files, asked, note):
    folder = home / "weights"
    folder.mkdir()
    (folder / ".toy.dat.part").write_bytes(b"?" * 1000)
    (folder / ".toy.dat.part.json").write_text(note)
    assert download(row("file")).path.read_bytes() == CONTENT
    assert asked() == ["file"]
    assert files() == ["toy.dat"]


def test_beginning_that_was_damaged_here_is_fetched_anew(row, home, files, asked, notes):
    wanted = row("file")
    folder = home / "weights"
    folder.mkdir()
    (folder / ".toy.dat.part").write_bytes(bytes(1000))
    note = {"url": wanted.urls[0], "validator": '"one"', "length": 512_000}
    (folder / ".toy.dat.part.json").write_text(json.dumps(note))
    assert download(wanted, notes, pause=0).path.read_bytes() == CONTENT
    assert asked() == ["file 1000-", "file"]
    assert "it gave another file: SHA-256" in notes.notes[0]


def test_silent_server_is_given_up(row, files, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.2)
    with pytest.raises(LipganError, match=r"no answer for 0\.2 seconds"):
        download(row("slow"), pause=0)
    assert files() == []


def test_server_that_gives_too_little_is_left(row, home, notes, monkeypatch):
    monkeypatch.setattr(transfer, "PATIENCE", 0.3)
    monkeypatch.setattr(transfer, "SLOWEST", 100_000)
    download(row("drops", "packed.bz2"), notes, pause=10)
    assert (home / "weights" / "toy.dat").read_bytes() == CONTENT
    (note,) = notes.notes
    assert re.search(r"it gave [0-9]{2,4} bytes a second; trying the next$", note)


def test_unreachable_server_is_told(row, server, files):
    wanted = row("file")
    server.server_close()
    with pytest.raises(LipganError, match=r"127\.0\.0\.1:[0-9]+: Connection refused$"):
        download(wanted, pause=0)
    assert files() == []


def test_next_address_is_tried(row, home, notes):
    download(row("nothing", "page", "packed.bz2"), notes, pause=0)
    assert (home / "weights" / "toy.dat").read_bytes() == CONTENT
    assert [note.split(": ", 2)[2] for note in notes.notes] == [
        "HTTP 404 Not Found; trying the next",
        "it gave a web page, not the file; trying the next",
    ]


def test_all_addresses_are_named_when_none_gives_it(row):
    with pytest.raises(LipganError, match=r"HTTP 404 Not Found; .*a web page"):
        download(row("nothing?1", "page"), pause=0)


def test_proxy_is_used_as_the_variables_say(row, server, monkeypatch):
    wanted = row(urls=("http://weights.invalid/file",))
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "elsewhere.invalid")
    download(wanted)
    path, headers = server.asked[0]
    assert path == "http://weights.invalid/file"
    assert headers["Host"] == "weights.invalid"
    assert headers["User-Agent"].startswith("lipgan/")
    server.asked.clear()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    download(row("file"), force=True)
    assert server.asked[0][0] == "/file"


@pytest.fixture
def small_files():
    """Let no file grow beyond 300,000 bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="no limit on file sizes here")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(
    ("address", "file"), [("file", r"\.toy\.dat\.part"), ("packed.bz2", "toy")]
)
def test_full_disk_is_told_and_nothing_has_the_name(row, files, address, file):
    with pytest.raises(LipganError, match=rf"cannot write .*{file}.*: File too large"):
        download(row(address), pause=0)
    assert not [name for name in files() if not name.startswith(".")]


def test_room_is_checked_first(row, asked, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(LipganError, match="1,000 bytes free; fetching toy takes 1,024,000"):
        download(row("file"))
    assert asked() == []


def test_two_at_once_fetch_once(row, asked, files, notes):
    wanted = row("later")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(download(wanted, notes))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked() == ["later"]
    assert found == [found[0]] * 3
    assert files() == ["toy.dat"]
    assert notes.notes == ["toy: waiting for another download to end"] * 2


def test_what_another_left_is_waited_for(row, asked, home, notes):
    with locked(home / "weights"):
        thread = threading.Thread(target=download, args=(row("file"), notes))
        thread.start()
        while not notes.notes:
            time.sleep(0.01)
        assert asked() == []
    thread.join()
    assert asked() == ["file"]


def started(wanted):
    """Download in a process of its own."""
    code = (
        "import json, sys\n"
        "from lipgan_cli.engine.weights.download import download\n"
        "from lipgan_cli.engine.weights.registry import Version, WeightsFile\n"
        "row = json.loads(sys.argv[1])\n"
        "row['versions'] = tuple(Version(**each) for each in row['versions'])\n"
        "print(download(WeightsFile(**row)).state)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(asdict(wanted))],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"no_proxy": "127.0.0.1"},
    )


def test_two_processes_fetch_once(row, asked, files):
    wanted = row("later")
    running = [started(wanted) for _ in range(2)]
    assert [process.communicate()[0] for process in running] == ["verified\n"] * 2
    assert asked() == ["later"]
    assert files() == ["toy.dat"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_killed_process_leaves_what_can_be_gone_on_from(row, server, home, files, asked):
    wanted = row("pausing")
    part = home / "weights" / ".toy.dat.part"
    with started(wanted) as running:
        while not part.exists() or part.stat().st_size < 200_000:
            assert running.poll() is None
            time.sleep(0.01)
        running.kill()
    left = home / "weights" / ".toy.0123abcd.part.dat"  # as a kill while unpacking would leave
    left.write_bytes(b"x")
    begun = part.stat().st_size
    assert weights.inspect(wanted).state is State.MISSING
    assert download(wanted).path.read_bytes() == CONTENT
    assert asked() == ["pausing", f"pausing {begun}-"]
    assert files() == ["toy.dat"]


def test_offline_nothing_is_asked_for(row, asked, home, notes):
    wanted = row("file", caveat="for laughing only")
    with pytest.raises(
        InputError, match="toy are not here and cannot be fetched offline"
    ) as caught:
        download(wanted, notes, offline=True)
    assert "--from FILE" in caught.value.hint
    assert asked() == notes.notes == []
    assert not (home / "weights").exists()
    there = download(wanted)
    assert download(wanted, notes, offline=True) == there


def test_folder_that_cannot_be_made_is_bad_input(row, home):
    (home / "weights").write_text("a file")
    with pytest.raises(InputError, match="cannot make the folder"):
        download(row("file"))
