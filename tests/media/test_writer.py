"""Writing film: exact counts, both tracks at 0, colours as told, failures as one line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.picture import Colour
from lipgan_cli.engine.media.video import VideoWriter, luma, probe, read_frames

RATE = 16000
WIDTH, HEIGHT = 64, 48


def frame(level: int) -> np.ndarray:
    """Return an I420 frame of one grey."""
    picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    picture[:HEIGHT] = level
    return picture


def speech(path: Path, seconds: float, at: float, offset: float = 0.0) -> Path:
    """Write a sound with a burst at `at` seconds, its clock starting at `offset`."""
    sound = np.zeros(round(seconds * RATE), np.int16)
    first = round(at * RATE)
    sound[first : first + 160] = 25000 * np.sin(np.arange(160) * 2 * np.pi / 16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac" if path.suffix == ".mkv" else "pcm_s16le", rate=RATE)
        stream.layout = "mono"
        for start in range(0, len(sound), 1024):
            block = np.ascontiguousarray(sound[None, start : start + 1024])
            piece = av.AudioFrame.from_ndarray(block, "s16", "mono")
            piece.sample_rate, piece.time_base = RATE, Fraction(1, RATE)
            piece.pts = start + round(offset * RATE)
            container.mux(stream.encode(piece))
        container.mux(stream.encode())
    return path


def write(path: Path, count: int, fps: Fraction, sound: Path | None, duration: float) -> None:
    with VideoWriter(path, WIDTH, HEIGHT, fps, sound, duration) as writer:
        for number in range(count):
            writer.write(frame(60 + number % 100))


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(24)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_and_sound_begin_at_0_and_last_as_told(
    tmp_path: Path, fps: Fraction, suffix: str
) -> None:
    sound = speech(tmp_path / "speech.wav", seconds=1.21, at=0.5)
    count = int(1.21 * fps + 0.5)
    path = tmp_path / f"out{suffix}"
    write(path, count, fps, sound, 1.21)
    info = probe(path)
    assert (info.width, info.height, info.start, info.has_audio) == (WIDTH, HEIGHT, 0.0, True)
    assert float(info.fps) == pytest.approx(float(fps), rel=1e-4)
    frames = list(read_frames(info))
    assert len(frames) == count
    assert luma(frames[0]).mean() == pytest.approx(60, abs=2)
    heard = np.abs(read_audio(path, origin=0.0))
    assert len(heard) / RATE == pytest.approx(1.21, abs=0.05)
    assert np.argmax(heard > 0.3 * heard.max()) / RATE == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("offset", [0.0, 0.7])
def test_speech_starts_with_its_first_sample(tmp_path: Path, offset: float) -> None:
    """As `read_audio` without an origin: what a video's sound lies behind its picture is gone."""
    sound = speech(tmp_path / "speech.mkv", seconds=1.0, at=0.5, offset=offset)
    write(tmp_path / "out.mp4", 25, Fraction(25), sound, 1.0)
    heard = np.abs(read_audio(tmp_path / "out.mp4", origin=0.0))
    assert np.argmax(heard > 0.3 * heard.max()) / RATE == pytest.approx(0.5, abs=0.005)
    expected = np.abs(read_audio(sound))
    assert np.argmax(expected > 0.3) / RATE == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("seconds", [0.4, 2.0])
def test_sound_is_cut_or_padded_to_the_film(tmp_path: Path, seconds: float) -> None:
    sound = speech(tmp_path / "speech.wav", seconds=seconds, at=0.2)
    write(tmp_path / "out.mp4", 25, Fraction(25), sound, 1.0)
    heard = read_audio(tmp_path / "out.mp4", origin=0.0)
    assert len(heard) / RATE == pytest.approx(1.0, abs=0.05)


def test_film_may_be_silent(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4", 3, Fraction(25), None, 0.12)
    info = probe(tmp_path / "out.mp4")
    assert not info.has_audio
    assert len(list(read_frames(info))) == 3


def test_index_lies_at_the_front(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4", 3, Fraction(25), None, 0.12)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    "colour", [Colour(), Colour(1, 1, 1, 1), Colour(2, 1, 1, 1), Colour(1, 6, 6, 6)]
)
def test_colours_and_pixel_shape_are_as_told_and_bytes_stay(tmp_path: Path, colour: Colour) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(
        path, WIDTH, HEIGHT, Fraction(25), None, 0.2, colour, Fraction(16, 15)
    ) as writer:
        for level in (20, 100, 180, 230, 250):
            writer.write(frame(level))
    info = probe(path)
    assert info.pixel_aspect == Fraction(16, 15)
    assert (info.colour.matrix, info.colour.primaries, info.colour.transfer) == (
        colour.matrix,
        colour.primaries,
        colour.transfer,
    )
    assert (info.colour.range == 2) == (colour.range == 2)
    levels = [luma(picture).mean() for picture in read_frames(info)]
    assert levels == pytest.approx([20, 100, 180, 230, 250], abs=1.5)


def test_names_may_be_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sound = speech(tmp_path / "a:b [x] %d.wav", seconds=0.2, at=0.1)
    for name in ("a:b.mp4", "-y [x] %03d.mp4", "ü 語.mp4"):
        write(Path(name), 5, Fraction(25), Path(sound.name), 0.2)
        assert probe(Path(name)).has_audio


def test_a_failing_encoder_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(LipganError) as raised:
        write(tmp_path / "no folder" / "out.mp4", 200, Fraction(25), None, 8.0)
    assert raised.value.exit_code == 1
    assert raised.value.message.startswith("the video cannot be written: ")
    assert "\n" not in raised.value.message


def test_an_error_in_the_film_ends_the_encoder(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", WIDTH, HEIGHT, Fraction(25), None, 1.0)
    with pytest.raises(ZeroDivisionError), writer:
        writer.write(frame(60 // 0))
    assert writer._process.poll() is not None


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="odd"):
        VideoWriter(tmp_path / "out.mp4", 33, 32, Fraction(25), None, 1.0)
    (tmp_path / "speech.wav").write_text("no sound")
    with pytest.raises(InputError, match=r"speech\.wav"):
        VideoWriter(tmp_path / "out.mp4", 32, 32, Fraction(25), tmp_path / "speech.wav", 1.0)
    with (
        pytest.raises(ValueError, match="the frame is"),
        VideoWriter(tmp_path / "out.mp4", 32, 32, Fraction(25), None, 1.0) as writer,
    ):
        writer.write(frame(60))
