"""Films, datasets and networks that the tests of `score` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipgan_cli.engine.metrics import inception
from lipgan_cli.engine.metrics.inception import Network, load_network

Picture = np.ndarray  # RGB (height, width, 3)
RATE = 16000


def write_film(
    path: Path, pictures: Iterable[Picture], sound: np.ndarray | None = None, fps: int = 25
) -> Path:
    """Write pictures and a sound without loss, but for the colours' own half size."""
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("ffv1", rate=fps)
        video.pix_fmt = "yuv420p"
        track = None if sound is None else container.add_stream("flac", rate=RATE, layout="mono")
        for number, picture in enumerate(pictures):
            if not number:
                video.height, video.width = picture.shape[:2]
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
        if track is not None and sound is not None:
            samples = (sound * 32767).astype(np.int16)[None]
            for start in range(0, samples.shape[1], 4096):
                piece = av.AudioFrame.from_ndarray(samples[:, start : start + 4096], "s16", "mono")
                piece.sample_rate, piece.pts, piece.time_base = RATE, start, Fraction(1, RATE)
                container.mux(track.encode(piece))
            container.mux(track.encode())
    return path


@pytest.fixture(scope="session")
def face() -> Picture:
    """A face that dlib's HOG detector finds, 87 pixels wide in 176: RGB."""
    from skimage.data import astronaut

    return astronaut()[40:216, 136:312].copy()


def talking(face: Picture, shift: int = 0, frames: int = 50) -> list[Picture]:
    """The face with a mouth that opens and closes, `shift` frames later than another's."""
    pictures = []
    for number in range(frames):
        picture = face.copy()
        picture[118 : 118 + (6 if (number - shift) // 5 % 2 else 2), 76:98] = (60, 20, 25)
        pictures.append(picture)
    return pictures


@pytest.fixture(scope="session")
def pictures(face: Picture) -> list[Picture]:
    """Those of the real one of `films`."""
    return talking(face)


def bursts(seconds: float, shift: float = 0.0) -> np.ndarray:
    """A buzz that comes and goes as `talking` opens and closes its mouth."""
    times = np.arange(round(seconds * RATE)) / RATE
    loud = np.floor((times - shift) * 5) % 2 == 1
    return loud * np.where(times * 160 % 1 < 0.5, 0.3, -0.3)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory, face: Picture) -> dict[str, Path]:
    """A real film of 2 s; one that was generated from another sound; both without a sound."""
    folder = tmp_path_factory.mktemp("films")
    real, fake = talking(face), talking(face, 3)
    return {
        "real": write_film(folder / "real [1] ü.mkv", real, bursts(2.0)),
        "fake": write_film(folder / "fake.mkv", fake, bursts(2.0, 0.12)),
        "silent": write_film(folder / "silent.mkv", real),
        "silent fake": write_film(folder / "silent fake.mkv", fake),
    }


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a judge that has learnt nothing."""
    import torch

    from lipgan_cli.engine.metrics.judge import Judge, save_judge

    torch.manual_seed(10)
    path = tmp_path_factory.mktemp("judge") / "judge.safetensors"
    save_judge(Judge(), path, {})
    return path


@pytest.fixture(scope="session")
def fid_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the FID network's shape with random weights, about as loud at its end as inside."""
    import torch
    from pytorch_fid.inception import fid_inception_v3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        torch.manual_seed(10)
        state = fid_inception_v3().state_dict()
    for name, weight in state.items():
        if name.endswith("conv.weight"):
            weight *= 6**0.5  # what torch's default loses in each layer
    path = tmp_path_factory.mktemp("fid") / "network.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="session")
def network(fid_weights: Path) -> Network:
    """The FID network cut off at 64 dimensions: the root of a 2048 x 2048 matrix takes long."""
    return load_network(fid_weights, dimensions=64)


@pytest.fixture
def short_features(monkeypatch: pytest.MonkeyPatch, network: Network, fid_weights: Path) -> Path:
    """The file of a network that the command then cuts off at 64 dimensions."""
    loaded = {fid_weights: network}
    monkeypatch.setattr(inception, "load_network", lambda file, device: loaded[file])
    return fid_weights


@pytest.fixture(scope="session")
def talk() -> Callable[..., Path]:
    """Write pictures with a sound as long, or a part of that: `talk(path, pictures, sound=0.5)`.

    `sound=False` leaves it out.
    """

    def write(path: Path, pictures: list[Picture], sound: float = True, fps: int = 25) -> Path:
        heard = bursts(sound * len(pictures) / fps) if sound else None
        return write_film(path, pictures, heard, fps)

    return write
