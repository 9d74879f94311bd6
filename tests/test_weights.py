"""Downloads from a server on this machine: a verified file, or a clear error and nothing."""

from __future__ import annotations

import bz2
import hashlib
import shutil
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from lipgan_cli.engine import weights
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.weights import REGISTRY, State, Version, WeightsFile

CONTENT = bytes(range(256)) * 2000  # more than one block


class Handler(BaseHTTPRequestHandler):
    """Answers by the last part of the path."""

    def do_GET(self):
        self.server.asked[self.path] += 1
        getattr(self, "give_" + self.path.rsplit("/", 1)[1].split(".")[0])()

    def give_file(self):
        self.answer(CONTENT)

    def give_packed(self):
        self.answer(bz2.compress(CONTENT))

    def give_zeros(self):
        self.answer(bz2.compress(bytes(50_000_000)))

    def give_text(self):
        self.answer(b"no archive at all")

    def give_unfinished(self):
        self.answer(bz2.compress(CONTENT)[:300])

    def give_page(self):
        self.answer(b"<html>not here</html>", kind="text/html; charset=utf-8")

    def give_plainpage(self):
        self.answer(b"<!DOCTYPE html>".ljust(len(CONTENT)))

    def give_short(self):
        self.answer(CONTENT[:-1])

    def give_long(self):
        self.answer(CONTENT + b"!", length=False)

    def give_other(self):
        self.answer(CONTENT[::-1])

    def give_nothing(self):
        self.send_error(404)

    def give_busy(self):
        self.send_error(503)

    def give_cut(self):
        self.answer(CONTENT[:100_000], length=len(CONTENT))

    def give_cutwithoutlength(self):
        self.answer(CONTENT[:100_000], length=False)

    def give_second(self):
        """Cut off at first, whole when asked again."""
        if self.server.asked[self.path] == 1:
            self.give_cut()
        else:
            self.give_file()

    def give_slow(self):
        self.server.hanging.wait(20)

    def give_agent(self):
        agent = self.headers["User-Agent"].encode()
        self.answer(agent.ljust(len(CONTENT)))

    def answer(self, content, kind="application/octet-stream", length=True):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length:
            self.send_header("Content-Length", str(len(content) if length is True else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.handle_error = lambda *_: None
        running.asked = Counter()
        running.hanging = threading.Event()
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.hanging.set()
        running.shutdown()
        thread.join()


def row(server, *addresses, content=CONTENT):
    port = server.server_address[1]
    return WeightsFile(
        name="toy",
        file="toy.dat",
        purpose="a test",
        size=len(content),
        versions=(
            Version(hashlib.sha256(content).hexdigest(), "as published"),
            Version(hashlib.sha256(content[::-1] + b"?").hexdigest(), "of another year"),
        ),
        licence="CC0-1.0",
        urls=tuple(f"http://127.0.0.1:{port}/{address}" for address in addresses),
        recommended=True,
    )


class Notes:
    """A progress that remembers its notes, the size of its tasks and their steps."""

    def __init__(self):
        self.notes, self.totals, self.steps = [], [], 0

    @contextmanager
    def task(self, description, total=None, unit=""):
        assert unit == "B"
        self.totals.append(total)
        yield self

    def advance(self, steps=1):
        self.steps += steps

    def show(self, **figures):
        pass

    def note(self, message):
        self.notes.append(message)


def files(home):
    return [path.name for path in (home / "weights").iterdir()]


@pytest.mark.parametrize("address", ["file", "packed.bz2"])
def test_download_gives_a_verified_file(server, home, address):
    wanted, told = row(server, address), Notes()
    assert weights.inspect(wanted).state is State.MISSING
    installed = weights.download(wanted, told)
    assert installed.path == home / "weights" / "toy.dat"
    assert installed.path.read_bytes() == CONTENT
    assert installed.version.what == "as published"
    assert installed == weights.inspect(wanted)
    assert files(home) == ["toy.dat"]
    assert told.totals == [told.steps]
    assert told.notes == []


def test_what_is_there_is_not_fetched_again(server):
    wanted = row(server, "file")
    first = weights.download(wanted)
    assert weights.download(wanted) == first
    assert server.asked["/file"] == 1
    weights.download(wanted, force=True)
    assert server.asked["/file"] == 2


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], b"!" + CONTENT[1:]])
def test_damaged_file_is_told_and_replaced(server, home, content):
    wanted, told = row(server, "file"), Notes()
    (home / "weights").mkdir()
    (home / "weights" / "toy.dat").write_bytes(content)
    assert weights.inspect(wanted).state is State.DAMAGED
    assert weights.download(wanted, told).state is State.VERIFIED
    assert "toy.dat is not the file that was published and is replaced" in told.notes[0]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("page", "it gave a web page, not the file"),
        ("plainpage", "it gave a web page, not the file"),
        ("short", "it gave 511,999 bytes, not 512,000"),
        ("long", "it gave more than 512,000 bytes"),
        ("zeros.bz2", "it gave more than 512,000 bytes"),
        ("text.bz2", "it gave something that is not a .bz2 file"),
        ("other", "it gave another file: SHA-256 "),
        ("nothing", "HTTP 404 Not Found"),
    ],
)
def test_wrong_answer_is_told_and_leaves_nothing(server, home, address, reason):
    with pytest.raises(LipganError) as caught:
        weights.download(row(server, address), pause=0)
    host = f"127.0.0.1:{server.server_address[1]}"
    start = f"the weights toy could not be downloaded: {host}: {reason}"
    assert caught.value.message.startswith(start)
    assert caught.value.exit_code == 1
    assert str(home / "weights") in caught.value.hint
    assert files(home) == []
    assert server.asked[f"/{address}"] == 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("cut", "the connection closed after 100,000 of 512,000 bytes"),
        ("cutwithoutlength", "it gave 100,000 bytes, not 512,000"),
        ("unfinished.bz2", "it gave an unfinished .bz2 file"),
        ("busy", "HTTP 503 Service Unavailable"),
    ],
)
def test_passing_failure_is_tried_again(server, home, address, reason):
    told = Notes()
    with pytest.raises(LipganError) as caught:
        weights.download(row(server, address), told, pause=0)
    assert caught.value.message.endswith(reason)
    assert files(home) == []
    assert server.asked[f"/{address}"] == 3
    assert [note.endswith(f"{reason}; trying again") for note in told.notes] == [True, True]


def test_second_try_may_succeed(server, home):
    weights.download(row(server, "second"), pause=0)
    assert files(home) == ["toy.dat"]


def test_slow_server_is_given_up(server, home, monkeypatch):
    monkeypatch.setattr(weights, "TIMEOUT", 0.2)
    with pytest.raises(LipganError, match="no answer for 0 seconds"):
        weights.download(row(server, "slow"), pause=0)
    assert files(home) == []


def test_unreachable_server_is_told(server, home):
    wanted = row(server, "file")
    server.server_close()
    with pytest.raises(LipganError, match=r"127\.0\.0\.1:[0-9]+: Connection refused$"):
        weights.download(wanted, pause=0)
    assert files(home) == []


def test_next_address_is_tried(server, home):
    told = Notes()
    weights.download(row(server, "nothing", "page", "packed.bz2"), told, pause=0)
    assert (home / "weights" / "toy.dat").read_bytes() == CONTENT
    assert [note.split(": ", 2)[2] for note in told.notes] == [
        "HTTP 404 Not Found; trying the next",
        "it gave a web page, not the file; trying the next",
    ]


def test_all_addresses_are_named_when_none_gives_it(server):
    with pytest.raises(LipganError, match=r"HTTP 404 Not Found; .*a web page"):
        weights.download(row(server, "nothing", "page"), pause=0)


def test_another_published_version_is_taken(server, home):
    other = CONTENT[::-1] + b"?"
    wanted = row(server, content=other[:-1][::-1])
    assert wanted.versions[1].sha256 == hashlib.sha256(other).hexdigest()
    wanted = WeightsFile(**{**vars(wanted), "size": len(other)})
    (home / "weights").mkdir()
    (home / "weights" / "toy.dat").write_bytes(other)
    assert weights.inspect(wanted).version.what == "of another year"


def test_full_disk_is_told_and_leaves_nothing(server, home):
    resource = pytest.importorskip("resource", reason="no limit on file sizes here")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(LipganError, match=r"cannot write .*toy\.dat: File too large"):
            weights.download(row(server, "file"), pause=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(home) == []


def test_room_is_checked_first(server, home, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(LipganError, match="has 1,000 bytes free; toy takes 512,000"):
        weights.download(row(server, "file"))
    assert server.asked["/file"] == 0


def test_several_at_once_do_not_disturb_each_other(server, home):
    wanted = row(server, "file")
    threads = [
        threading.Thread(target=weights.download, args=(wanted,), kwargs={"force": True})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files(home) == ["toy.dat"]
    assert weights.inspect(wanted).state is State.VERIFIED


def test_interrupted_download_leaves_nothing(server, home):
    class Interrupting(Notes):
        def advance(self, steps=1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.download(row(server, "file"), Interrupting())
    assert files(home) == []


def test_find_says_how_to_get_what_is_missing_or_damaged(home):
    with pytest.raises(InputError, match="the weights mmod are not installed") as caught:
        weights.find("mmod")
    assert caught.value.hint == "lipgan download-weights mmod fetches them"
    (home / "weights").mkdir()
    (home / "weights" / "mmod_human_face_detector.dat").write_bytes(b"x")
    with pytest.raises(InputError, match="not the file that was published"):
        weights.find("mmod")


def test_find_gives_what_is_verified(server, home, monkeypatch):
    monkeypatch.setattr(weights, "REGISTRY", (row(server, "file"),))
    assert weights.download(weights.named("toy")).path == weights.find("toy")


def test_registry_rows_are_whole():
    assert len({row.name for row in REGISTRY}) == len(REGISTRY)
    assert len({row.file for row in REGISTRY}) == len(REGISTRY)
    for row in REGISTRY:
        assert row.urls
        assert all(url.startswith(("https://", "http://")) for url in row.urls)
        assert row.size > 0
        for version in row.versions:
            assert len(version.sha256) == 64
            assert int(version.sha256, 16)


def test_fid_network_is_the_one_that_pytorch_fid_names():
    from pytorch_fid.inception import FID_WEIGHTS_URL

    row = weights.named("fid-inception")
    assert row.urls == (FID_WEIGHTS_URL,)
    assert row.versions[0].sha256.startswith("6726825d")
