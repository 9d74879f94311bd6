"""Files that cannot be used: each is refused in one line, within a memory limit, leaving nothing.

One process loads everything once and forks for each file; the child runs the whole command line
under a limit of its memory and of its time.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import wave
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.media.demo import write_portrait

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork and RLIMIT_DATA")

ROOT = Path(__file__).parents[1]
MEMORY = 2 << 30  # bytes of data: torch and its like take 0.8 GB before anything is opened
SECONDS = 60  # of processor time, and twice as many on the clock

RUNNER = """
import contextlib, gc, io, json, os, resource, signal, sys, tempfile
import dlib, imageio_ffmpeg, numpy as np
from lipgan_cli import cli
from lipgan_cli.engine import sync
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.media.audio import mel_spectrogram

# What takes long to load is loaded once.
mel_spectrogram(np.zeros(16000, np.float32))
with contextlib.redirect_stderr(io.StringIO()):
    assert cli.run(["sync", __file__, __file__, "-o", "out.mp4"]) == 2

class Mirror:  # a network that gives back the face that it is shown
    def faces(self, reference, target, windows, keys=None):
        return np.broadcast_to(target, (len(windows), 96, 96, 3)).copy()

Animator.load = lambda path, device, **given: Mirror()
seconds = int(sys.argv[1])
gc.freeze()  # so that no child copies what it only looks at
print("ready", flush=True)
while line := sys.stdin.buffer.raw.readline():
    job = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "said"), (2, "complained")):
            os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.environ["TMPDIR"] = tempfile.tempdir = job["scratch"]
        os.chdir(job["folder"])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (job["memory"], job["memory"]))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        signal.alarm(2 * seconds)
        sys.argv = ["lipgan", *job["arguments"]]
        try:
            cli.main()
        except SystemExit as end:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(end.code)  # without taking down the interpreter, which takes long
        except BaseException:
            sys.excepthook(*sys.exc_info())
        os._exit(99)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    code: int
    said: str
    complained: str


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    folder = tmp_path_factory.mktemp("runner")
    program = folder / "runner.py"
    program.write_text(RUNNER)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "LIPGAN_HOME": str(folder),
        "LIPGAN_DEBUG": "0",
    }
    with subprocess.Popen(
        [sys.executable, program, str(SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


@pytest.fixture
def run(runner: subprocess.Popen[str], tmp_path: Path) -> Callable[..., Ended]:
    """Run the command line with a limit, its temporary files in `tmp_path / "scratch"`."""

    def call(*arguments: object, memory: int = MEMORY) -> Ended:
        for name in ("scratch", "logs"):
            (tmp_path / name).mkdir(exist_ok=True)
        said, complained = tmp_path / "logs" / "out", tmp_path / "logs" / "err"
        job = {
            "memory": memory,
            "arguments": [str(argument) for argument in arguments],
            "folder": str(tmp_path),
            "scratch": str(tmp_path / "scratch"),
            "said": str(said),
            "complained": str(complained),
        }
        assert runner.stdin is not None
        assert runner.stdout is not None
        runner.stdin.write(json.dumps(job) + "\n")
        runner.stdin.flush()
        code = int(runner.stdout.readline())
        return Ended(code, said.read_text(), complained.read_text())

    return call


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that can be used: a face, a film of it with sound, a speech."""
    folder = tmp_path_factory.mktemp("good")
    portrait = write_portrait(folder / "face.png")
    picture = cv2.imread(str(portrait))
    assert picture is not None
    write_film(folder / "film.mp4", picture=picture, options={"movflags": "faststart"})
    write_film(folder / "late.mp4", picture=picture)  # its index is at the end
    with wave.open(str(folder / "speech.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(noise(0.2).tobytes())
    return folder


def noise(seconds: float, rate: int = 16000) -> np.ndarray:
    return np.random.default_rng(1).integers(-9000, 9000, round(seconds * rate)).astype("<i2")


def write_film(
    path: Path,
    frames: int = 8,
    picture: np.ndarray | None = None,
    size: tuple[int, int] = (96, 128),
    codec: str = "libx264",
    sound: str | None = "aac",
    options: dict[str, str] | None = None,
) -> Path:
    shown = np.full((*size, 3), 120, np.uint8) if picture is None else picture
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codec, rate=Fraction(25))
        video.height, video.width = shown.shape[:2]
        video.pix_fmt = {"rawvideo": "bgr24", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        track = container.add_stream(sound, rate=48000) if sound else None
        container.start_encoding()  # so that a film of no frames is a file too
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(shown, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if isinstance(track, av.AudioStream):
            heard = (noise(frames / 25, 48000) / 32768).astype(np.float32)
            wave_form = av.AudioFrame.from_ndarray(heard[None], "fltp", "mono")
            wave_form.rate, wave_form.pts, wave_form.time_base = 48000, 0, Fraction(1, 48000)
            resampled = av.AudioResampler(track.format, track.layout, track.rate)
            for piece in resampled.resample(wave_form):
                container.mux(track.encode(piece))
            container.mux(track.encode())
    return path


def chunk(kind: bytes, content: bytes) -> bytes:
    """A piece of a PNG."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(width: int, height: int, content: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pieces = (chunk(b"IHDR", header), chunk(b"IDAT", content), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def zeros(size: int) -> bytes:
    """That many zeros, deflated."""
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    pieces = [packer.compress(block) for _ in range(size >> 20)]
    return b"".join([*pieces, packer.compress(bytes(size % (1 << 20))), packer.flush()])


def picture(suffix: str, width: int = 64, height: int = 48) -> bytes:
    done, coded = cv2.imencode(suffix, np.full((height, width, 3), 90, np.uint8))
    assert done
    return coded.tobytes()


def patched(content: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    """The content with bytes replaced `offset` after a mark that is in it."""
    place = content.index(mark) + offset
    return content[:place] + new + content[place + len(new) :]


def tiff(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 200, 278: height, 279: 4096}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4)).ljust(4500, b"\0")


def gif(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x4c\1\0;"


def webp(flags: int, side: int) -> bytes:
    """The head of a WebP of this size, animated where the flags are 2, and no picture."""
    size = struct.pack("<I", side - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<II", 10, flags) + 2 * size + b"ANIM\6\0\0\0" + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def animated(good: Path, name: str) -> bytes:
    """Two pictures of a face one after the other."""
    with Image.open(good / "face.png") as image:
        image.save(good / name, save_all=True, append_images=[image.rotate(1)], duration=40)
    return (good / name).read_bytes()


def ivf(width: int, height: int) -> bytes:
    """A VP8 film of one frame that claims this size."""
    frame = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(200)
    header = b"DKIF" + struct.pack("<HH4sHHIII", 0, 32, b"VP80", width, height, 25, 1, 1) + bytes(4)
    return header + struct.pack("<IQ", len(frame), 0) + frame


def wav(
    channels: int = 1,
    rate: int = 16000,
    bits: int = 16,
    sound: bytes = bytes(640),
    told: int | None = None,
    code: int = 1,
) -> bytes:
    """A sound that says of itself what it is told to."""
    block = channels * bits // 8
    about = struct.pack(
        "<HHIIHH", code, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    length = len(sound) if told is None else told
    body = b"fmt " + struct.pack("<I", 16) + about + b"data" + struct.pack("<I", length) + sound
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def coded(good: Path, name: str, codec: str, sound: str | None, frames: int = 8) -> bytes:
    """A film of no face in another container."""
    path = good / name
    if not path.exists():
        write_film(path, frames, codec=codec, sound=sound)
    return path.read_bytes()


def song(good: Path, name: str, codec: str, seconds: float = 0.5) -> bytes:
    """A sound in another format."""
    path = good / name
    if not path.exists():
        with av.open(str(path), "w") as container:
            track = container.add_stream(codec, rate=48000)
            assert isinstance(track, av.AudioStream)
            container.start_encoding()
            frame = av.AudioFrame.from_ndarray(noise(seconds, 48000)[None], "s16", "mono")
            frame.rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            resampled = av.AudioResampler(track.format, track.layout, track.rate, track.frame_size)
            for piece in resampled.resample(frame) if seconds else ():
                container.mux(track.encode(piece))
            container.mux(track.encode())
    return path.read_bytes()


def paused(good: Path) -> bytes:
    """A sound of 1000 pieces with ten minutes of nothing before each."""
    path = good / "paused.mkv"
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_s16le", rate=16000)
        for number in range(1000):
            frame = av.AudioFrame.from_ndarray(noise(0.01)[None], "s16", "mono")
            frame.rate, frame.pts, frame.time_base = 16000, number * 599 * 16000, Fraction(1, 16000)
            container.mux(track.encode(frame))
    return path.read_bytes()


def archive(good: Path, *names: str) -> bytes:
    path = good / "archive.zip"
    with zipfile.ZipFile(path, "w") as stored:
        for name in names:
            stored.write(good / name, name)
    return path.read_bytes()


def database(good: Path) -> bytes:
    path = good / "database"
    if not path.exists():
        with sqlite3.connect(path) as connection:
            connection.execute("create table films (name text)")
        connection.close()
    return path.read_bytes()


def film(good: Path) -> bytes:
    return (good / "film.mp4").read_bytes()


def photo(good: Path) -> bytes:
    return (good / "face.png").read_bytes()


def jpeg(good: Path) -> bytes:
    image = cv2.imread(str(good / "face.png"))
    assert image is not None
    return cv2.imencode(".jpg", image)[1].tobytes()


def after_header(content: bytes, kind: bytes, new: bytes) -> bytes:
    """A PNG with one more piece."""
    end = content.index(b"IHDR") + 4 + 13 + 4
    return content[:end] + chunk(kind, new) + content[end:]


def late(good: Path) -> bytes:
    return (good / "late.mp4").read_bytes()


def cut(content: bytes, part: float) -> bytes:
    return content[: round(len(content) * part)]


Made = Callable[[Path], bytes]

# Neither a film nor a sound.
NEITHER: dict[str, Made] = {
    "empty.mp4": lambda good: b"",
    "one-byte.mp4": lambda good: b"\0",
    "text.mp4": lambda good: b"This is no film.\n" * 20,
    "page.mp4": lambda good: b"<!doctype html><html><body>404 Not Found</body></html>\n" * 9,
    "random.mp4": lambda good: random.Random(1).randbytes(4096),
    "zeros.mp4": lambda good: bytes(65536),
    "ones.mkv": lambda good: b"\xff" * 65536,
    "name\nof two lines.mp4": lambda good: b"no film",
    "type-alone.mp4": lambda good: film(good)[:32],
    "late-cut-in-the-middle.mp4": lambda good: cut(late(good), 0.5),
    "late-cut-at-the-end.mp4": lambda good: cut(late(good), 0.99),
    "late-cut-at-the-start.mp4": lambda good: cut(late(good), 0.05),
    "index-alone.mp4": lambda good: film(good)[: film(good).index(b"mdat") + 4],
    "index-cut.mp4": lambda good: film(good)[: film(good).index(b"mdat") // 2],
    "index-random.mp4": lambda good: patched(
        film(good), b"moov", 4, random.Random(2).randbytes(film(good).index(b"mdat") - 60)
    ),
    "cut.mkv": lambda good: cut(coded(good, "grey.mkv", "libx264", "aac"), 0.1),
    "cut.webm": lambda good: cut(coded(good, "grey.webm", "libvpx-vp9", "libopus"), 0.1),
    "cut.avi": lambda good: coded(good, "grey.avi", "mpeg4", "libmp3lame")[:300],
    "cut.mpg": lambda good: coded(good, "grey.mpg", "mpeg2video", "mp2")[:60],
    "cut.ts": lambda good: coded(good, "grey.ts", "libx264", "aac")[:188],
    "cut.flv": lambda good: coded(good, "grey.flv", "flv", "aac")[:20],
    "empty.zip": lambda good: archive(good),
    "film.zip": lambda good: archive(good, "film.mp4"),
    "zip.mp4": lambda good: archive(good, "speech.wav"),
    "database.mp4": database,
    "page.pdf": lambda good: b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\n" * 9 + b"%%EOF\n",
    "drawing.svg": lambda good: (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"><rect/></svg>'
    ),
    "program.mp4": lambda good: Path(sys.executable).read_bytes()[:65536],
    "subtitles.mp4": lambda good: b"1\n00:00:00,000 --> 00:00:01,000\nHello\n\n",
}

FACE: dict[str, Made] = {
    "no-face.mp4": lambda good: coded(good, "grey.mp4", "libx264", "aac"),
    "no-frames.mp4": lambda good: coded(good, "none.mp4", "libx264", None, 0),
    "no-frames.mkv": lambda good: coded(good, "none.mkv", "libx264", None, 0),
    "no-picture.wav": lambda good: wav(),
    "no-picture.m4a": lambda good: song(good, "song.m4a", "aac"),
    "no-picture.mp4": lambda good: song(good, "song.mp3", "libmp3lame"),
    "index-of-zeros.mp4": lambda good: patched(film(good), b"stbl", 4, bytes(600)),
    "random-frames.mp4": lambda good: patched(film(good), b"mdat", 4, bytes(9_000_000))[
        : len(film(good))
    ],
    "one-pixel.avi": lambda good: write_film(
        good / "one.avi", size=(1, 1), codec="rawvideo", sound=None
    ).read_bytes(),
    "four-pixels.avi": lambda good: write_film(
        good / "four.avi", size=(2, 2), codec="rawvideo", sound=None
    ).read_bytes(),
    "one-pixel.png": lambda good: picture(".png", 1, 1),
    "a-line.png": lambda good: picture(".png", 8000, 1),
    "four-pixels.png": lambda good: picture(".png", 2, 2),
    "no-face.jpg": lambda good: picture(".jpg"),
    "cut.png": lambda good: picture(".png")[:60],
    "cut.jpg": lambda good: picture(".jpg")[:200],
    "cut.webp": lambda good: picture(".webp")[:30],
    "cut.gif": lambda good: gif(64, 48)[:15],
    "huge.png": lambda good: png(100_000, 100_000, zlib.compress(bytes(1000))),
    "largest.png": lambda good: png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(1000))),
    "none.png": lambda good: png(0, 0, zlib.compress(b"")),
    "bomb.png": lambda good: png(30_000, 30_000, zeros(30_000 * 3751), 1, 0),
    "bomb-in-bounds.png": lambda good: png(8192, 4096, zeros(4096 * 8193), 8, 0),
    "large.png": lambda good: png(12_000, 10_000, zeros(10_000 * 1501), 1, 0),
    "no-data.png": lambda good: png(64, 64, b""),
    "damaged.png": lambda good: patched(picture(".png"), b"IDAT", 8, bytes(9)),
    "huge.jpg": lambda good: patched(picture(".jpg"), b"\xff\xc0", 5, b"\xff\xff\xff\xff"),
    "large.jpg": lambda good: patched(picture(".jpg"), b"\xff\xc0", 5, b"\x75\x30\x75\x30"),
    "huge.gif": lambda good: gif(65535, 65535),
    "large.gif": lambda good: gif(20_000, 20_000),
    "huge.bmp": lambda good: patched(
        picture(".bmp"), b"BM", 18, struct.pack("<ii", 100_000, 100_000)
    ),
    "negative.bmp": lambda good: patched(
        picture(".bmp"), b"BM", 18, struct.pack("<ii", -5, -(2**31))
    ),
    "huge.tif": lambda good: tiff(100_000, 100_000),
    "largest.tif": lambda good: tiff(2**32 - 1, 2**32 - 1),
    "huge.webp": lambda good: webp(0, 100_000),
    "huge-animated.webp": lambda good: webp(2, 100_000),
    "large-animated.webp": lambda good: webp(2, 16_000),
    "no-frames.webp": lambda good: webp(2, 64),
    "cut-animated.webp": lambda good: webp(2, 64)[:21],
    "cut-in-its-frame.webp": lambda good: animated(good, "cut.webp")[:90],
    "huge.ppm": lambda good: b"P6 100000 100000 255\n" + bytes(5000),
    "huge.hdr": lambda good: (
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n" + bytes(500)
    ),
    "huge.qoi": lambda good: b"qoif" + struct.pack(">IIBB", 100_000, 100_000, 3, 0) + bytes(90),
    "huge.psd": lambda good: (
        b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 100_000, 100_000, 8, 3) + bytes(99)
    ),
    "huge.y4m": lambda good: b"YUV4MPEG2 W100000 H100000 F25:1 C420jpeg\nFRAME\n" + bytes(5000),
    "large.y4m": lambda good: b"YUV4MPEG2 W16000 H16000 F25:1 C420jpeg\nFRAME\n" + bytes(5000),
    "large.ivf": lambda good: ivf(16383, 16383),
    "huge.avi": lambda good: patched(
        coded(good, "raw.avi", "rawvideo", None), b"strf", 12, struct.pack("<ii", 65000, 65000)
    ),
    "large-inside.avi": lambda good: patched(
        coded(good, "motion.avi", "mjpeg", None), b"\xff\xc0", 5, b"\x3e\x80\x3e\x80"
    ),
}

SPEECH: dict[str, Made] = {
    "no-sound.png": lambda good: picture(".png"),
    "no-sound.mp4": lambda good: coded(good, "silent.mp4", "libx264", None),
    "no-sound.gif": lambda good: gif(64, 48),
    "no-samples.wav": lambda good: wav(sound=b""),
    "one-sample.wav": lambda good: wav(sound=b"\0\1"),
    "half-a-sample.wav": lambda good: wav(sound=b"\0"),
    "header-alone.wav": lambda good: wav()[:12],
    "no-data.wav": lambda good: wav()[:36],
    "no-format.wav": lambda good: wav()[:12] + wav()[36:],
    "rate-0.wav": lambda good: wav(rate=0),
    "rate-1.wav": lambda good: wav(rate=1, bits=8, sound=bytes(400_000)),
    "rate-4-ghz.wav": lambda good: wav(rate=0xFFFFFFFF),
    "rate-2-ghz.wav": lambda good: wav(rate=0x7FFFFFFF),
    "channels-0.wav": lambda good: wav(channels=0),
    "channels-65535.wav": lambda good: wav(channels=65535, sound=bytes(4 * 65535)),
    "bits-0.wav": lambda good: wav(bits=0),
    "bits-65535.wav": lambda good: wav(bits=65535),
    "unknown-code.wav": lambda good: wav(code=0x7777),
    "week-of-pauses.mkv": paused,
    "cut.flac": lambda good: song(good, "song.flac", "flac")[:30],
    "header-alone.flac": lambda good: song(good, "song.flac", "flac")[:42],
    "cut.mp3": lambda good: song(good, "song.mp3", "libmp3lame")[:40],
    "tags-alone.mp3": lambda good: b"ID3\4\0\0\0\0\x10\0" + bytes(2048),
    "cut.ogg": lambda good: song(good, "song.ogg", "libopus")[:50],
    "headers-alone.ogg": lambda good: song(good, "song.ogg", "libopus")[:150],
    "cut.m4a": lambda good: cut(song(good, "song.m4a", "aac"), 0.5),
    "no-samples.m4a": lambda good: song(good, "none.m4a", "aac", 0),
    "no-samples.flac": lambda good: song(good, "none.flac", "flac", 0),
    "huge.aiff": lambda good: (
        b"FORM\x7f\xff\xff\xffAIFFCOMM\0\0\0\x12\xff\xff\xff\xff\xff\xff\xff\xff"
        b"\x7f\xfe" + b"\xff" * 8 + bytes(99)
    ),
    "huge.au": lambda good: b".snd" + struct.pack(">IIIII", 24, 2**32 - 1, 3, 2**31 - 1, 2**31 - 1),
}


def cases() -> list[Any]:
    groups = {"face": NEITHER | FACE, "speech": NEITHER | SPEECH}
    return [
        pytest.param(role, name, make, id=f"{role}-{name.encode('unicode_escape').decode()}")
        for role, group in groups.items()
        for name, make in group.items()
    ]


@pytest.mark.parametrize(("role", "name", "make"), cases())
def test_a_file_that_cannot_be_used_is_refused(
    run, good, tmp_path, role: str, name: str, make: Made
):
    path = tmp_path / name
    path.write_bytes(make(good))
    refused(run, good, path, role)


def refused(run: Callable[..., Ended], good: Path, path: Path, role: str) -> None:
    given = {"face": good / "face.png", "speech": good / "speech.wav", role: path}
    folder = path.parent
    before = {*folder.iterdir(), folder / "scratch", folder / "logs"}
    ended = run("sync", given["face"], given["speech"], "-o", folder / "out.mp4")
    assert (ended.code, ended.said) == (2, ""), ended.complained
    assert_one_error(ended, path)
    assert set(folder.iterdir()) == before
    assert list((folder / "scratch").iterdir()) == []


def assert_one_error(ended: Ended, path: Path) -> None:
    error, *hint = ended.complained.splitlines()
    assert error.startswith("error: "), ended.complained
    assert path.name.encode("unicode_escape").decode() in error
    assert len(hint) <= 1
    assert all(line.startswith("hint: ") for line in hint)


def to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def to_itself(path: Path) -> None:
    path.symlink_to(path)


def to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)  # its name has 107 bytes at most
        listener.bind(path.name)


def closed(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may read anything")
    path.write_bytes(picture(".png"))
    path.chmod(0)


def nothing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, a_socket, to_nowhere, to_itself, to_a_device, closed, nothing]
)
@pytest.mark.parametrize("role", ["face", "speech"])
def test_what_is_no_file_is_refused(run, good, tmp_path, monkeypatch, role: str, make: Any):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "film.mp4"
    make(path)
    refused(run, good, path, role)


@pytest.mark.parametrize("role", ["face", "speech"])
def test_a_name_longer_than_any_file_s_is_refused(run, good, tmp_path, role: str):
    refused(run, good, tmp_path / f"{'a' * 300}.mp4", role)


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {target}\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="9">'
    "<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "list.svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>',
}
TARGETS = ("film.ts", "file:{folder}/film.ts", "http://{host}:{port}/film.ts")


@pytest.mark.parametrize("target", TARGETS, ids=["beside", "anywhere", "network"])
@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("role", ["face", "speech"])
def test_a_list_of_other_files_is_refused_and_none_is_opened(
    run, good, tmp_path, role: str, name: str, target: str
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        host, port = server.getsockname()
        place = target.format(folder=tmp_path, host=host, port=port)
        film = good / "film.ts"
        if not film.exists():
            write_film(film, picture=cv2.imread(str(good / "face.png")))
        shutil.copy(film, tmp_path)
        path = tmp_path / name
        path.write_text(PLAYLISTS[name].format(target=place, host=host, port=port))
        refused(run, good, path, role)
        with pytest.raises(BlockingIOError):
            server.accept()


# Damaged or mislabelled, and yet it can be seen and heard what they are.
USABLE: dict[str, Made] = {
    "film.jpg": film,
    "film": film,
    "png.mp4": photo,
    "cut-in-the-middle.gif": lambda good: cut(animated(good, "turned.gif"), 0.6),
    "cut-in-the-middle.webp": lambda good: cut(animated(good, "turned.webp"), 0.6),
    "scratched.webp": lambda good: scattered(animated(good, "turned.webp"), 40),
    "scratched.gif": lambda good: scattered(animated(good, "turned.gif"), 40),
    "wrong-colour-profile.png": lambda good: after_header(photo(good), b"iCCP", b"sRGB\0\0junk"),
    "wrong-text.png": lambda good: after_header(photo(good), b"zTXt", b"Title\0\0junk"),
    "wrong-exif.png": lambda good: after_header(
        photo(good), b"eXIf", b"MM\0*\0\0\0\x08\xff\xffjunk"
    ),
    "wrong-exif.jpg": lambda good: (
        b"\xff\xd8\xff\xe1\0\x14Exif\0\0MM\0*\0\0\0\x08\xff\xff" + jpeg(good)
    ),
    "extra-bytes.jpg": lambda good: jpeg(good)[:-2] + bytes(9) + jpeg(good)[-2:] + b"more",
    "cut-at-the-end.jpg": lambda good: cut(jpeg(good), 0.9),
    "index-of-4-gb.mp4": lambda good: patched(film(good), b"moov", -4, b"\xff\xff\xff\xf0"),
    "cut-at-the-end.mp4": lambda good: cut(film(good), 0.99),
    "cut-in-the-middle.mp4": lambda good: cut(film(good), 0.5),
    "cut-at-the-start.mp4": lambda good: film(good)[: film(good).index(b"mdat") + 2000],
    "scratched.mp4": lambda good: scratched(film(good), 40),
    "mangled.mp4": lambda good: scratched(film(good), 400),
    **{
        f"index-scratched-{seed}.mp4": lambda good, seed=seed: scratched_index(film(good), seed)
        for seed in range(3)
    },
}


def scratched(content: bytes, times: int) -> bytes:
    """With random bytes in its frames and its sound."""
    chance, damaged = random.Random(times), bytearray(content)
    for _ in range(times):
        damaged[chance.randrange(content.index(b"mdat") + 4, len(content))] = chance.randrange(256)
    return bytes(damaged)


def scattered(content: bytes, times: int) -> bytes:
    """With random bytes behind its head."""
    chance, damaged = random.Random(times), bytearray(content)
    for _ in range(times):
        damaged[chance.randrange(100, len(content))] = chance.randrange(256)
    return bytes(damaged)


def scratched_index(content: bytes, seed: int) -> bytes:
    """With random bytes in its tables."""
    chance, damaged = random.Random(seed), bytearray(content)
    for _ in range(8):
        place = chance.randrange(content.index(b"moov"), content.index(b"mdat"))
        damaged[place] = chance.choice((0, 0x7F, 0xFF))
    return bytes(damaged)


@pytest.mark.parametrize("name", USABLE)
@pytest.mark.parametrize("role", ["face", "speech"])
def test_a_damaged_file_is_refused_or_used(run, good, tmp_path, role: str, name: str):
    path = tmp_path / name
    path.write_bytes(USABLE[name](good))
    given = {"face": good / "face.png", "speech": good / "speech.wav", role: path}
    output = tmp_path / "out.mp4"
    ended = run("sync", given["face"], given["speech"], "-o", output, "--quiet")
    assert ended.code in {0, 2}, ended.complained
    assert list((tmp_path / "scratch").iterdir()) == []
    left = {path, tmp_path / "scratch", tmp_path / "logs"}
    if ended.code == 2:
        assert_one_error(ended, path)
        assert set(tmp_path.iterdir()) == left
        return
    assert (ended.said, ended.complained) == (f"{output}\n", "")
    assert set(tmp_path.iterdir()) == left | {output}
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 1


def test_the_limit_leaves_room_for_what_is_good(run, good, tmp_path):
    for name in ("face.png", "film.mp4", "late.mp4"):
        output = tmp_path / f"{name}.out.mp4"
        ended = run("sync", good / name, good / "film.mp4", "-o", output, "--quiet")
        assert (ended.code, ended.said, ended.complained) == (0, f"{output}\n", "")


def test_the_limit_holds(run, good, tmp_path):
    small = run(
        *("sync", good / "face.png", good / "speech.wav", "-o", tmp_path / "out.mp4"),
        memory=MEMORY // 4,  # less than it takes before anything is opened
    )
    assert small.code not in {0, 2}
