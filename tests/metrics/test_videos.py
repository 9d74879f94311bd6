"""Two videos, frame by frame."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from skimage.data import astronaut
from skimage.transform import resize

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.clock import Clock, constant
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.faces import squares
from lipgan_cli.engine.media.people import one_person
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import VideoInfo, probe, read_frames, to_rgb
from lipgan_cli.engine.metrics.image import PairSummary, psnr, ssim
from lipgan_cli.engine.metrics.scene import look
from lipgan_cli.engine.metrics.videos import check_alike, compare_videos
from lipgan_cli.engine.progress import Silent


def write(path, frames, fps=25):
    """Write I420 frames without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for planes in frames:
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def compared(real, generated, gaussian, progress):
    """Return the summary of a video beside the real one."""
    one, other = probe(real), probe(generated)
    check_alike(one, other)
    return PairSummary.of(compare_videos(look(one, progress), other, gaussian, progress))


def noise(seed, width=48, height=32):
    return np.random.default_rng(seed).integers(16, 235, (height * 3 // 2, width), dtype=np.uint8)


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def test_frames_are_measured_in_rgb_without_a_mouth(tmp_path):
    ours, theirs = [noise(i) for i in range(5)], [noise(10 + i) for i in range(5)]
    told = Notes()
    real = write(tmp_path / "real.mkv", ours)
    summary = compared(real, write(tmp_path / "fake.mkv", theirs), False, told)
    pairs = [(to_rgb(one), to_rgb(other)) for one, other in zip(ours, theirs, strict=True)]
    assert summary.whole.psnr.mean == pytest.approx(np.mean([psnr(*pair) for pair in pairs]))
    assert summary.whole.ssim.median == pytest.approx(np.median([ssim(*pair) for pair in pairs]))
    assert summary.mouth is None
    assert told.notes == [f"{real}: no face in 5 of 5 frames"]


def test_same_video_is_identical(tmp_path):
    path = write(tmp_path / "a [1] ü.mkv", [noise(i) for i in range(3)])
    summary = compared(path, path, True, Silent())
    assert (summary.whole.psnr.identical, summary.whole.psnr.count) == (3, 3)


def test_mouth_is_where_the_face_is(tmp_path):
    picture = resize(astronaut()[:240, 100:340], (160, 160), preserve_range=True).astype(np.uint8)
    planes = av.VideoFrame.from_ndarray(picture, format="rgb24").to_ndarray(format="yuv420p")
    real = write(tmp_path / "real.mkv", [planes] * 3)
    info = probe(real)
    boxes = one_person(find_tracks(read_frames(info), HogDetector()))[:, :4]
    x, y, side = squares(boxes, 25.0)[0]
    # Paint over the mouth of the crop: rows 54..89 and columns 24..71 of 96.
    painted = planes.copy()
    top, bottom = (round(y - side / 2 + side * row / 96) for row in (60, 84))
    left, right = (round(x - side / 2 + side * column / 96) for column in (30, 66))
    painted[top:bottom, left:right] = 16
    summary = compared(real, write(tmp_path / "fake.mkv", [painted] * 3), False, Silent())
    assert summary.mouth.psnr.count == 3
    assert summary.mouth.psnr.mean < summary.whole.psnr.mean - 8
    # Painting anything else leaves the mouth as it is.
    painted = planes.copy()
    painted[: round(y - side / 2 + side * 53 / 96) // 2 * 2] = 16
    summary = compared(real, write(tmp_path / "hat.mkv", [painted] * 3), False, Silent())
    assert summary.mouth.psnr.identical == 3
    assert summary.whole.psnr.mean < 20


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"frames": 9}, r"length: .*real\.mkv has 3 frames, .*fake\.mkv has 9 frames"),
        ({"frames": 6}, r"length: .*real\.mkv has 3 frames, .*fake\.mkv has 6"),
        ({"width": 64}, r"size: .*real\.mkv has 48x32, .*fake\.mkv has 64x32"),
        ({"fps": 30}, r"rate: .*real\.mkv has 25 fps, .*fake\.mkv has 30 fps"),
    ],
)
def test_videos_that_do_not_match_are_told_apart(tmp_path, other, message):
    real = write(tmp_path / "real.mkv", [noise(i) for i in range(3)])
    frames = [noise(i, width=other.get("width", 48)) for i in range(other.get("frames", 3))]
    generated = write(tmp_path / "fake.mkv", frames, other.get("fps", 25))
    with pytest.raises(InputError, match=f"the videos differ in {message}"):
        compared(real, generated, False, Silent())


def on(clock, name):
    return VideoInfo(Path(name), 48, 32, clock, 0.0, False, False)


def at(fps, frames):
    return constant(Fraction(fps), frames)


def late_by(part, frames=100, which=60):
    """25 a second, but one frame is shown late by so much of a frame."""
    ticks = 1000 * np.arange(frames + 1)
    ticks[which] += round(1000 * part)
    return Clock(Fraction(25), Fraction(1, 25_000), ticks)


@pytest.mark.parametrize(
    ("real", "generated"),
    [
        (at("30000/1001", 5000), at("2997/100", 5000)),
        (at("60000/1001", 5000), at("5994/100", 5000)),
        (at(25, 180), at("25.1", 180)),  # 0.4 %, 0.71 frames at the end
        (at(25, 100), late_by(0.7)),
        (late_by(-0.7), at(25, 100)),
        (late_by(0.7), late_by(0.7)),
        (late_by(5), late_by(5)),
        (at(25, 3), at(25, 5)),
    ],
)
def test_clocks_that_are_near_are_alike(real, generated):
    check_alike(on(real, "real"), on(generated, "fake"))
    check_alike(on(generated, "fake"), on(real, "real"))


@pytest.mark.parametrize(
    ("real", "generated", "rates"),
    [
        (at(25, 200), at("25.1", 200), ("25 fps", "25.1 fps")),  # 0.8 frames at the end
        (at(25, 3), at("25.2", 3), ("25 fps", "25.2 fps")),  # 0.8 %
        (at(30, 800), at("30000/1001", 800), ("30 fps", "29.97 fps")),
        (at(25, 100), late_by(0.8), ("25 fps", "25 fps, varying")),
        (late_by(-0.8), at(25, 100), ("25 fps, varying", "25 fps")),
        (late_by(5, which=60), late_by(5, which=61), ("25 fps, varying", "25 fps, varying")),
    ],
)
def test_clocks_that_drift_apart_are_told(real, generated, rates):
    one, other = on(real, "real"), on(generated, "fake")
    message = "the videos differ in rate: real has {}, fake has {}"
    with pytest.raises(InputError, match=f"^{re.escape(message.format(*rates))}$"):
        check_alike(one, other)
    with pytest.raises(InputError, match="differ in rate"):
        check_alike(other, one)


@pytest.mark.parametrize("fps", [Fraction(60000, 1001), Fraction(30000, 1001), Fraction(24)])
def test_a_film_and_its_copy_in_another_container_are_alike(tmp_path, fps):
    source, copy = tmp_path / "film.mp4", tmp_path / "copy.mkv"  # which rounds to milliseconds
    frames = [f"testsrc=s=48x32:r={fps}:d=2"]
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    for command in (
        ["-f", "lavfi", "-i", *frames, "-c:v", "libx264", "-preset", "ultrafast", source],
        ["-i", source, "-c", "copy", copy],
    ):
        subprocess.run([*program, *map(str, command)], check=True)
    real, generated = probe(source), probe(copy)
    assert real.frames == generated.frames >= 48
    check_alike(real, generated)
    check_alike(generated, real)


@pytest.mark.parametrize(("frames", "common"), [(4, 3), (5, 3), (2, 2), (1, 1)])
def test_a_frame_or_two_that_only_one_has_are_left_out(tmp_path, frames, common):
    real = write(tmp_path / "real.mkv", [noise(i) for i in range(3)])
    generated = write(tmp_path / "fake.mkv", [noise(9 + i) for i in range(frames)])
    told = Notes()
    summary = compared(real, generated, False, told)
    assert summary.whole.psnr.count == common
    lengths = f"{real} has 3 frames, {generated} has {frames}"
    assert told.notes[1:] == [f"the {common} frames that both have are compared: {lengths}"]
