"""The file that is written: codecs, containers, colours, the recording's own sound, every bit."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.blend import planes
from lipgan_cli.engine.media.choices import Blend, Codec
from lipgan_cli.engine.media.video import probe

LOSSLESS = {"qp": "0", "preset": "ultrafast"}


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("suffix", "codec", "video", "audio"),
    [
        (".mp4", None, "h264", "aac"),
        (".mp4", Codec.H265, "hevc", "aac"),
        (".mp4", Codec.VP9, "vp9", "aac"),
        (".mov", None, "h264", "aac"),
        (".mov", Codec.H265, "hevc", "aac"),
        (".mkv", None, "h264", "aac"),
        (".mkv", Codec.H265, "hevc", "aac"),
        (".mkv", Codec.VP9, "vp9", "aac"),
        (".mkv", Codec.FFV1, "ffv1", "flac"),
        (".webm", None, "vp9", "opus"),
        (".WebM", Codec.VP9, "vp9", "opus"),
    ],
)
def test_every_codec_goes_into_its_containers(
    studio: Any, suffix: str, codec: Codec | None, video: str, audio: str
) -> None:
    film = studio.film("face.mp4", studio.scenes(6), Fraction(30000, 1001))
    speech = studio.wav("speech.wav", 0.3, studio.hum(0.3))
    summary = studio.sync(film, speech, f"out{suffix}", codec=codec)
    with av.open(str(summary.output)) as made:
        assert made.streams.video[0].codec_context.name in (video, f"lib{video}", "libdav1d")
        assert made.streams.audio[0].codec_context.name in (audio, f"lib{audio}")
        assert made.streams.video[0].pix_fmt == "yuv420p"
    shown = studio.shown(summary.output)
    assert studio.numbers(y for _, y in shown) == studio.back_and_forth(6, 9)
    assert probe(summary.output).fps == Fraction(30000, 1001)


@pytest.mark.usefixtures("network")
def test_crf_and_preset_are_the_encoder_s(studio: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(10))
    speech = studio.wav("speech.wav", 0.4)

    def size(**options: Any) -> int:
        return studio.sync(film, speech, force=True, **options).output.stat().st_size

    assert size(crf=10) > 1.5 * size() > 3 * size(crf=40)
    assert size(preset="ultrafast") > 1.1 * size(preset="medium")


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("output", "options", "told"),
    [
        ("out.avi", {}, "does not end in"),
        ("out.mp4", {"codec": Codec.FFV1}, "cannot hold ffv1"),
        ("out.webm", {"codec": Codec.H264}, "cannot hold h264"),
        ("out.mp4", {"crf": 60}, "no CRF 60"),
        ("out.webm", {"preset": "fast"}, "no preset fast"),
        ("out.mp4", {"av_offset_ms": 20000.0}, "an offset of 20000 ms"),
        ("out.mp4", {"av_offset_ms": float("nan")}, "an offset of nan ms"),
        ("out.mp4", {"keep_audio": -1.0}, "-1 dB below the speech"),
        ("out.mp4", {"keep_audio": float("nan")}, "nan dB below the speech"),
        ("out.mp4", {"batch": 0}, "a batch of 0 frames"),
        ("out.mp4", {"sheet": "sheet.txt"}, "does not end in .png or .jpg"),
    ],
)
def test_what_cannot_be_made_is_refused_before_any_work(
    studio: Any, output: str, options: dict[str, Any], told: str
) -> None:
    (studio.folder / "face.mp4").write_text("not looked at")
    (studio.folder / "speech.wav").write_text("not looked at")
    with pytest.raises(InputError, match=told) as raised:
        studio.sync(studio.folder / "face.mp4", studio.folder / "speech.wav", output, **options)
    assert raised.value.hint
    assert len(list(studio.folder.iterdir())) == 2


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_colours_and_the_shape_of_pixels_are_kept(studio: Any, suffix: str) -> None:
    told = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
    studio.film("film.mp4", studio.scenes(5), options={**told, "color_range": "tv"})
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv,setsar=5/4"
    studio.ffmpeg("-i", "film.mp4", "-vf", tags, "-c:v", "libx264", "-crf", 6, "face.mp4")
    face = probe(studio.folder / "face.mp4")
    assert (face.colour.range, face.colour.matrix, face.colour.primaries) == (1, 1, 1)
    summary = studio.sync(face.path, studio.wav("speech.wav", 0.2), f"out{suffix}")
    info = probe(summary.output)
    assert info.colour == face.colour
    assert info.pixel_aspect == Fraction(5, 4)


def lossless(studio: Any, kind: str) -> Path:
    """A film whose every bit is known, as it is or turned by a quarter, in TV or full range."""
    pictures = studio.scenes(12)
    noise = np.random.default_rng(0)
    grainy = (p ^ noise.integers(0, 4, p.shape, np.uint8) for p in pictures)
    if kind == "turned":
        grainy = (np.rot90(picture) for picture in grainy)
    pixels = "yuvj420p" if kind == "full range" else "yuv420p"
    film = studio.film("film.mp4", grainy, pixels=pixels, options=LOSSLESS | {"crf": "0"})
    if kind != "turned":
        return Path(film)
    studio.ffmpeg("-display_rotation:v", 270, "-i", film, "-c", "copy", "face.mp4")
    return Path(studio.folder / "face.mp4")


def decoded(path: Path, turns: int = 0) -> list[list[np.ndarray]]:
    """Return the three planes of each frame, turned counterclockwise, by nothing of ours."""
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.format.name in ("yuv420p", "yuvj420p")
            parts = planes(frame.to_ndarray())
            frames.append([np.rot90(part, turns) for part in parts])
    return frames


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("blend", Blend)
@pytest.mark.parametrize("kind", ["plain", "turned", "full range"])
def test_outside_of_the_mask_the_film_is_the_source_bit_for_bit(
    studio: Any, network: Any, kind: str, blend: Blend
) -> None:
    film = lossless(studio, kind)
    network.paint = lambda target: 255 - target
    speech = studio.wav("speech.wav", 0.6)
    summary = studio.sync(film, speech, "out.mkv", codec=Codec.FFV1, blend=blend)
    assert (summary.width, summary.height) == (320, 240)
    source = decoded(film, turns=3 if kind == "turned" else 0)
    made = decoded(studio.out("out.mkv"))
    assert len(made) == 15
    side = summary.face_pixels
    for mine, place in zip(made, studio.back_and_forth(12, 15), strict=True):
        for plane, own, scale in zip(mine, source[place], (1, 2, 2), strict=True):
            rows, columns = np.nonzero(plane != own)
            assert len(rows) > 1000 / scale**2
            assert np.ptp(rows) < side / scale
            assert np.ptp(columns) < side / scale
            # The face is in the middle of the head.
            middle = (studio.left(place) + 88, studio.TOP + 88)
            assert abs(columns.mean() - middle[0] / scale) < 12 / scale
            assert abs(rows.mean() - middle[1] / scale) < 40 / scale
    wanted = 2 if kind == "full range" else 1
    assert probe(studio.out("out.mkv")).colour.range in (wanted, 0 if wanted == 1 else 2)


def burst(seconds: float, at: float, loud: float) -> np.ndarray:
    """A tone of 0.1 s."""
    sound, first = np.zeros(round(seconds * 16000)), round(at * 16000)
    sound[first : first + 1600] = loud * np.sin(2 * np.pi * 440 * np.arange(1600) / 16000)
    return sound


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("loud", "at", "start", "asked", "below"),
    [
        (0.5, 0.9, None, 20.0, 20.0),  # as loud as the speech
        (0.1, 0.9, None, 20.0, 20.0),  # 14 dB below it already
        (0.5, 0.9, 0.4, 12.0, 12.0),  # a part of the video
        (0.5, 1.4, None, 12.0, 12.0),  # near the end: the video goes on, and nothing fades
        (0.02, 0.9, None, 20.0, 28.0),  # never made louder
    ],
)
def test_the_video_s_own_sound_is_kept_below_the_speech(
    studio: Any, loud: float, at: float, start: float | None, asked: float, below: float
) -> None:
    film = studio.film("face.mkv", studio.scenes(50), sound=burst(2.0, at, loud))
    speech = studio.wav("speech.wav", 1.6, burst(1.6, 0.2, 0.5))
    options = {"keep_audio": asked, "start": start, "codec": Codec.FFV1}
    studio.sync(film, speech, "out.mkv", **options)
    heard = np.abs(read_audio(studio.out("out.mkv"), origin=0.0))
    assert len(heard) == pytest.approx(1.6 * 16000, abs=200)
    first, second = heard[:6400], heard[6400:]
    assert first.max() == pytest.approx(0.5, abs=0.03)
    assert np.argmax(first > 0.25) / 16000 == pytest.approx(0.2, abs=0.004)
    begins = 0.4 + np.argmax(second > 0.5 * second.max()) / 16000
    assert begins == pytest.approx(at - (start or 0.0), abs=0.004)
    assert 20 * np.log10(first.max() / second.max()) == pytest.approx(below, abs=1)


@pytest.mark.usefixtures("network")
def test_without_being_asked_nothing_of_the_video_s_sound_is_heard(studio: Any) -> None:
    film = studio.film("face.mkv", studio.scenes(25), sound=burst(1.0, 0.5, 0.5))
    silent = studio.film("silent.mp4", studio.scenes(25))
    speech = studio.wav("speech.wav", 1.0)
    studio.sync(film, speech)
    assert np.abs(read_audio(studio.out())).max() < 0.001
    studio.sync(silent, speech, "other.mp4", keep_audio=6.0)  # nothing to keep is no error
    assert np.abs(read_audio(studio.out("other.mp4"))).max() < 0.001


@pytest.mark.usefixtures("network")
def test_the_sound_of_a_looped_video_is_not_repeated(studio: Any) -> None:
    film = studio.film("face.mkv", studio.scenes(24), sound=burst(0.96, 0.2, 0.5))
    speech = studio.wav("speech.wav", 2.4, burst(2.4, 2.2, 0.5))
    studio.sync(film, speech, "out.mkv", keep_audio=12.0, codec=Codec.FFV1)
    heard = np.abs(read_audio(studio.out("out.mkv"), origin=0.0))
    assert heard[:8000].max() == pytest.approx(0.5 * 10 ** (-12 / 20), rel=0.15)
    assert heard[8000:34000].max() < 0.01
