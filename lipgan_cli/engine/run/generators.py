"""The generators that are here, by name: lipgan's own, and the best of every trained run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lipgan_cli
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import runs_dir
from lipgan_cli.engine.weights.converted import read_about

BUILT_IN = Path(lipgan_cli.__file__).parent / "assets" / "generator.safetensors"
DEFAULT = "default"
"""The name of lipgan's own."""


@dataclass(frozen=True)
class LocalGenerator:
    """A file of a generator's weights that `--weights` takes.

    Attributes:
        name: of the run, or default for the one that comes with the install.
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
    return [
        _generator(DEFAULT, BUILT_IN),
        *(_generator(run.name, weights_of(run)) for run in _runs()),
    ]


def find_model(model: Path | str) -> Path:
    """Return a generator's file of weights: the file itself, or that of a name.

    A name is `default`, for the generator that comes with lipgan, or that of a run, whose folder
    will do too.

    Raises:
        InputError: there is no such file and no such run, or it has no weights yet.
    """
    given = Path(model)
    if given.is_file():
        return given
    if str(model) == DEFAULT:
        return BUILT_IN
    runs = (given, runs_dir() / given)
    for run in runs:
        if weights_of(run).is_file():
            return weights_of(run)
    for run in runs:
        if (run / "config.json").is_file():
            raise InputError(
                f"the run {model} has no weights yet",
                f"lipgan train --resume {model} goes on with it until it has",
            )
    names = ", ".join([DEFAULT, *(run.name for run in _runs())])
    raise InputError(f"there is no model {model}", f"give a file of weights, or a name: {names}")


def weights_of(run: Path) -> Path:
    """The file of a run's best weights, which it has from its first end on."""
    return run / "weights.safetensors"


def _runs() -> list[Path]:
    """The user's runs that have weights."""
    return sorted(path.parent for path in runs_dir().glob("*/weights.safetensors"))


def _generator(name: str, path: Path) -> LocalGenerator:
    size = 0
    try:
        size = path.stat().st_size
        about = read_about(path)
        settings = about.get("config", about)
        psnr = about.get("figures", {}).get("all", {}).get("right")
        variant, data = settings.get("variant"), settings.get("dataset", settings.get("data"))
    except OSError as error:
        return LocalGenerator(name, path, size, problem=error.strerror or str(error))
    except (ValueError, AttributeError):
        return LocalGenerator(name, path, size, problem="is no file of lipgan's weights")
    psnr = float(psnr) if isinstance(psnr, (int, float)) else None
    return LocalGenerator(name, path, size, str(variant or ""), str(data or ""), psnr)
