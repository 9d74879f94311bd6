"""`lipgan sync` from the command line: what it prints, what it refuses, what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.media.demo import SPEECH, write_portrait
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.sync import presenter, survey

detector = cache(HogDetector)
RUN = "import sys; from lipgan_cli.cli import run; sys.exit(run(sys.argv[1:]))"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator that has learnt nothing, packed as the one that is shipped."""
    import torch

    from lipgan_cli.engine.gan.generator import Generator
    from lipgan_cli.engine.gan.packing import save_packed

    torch.manual_seed(10)
    path = tmp_path_factory.mktemp("weights") / "generator.safetensors"
    save_packed(Generator().state_dict(), path, {})
    return path


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    return write_portrait(tmp_path / "face.png")


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "speech.wav", 0.4)


@pytest.fixture
def animator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that gives back the face that it is shown; no landmarks; one detector for all."""

    class Mirror:
        def faces(self, reference: Any, target: Any, windows: Any, keys: Any = None) -> Any:
            return target

    monkeypatch.setattr(presenter, "_network", lambda *given: Mirror())
    monkeypatch.setattr(presenter, "installed_landmarks", lambda: None)
    monkeypatch.setattr(survey, "HogDetector", detector)


def write_wav(path: Path, seconds: float) -> Path:
    noise = np.random.default_rng(1).integers(-9000, 9000, round(seconds * 16000))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(noise.astype("<i2").tobytes())
    return path


def write_video(path: Path, pictures: Iterable[np.ndarray]) -> Path:
    """A video of RGB pictures, without sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "10"})
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            if not number:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_grey_video(path: Path, frames: int = 5) -> Path:
    """A video without a face and without sound."""
    return write_video(path, [np.full((96, 128, 3), 120, np.uint8)] * frames)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """The portrait for 20 frames, and a wall for 20 more."""
    with Image.open(write_portrait(tmp_path / "portrait.png")) as image:
        face = np.asarray(image.convert("RGB").resize((256, 256)))
    wall = np.full_like(face, 90)
    wall[::8] = 250
    (tmp_path / "portrait.png").unlink()
    return write_video(tmp_path / "film.mp4", [face] * 20 + [wall] * 20)


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        return sum(1 for _ in container.decode(video=0))


def test_the_demo_needs_nothing_but_the_install(lipgan, tmp_path, animator):
    output = tmp_path / "out.mp4"
    ran = lipgan("sync", "--demo", "-o", output)
    assert (ran.code, ran.stdout) == (0, f"{output}\n"), ran.stderr
    assert ran.stderr.startswith("124 frames, 4.96 s in ")
    assert frames_of(output) == 124  # 4.975 s at 25 fps


def test_the_demo_s_files_are_small_and_there():
    assert 20_000 < SPEECH.stat().st_size < 150_000


def test_the_real_network_runs_end_to_end_and_tells_as_json(lipgan, tmp_path, weights, speech):
    output = tmp_path / "out.mp4"
    portrait = write_portrait(tmp_path / "face.png")
    arguments = ("sync", portrait, speech, "-o", output, "--weights", weights, "--json")
    ran = lipgan(*arguments, "--device", "cpu")
    assert ran.code == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert 0 < told.pop("first_frame") < told.pop("elapsed")
    assert told.pop("speed") > 0
    assert told.pop("steps")["generate"] > 0
    assert told == {
        "output": str(output),
        "frames": 10,
        "fps": 25.0,
        "variable_rate": False,
        "seconds": 0.4,
        "width": 384,
        "height": 288,
        "face_pixels": 97,
        "people": 1,
        "cuts": [],
        "without_face": [],
        "silence": [[0.0, 0.4]],
        "repeated": 9,
        "cached": False,
        "sheet": None,
        "provenance": True,
        "signed_by": told["signed_by"],
        "own_authority": True,
        "credentials": None,
    }
    assert told["signed_by"].startswith("lipgan signer ")
    assert frames_of(output) == 10


@pytest.mark.parametrize("name", ["with spaces", "brackets [x] {y}", "Ünïcode 顔", "100% -o 'q'"])
def test_any_name_will_do(lipgan, tmp_path, animator, portrait, speech, name):
    folder = tmp_path / name
    folder.mkdir()
    face = portrait.rename(folder / f"{name}.png")
    heard = speech.rename(folder / f"{name}.wav")
    output = folder / "new" / f"{name} out.mp4"
    ran = lipgan("sync", face, heard, "-o", output, "--quiet")
    assert (ran.code, ran.stdout, ran.stderr) == (0, f"{output}\n", "")
    assert frames_of(output) == 10


def _text(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("This is no film.\n" * 20)
    return path


def _empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def _truncated(folder: Path) -> Path:
    whole = write_grey_video(folder / "whole.mp4").read_bytes()
    path = folder / "truncated.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def _missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def _folder(folder: Path) -> Path:
    path = folder / "folder.mp4"
    path.mkdir()
    return path


@pytest.mark.parametrize("bad", [_text, _empty, _truncated, _missing, _folder])
@pytest.mark.parametrize("role", ["face", "speech", "weights"])
def test_a_bad_file_is_refused_in_one_line_that_names_it(
    lipgan, tmp_path, portrait, speech, role, bad: Callable[[Path], Path]
):
    given = {"face": portrait, "speech": speech, "weights": portrait, role: bad(tmp_path)}
    options = ("--weights", given["weights"]) if role == "weights" else ()
    before = sorted(tmp_path.iterdir())
    output = tmp_path / "out.mp4"
    ran = lipgan("sync", given["face"], given["speech"], "-o", output, *options)
    assert_refused(ran, str(given[role]))
    assert sorted(tmp_path.iterdir()) == before


def test_a_video_without_a_face_or_without_sound_is_refused(
    lipgan, tmp_path, animator, portrait, speech
):
    grey = write_grey_video(tmp_path / "grey.mp4")
    output = tmp_path / "out.mp4"
    assert_refused(lipgan("sync", grey, speech, "-o", output), "no face found in", "grey.mp4")
    assert_refused(lipgan("sync", portrait, grey, "-o", output), "grey.mp4 has no audio track")
    assert not output.exists()


def assert_refused(ran: Any, *said: str) -> None:
    assert (ran.code, ran.stdout) == (2, ""), ran.stderr
    error, *hint = ran.stderr.splitlines()
    assert error.startswith("error: ")
    assert all(line.startswith("hint: ") for line in hint)
    assert len(hint) <= 1
    for words in said:
        assert words in error


def test_an_output_is_replaced_with_force_alone(lipgan, tmp_path, animator, portrait, speech):
    output = tmp_path / "out.mp4"
    output.write_text("older")
    arguments = ("sync", portrait, speech, "-o", output)
    assert_refused(lipgan(*arguments), f"{output} exists already")
    assert output.read_text() == "older"
    assert lipgan(*arguments, "--force").code == 0
    assert frames_of(output) == 10


def test_outputs_that_cannot_be_are_refused_before_any_work(lipgan, tmp_path, portrait, speech):
    def refused(output: Path, *said: str) -> None:
        assert_refused(lipgan("sync", portrait, speech, "-o", output, "--force"), *said)

    refused(tmp_path / "out.avi", "does not end in .mp4, .mov, .mkv")
    refused(tmp_path / "out", "does not end in .mp4, .mov, .mkv")
    (tmp_path / "dir.mp4").mkdir()
    refused(tmp_path / "dir.mp4", "is a folder")
    refused(speech / "out.mp4", "cannot make the folder")
    film = portrait.rename(tmp_path / "film.mp4")
    ran = lipgan("sync", film, speech, "-o", film, "--force")
    assert_refused(ran, "film.mp4 is the face itself")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(lipgan, tmp_path, portrait, speech):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert_refused(lipgan("sync", portrait, speech, "-o", closed / "out.mp4"), "cannot write into")


def test_what_was_made_is_told_on_stderr(lipgan, tmp_path, animator, film):
    output, speech = tmp_path / "out.mp4", write_wav(tmp_path / "long.wav", 2.0)
    ran = lipgan("sync", film, speech, "-o", output)
    assert (ran.code, ran.stdout) == (0, f"{output}\n")
    gone, told = ran.stderr.splitlines()
    assert gone == f"{film}: no face from 0.80 s to 1.60 s, left as it is"
    assert re.fullmatch(
        r"50 frames, 2\.00 s in \d+\.\d s, face \d+ pixels, 10 frames shown again, "
        r"0\.80 s without a face, "
        r"signed by this machine's own authority, which shows changes but no name",
        told,
    )


def test_a_check_tells_what_would_be_made(lipgan, tmp_path, animator, film):
    speech = write_wav(tmp_path / "long.wav", 2.0)
    before = sorted(tmp_path.iterdir())
    sheet = tmp_path / "who.png"
    ran = lipgan("sync", film, speech, "--check", "--sheet", sheet)
    assert ran.code == 0, ran.stderr
    assert sorted(tmp_path.iterdir()) == sorted([*before, sheet])
    lines = [re.split(r"\s{2,}", line) for line in ran.stdout.splitlines()]
    assert [name for name, _ in lines] == [
        "video", "result", "shown again", "face 1", "painted", "cuts", "without a face",
        "silence", "expected time", "faces drawn in",
    ]  # fmt: skip
    told = dict(lines)
    assert told["video"] == "256x256, 25 fps"
    assert told["result"] == "50 frames, 2.00 s"
    assert told["shown again"] == "10 frames"
    assert re.fullmatch(r"at \d+,\d+, \d+ pixels, 0\.00 to 0\.76 s", told["face 1"])
    assert re.fullmatch(r"\d+ pixels, \d\.\d times the network's 96", told["painted"])
    assert told["cuts"] == "0.80 s"
    assert told["without a face"] == "0.80 to 1.60 s"
    assert told["silence"] == "0.00 to 2.00 s"
    assert re.fullmatch(r"\d+ s", told["expected time"])
    assert told["faces drawn in"] == str(sheet)
    with Image.open(sheet) as drawn:
        assert drawn.size == (240, 262)


def test_a_check_as_json(lipgan, tmp_path, animator, film, speech, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = lipgan("sync", film, speech, "--check", "--json", "--fit", "loop")
    assert (ran.code, ran.stderr) == (0, ""), ran.stderr
    told = json.loads(ran.stdout)
    (face,) = told.pop("faces")
    assert sorted(face) == ["number", "seen", "side", "x", "y"]
    assert (face["number"], face["seen"]) == (1, [0.0, 0.76])
    assert told.pop("face_pixels") == pytest.approx(1.1 * face["side"], abs=2)
    assert told.pop("expected_seconds") > 0
    assert told == {
        "frames": 10,
        "fps": 25.0,
        "variable_rate": False,
        "seconds": 0.4,
        "width": 256,
        "height": 256,
        "cuts": [0.8],
        "without_face": [],
        "silence": [[0.0, 0.4]],
        "repeated": 0,
        "sheet": "film-faces.png",
    }
    assert (tmp_path / "film-faces.png").is_file()
    assert not (tmp_path / "film.mp4").samefile(tmp_path / "film-faces.png")


def test_every_option_reaches_the_film(lipgan, tmp_path, animator, film):
    output, speech = tmp_path / "out.mkv", write_wav(tmp_path / "long.wav", 1.0)
    sheet = tmp_path / "sheet.png"
    options = ("--codec", "h265", "--crf", 30, "--preset", "ultrafast", "--face", "left")
    options += ("--start", 0.2, "--end", 0.6, "--fit", "freeze", "--strict", "--sheet", sheet)
    options += ("--av-offset-ms", -40, "--keep-audio", 12, "--no-cache", "--blend", "none")
    ran = lipgan("sync", film, speech, "-o", output, *options, "--json")
    assert ran.code == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["frames"], told["repeated"], told["sheet"]) == (25, 15, str(sheet))
    with av.open(str(output)) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
    assert json.loads(lipgan("cache", "--json").stdout)["entries"] == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--fit", "error"), "the face video lasts 1.60 s, the speech 2.00 s"),
        (("--strict",), "no face from 0.80 s to 1.60 s"),
        (("--face", "2"), "there is no face 2"),
        (("--face", "somebody"), "no way to choose a face"),
        (("--start", "2"), "has no frame from 2 s to its end"),
        (("--start", "1", "--end", "0.5"), "there is nothing from 1 s to 0.5 s"),
        (("--codec", "ffv1"), ".mp4 cannot hold ffv1"),
        (("--crf", "99"), "h264 has no CRF 99"),
        (("--preset", "warp"), "h264 has no preset warp"),
        (("--keep-audio", "-3"), "-3 dB below the speech"),
        (("--av-offset-ms", "99999"), "an offset of 99999 ms"),
        (("--sheet", "sheet.bmp"), "does not end in .png or .jpg"),
    ],
)
@pytest.mark.parametrize("check", [(), ("--check",)], ids=["run", "check"])
def test_what_cannot_be_done_is_refused_with_2(
    lipgan, tmp_path, animator, film, options, told, check
):
    speech = write_wav(tmp_path / "long.wav", 2.0)
    before = sorted(tmp_path.iterdir())
    ran = lipgan("sync", film, speech, "-o", tmp_path / "out.mp4", "--quiet", *options, *check)
    assert_refused(ran, told)
    assert sorted(tmp_path.iterdir()) == before


def test_a_word_that_is_no_choice_is_refused(lipgan, tmp_path, portrait, speech):
    for option in ("--fit", "--codec", "--blend", "--detector"):
        ran = lipgan("sync", portrait, speech, "-o", tmp_path / "out.mp4", option, "nonsense")
        assert ran.code == 2
        assert "nonsense" in ran.stderr
        assert "Traceback" not in ran.stderr


def test_a_second_run_knows_the_faces_until_the_cache_is_cleared(lipgan, tmp_path, animator, film):
    speech = write_wav(tmp_path / "a.wav", 0.4)
    arguments = ("sync", film, speech, "-o", tmp_path / "out.mp4", "--force", "--json")

    def cached(*more: str) -> bool:
        return bool(json.loads(lipgan(*arguments, *more).stdout)["cached"])

    assert [cached(), cached(), cached("--no-cache"), cached()] == [False, True, False, True]
    assert json.loads(lipgan("cache", "--json").stdout)["entries"] == 2
    assert lipgan("cache", "--clear").code == 0
    assert not cached()


def test_face_and_speech_come_from_the_user_or_from_the_demo(lipgan, tmp_path, portrait, speech):
    output = tmp_path / "out.mp4"
    assert_refused(lipgan("sync", "-o", output), "FACE and SPEECH not given")
    assert_refused(lipgan("sync", portrait, "-o", output), "SPEECH not given")
    assert_refused(lipgan("sync", portrait, speech, "--demo", "-o", output), "--demo brings")
    assert lipgan("sync", portrait, speech).code == 2


def test_an_unknown_device_is_refused(lipgan, tmp_path, portrait, speech):
    ran = lipgan("sync", portrait, speech, "-o", tmp_path / "out.mp4", "--device", "abacus")
    assert_refused(ran, "abacus")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_half_video(tmp_path, weights, portrait, how):
    speech = write_wav(tmp_path / "speech.wav", 30)
    output = tmp_path / "out" / "film.mp4"
    arguments = ["sync", portrait, speech, "-o", output, "--weights", weights, "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # whoever runs the tests may ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("out/.film*.part.mp4")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(how)
    _, said = process.communicate(timeout=120)
    assert not output.exists()
    if how == signal.SIGKILL:
        return  # nobody is left to clean up, but what is left is hidden and has another name
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[how]
    assert list(output.parent.iterdir()) == []
    assert b"Traceback" not in said
