"""Writing film: exact counts, both tracks at 0, colours as told, failures as one line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.choices import Codec
from lipgan_cli.engine.media.clock import Clock, constant
from lipgan_cli.engine.media.coding import Coding
from lipgan_cli.engine.media.picture import Colour
from lipgan_cli.engine.media.video import luma, probe, read_frames
from lipgan_cli.engine.media.writer import Ambience, Picture, Sound, VideoWriter

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


def picture(fps: Fraction | int = 25, width: int = WIDTH, **options: Any) -> Picture:
    return Picture(width, HEIGHT, constant(Fraction(fps), 1), **options)


def write(path: Path, count: int, fps: Fraction, sound: Path | None, duration: float) -> None:
    track = None if sound is None else Sound(sound, duration)
    with VideoWriter(path, picture(fps), track) as writer:
        for number in range(count):
            writer.write(frame(60 + number % 100), number)


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
@pytest.mark.parametrize("codec", Codec)
def test_colours_and_pixel_shape_are_as_told_and_bytes_stay(
    tmp_path: Path, colour: Colour, codec: Codec
) -> None:
    path = tmp_path / "out.mkv"
    look = picture(colour=colour, pixel_aspect=Fraction(16, 15))
    with VideoWriter(path, look, None, Coding(codec)) as writer:
        for number, level in enumerate((20, 100, 180, 230, 250)):
            writer.write(frame(level), number)
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
    writer = VideoWriter(tmp_path / "out.mp4", picture(), None)
    with pytest.raises(ZeroDivisionError), writer:
        writer.write(frame(60 // 0), 0)
    assert writer._process.poll() is not None


@pytest.mark.parametrize("how", [KeyboardInterrupt, SystemExit])
def test_a_signal_while_the_encoder_is_written_to_ends_the_film(
    tmp_path: Path, how: type[BaseException]
) -> None:
    class Interrupted:
        def write(self, data: bytes) -> int:
            raise how

    writer = VideoWriter(tmp_path / "out.mp4", picture(), None)
    writer._sink._pipe = Interrupted()  # type: ignore[assignment]

    def film() -> None:
        with writer:
            for number in range(50):  # some wait in the muxer
                writer.write(frame(60), number)

    with pytest.raises(how):
        film()
    assert writer._process.poll() is not None


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="odd"):
        VideoWriter(tmp_path / "out.mp4", picture(width=33), None)
    (tmp_path / "speech.wav").write_text("no sound")
    with pytest.raises(InputError, match=r"speech\.wav"):
        VideoWriter(tmp_path / "out.mp4", picture(), Sound(tmp_path / "speech.wav", 1.0))
    with (
        pytest.raises(ValueError, match="the frame is"),
        VideoWriter(tmp_path / "out.mp4", picture(width=32), None) as writer,
    ):
        writer.write(frame(60), 0)


@pytest.mark.parametrize("base", [Fraction(1, 90000), Fraction(1, 600), Fraction(1, 1000)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_frames_keep_times_of_their_own(tmp_path: Path, suffix: str, base: Fraction) -> None:
    gaps = np.random.default_rng(0).uniform(0.01, 0.2, 20)
    ticks = [round(time / base) for time in np.concatenate([[0], np.cumsum(gaps)])]
    path = tmp_path / f"out{suffix}"
    clock = Clock(Fraction(10), base, np.array([*ticks, ticks[-1] + 1]))
    sound = Sound(speech(tmp_path / "speech.wav", 2.0, at=0.5), 2.0)
    with VideoWriter(path, Picture(WIDTH, HEIGHT, clock), sound) as writer:
        for tick in ticks:
            writer.write(frame(80), tick)
    with av.open(str(path)) as container:
        shown = [float(frame.time or 0) for frame in container.decode(video=0)]
    rounding = 0.00051 if suffix in (".mkv", ".webm") else 1e-5
    assert shown == pytest.approx([float(tick * base) for tick in ticks], abs=rounding)
    heard = np.abs(read_audio(path, origin=0.0))
    assert np.argmax(heard > 0.3 * heard.max()) / RATE == pytest.approx(0.5, abs=0.008)


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_the_recording_s_own_sound_lies_under_the_speech(tmp_path: Path, start: float) -> None:
    """A burst in the recording at 0.8 s, one in the speech at 0.2 s."""
    under = speech(tmp_path / "face.mkv", seconds=1.5, at=0.8 - 0.1, offset=0.1)
    sound = Sound(
        speech(tmp_path / "speech.wav", seconds=2.0, at=0.2),
        2.0,
        Ambience(under, start, seconds=2.0, gain=-20.0),
    )
    path = tmp_path / "out.mkv"
    with VideoWriter(path, picture(), sound, Coding(Codec.FFV1)) as writer:
        for number in range(50):
            writer.write(frame(80), number)
    heard = np.abs(read_audio(path, origin=0.0))
    assert len(heard) / RATE == pytest.approx(2.0, abs=0.01)
    loud, soft = heard[: RATE // 2], heard[RATE // 3 :]
    assert np.argmax(loud > 0.3 * loud.max()) / RATE == pytest.approx(0.2, abs=0.003)
    assert np.argmax(soft > 0.3 * soft.max()) / RATE == pytest.approx(
        0.8 - start - 1 / 3, abs=0.003
    )
    assert 20 * np.log10(soft.max() / loud.max()) == pytest.approx(-20, abs=1)


def test_a_recording_s_sound_that_ends_early_fades(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(np.arange(2 * RATE) * 2 * np.pi * 440 / RATE)
    face = tmp_path / "face.wav"
    with av.open(str(face), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE)
        stream.layout = "mono"
        block = np.ascontiguousarray((tone * 32767).astype(np.int16)[None])
        piece = av.AudioFrame.from_ndarray(block, "s16", "mono")
        piece.sample_rate, piece.pts = RATE, 0
        container.mux(stream.encode(piece))
        container.mux(stream.encode())
    quiet = speech(tmp_path / "speech.wav", seconds=2.0, at=1.9)
    path = tmp_path / "out.mkv"
    sound = Sound(quiet, 2.0, Ambience(face, 0.0, seconds=1.0, gain=0.0))
    with VideoWriter(path, picture(), sound, Coding(Codec.FFV1)) as writer:
        for number in range(50):
            writer.write(frame(80), number)
    heard = read_audio(path, origin=0.0)

    def level(first: float, last: float) -> float:
        return float(np.abs(heard[round(first * RATE) : round(last * RATE)]).max())

    assert level(0.1, 0.4) == pytest.approx(0.5, abs=0.02)
    assert level(0.72, 0.78) == pytest.approx(0.25, abs=0.06)
    assert level(1.05, 1.8) < 0.002


@pytest.mark.parametrize(
    ("name", "coding", "told"),
    [
        ("a.avi", Coding(), "does not end in"),
        ("a.mp4", Coding(Codec.FFV1), "cannot hold ffv1"),
        ("a.webm", Coding(Codec.H264), "cannot hold h264"),
        ("a.mp4", Coding(crf=52), "no CRF 52"),
        ("a.mp4", Coding(crf=-1), "no CRF -1"),
        ("a.mkv", Coding(Codec.FFV1, crf=0), "no CRF 0"),
        ("a.mp4", Coding(preset="9"), "no preset 9"),
        ("a.webm", Coding(preset="fast"), "no preset fast"),
        ("a.mkv", Coding(Codec.FFV1, preset="fast"), "no preset fast"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(
    tmp_path: Path, name: str, coding: Coding, told: str
) -> None:
    with pytest.raises(InputError, match=told) as raised:
        coding.check(tmp_path / name)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("name", "coding", "codec", "sound"),
    [
        ("a.mp4", Coding(), "h264", "aac"),
        ("a.webm", Coding(crf=40, preset="8"), "vp9", "opus"),
        ("a.mp4", Coding(Codec.H265, crf=30, preset="ultrafast"), "hevc", "aac"),
        ("a.MOV", Coding(Codec.H264, crf=0), "h264", "aac"),
        ("a.mkv", Coding(Codec.FFV1), "ffv1", "flac"),
    ],
)
def test_codecs_are_as_chosen_and_a_lower_crf_is_better(
    tmp_path: Path, name: str, coding: Coding, codec: str, sound: str
) -> None:
    path = tmp_path / name
    coding.check(path)
    noise = np.random.default_rng(0).integers(60, 180, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    track = Sound(speech(tmp_path / "speech.wav", 0.4, at=0.1), 0.4)
    with VideoWriter(path, picture(), track, coding) as writer:
        for number in range(10):
            writer.write(noise, number)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name in (codec, f"lib{codec}", "libdav1d")
        assert container.streams.audio[0].codec_context.name in (sound, f"lib{sound}")
    read = list(read_frames(probe(path)))
    assert len(read) == 10
    error = float(np.abs(read[5].astype(int) - noise).mean())
    lossless = codec == "ffv1" or coding.crf == 0
    assert error == 0 if lossless else 0 < error < 40


@pytest.mark.parametrize(
    "layout", ["mono", "2.1", "3.0", "5.1", "5.1(side)", "7.1", "hexadecagonal"]
)
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_every_layout_of_channels_is_coded(tmp_path: Path, layout: str, suffix: str) -> None:
    sound = tmp_path / "speech.mkv"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout=layout)
        channels = len(stream.layout.channels)
        block = np.full((1, channels * RATE // 5), 3000, np.int16)
        piece = av.AudioFrame.from_ndarray(block, "s16", layout)
        piece.sample_rate, piece.pts = RATE, 0
        container.mux(stream.encode(piece))
        container.mux(stream.encode())
    path = tmp_path / f"out{suffix}"
    write(path, 5, Fraction(25), sound, 0.2)
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    assert np.abs(read_audio(path)).max() > 0.02
