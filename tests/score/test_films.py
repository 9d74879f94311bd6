"""One video alone, and videos with `--sync`: what is measured of faces and sounds."""

from __future__ import annotations

import json
import shutil
import wave

import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.faces import region
from lipgan_cli.engine.media.landmarks import LIPS
from lipgan_cli.engine.media.video import probe
from lipgan_cli.engine.metrics.lipsync import FRAME_MS, SyncFigures
from lipgan_cli.engine.metrics.scene import look
from lipgan_cli.engine.metrics.syncnet import SyncNetFigures
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.score import films as engine
from lipgan_cli.engine.score.films import FilmRequest, score_film
from lipgan_cli.engine.score.options import SYNCNET, Measures
from lipgan_cli.engine.score.pairs import PairRequest, score_pairs
from lipgan_cli.engine.weights.registry import named

CONTROLS = ["shifted", "swapped", "still"]
CLEAR = 0.15
NOTE = "An offset is by how many milliseconds the sound is late; negative: early."


class Told(Silent):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


@pytest.fixture(autouse=True)
def _no_landmarks(monkeypatch):
    """Without dlib's landmarks, which only some have."""
    monkeypatch.setattr(engine, "installed_landmarks", lambda: None)


def failed(ran):
    """The error's one line, of bad input with nothing on stdout."""
    assert (ran.code, ran.stdout) == (2, "")
    line, hint = ran.stderr.splitlines()[-2:]
    assert hint.startswith("hint: ")
    return line


def assert_unclear(ran, *films):
    """All went well, and a judge that has learnt nothing is not sure of films."""
    assert ran.code == 0
    lines = ran.stderr.splitlines()
    assert len(lines) == len(films)
    for line, film in zip(lines, films, strict=True):
        head, tail = f"{film}: a confidence of ", " says little: "
        assert line.startswith(head)
        assert line.endswith(f"{tail}what is heard may not be what the face says")
        assert float(line[len(head) : line.index(tail)]) < CLEAR


def test_table_of_one_video(films, judge, lipgan):
    ran = lipgan("score", films["real"], "--judge", judge)
    assert_unclear(ran, films["real"])
    head, _, *rows, note = ran.stdout.splitlines()
    assert head.split("  ")[0] == "lip-sync"
    assert head.split()[1:] == ["offset", "in", "ms", "confidence", "moments"]
    assert [row.split()[0] for row in rows] == ["own", *CONTROLS]
    for row in rows:
        _, offset, confidence, moments = row.split()
        assert offset[0] in "+-"
        assert abs(int(offset)) <= 600
        assert -2 <= float(confidence) <= 2
        assert int(moments) == 46  # 50 frames, of which two at each end are not in the middle of 5
    assert note == NOTE


def test_json_of_one_video(films, judge, lipgan):
    ran = lipgan("score", films["real"], "--judge", judge, "--json", "--quiet", "--sync")
    assert (ran.code, ran.stderr) == (0, "")
    result = json.loads(ran.stdout)
    assert result["video"] == str(films["real"])
    sync = result["figures"].pop("sync")
    assert list(sync) == ["own", *CONTROLS]
    assert set(sync["own"]) == {"offset_ms", "confidence", "moments"}
    assert result["figures"] == dict.fromkeys(("distances", "syncnet", "lips", "seam"))


def test_judge_of_the_install_is_the_default(films, tmp_path, lipgan, monkeypatch):
    loaded = []
    load = engine.sync_judge
    monkeypatch.setattr(
        engine, "sync_judge", lambda measures: loaded.append(measures) or load(measures)
    )
    assert lipgan("score", films["real"], "--device", "cpu").code == 0
    assert [(measures.judge, measures.device) for measures in loaded] == [(None, "cpu")]


def test_real_clips_are_in_sync(grid_dir):
    clips = [min((grid_dir / "test" / who).glob("*.mpg")) for who in ("s1", "s32")]
    for clip in clips:
        said = score_film(FilmRequest(clip), Silent()).figures.sync
        assert said["own"].in_sync
        assert abs(said["shifted"].offset_ms - said["own"].offset_ms - 200) <= FRAME_MS
        for control in ("swapped", "still"):
            assert said[control].confidence < said["own"].confidence / 2


def test_silent_video_is_refused(films, judge, lipgan):
    line = failed(lipgan("score", films["silent"], "--judge", judge))
    assert line == f"error: {films['silent']} has no sound to judge"


@pytest.mark.parametrize(("confidence", "notes"), [(0.15, 0), (0.149, 1), (-0.01, 1)])
def test_a_confidence_that_says_little_is_told(films, monkeypatch, confidence, notes):
    told = Told()
    monkeypatch.setattr(engine, "judge_film", lambda _: {"own": SyncFigures(0, confidence, 30)})
    request = FilmRequest(films["real"], Measures(device="cpu"))
    assert score_film(request, told).figures.sync["own"].confidence == confidence
    assert len(told.notes) == notes
    for note in told.notes:
        assert note.startswith(f"{films['real']}: a confidence of {confidence:.2f} says little")


def test_a_sound_of_less_than_a_third_is_refused(films, judge, lipgan, tmp_path, talk, pictures):
    path = talk(tmp_path / "hush.mkv", pictures, sound=0.2)
    message = f"error: {path}: the sound covers less than a third of the face"
    assert failed(lipgan("score", path, "--judge", judge)) == message
    assert failed(lipgan("score", films["real"], path, "--sync", "--judge", judge)) == message
    # A real film has no figures then, as a silent one.
    ran = lipgan("score", path, films["fake"], "--sync", "--judge", judge, "--json", "-q")
    assert ran.code == 0
    sync = json.loads(ran.stdout)["systems"][0]["video"]["sync"]
    assert list(sync) == ["generated", "copy", *CONTROLS]


def test_what_is_no_video_is_refused(tmp_path, lipgan, face, judge):
    Image.fromarray(face).save(tmp_path / "a.JPG", "JPEG")
    assert "is a picture, and has no lip-sync" in failed(lipgan("score", tmp_path / "a.JPG"))
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    assert "has no video track" in failed(lipgan("score", tmp_path / "a.wav"))
    (tmp_path / "folder.mp4").mkdir()
    assert "nothing to compare" in failed(lipgan("score", tmp_path / "folder.mp4"))


def test_video_without_enough_of_a_face_is_refused(tmp_path, lipgan, judge, face, talk):
    path = talk(tmp_path / "wall.mkv", [np.full_like(face, 90)] * 30)
    ran = lipgan("score", path, "--judge", judge)
    assert "shows a face for too short a time to judge lip-sync" in failed(ran)
    assert ran.stderr.splitlines()[0] == f"{path}: no face in 30 of 30 frames"
    path = talk(tmp_path / "blink.mkv", [face] * 9)
    assert "for too short a time" in failed(lipgan("score", path, "--judge", judge))


def test_what_is_no_judge_is_refused_before_any_work(films, tmp_path, lipgan, monkeypatch):
    monkeypatch.setattr(engine, "look", lambda *_: pytest.fail("it has begun"))
    text = tmp_path / "judge.safetensors"
    text.write_text("no weights")
    none = tmp_path / "none.safetensors"
    for path in (text, none):
        assert str(path) in failed(lipgan("score", films["real"], "--judge", path))
    assert str(none) in failed(
        lipgan("score", films["real"], films["fake"], "--sync", "--judge", none)
    )
    assert str(none) in failed(lipgan("score", films["real"], "--syncnet", none))


def test_two_videos_with_lip_sync(films, judge, lipgan):
    arguments = ("score", films["real"], films["fake"], "--sync", "--judge", judge)
    ran = lipgan(*arguments, "--json")
    assert_unclear(ran, films["fake"])
    (system,) = json.loads(ran.stdout)["systems"]
    video = system["video"]
    assert list(video["sync"]) == ["real", "generated", "copy", *CONTROLS]
    assert video["seam"] == pytest.approx(1, abs=0.02)  # the mouth alone has changed
    assert video["distances"] is video["syncnet"] is video["lips"] is None
    # What is said of a side is what is said of it alone.
    for name, side in (("real", "real"), ("fake", "generated")):
        alone = json.loads(lipgan("score", films[name], "--judge", judge, "--json").stdout)
        said = alone["figures"]["sync"]
        assert video["sync"][side] == pytest.approx(said["own"], abs=1e-4)
    for control in CONTROLS:
        assert video["sync"][control] == pytest.approx(said[control], abs=1e-4)
    *_, judged, whole = lipgan(*arguments).stdout.split("\n\n")
    rows = judged.splitlines()
    assert [row.split()[0] for row in rows[2:-1]] == ["real", "generated", "copy", *CONTROLS]
    assert rows[-1] == NOTE
    assert [line.split() for line in whole.splitlines()[::2]] == [
        ["seam", "1:", "does", "not", "show"],
        ["fake.mkv", f"{video['seam']:.2f}"],
    ]


def test_a_box_around_the_face_is_a_seam(films, judge, lipgan, tmp_path, talk, pictures):
    x, y, side = region(look(probe(films["real"]), Silent()).squares[25])
    seams = []
    for lighter in (0, 6, 20):
        boxed = [picture.astype(int) for picture in pictures]
        for picture in boxed:
            picture[max(y, 0) : y + side, max(x, 0) : x + side] += lighter
        fake = [picture.clip(0, 255).astype(np.uint8) for picture in boxed]
        path = talk(tmp_path / f"{lighter}.mkv", fake)
        ran = lipgan("score", films["real"], path, "--sync", "--judge", judge, "--json", "-q")
        seams.append(json.loads(ran.stdout)["systems"][0]["video"]["seam"])
    assert seams[0] == pytest.approx(1, abs=0.001)
    assert 1.2 < seams[1] < seams[2] < 10


def test_video_that_is_a_frame_shorter_is_judged(films, judge, lipgan, tmp_path, talk, face):
    fake = talk(tmp_path / "short.mkv", [face] * 49)
    ran = lipgan("score", films["real"], fake, "--sync", "--judge", judge, "--json")
    assert ran.code == 0
    assert ran.stderr.startswith("the 49 frames that both have are compared: ")
    sync = json.loads(ran.stdout)["systems"][0]["video"]["sync"]
    assert [sync[name]["moments"] for name in ("real", "generated")] == [46, 45]


def test_several_videos_share_the_real_one(films, judge, lipgan, tmp_path, monkeypatch):
    other = shutil.copy(films["fake"], tmp_path / "other.mkv")
    seen = []
    watch = engine.watch

    def counted(judge, scene, film, *rest):
        seen.append(film.path.name)
        return watch(judge, scene, film, *rest)

    monkeypatch.setattr(engine, "watch", counted)
    ran = lipgan("score", films["real"], films["fake"], other, "--sync", "--judge", judge)
    assert ran.code == 0
    assert seen == [films["real"].name, "fake.mkv", "other.mkv"]
    judged = ran.stdout.split("\n\n")[1].splitlines()[2:-1]
    expected = ["real"]
    for condition in ("generated", "copy", *CONTROLS):
        expected += [f"{condition}, fake.mkv", f"{condition}, other.mkv"]
    assert [row.split("   ")[0].strip() for row in judged] == expected


def test_silent_real_video_has_no_figures_of_its_own(films, judge, lipgan):
    ran = lipgan("score", films["silent"], films["fake"], "--sync", "--judge", judge, "--json")
    assert_unclear(ran, films["fake"])
    (system,) = json.loads(ran.stdout)["systems"]
    assert list(system["video"]["sync"]) == ["generated", "copy", *CONTROLS]
    assert system["video"]["distances"] is None


def test_silent_generated_video_is_refused_before_any_work(films, judge, lipgan, monkeypatch):
    from lipgan_cli.engine.metrics import scene

    monkeypatch.setattr(scene, "look", lambda *_: pytest.fail("it has begun"))
    ran = lipgan("score", films["real"], films["silent fake"], "--sync", "--judge", judge)
    assert failed(ran) == f"error: {films['silent fake']} has no sound to judge"


def test_without_sync_a_silent_video_is_compared(films, lipgan):
    ran = lipgan("score", films["real"], films["silent fake"], "--json")
    assert (ran.code, ran.stderr) == (0, "")
    (system,) = json.loads(ran.stdout)["systems"]
    assert system["video"] is None
    assert system["figures"]["mouth"]["psnr"]["count"] == 50


def test_distance_of_long_videos_is_told(films, judge, lipgan, monkeypatch):
    from lipgan_cli.engine.metrics import sync_protocol

    # Of so few moments the number means nothing; what is tested is that it gets through.
    monkeypatch.setattr(sync_protocol, "ENOUGH", 10)
    arguments = ("score", films["real"], films["fake"], "--sync", "--judge", judge)
    (system,) = json.loads(lipgan(*arguments, "--json").stdout)["systems"]
    apart = system["video"]["distances"]
    assert list(apart) == ["generated", "copy", *CONTROLS]
    assert min(apart.values()) > 0
    tables = lipgan(*arguments).stdout.split("\n\n")
    (table,) = (part for part in tables if part.startswith("Frechet distance of lip-sync "))
    head, _, *rows = table.splitlines()
    assert head.endswith("  to the real video")
    assert [row.split() for row in rows] == [[name, f"{apart[name]:.4f}"] for name in apart]


def test_distance_of_a_copy_has_no_sign(films, judge, lipgan, monkeypatch):
    from lipgan_cli.engine.metrics import sync_protocol

    monkeypatch.setattr(sync_protocol, "ENOUGH", 10)
    ran = lipgan("score", films["real"], films["real"], "--sync", "--judge", judge)
    (table,) = (part for part in ran.stdout.split("\n\n") if part.startswith("Frechet"))
    assert [row.split() for row in table.splitlines()[2:4]] == [
        ["generated", "0.0000"],
        ["copy", "0.0000"],
    ]
    assert "-0.000" not in ran.stdout


class Points:
    """Landmarks that stay where they are, but for the lower lip, which sinks in dark pictures."""

    def points(self, grey, box):
        found = np.zeros((68, 2))
        found[:, 0] = np.arange(68) * 3
        found[LIPS.start + 14 :, 1] = 20 + 10 * (grey.mean() < self.middle)
        return found

    def __init__(self, middle):
        self.middle = middle


def test_lips_are_compared_where_landmarks_are_there(films, judge, monkeypatch, lipgan):
    greys = []
    find = Points(0)

    class Listening(Points):
        def points(self, grey, box):
            greys.append(grey.mean())
            return super().points(grey, box)

    monkeypatch.setattr(engine, "installed_landmarks", lambda: Listening(0))
    measures = Measures(sync=True, judge=judge, device="cpu")
    request = PairRequest(films["real"], (films["fake"],), measures=measures)
    score_pairs(request, Silent())
    find.middle = np.mean(greys)  # between the open mouths and the closed ones
    monkeypatch.setattr(engine, "installed_landmarks", lambda: find)
    score = score_pairs(request, Silent())
    lips = score.systems[0].video.lips
    assert list(lips) == ["generated", "shifted", "swapped", "still"]
    assert lips["generated"].distance > 0
    # Five frames open, five closed, three frames later: 4 of 10 agree more than they do not.
    assert lips["generated"].correlation == pytest.approx(-0.2, abs=0.05)
    assert lips["still"].correlation is None
    said = lipgan("score", films["real"], films["fake"], "--sync", "--judge", judge).stdout
    table = next(part for part in said.split("\n\n") if part.startswith("lips against"))
    rows = [line.split() for line in table.splitlines()[2:]]
    assert rows[0] == ["generated", f"{lips['generated'].distance:.2f}", "-0.20"]
    assert rows[3][-1] == "-"


@pytest.fixture
def syncnet(monkeypatch, home):
    """A SyncNet that finds the sound of each film 40 ms later than that of the one before."""
    calls = []

    def ask(network, scene, film, name, progress):
        calls.append(film.path)
        said = SyncNetFigures(lse_d=6.5, lse_c=8.0, offset_ms=40 * len(calls))
        return {name: said, "still": said}

    monkeypatch.setattr(engine, "syncnet", lambda measures: "network")
    monkeypatch.setattr(engine, "ask_syncnet", ask)
    return calls


def test_syncnet_stands_beside(films, judge, syncnet, lipgan):
    alone = lipgan("score", films["real"], "--judge", judge)
    table = alone.stdout.split("\n\n")[1].splitlines()
    assert table[0].split() == ["SyncNet", "offset", "in", "ms", "LSE-D", "LSE-C"]
    assert table[2].split() == ["own", "+40", "6.500", "8.000"]
    syncnet.clear()
    ran = lipgan(
        "score", films["real"], films["fake"], films["silent fake"], "--sync", "--judge", judge
    )
    assert "has no sound" in failed(ran)
    both = lipgan("score", films["real"], films["fake"], "--sync", "--judge", judge)
    table = both.stdout.split("\n\n")[2].splitlines()
    assert [line.split()[:2] for line in table[2:]] == [
        ["real", "+40"],
        ["generated", "+80"],
        ["still", "+80"],
    ]
    assert syncnet == [films["real"], films["fake"]]
    syncnet.clear()
    ran = lipgan("score", films["silent"], films["fake"], "--sync", "--judge", judge, "--json")
    assert list(json.loads(ran.stdout)["systems"][0]["video"]["syncnet"]) == ["generated", "still"]


def test_syncnet_is_used_where_its_weights_are(home, tmp_path, monkeypatch):
    from lipgan_cli.engine.metrics import syncnet as network
    from lipgan_cli.engine.score import options

    monkeypatch.setattr(network, "load_syncnet", lambda file, device: (file, str(device)))
    assert options.syncnet(Measures(device="cpu")) is None
    given = tmp_path / "given.model"
    assert options.syncnet(Measures(syncnet=given, device="cpu")) == (given, "cpu")
    usual = home / "weights" / named(SYNCNET).file
    usual.parent.mkdir()
    usual.write_bytes(b"weights")
    with pytest.raises(InputError, match="not the file that was published"):
        options.syncnet(Measures(device="cpu"))
    monkeypatch.setattr(options.weights, "find_installed", lambda name: usual)
    assert options.syncnet(Measures(device="cpu")) == (usual, "cpu")
    assert options.syncnet(Measures(syncnet=given, device="cpu")) == (given, "cpu")
