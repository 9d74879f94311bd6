"""Samples a second that one core loads, without any network.

    python tests/benchmarks/loader.py [dataset] [batches]

Without a dataset, one of noisy faces is made, with as many bytes a face as GRID has. What counts
is the processor time of this process, so that other work on the machine does not matter much.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from lipgan_cli.engine.config import GROUPS, TrainConfig, Variant
from lipgan_cli.engine.data import samples
from lipgan_cli.engine.data.dataset import FORMAT, Dataset
from lipgan_cli.engine.data.samples import Draws, batches
from lipgan_cli.engine.media.audio import mel_spectrogram
from lipgan_cli.engine.media.flac import quantised, write_flac

CLIPS, FRAMES, BATCH = 40, 75, 128


def make(folder: Path) -> Path:
    """Write a dataset of smooth pictures with grain, 5.5 kB each, and of noisy sound."""
    random = np.random.default_rng(0)
    keys = [f"s{number % 4}/c{number}" for number in range(CLIPS)]
    (folder / "subsets").mkdir()
    (folder / "subsets" / "full.txt").write_text("".join(f"{key}\n" for key in keys))
    (folder / "dataset.json").write_text(json.dumps({"format": FORMAT, "parameters": {}}))
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95]
    settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    for key in keys:
        place = folder / "clips" / key
        place.mkdir(parents=True)
        smooth = cv2.resize(random.uniform(40, 220, (12, 12, 3)), (96, 96))
        for frame in range(FRAMES):
            face = (smooth + random.normal(0, 1.0, (96, 96, 1))).clip(0, 255).astype(np.uint8)
            cv2.imwrite(
                str(place / f"{frame:05d}.jpg"), face.clip(0, 255).astype(np.uint8), settings
            )
        sound = quantised(random.normal(0, 0.05, FRAMES * 640).astype(np.float32))
        write_flac(place / "sound.flac", sound)
        np.savez_compressed(place / "mel.npz", mel=mel_spectrogram(sound))
        about = {"times": [f / 25 for f in range(FRAMES)], "frames": list(range(FRAMES))}
        (place / "clip.json").write_text(json.dumps(about))
    return folder


def measure(dataset: Path, augment: str, count: int, window: int = 1) -> str:
    """Samples a second of processor time: the median batch's, and the best's."""
    chosen = TrainConfig.augment if augment == "default" else GROUPS[augment]
    config = TrainConfig(Variant.L1, str(dataset), "full", batch=BATCH, augment=chosen)
    draws = Draws(Dataset.open(dataset).clips("full"), config, count + 1, window=window)
    loaded = batches(draws, 0)
    next(loaded)  # warms up
    moments = [time.process_time(), *(time.process_time() for _ in loaded)]
    seconds = [after - before for before, after in pairwise(moments)]
    return f"{BATCH / statistics.median(seconds):6.0f} {BATCH / min(seconds):6.0f}"


def main(dataset: str = "", count: int = 12) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(dataset) if dataset else make(Path(folder))
        faces = list(place.glob("clips/*/*/*.jpg"))[:500]
        print(f"{sum(f.stat().st_size for f in faces) / len(faces):.0f} bytes a face")
        print("samples a second of one core: median batch, best batch")
        for name in ("none", "default", "photometric", "geometric", "warp", "sound", "all"):
            print(f"{name:16} {measure(place, name, count)}")
        print(f"{'all, window 4':16} {measure(place, 'all', count, 4)}")
        samples.MEMORY = 0  # a dataset so large that nothing is found in memory
        print(f"{'default, cold':16} {measure(place, 'default', count)}")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
