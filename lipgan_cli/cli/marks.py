"""The options of `lipgan sync` for what a video says of its making."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipgan_cli.engine.media.choices import Corner

Provenance = Annotated[
    bool,
    typer.Option(
        "--provenance/--no-provenance",
        help="Mark the video as made by a model: signed credentials, a tag, a mark in the sound.",
    ),
]
SignCert = Annotated[
    Path | None,
    typer.Option(
        "--sign-cert",
        metavar="PEM",
        help="Your certificate to sign with; by default this machine's own.",
    ),
]
SignKey = Annotated[
    Path | None, typer.Option("--sign-key", metavar="PEM", help="The key of --sign-cert.")
]
Consent = Annotated[
    Path | None,
    typer.Option(
        "--consent", metavar="FILE", help="The person's consent: its hash is signed, too."
    ),
]
LabelText = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="TEXT",
        help="Write this into the picture; a language's code, such as de, has its usual text.",
    ),
]
LabelCorner = Annotated[Corner, typer.Option("--label-corner", help="Where the label is.")]
LabelSize = Annotated[
    float,
    typer.Option(
        "--label-size", metavar="S", help="Of its letters, as part of the picture's shorter side."
    ),
]
LabelOpacity = Annotated[
    float, typer.Option("--label-opacity", metavar="A", help="0.5 to 1; fainter cannot be read.")
]
LabelFont = Annotated[
    Path | None,
    typer.Option("--label-font", metavar="FILE", help="A font, .ttf or .otf, for other scripts."),
]
