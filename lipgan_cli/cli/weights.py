"""`lipgan download-weights`: fetching and verifying what is not part of the install."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Force, Json, Quiet
from lipgan_cli.engine.errors import InputError, LipganError

if TYPE_CHECKING:
    from pathlib import Path

    from lipgan_cli.engine.run.generators import LocalGenerator
    from lipgan_cli.engine.weights import Installed
    from lipgan_cli.engine.weights.registry import WeightsFile


def download_weights(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAMES]", help="What is meant, or all; by default the recommended ones."
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="Fetch nothing; list what there is and what is here.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE|DIR|URL",
            help="Take a local copy, or a mirror's, instead of the usual addresses.",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Fetch nothing; verify every file that is here.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the named files from the user's folder.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use no network; fail where something is not here.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fetch weights into the user's folder and verify them by size and SHA-256."""
    _check(names, show, verify, remove, source is not None or offline or force)
    if show:
        _list(names or (), json)
    elif verify:
        _verify(names or (), json)
    elif remove:
        _remove(names or (), quiet, json)
    else:
        _fetch(names or (), source, offline, force, quiet, json)


def _check(
    names: Sequence[str] | None, show: bool, verify: bool, remove: bool, fetching: bool
) -> None:
    """Check that the options go together."""
    if show + verify + remove > 1:
        raise InputError("--list, --verify and --remove exclude each other", "give one of them")
    if (show or verify or remove) and fetching:
        raise InputError(
            "--from, --offline and --force are for fetching",
            "give them without --list, --verify and --remove",
        )
    if remove and not names:
        raise InputError("--remove needs a name", "name the weights, or say all")


def _fetch(
    names: Sequence[str], source: str | None, offline: bool, force: bool, quiet: bool, json: bool
) -> None:
    """Fetch what is meant; what cannot be had does not keep the rest away."""
    from lipgan_cli.engine.weights import sources
    from lipgan_cli.engine.weights.download import download

    place = sources.source_of(source)
    if offline and isinstance(place, str):
        raise InputError(f"--offline fetches nothing from {source}", "give a file or a folder")
    progress = console.progress(quiet)
    fetched: list[Installed] = []
    failed: list[LipganError] = []
    for row in sources.chosen(names, place):
        try:
            installed = download(row, progress, force, place, offline)
        except LipganError as error:
            failed.append(error)
            continue
        fetched.append(installed)
        version = installed.version
        progress.note(f"{row.name}: verified by SHA-256 ({version.what if version else ''})")
        if not json:
            console.print_result(installed.path)
    if json:
        console.print_json([_data(installed) for installed in fetched])
    if len(failed) == 1:
        raise failed[0]
    if failed:
        told = "; ".join(error.message for error in failed)
        raise LipganError(f"{len(failed)} files of weights are missing: {told}", failed[0].hint)


def _list(names: Sequence[str], json: bool) -> None:
    from lipgan_cli.engine.paths import weights_dir
    from lipgan_cli.engine.run.generators import local_generators
    from lipgan_cli.engine.weights import inspect

    listed = [inspect(row) for row in _rows(names)]
    own = local_generators()
    if json:
        console.print_json({"weights": [_data(one) for one in listed], "local": own})
        return
    console.table(
        ("name", "state", "where", "size", "licence", "recommended", "unlocks"),
        [
            (
                one.weights.name,
                one.state,
                _where(one),
                _megabytes(one.weights.size),
                one.weights.licence,
                "yes" if one.weights.recommended else "-",
                one.weights.unlocks,
            )
            for one in listed
        ],
    )
    console.print_result(f"in {weights_dir()}\n")
    _print_generators(own)


def _print_generators(own: Iterable[LocalGenerator]) -> None:
    console.table(
        ("generator", "size", "variant", "data", "mouth PSNR in dB", "file"),
        [
            (
                console.one_line(one.name),
                _megabytes(one.size),
                console.one_line(one.problem or one.variant or "-"),
                console.one_line(one.data or "-"),
                "-" if one.mouth_psnr is None else f"{one.mouth_psnr:.2f}",
                console.one_line(str(one.path)),
            )
            for one in own
        ],
    )


def _verify(names: Sequence[str], json: bool) -> None:
    """Verify every copy of what is named, or of all there is; damage is a failure."""
    from lipgan_cli.engine.weights import State, copies, inspect

    found: list[Installed] = []
    for row in _rows(names):
        here = list(copies(row))
        found += here or ([inspect(row)] if names else [])
    if json:
        console.print_json([_data(one) for one in found])
    elif found:
        console.table(
            ("name", "state", "version", "file"),
            [
                (
                    one.weights.name,
                    one.state,
                    one.version.what if one.version else "-",
                    console.one_line(str(one.path)),
                )
                for one in found
            ],
        )
    else:
        console.print_note("no weights are here that could be verified")
    wrong = [one for one in found if one.state is not State.VERIFIED]
    if wrong:
        told = ", ".join(f"{one.path} is {one.state}" for one in wrong)
        again = " ".join(dict.fromkeys(one.weights.name for one in wrong))
        raise LipganError(told, f"lipgan download-weights {again} fetches what is missing")


def _remove(names: Sequence[str], quiet: bool, json: bool) -> None:
    from lipgan_cli.engine.weights import inspect, remove

    progress = console.progress(quiet)
    gone: list[Path] = []
    for row in _rows(names):
        removed = remove(row)
        gone += removed
        left = inspect(row)
        if left.version is not None:
            progress.note(f"{row.name}: {left.path} stays: it belongs to an installed package")
        elif not removed:
            progress.note(f"{row.name}: nothing is here")
        if not json:
            for path in removed:
                console.print_result(path)
    if json:
        console.print_json(gone)


def _rows(names: Sequence[str]) -> tuple[WeightsFile, ...]:
    """The named rows; all without names."""
    from lipgan_cli.engine.weights import sources

    return sources.chosen(names or (sources.ALL,))


def _where(installed: Installed) -> str:
    if installed.version is None:
        return "-"
    return "here" if installed.own else "face_recognition_models"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _data(installed: Installed) -> dict[str, object]:
    row, version = installed.weights, installed.version
    return {
        "name": row.name,
        "file": row.file,
        "purpose": row.purpose,
        "unlocks": row.unlocks,
        "size": row.size,
        "licence": row.licence,
        "caveat": row.caveat,
        "recommended": row.recommended,
        "urls": row.urls,
        "state": installed.state,
        "path": installed.path,
        "sha256": version.sha256 if version else None,
        "version": version.what if version else None,
        "known": version.known if version else None,
    }
