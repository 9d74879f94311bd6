"""How well a generator follows voices that it does not know: changed ones, and other people's.

    python tests/benchmarks/voices.py DATASET SPEECH [WEIGHTS ...]

DATASET: the folder of a prepared dataset; SPEECH: a folder of recordings. First the gaps of
`lipgan score` with the test clips' own sounds changed. Then test clips made to speak what other
people say, as the lip-sync judge hears it: the other test speakers, and the recordings. Without
weights, those of the install. Of each test speaker, the first clip speaks and is spoken.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lipgan_cli.engine.data.dataset import Clip, Dataset
from lipgan_cli.engine.data.sounds import Effect, heard
from lipgan_cli.engine.gan.inference import DEFAULT_WEIGHTS, Animator
from lipgan_cli.engine.media.audio import (
    COLUMNS_PER_SECOND,
    WINDOW,
    column_count,
    mel_spectrogram,
    mel_windows,
    read_audio,
)
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.metrics.judge import Judge, load_judge
from lipgan_cli.engine.metrics.lipsync import (
    Embedded,
    SyncFigures,
    embed_mel,
    embed_mouths,
    mouth,
    verdict,
    windows,
)
from lipgan_cli.engine.metrics.protocol import MeasuredClip, measure, reference_of, speakers_of

VOICES = {
    "as recorded": Effect(),
    "lower, a longer throat": Effect(pitch=0.8, formant=0.87),
    "higher, a shorter throat": Effect(pitch=1.33, formant=1.15),
    "noise 15 dB below": Effect(noise=10 ** (-15 / 20), pink=0.5),
}
EVERY = 24
"""Frames from one measured frame to the next: a quarter of those that `lipgan score` takes."""


class Changed:
    """A clip that is heard in another voice."""

    def __init__(self, clip: Clip, effect: Effect) -> None:
        self.face, self.times = clip.face, clip.times
        self.key, self.speaker, self._frames = clip.key, clip.speaker, len(clip)
        sound = clip.sound()
        times = np.arange(column_count(sound)) / COLUMNS_PER_SECOND
        self._mel = heard(sound, times, effect)[:, :, WINDOW // 2].T

    def __len__(self) -> int:
        return self._frames

    def mel(self) -> NDArray[np.float32]:
        return self._mel


def tell_gaps(animator: Animator, clips: Sequence[Clip]) -> None:
    """Print what is right, and by how much, in each voice."""
    for name, effect in VOICES.items():
        found = measure(animator.faces, [Changed(clip, effect) for clip in clips], EVERY)
        figures = "   ".join(
            f"{one.name} {one.right.mouth.psnr.mean:.2f} {one.gap_to_swapped:+.2f} "
            f"{one.gap_to_still:+.2f}"
            for one in found.figures().speakers
        )
        print(f"{name:26} {figures}", flush=True)


def speak(
    judge: Judge, animator: Animator, clip: MeasuredClip, mel: NDArray[np.float32]
) -> SyncFigures:
    """Let a clip's faces speak a sound, and return what the judge says of it."""
    times = np.asarray(clip.times, np.float64)
    faces = np.stack([clip.face(i) for i in range(len(clip))])
    references = np.stack([clip.face(reference_of(i, len(clip))) for i in range(len(clip))])
    painted = animator.faces(references, faces, mel_windows(mel, times))
    laid = windows(times)
    seen = embed_mouths(judge, map(mouth, painted), laid)
    said = verdict(Embedded(seen, laid.columns, embed_mel(judge, mel)))
    assert said is not None
    return said


def tell_strangers(
    animator: Animator, clips: dict[str, MeasuredClip], speech: dict[str, NDArray[np.float32]]
) -> None:
    """Print how sure the judge is of each speaker's clip with what others say, and if it fits."""
    judge = load_judge()
    for voice, mel in ({name: clip.mel() for name, clip in clips.items()} | speech).items():
        said = {name: speak(judge, animator, clips[name], mel) for name in clips if name != voice}
        line = "   ".join(
            f"{name} {one.confidence:.3f} {'in sync' if one.in_sync else 'off'}"
            for name, one in said.items()
        )
        print(f"{voice:26} {line}", flush=True)


def main(data: Path, speech: Path, weights: list[Path]) -> None:
    """Print both tables for each of the weights."""
    clips = list(Dataset.open(data).clips("test"))
    recordings = {
        path.stem[:24]: mel_spectrogram(levelled(read_audio(path)))
        for path in sorted(speech.iterdir())
        if "silence" not in path.name
    }
    for path in weights or [DEFAULT_WEIGHTS]:
        print(path)
        animator = Animator.load(path, torch.device("cpu"))
        tell_gaps(animator, clips)
        firsts = {name: own[0] for name, own in speakers_of(clips).items()}
        tell_strangers(animator, firsts, recordings)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
