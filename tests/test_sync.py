"""The use case `sync`: lengths, order, alignment, what is painted and what is left alone."""

from __future__ import annotations

import math
import tracemalloc
import wave
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import cv2
import numpy as np
import pytest

from lipgan_cli.engine import sync as module
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import audio, film
from lipgan_cli.engine.media.audio import mel_spectrogram, mel_windows, read_audio
from lipgan_cli.engine.media.blend import planes
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.media.picture import luma
from lipgan_cli.engine.media.playback import position
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.sync import SyncRequest, SyncSummary, sync

WIDTH, HEIGHT = 320, 240
BITS, BIT = 8, 16  # a frame's number, in blocks of 16 pixels in the top rows
RATE = 16000


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """A face that dlib's HOG detector finds, 87 pixels wide in 176: RGB."""
    from skimage.data import astronaut

    return astronaut()[40:216, 136:312].copy()


def scene(head: np.ndarray, number: int, face: bool = True, flash: bool = False) -> np.ndarray:
    """A picture with its number written in the top rows, and a face that moves."""
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:] = np.linspace(60, 140, WIDTH)[None, :, None]
    if face:
        left = 60 + round(20 * math.sin(number / 12))
        rgb[40 : 40 + 176, left : left + 176] = head
    for bit in range(BITS):
        rgb[:BIT, bit * BIT : (bit + 1) * BIT] = 200 if number >> bit & 1 else 40
    if flash:
        rgb[-24:, -40:] = 255
    return rgb


def number_of(y: np.ndarray) -> int:
    means = [y[:BIT, bit * BIT : (bit + 1) * BIT].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, mean in enumerate(means) if mean > 120)


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    fps: Fraction | int = 25,
    sound: np.ndarray | None = None,
) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=Fraction(fps))
        video.options = {"crf": "6", "preset": "ultrafast", "g": "12"}
        video.pix_fmt = "yuv420p"
        track = container.add_stream("aac", rate=RATE) if sound is not None else None
        for index, rgb in enumerate(pictures):
            if not index:
                video.height, video.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = index, 1 / Fraction(fps)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if track is not None and sound is not None:
            wave_form = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
            wave_form.rate, wave_form.pts, wave_form.time_base = RATE, 0, Fraction(1, RATE)
            container.mux(track.encode(wave_form))
            container.mux(track.encode())
    return path


def write_wav(path: Path, seconds: float, sound: np.ndarray | None = None) -> Path:
    samples = np.zeros(round(seconds * RATE)) if sound is None else sound
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def hum(seconds: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE)) / RATE)


class Stub:
    """Stands in for the network: gives the target back, or paints something."""

    def __init__(self, paint: Callable[[np.ndarray], np.ndarray] = lambda target: target) -> None:
        self.paint = paint
        self.seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def faces(self, reference: np.ndarray, target: np.ndarray, windows: np.ndarray) -> np.ndarray:
        assert reference.dtype == target.dtype == np.uint8
        assert windows.shape[1:] == (80, 27)
        assert len(reference) == len(target)
        assert len(target) in {1, len(windows)}
        self.seen.append((reference, target, windows))
        return np.broadcast_to(self.paint(target), (len(windows), 96, 96, 3)).copy()


@pytest.fixture
def animator(monkeypatch: pytest.MonkeyPatch) -> Stub:
    """A network that gives back the face that it is shown."""
    stub = Stub()
    monkeypatch.setattr(module.Animator, "load", lambda path, device: stub)
    return stub


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The frames that go to the encoder, which is left out."""
    frames: list[np.ndarray] = []

    class Recorder:
        def __init__(self, path: Path, *_: Any, **__: Any) -> None:
            path.write_bytes(b"film")

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, frame: np.ndarray) -> None:
            frames.append(frame)

    monkeypatch.setattr(module, "VideoWriter", Recorder)
    return frames


def run(face: Path, speech: Path, output: Path, **options: Any) -> SyncSummary:
    return sync(SyncRequest(face, speech, output, **options), Silent())


def pictures_of(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield float(frame.time), frame.to_ndarray(format="gray")


@pytest.mark.parametrize(
    ("fps", "seconds"),
    [
        (Fraction(25), 0.5),
        (Fraction(25), 1.379),
        (Fraction(30), 0.8166),
        (Fraction(30000, 1001), 1.2),
        (Fraction(24000, 1001), 1.0),
        (Fraction(10), 0.05),
    ],
)
def test_the_length_is_that_of_the_speech_to_the_frame(
    head: np.ndarray, tmp_path: Path, animator: Stub, fps: Fraction, seconds: float
) -> None:
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(14)), fps)
    speech = write_wav(tmp_path / "speech.wav", seconds)
    summary = run(face, speech, tmp_path / "out.mp4")
    wanted = math.floor(Fraction(round(seconds * RATE), RATE) * fps + Fraction(1, 2))
    shown = list(pictures_of(tmp_path / "out.mp4"))
    assert summary.frames == len(shown) == wanted
    assert [number_of(y) for _, y in shown] == [position(k, 14) for k in range(wanted)]
    times = np.array([time for time, _ in shown])
    assert np.abs(times - np.arange(wanted) / float(fps)).max() < 1e-3
    assert summary.fps == fps
    assert summary.without_face == ()


@pytest.mark.parametrize(
    ("source", "suffix"), [("wav", ".mp4"), ("video", ".mp4"), ("wav", ".mov"), ("wav", ".mkv")]
)
def test_picture_and_sound_are_aligned(
    head: np.ndarray, tmp_path: Path, animator: Stub, source: str, suffix: str
) -> None:
    """A flash in the picture and a click in the speech stay together to half a frame."""
    at = 17
    face = write_video(
        tmp_path / "face.mp4", (scene(head, k, flash=k == at) for k in range(30)), 25
    )
    sound = np.zeros(RATE)
    sound[at * RATE // 25 : at * RATE // 25 + 80] = 0.9
    if source == "wav":
        speech = write_wav(tmp_path / "speech.wav", 1.0, sound)
    else:
        black = np.zeros((32, 32, 3), np.uint8)
        speech = write_video(tmp_path / "speech.mp4", (black for _ in range(25)), 25, sound)
    output = tmp_path / f"out{suffix}"
    run(face, speech, output)
    flashes = [time for time, y in pictures_of(output) if y[-20:, -30:].mean() > 200]
    heard = np.abs(read_audio(output, origin=probe(output).start))
    click = int(np.argmax(heard > 0.3 * heard.max())) / RATE
    assert len(flashes) == 1
    assert abs(flashes[0] - at / 25) < 0.001
    assert abs(click - flashes[0]) < 0.010  # half a frame is 0.020


def test_every_frame_is_painted_from_the_sound_of_its_own_moment(
    head: np.ndarray, tmp_path: Path, animator: Stub, rendered: list[np.ndarray]
) -> None:
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(20)), 24)
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, RATE * 3 // 2)
    speech = write_wav(tmp_path / "speech.wav", 1.5, sound)
    run(face, speech, tmp_path / "out.mp4", batch=7)
    heard = np.concatenate([windows for _, _, windows in animator.seen])
    wanted = mel_windows(mel_spectrogram(levelled(read_audio(speech))), np.arange(36) / 24)
    assert np.array_equal(heard, wanted)
    assert max(len(windows) for _, _, windows in animator.seen) == 7


def test_outside_of_the_face_every_byte_is_the_source_s(
    head: np.ndarray, tmp_path: Path, animator: Stub, rendered: list[np.ndarray]
) -> None:
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(20)))
    speech = write_wav(tmp_path / "speech.wav", 1.2)
    animator.paint = lambda target: 255 - target
    run(face, speech, tmp_path / "out.mp4")
    source = list(read_frames(probe(face)))
    assert len(rendered) == 30
    for k, frame in enumerate(rendered):
        own = source[position(k, 20)]
        for plane, before, scale in zip(planes(frame), planes(own), (1, 2, 2), strict=True):
            rows, columns = np.nonzero(plane != before)
            left = (60 + 20 * math.sin(position(k, 20) / 12)) / scale
            assert len(rows) > 1000 / scale**2
            assert rows.min() > 85 / scale  # the eyes, and all above, are the source's
            assert rows.max() < 200 / scale
            assert columns.min() > left + 30 / scale
            assert columns.max() < left + 150 / scale


def test_blend_none_pastes_the_whole_square(
    head: np.ndarray, tmp_path: Path, animator: Stub, rendered: list[np.ndarray]
) -> None:
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(5)))
    speech = write_wav(tmp_path / "speech.wav", 0.2)
    animator.paint = lambda target: np.full_like(target, 255)
    run(face, speech, tmp_path / "out.mp4", blend=Blend.NONE)
    for frame in rendered:
        white = luma(frame)[BIT:] == 235
        side = round(math.sqrt(white.sum()))
        assert 85 < side < 125
        rows, columns = np.nonzero(white)
        assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == side


def test_frames_without_a_face_pass_through_and_are_told(
    head: np.ndarray, tmp_path: Path, animator: Stub, rendered: list[np.ndarray]
) -> None:
    """No face in frames 20 to 49; the painted mouth fades out before and in after them."""
    gone = range(20, 50)
    face = write_video(
        tmp_path / "face.mp4", (scene(head, k, face=k not in gone) for k in range(75))
    )
    speech = write_wav(tmp_path / "speech.wav", 3.0)
    animator.paint = lambda target: np.full_like(target, 255)
    notes: list[str] = []

    class Listener(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    summary = sync(SyncRequest(face, speech, tmp_path / "out.mp4"), Listener())
    source = list(read_frames(probe(face)))
    change = np.array(
        [
            np.abs(luma(frame).astype(int) - luma(own)).max()
            for frame, own in zip(rendered, source, strict=True)
        ]
    )
    assert (change[20:50] == 0).all()
    assert (change[:15] > 0).all()
    assert (change[55:] > 0).all()
    assert summary.without_face == ((0.8, 2.0),)
    assert len(notes) == 1
    assert "no face from 0.80 s to 2.00 s" in notes[0]


def test_a_blink_of_the_detector_is_bridged_and_a_cut_is_not() -> None:
    squares = np.full((12, 3), np.nan)
    squares[:4] = (100, 50, 80)
    squares[6:9] = (106, 53, 80)
    squares[10:] = (30, 53, 90)
    filled = film._bridged(squares, 2)
    assert np.allclose(filled[4:6], [(102, 51, 80), (104, 52, 80)])
    assert np.isnan(filled[9]).all()
    assert [run.tolist() for run in film._runs(filled, 25.0)] == [list(range(9)), [10, 11]]
    assert film.spans(np.isnan(filled[:, 2]), Fraction(10)) == ((0.9, 1.0),)
    assert np.isnan(film._bridged(squares, 1)[4:6]).all()


def test_the_mouth_fades_beside_missing_faces_only() -> None:
    missing = np.zeros(12, bool)
    assert (film._opacity(missing, 3) == 1).all()
    missing[5:7] = True
    assert film._opacity(missing, 3).tolist() == [
        1, 1, 0.75, 0.5, 0.25, 0, 0, 0.25, 0.5, 0.75, 1, 1,
    ]  # fmt: skip


def test_the_reference_is_the_quietest_moment(
    head: np.ndarray, tmp_path: Path, animator: Stub, rendered: list[np.ndarray]
) -> None:
    sound = hum(2.0)
    sound[round(1.2 * RATE) : round(1.7 * RATE)] *= 0.01
    marked = []
    for k in range(50):
        picture = scene(head, k)
        marked.append(cv2.convertScaleAbs(picture, alpha=0.4 + k / 100))
    face = write_video(tmp_path / "face.mp4", marked, 25, sound)
    speech = write_wav(tmp_path / "speech.wav", 2.0)
    run(face, speech, tmp_path / "out.mp4")
    reference = np.concatenate([seen[0] for seen in animator.seen])
    target = np.concatenate([seen[1] for seen in animator.seen])
    assert (reference == reference[0]).all()
    same = [k for k in range(50) if np.array_equal(target[k], reference[0])]
    assert len(same) == 1
    assert abs(same[0] / 25 - 1.45) < 0.12


def test_a_turned_photo_becomes_a_video_at_25_fps(
    head: np.ndarray, tmp_path: Path, animator: Stub
) -> None:
    upright = np.full((301, 241, 3), 110, np.uint8)
    upright[60:236, 30:206] = head
    path = tmp_path / "photo.jpg"
    stored = cv2.cvtColor(np.rot90(upright), cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(stored))
    assert ok
    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(turned) + 2).to_bytes(2, "big") + turned
    path.write_bytes(data.tobytes()[:2] + segment + data.tobytes()[2:])

    summary = run(path, write_wav(tmp_path / "speech.wav", 0.7), tmp_path / "out.mp4")
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height, info.fps) == (240, 300, 25)
    assert summary.frames == 18
    assert len(list(pictures_of(tmp_path / "out.mp4"))) == 18
    assert {len(target) for _, target, _ in animator.seen} == {1}  # encoded once for a batch


def test_a_camera_s_photo_is_shrunk_to_a_video_s_size() -> None:
    frame = np.repeat(np.arange(120, dtype=np.uint8)[None], 90, axis=0)  # 120 x 60
    small = film._shrunk(frame, 50)
    assert small.shape == (36, 50)  # 50 x 24
    assert film._shrunk(frame, 120) is frame


def test_memory_does_not_grow_with_length(
    head: np.ndarray, tmp_path: Path, animator: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nowhere:
        def __init__(self, path: Path, *_: Any) -> None:
            path.touch()

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, frame: np.ndarray) -> None:
            pass

    monkeypatch.setattr(module, "VideoWriter", Nowhere)
    monkeypatch.setattr(animator, "seen", deque(maxlen=1))
    monkeypatch.setattr(audio, "BLOCK", 64)  # else the spectrogram's blocks are the peak
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(30)))
    peaks = []
    for seconds in (0.2, 2, 8):  # the first warms up what is kept for good
        tracemalloc.start()
        run(face, write_wav(tmp_path / "a.wav", seconds), tmp_path / "out.mp4", force=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    frame = WIDTH * HEIGHT * 3 // 2
    assert 20 * frame < peaks[1]  # numpy's memory is seen
    sound = 6 * RATE * 4 * 3  # of 6 s more, in the resampler and in the spectrogram
    # 150 frames more were played; how many wait in queues at the peak varies from run to run.
    assert peaks[2] - peaks[1] < sound + 40 * frame


def test_silent_speech_works(head: np.ndarray, tmp_path: Path, animator: Stub) -> None:
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(5)))
    run(face, write_wav(tmp_path / "speech.wav", 0.4), tmp_path / "out.mp4")
    assert len(list(pictures_of(tmp_path / "out.mp4"))) == 10
    assert all((windows == -4).all() for _, _, windows in animator.seen)


def test_a_face_video_cut_off_in_the_middle_plays_what_it_has(
    head: np.ndarray, tmp_path: Path, animator: Stub
) -> None:
    whole = write_video(tmp_path / "whole.mkv", (scene(head, k) for k in range(60)))
    data = whole.read_bytes()
    face = tmp_path / "face.mkv"
    face.write_bytes(data[: len(data) // 2])
    summary = run(face, write_wav(tmp_path / "speech.wav", 3.0), tmp_path / "out.mp4")
    assert summary.frames == 75
    numbers = [number_of(y) for _, y in pictures_of(tmp_path / "out.mp4")]
    assert 15 < max(numbers) < 45
    assert numbers == [position(k, max(numbers) + 1) for k in range(75)]


def test_no_face_at_all_is_an_error_that_names_the_file(
    head: np.ndarray, tmp_path: Path, animator: Stub
) -> None:
    face = write_video(tmp_path / "wall.mp4", (scene(head, k, face=False) for k in range(5)))
    speech = write_wav(tmp_path / "speech.wav", 1.0)
    with pytest.raises(InputError, match=r"no face found in the 5 frames of .*wall\.mp4"):
        run(face, speech, tmp_path / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["speech.wav", "wall.mp4"]


def test_a_speech_too_short_for_one_frame_is_an_error(
    head: np.ndarray, tmp_path: Path, animator: Stub
) -> None:
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(5)))
    with pytest.raises(InputError, match=r"has only 0\.010 s of sound"):
        run(face, write_wav(tmp_path / "speech.wav", 0.01), tmp_path / "out.mp4")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_whatever_goes_wrong_nothing_half_written_is_left(
    head: np.ndarray, tmp_path: Path, animator: Stub, error: type[BaseException]
) -> None:
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(20)))
    speech = write_wav(tmp_path / "speech.wav", 4.0)
    output = tmp_path / "out.mp4"
    output.write_bytes(b"an older film")

    def paint(target: np.ndarray) -> np.ndarray:
        if len(animator.seen) == 3:
            raise error
        return target

    animator.paint = paint
    with pytest.raises(error):
        run(face, speech, output, force=True)
    assert output.read_bytes() == b"an older film"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "face.mp4", "out.mp4", "speech.wav",
    ]  # fmt: skip


def test_inputs_are_never_overwritten(head: np.ndarray, tmp_path: Path, animator: Stub) -> None:
    face = write_video(tmp_path / "face.mp4", (scene(head, k) for k in range(5)))
    speech = write_wav(tmp_path / "speech.wav", 0.4)
    before = face.read_bytes()
    link = tmp_path / "link.mp4"
    link.symlink_to(face)
    for output in (face, link):
        with pytest.raises(InputError, match="would be overwritten"):
            run(face, speech, output, force=True)
    assert face.read_bytes() == before


def test_a_real_clip_speaks_another_clip_s_sound(
    grid_dir: Path, tmp_path: Path, animator: Stub, rendered: list[np.ndarray]
) -> None:
    """MPEG-1 has no index to seek by; played back and forth it keeps its order all the same."""
    face, speech = sorted((grid_dir / "test" / "s1").glob("*.mpg"))[:2]
    sound = np.tile(read_audio(speech), 2)[: 4 * RATE]
    summary = run(face, write_wav(tmp_path / "speech.wav", 4, sound), tmp_path / "out.mp4")
    assert (summary.frames, summary.fps, summary.without_face) == (100, 25, ())
    source = list(read_frames(probe(face)))
    assert len(source) == 75
    for k, frame in enumerate(rendered):
        own = source[position(k, 75)]
        # The network gives back what it saw: the cost of a crop's way there and back, no more.
        assert np.array_equal(frame[:60], own[:60])
        assert np.abs(luma(frame).astype(int) - luma(own)).mean() < 0.5
    windows = np.concatenate([seen for _, _, seen in animator.seen])
    assert windows.shape == (100, 80, 27)
    assert windows.max() > 1
