"""Scores as one page: tables, box plots, the worst and best pictures, contact sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipgan_cli import __version__
from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.metrics.boxplot import box_plot, describe
from lipgan_cli.engine.metrics.image import COLUMNS, FigureTable, Picture
from lipgan_cli.engine.metrics.pictures import read_picture
from lipgan_cli.engine.metrics.protocol import Faces, reference_of
from lipgan_cli.engine.metrics.report import Plot, Report, Sample, Section, write_report
from lipgan_cli.engine.score.tables import film_tables, model_tables, pair_tables, short_names

if TYPE_CHECKING:
    from lipgan_cli.engine.data.dataset import Clip
    from lipgan_cli.engine.metrics.scene import Scene
    from lipgan_cli.engine.score.films import FilmScore
    from lipgan_cli.engine.score.models import ModelFigures, ModelScore
    from lipgan_cli.engine.score.pairs import PairScore, PairSystem

SHOWN = 6
"""Samples at each end."""
APART = 25
"""Rows of a video between two samples: neighbours are alike."""
MOMENTS = 8
"""Columns of a contact sheet."""
PLOTTED = {
    "ssim": "SSIM of whole pictures",
    "psnr": "PSNR of whole pictures in dB",
    "mouth_ssim": "SSIM of the mouth",
    "mouth_psnr": "PSNR of the mouth in dB",
}
OUTLIERS = (
    "The boxes go from quartile to quartile with the median in them, the whiskers to 1.5 of "
    "their height; outliers are not drawn."
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
    "lies above swapped and still is lip-sync; how far it lies above copy is not.\n\n"
    "A lip-sync judge says more. real: real mouths, their own sound, the most that there is to "
    "reach; shifted: 200 ms late; real, swapped: another clip's sound, the least. driven: painted "
    "from another clip's sound and judged against that sound, the figure that counts. right: "
    "painted from the clip's own sound. swapped: the same mouths against another clip's sound."
)
Thin = Callable[[Sequence[int]], list[int]]


def film_report(path: Path, score: FilmScore, force: bool) -> None:
    """Write a video's lip-sync as a page.

    Raises:
        InputError: `path` exists and `force` is false, or its folder cannot be written.
    """
    facts = _facts({"video": score.video})
    section = Section("Lip-sync", CONDITIONS_OF_FILMS, tuple(film_tables(score)))
    write_report(path, Report(f"Lip-sync of {score.video.name}", facts, (section,)), force)


def pair_report(path: Path, score: PairScore, force: bool) -> None:
    """Write the score of generated pictures or videos as a page.

    Raises:
        InputError: `path` exists and `force` is false, or its folder cannot be written.
    """
    names = short_names([str(system.generated) for system in score.systems])
    facts = _facts(
        {"real": score.real}
        | {
            f"generated {name}": system.generated
            for name, system in zip(names, score.systems, strict=True)
        }
    )
    measured = {
        name: system.table.figures
        for name, system in zip(names, score.systems, strict=True)
        if system.table is not None
    }
    video = score.scene is not None
    explained = CONDITIONS_OF_FILMS if any(system.video for system in score.systems) else ""
    sections = [Section("Figures", explained, tuple(pair_tables(score)))]
    if measured:
        sections.append(Section("Spread", OUTLIERS, plots=tuple(_plots(measured))))
    for name, system in zip(names, score.systems, strict=True):
        if system.table is not None:
            ends = _ends(system.table.figures, _spaced(video))
            for which, rows in ends.items():
                samples = tuple(_pair_samples(score, system, rows))
                sections.append(Section(f"{name}: {which}", samples=samples))
    title = f"{', '.join(names)} against {score.real.name}"
    write_report(path, Report(title, facts, tuple(sections)), force)


def model_report(path: Path, score: ModelScore, force: bool) -> None:
    """Write the score of models as a page.

    Raises:
        InputError: `path` exists and `force` is false, or its folder cannot be written.
    """
    from lipgan_cli.engine.gan.inference import DEFAULT_WEIGHTS

    facts = _facts({"dataset": score.data}) | {
        "subset": f"{score.subset}, every {score.every} frames",
        **{
            f"model {model.name}": _described(model.weights or DEFAULT_WEIGHTS)
            for model in score.models
        },
    }
    measured = {
        f"{model.name}, {condition}": table
        for model in score.models
        for condition, table in model.measured.tables.items()
    }
    sections = [
        Section("Figures", CONDITIONS_OF_MODELS, tuple(model_tables(score))),
        Section("Spread", OUTLIERS, plots=tuple(_plots(measured))),
    ]
    clips = {clip.key: clip for clip in score.clips}
    for model in score.models:
        sheets = tuple(_sheets(model, clips))
        sections.append(Section(f"{model.name}: contact sheets", samples=sheets))
        right = model.measured.tables["right"]
        order = _first_of_each([clip for clip, _ in model.measured.frames])
        for which, rows in _ends(right, order).items():
            samples = tuple(_painted(model, clips, row) for row in rows)
            sections.append(Section(f"{model.name}: {which}", samples=samples))
    title = f"{', '.join(model.name for model in score.models)} on {score.data.name}"
    write_report(path, Report(title, facts, tuple(sections)), force)


def _facts(files: Mapping[str, Path]) -> dict[str, str]:
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"made": f"{made} by lipgan {__version__}"} | {
        name: _described(path) for name, path in files.items()
    }


def _described(path: Path) -> str:
    return f"{path}\nSHA-256 {content_hash(path)}" if path.is_file() else str(path)


def _plots(measured: Mapping[str, FigureTable]) -> Iterator[Plot]:
    for column, label in PLOTTED.items():
        groups = {name: table.column(column) for name, table in measured.items()}
        groups = {name: values for name, values in groups.items() if np.isfinite(values).any()}
        if groups:
            yield Plot(box_plot(groups, label), describe(groups, label))


def _ends(figures: FigureTable, thin: Thin) -> dict[str, list[int]]:
    """Return the rows of the worst and the best pictures, by the mouth where there is one."""
    values = figures.column("mouth_psnr")
    if np.isnan(values).all():
        values = figures.column("psnr")
    order = [row for row in np.argsort(values, kind="stable").tolist() if not np.isnan(values[row])]
    return {"worst": thin(order), "best": thin(order[::-1])}


def _spaced(video: bool) -> Thin:
    """Of the rows of a video, which are like their neighbours, take some that are apart."""

    def thin(rows: Sequence[int]) -> list[int]:
        kept: list[int] = []
        for row in rows:
            if all(abs(row - other) >= (APART if video else 1) for other in kept):
                kept.append(row)
            if len(kept) == SHOWN:
                break
        return kept

    return thin


def _first_of_each(groups: Sequence[str]) -> Thin:
    """Take one row of a clip."""

    def thin(rows: Sequence[int]) -> list[int]:
        first: dict[str, int] = {}
        for row in rows:
            first.setdefault(groups[row], row)
        return list(first.values())[:SHOWN]

    return thin


def _caption(name: str, figures: FigureTable, row: int) -> str:
    values = dict(zip(COLUMNS, figures.rows()[row].tolist(), strict=True))
    told = [f"{values['psnr']:.1f} dB, SSIM {values['ssim']:.3f}"]
    if not np.isnan(values["mouth_psnr"]):
        told.append(f"mouth {values['mouth_psnr']:.1f} dB, SSIM {values['mouth_ssim']:.3f}")
    return f"{name}: {'; '.join(told)}"


def _pair_samples(score: PairScore, system: PairSystem, rows: Sequence[int]) -> Iterator[Sample]:
    table = system.table
    assert table is not None
    for row in rows:
        if table.files:
            pictures = tuple(read_picture(file) for file in table.files[row])
            name = table.names[row]
        else:
            assert score.scene is not None
            pictures = _frames(score.scene, system.generated, row)
            seconds = float(score.scene.info.clock.seconds(np.array([row]))[0])
            name = f"frame {row}, {seconds:.2f} s"
        caption = _caption(name, table.figures, row)
        yield Sample(caption, pictures, ("real", "generated"))


def _frames(scene: Scene, generated: Path, frame: int) -> tuple[Picture, Picture]:
    """Return a frame of both videos, the face alone where there is one."""
    from lipgan_cli.engine.media.video import probe, read_frames, to_rgb

    face = scene.part(frame, lambda height, width: (slice(0, height), slice(0, width)))
    where = face or (slice(None), slice(None))
    one, other = (
        to_rgb(next(iter(read_frames(film, frame))))[where]
        for film in (scene.info, probe(generated))
    )
    return one, other


def _painted(model: ModelFigures, clips: Mapping[str, Clip], row: int) -> Sample:
    key, frame = model.measured.frames[row]
    reference, real, painted = _paint(model, clips[key], np.array([frame]))
    caption = _caption(f"{key}, frame {frame}", model.measured.tables["right"], row)
    return Sample(caption, (reference[0], painted[0], real[0]), ("reference", "generated", "real"))


def _sheets(model: ModelFigures, clips: Mapping[str, Clip]) -> Iterator[Sample]:
    """Yield, of each speaker's first clip, moments as they were and as they are painted."""
    seen: set[str] = set()
    for clip in clips.values():
        if clip.speaker in seen or not len(clip):
            continue
        seen.add(clip.speaker)
        frames = np.unique(np.linspace(0, len(clip) - 1, MOMENTS + 2).round().astype(int)[1:-1])
        _, real, painted = _paint(model, clip, frames)
        labels = tuple(f"{clip.times[frame]:.2f} s" for frame in frames)
        yield Sample(f"{clip.key}, real", tuple(real), labels)
        yield Sample(f"{clip.key}, generated from its own sound", tuple(painted), labels)


def _paint(
    model: ModelFigures, clip: Clip, frames: NDArray[np.int64]
) -> tuple[Faces, Faces, Faces]:
    """Return reference, real and painted faces of some frames, as the protocol measures them."""
    real = np.stack([clip.face(int(frame)) for frame in frames])
    references = [reference_of(int(frame), len(clip)) for frame in frames]
    reference = np.stack([clip.face(number) for number in references])
    return (
        reference,
        real,
        model.animate(reference, real, mel_windows(clip.mel(), clip.times[frames])),
    )
