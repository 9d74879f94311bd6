"""Reading video: exact frames at exact times, from every kind of file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.clock import Clock, Timed, clock_of, constant, on_screen
from lipgan_cli.engine.media.picture import planar
from lipgan_cli.engine.media.video import luma, probe, read_frames, to_rgb

RATE = 16000
LOSSLESS = {"qp": "0", "preset": "ultrafast"}
BITS, BIT = 6, 8  # a frame's number, in blocks of 8 pixels


def numbered(number: int, width: int = 64, height: int = 32) -> np.ndarray:
    """Return an I420 frame that shows its number."""
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    frame[:height] = 60
    for bit in range(BITS):
        frame[8:24, bit * BIT : (bit + 1) * BIT] = 220 if number >> bit & 1 else 20
    return frame


def number_of(frame: np.ndarray) -> int:
    """Return the number that a frame shows."""
    means = [luma(frame)[10:22, bit * BIT + 2 : bit * BIT + 6].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, mean in enumerate(means) if mean > 120)


def random_frames(count: int, width: int, height: int) -> list[np.ndarray]:
    """Return I420 frames that use every value; the size may be odd only in `crop`'s tests."""
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 256, (count, height * 3 // 2, width), np.uint8))


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    fps: Fraction = Fraction(25),
    times: Sequence[Fraction] | None = None,
    sound: tuple[str, np.ndarray] | None = None,
) -> Path:
    """Encode I420 frames, at given times or at a constant rate, with mono 16 kHz sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps, options=options or {})
        audio = container.add_stream(sound[0], rate=RATE, layout="mono") if sound else None
        for index, picture in enumerate(frames):
            if not index:
                video.width, video.height = picture.shape[1], picture.shape[0] * 2 // 3
                video.pix_fmt = pixels
                if times is not None:
                    video.codec_context.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=pixels)
            if times is None:
                frame.pts, frame.time_base = index, 1 / fps
            else:
                frame.pts, frame.time_base = round(times[index] * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and sound is not None:
            size = audio.codec_context.frame_size or 1024
            for first in range(0, len(sound[1]), size):
                block = sound[1][None, first : first + size].astype(np.float32)
                packed = audio.codec_context.format.name.startswith("s16")
                values = (block * 32767).astype(np.int16) if packed else block
                piece = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(values), audio.codec_context.format.name, "mono"
                )
                piece.sample_rate, piece.pts, piece.time_base = RATE, first, Fraction(1, RATE)
                container.mux(audio.encode(piece))
            container.mux(audio.encode())
    return path


def ffmpeg(*arguments: object) -> None:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-y", *map(str, arguments)], check=True)


def test_lossless_source_comes_out_bit_for_bit(tmp_path: Path) -> None:
    frames = random_frames(5, 34, 18)  # lines of 34 are padded in the decoder
    info = probe(write_video(tmp_path / "a.mp4", frames, options=LOSSLESS))
    assert (info.width, info.height, info.fps, info.frames) == (34, 18, 25, 5)
    assert info.duration == pytest.approx(0.2)
    assert not info.photo
    assert not info.has_audio
    read = list(read_frames(info))
    assert len(read) == 5
    for mine, source in zip(read, frames, strict=True):
        np.testing.assert_array_equal(mine, source)


def test_full_range_keeps_its_bytes_and_says_so(tmp_path: Path) -> None:
    frames = random_frames(3, 32, 16)
    path = write_video(tmp_path / "a.mp4", frames, options=LOSSLESS, pixels="yuvj420p")
    info = probe(path)
    assert info.colour.range == 2
    for mine, source in zip(read_frames(info), frames, strict=True):
        np.testing.assert_array_equal(mine, source)


def test_odd_size_loses_the_last_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    raw = np.random.default_rng(0).integers(0, 256, (19, 35), np.uint8)
    gray = tmp_path / "gray.png"
    av.VideoFrame.from_ndarray(raw, format="gray").to_image().save(gray)
    ffmpeg("-i", gray, "-frames:v", 1, "-pix_fmt", "yuv420p", "-c:v", "ffv1", path)
    with av.open(str(path)) as container:
        source = next(container.decode(video=0))
        plane = source.planes[0]
        full = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:19, :35]
    info = probe(path)
    assert (info.width, info.height) == (34, 18)
    np.testing.assert_array_equal(luma(next(read_frames(info))), full[:18, :34])


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_rotation_of_the_display_is_applied(tmp_path: Path, angle: int) -> None:
    frames = random_frames(2, 32, 16)
    plain = write_video(tmp_path / "plain.mp4", frames, options=LOSSLESS)
    turned = tmp_path / "turned.mp4"
    # ffmpeg's option turns counterclockwise.
    ffmpeg("-display_rotation:v", angle, "-i", plain, "-c", "copy", turned)
    info = probe(turned)
    turns = angle // 90
    assert (info.width, info.height) == ((16, 32) if turns % 2 else (32, 16))
    for mine, source in zip(read_frames(info), frames, strict=True):
        np.testing.assert_array_equal(luma(mine), np.rot90(source[:16], turns))
        u, v = source[16:20].reshape(8, 16), source[20:24].reshape(8, 16)
        chroma = mine[info.height :].reshape(2, -1)
        np.testing.assert_array_equal(chroma[0], np.rot90(u, turns).reshape(-1))
        np.testing.assert_array_equal(chroma[1], np.rot90(v, turns).reshape(-1))


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_a_front_camera_s_mirrored_film_is_shown_as_players_do(tmp_path: Path, angle: int) -> None:
    frames = random_frames(1, 32, 16)
    plain = write_video(tmp_path / "plain.mp4", frames, options=LOSSLESS)
    flipped, decoded = tmp_path / "flipped.mp4", tmp_path / "decoded.mkv"
    turn = ("-display_rotation:v", angle, "-display_hflip:v")
    ffmpeg(*turn, "-i", plain, "-c", "copy", flipped)
    ffmpeg("-i", flipped, "-c:v", "ffv1", decoded)  # turns it as its player does
    wanted = next(read_frames(probe(decoded)))
    np.testing.assert_array_equal(next(read_frames(probe(flipped))), wanted)


def test_other_pixel_formats_become_8_bit_420(tmp_path: Path) -> None:
    grey = np.full((16, 32, 3), 130, np.uint8)
    for name, codec, pixels in [("a.mkv", "ffv1", "yuv444p10le"), ("b.mkv", "ffv1", "bgr0")]:
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 16, pixels
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pixels)
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        info = probe(tmp_path / name)
        assert to_rgb(next(read_frames(info))).astype(int) == pytest.approx(130, abs=2)


SEEKABLE = [
    ("a.mp4", "libx264", {"g": "8", "bf": "2", "crf": "10"}),
    ("a.mkv", "libx264", {"g": "8", "bf": "2", "crf": "10"}),
    ("a.webm", "libvpx", {"g": "8", "deadline": "realtime", "b": "1M"}),
    ("a.mpg", "mpeg1video", {"g": "8", "bf": "2", "b": "2M"}),
    ("a.ts", "mpeg2video", {"g": "8", "bf": "2", "b": "2M"}),
    ("a.avi", "mpeg4", {"g": "8", "b": "2M"}),
    ("a.avi", "mjpeg", {"b": "2M"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), SEEKABLE)
def test_every_frame_can_be_started_from(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / name, map(numbered, range(40)), codec, options, pixels)
    info = probe(path)
    assert (info.fps, info.frames) == (25, 40)
    whole = list(read_frames(info))
    assert [number_of(frame) for frame in whole] == list(range(40))
    for first in (1, 7, 8, 9, 15, 16, 20, 33, 38, 39):
        rest = list(read_frames(info, first))
        assert [number_of(frame) for frame in rest] == list(range(first, 40))
        np.testing.assert_array_equal(rest[0], whole[first])
    assert list(read_frames(info, 40)) == []
    assert list(read_frames(info, 4000)) == []


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_variable_rate_keeps_each_frame_and_its_time(tmp_path: Path, name: str) -> None:
    times = [Fraction(t, 1000) for t in (0, 40, 200, 210, 220, 400, 440, 480, 520, 560)]
    path = write_video(tmp_path / name, map(numbered, range(10)), fps=Fraction(25), times=times)
    info = probe(path)
    assert not info.clock.constant
    begun = info.clock.seconds(np.arange(info.frames))
    assert begun.tolist() == pytest.approx([float(time) for time in times], abs=0.0006)
    read = [number_of(frame) for frame in read_frames(info)]
    assert read == list(range(10))
    for first in range(info.frames):
        assert [number_of(frame) for frame in read_frames(info, first)] == read[first:]


def test_held_frames_are_arrays_of_their_own() -> None:
    """The rate is constant, the source lost a frame: the one before it is shown twice."""
    black = np.zeros((24, 16), np.uint8)
    frames = [
        Timed(k / 25, 0.04, av.VideoFrame.from_ndarray(black, format="yuv420p")) for k in (0, 2, 3)
    ]
    shown = [planar(f, 16, 16) for f in on_screen(iter(frames), constant(Fraction(25), 4))]
    assert len(shown) == 4
    shown[0][:] = 7  # as a caller may who paints into it
    assert not (shown[1] == 7).any()


@given(
    gaps=st.lists(st.integers(1, 300), min_size=1, max_size=30),
    fps=st.sampled_from([Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60)]),
    first=st.integers(0, 40),
)
def test_constant_rate_shows_what_is_on_screen(gaps: list[int], fps: Fraction, first: int) -> None:
    starts = np.concatenate([[0], np.cumsum(gaps)]) / 1000
    durations = [gap / 1000 for gap in gaps] + [0.04]
    frames = [
        Timed(float(time), shown, av.VideoFrame(2, 2, "gray"))
        for time, shown in zip(starts, durations, strict=True)
    ]
    end = float(starts[-1] + 0.04)
    clock = Clock(fps, 1 / fps, np.arange(max(1, int(end * fps + 0.5)) + 1))
    order = {id(timed.frame): index for index, timed in enumerate(frames)}
    shown = [order[id(frame)] for frame in on_screen(iter(frames), clock)]
    assert len(shown) == max(1, int(end * fps + 0.5))
    for k, index in enumerate(shown):
        moment = (k + 0.25) / float(fps)
        assert starts[index] <= moment + 1e-9
        assert index == len(starts) - 1 or starts[index + 1] >= moment - 1e-9
    assert [order[id(f)] for f in on_screen(iter(frames), clock, first)] == shown[first:]


@given(
    gaps=st.lists(st.integers(1, 300), min_size=1, max_size=30),
    first=st.integers(0, 30),
    lost=st.integers(1, 30),
)
def test_a_varying_clock_shows_every_frame_once(gaps: list[int], first: int, lost: int) -> None:
    """Where one cannot be decoded, the one before it stands in."""
    ticks = np.concatenate([[0], np.cumsum(gaps)])
    clock = Clock(Fraction(25), Fraction(1, 1000), ticks)
    frames = [
        Timed(ticks[k] / 1000, 0.04, av.VideoFrame(2, 2, "gray"))
        for k in range(len(gaps))
        if k != lost
    ]
    order = {id(timed.frame): round(timed.time * 1000) for timed in frames}
    shown = [order[id(frame)] for frame in on_screen(iter(frames), clock)]
    wanted = [ticks[k - 1 if k == lost else k] for k in range(len(gaps))]
    assert shown == wanted[: len(gaps) - (lost == len(gaps) - 1)]
    rest = [order[id(frame)] for frame in on_screen(iter(frames), clock, first)]
    assert rest == shown[first:]


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 90000), Fraction(1, 600)])
@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60, Fraction(24000, 1001), Fraction(30000, 1001)])
def test_a_constant_rate_is_known_however_it_was_rounded(fps: Fraction, base: Fraction) -> None:
    fps = Fraction(fps)
    times = [round(k / fps / base) for k in range(500)]
    clock = clock_of(times, round(500 / fps / base), base, (Fraction(25),))
    assert clock.constant
    assert float(clock.fps) == pytest.approx(float(fps), rel=1e-5)
    assert clock.frames == 500


def test_times_that_no_rate_explains_are_kept() -> None:
    steady = [40 * k for k in range(100)]
    jitter = [time + (12 if k % 7 == 3 else 0) for k, time in enumerate(steady)]
    hole = [time for time in steady if time != 1600]
    for times in (jitter, hole, [*steady, 4400]):
        clock = clock_of(times, times[-1] + 40, Fraction(1, 1000), (Fraction(25),))
        assert not clock.constant
        assert clock.ticks.tolist() == [*times, times[-1] + 40]
        assert clock.position(times[7] / 1000) == pytest.approx(7)
    part = clock_of(jitter, 4000, Fraction(1, 1000), ()).part(3, 5)
    assert part.ticks.tolist() == [0, 28, 68]


def test_frames_without_timestamps_follow_on_each_other(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.h264", map(numbered, range(12)), options={"bf": "0"})
    info = probe(path)
    read = [number_of(frame) for frame in read_frames(info)]
    assert sorted(set(read)) == list(range(12))
    assert read == sorted(read)


@pytest.mark.parametrize(
    ("fps", "count"), [(Fraction(30000, 1001), 30), (Fraction(24000, 1001), 24), (Fraction(60), 60)]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_every_rate_keeps_every_frame(tmp_path: Path, name: str, fps: Fraction, count: int) -> None:
    info = probe(write_video(tmp_path / name, map(numbered, range(count)), fps=fps))
    assert float(info.fps) == pytest.approx(float(fps), rel=1e-4)
    assert [number_of(frame) for frame in read_frames(info)] == list(range(count))


SYNCED = [
    ("a.mp4", "libx264", "aac", 0.005),
    ("a.mov", "libx264", "pcm_s16le", 0.005),
    ("a.mkv", "libx264", "flac", 0.005),
    ("a.webm", "libvpx", "libopus", 0.010),
    # MPEG-1 layer 2 and the like start late by the encoder's delay, which these files do not tell.
    ("a.mpg", "mpeg1video", "mp2", 0.040),
    ("a.ts", "mpeg2video", "mp2", 0.040),
    ("a.avi", "mpeg4", "pcm_s16le", 0.005),
]


@pytest.mark.parametrize(("name", "codec", "sound_codec", "tolerance"), SYNCED)
def test_sound_and_picture_share_one_clock(
    tmp_path: Path, name: str, codec: str, sound_codec: str, tolerance: float
) -> None:
    """Frame 10 flashes at 0.4 s, and so does the sound; the file's clock may start anywhere."""
    flash = [numbered(63 if k == 10 else 0) for k in range(25)]
    sound = np.zeros(RATE, np.float32)
    sound[6400:6560] = 0.8 * np.sin(np.arange(160) * 2 * np.pi / 16)
    options = {"b": "2M"} if codec != "libx264" else {}
    path = write_video(tmp_path / name, flash, codec, options, sound=(sound_codec, sound))
    info = probe(path)
    assert info.has_audio
    read = [number_of(frame) == 63 for frame in read_frames(info)]
    assert read.index(True) == 10
    heard = np.abs(read_audio(path, origin=info.start))
    assert np.argmax(heard > 0.3 * heard.max()) / RATE == pytest.approx(0.4, abs=tolerance)


def test_picture_that_starts_late_is_the_origin(tmp_path: Path) -> None:
    """The picture begins 0.2 s into the file: time 0 of the frames is there, for the sound too."""
    times = [Fraction(200 + 40 * k, 1000) for k in range(10)]
    sound = np.zeros(RATE, np.float32)
    sound[4800:4960] = 0.8  # at 0.3 s of the file
    path = write_video(
        tmp_path / "a.mkv", map(numbered, range(10)), times=times, sound=("flac", sound)
    )
    info = probe(path)
    assert info.start == pytest.approx(0.2, abs=1e-3)
    assert [number_of(frame) for frame in read_frames(info)] == list(range(10))
    heard = np.abs(read_audio(path, origin=info.start))
    assert np.argmax(heard > 0.3) / RATE == pytest.approx(0.1, abs=0.002)


def test_truncated_file_ends_at_its_last_good_frame(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", random_frames(40, 64, 48), options={"g": "5"})
    part = tmp_path / "part.mkv"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    info = probe(part)
    frames = list(read_frames(info))
    assert 5 < len(frames) < 35
    expected = list(read_frames(probe(whole)))
    for mine, source in zip(frames[:-3], expected, strict=False):
        np.testing.assert_array_equal(mine, source)


def test_a_lost_tail_is_not_held_to_the_end(tmp_path: Path) -> None:
    """The index, at the front, tells of more frames than there are."""
    whole = write_video(tmp_path / "whole.mp4", random_frames(40, 64, 48), options={"g": "5"})
    front, part = tmp_path / "front.mp4", tmp_path / "part.mp4"
    ffmpeg("-i", whole, "-c", "copy", "-movflags", "+faststart", front)
    part.write_bytes(front.read_bytes()[: front.stat().st_size // 2])
    info = probe(part)
    assert 10 < len(list(read_frames(info))) <= info.frames < 30


def test_damage_in_the_middle_costs_only_what_it_hits(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", map(numbered, range(40)), options={"g": "5", "crf": "1"})
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + (data.index(b"moov") - data.index(b"mdat")) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    frames = list(read_frames(probe(path)))
    assert len(frames) == 40
    assert number_of(frames[0]) == 0
    assert number_of(frames[-1]) == 39


def test_name_says_nothing_about_the_content(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", map(numbered, range(3)))
    wrong = (tmp_path / "a.mkv").rename(tmp_path / "b.mp4")
    assert [number_of(frame) for frame in read_frames(probe(wrong))] == [0, 1, 2]


def test_names_may_be_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_video(tmp_path / "a.mp4", map(numbered, range(2)))
    for name in ("a:b.mp4", "-i [x] %03d.mp4", "ü 語.mp4"):
        Path(name).write_bytes(source.read_bytes())
        assert len(list(read_frames(probe(Path(name))))) == 2


def bad_files(folder: Path) -> Iterable[Path]:
    """Yield files that are no video, each in another way."""
    contents: dict[str, bytes] = {
        "text.mp4": b"this is no video\n" * 200,
        "text.txt": b"\x1b[31mcoloured text\n" * 200,
        "empty.mp4": b"",
        "noise.mkv": np.random.default_rng(0).bytes(5000),
        "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "picture.jpg": b"\xff\xd8\xff\xe0" + bytes(100),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        yield folder / name
    whole = write_video(folder / "whole.mp4", map(numbered, range(10)))
    cut = folder / "cut.mp4"  # its index, at the end, is lost
    cut.write_bytes(whole.read_bytes()[:-600])
    yield cut
    song = folder / "song.mp4"
    with av.open(str(song), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    yield song
    (folder / "folder.mp4").mkdir()
    yield folder / "folder.mp4"
    yield folder / "missing.mp4"


def test_bad_files_are_named_with_the_reason(tmp_path: Path) -> None:
    for path in bad_files(tmp_path):
        with pytest.raises(InputError) as raised:
            probe(path)
        assert str(path) in raised.value.message, path
        assert "\n" not in raised.value.message
        assert raised.value.hint, path


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "cover.png")
    ffmpeg(
        *("-f", "lavfi", "-i", "sine=d=0.2", "-i", tmp_path / "cover.png", "-map", 0, "-map", 1),
        *("-c:v", "copy", "-disposition:v:0", "attached_pic", tmp_path / "song.mp3"),
    )
    with pytest.raises(InputError, match="no video track"):
        probe(tmp_path / "song.mp3")


def test_photos_are_turned_as_their_camera_says(tmp_path: Path) -> None:
    from PIL import Image

    rgb = np.zeros((20, 40, 3), np.uint8)
    rgb[:, :20] = (200, 40, 40)
    rgb[:, 20:] = (40, 40, 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(rgb).save(tmp_path / "a.jpg", quality=95, subsampling=0, exif=exif)
    info = probe(tmp_path / "a.jpg")
    assert info.photo
    assert (info.width, info.height, info.frames, info.fps) == (20, 40, 1, 25)
    frames = list(read_frames(info))
    assert len(frames) == 1
    assert to_rgb(frames[0])[4:16].mean(axis=(0, 1)) == pytest.approx((200, 40, 40), abs=6)
    assert to_rgb(frames[0])[24:36].mean(axis=(0, 1)) == pytest.approx((40, 40, 200), abs=6)
    assert list(read_frames(info, 1)) == []


def test_odd_photos_lose_a_row_and_a_column(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (31, 21), 90).save(tmp_path / "a.png")
    info = probe(tmp_path / "a.png")
    assert (info.width, info.height) == (30, 20)
    assert to_rgb(next(read_frames(info))).astype(int) == pytest.approx(90, abs=2)


def test_absurd_sizes_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (8194, 2)).save(tmp_path / "wide.png")
    Image.new("L", (1, 40)).save(tmp_path / "thin.png")
    for name in ("wide.png", "thin.png"):
        with pytest.raises(InputError, match="pixels"):
            probe(tmp_path / name)


def test_interlaced_film_becomes_whole_pictures(tmp_path: Path) -> None:
    """A bright bar that moves: its two fields, 20 ms apart, would show as a comb."""
    path = tmp_path / "a.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=128x96:r=50:d=0.6"),
        *("-f", "lavfi", "-i", "color=white:s=16x96:r=50:d=0.6"),
        *("-filter_complex", "[0][1]overlay=x='mod(8*n,100)':eval=frame,interlace"),
        *("-c:v", "libx264", "-crf", 5, "-flags", "+ilme+ildct", "-pix_fmt", "yuv420p", path),
    )
    info = probe(path)
    assert info.interlaced
    assert (info.fps, info.frames) == (25, 15)
    frames = [luma(frame).astype(int) for frame in read_frames(info)]
    assert len(frames) == 15
    with av.open(str(path)) as container:
        raw = [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]

    def comb(pictures: Sequence[np.ndarray]) -> float:
        """How much more neighbouring lines differ than those of one field."""
        return float(np.mean([np.abs(p[1:-1] - (p[:-2] + p[2:]) / 2).mean() for p in pictures]))

    assert comb(frames) < 0.3 * comb(raw)
    assert [luma(frame).astype(int).tolist() for frame in read_frames(info, 9)] == [
        frame.tolist() for frame in frames[9:]
    ]


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.png"])
def test_animations_are_films_on_white(tmp_path: Path, name: str) -> None:
    from PIL import Image

    pictures = []
    for number in range(8):
        rgb = np.full((33, 64, 3), 60, np.uint8)
        for bit in range(BITS):
            rgb[8:24, bit * BIT : (bit + 1) * BIT] = 240 if number >> bit & 1 else 10
        picture = Image.fromarray(rgb).convert("RGBA")
        picture.paste((0, 0, 0, 0), (0, 26, 64, 33))
        pictures.append(picture)
    path = tmp_path / name
    more = {"lossless": True} if name.endswith("webp") else {"disposal": 2}
    times = [40, 80, 40, 40, 120, 40, 40, 40]
    save = {"save_all": True, "append_images": pictures[1:], "duration": times, **more}
    pictures[0].save(path, **({**save, "disposal": 1} if name.endswith("png") else save))
    info = probe(path)
    assert (info.width, info.height, info.photo, info.frames) == (64, 32, False, 8)
    begun = info.clock.seconds(np.arange(8))
    assert begun.tolist() == pytest.approx([0, 0.04, 0.12, 0.16, 0.2, 0.32, 0.36, 0.4], abs=1e-4)
    for first in (0, 3):
        frames = list(read_frames(info, first))
        assert [number_of(frame) for frame in frames] == list(range(first, 8))
        if name != "a.webp":  # Pillow writes no transparency into these
            assert luma(frames[0])[28:].astype(int) == pytest.approx(235, abs=2)
    single = tmp_path / f"single{path.suffix}"
    pictures[3].save(single)
    assert probe(single).photo
    assert number_of(next(read_frames(probe(single)))) == 3


def test_transparent_photos_stand_on_white_and_16_bits_are_8(tmp_path: Path) -> None:
    from PIL import Image

    clear = Image.new("RGBA", (20, 20), (10, 200, 10, 0))
    clear.save(tmp_path / "clear.png")
    deep = np.full((20, 20), 90 * 257, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    for name, wanted in (("clear.png", 255), ("deep.png", 90)):
        info = probe(tmp_path / name)
        assert to_rgb(next(read_frames(info))).astype(int) == pytest.approx(wanted, abs=2)
