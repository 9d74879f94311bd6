"""How far the lip-sync judge carries: other sizes, cameras, frame rates, codecs, sounds, languages.

    python tests/benchmarks/judge.py DATA [clips a speaker] [--own]

DATA: a folder with grid/test and speech. Every clip is changed by FFmpeg and judged as
`lipgan score VIDEO` does. A change is carried where the offset stays within a frame (40 ms) of what
the unchanged clip has, and the confidence tells how much is lost. Of languages there are no talking
faces here: with --own, faces of the clips are made to speak them by `lipgan sync`, and that is
judged.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from lipgan_cli.engine.metrics.lipsync import FRAME_MS, SyncFigures
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.score.films import FilmRequest, score_film

NOISE = "anoisesrc=a=0.03:c=pink[n];[0:a][n]amix=2:duration=first:normalize=0"
CHANGES = {
    "nothing": [],
    "face of 60 px": ["-vf", "scale=iw*0.5:-2"],
    "face of 40 px": ["-vf", "scale=iw*0.33:-2"],
    "face of 350 px": ["-vf", "scale=iw*3:-2:flags=lanczos"],
    "grey": ["-vf", "format=gray,format=yuv420p"],
    "dark": ["-vf", "eq=brightness=-0.25:contrast=0.7"],
    "noise": ["-vf", "noise=alls=25:allf=t"],
    "blur": ["-vf", "gblur=sigma=2"],
    "mirrored": ["-vf", "hflip"],
    "leaning 10 degrees": ["-vf", "rotate=10*PI/180:fillcolor=gray"],
    "CRF 40": ["-crf", "40"],
    "15 fps": ["-vf", "fps=15"],
    "29.97 fps": ["-vf", "fps=30000/1001"],
    "60 fps": ["-vf", "fps=60"],
    "sound of 8 kHz": ["-ar", "8000"],
    "MP3 at 32 kbit/s": ["-c:a", "libmp3lame", "-b:a", "32k"],
    "noise behind the speech": ["-filter_complex", NOISE],
    "a room": ["-af", "aecho=0.8:0.7:40|75:0.35|0.2"],
    "200 ms late": ["-af", "adelay=200:all=1"],
}  # fmt: skip
LATE = {"200 ms late": 200.0}


def changed(clip: Path, change: list[str], folder: Path) -> Path:
    """Return the clip, changed; the picture is coded well unless the change says otherwise."""
    out = folder / "changed.mkv"
    quality = [] if "-crf" in change else ["-crf", "14"]
    sound = [] if "-c:a" in change else ["-c:a", "pcm_s16le"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-i", str(clip)]
    command += [*change, "-c:v", "libx264", "-preset", "fast", *quality, *sound, str(out)]
    subprocess.run(command, check=True)
    return out


def judged(clip: Path) -> SyncFigures | None:
    """Return what the judge says of a clip and its own sound."""
    return score_film(FilmRequest(clip), Silent()).figures.sync.get("own")


def tell(name: str, found: list[tuple[SyncFigures | None, float]]) -> None:
    """Print how many were found within a frame of what is wanted, and the mean confidence."""
    there = [(said, wanted) for said, wanted in found if said is not None]
    near = [abs(said.offset_ms - wanted) <= FRAME_MS for said, wanted in there]
    off = [abs(said.offset_ms - wanted) for said, wanted in there]
    confidence = np.mean([said.confidence for said, _ in there])
    print(
        f"{name:24} {sum(near):3} of {len(found):3}  median {np.median(off):4.0f} ms off  "
        f"confidence {confidence:.3f}",
        flush=True,
    )


def spoken(clips: list[Path], speech: Path, folder: Path) -> Iterator[SyncFigures | None]:
    """Yield what the judge says of clips that `lipgan sync` made speak something else."""
    for clip in clips:
        out = folder / "spoken.mp4"
        command = [sys.executable, "-m", "lipgan_cli", "sync", str(clip), str(speech), "--force"]
        command += ["--end", "8", "-q", "-o", str(out)]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        yield judged(out)


def main(data: Path, each: int = 4, own: bool = False) -> None:
    """Print a line a change."""
    grid = data / "grid" / "test"
    clips = [
        clip
        for speaker in ("s1", "s32", "s33")
        for clip in sorted((grid / speaker).glob("*"))[:each]
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if own:
            for speech in sorted((data / "speech").glob("*")):
                if "silence" not in speech.name:
                    tell(speech.name[:24], [(said, 0.0) for said in spoken(clips, speech, folder)])
            return
        known = {clip: judged(clip) for clip in clips}
        for change, options in CHANGES.items():
            found = []
            for clip in clips:
                plain = known[clip]
                assert plain is not None
                try:
                    said = judged(changed(clip, options, folder))
                except Exception as error:
                    print(f"  {clip.name}, {change}: {error}")
                    said = None
                found.append((said, plain.offset_ms + LATE.get(change, 0.0)))
            tell(change, found)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:] if word.isdigit()]
    main(Path(sys.argv[1]), *numbers[:1], own="--own" in sys.argv)
