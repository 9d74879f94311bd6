"""What all tests share: a home of their own, no network, fixed text width, the real data."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell lets jobs in the background ignore Ctrl-C; the programs of the tests shall hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("lipgan", deadline=None, derandomize=True, database=None)
settings.load_profile("lipgan")

ROOT = Path(__file__).parents[1]


class Ran(NamedTuple):
    """What a run of the command line came to."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real talking faces and speech: `LIPGAN_TEST_DATA`, or `shared/data` beside the repository."""
    override = os.environ.get("LIPGAN_TEST_DATA")
    folder = Path(override) if override else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real clips: {folder} is not there (set LIPGAN_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def grid_dir(data_dir: Path) -> Path:
    """Real GRID clips, `train/<speaker>/*` and `test/<speaker>/*`."""
    folder = data_dir / "grid"
    if not folder.is_dir():
        pytest.skip(f"no real clips: {folder} is not there")
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for datasets, runs and weights, so that no test touches the user's own."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LIPGAN_HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name in ("DEBUG", "SIGN_CERT", "SIGN_KEY", "TRUST"):
        monkeypatch.delenv(f"LIPGAN_{name}", raising=False)
    return folder


@pytest.fixture
def lipgan(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process: `lipgan("sync", face, speech).code == 0`."""
    from lipgan_cli.cli import run

    def call(*arguments: object) -> Ran:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        output = capfd.readouterr()
        return Ran(code, output.out, output.err)

    return call


@pytest.fixture(scope="session", autouse=True)
def _no_processes() -> Iterator[None]:
    """Let no test leave a process, for which Python might wait for ever when it exits."""
    yield
    gc.collect()
    left = multiprocessing.active_children()
    for process in left:
        process.kill()
    assert not left


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Let no test reach beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {
            "127.0.0.1",
            "::1",
            "localhost",
        }:
            raise OSError(f"tests have no network: {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(scope="session")
def film_head() -> Callable[..., Path]:
    """Encode a head that grows lighter, at 10 fps, with a hiss: `film_head(path, seconds)`.

    From `empty[0]` to `empty[1]` seconds nobody is there; `seed` is that of the hiss.
    """
    import av
    import numpy as np

    def encode(
        path: Path, seconds: float, empty: tuple[float, float] = (0, 0), seed: int = 1
    ) -> Path:
        from skimage.data import astronaut

        head, frames = astronaut()[40:216, 136:312], round(seconds * 10)
        with av.open(str(path), "w") as container:
            shown = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
            heard = container.add_stream("aac", rate=16000, layout="mono")
            shown.height, shown.width = head.shape[:2]
            shown.pix_fmt = "yuv420p"
            for number in range(frames):
                picture = (head * (0.7 + 0.3 * number / frames)).astype(np.uint8)
                if empty[0] <= number / 10 < empty[1]:
                    picture = np.full_like(head, 120)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(shown.encode(frame))
            container.mux(shown.encode())
            wave = np.random.default_rng(seed).normal(0, 0.1, round(seconds * 16000))
            piece = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
            piece.sample_rate, piece.pts, piece.time_base = 16000, 0, Fraction(1, 16000)
            container.mux(heard.encode(piece))
            container.mux(heard.encode())
        return path

    return encode


@pytest.fixture
def prepare_toy(tmp_path: Path) -> Callable[..., Path]:
    """Write a prepared dataset of drawn faces: `prepare_toy({"s1/a": 20, "s2/b": 15})`.

    A clip is a number of frames. In every other run of four frames the mouth is open and the
    sound is loud; in the others it is closed and silent.
    """
    import cv2
    import numpy as np

    from lipgan_cli.engine.data.dataset import FORMAT
    from lipgan_cli.engine.media.flac import write_flac

    def prepare(clips: dict[str, int], test: tuple[str, ...] = (), name: str = "toy") -> Path:
        folder = tmp_path / name
        (folder / "subsets").mkdir(parents=True)
        (folder / "dataset.json").write_text(json.dumps({"format": FORMAT, "parameters": {}}))
        train = [key for key in clips if key not in test]
        for subset, keys in {"small": train, "full": train, "test": list(test)}.items():
            (folder / "subsets" / f"{subset}.txt").write_text("".join(f"{k}\n" for k in keys))
        for number, (key, frames) in enumerate(clips.items()):
            place = folder / "clips" / key
            place.mkdir(parents=True)
            loud = np.arange(frames) // 4 % 2 == 1
            for frame in range(frames):
                face = np.full((96, 96, 3), (200 - 3 * number, 170, 150), np.uint8)
                face[30:36, 24:36] = face[30:36, 60:72] = 40
                face[66 : 84 if loud[frame] else 69, 36:60] = (90, 20, 30)
                face[::3, number::7] -= 3
                cv2.imwrite(str(place / f"{frame:05d}.jpg"), face[..., ::-1])
            columns = np.repeat(loud, 4)[: frames * 4]
            mel = np.where(columns, 2.0, -4.0) * np.ones((80, 1))
            np.savez_compressed(place / "mel.npz", mel=mel.astype(np.float32))
            buzz = np.where(np.arange(frames * 800) % 100 < 50, 0.3, -0.3)  # 160 Hz
            write_flac(place / "sound.flac", np.repeat(loud, 800) * buzz)
            times = [frame / 20 for frame in range(frames)]
            about = {"times": times, "frames": list(range(frames))}
            (place / "clip.json").write_text(json.dumps(about))
        return folder

    return prepare
