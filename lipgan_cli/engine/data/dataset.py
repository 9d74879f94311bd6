"""The prepared dataset on disk: face crops, sound, mels, and the lists that train and score read.

dataset.json                        format number and every parameter
clips/<speaker>/<clip>/             00000.jpg ..., mel.npz, sound.flac, clip.json
subsets/{small,full,test}.txt       lines `speaker/clip`
left_out.jsonl                      clips and frames left out, each with the reason
offsets.json                        how late the sound of each clip is
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.faces import CROP
from lipgan_cli.engine.media.flac import read_flac
from lipgan_cli.engine.paths import datasets_dir

FORMAT = 2
SUBSETS = ("small", "full", "test")


@dataclass(frozen=True)
class Clip:
    """One prepared clip: a face in every kept frame, and the mel of its sound."""

    key: str  # speaker/clip
    speaker: str
    folder: Path
    times: NDArray[np.float64]  # (n,) seconds of the kept frames on the mel's clock
    frames: NDArray[np.int64]  # (n,) their numbers in the video; frame 7 is the file 00007.jpg

    def __len__(self) -> int:
        return len(self.frames)

    def starts(self, window: int) -> NDArray[np.intp]:
        """Return the kept faces from which on `window` frames follow each other without a gap."""
        first = self.frames[: max(0, len(self) - window + 1)]
        last = self.frames[window - 1 :]
        return np.flatnonzero(last - first == window - 1)

    def face(self, i: int) -> NDArray[np.uint8]:
        """Return the i-th kept face, RGB (96, 96, 3).

        Raises:
            LipganError: the file is missing or damaged.
        """
        path = self.folder / face_name(int(self.frames[i]))
        try:
            with path.open("rb", buffering=0) as file:
                coded = np.frombuffer(file.read(), np.uint8)
            picture = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        except (OSError, cv2.error):
            picture = None
        if picture is None or picture.shape != (CROP, CROP, 3):
            raise _damaged(path)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    def mel(self) -> NDArray[np.float32]:
        """Return the mel-spectrogram of the clip's sound, (80, columns) in [-4, 4].

        Raises:
            LipganError: the file is missing or damaged.
        """
        path = self.folder / "mel.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return np.asarray(stored["mel"], np.float32)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise _damaged(path) from error

    def sound(self) -> NDArray[np.float32]:
        """Return the sound behind the mel, mono at 16 kHz in [-2, 2]; sample 0 is at 0 seconds.

        Raises:
            LipganError: the file is missing or damaged.
        """
        path = self.folder / "sound.flac"
        try:
            return read_flac(path)
        except InputError as error:
            raise _damaged(path) from error


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset, opened for reading."""

    path: Path
    parameters: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """Open a prepared dataset.

        Raises:
            InputError: the folder is no dataset, or of a format that this version cannot read.
        """
        about = read_about(path)
        if about is None:
            raise InputError(f"{path} is not a prepared dataset", "lipgan prep makes one")
        return cls(path, about)

    def clips(self, subset: str) -> list[Clip]:
        """Return the clips of a subset, in the order of its list.

        Raises:
            InputError: there is no such subset, or it is empty.
            LipganError: a listed clip is missing or damaged.
        """
        if subset not in SUBSETS:
            raise InputError(f"there is no subset {subset!r}", f"one of {', '.join(SUBSETS)}")
        keys = read_subset(self.path, subset)
        if not keys:
            raise InputError(
                f"the subset {subset} of {self.path} is empty",
                "lipgan prep with more clips of each speaker, or with --test-dir",
            )
        return [self.clip(key) for key in keys]

    def about_file(self, key: str) -> Path:
        """Return the file that says all of a clip but its faces and sound."""
        return self.path / "clips" / key / "clip.json"

    def clip(self, key: str) -> Clip:
        """Return one clip by its key, `speaker/clip`.

        Raises:
            LipganError: it is missing or damaged.
        """
        path = self.about_file(key)
        folder = path.parent
        try:
            about = json.loads(path.read_text("utf-8"))
            return Clip(
                key=key,
                speaker=key.split("/")[0],
                folder=folder,
                times=np.asarray(about["times"], np.float64),
                frames=np.asarray(about["frames"], np.int64),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path) from error


def speaker_chances(speakers: Mapping[str, Sized], balance: float) -> NDArray[np.float64]:
    """Return each speaker's chance of being drawn, by its number of clips to the power `balance`.

    1 draws every clip alike, 0 every speaker alike.
    """
    weights = np.array([len(clips) for clips in speakers.values()], float) ** balance
    return np.asarray(weights / weights.sum())


def face_name(frame: int) -> str:
    """Return the file name of a frame's face crop."""
    return f"{frame:05d}.jpg"


def _damaged(path: Path) -> LipganError:
    return LipganError(f"{path} is missing or damaged", "lipgan prep on the same clips mends it")


def read_about(path: Path) -> dict[str, Any] | None:
    """Return what dataset.json says, or None where there is no such file.

    Raises:
        InputError: it cannot be read, or is of a format that this version does not know.
    """
    place = path / "dataset.json"
    if not place.is_file():
        return None
    try:
        about = json.loads(place.read_text("utf-8"))
        number = about["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{place} is damaged", "prepare the clips into another folder") from error
    if number != FORMAT:
        raise InputError(
            f"{path} has format {number}, this version reads format {FORMAT}",
            "prepare the clips again, or update lipgan",
        )
    return dict(about)


def read_subset(path: Path, subset: str) -> list[str]:
    """Return the keys of a subset's list, none where there is no list."""
    place = path / "subsets" / f"{subset}.txt"
    return place.read_text("utf-8").split("\n")[:-1] if place.is_file() else []


def resolve(path: Path | None) -> Path:
    """Return the dataset to use: the one given, or the only one in the user's folder.

    A name without a folder is looked up in the user's folder too.

    Raises:
        InputError: there is none, or several could be meant.
    """
    if path is not None:
        by_name = datasets_dir() / path
        if not (path / "dataset.json").is_file() and (by_name / "dataset.json").is_file():
            return by_name
        return path
    made = sorted(
        place.parent
        for place in datasets_dir().glob("*/dataset.json")
        if any(read_subset(place.parent, subset) for subset in SUBSETS)
    )
    if not made:
        raise InputError(
            f"there is no prepared dataset in {datasets_dir()}", "make one with lipgan prep"
        )
    if len(made) > 1:
        names = ", ".join(place.name for place in made)
        raise InputError(f"several datasets could be meant: {names}", "choose one with --data")
    return made[0]
