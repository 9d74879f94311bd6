"""Lip-sync of films: sound and faces of a file, the controls, and real clips."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import imageio_ffmpeg
import numpy as np
import pytest
import torch

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import SILENCE
from lipgan_cli.engine.media.clock import Clock, constant
from lipgan_cli.engine.media.loudness import loudness
from lipgan_cli.engine.media.video import probe
from lipgan_cli.engine.metrics import film_sync
from lipgan_cli.engine.metrics.film_sync import (
    ask_syncnet,
    compare_lips,
    distances,
    judge_film,
    pair_conditions,
    sound_of,
    verdicts,
    watch,
)
from lipgan_cli.engine.metrics.judge import HEARD
from lipgan_cli.engine.metrics.lipsync import SyncFigures
from lipgan_cli.engine.metrics.sync_protocol import ENOUGH
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.score.films import FilmRequest, score_film

RATE = 16000


class Reader:
    """A judge that compares the middle mouth's brightness with the middle column's level."""

    log_scale = torch.zeros(())

    def embed_faces(self, pictures):
        return self._circle(pictures[:, 2, 20, 40].float() / 255)

    def embed_sounds(self, mel):
        return self._circle((mel[:, 40, HEARD:-HEARD] + 4) / 8)

    def _circle(self, levels):
        out = torch.zeros(*levels.shape, 128)
        out[..., 0], out[..., 1] = (6.28 * levels).cos(), (6.28 * levels).sin()
        return out


def at_25(frames):
    """A film of so many frames, 25 a second."""
    clock = constant(Fraction(25), frames)
    return SimpleNamespace(path=Path("drawn.mp4"), clock=clock, frames=frames)


class Drawn:
    """A scene whose faces are as bright as a list of levels says, from frame `start` on."""

    def __init__(self, levels, start=0, info=None):
        self.levels = levels
        self.info = info or at_25(start + len(levels))
        self.seen = np.arange(start, start + len(levels))
        self.films = []

    def crops(self, film, progress):
        self.films.append(film)
        for level in self.levels[: film.frames - self.seen[0] if len(self.seen) else 0]:
            yield np.full((96, 96, 3), round(level * 255), np.uint8)


def levels(seed, count):
    return np.random.default_rng(seed).random(count)


def sounding(of, late=0):
    """The mel of a sound that is as loud as faces of these levels are bright."""
    frame = np.floor((np.arange(len(of) * 16 // 5) - late) * 25 / 80 + 0.5).astype(int)
    heard = np.where((frame >= 0) & (frame < len(of)), of[frame.clip(0, len(of) - 1)], 0)
    return np.tile((8 * heard - 4).astype(np.float32), (80, 1))


@pytest.fixture(autouse=True)
def _sounds_are_mels(request, monkeypatch):
    """Let a test hand over the mel in place of the sound, unless the clip is real."""
    if "grid_dir" not in request.fixturenames:
        monkeypatch.setattr(film_sync, "mel_spectrogram", lambda mel: mel)


def watched(faces, mel, finder=None):
    scene = Drawn(faces)
    return watch(Reader(), scene, scene.info, mel, finder, Silent())


# The film itself


def test_a_film_is_its_faces_and_its_sound():
    faces = levels(0, 60)
    film = watched(faces, sounding(faces)).film
    assert film.seen.shape == (56, 128)
    assert film.heard.shape == (192, 128)
    assert film.columns.tolist() == [int(np.floor(3.2 * i + 0.5)) for i in range(2, 58)]


def test_another_film_of_the_scene_is_read():
    scene, other = Drawn(levels(0, 20)), at_25(20)
    watch(Reader(), scene, other, sounding(levels(0, 20)), None, Silent())
    assert scene.films == [other]


def test_faces_that_come_late_are_laid_on_the_films_clock():
    faces = levels(0, 80)
    scene = Drawn(faces[20:], start=20)
    film = watch(Reader(), scene, scene.info, sounding(faces), None, Silent())
    assert judge_film(film)["own"].offset_ms == pytest.approx(0, abs=7)


def test_every_film_is_judged_by_its_own_clock():
    """Frame 40 of the real film is shown for 160 ms more; in the generated one it is not."""
    faces, frames = levels(0, 80), np.arange(81)
    varying = Clock(Fraction(80 * 25, 84), Fraction(1, 25), frames + 4 * (frames > 40))
    real = SimpleNamespace(path=Path("real.mp4"), clock=varying, frames=80)
    scene = Drawn(faces, info=real)

    def said(film, heard):
        return judge_film(watch(Reader(), scene, film, sounding(heard), None, Silent()))["own"]

    its_own = np.insert(faces, 41, [0.5] * 4)
    for own, other in (
        (said(at_25(80), faces), said(at_25(80), its_own)),
        (said(real, its_own), said(real, faces)),
    ):
        assert own.offset_ms == pytest.approx(0, abs=7)
        assert own.confidence > 0.8
        assert other.confidence < 0.7
    assert said(at_25(80), faces).moments == 76
    # Moments at which the held frame would have to be two at once are left out.
    assert 60 <= said(real, its_own).moments <= 80


@pytest.mark.parametrize(("start", "moments"), [(0, 56), (20, 36)])
def test_faces_after_the_end_of_a_shorter_film_are_left_out(start, moments):
    faces = levels(0, 75)
    scene = Drawn(faces[start:], start)
    own = judge_film(watch(Reader(), scene, at_25(60), sounding(faces), None, Silent()))["own"]
    assert own.moments == moments
    assert own.offset_ms == pytest.approx(0, abs=7)
    short = at_25(13)
    short.path = Path("short.mp4")
    with pytest.raises(InputError, match=r"short\.mp4 shows a face for too short a time"):
        watch(Reader(), Drawn(faces), short, sounding(faces), None, Silent())


def test_the_mouth_in_the_middle_is_the_still_one():
    faces = levels(0, 21)
    still = watched(faces, sounding(faces)).still
    assert still.shape == (1, 128)
    angle = 6.28 * round(faces[10] * 255) / 255
    assert still[0, :2].tolist() == pytest.approx([np.cos(angle), np.sin(angle)], abs=1e-5)


@pytest.mark.parametrize(("frames", "long_enough"), [(0, False), (13, False), (14, True)])
def test_a_film_with_half_a_second_of_a_face_can_be_judged(frames, long_enough):
    if long_enough:
        assert judge_film(watched(levels(0, frames), sounding(levels(0, 30))))["own"].moments == 10
        return
    with pytest.raises(InputError, match=r"drawn\.mp4 shows a face for too short a time") as error:
        watched(levels(0, frames), sounding(levels(0, 30)))
    assert error.value.hint == "half a second of a face is needed"


def test_points_are_set_where_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(
        film_sync, "mouth_points", lambda faces, finder: np.full((1, 20, 2), faces[0, 0, 0, 0])
    )
    faces = levels(0, 20)
    assert watched(faces, sounding(faces)).points is None
    points = watched(faces, sounding(faces), finder=object()).points
    assert points[:, 0, 0].tolist() == [round(level * 255) for level in faces]


# What is said of it


@pytest.mark.parametrize("late", [-16, 0, 16])
def test_a_film_and_its_controls(late):
    faces = levels(0, 75)
    said = judge_film(watched(faces, sounding(faces, late)))
    assert list(said) == ["own", "shifted", "swapped", "still"]
    assert said["own"].offset_ms == pytest.approx(12.5 * late, abs=7)
    assert said["shifted"].offset_ms == pytest.approx(12.5 * late + 200, abs=7)
    assert 0.8 < said["own"].confidence < 1.2
    assert said["shifted"].confidence == pytest.approx(said["own"].confidence, abs=0.05)
    assert said["swapped"].confidence < 0.5
    assert said["still"].confidence < 0.5
    assert {figures.moments for figures in said.values()} == {71}


def test_a_sound_whose_own_place_could_be_found_is_not_swapped():
    faces = levels(0, 42)  # the other half is 840 ms away, and heard from 130 ms before it
    assert list(judge_film(watched(faces, sounding(faces)))) == ["own", "shifted", "still"]
    faces = levels(0, 44)
    swapped = judge_film(watched(faces, sounding(faces)))["swapped"]
    assert swapped.confidence < 0.7


def judged_pair(real, generated):
    return verdicts(pair_conditions(real, generated))


def test_a_generated_film_beside_the_real_one():
    real, spoken = levels(0, 75), levels(1, 75)
    said = judged_pair(watched(real, sounding(real, 8)), watched(spoken, sounding(spoken, -4)))
    assert list(said) == ["real", "generated", "copy", "shifted", "swapped", "still"]
    assert said["real"].offset_ms == pytest.approx(100, abs=7)
    assert said["generated"].offset_ms == pytest.approx(-50, abs=7)
    assert said["shifted"].offset_ms == pytest.approx(150, abs=7)
    for name in ("real", "generated", "shifted"):
        assert said[name].confidence > 0.8
    for name in ("copy", "swapped", "still"):
        assert said[name].confidence < 0.5


def test_copy_is_the_real_mouths_against_the_new_sound():
    real = levels(0, 75)
    nothing = watched(np.zeros(75), sounding(real, 8))  # painted mouths that never move
    said = judged_pair(watched(real, sounding(real)), nothing)
    assert said["copy"].offset_ms == pytest.approx(100, abs=7)
    assert said["copy"].confidence > 0.8
    assert said["generated"].confidence < 0.5


@pytest.mark.parametrize("columns", [1, 30])
def test_a_real_film_without_a_sound_has_no_figures_of_its_own(columns):
    real, spoken = levels(0, 75), levels(1, 75)
    silent = watched(real, np.full((80, columns), SILENCE, np.float32))
    said = judged_pair(silent, watched(spoken, sounding(spoken)))
    assert list(said) == ["generated", "copy", "shifted", "swapped", "still"]


def test_distance_takes_twenty_seconds():
    short, long = levels(0, 75), levels(0, 520)
    one = watched(short, sounding(short))
    assert distances(pair_conditions(one, one)) is None
    real, still = watched(long, sounding(long)), watched(np.zeros(520), sounding(long))
    same = distances(pair_conditions(real, real))
    assert list(same) == ["generated", "copy", "shifted", "swapped", "still"]
    assert same["generated"] == pytest.approx(0, abs=1e-6)
    assert same["copy"] == pytest.approx(0, abs=1e-6)
    assert min(same[name] for name in ("shifted", "swapped", "still")) > 0.3
    assert min(same.values()) >= 0
    assert distances(pair_conditions(real, still))["generated"] > 0.5
    # Of the short sound there is too little, whatever mouths it has.
    assert distances(pair_conditions(real, one)) is None
    # Five films of which the last 200 ms are missing: `shifted` alone is too short.
    least = levels(0, ENOUGH + 4)
    least = watched(least, sounding(least))
    assert list(distances(pair_conditions(least, least))) == [
        "generated", "copy", "swapped", "still"
    ]  # fmt: skip


# Lips


def gapes(*gaps):
    """Points of mouths that are ten wide, with their lips that far apart."""
    points = np.zeros((len(gaps), 20, 2))
    points[:, 6, 0] = 10
    points[:, [17, 18, 19], 1] = np.array(gaps, float)[:, None]
    return points


def test_lips_beside_their_controls():
    real = gapes(0, 1, 2, 4, 3, 2, 1, 5)
    told = compare_lips(real, real, 25)
    assert list(told) == ["generated", "shifted", "swapped", "still"]
    assert told["generated"].distance == 0
    assert told["generated"].correlation == pytest.approx(1)
    # Five frames later: 2, 1, 5 beside 0, 1, 2.
    assert told["shifted"].correlation == pytest.approx(np.corrcoef([2, 1, 5], [0, 1, 2])[0, 1])
    turned = [3, 2, 1, 5, 0, 1, 2, 4]  # four frames away
    expected = np.corrcoef([0, 1, 2, 4, 3, 2, 1, 5], turned)[0, 1]
    assert told["swapped"].correlation == pytest.approx(expected)
    assert told["still"].correlation is None
    # The generated mouth in the middle, gap 3, beside all: means of |real - 3|, and of three points
    # of twenty each.
    expected = np.mean([3, 2, 1, 1, 0, 1, 2, 2]) * (17 * 3 / 20 + 3 * 17 / 20) / 20
    assert told["still"].distance == pytest.approx(expected)


def test_shifted_lips_are_the_generated_ones_later():
    gaps = np.random.default_rng(0).uniform(0, 5, 40)
    early, late = gapes(*np.roll(gaps, -5)), gapes(*np.roll(gaps, 5))
    assert compare_lips(gapes(*gaps), early, 25)["shifted"].correlation == pytest.approx(1)
    assert abs(compare_lips(gapes(*gaps), late, 25)["shifted"].correlation) < 0.5


def test_few_lips_can_be_compared():
    for count in (1, 2, 5, 6):
        told = compare_lips(gapes(*range(count)), gapes(*range(count)), 25)
        assert told["generated"].distance == 0


# The sound of a file


def film(path, seconds=1.0, sound=0.3, level=0.05, late=0.0, fps=25):
    """Write grey pictures, and `sound` seconds of a tone from `late` seconds on; 0: no track."""
    frames = round(seconds * fps)
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=fps)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=RATE, layout="mono") if sound else None
        for index in range(frames):
            planes = np.full((48, 32), 128, np.uint8)
            planes[:32] = 16 + index
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            wave = level * np.sin(2 * np.pi * 400 * np.arange(round(sound * RATE)) / RATE)
            piece = (wave * 32767).astype(np.int16)[None]
            block = av.AudioFrame.from_ndarray(piece, "s16", "mono")
            block.sample_rate, block.pts = RATE, round(late * RATE)
            block.time_base = Fraction(1, RATE)
            container.mux(audio.encode(block))
            container.mux(audio.encode())
    return path


def test_the_sound_of_a_film_is_at_one_loudness(tmp_path):
    quiet, loud = (
        sound_of(probe(film(tmp_path / f"{level}.mkv", sound=0.8, level=level)))
        for level in (0.05, 0.5)
    )
    assert loudness(quiet) == pytest.approx(-15.6, abs=0.1)
    np.testing.assert_allclose(quiet, loud, atol=2e-3)


def test_the_sound_ends_with_the_picture(tmp_path):
    assert len(sound_of(probe(film(tmp_path / "long.mkv", 0.4, 1.0)))) == 6400
    assert len(sound_of(probe(film(tmp_path / "short.mkv", 0.8, 0.2)))) == pytest.approx(
        3200, abs=16
    )


def test_the_sound_begins_where_the_file_says(tmp_path):
    sound = sound_of(probe(film(tmp_path / "late.mkv", 1.0, 0.3, late=0.25)))
    first = int(np.flatnonzero(np.abs(sound) > 0.05)[0])
    assert first / RATE == pytest.approx(0.25, abs=0.005)


def test_a_film_without_a_sound_cannot_be_judged(tmp_path):
    with pytest.raises(InputError, match=r"mute\.mkv has no sound to judge") as error:
        sound_of(probe(film(tmp_path / "mute.mkv", sound=0)))
    assert error.value.hint == "lip-sync needs picture and sound"


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (25, list(range(10))),
        (50, list(range(0, 20, 2))),
        (12, [0, 0, 0, 1, 1, 2, 2, 3, 3, 4]),  # on screen at 0, 40, 80, 120 ms ...
    ],
)
def test_syncnet_is_shown_what_is_on_screen_25_times_a_second(monkeypatch, tmp_path, fps, expected):
    info = probe(film(tmp_path / "film.mkv", seconds=5 / 12 if fps == 12 else 0.4, fps=fps))
    assert info.clock.fps == fps
    got = {}

    def embedded(network, frames, samples, device):
        got["levels"] = [int(frame[100, 100, 0]) for frame in frames]
        got["seconds"] = len(samples) / RATE
        return torch.eye(8), torch.eye(8)

    monkeypatch.setattr(film_sync, "embed_clip", embedded)
    boxes = np.tile([4.0, 4.0, 28.0, 28.0], (info.frames, 1))
    scene = SimpleNamespace(boxes=boxes)
    network = torch.nn.Linear(1, 1)
    said = ask_syncnet(network, scene, info, "own", Silent())
    assert list(said) == ["own", "shifted", "still"]
    # Each lip has its own sound, in which nothing but its place is told.
    assert [said[name].offset_ms for name in ("own", "shifted")] == [0, 200]
    assert said["own"].lse_d == pytest.approx(0, abs=1e-5)
    shown = np.round(np.array(got["levels"]) * 219 / 255).astype(int)  # luma from 16 to 235
    assert shown.tolist()[:10] == expected
    assert len(shown) == len(expected) + (fps == 12)
    assert got["seconds"] == pytest.approx(0.3, abs=0.01)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What SyncNet says of lips and sounds (n, D) that are given."""
    info = probe(film(tmp_path / "film.mkv", seconds=0.4))
    scene = SimpleNamespace(boxes=np.tile([4.0, 4.0, 28.0, 28.0], (info.frames, 1)))

    def ask(lips, sounds):
        monkeypatch.setattr(film_sync, "embed_clip", lambda *_: (lips, sounds))
        return ask_syncnet(torch.nn.Linear(1, 1), scene, info, "own", Silent())

    return ask


@pytest.mark.parametrize("late", [-3, 0, 4, 10])
def test_syncnets_figures_come_with_controls(asked, late):
    lips = torch.from_numpy(np.random.default_rng(0).normal(size=(60, 64)))
    said = asked(lips, lips.roll(late, 0))
    assert list(said) == ["own", "shifted", "swapped", "still"]
    assert said["own"].offset_ms == 40 * late
    assert said["shifted"].offset_ms == 40 * late + 200
    # A constant delay costs nothing but what meets no sound at an end, 8 away (the root of 64).
    for name in ("own", "shifted"):
        assert said[name].lse_d < 9 * abs(late) / 55 + 0.1
        assert said[name].lse_c > 5
    for name in ("swapped", "still"):
        assert said[name].lse_d > 9
        assert said[name].lse_c < 2


def test_syncnets_shifted_control_is_a_sound_that_is_five_frames_late(asked):
    lips = torch.from_numpy(np.random.default_rng(1).normal(size=(60, 64)))
    late = torch.cat([torch.zeros(5, 64), lips[:-5]])
    assert asked(lips, lips)["shifted"].offset_ms == asked(lips, late)["own"].offset_ms == 200


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (1, ["own", "still"]),
        (5, ["own", "still"]),
        (6, ["own", "shifted", "still"]),
        (39, ["own", "shifted", "still"]),
        (40, ["own", "shifted", "swapped", "still"]),  # 20 windows away; 19 may be seen in part
    ],
)
def test_short_clips_have_fewer_of_syncnets_controls(asked, count, names):
    lips = 9 * torch.from_numpy(np.random.default_rng(2).normal(size=(count, 64)))
    said = asked(lips, lips)
    assert list(said) == names
    assert said["own"].lse_d == pytest.approx(0, abs=1e-3)


# Real clips


def changed(source, target, *options):
    """Let ffmpeg write a real clip anew."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", source, *options]
    subprocess.run([*map(str, command), str(target)], check=True)
    return target


@pytest.fixture(scope="module")
def clip(grid_dir, tmp_path_factory):
    """A clip of someone whom the judge has never seen, small and as it is."""
    target = tmp_path_factory.mktemp("film") / "own.mkv"
    source = grid_dir / "test" / "s32" / "bbac1n.mpg"
    return changed(source, target, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le")


@pytest.fixture(scope="module")
def own(clip):
    return score_film(FilmRequest(clip), Silent()).figures.sync


def test_a_real_clip_is_in_sync(own):
    assert list(own) == ["own", "shifted", "swapped", "still"]
    assert own["own"].in_sync
    assert own["own"].confidence > 0.2
    assert own["shifted"].offset_ms - own["own"].offset_ms == pytest.approx(200, abs=15)
    for name in ("swapped", "still"):
        assert own[name].confidence < own["own"].confidence - 0.1


def test_a_real_sound_that_is_delayed_is_late(clip, own, tmp_path):
    late = changed(
        clip, tmp_path / "late.mkv", "-c:v", "copy", "-c:a", "pcm_s16le", "-af", "adelay=200:all=1"
    )
    told = score_film(FilmRequest(late), Silent()).figures.sync["own"]
    assert isinstance(told, SyncFigures)
    assert told.offset_ms - own["own"].offset_ms == pytest.approx(200, abs=40)
    assert not told.in_sync


def test_a_track_that_begins_earlier_is_early(clip, own, tmp_path):
    """The same by timestamps alone: the sound is as it was, its track 120 ms early."""
    target = tmp_path / "early.mkv"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    command += ["-i", clip, "-itsoffset", "-0.12", "-i", clip]
    command += ["-map", "0:v", "-map", "1:a", "-c", "copy", target]
    subprocess.run([str(part) for part in command], check=True)
    told = score_film(FilmRequest(target), Silent()).figures.sync["own"]
    assert told.offset_ms - own["own"].offset_ms == pytest.approx(-120, abs=40)


def test_a_real_clip_without_its_sound_is_refused(clip, tmp_path):
    mute = changed(clip, tmp_path / "mute.mkv", "-c:v", "copy", "-an")
    with pytest.raises(InputError, match="has no sound"):
        score_film(FilmRequest(mute), Silent())


def test_lips_that_only_one_has_are_left_out():
    gaps = (0, 1, 2, 4, 3, 2, 1, 5)
    told = compare_lips(gapes(*gaps), gapes(*gaps[:6]), 25)
    assert told == compare_lips(gapes(*gaps[:6]), gapes(*gaps[:6]), 25)
