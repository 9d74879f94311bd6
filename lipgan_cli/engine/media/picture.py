"""One picture: decoded frames and photos as I420, and back to RGB.

I420 is uint8 (height * 3 // 2, width): the luma rows first, then the two chroma planes at half
size. An 8-bit 4:2:0 source keeps its own bytes, whatever its range and matrix.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.plane import VideoPlane
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lipgan_cli.engine.errors import InputError

Frame = NDArray[np.uint8]

LARGEST_SIDE = 8192  # pixels


@dataclass(frozen=True)
class Colour:
    """How the bytes are to be shown, in the numbers of ITU-T H.273; 2 is unspecified."""

    range: int = 0  # 0 unspecified, 1 TV, 2 full
    matrix: int = 2
    primaries: int = 2
    transfer: int = 2


FROM_RGB = Colour(range=1, matrix=6, primaries=1, transfer=1)  # what RGB is turned into here


def luma(frame: Frame) -> Frame:
    """Return the luma plane of an I420 frame as a view, (height, width)."""
    return frame[: frame.shape[0] * 2 // 3]


def to_rgb(frame: Frame) -> NDArray[np.uint8]:
    """Return an I420 frame as RGB (height, width, 3), read as BT.601 in TV range."""
    return cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420).astype(np.uint8, copy=False)


def colour_of(frame: av.VideoFrame) -> Colour:
    """Return how the bytes of a decoded frame are to be shown once they are I420."""
    if frame.format.is_rgb or frame.format.has_palette:
        return FROM_RGB
    full = frame.format.name.startswith("yuvj")
    return Colour(
        2 if full else int(frame.color_range),
        int(frame.colorspace),
        int(frame.color_primaries),
        int(frame.color_trc),
    )


@dataclass(frozen=True)
class Orientation:
    """How the display changes a decoded frame: mirrored left to right first, then turned."""

    mirrored: bool = False
    turns: int = 0  # quarter turns counterclockwise


UPRIGHT = Orientation()


def orientation(frame: av.VideoFrame) -> Orientation:
    """Return how a decoded frame is to be shown.

    To be asked of one frame of a film: a frame that was asked for it is freed late.
    """
    try:
        # The key is a member of the enumeration, whatever PyAV's annotations say.
        matrix = frame.side_data[SideDataType.DISPLAYMATRIX]  # type: ignore[typeddict-item]
    except KeyError:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(memoryview(matrix), np.int32)[:5].tolist()
    mirrored = a * d < b * c
    turned = math.atan2(b, -a) if mirrored else math.atan2(-b, a)
    return Orientation(mirrored, round(math.degrees(turned) / 90) % 4)


def planar(frame: av.VideoFrame, width: int, height: int, shown_as: Orientation = UPRIGHT) -> Frame:
    """Return a decoded frame as I420 of this size in display orientation.

    An odd last row or column is lost; a frame of another size than the film's is scaled; what is
    transparent stands on white.
    """
    turns = shown_as.turns
    if any(component.is_alpha for component in frame.format.components):
        rgba = frame.to_ndarray(format="rgba").astype(np.uint8, copy=False)
        frame = av.VideoFrame.from_ndarray(on_white(rgba), format="rgb24")
    if turns % 2:
        width, height = height, width
    if (frame.width // 2 * 2, frame.height // 2 * 2) != (width, height):
        frame = frame.reformat(width=width, height=height, format="yuv420p")
    elif frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    planes = [
        _lines(plane, width // part, height // part)
        for plane, part in zip(frame.planes, (1, 2, 2), strict=True)
    ]
    if shown_as.mirrored:
        planes = [plane[:, ::-1] for plane in planes]
    planes = [np.rot90(plane, turns) for plane in planes]
    shown = height if turns % 2 else width
    return np.concatenate([plane.reshape(-1) for plane in planes]).reshape(-1, shown)


def _lines(plane: VideoPlane, width: int, height: int) -> Frame:
    """Return the pixels of a plane without the padding of its lines."""
    stored: Frame = np.frombuffer(memoryview(plane), np.uint8)
    return stored[: plane.line_size * height].reshape(height, plane.line_size)[:, :width]


def read_photo(path: Path) -> NDArray[np.uint8] | None:
    """Return a photo as RGB, turned as its EXIF data says, on white; None if it is damaged.

    Raises:
        InputError: a side is shorter than 2 pixels or longer than 8192.
    """
    with warnings.catch_warnings():  # damaged EXIF data is no reason to talk
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as image:
                check_size(path, *image.size)  # before anything is decoded
                turned = ImageOps.exif_transpose(image)
                if turned.mode.startswith(("I", "F")):  # 16 bits of grey
                    grey = np.asarray(turned, np.float32) / 257
                    turned = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
                return on_white(np.asarray(turned.convert("RGBA")))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None


def check_size(path: Path, width: int, height: int) -> None:
    """Check that a picture or film can be worked on.

    Raises:
        InputError: a side is shorter than 2 pixels or longer than 8192.
    """
    if max(width, height) > LARGEST_SIDE or min(width, height) < 2:
        raise InputError(
            f"{path} is {width}x{height} pixels",
            f"give a picture of 2 to {LARGEST_SIDE} pixels a side",
        )


def on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an RGBA picture as RGB on a white ground."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(rgb)
    part = alpha.astype(np.float32) / 255
    return np.rint(rgb * part + 255 * (1 - part)).astype(np.uint8)


def from_rgb(picture: NDArray[np.uint8]) -> Frame:
    """Return an RGB picture (height, width, 3) as I420 in TV range; odd edges are lost."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    whole = np.ascontiguousarray(picture[:height, :width])
    return planar(av.VideoFrame.from_ndarray(whole, format="rgb24"), width, height)
