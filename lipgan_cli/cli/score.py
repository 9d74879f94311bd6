"""`lipgan score`: how near generated pictures come to real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Device, Json, Quiet
from lipgan_cli.engine.errors import InputError

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.image import PairSummary, Summary
    from lipgan_cli.engine.metrics.protocol import GroupFigures
    from lipgan_cli.engine.score import ModelScore, PairScore

_STATISTICS = ("mean", "median", "max", "min")


def score(
    real: Annotated[
        Path | None,
        typer.Argument(metavar="REAL", help="A folder of real pictures, or a real video."),
    ] = None,
    generated: Annotated[
        Path | None,
        typer.Argument(metavar="FAKE", help="The generated ones: same names, or same frames."),
    ] = None,
    fid: Annotated[
        bool, typer.Option("--fid", help="Add the Frechet Inception Distance, by pytorch-fid.")
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
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", help="The generator to measure; by default lipgan's own."
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
    device: Device = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Score FAKE against REAL (folders of pictures, or two videos), or a model on a dataset.

    PSNR and SSIM of whole pictures and of the mouth region. Without REAL and FAKE, a model on a
    subset of a prepared dataset: its faces from the right audio, and the controls beside them.
    """
    from lipgan_cli.engine import score as engine
    from lipgan_cli.engine.metrics.protocol import EVERY

    progress = console.progress(quiet)
    if fid_weights is not None and not fid:
        raise InputError("--fid-weights is of no use without --fid", "add --fid")
    if real is not None or generated is not None:
        _check_pair(real, generated, data, subset, weights, every, batch_statistics)
        assert real is not None and generated is not None
        pair = engine.score_pair(
            engine.PairRequest(
                real=real,
                generated=generated,
                fid=fid,
                fid_weights=fid_weights,
                gaussian=gaussian,
                device=device,
            ),
            progress,
        )
        if json:
            console.print_json(pair)
        else:
            _print_pair(pair)
        return
    model = engine.score_model(
        engine.ModelRequest(
            data=data,
            subset=engine.SUBSET if subset is None else subset,
            weights=weights,
            every=EVERY if every is None else every,
            fid=fid,
            fid_weights=fid_weights,
            gaussian=gaussian,
            batch_statistics=batch_statistics,
            device=device,
        ),
        progress,
    )
    if json:
        console.print_json(model)
    else:
        _print_model(model)


def _check_pair(
    real: Path | None,
    generated: Path | None,
    data: Path | None,
    subset: str | None,
    weights: Path | None,
    every: int | None,
    batch_statistics: bool,
) -> None:
    if real is None or generated is None:
        raise InputError(
            f"there is nothing to compare {real} with",
            "lipgan score REAL FAKE, or lipgan score alone for a model on a dataset",
        )
    options = {
        "--data": data,
        "--subset": subset,
        "--weights": weights,
        "--every": every,
        "--batch-statistics": batch_statistics or None,
    }
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(
            f"{', '.join(given)} is for scoring a model on a dataset, not REAL and FAKE",
            "leave out one or the other",
        )


def _print_pair(score: PairScore) -> None:
    if score.figures is not None:
        rows = _summary_rows(score.figures)
        console.table(("", *_STATISTICS, "pairs", "identical"), rows)
    if score.fid is not None:
        console.print_result(f"FID {score.fid:.4f}")


def _summary_rows(figures: PairSummary) -> list[Sequence[object]]:
    return [
        (f"{measure}, {place}", *_cells(summary, digits), summary.count, summary.identical)
        for place, measured in (("whole", figures.whole), ("mouth", figures.mouth))
        if measured is not None
        for measure, summary, digits in (
            ("SSIM", measured.ssim, 4),
            ("PSNR in dB", measured.psnr, 2),
        )
    ]


def _cells(summary: Summary, digits: int) -> list[str]:
    return [f"{getattr(summary, name):.{digits}f}" for name in _STATISTICS]


def _print_model(score: ModelScore) -> None:
    figures = score.figures
    groups = figures.speakers if len(figures.speakers) == 1 else (*figures.speakers, figures.total)
    console.table(
        (
            "mouth, mean PSNR in dB",
            "clips",
            "frames",
            "right audio",
            "swapped",
            "still",
            "copy",
            "gap to swapped",
            "gap to still",
        ),
        [_gap_row(group) for group in groups],
    )
    console.print_result("")
    console.table(
        ("right audio", *_STATISTICS),
        [
            (f"{group.name}, {name}", *cells)
            for group in groups
            for name, *cells, _pairs, _identical in _summary_rows(group.right)
        ],
    )
    if score.response is not None:
        console.print_result(f"\nresponse to the sound {score.response.audio:.2f}")
        if score.response.face is not None:
            console.print_result(f"response to the person's face {score.response.face:.2f}")
    if score.fid is not None:
        console.print_result(f"\nFID {score.fid:.4f}")


def _gap_row(group: GroupFigures) -> Sequence[object]:
    return (
        group.name,
        group.clips,
        group.frames,
        _mouth_psnr(group.right),
        _mouth_psnr(group.swapped),
        _mouth_psnr(group.still),
        _mouth_psnr(group.copy),
        _signed(group.gap_to_swapped),
        _signed(group.gap_to_still),
    )


def _signed(gap: float | None) -> str:
    # Adding nothing turns -0.0 into 0.0.
    return "-" if gap is None else f"{round(gap, 2) + 0.0:+.2f}"


def _mouth_psnr(figures: PairSummary | None) -> str:
    return "-" if figures is None or figures.mouth is None else f"{figures.mouth.psnr.mean:.2f}"
