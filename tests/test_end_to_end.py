"""The installed command from prep to score: on clips that the test makes, and on real ones."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from lipgan_cli.engine.media.audio import SAMPLE_RATE, read_audio
from lipgan_cli.engine.media.demo import SPEECH, write_portrait

COMMAND = Path(sys.executable).parent / "lipgan"
TOY = ("--width", "4", "--iterations", "5", "--batch", "2", "--evaluate-clips", "1")


def run(*arguments: object) -> str:
    """Run the installed command in a process of its own; return what it printed on stdout."""
    ran = subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout.rstrip("\n")


def write_clip(path: Path, portrait: np.ndarray, seconds: float, shift: float) -> Path:
    """A portrait that sways, with a hum that swells and fades."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames, rate = round(seconds * 25), 16000
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=Fraction(25))
        video.width, video.height, video.pix_fmt = 256, 256, "yuv420p"
        audio = container.add_stream("aac", rate=rate, layout="mono")
        for number in range(frames):
            sway = 4 * math.sin(number / 5 + shift)
            matrix = np.float32([[0.5, 0, sway], [0, 0.5, shift]])
            picture = cv2.warpAffine(portrait, matrix, (256, 256), borderMode=cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        times = np.arange(round(seconds * rate)) / rate
        hum = 0.3 * np.sin(2 * np.pi * (150 + 40 * shift) * times) * np.sin(3 * times) ** 2
        sound = av.AudioFrame.from_ndarray(hum.astype(np.float32)[None], "fltp", "mono")
        sound.sample_rate = rate
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
    return path


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def through(corpus: Path, face: Path, speech: Path, folder: Path, *more: object) -> dict[str, Any]:
    """Prepare, train, sync and score; return what score found in total."""
    prepared = json.loads(run("prep", corpus, "--jobs", 2, "--json", *more))
    dataset = Path(prepared["dataset"])
    assert (dataset / "subsets" / "test.txt").read_text().split()
    weights = Path(run("train", "--variant", "wgan-gp", "--subset", "small", *TOY))
    assert weights.is_file()
    output = folder / "out [1] ü.mp4"
    assert run("sync", face, speech, "-o", output, "--weights", weights) == str(output)
    length = len(read_audio(speech)) / SAMPLE_RATE  # a container may last longer than its sound
    assert count_frames(output) == math.floor(length * 25 + 0.5)
    with av.open(str(output)) as made:
        assert len(made.streams.audio) == 1
    again = folder / "again.mp4"
    run("sync", face, speech, "-o", again, "--weights", weights, "--blend", "none")
    pair = json.loads(run("score", output, again, "--json"))
    figures = pair["systems"][0]["figures"]
    assert figures["whole"]["psnr"]["count"] == count_frames(output)
    assert figures["whole"]["psnr"]["mean"] > 10
    scored = json.loads(run("score", "--subset", "test", "--weights", weights, "--json"))
    total: dict[str, Any] = scored["models"][0]["figures"]["total"]
    assert total["right"]["mouth"]["psnr"]["mean"] < total["copy"]["mouth"]["psnr"]["mean"]
    assert abs(total["gap_to_still"]) < 1  # three steps teach no speech
    return total


@pytest.fixture
def _home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPGAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))


@pytest.mark.slow
@pytest.mark.usefixtures("_home_of_its_own")
def test_made_clips(tmp_path: Path) -> None:
    portrait = cv2.imread(str(write_portrait(tmp_path / "face.png")))[..., ::-1].copy()
    corpus = tmp_path / "a corpus"
    for number in range(6):
        write_clip(corpus / "s1" / f"clip{number}.mp4", portrait, 0.8, float(number))
    face = write_clip(tmp_path / "face.mp4", portrait, 1.2, 2.0)
    total = through(corpus, face, SPEECH, tmp_path)
    assert (total["clips"], total["frames"]) == (1, 4)


@pytest.mark.slow
@pytest.mark.usefixtures("_home_of_its_own")
def test_real_clips(tmp_path: Path, grid_dir: Path) -> None:
    for part, speaker, count in (("train", "s1", 3), ("train", "s4", 2), ("test", "s33", 2)):
        target = tmp_path / part / speaker
        target.mkdir(parents=True)
        for clip in sorted((grid_dir / part / speaker).iterdir())[:count]:
            shutil.copy(clip, target)
    face = next((tmp_path / "test" / "s33").iterdir())
    speech = next((tmp_path / "train" / "s4").iterdir())
    total = through(tmp_path / "train", face, speech, tmp_path, "--test-dir", tmp_path / "test")
    assert (total["clips"], total["frames"]) == (2, 2 * 13)
