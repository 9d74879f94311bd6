"""Opening a film or a sound: that file, and no other that it points to."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
from av.container import InputContainer

# Lists of other files and addresses, and formats with parts in files beside them: what a user gives
# may come from anywhere, and must not make this machine open something else.
LISTS = {
    *("hls", "dash", "webm_dash_manifest", "concat", "imf", "sdp", "rtsp", "rtp", "rtp_mpegts"),
    *("avisynth", "vapoursynth", "vobsub", "mlv", "lavfi"),
}


def open_media(path: Path) -> InputContainer:
    """Open a file for reading, by its content whatever its name.

    Raises:
        av.FFmpegError, ValueError: it is no film, picture or sound.
    """
    # An absolute name, because ffmpeg takes "a:b.wav" for a protocol.
    return av.open(
        str(path.absolute()), options={"format_whitelist": _formats()}, metadata_errors="replace"
    )


@cache
def _formats() -> str:
    return ",".join(sorted(av.formats_available - LISTS))
