"""A kit for human raters: a page that shows pairs of clips blind and asks for opinion scores.

The scale is the five steps of Absolute Category Rating (ITU-T P.800 and P.910),
with a preference for each pair beside it. Neither the page nor a file name tells which system made
a clip; what is inside the clips' files is left as it is, so metadata that name a system must be
taken out beforehand.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import av

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.opening import open_media
from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.progress import Progress, Silent

FORMAT = 1
TEMPLATE = Path(str(files("lipgan_cli") / "assets" / "mos.html"))
PAGE = "index.html"
VIDEOS = "videos"
KEY_ENDING = ".key.json"

PLAYED = (".mp4", ".m4v", ".mov", ".webm")
"""Endings of the videos that browsers play."""
UNPLAYED = (".avi", ".flv", ".mkv", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".wmv", ".3gp")
"""Endings of other videos: an error, where a file that is no video is passed over."""
CODECS = frozenset({"h264", "vp8", "vp9", "av1"})
SOUNDS = frozenset({"aac", "mp3", "opus", "vorbis", "flac"})
"""What browsers decode."""

NAMED = 5
"""Clips that an error names before it says how many more there are."""


@dataclass(frozen=True)
class Question:
    """What is asked about each video; `key` stands for it in answers and results."""

    key: str
    text: str


QUESTIONS = (
    Question("sync", "How well does the mouth fit the speech?"),
    Question("natural", "How natural does the person look and move?"),
    Question("quality", "How good is the picture: sharp, steady, without flaws?"),
)
SCALE = ("Bad", "Poor", "Fair", "Good", "Excellent")
"""The words for 1 to 5."""


@dataclass(frozen=True)
class MosKit:
    """A kit that was written.

    Attributes:
        folder: what the raters get, as it is.
        page: the page in it that they open.
        key: which clip is which system's. It lies beside the folder and is not for the raters.
        kit: the kit's id, which is in every file of answers too.
        systems: their names, in the order given.
        clips: number of clips that every system has.
        pairs: number of pairs in the kit.
        trials: number of pairs that a rater is shown.
    """

    folder: Path
    page: Path
    key: Path
    kit: str
    systems: tuple[str, ...]
    clips: int
    pairs: int
    trials: int


def make_kit(
    folder: Path,
    systems: Sequence[Path],
    seed: int = 0,
    trials: int | None = None,
    progress: Progress | None = None,
) -> MosKit:
    """Write a kit of all pairs of systems for every clip into `folder`, and its key beside it.

    A system is a folder of videos. The clips are matched by their whole names, so that not even an
    ending tells systems apart. The same clips, names and seed give the same kit, byte for byte.

    Args:
        trials: pairs that a rater is shown at most, drawn for each; None shows all.

    Raises:
        InputError: fewer than two systems, or one twice; a clip that a system lacks, that browsers
            do not play or that has no sound; `folder` or its key is there already.
    """
    if trials is not None and trials < 1:
        raise InputError(f"{trials} pairs a rater are too few", "give 1 or more")
    folder = folder.absolute()
    key = key_path(folder)
    _check_free(folder, key)
    named = _named(systems)
    clips = _matched(named)
    told = progress or Silent()
    with told.task("checking clips", len(named) * len(clips), "clips") as task:
        digest = hashlib.sha256()
        for system, place in named.items():
            for clip in clips:
                _check_played(place / clip)
                with (place / clip).open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"{system}/{clip}/{content}\n".encode())
                task.advance()
    # The codes hang on the clips' content: without the clips, a seed does not give them away.
    chance = random.Random(f"{seed}/{digest.hexdigest()}")
    kit = f"{chance.getrandbits(64):016x}"
    codes = _codes(chance, [(system, clip) for clip in clips for system in named])
    pairs = [
        chance.sample([codes[one, clip], codes[other, clip]], 2)
        for clip in clips
        for one, other in combinations(named, 2)
    ]
    chance.shuffle(pairs)
    ending = {code: Path(clip).suffix.lower() for (_, clip), code in codes.items()}
    page = {
        "id": kit,
        "questions": [asdict(question) for question in QUESTIONS],
        "scale": SCALE,
        "limit": None if trials is None else min(trials, len(pairs)),
        "trials": [[code + ending[code] for code in pair] for pair in pairs],
    }
    secret = {
        "format": FORMAT,
        "kit": kit,
        "seed": seed,
        "systems": list(named),
        "items": {code: {"system": system, "clip": clip} for (system, clip), code in codes.items()},
    }
    with atomic_path(folder) as out, atomic_path(key, force=False) as beside:
        (out / VIDEOS).mkdir(parents=True)
        with told.task("copying clips", len(codes), "clips") as task:
            # In the order of the codes, so that neither does a time tell the system.
            for code, (system, clip) in sorted((code, item) for item, code in codes.items()):
                shutil.copyfile(named[system] / clip, out / VIDEOS / (code + ending[code]))
                task.advance()
        template = TEMPLATE.read_text("utf-8")
        (out / PAGE).write_text(template.replace("__KIT__", _embedded(page)), "utf-8")
        beside.write_text(json.dumps(secret, indent=1, ensure_ascii=False) + "\n", "utf-8")
    shown = len(pairs) if trials is None else min(trials, len(pairs))
    return MosKit(folder, folder / PAGE, key, kit, tuple(named), len(clips), len(pairs), shown)


def key_path(folder: Path) -> Path:
    """Where the key of a kit lies: beside its folder, `<folder>.key.json`."""
    folder = folder.absolute()
    return folder.with_name(folder.name + KEY_ENDING)


def _check_free(folder: Path, key: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder", "give another name")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"the folder {folder} is not empty", "give another name")
    if key.exists():
        raise InputError(
            f"{key} exists already: the answers to that kit could not be read without it",
            "give another name",
        )


def _named(systems: Sequence[Path]) -> dict[str, Path]:
    """Each system under the shortest end of its path that no other has."""
    if len(systems) < 2:
        raise InputError(
            f"a kit needs two systems or more to compare, not {len(systems)}",
            "give one folder of videos for each system",
        )
    for place in systems:
        if not place.is_dir():
            what = "is a file, not a folder" if place.exists() else "does not exist"
            raise InputError(f"{place} {what}", "give one folder of videos for each system")
    places = [place.resolve() for place in systems]
    for place in places:
        if places.count(place) > 1:
            raise InputError(f"{place} is given twice", "give each system once")
    longest = max(len(place.parts) for place in places)
    for length in range(1, longest + 1):
        names = ["/".join(place.parts[-length:]) for place in places]
        if len(set(names)) == len(names):
            break
    return dict(zip(names, systems, strict=True))


def _matched(systems: dict[str, Path]) -> list[str]:
    """The names of the clips, which every system has."""
    found = {system: _videos(place) for system, place in systems.items()}
    every = set().union(*found.values())
    lacking = [
        f"not in {systems[system]}: {_some(sorted(every - clips))}"
        for system, clips in found.items()
        if every - clips
    ]
    if lacking:
        raise InputError(
            f"the folders do not match by name: {'; '.join(lacking)}",
            "give every clip the same name and ending in each folder",
        )
    return sorted(every)


def _videos(folder: Path) -> set[str]:
    try:
        names = {path.name for path in folder.iterdir() if path.name[0] != "." and path.is_file()}
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be read: {error.strerror}", "check its permissions"
        ) from error
    unplayed = sorted(name for name in names if name.lower().endswith(UNPLAYED))
    if unplayed:
        raise InputError(
            f"browsers do not play these files of {folder}: {_some(unplayed)}",
            f"convert them: {', '.join(PLAYED)} are played",
        )
    played = {name for name in names if name.lower().endswith(PLAYED)}
    if not played:
        raise InputError(
            f"there is no video in {folder}",
            f"files ending in {', '.join(PLAYED)} count; subfolders are not searched",
        )
    return played


def _check_played(path: Path) -> None:
    """Check that browsers play a video and that it has sound."""
    if path.stat().st_size == 0:
        raise InputError(f"the video {path} is empty", "replace it")
    try:
        with open_media(path) as container:
            video = next(iter(container.streams.video), None)
            sound = next(iter(container.streams.audio), None)
            codec = video.codec_context.codec.canonical_name if video else ""
            pixels = video.codec_context.pix_fmt if video else ""
            spoken = sound.codec_context.codec.canonical_name if sound else ""
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"the video {path} cannot be read", "check that it plays") from error
    if not video:
        raise InputError(f"{path} has no picture", "give a video")
    if not sound:
        raise InputError(
            f"the video {path} has no sound, which the raters are asked about", "add it"
        )
    hint = "convert it: ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p -c:a aac OUT.mp4"
    if codec not in CODECS:
        raise InputError(f"browsers do not play the {codec} picture of {path}", hint)
    if codec == "h264" and pixels not in {"yuv420p", "yuvj420p"}:
        raise InputError(f"browsers do not play the {pixels} picture of {path}", hint)
    if spoken not in SOUNDS:
        raise InputError(f"browsers do not play the {spoken} sound of {path}", hint)


def _codes(chance: random.Random, items: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A random code for each item, no two alike."""
    drawn: dict[str, None] = {}
    while len(drawn) < len(items):
        drawn[f"{chance.getrandbits(40):010x}"] = None
    return dict(zip(items, drawn, strict=True))


def _embedded(page: Mapping[str, object]) -> str:
    """JSON that no HTML parser takes for the end of its element."""
    return json.dumps(page).replace("<", "\\u003c")


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
