"""`lipgan sync`: make a face speak."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from lipgan_cli.cli import campaign, console, marks
from lipgan_cli.cli.options import Device, Force, Json, Quiet
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.choices import (
    DEFAULT_BLEND,
    DEFAULT_CORNER,
    DEFAULT_DETECTOR,
    DEFAULT_FIT,
    DEFAULT_LABEL_OPACITY,
    DEFAULT_LABEL_SIZE,
    Blend,
    Codec,
    Detector,
    Fit,
)

if TYPE_CHECKING:
    from lipgan_cli.engine.sync import SyncOptions, SyncSummary
    from lipgan_cli.engine.sync.outlook import FoundFace, Outlook

USAGE = "lipgan sync face.mp4 speech.wav -o out.mp4, or lipgan sync --demo -o out.mp4"
MANY = "lipgan sync face.mp4 --messages messages.csv -o folder"


def sync(
    face: Annotated[
        Path | None, typer.Argument(metavar="FACE", help="A video or a photo of who is to speak.")
    ] = None,
    speech: Annotated[
        Path | None,
        typer.Argument(metavar="SPEECH", help="An audio file, or a video for its sound."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The video to make: .mp4, .mov, .mkv or .webm; with --messages, the folder.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Use the face and the speech that come with lipgan.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Tell what would be made, and draw the faces found with their numbers; no video.",
        ),
    ] = False,
    person: Annotated[
        str,
        typer.Option(
            "--face",
            metavar="WHO",
            help="largest, left, right, center, a number of --check, x,y in pixels, or a picture.",
        ),
    ] = "largest",
    fit: Annotated[
        Fit,
        typer.Option(
            help="When the face video is shorter than the speech: play it back and forth, in a "
            "loop, freeze its end; trim cuts whichever is longer, error makes nothing."
        ),
    ] = DEFAULT_FIT,
    start: Annotated[
        float | None, typer.Option(metavar="S", help="Where in the face video to begin, seconds.")
    ] = None,
    end: Annotated[
        float | None, typer.Option(metavar="S", help="Where in the face video to end, seconds.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where a frame that is shown has no face.")
    ] = False,
    offset: Annotated[
        float,
        typer.Option(
            "--av-offset-ms",
            metavar="MS",
            help="By how much the sound is heard later than the mouth moves; less than 0: earlier.",
        ),
    ] = 0.0,
    keep_audio: Annotated[
        float | None,
        typer.Option(
            metavar="DB", help="Keep the face video's own sound, so much below the speech."
        ),
    ] = None,
    blend: Annotated[
        Blend,
        typer.Option(
            help="feather: mouth, cheeks and chin, matched and faded in; "
            "none: the whole square as generated."
        ),
    ] = DEFAULT_BLEND,
    detector: Annotated[
        Detector,
        typer.Option(help="hog: fast, frontal faces; mmod: slow, turned faces too."),
    ] = DEFAULT_DETECTOR,
    codec: Annotated[
        Codec | None, typer.Option(help="By default vp9 for .webm, h264 else.")
    ] = None,
    crf: Annotated[
        int | None, typer.Option(metavar="N", help="Quality: less is better and larger.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of H.264 and H.265: ultrafast to veryslow; of VP9: 0 to 8."
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw moments of the result; with --check, the faces."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="MODEL",
            help="A generator of yours instead of lipgan's own: a run's name, or a file.",
        ),
    ] = None,
    cache: Annotated[
        bool, typer.Option(help="Keep faces, speech and shared pieces for the next run.")
    ] = True,
    provenance: marks.Provenance = True,
    sign_cert: marks.SignCert = None,
    sign_key: marks.SignKey = None,
    consent: marks.Consent = None,
    label: marks.LabelText = None,
    label_corner: marks.LabelCorner = DEFAULT_CORNER,
    label_size: marks.LabelSize = DEFAULT_LABEL_SIZE,
    label_opacity: marks.LabelOpacity = DEFAULT_LABEL_OPACITY,
    label_font: marks.LabelFont = None,
    messages: campaign.Messages = None,
    text: campaign.Text = None,
    tts: campaign.Tts = None,
    voice: campaign.VoiceName = None,
    loudness: campaign.Loudness = None,
    pause: campaign.Pause = None,
    min_sync: campaign.MinSync = None,
    limit: campaign.Limit = None,
    dry_run: campaign.DryRun = False,
    retry_failed: campaign.RetryFailed = False,
    shard: campaign.ShardOf = None,
    workers: campaign.Workers = None,
    scheduler: campaign.Scheduler = None,
    device: Device = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make the person in FACE, a video or a photo, speak SPEECH.

    The video is as long as the speech: a longer FACE is cut, a shorter one plays back and forth.

    With --messages, OUT is a folder: one video for every row of a table.
    """
    if messages is None:
        campaign.check_alone(
            {
                "--text": text,
                "--tts": tts,
                "--voice": voice,
                "--loudness": loudness,
                "--pause": pause,
                "--min-sync": min_sync,
                "--limit": limit,
                "--dry-run": dry_run,
                "--retry-failed": retry_failed,
                "--shard": shard,
                "--workers": workers,
                "--scheduler": scheduler,
            }
        )
    elif speech is not None or demo or check:
        other = "SPEECH" if speech is not None else "--demo" if demo else "--check"
        raise InputError(
            f"--messages and {other} do not go together",
            "leave out one; --dry-run is the check of many messages",
        )
    speech = messages or speech
    from lipgan_cli.engine.media.demo import SPEECH, write_portrait
    from lipgan_cli.engine.sync import SyncOptions
    from lipgan_cli.engine.sync.options import MarkOptions

    with TemporaryDirectory(prefix="lipgan-") as folder:
        if demo:
            if face is not None or speech is not None:
                raise InputError(
                    "--demo brings its own face and speech", "leave out --demo, or FACE and SPEECH"
                )
            face, speech = write_portrait(Path(folder) / "portrait.png"), SPEECH
        if face is None or speech is None:
            missing = "SPEECH" if face else "FACE and SPEECH" if messages is None else "FACE"
            raise InputError(f"{missing} not given", USAGE if messages is None else MANY)
        if output is None and not check:
            raise InputError("--output not given", USAGE if messages is None else MANY)
        if output is None:  # of a check, which makes a sheet alone
            output = Path(f"{face.stem}-speaking.mp4")
            sheet = sheet or Path(f"{face.stem}-faces.png")
        options = SyncOptions(
            face=face,
            speech=speech,
            output=output,
            weights=weights,
            device=device,
            person=person,
            fit=fit,
            start=start,
            end=end,
            av_offset_ms=offset,
            blend=blend,
            detector=detector,
            codec=codec,
            crf=crf,
            preset=preset,
            keep_audio=keep_audio,
            strict=strict,
            sheet=sheet,
            cache=cache,
            force=force,
            marks=MarkOptions(
                provenance=provenance,
                sign_cert=sign_cert,
                sign_key=sign_key,
                consent=consent,
                label=label,
                label_corner=label_corner,
                label_size=label_size,
                label_opacity=label_opacity,
                label_font=label_font,
            ),
        )
        if messages is not None:
            many = campaign.options(
                options,
                template=text,
                tts=tts,
                voice=voice,
                loudness=loudness,
                pause=pause,
                min_sync=min_sync,
                limit=limit,
                retry_failed=retry_failed,
                shard=shard,
                workers=workers,
                scheduler=scheduler,
            )
            campaign.run(many, dry_run, quiet, json)
        elif check:
            _foresee(options, quiet, json)
        else:
            _make(options, quiet, json)


def _make(options: SyncOptions, quiet: bool, json: bool) -> None:
    from lipgan_cli.engine.sync import sync as make

    summary = make(options, console.progress(quiet))
    if json:
        console.print_json(summary)
        return
    if not quiet:
        console.print_note(_told(summary))
    console.print_result(summary.output)


def _told(made: SyncSummary) -> str:
    parts = [f"{made.frames:,} frames, {made.seconds:.2f} s in {made.elapsed:.1f} s"]
    parts += [f"face {made.face_pixels} pixels"]
    if made.repeated:
        parts += [f"{made.repeated:,} frames shown again"]
    if made.without_face:
        parts += [f"{_length(made.without_face):.2f} s without a face"]
    if made.own_authority:
        parts += ["signed by this machine's own authority, which shows changes but no name"]
    return ", ".join(parts)


def _foresee(options: SyncOptions, quiet: bool, json: bool) -> None:
    from lipgan_cli.engine.sync.outlook import foresee

    outlook = foresee(options, console.progress(quiet))
    if json:
        console.print_json(outlook)
        return
    rows = [(name, value) for name, value in _lines(outlook) if value]
    width = max(len(name) for name, _ in rows) + 2
    console.print_result("\n".join(f"{name:<{width}}{value}" for name, value in rows))


def _lines(outlook: Outlook) -> list[tuple[str, str]]:
    rate = f"{float(outlook.fps):.6g} fps" + (", varying" if outlook.variable_rate else "")
    larger = outlook.face_pixels / 96
    faces = [(f"face {face.number}", _place(face)) for face in outlook.faces]
    return [
        ("video", f"{outlook.width}x{outlook.height}, {rate}"),
        ("result", f"{outlook.frames:,} frames, {outlook.seconds:.2f} s"),
        ("shown again", f"{outlook.repeated:,} frames" if outlook.repeated else ""),
        *faces,
        ("painted", f"{outlook.face_pixels} pixels, {larger:.1f} times the network's 96"),
        ("cuts", ", ".join(f"{cut:.2f} s" for cut in outlook.cuts)),
        ("without a face", _spans(outlook.without_face)),
        ("silence", _spans(outlook.silence)),
        ("expected time", f"{outlook.expected_seconds:.0f} s"),
        ("faces drawn in", str(outlook.sheet)),
    ]


def _place(face: FoundFace) -> str:
    first, last = face.seen
    return f"at {face.x:.0f},{face.y:.0f}, {face.side:.0f} pixels, {first:.2f} to {last:.2f} s"


def _spans(spans: Sequence[tuple[float, float]]) -> str:
    return ", ".join(f"{first:.2f} to {last:.2f} s" for first, last in spans)


def _length(spans: Sequence[tuple[float, float]]) -> float:
    return sum(last - first for first, last in spans)
