"""How a film is coded: codecs, the containers that hold them, and FFmpeg's words for both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.choices import Codec

CONTAINERS = {
    ".mp4": (Codec.H264, Codec.H265, Codec.VP9),
    ".mov": (Codec.H264, Codec.H265),
    ".mkv": (Codec.H264, Codec.H265, Codec.VP9, Codec.FFV1),
    ".webm": (Codec.VP9,),
}
"""By suffix; the first codec is the one that is taken when none is asked for."""

PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"),
    "veryslow",
)
"""Of x264 and x265. VP9 knows speeds from 0 to 8 instead."""

AUDIO_BIT_RATE = "192k"
AUDIO_CUTOFF = "20000"
"""Hz: of six channels AAC would drop the mark in the sound, which is at 17 kHz."""


@dataclass(frozen=True)
class _Coder:
    name: str  # FFmpeg's
    crf: int | None = None  # by default
    highest_crf: int = 51
    preset: str = ""  # by default


_CODERS = {
    Codec.H264: _Coder("libx264", 18, 51, "superfast"),
    Codec.H265: _Coder("libx265", 20, 51, "veryfast"),
    Codec.VP9: _Coder("libvpx-vp9", 24, 63, "6"),
    Codec.FFV1: _Coder("ffv1"),
}


@dataclass(frozen=True)
class Coding:
    """What is chosen of the coding; None leaves it to the container or the codec."""

    codec: Codec | None = None
    crf: int | None = None  # 0 (best) to 51, of VP9 to 63
    preset: str | None = None

    def check(self, output: Path) -> None:
        """Check that the choices go together and into the output's container.

        Raises:
            InputError: they do not.
        """
        allowed = CONTAINERS.get(output.suffix.lower())
        if allowed is None:
            raise InputError(
                f"{output} does not end in {', '.join(CONTAINERS)}", f"name it {output.stem}.mp4"
            )
        codec = self.codec or allowed[0]
        if codec not in allowed:
            holders = [suffix for suffix, codecs in CONTAINERS.items() if codec in codecs]
            raise InputError(
                f"{output.suffix} cannot hold {codec}", f"name it {output.stem}{holders[-1]}"
            )
        coder = _CODERS[codec]
        if self.crf is not None and (coder.crf is None or not 0 <= self.crf <= coder.highest_crf):
            raise InputError(
                f"{codec} has no CRF {self.crf}",
                "it is lossless" if coder.crf is None else f"give 0 to {coder.highest_crf}",
            )
        if self.preset is not None and self.preset not in _presets(codec):
            known = ", ".join(_presets(codec))
            raise InputError(
                f"{codec} has no preset {self.preset}",
                f"known: {known}" if known else "it has none",
            )

    def options(self, output: Path, coded: bool = False) -> list[str]:
        """Return FFmpeg's options for a film at `output`, sound included.

        coded: the picture has been coded so already, and is taken over as it is.
        """
        suffix = output.suffix.lower()
        codec = self.codec or CONTAINERS[suffix][0]
        options = ["-c:v", "copy"] if coded else self._picture(codec)
        if codec is Codec.H265 and suffix in (".mp4", ".mov"):
            options += ["-tag:v", "hvc1"]  # for Apple's
        if codec is Codec.FFV1:
            options += ["-c:a", "flac"]
        elif suffix == ".webm":
            options += ["-c:a", "libopus", "-b:a", AUDIO_BIT_RATE]
        else:
            options += ["-c:a", "aac", "-b:a", AUDIO_BIT_RATE, "-cutoff", AUDIO_CUTOFF]
        return options + (["-movflags", "+faststart"] if suffix in (".mp4", ".mov") else [])

    def _picture(self, codec: Codec) -> list[str]:
        coder = _CODERS[codec]
        crf = str(coder.crf if self.crf is None else self.crf)
        preset = self.preset or coder.preset
        options = ["-c:v", coder.name, "-pix_fmt", "yuv420p"]
        if codec is Codec.FFV1:
            return [*options, "-level", "3", "-slices", "4", "-slicecrc", "1"]
        if codec is Codec.VP9:
            options += ["-crf", crf, "-b:v", "0", "-deadline", "good", "-cpu-used", preset]
            return [*options, "-row-mt", "1"]
        quiet = ["-x265-params", "log-level=error"] if codec is Codec.H265 else []
        return [*options, "-crf", crf, "-preset", preset, *quiet]


def _presets(codec: Codec) -> tuple[str, ...]:
    if codec is Codec.FFV1:
        return ()
    return tuple("012345678") if codec is Codec.VP9 else PRESETS
