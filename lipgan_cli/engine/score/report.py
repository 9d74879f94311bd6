"""Scores as one page: how they came about, tables, box plots, samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipgan_cli import __version__
from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.metrics.boxplot import box_plot, describe
from lipgan_cli.engine.metrics.image import (
    GAUSSIAN_WINDOW,
    UNIFORM_WINDOW,
    FigureTable,
)
from lipgan_cli.engine.metrics.report import Plot, Report, Section, write_report
from lipgan_cli.engine.score.model_tables import model_tables
from lipgan_cli.engine.score.options import Measures, fid_network_file, syncnet_file
from lipgan_cli.engine.score.samples import model_sections, pair_sections
from lipgan_cli.engine.score.tables import film_tables, pair_tables, short_names
from lipgan_cli.engine.weights.converted import source_of

if TYPE_CHECKING:
    from lipgan_cli.engine.score.film_folders import FolderScore
    from lipgan_cli.engine.score.films import FilmScore
    from lipgan_cli.engine.score.models import ModelScore
    from lipgan_cli.engine.score.pairs import PairScore

PLOTTED = {
    "ssim": "SSIM of whole pictures",
    "psnr": "PSNR of whole pictures in dB",
    "mouth_ssim": "SSIM of the mouth",
    "mouth_psnr": "PSNR of the mouth in dB",
}
LIBRARIES = ("scikit-image", "pytorch-fid", "torch", "numpy")
"""Those whose versions may change a figure."""
OUTLIERS = (
    "The boxes go from quartile to quartile with the median in them, the whiskers to 1.5 of "
    "their height; outliers are not drawn."
)

MEASURES = (
    "The mouth is measured as a picture of its own. Identical pictures have an infinite PSNR and "
    "are left out of its figures. The changes are mean absolute differences, in levels of 0 to "
    "255, where a painted face should be as it was."
)
OTHERS_OF_FILMS = (
    "The seam is how much the picture steps across the border of the painted face, as a share of "
    "what the real video does there. LMD is the mean distance of the mouths' landmarks after their "
    "centres are laid over each other."
)
CONDITIONS_OF_FILMS = (
    "Lip-sync is judged under these conditions. own, real and generated: mouths against the sound "
    "of their own video. copy: the real mouths against the sound of the generated video, as if "
    "nothing had been generated. shifted: the sound 200 ms later, which the offset should show. "
    "swapped: the sound of another moment. still: one mouth for all frames."
)
CONDITIONS_OF_MODELS = (
    "Faces are painted from the right audio, and beside it from swapped audio (another clip of the "
    "speaker) and from silence (still); copy is the reference face itself. How far the right audio "
    "lies above swapped and still is lip-sync; how far it lies above copy is not. The response is "
    "how much the painted mouths differ from each other, as a share of how much the real ones do: "
    "near 0, the model paints the same whatever it hears, or whomever it sees."
)
SYNC_OF_MODELS = (
    "A lip-sync judge says more. real: real mouths, their own sound, the most that there is to "
    "reach; shifted: 200 ms late; real, swapped: another clip's sound, the least. driven: painted "
    "from another clip's sound and judged against that sound, the figure that counts. right: "
    "painted from the clip's own sound. swapped: the same mouths against another clip's sound. "
    "AUC is how often a clip's own sound agrees better with the mouths than another clip's."
)


def film_report(path: Path, score: FilmScore, measures: Measures) -> None:
    """Write a video's lip-sync as a page.

    Raises:
        InputError: `path` exists and is not to be replaced, or its folder cannot be written.
    """
    facts = _facts({"video": score.video} | _judges(measures))
    section = Section("Lip-sync", CONDITIONS_OF_FILMS, tuple(film_tables(score)))
    write_report(path, Report(f"Lip-sync of {score.video.name}", facts, (section,)), measures.force)


def pair_report(path: Path, score: PairScore, measures: Measures) -> None:
    """Write the score of generated pictures or videos as a page.

    Raises:
        InputError: `path` exists and is not to be replaced, or its folder cannot be written.
    """
    names = short_names([str(system.generated) for system in score.systems])
    systems = dict(zip(names, score.systems, strict=True))
    watched = any(system.video for system in score.systems)
    measured = {
        name: system.table.figures for name, system in systems.items() if system.table is not None
    }
    files = {f"generated {name}": system.generated for name, system in systems.items()}
    facts = _facts({"real": score.real} | files | _judges(measures, watched))
    explained = [MEASURES] if measured else []
    if watched:
        explained += [OTHERS_OF_FILMS, CONDITIONS_OF_FILMS]
    sections = [Section("Figures", "\n\n".join(explained), tuple(pair_tables(score)))]
    if measured:
        facts["SSIM"] = _window(measures)
        sections.append(Section("Spread", OUTLIERS, plots=tuple(_plots(measured))))
    for name, system in systems.items():
        if system.table is not None:
            sections += pair_sections(name, score.scene, system.generated, system.table)
    title = f"{', '.join(names)} against {score.real.name}"
    write_report(path, Report(title, facts, tuple(sections)), measures.force)


def folder_report(path: Path, score: FolderScore, measures: Measures) -> None:
    """Write the score of folders of videos as a page.

    Raises:
        InputError: `path` exists and is not to be replaced, or its folder cannot be written.
    """
    from lipgan_cli.engine.score.film_folders import folder_tables

    names = short_names([str(system.frames.generated) for system in score.systems])
    systems = dict(zip(names, score.systems, strict=True))
    files = {f"generated {name}": system.frames.generated for name, system in systems.items()}
    facts = _facts({"real": score.real} | files | _judges(measures, measures.sync))
    facts |= {"videos": str(len(score.videos)), "SSIM": _window(measures)}
    explained = [MEASURES] + [OTHERS_OF_FILMS, CONDITIONS_OF_FILMS] * measures.sync
    measured = {
        name: system.frames.table.figures
        for name, system in systems.items()
        if system.frames.table is not None
    }
    sections = (
        Section("Figures", "\n\n".join(explained), tuple(folder_tables(score))),
        Section("Spread", OUTLIERS, plots=tuple(_plots(measured))),
    )
    title = f"{', '.join(names)} against {score.real.name}"
    write_report(path, Report(title, facts, sections), measures.force)


def model_report(path: Path, score: ModelScore, measures: Measures) -> None:
    """Write the score of models as a page.

    Raises:
        InputError: `path` exists and is not to be replaced, or its folder cannot be written.
    """
    from lipgan_cli.engine.gan.inference import DEFAULT_WEIGHTS

    models = {f"model {model.name}": model.weights or DEFAULT_WEIGHTS for model in score.models}
    facts = _facts({"dataset": score.data} | models | _judges(measures, measures.sync)) | {
        "clips": f"{len(score.clips):,} of the subset {score.subset}",
        "frames": f"every {score.every}",
        "SSIM": _window(measures),
    }
    measured = {
        f"{model.name}, {condition}": table
        for model in score.models
        for condition, table in model.measured.tables.items()
    }
    explained = [MEASURES, CONDITIONS_OF_MODELS] + [SYNC_OF_MODELS] * measures.sync
    sections = [
        Section("Figures", "\n\n".join(explained), tuple(model_tables(score, full=True))),
        Section("Spread", OUTLIERS, plots=tuple(_plots(measured))),
    ]
    clips = {clip.key: clip for clip in score.clips}
    for model in score.models:
        sections += model_sections(model, clips)
    title = f"{', '.join(model.name for model in score.models)} on {score.data.name}"
    write_report(path, Report(title, facts, tuple(sections)), measures.force)


def _facts(files: Mapping[str, Path]) -> dict[str, str]:
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return {"made": f"{made} by lipgan {__version__}", "with": versions} | {
        name: _described(path) for name, path in files.items()
    }


def _judges(measures: Measures, sync: bool = True) -> dict[str, Path]:
    """The networks that judged."""
    files = {}
    if measures.fid:
        files["FID network"] = fid_network_file(measures.fid_weights)
    if sync:
        from lipgan_cli.engine.metrics.judge import DEFAULT_JUDGE

        files["lip-sync judge"] = measures.judge or DEFAULT_JUDGE
        syncnet = syncnet_file(measures)
        if syncnet is not None:
            files["SyncNet"] = syncnet
    return files


def _window(measures: Measures) -> str:
    if measures.gaussian:
        return f"Gaussian window, {GAUSSIAN_WINDOW}x{GAUSSIAN_WINDOW}"
    return f"uniform window, {UNIFORM_WINDOW}x{UNIFORM_WINDOW}"


def _described(path: Path) -> str:
    if not path.is_file():
        return str(path)
    # Of a file that was converted when it came, the published one is known to others.
    return f"{path}\nSHA-256 {source_of(path) or content_hash(path)}"


def _plots(measured: Mapping[str, FigureTable]) -> Iterator[Plot]:
    for column, label in PLOTTED.items():
        groups = {name: table.column(column) for name, table in measured.items()}
        groups = {name: values for name, values in groups.items() if np.isfinite(values).any()}
        if groups:
            yield Plot(box_plot(groups, label), describe(groups, label))
