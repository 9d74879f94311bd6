"""Every kind of film, picture and sound that people have becomes a film that speaks."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.media.picture import luma

COUNT = 10


def turned(studio: Any, angle: int) -> Path:
    """A camera held askew: its film lies, and says how it is to be turned to stand."""
    turns = angle // 90  # counterclockwise, as the option below
    lying = (np.rot90(studio.scene(k), -turns) for k in range(COUNT))
    studio.film("lying.mp4", lying)
    studio.ffmpeg("-display_rotation:v", angle, "-i", "lying.mp4", "-c", "copy", "face.mp4")
    return Path(studio.folder / "face.mp4")


def odd(studio: Any) -> Path:
    pictures = (np.pad(studio.scene(k), ((0, 1), (0, 1), (0, 0)), "edge") for k in range(COUNT))
    return studio.film("face.mkv", pictures, codec="ffv1", pixels="yuv420p")


def coded(pixels: str, codec: str = "ffv1", suffix: str = ".mkv") -> Callable[[Any], Path]:
    return lambda studio: studio.film(
        f"face{suffix}", studio.scenes(COUNT), codec=codec, pixels=pixels
    )


def interlaced(studio: Any) -> Path:
    """Two fields of each picture, of different moments."""
    studio.film("film.mp4", studio.scenes(2 * COUNT), 50)
    fields = ("-flags", "+ilme+ildct", "-c:v", "libx264", "-crf", 6)
    studio.ffmpeg("-i", "film.mp4", "-vf", "interlace", *fields, "face.mp4")
    return Path(studio.folder / "face.mp4")


def transparent(studio: Any) -> Path:
    """As browsers record it."""
    studio.film("film.mp4", studio.scenes(COUNT))
    coder = ("-c:v", "libvpx", "-pix_fmt", "yuva420p", "-auto-alt-ref", 0, "-b:v", "2M")
    studio.ffmpeg("-i", "film.mp4", *coder, "face.webm")
    return Path(studio.folder / "face.webm")


def animation(suffix: str, **more: Any) -> Callable[[Any], Path]:
    def write(studio: Any) -> Path:
        first, *others = [Image.fromarray(picture) for picture in studio.scenes(COUNT)]
        path = Path(studio.folder / f"face{suffix}")
        first.save(path, save_all=True, append_images=others, duration=40, **more)
        return path

    return write


INPUTS: dict[str, Callable[[Any], Path]] = {
    "90 degrees": lambda studio: turned(studio, 90),
    "180 degrees": lambda studio: turned(studio, 180),
    "270 degrees": lambda studio: turned(studio, 270),
    "odd size": odd,
    "10 bits": coded("yuv420p10le"),
    "12 bits, 4:4:4": coded("yuv444p12le"),
    "4:2:2": coded("yuv422p", "libx264", ".mp4"),
    "4:2:2, 10 bits": coded("yuv422p10le"),
    "4:4:4": coded("yuv444p", "libx264", ".mp4"),
    "full range": coded("yuvj420p", "libx264", ".mp4"),
    "RGB": coded("bgr0"),
    "RGB with alpha": coded("bgra"),
    "YUV with alpha": coded("yuva420p"),
    "grey": coded("gray"),
    "MPEG-1": coded("yuv420p", "mpeg1video", ".mpg"),
    "motion JPEG": coded("yuvj420p", "mjpeg", ".avi"),
    "VP8 with alpha": transparent,
    "interlaced": interlaced,
    "animated GIF": animation(".gif"),
    "animated WebP": animation(".webp", quality=90),
    "animated PNG": animation(".png"),
}


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_of_film_speaks(studio: Any, network: Any, kind: str) -> None:
    """The network paints white: it is seen in the mouth's place in each frame, upright."""
    film = INPUTS[kind](studio)
    network.paint = lambda target: np.full_like(target, 255)
    summary = studio.sync(film, studio.wav("speech.wav", COUNT / 25), preset="ultrafast")
    assert (summary.width, summary.height, summary.frames) == (320, 240, COUNT)
    assert summary.fps == 25
    assert not summary.variable_rate
    assert summary.without_face == ()
    shown = studio.shown(studio.out())
    assert [time for time, _ in shown] == pytest.approx(np.arange(COUNT) / 25, abs=1e-5)
    if kind != "interlaced":
        assert studio.numbers(y for _, y in shown) == list(range(COUNT))
    for mine, own in zip(studio.source(studio.out()), studio.source(film), strict=True):
        change = np.abs(luma(mine).astype(int) - luma(own))
        assert change[145:172, 130:165].mean() > 8  # the mouth
        assert change[:60].mean() < 1
        assert change[:, :50].mean() < 1


def test_what_is_transparent_stands_on_white(studio: Any, network: Any) -> None:
    """A cut-out head, in a film and in a picture."""
    pictures = []
    for number in range(5):
        alpha = np.zeros((240, 320, 1), np.uint8)
        left = studio.left(number)
        alpha[40:216, left : left + 176] = 255
        pictures.append(np.dstack([studio.scene(number), alpha]))
    film = studio.film("face.mkv", pictures, codec="ffv1", pixels="bgra")
    Image.fromarray(pictures[0]).save(studio.folder / "face.png")
    for face in (film, studio.folder / "face.png"):
        summary = studio.sync(face, studio.wav("speech.wav", 0.2), f"{face.suffix[1:]}.mp4")
        assert summary.frames == 5
        for frame in studio.source(summary.output):
            assert luma(frame)[:30].mean() == pytest.approx(235, abs=2)
            assert luma(frame)[60:200, 100:200].mean() < 200


def sound(studio: Any, kind: str) -> Path:
    """A click at 0.4 s in a second, in each way that sound comes."""
    if kind == "video":
        black = (np.zeros((32, 32, 3), np.uint8) for _ in range(25))
        return studio.film("speech.mkv", black, sound=studio.click(1.0, 0.4))
    rate = {"8 kHz": 8000, "48 kHz": 48000, "44.1 kHz stereo": 44100}.get(kind, 16000)
    samples = np.zeros(rate)
    samples[round(0.4 * rate) : round(0.405 * rate)] = 0.9
    if kind == "44.1 kHz stereo":  # from the left alone
        samples = np.stack([samples, 0 * samples], axis=1)
    path = studio.wav("speech.wav", 1.0, samples, rate)
    if kind == "5.1":  # from the centre alone, as speech is
        layout = "pan=5.1|FL=0*c0|FR=0*c0|FC=c0|LFE=0*c0|BL=0*c0|BR=0*c0"
        studio.ffmpeg("-i", path, "-af", layout, "speech.flac")
        return Path(studio.folder / "speech.flac")
    if kind in ("mp3", "ogg", "m4a", "opus"):
        rates = ("-ar", 48000) if kind == "opus" else ()
        studio.ffmpeg("-i", path, *rates, f"speech.{kind}")
        return Path(studio.folder / f"speech.{kind}")
    return path


KINDS = ["8 kHz", "16 kHz", "44.1 kHz stereo", "48 kHz", "5.1", "video", "mp3", "m4a", "opus"]


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sound_is_spoken_at_its_time(studio: Any, network: Any, kind: str) -> None:
    film = studio.film("face.mp4", studio.scenes(25))
    summary = studio.sync(film, sound(studio, kind), preset="ultrafast")
    assert summary.frames in ((25, 26, 27) if kind in ("mp3", "m4a", "opus") else (25,))
    assert studio.heard_click(studio.out()) == pytest.approx(0.4, abs=0.010)
    # The click is in the middle of the window of frame 10, and in no window far from it.
    loud = network.windows.max(axis=1)
    assert abs(int(np.argmax(loud[10])) - 13) <= 3
    assert loud[3].max() < loud[10].max() - 2
    assert loud[17].max() < loud[10].max() - 2


def test_a_film_whose_clock_begins_later_is_in_step_all_the_same(studio: Any, network: Any) -> None:
    """Recorders and cutters leave clocks that do not begin at 0."""
    flashing = (studio.scene(k, flash=k == 9) for k in range(20))
    studio.film("film.mkv", flashing, Fraction(30))
    studio.ffmpeg("-itsoffset", 3.3, "-i", "film.mkv", "-c", "copy", "-copyts", "face.mkv")
    with av.open(str(studio.folder / "face.mkv")) as container:
        assert float(next(container.decode(video=0)).time) > 3
    speech = studio.wav("speech.wav", 0.6, studio.click(0.6, 0.3))
    studio.sync(studio.folder / "face.mkv", speech)
    shown = studio.shown(studio.out())
    flashes = [time for time, y in shown if y[-20:, -30:].mean() > 200]
    assert flashes == [pytest.approx(0.3, abs=1e-4)]
    assert studio.heard_click(studio.out()) == pytest.approx(0.3, abs=0.010)
