"""A server on this machine that behaves in every way that servers do, and a row of files on it."""

from __future__ import annotations

import bz2
import hashlib
import io
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lipgan_cli.engine.weights.registry import Version, WeightsFile

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes: more than one block
OTHER = CONTENT[::-1]
MODIFIED = "Mon, 02 Jan 2023 03:04:05 GMT"


class Handler(BaseHTTPRequestHandler):
    """Answers by the last part of the path."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        getattr(self, "give_" + re.split(r"[.?]", self.path.rsplit("/", 1)[1])[0])()

    @property
    def turn(self):
        """How often this path was asked for, this time included."""
        return sum(path == self.path for path, _ in self.server.asked)

    # Servers that give the file.

    def give_file(self):
        self.answer(CONTENT, tag='"one"')

    def give_packed(self):
        self.answer(bz2.compress(CONTENT), tag='"packed"')

    def give_toy(self):
        """A mirror, which has the packed file alone."""
        if self.path.endswith(".bz2"):
            self.give_packed()
        else:
            self.send_error(404)

    def give_pickle(self):
        self.answer(self.server.pickle)

    # Servers that break off.

    def give_pieces(self):
        """At most 100,000 bytes each time."""
        self.answer(CONTENT, tag='"one"', most=100_000)

    def give_weak(self):
        """As `pieces`, known by its date alone."""
        self.answer(CONTENT, tag='W/"one"', modified=MODIFIED, most=300_000)

    def give_changed(self):
        """Another file at first, of which a piece comes."""
        if self.turn == 1:
            self.answer(OTHER, tag='"other"', most=100_000)
        else:
            self.answer(CONTENT, tag='"one"')

    def give_anonymous(self):
        """A piece of a file that nothing names, then the whole."""
        self.answer(CONTENT, most=100_000 if self.turn == 1 else None)

    def give_cut(self):
        self.answer(CONTENT, most=100_000)

    def give_deaf(self):
        """Never from the middle."""
        self.answer(CONTENT, tag='"one"', most=100_000, ranges=False)

    def give_wrongpart(self):
        """From the beginning, as if it were the rest; the second time the whole file."""
        if "Range" in self.headers:
            self.answer(CONTENT, code=206, extra={"Content-Range": "bytes 0-511999/512000"})
        else:
            self.answer(CONTENT, tag='"one"', most=100_000 if self.turn == 1 else None)

    def give_norest(self):
        """A piece, then nothing beyond it, then the whole file."""
        if "Range" in self.headers:
            self.send_error(416)
        else:
            self.answer(CONTENT, tag='"one"', most=100_000 if self.turn == 1 else None)

    def give_cutwithoutlength(self):
        self.answer(CONTENT[:100_000], length=False)

    def give_unfinished(self):
        self.answer(bz2.compress(CONTENT)[:300])

    # Servers that are slow.

    def give_slow(self):
        self.server.hanging.wait(20)

    def give_drops(self):
        """A hundred bytes every tenth of a second."""
        self.head(200, len(CONTENT), {"ETag": '"one"'})
        for start in range(0, len(CONTENT), 100):
            if self.server.hanging.wait(0.1):
                return
            self.wfile.write(CONTENT[start : start + 100])

    def give_pausing(self):
        """Half of the file, and the rest when the test is over; from there on, all at once."""
        if "Range" in self.headers:
            self.give_file()
        else:
            self.head(200, len(CONTENT), {"ETag": '"one"'})
            self.wfile.write(CONTENT[:256_000])
            self.server.hanging.wait(20)

    def give_later(self):
        """The file, a while after it was asked for."""
        self.server.hanging.wait(0.7)
        self.give_file()

    # Servers that give something else.

    def give_page(self):
        self.answer(b"<html>not here</html>", kind="text/html; charset=utf-8")

    def give_plainpage(self):
        self.answer(b"<!DOCTYPE html>".ljust(len(CONTENT)))

    def give_short(self):
        self.answer(CONTENT[:-1])

    def give_long(self):
        self.answer(CONTENT + b"!")

    def give_longwithoutlength(self):
        self.answer(CONTENT + b"!", length=False)

    def give_other(self):
        self.answer(OTHER)

    def give_zeros(self):
        self.answer(bz2.compress(bytes(50_000_000)))

    def give_text(self):
        self.answer(b"BZh but no archive at all")

    def give_nothing(self):
        self.send_error(404)

    def give_busy(self):
        self.send_error(503)

    def give_waiting(self):
        """Busy at first, with a time to wait."""
        if self.turn > 1:
            self.give_file()
        else:
            self.head(429, 0, {"Retry-After": "7"})

    def give_moved(self):
        self.head(302, 0, {"Location": "/pieces"})

    def answer(
        self,
        content,
        *,
        tag="",
        modified="",
        most=None,
        kind="application/octet-stream",
        length=True,
        ranges=True,
        code=200,
        extra=None,
    ):
        """Give `content`, or what of it is asked for, or its first `most` bytes of that."""
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        valid = self.headers.get("If-Range") in {tag, modified} - {""}
        headers = {"Content-Type": kind} | ({"ETag": tag} if tag else {}) | (extra or {})
        if modified:
            headers["Last-Modified"] = modified
        if wanted and valid and ranges and code == 200:
            code, start = 206, int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.head(code, len(content) - start if length else None, headers)
        self.wfile.write(content[start:][:most])

    def head(self, code, length, headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.handle_error = lambda *_: None
        running.asked = []
        running.hanging = threading.Event()
        running.daemon_threads = True
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.hanging.set()
        running.shutdown()
        thread.join()


def toy(content, **changes):
    """A row whose one file has that content."""
    settings = {
        "name": "toy",
        "file": "toy.dat",
        "purpose": "a toy",
        "unlocks": "a test",
        "size": len(content),
        "versions": (
            Version(hashlib.sha256(content).hexdigest(), "as published", "read from the file"),
            Version(hashlib.sha256(b"?" + content[1:]).hexdigest(), "of another year", "read"),
        ),
        "licence": "CC0-1.0",
        "recommended": True,
    }
    return WeightsFile(**settings | changes)


@pytest.fixture
def row(server):
    """Make a row whose file is at addresses of the server: `row("file")`."""

    def make(*addresses, content=CONTENT, **changes):
        urls = tuple(f"{server.url}/{address}" for address in addresses)
        return toy(content, **{"urls": urls} | changes)

    return make


class Notes:
    """A progress that remembers its notes, its tasks and their steps."""

    def __init__(self):
        self.notes, self.tasks, self.steps = [], [], 0

    @contextmanager
    def task(self, description, total=None, unit=""):
        assert unit == "B"
        self.tasks.append((description, total))
        yield self

    def advance(self, steps=1):
        self.steps += steps

    def show(self, **figures):
        pass

    def note(self, message):
        self.notes.append(message)


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def files(home):
    """List the files in the user's folder, but for the lock."""

    def listed():
        return sorted(path.name for path in (home / "weights").iterdir() if path.name != ".lock")

    return listed


@pytest.fixture
def asked(server):
    """List what was asked of the server: the paths, and from which byte on."""

    def listed():
        return [
            path.rsplit("/", 1)[1] + headers.get("Range", "").replace("bytes=", " ")
            for path, headers in server.asked
        ]

    return listed


@pytest.fixture
def pickled(row, server):
    """Make a row of a pickle that holds an object, by default tensors; and what it holds."""
    import torch

    torch.manual_seed(5)
    shared = torch.randn(40, 30)
    tensors = {"a.weight": shared, "b.weight": shared, "c": torch.arange(7), "d": shared.T}

    def make(holds=tensors, **changes):
        stream = io.BytesIO()
        torch.save(holds, stream)
        server.pickle = stream.getvalue()
        return row("pickle", content=server.pickle, **{"file": "toy.pth"} | changes)

    make.tensors = tensors
    return make
