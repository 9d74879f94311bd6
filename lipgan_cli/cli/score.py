"""`lipgan score`: how near generated pictures come to real ones, and mouths to what is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipgan_cli.cli import console, opinions
from lipgan_cli.cli.options import Device, Force, Json, Quiet
from lipgan_cli.engine.errors import InputError

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.table import Table
    from lipgan_cli.engine.progress import Progress
    from lipgan_cli.engine.score.options import Measures
    from lipgan_cli.engine.score.pairs import PairRequest


def score(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="REAL FAKE",
            help="Real and generated folders of pictures, or videos; one video alone for its "
            "lip-sync.",
        ),
    ] = None,
    fid: Annotated[
        bool,
        typer.Option("--fid", help="Add the Frechet Inception Distance, by pytorch-fid, and KID."),
    ] = False,
    sync: Annotated[
        bool,
        typer.Option("--sync", help="Add lip-sync; of videos the seam and the lips' movement too."),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="The prepared dataset; by default the one there is."
        ),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(
            "--subset", metavar="NAME", help="Its clips to measure: test (default), small or full."
        ),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "--weights",
            metavar="MODEL",
            help="A generator to measure, a file or a run's name, repeatable; by default "
            "lipgan's own.",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option("--every", metavar="N", help="Measure every Nth frame of a clip (default 6)."),
    ] = None,
    gaussian: Annotated[
        bool,
        typer.Option(
            "--gaussian", help="SSIM with the Gaussian window of its paper, not a uniform 7x7."
        ),
    ] = False,
    batch_statistics: Annotated[
        bool,
        typer.Option(
            "--batch-statistics",
            help="Let batch norm see the measured frames of a clip, not its running statistics.",
        ),
    ] = False,
    fid_weights: Annotated[
        Path | None,
        typer.Option(
            "--fid-weights", metavar="FILE", help="The FID network, where it was not downloaded."
        ),
    ] = None,
    save_statistics: Annotated[
        Path | None,
        typer.Option(
            "--save-statistics",
            metavar="FILE",
            help="Keep the real side's FID statistics (.npz), to be given as REAL later.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Pictures in a batch of the FID network (50)."),
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(
            "--judge", metavar="FILE", help="Another lip-sync judge, from lipgan train --judge."
        ),
    ] = None,
    syncnet: Annotated[
        Path | None,
        typer.Option(
            "--syncnet",
            metavar="FILE",
            help="SyncNet's weights, for LSE-C and LSE-D, where they are not in your folder.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write all of it as one page of HTML."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write the figures of every picture."),
    ] = None,
    mos_kit: Annotated[
        Path | None,
        typer.Option(
            "--mos-kit",
            metavar="DIR",
            help="Make a page on which people rate videos blindly; give a folder a system.",
        ),
    ] = None,
    mos_pairs: Annotated[
        int | None,
        typer.Option(
            "--mos-pairs", min=1, metavar="N", help="Pairs that each rater is shown at most."
        ),
    ] = None,
    mos_results: Annotated[
        Path | None,
        typer.Option(
            "--mos-results",
            metavar="DIR",
            help="Sum up what they answered on the kit in DIR; give their files.",
        ),
    ] = None,
    force: Force = False,
    device: Device = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Score each FAKE against REAL, a video's lip-sync, or models on a dataset.

    Two folders of pictures or two videos: PSNR and SSIM, whole and of the mouth. One video: by how
    much its sound is late, and how sure that is. Without paths, models on a subset of a prepared
    dataset: their faces from the right audio, and the controls beside them.
    """
    from lipgan_cli.engine.metrics.features import BATCH
    from lipgan_cli.engine.paths import datasets_dir
    from lipgan_cli.engine.score.options import Measures

    progress = console.progress(quiet)
    given = paths or []
    used = {
        "--fid": fid or None,
        "--sync": sync or None,
        "--data": data,
        "--subset": subset,
        "--model": models or None,
        "--every": every,
        "--gaussian": gaussian or None,
        "--batch-statistics": batch_statistics or None,
        "--fid-weights": fid_weights,
        "--save-statistics": save_statistics,
        "--batch": batch,
        "--judge": judge,
        "--syncnet": syncnet,
        "--report": report,
        "--csv": csv,
        "--device": device,
        "--force": force or None,
    }
    if mos_pairs is not None and mos_kit is None:
        raise InputError("--mos-pairs is for making a kit", "give it with --mos-kit")
    if mos_kit is not None or mos_results is not None:
        _refuse(used, used, "{} is of no use with opinions", "leave it out")
        opinions.kit_or_results(mos_kit, mos_results, mos_pairs, given, progress, json)
        return
    film = len(given) == 1
    if film:
        _refuse(
            used,
            (*_OF_PAIRS, *_OF_FID),
            "{} needs something to compare with",
            "lipgan score REAL FAKE",
        )
    if given:
        hint = "leave out one or the other"
        _refuse(used, _OF_MODELS, "{} is for scoring a model on a dataset, not paths", hint)
    else:
        _refuse(used, ["--syncnet"], "{} is for videos, not for models", "leave it out")
    if not fid:
        _refuse(used, _OF_FID, "{} is of no use without --fid", "add --fid")
    if not sync and not film:
        _refuse(used, _OF_SYNC, "{} is of no use without --sync", "add --sync")
    measures = Measures(
        fid=fid,
        fid_weights=fid_weights,
        save_statistics=save_statistics,
        batch=BATCH if batch is None else batch,
        sync=sync,
        judge=judge,
        syncnet=syncnet,
        gaussian=gaussian,
        device=device,
        force=force,
    )
    outputs = _Outputs(report, csv, json)
    datasets = data if given or data is not None else datasets_dir()
    outputs.check([*given, *(models or []), datasets, judge, syncnet, fid_weights], measures)
    if film:
        _film(given[0], measures, outputs, progress)
    elif given:
        _pairs(given, subset, measures, outputs, progress)
    else:
        _models(data, subset, models or [], every, batch_statistics, measures, outputs, progress)


_OF_PAIRS = ("--fid", "--gaussian", "--csv", "--subset")
_OF_MODELS = ("--data", "--model", "--every", "--batch-statistics")
_OF_FID = ("--fid-weights", "--save-statistics", "--batch")
_OF_SYNC = ("--judge", "--syncnet")


@dataclass(frozen=True)
class _Outputs:
    """Where a score goes: the terminal, a page, a file of rows."""

    report: Path | None
    csv: Path | None
    json: bool

    def check(self, inputs: Iterable[Path | None], measures: Measures) -> None:
        """Check before any work that all files can be written, each to a place of its own.

        inputs: what is read, and never overwritten, whatever is forced; names of runs and of
            datasets too.
        """
        from lipgan_cli.engine.paths import check_output, datasets_dir, runs_dir

        statistics = measures.save_statistics
        if statistics is not None and statistics.suffix.lower() != ".npz":
            raise InputError(f"{statistics} does not end in .npz", "statistics are found by that")
        read = {
            place.resolve()
            for path in inputs
            if path is not None
            for place in (path, datasets_dir() / path, runs_dir() / path / "weights.safetensors")
        }
        files = [self.report, self.csv, statistics]
        given = [path for path in files if path is not None]
        places = [path.resolve() for path in given]
        for path, place in zip(given, places, strict=True):
            if places.count(place) > 1:
                raise InputError(f"two files cannot both be {path}", "give each its own name")
            if path.is_dir():
                raise InputError(f"{path} is a folder, not a file", "give the name of a file")
            if path.exists() and not read.isdisjoint({place, *place.parents}):
                raise InputError(f"{path} is part of what is scored", "give another name")
            check_output(path, measures.force)

    def tell(self, result: object, tables: Sequence[Table]) -> None:
        """Print a score as tables, or as JSON."""
        if self.json:
            console.print_json(result)
        else:
            console.tables(tables)


def _film(video: Path, measures: Measures, outputs: _Outputs, progress: Progress) -> None:
    from lipgan_cli.engine.metrics.pictures import is_picture
    from lipgan_cli.engine.paths import require_file

    if video.is_dir() or is_picture(video):
        raise InputError(
            f"there is nothing to compare {video} with",
            "lipgan score REAL FAKE, or lipgan score alone for a model on a dataset",
        )
    require_file(video, "the video")
    from lipgan_cli.engine.score.films import FilmRequest, score_film
    from lipgan_cli.engine.score.report import film_report
    from lipgan_cli.engine.score.tables import film_tables

    score = score_film(FilmRequest(video, measures), progress)
    if outputs.report is not None:
        film_report(outputs.report, score, measures)
    outputs.tell(score, film_tables(score))


def _pairs(
    paths: Sequence[Path],
    subset: str | None,
    measures: Measures,
    outputs: _Outputs,
    progress: Progress,
) -> None:
    from lipgan_cli.engine.score.pairs import PairRequest, score_pairs
    from lipgan_cli.engine.score.sides import videos_in
    from lipgan_cli.engine.score.tables import PAIR_HEADER, pair_rows, pair_tables

    request = PairRequest(paths[0], tuple(paths[1:]), subset, measures)
    if all(videos_in(path) for path in paths):
        _film_folders(request, outputs, progress)
        return
    score = score_pairs(request, progress)
    if outputs.csv is not None:
        from lipgan_cli.engine.metrics.report import write_csv

        write_csv(outputs.csv, PAIR_HEADER, pair_rows(score), measures.force)
    if outputs.report is not None:
        from lipgan_cli.engine.score.report import pair_report

        pair_report(outputs.report, score, measures)
    outputs.tell(score, pair_tables(score))


def _film_folders(request: PairRequest, outputs: _Outputs, progress: Progress) -> None:
    from lipgan_cli.engine.score.film_folders import folder_tables, score_film_folders
    from lipgan_cli.engine.score.tables import PAIR_HEADER, system_rows

    score = score_film_folders(request, progress)
    if outputs.csv is not None:
        from lipgan_cli.engine.metrics.report import write_csv

        rows = system_rows(system.frames for system in score.systems)
        write_csv(outputs.csv, PAIR_HEADER, rows, request.measures.force)
    if outputs.report is not None:
        from lipgan_cli.engine.score.report import folder_report

        folder_report(outputs.report, score, request.measures)
    outputs.tell(score, folder_tables(score))


def _models(
    data: Path | None,
    subset: str | None,
    models: Sequence[Path],
    every: int | None,
    batch_statistics: bool,
    measures: Measures,
    outputs: _Outputs,
    progress: Progress,
) -> None:
    from lipgan_cli.engine.metrics.protocol import EVERY
    from lipgan_cli.engine.score.model_tables import MODEL_HEADER, model_rows, model_tables
    from lipgan_cli.engine.score.models import ModelRequest, score_models
    from lipgan_cli.engine.score.sides import SUBSET

    request = ModelRequest(
        data=data,
        subset=SUBSET if subset is None else subset,
        models=tuple(models),
        every=EVERY if every is None else every,
        batch_statistics=batch_statistics,
        measures=measures,
    )
    score = score_models(request, progress)
    if outputs.csv is not None:
        from lipgan_cli.engine.metrics.report import write_csv

        write_csv(outputs.csv, MODEL_HEADER, model_rows(score), measures.force)
    if outputs.report is not None:
        from lipgan_cli.engine.score.report import model_report

        model_report(outputs.report, score, measures)
    outputs.tell(score, model_tables(score))


def _refuse(used: Mapping[str, object], refused: Iterable[str], message: str, hint: str) -> None:
    found = [name for name in refused if used[name] is not None]
    if found:
        raise InputError(message.format(", ".join(found)), hint)
