"""What `lipgan --version` tells for a bug report."""

from __future__ import annotations

import platform
from collections.abc import Callable

from lipgan_cli import __version__
from lipgan_cli.engine import paths


def facts() -> list[tuple[str, str]]:
    """Names and values: versions, the device and the folders in use.

    A library that fails to load is told with its reason, for that is what a report is about.
    """
    return [
        ("lipgan", __version__),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        ("torch", _told(_torch)),
        ("ffmpeg", _told(_ffmpeg)),
        ("dlib", _told(_dlib)),
        ("device", _told(_device)),
        ("datasets", str(paths.datasets_dir())),
        ("runs", str(paths.runs_dir())),
        ("weights", str(paths.weights_dir())),
    ]


def _told(find: Callable[[], str]) -> str:
    try:
        return find()
    except Exception as error:
        return f"does not load ({type(error).__name__}: {error})"


def _torch() -> str:
    import torch

    return str(torch.__version__)


def _ffmpeg() -> str:
    import imageio_ffmpeg

    return f"{imageio_ffmpeg.get_ffmpeg_version()} ({imageio_ffmpeg.get_ffmpeg_exe()})"


def _dlib() -> str:
    import dlib

    return str(dlib.__version__)


def _device() -> str:
    import torch

    from lipgan_cli.engine.gan.device import choose_device, fast_bf16

    device = choose_device(None)
    details = ["bf16 is fast" if fast_bf16(device) else "bf16 is not fast"]
    if device.type == "cuda":
        details.insert(0, torch.cuda.get_device_name(device))
    if device.type == "cpu":
        details.insert(0, torch.backends.cpu.get_cpu_capability())
        details.insert(1, f"{torch.get_num_threads()} threads")
    return f"{device} ({', '.join(details)})"
