"""Films one after the other: no frame lost, doubled or coded again, sound from the first on."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.choices import Codec
from lipgan_cli.engine.media.clock import constant
from lipgan_cli.engine.media.coding import Coding
from lipgan_cli.engine.media.joining import encoder, join
from lipgan_cli.engine.media.picture import Colour
from lipgan_cli.engine.media.video import luma, probe, read_frames
from lipgan_cli.engine.media.writer import Picture, Sound, VideoWriter

RATE = 48000
WIDTH, HEIGHT = 96, 64
COUNTS = (1, 13, 30)  # frames of the films: fewer and more than an encoder looks ahead
WAYS = [
    (".mp4", None),
    (".mp4", Codec.H265),
    (".mp4", Codec.VP9),
    (".mov", None),
    (".mov", Codec.H265),
    (".mkv", None),
    (".mkv", Codec.H265),
    (".mkv", Codec.VP9),
    (".mkv", Codec.FFV1),
    (".webm", None),
]


def frame(number: int) -> np.ndarray:
    """Return an I420 frame that shows its number as a grey, and a bar that moves."""
    picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    picture[:HEIGHT] = 40 + 4 * (number % 40)
    left = number * 3 % (WIDTH - 8)
    picture[: HEIGHT // 2, left : left + 8] = 220
    return picture


def number_of(shown: np.ndarray) -> int:
    return round((float(np.median(luma(shown)[HEIGHT // 2 :])) - 40) / 4)


def films(
    folder: Path,
    suffix: str,
    fps: Fraction,
    coding: Coding,
    counts: Sequence[int] = COUNTS,
    **options: object,
) -> list[Path]:
    """Write films of so many frames, whose numbers go on from one to the next."""
    picture = Picture(WIDTH, HEIGHT, constant(fps, 1), **options)  # type: ignore[arg-type]
    paths, number = [], 0
    for film, count in enumerate(counts):
        paths.append(folder / f"{film}{suffix}")
        with VideoWriter(paths[-1], picture, None, coding) as writer:
            for tick in range(count):
                writer.write(frame(number), tick)
                number += 1
    return paths


def click(path: Path, seconds: float, at: float) -> Sound:
    """Write a sound with a click at `at` seconds."""
    samples = np.zeros(round(seconds * RATE), np.float32)
    first = round(at * RATE)
    samples[first : first + 240] = 0.9
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return Sound(path, seconds)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)], ids=["25", "29.97"])
@pytest.mark.parametrize(("suffix", "codec"), WAYS)
def test_frames_are_the_films_own_at_exact_times_with_sound_from_0(
    tmp_path: Path, suffix: str, codec: Codec | None, fps: Fraction
) -> None:
    coding = Coding(codec)
    parts = films(tmp_path, suffix, fps, coding)
    seconds = float(sum(COUNTS) / fps)
    output = tmp_path / "made" / f"out [1]{suffix}"
    output.parent.mkdir()
    join(parts, fps, click(tmp_path / "click.wav", seconds, at=0.7), output, coding)

    info = probe(output)
    assert (info.frames, info.clock.constant, info.fps) == (sum(COUNTS), True, fps)
    assert (info.start, info.has_audio) == (0.0, True)
    shown = list(read_frames(info))
    assert [number_of(each) for each in shown] == [number % 40 for number in range(sum(COUNTS))]
    own = [each for part in parts for each in read_frames(probe(part))]
    assert all(np.array_equal(*pair) for pair in zip(shown, own, strict=True))

    with av.open(str(output)) as container:
        video = container.streams.video[0]
        assert video.frames in (0, sum(COUNTS))  # Matroska does not count them
        times = sorted(
            packet.pts * packet.time_base
            for packet in container.demux(video)
            if packet.pts is not None
        )
        tag = video.codec_context.codec_tag
    rounding = Fraction(1, 2000) if suffix in (".mkv", ".webm") else 0  # whole milliseconds
    assert len(times) == sum(COUNTS)
    assert all(abs(time - number / fps) <= rounding for number, time in enumerate(times))
    if codec is Codec.H265 and suffix in (".mp4", ".mov"):
        assert tag == "hvc1"

    heard = np.abs(read_audio(output, origin=0.0))
    assert np.argmax(heard > 0.3 * heard.max()) / 16000 == pytest.approx(0.7, abs=0.004)
    assert len(heard) / 16000 == pytest.approx(seconds, abs=0.05)
    assert list(output.parent.iterdir()) == [output]
    assert sorted(tmp_path.glob("*" + suffix)) == parts  # nothing is left beside the films


@pytest.mark.parametrize(
    ("suffix", "codec", "aspect"),
    [(".mp4", None, Fraction(1)), *((*way, Fraction(4, 3)) for way in WAYS)],
)
def test_colours_and_the_shape_of_pixels_are_those_of_the_films(
    tmp_path: Path, suffix: str, codec: Codec | None, aspect: Fraction
) -> None:
    told = {"colour": Colour(1, 1, 1, 1), "pixel_aspect": aspect}
    coding = Coding(codec)
    parts = films(tmp_path, suffix, Fraction(25), coding, counts=(3,), **told)
    output = tmp_path / f"out{suffix}"
    join(parts * 2, Fraction(25), click(tmp_path / "click.wav", 0.24, at=0.1), output, coding)
    info = probe(output)
    assert info.frames == 6
    assert info.colour == told["colour"] == probe(parts[0]).colour
    assert info.pixel_aspect == aspect == probe(parts[0]).pixel_aspect


def test_one_film_alone_gets_its_sound(tmp_path: Path) -> None:
    parts = films(tmp_path, ".mp4", Fraction(25), Coding(), counts=(10,))
    join(parts, Fraction(25), click(tmp_path / "c.wav", 0.4, 0.2), tmp_path / "out.mp4", Coding())
    info = probe(tmp_path / "out.mp4")
    assert (info.frames, info.has_audio) == (10, True)


def test_the_index_lies_at_the_front(tmp_path: Path) -> None:
    parts = films(tmp_path, ".mp4", Fraction(25), Coding(), counts=(5, 5))
    join(parts, Fraction(25), click(tmp_path / "c.wav", 0.4, 0.2), tmp_path / "out.mp4", Coding())
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    parts = films(tmp_path, ".mp4", Fraction(25), Coding(), counts=(5, 5))
    sound = click(tmp_path / "click.wav", 0.4, at=0.2)
    output = tmp_path / "no folder" / "out.mp4"
    with pytest.raises(LipganError, match="the video cannot be written: ") as raised:
        join(parts, Fraction(25), sound, output, Coding())
    assert "\n" not in raised.value.message
    assert sorted(tmp_path.glob("*.mp4")) == parts


def test_a_damaged_film_is_refused(tmp_path: Path) -> None:
    parts = films(tmp_path, ".mp4", Fraction(25), Coding(), counts=(5, 5))
    parts[1].write_bytes(parts[1].read_bytes()[:100])
    sound = click(tmp_path / "click.wav", 0.4, at=0.2)
    with pytest.raises(LipganError, match="the video cannot be written: "):
        join(parts, Fraction(25), sound, tmp_path / "out.mp4", Coding())
    assert not (tmp_path / "out.mp4").exists()


def test_the_encoder_has_a_version() -> None:
    assert any(map(str.isdigit, encoder()))
