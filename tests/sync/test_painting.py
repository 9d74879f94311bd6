"""What is painted and what is left alone, in how much memory, and what a stopped run leaves."""

from __future__ import annotations

import math
import threading
import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pytest

from lipgan_cli.engine import sync as engine
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import audio
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.blend import planes
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.landmarks import installed_landmarks
from lipgan_cli.engine.media.picture import luma
from lipgan_cli.engine.sync import presenter
from lipgan_cli.engine.sync.options import MarkOptions


@pytest.mark.usefixtures("talking")
def test_outside_of_the_face_every_byte_is_the_source_s(
    studio: Any, network: Any, rendered: list[np.ndarray]
) -> None:
    film = studio.film("face.mp4", studio.scenes(20))
    network.paint = lambda target: 255 - target
    studio.sync(film, studio.wav("speech.wav", 1.2))
    source = studio.source(film)
    places = studio.back_and_forth(20, 30)
    assert len(rendered) == 30
    for frame, place in zip(rendered, places, strict=True):
        pairs = zip(planes(frame), planes(source[place]), (1, 2, 2), strict=True)
        for plane, before, scale in pairs:
            rows, columns = np.nonzero(plane != before)
            left = studio.left(place) / scale
            assert len(rows) > 1000 / scale**2
            assert rows.min() > 85 / scale  # the eyes, and all above, are the source's
            assert rows.max() < 200 / scale
            assert columns.min() > left + 30 / scale
            assert columns.max() < left + 150 / scale


@pytest.mark.usefixtures("talking")
def test_with_landmarks_the_mask_follows_them_and_stays_inside_the_square(
    studio: Any, network: Any, rendered: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = installed_landmarks()
    if found is None:
        pytest.skip("dlib's 68 points are not installed")
    film = studio.film("face.mp4", studio.scenes(8))
    speech = studio.wav("speech.wav", 0.32)
    network.paint = lambda target: 255 - target
    summary = studio.sync(film, speech)
    plain = rendered.copy()
    rendered.clear()
    monkeypatch.setattr(presenter, "installed_landmarks", lambda: found)
    studio.sync(film, speech, force=True)
    for frame, other, own in zip(rendered, plain, studio.source(film), strict=True):
        changed = luma(frame) != luma(own)
        assert (changed != (luma(other) != luma(own))).sum() > 50
        rows, columns = np.nonzero(changed)
        assert len(rows) > 1000
        assert max(np.ptp(rows), np.ptp(columns)) < summary.face_pixels


@pytest.mark.usefixtures("talking")
def test_blend_none_pastes_the_whole_square(
    studio: Any, network: Any, rendered: list[np.ndarray]
) -> None:
    film = studio.film("face.mp4", studio.scenes(5))
    network.paint = lambda target: np.full_like(target, 255)
    summary = studio.sync(film, studio.wav("speech.wav", 0.2), blend=Blend.NONE)
    assert len(rendered) == 5
    for frame in rendered:
        white = luma(frame)[studio.BIT :] == 235
        side = round(math.sqrt(white.sum()))
        assert side == summary.face_pixels
        assert 85 < side < 125
        rows, columns = np.nonzero(white)
        assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == side


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("batch", [1, 5, 16, 200])
def test_the_batch_changes_nothing(
    studio: Any, network: Any, rendered: list[np.ndarray], batch: int
) -> None:
    film = studio.film("face.mp4", studio.scenes(12))
    network.paint = lambda target: 255 - target
    speech = studio.wav("speech.wav", 1.0)
    studio.sync(film, speech, batch=batch)
    mine = rendered.copy()
    rendered.clear()
    studio.sync(film, speech, batch=16, force=True)
    assert len(mine) == len(rendered) == 25
    assert all(np.array_equal(one, other) for one, other in zip(mine, rendered, strict=True))
    assert len(network.seen[0][0]) == min(batch, 25)


@pytest.mark.usefixtures("rendered", "talking")
def test_a_frame_that_is_shown_again_is_told_to_the_network(studio: Any, network: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(12))
    studio.sync(film, studio.wav("speech.wav", 1.0), batch=10)
    keys = [key for keys in network.keys for key in keys]
    assert keys == studio.back_and_forth(12, 25)
    targets = np.concatenate([target for _, target, _ in network.seen])
    references = np.concatenate([reference for reference, _, _ in network.seen])
    for index, key in enumerate(keys):  # a key names one pair of pictures
        assert np.array_equal(targets[index], targets[keys.index(key)])
        assert np.array_equal(references[index], references[keys.index(key)])
    network.keys.clear()
    studio.sync(film, studio.wav("speech.wav", 0.4), force=True)
    assert set(network.keys) == {None}  # nothing to be kept


@pytest.mark.usefixtures("rendered", "talking")
def test_the_reference_is_a_quiet_moment(studio: Any, network: Any) -> None:
    """The film's own sound is quiet for half a second: mouths are closed there."""
    sound = studio.hum(2.0)
    sound[round(1.2 * 16000) : round(1.7 * 16000)] *= 0.01
    pictures = (cv2.convertScaleAbs(studio.scene(k), alpha=0.4 + k / 100) for k in range(50))
    film = studio.film("face.mp4", pictures, 25, sound)
    studio.sync(film, studio.wav("speech.wav", 2.0))
    references = np.concatenate([reference for reference, _, _ in network.seen])
    targets = np.concatenate([target for _, target, _ in network.seen])
    for reference in references:
        same = [k for k in range(50) if np.array_equal(targets[k], reference)]
        assert len(same) == 1
        assert abs(same[0] / 25 - 1.45) < 0.25
    # Of those, the one that is lit like the frame.
    nearest = [
        int(np.abs(targets.astype(int) - r).mean(axis=(1, 2, 3)).argmin()) for r in references
    ]
    assert nearest == sorted(nearest)
    assert nearest[0] < nearest[-1]


def test_memory_does_not_grow_with_length(
    studio: Any, network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nowhere:
        def __init__(self, path: Path, *_: object) -> None:
            path.touch()

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, frame: np.ndarray, tick: int) -> None:
            pass

    monkeypatch.setattr(engine, "VideoWriter", Nowhere)
    monkeypatch.setattr(network, "seen", deque(maxlen=1))
    monkeypatch.setattr(audio, "BLOCK", 64)  # else the spectrogram's blocks are the peak
    film = studio.film("face.mp4", studio.scenes(30))
    peaks = []
    for seconds in (0.2, 2, 8):  # the first warms up what is kept for good
        speech = studio.wav("a.wav", seconds)
        tracemalloc.start()
        studio.sync(film, speech, force=True, batch=4)  # so that 2 s fill the queues
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    frame = studio.WIDTH * studio.HEIGHT * 3 // 2
    assert 20 * frame < peaks[1]  # numpy's memory is seen
    sound = 6 * 16000 * 4 * 3  # of 6 s more, in the resampler and in the spectrogram
    # 150 frames more were played; how many wait in queues at the peak varies from run to run.
    assert peaks[2] - peaks[1] < sound + 40 * frame


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_whatever_goes_wrong_nothing_half_written_is_left(
    studio: Any, network: Any, error: type[BaseException]
) -> None:
    film = studio.film("face.mp4", studio.scenes(20))
    speech = studio.wav("speech.wav", 4.0)
    studio.out().write_bytes(b"an older film")
    threads = threading.active_count()

    def paint(target: np.ndarray) -> np.ndarray:
        if len(network.seen) == 3:
            raise error
        return target

    network.paint = paint
    with pytest.raises(error):
        studio.sync(film, speech, force=True, sheet=studio.folder / "sheet.png")
    assert studio.out().read_bytes() == b"an older film"
    assert sorted(path.name for path in studio.folder.iterdir()) == [
        "face.mp4", "out.mp4", "speech.wav",
    ]  # fmt: skip
    assert threading.active_count() == threads


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_search_for_faces_that_is_stopped_leaves_nothing_either(
    studio: Any, home: Path, error: type[BaseException]
) -> None:
    film = studio.film("face.mp4", studio.scenes(20))
    speech = studio.wav("speech.wav", 0.4)

    def stop(step: str, done: float, total: float | None) -> None:
        if step == "finding the face" and done == 5:
            raise error

    with pytest.raises(error):
        engine.sync(
            engine.SyncOptions(film, speech, studio.out(), marks=MarkOptions(provenance=False)),
            stop,
        )
    assert sorted(path.name for path in studio.folder.iterdir()) == ["face.mp4", "speech.wav"]
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("network")
def test_inputs_are_never_overwritten(studio: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(5))
    speech = studio.wav("speech.wav", 0.4)
    before = film.read_bytes()
    (studio.folder / "link.mp4").symlink_to(film)
    for output in ("face.mp4", "link.mp4"):
        with pytest.raises(InputError, match="would be overwritten"):
            studio.sync(film, speech, output, force=True)
    picture = studio.folder / "photo.png"
    cv2.imwrite(str(picture), studio.scene(0)[..., ::-1])
    with pytest.raises(InputError, match="would be overwritten"):
        studio.sync(picture, speech, sheet=picture, force=True)
    assert film.read_bytes() == before


def test_a_real_clip_speaks_another_clip_s_sound(
    grid_dir: Path, studio: Any, network: Any, rendered: list[np.ndarray]
) -> None:
    """MPEG-1 has no index to seek by; played back and forth it keeps its order all the same."""
    face, other = sorted((grid_dir / "test" / "s1").glob("*.mpg"))[:2]
    speech = studio.wav("speech.wav", 4, np.tile(read_audio(other), 2)[:64000])
    summary = studio.sync(face, speech)
    assert (summary.frames, summary.fps, summary.without_face) == (100, 25, ())
    source = studio.source(face)
    assert len(source) == 75
    still = [second - first for first, second in summary.silence]
    for frame, place in zip(rendered, studio.back_and_forth(75, 100), strict=True):
        own = source[place]
        # The network gives back what it saw: the cost of a crop's way there and back, no more,
        # but in silence, where the mouth is another moment's.
        assert np.array_equal(frame[:60], own[:60])
        assert np.abs(luma(frame).astype(int) - luma(own)).mean() < (0.8 if still else 0.5)
    assert network.windows.shape == (100, 80, 27)
    assert network.windows.max() > 1
