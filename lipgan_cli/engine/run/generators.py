"""The generators that are here: lipgan's own, and the best of every trained run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import lipgan_cli
from lipgan_cli.engine.paths import runs_dir
from lipgan_cli.engine.weights.converted import read_header

BUILT_IN = Path(lipgan_cli.__file__).parent / "assets" / "generator.safetensors"


@dataclass(frozen=True)
class LocalGenerator:
    """A file of a generator's weights that `--weights` takes.

    Attributes:
        name: of the run, or lipgan for the one that comes with the install.
        size: in bytes.
        variant, data: what trained it, as far as its header says.
        mouth_psnr: of the evaluation that chose it, dB; None where its header has none.
        problem: why it cannot be used; empty where it can.
    """

    name: str
    path: Path
    size: int
    variant: str = ""
    data: str = ""
    mouth_psnr: float | None = None
    problem: str = ""


def local_generators() -> list[LocalGenerator]:
    """lipgan's own generator, then those of the user's runs by name."""
    runs = sorted(runs_dir().glob("*/weights.safetensors"))
    return [_generator("lipgan", BUILT_IN), *(_generator(path.parent.name, path) for path in runs)]


def _generator(name: str, path: Path) -> LocalGenerator:
    size = 0
    try:
        size = path.stat().st_size
        about = json.loads(read_header(path).get("about", "{}"))
        settings = about.get("config", about)
        psnr = about.get("figures", {}).get("all", {}).get("right")
        variant, data = settings.get("variant"), settings.get("dataset", settings.get("data"))
    except OSError as error:
        return LocalGenerator(name, path, size, problem=error.strerror or str(error))
    except (ValueError, AttributeError):
        return LocalGenerator(name, path, size, problem="is no file of lipgan's weights")
    psnr = float(psnr) if isinstance(psnr, (int, float)) else None
    return LocalGenerator(name, path, size, str(variant or ""), str(data or ""), psnr)
