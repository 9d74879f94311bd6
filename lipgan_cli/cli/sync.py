"""`lipgan sync`: make a face speak."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Device, Force, Json, Quiet
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.choices import DEFAULT_BLEND, DEFAULT_DETECTOR, Blend, Detector


def sync(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The video to make: .mp4, .mov or .mkv."
        ),
    ],
    face: Annotated[
        Path | None, typer.Argument(metavar="FACE", help="A video or a photo of one person.")
    ] = None,
    speech: Annotated[
        Path | None,
        typer.Argument(metavar="SPEECH", help="An audio file, or a video for its sound."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Use the face and the speech that come with lipgan.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", help="A generator of yours instead of lipgan's own."
        ),
    ] = None,
    blend: Annotated[
        Blend,
        typer.Option(
            help="feather: mouth, cheeks and chin, colour-matched and faded in; "
            "none: the whole square as generated."
        ),
    ] = DEFAULT_BLEND,
    detector: Annotated[
        Detector,
        typer.Option(help="hog: fast, frontal faces; mmod: slow, turned faces too."),
    ] = DEFAULT_DETECTOR,
    device: Device = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make the person in FACE, a video or a photo, speak SPEECH.

    The video is as long as the speech: a longer FACE is cut, a shorter one plays back and forth.
    """
    from lipgan_cli.engine.media.demo import SPEECH, write_portrait
    from lipgan_cli.engine.sync import SyncRequest
    from lipgan_cli.engine.sync import sync as make

    with TemporaryDirectory(prefix="lipgan-") as folder:
        if demo:
            if face is not None or speech is not None:
                raise InputError(
                    "--demo brings its own face and speech", "leave out --demo, or FACE and SPEECH"
                )
            face, speech = write_portrait(Path(folder) / "portrait.png"), SPEECH
        if face is None or speech is None:
            missing = "FACE and SPEECH" if face is None else "SPEECH"
            raise InputError(
                f"{missing} not given",
                "lipgan sync face.mp4 speech.wav -o out.mp4, or lipgan sync --demo -o out.mp4",
            )
        request = SyncRequest(
            face=face,
            speech=speech,
            output=output,
            weights=weights,
            device=device,
            blend=blend,
            detector=detector,
            force=force,
        )
        summary = make(request, console.progress(quiet))
    if json:
        console.print_json(summary)
    else:
        console.print_result(summary.output)
