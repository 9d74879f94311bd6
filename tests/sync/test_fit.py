"""Face videos that are not as long as the speech: every fit, parts of a video, photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.choices import Fit
from lipgan_cli.engine.media.picture import luma

VARYING = [0, 40, 75, 130, 160, 300, 340, 355, 420, 460, 520, 560]  # ms; the last one lasts 40


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("fit", Fit)
def test_a_longer_video_is_cut(studio: Any, rendered: list[np.ndarray], fit: Fit) -> None:
    film = studio.film("face.mp4", studio.scenes(20))
    speech = studio.wav("speech.wav", 0.52)
    if fit is Fit.ERROR:
        with pytest.raises(InputError, match=r"lasts 0\.80 s, the speech 0\.52 s"):
            studio.sync(film, speech, fit=fit)
        return
    summary = studio.sync(film, speech, fit=fit)
    assert studio.numbers(rendered) == list(range(13))
    assert (summary.seconds, summary.repeated) == (0.52, 0)


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("fit", "order"),
    [
        (Fit.PINGPONG, [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]),
        (Fit.FREEZE, [0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4]),
        (Fit.TRIM, [0, 1, 2, 3, 4]),
    ],
)
def test_a_shorter_video_is_played_as_asked_for(studio: Any, fit: Fit, order: list[int]) -> None:
    film = studio.film("face.mp4", studio.scenes(5))
    summary = studio.sync(film, studio.wav("speech.wav", 0.48, studio.hum(0.48)), fit=fit)
    shown = studio.shown(studio.out())
    assert studio.numbers(y for _, y in shown) == order
    assert summary.frames == len(order)
    assert summary.repeated == len(order) - 5
    assert summary.seconds == pytest.approx(len(order) / 25)
    heard = read_audio(studio.out(), origin=0.0)
    assert len(heard) / 16000 == pytest.approx(len(order) / 25, abs=0.04)
    assert np.abs(heard[: len(order) * 600]).max() > 0.2


def test_error_makes_nothing_and_says_both_lengths(studio: Any, network: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(20))
    with pytest.raises(InputError, match=r"lasts 0\.80 s, the speech 1\.00 s") as raised:
        studio.sync(film, studio.wav("speech.wav", 1.0), fit=Fit.ERROR)
    assert raised.value.exit_code == 2
    assert not studio.out().exists()
    assert network.seen == []
    for seconds in (0.77, 0.83):  # a frame more or less is no other length
        speech = studio.wav("speech.wav", seconds)
        summary = studio.sync(film, speech, fit=Fit.ERROR, force=True)
        assert summary.frames == min(20, round(seconds * 25))


@pytest.mark.usefixtures("talking")
def test_the_end_of_a_loop_fades_into_its_beginning(
    studio: Any, network: Any, rendered: list[np.ndarray]
) -> None:
    """The picture darkens from frame to frame: without a fade the seam would be a jump of 119."""
    pictures = []
    for number in range(18):
        picture = studio.scene(number)
        picture[-16:] = 30 + 7 * number
        pictures.append(picture)
    film = studio.film("face.mp4", pictures)
    summary = studio.sync(film, studio.wav("speech.wav", 1.6, studio.hum(1.6)), fit=Fit.LOOP)
    source = studio.source(film)
    assert len(rendered) == summary.frames == 40
    # 6 frames (0.24 s) fade: 0..11, 12..17 into 0..5, 6..11, 12..17 into 0..5, 6..11, 12..15
    order = [*range(12), *range(12, 18), *range(6, 12), *range(12, 18), *range(6, 12)]
    order += [*range(12, 16)]
    for frame, place in zip(rendered, order, strict=True):
        into = place - 12
        share = (into + 1) / 7 if place >= 12 else 0.0
        expected = (1 - share) * source[place] + share * source[into]
        assert np.abs(luma(frame)[:16] - expected[:16]).max() <= 1
        assert np.abs(luma(frame)[-16:] - expected[224:240]).max() <= 1
    level = np.array([luma(frame)[-16:].mean() for frame in rendered])
    assert np.abs(np.diff(level)).max() < 20
    # Where two pictures are seen both have a mouth, and both speak what is heard then.
    assert len(network.windows) == 40 + sum(place >= 12 for place in order)


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("fit", [Fit.PINGPONG, Fit.LOOP, Fit.FREEZE, Fit.TRIM])
def test_every_fit_keeps_the_times_of_a_varying_rate(studio: Any, fit: Fit) -> None:
    count = len(VARYING)
    film = studio.film("face.mp4", studio.scenes(count), times=VARYING)
    summary = studio.sync(film, studio.wav("speech.wav", 1.0, studio.hum(1.0)), fit=fit)
    shown = studio.shown(studio.out())
    numbers = studio.numbers(y for _, y in shown)
    times = [time for time, _ in shown]
    assert summary.frames == len(shown)
    assert summary.variable_rate
    assert times[:count] == pytest.approx(np.array(VARYING) / 1000, abs=1e-5)
    assert numbers[:8] == list(range(8))  # beyond, a loop fades
    if fit is Fit.TRIM:
        assert len(shown) == count
        assert summary.seconds == pytest.approx(0.6)
        assert len(read_audio(studio.out())) / 16000 == pytest.approx(0.6, abs=0.03)
        return
    assert summary.seconds == pytest.approx(1.0, abs=0.021)
    assert times[-1] < 1.0
    if fit is Fit.PINGPONG:
        assert numbers == studio.back_and_forth(count, len(shown))
        assert times[count + 1] - times[count] == pytest.approx(0.04, abs=1e-5)  # of frame 10
        assert times[count + 4] - times[count + 3] == pytest.approx(0.065, abs=1e-5)  # of frame 7
    if fit is Fit.FREEZE:
        assert numbers[count:] == [count - 1] * (len(shown) - count)
        assert np.diff(times[count:]) == pytest.approx(0.05, abs=0.001)  # 12 frames in 0.6 s


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("start", "end", "places"),
    [
        (0.4, None, range(10, 30)),
        (None, 0.6, range(15)),
        (0.4, 0.6, range(10, 15)),
        (0.39, 0.62, range(10, 16)),
        (0.41, 9.0, range(10, 30)),  # a quarter of a frame late is on time
        (0.42, None, range(11, 30)),
    ],
)
def test_a_part_of_the_video(
    studio: Any, rendered: list[np.ndarray], start: float | None, end: float | None, places: range
) -> None:
    film = studio.film("face.mp4", studio.scenes(30))
    summary = studio.sync(film, studio.wav("speech.wav", 1.0), start=start, end=end)
    order = [places[k] for k in studio.back_and_forth(len(places), 25)]
    assert studio.numbers(rendered) == order
    assert summary.repeated == 25 - min(25, len(places))


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("fit", "order"),
    [
        (Fit.PINGPONG, [10, 11, 12, 13, 12, 11, 10, 11]),
        (Fit.FREEZE, [10, 11, 12, 13, 13, 13, 13, 13]),
        (Fit.TRIM, [10, 11, 12, 13]),
    ],
)
def test_a_part_has_the_length_that_is_fitted(
    studio: Any, rendered: list[np.ndarray], fit: Fit, order: list[int]
) -> None:
    film = studio.film("face.mkv", studio.scenes(20))
    studio.sync(film, studio.wav("speech.wav", 0.32), fit=fit, start=0.4, end=0.56)
    assert studio.numbers(rendered) == order


@pytest.mark.usefixtures("network", "rendered")
def test_a_part_as_long_as_the_speech_is_no_error(studio: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(30))
    speech = studio.wav("speech.wav", 0.4)
    assert studio.sync(film, speech, start=0.2, end=0.6, fit=Fit.ERROR).frames == 10
    with pytest.raises(InputError, match=r"lasts 0\.60 s, the speech 0\.40 s"):
        studio.sync(film, speech, start=0.6, fit=Fit.ERROR, force=True)


@pytest.mark.usefixtures("network")
def test_a_part_at_a_varying_rate_begins_at_0(studio: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(len(VARYING)), times=VARYING)
    summary = studio.sync(film, studio.wav("speech.wav", 0.5), start=0.13, end=0.42)
    shown = studio.shown(studio.out())
    assert studio.numbers(y for _, y in shown) == [3, 4, 5, 6, 7, 6, 5, 4, 3]
    times = [0, 0.03, 0.17, 0.21, 0.225, 0.29, 0.305, 0.345, 0.485]
    assert [time for time, _ in shown] == pytest.approx(times, abs=1e-5)
    assert summary.variable_rate
    assert summary.repeated == 4


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"start": 5.0}, r"has no frame from 5 s to its end"),
        ({"start": 0.8}, r"has no frame from 0\.8 s to its end"),
        ({"start": 0.5, "end": 0.5}, r"there is nothing from 0\.5 s to 0\.5 s"),
        ({"start": 0.5, "end": 0.2}, r"there is nothing from 0\.5 s to 0\.2 s"),
        ({"start": 0.402, "end": 0.405}, r"has no frame from 0\.402 s to 0\.405 s"),
        ({"start": -1.0}, r"there is nothing from -1 s"),
        ({"start": float("nan")}, r"there is nothing from nan s"),
        ({"end": 0.0}, r"there is nothing from 0 s to 0 s"),
        ({"end": float("nan")}, r"there is nothing from 0 s to nan s"),
    ],
)
def test_parts_that_are_none_are_refused(studio: Any, part: dict[str, float], told: str) -> None:
    film = studio.film("face.mp4", studio.scenes(20))
    with pytest.raises(InputError, match=told) as raised:
        studio.sync(film, studio.wav("speech.wav", 0.4), **part)
    assert raised.value.hint
    assert not studio.out().exists()


def write_photo(path: Path, head: np.ndarray) -> Path:
    """A photo whose camera was held upright, stored lying."""
    upright = np.full((301, 241, 3), 110, np.uint8)
    upright[60:236, 30:206] = head
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright)).save(path, quality=95, exif=exif)
    return path


@pytest.mark.parametrize("fit", Fit)
def test_a_turned_photo_becomes_a_video_at_25_fps_as_long_as_the_speech(
    studio: Any, network: Any, rendered: list[np.ndarray], head: np.ndarray, fit: Fit
) -> None:
    photo = write_photo(studio.folder / "photo.jpg", head)
    summary = studio.sync(photo, studio.wav("speech.wav", 0.7), fit=fit)
    assert (summary.width, summary.height, summary.fps) == (240, 300, 25)
    assert summary.frames == len(rendered) == 18
    assert rendered[0].shape == (450, 240)
    upright = cv2.cvtColor(rendered[0], cv2.COLOR_YUV2RGB_I420)[60:236, 30:206]
    assert np.abs(upright.astype(int) - head).mean() < 4
    assert all(keys is not None and set(keys) == {0} for keys in network.keys)  # one face


@pytest.mark.usefixtures("network", "rendered")
def test_a_part_of_a_photo_is_the_photo(studio: Any, head: np.ndarray) -> None:
    photo = write_photo(studio.folder / "photo.jpg", head)
    assert studio.sync(photo, studio.wav("speech.wav", 0.7), start=3.0, end=4.0).frames == 18


@pytest.mark.usefixtures("network")
def test_a_speech_too_short_for_one_frame_is_an_error(studio: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(5))
    with pytest.raises(InputError, match=r"has only 0\.010 s of sound"):
        studio.sync(film, studio.wav("speech.wav", 0.01))


@pytest.mark.usefixtures("network")
def test_a_face_video_cut_off_in_the_middle_plays_what_it_has(studio: Any) -> None:
    whole = studio.film("whole.mkv", studio.scenes(60))
    face = studio.folder / "face.mkv"
    face.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    summary = studio.sync(face, studio.wav("speech.wav", 3.0))
    assert summary.frames == 75
    numbers = studio.numbers(y for _, y in studio.shown(studio.out()))
    assert 15 < max(numbers) < 45
    assert numbers == studio.back_and_forth(max(numbers) + 1, 75)
