"""Pictures in folders: which files count, their sizes, and how they become uint8 RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.image import Picture

ENDINGS = frozenset({"bmp", "jpg", "jpeg", "pgm", "png", "ppm", "tif", "tiff", "webp"})
"""The file endings that pytorch-fid takes for pictures, in lower case alone, as it does."""

_DEEP_MODES = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})


def is_picture(path: Path) -> bool:
    """Whether the file's ending is that of a picture."""
    return path.suffix[1:] in ENDINGS


def list_pictures(folder: Path) -> list[Path]:
    """The pictures that lie in `folder` itself, sorted.

    Raises:
        InputError: the folder is missing, is a file, or has no picture.
    """
    if not folder.exists():
        raise InputError(f"the folder {folder} does not exist", "check the path")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder", "give a folder of pictures")
    try:
        found = sorted(path for path in folder.iterdir() if is_picture(path))
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be read: {error.strerror}", "check its permissions"
        ) from error
    if not found:
        raise InputError(
            f"there is no picture in {folder}",
            f"files ending in {', '.join(sorted(ENDINGS))} count; subfolders are not searched",
        )
    return found


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height, read from the head of the file alone.

    Raises:
        InputError: the file is not a picture with 8 bits a channel.
    """
    with _opened(path) as image:
        return image.size


def read_picture(path: Path) -> Picture:
    """Read a picture as uint8 RGB (H, W, 3), as pytorch-fid does: no rotation, alpha left out.

    Raises:
        InputError: the file is not a picture, is damaged, or has more than 8 bits a channel.
    """
    with _opened(path) as image:
        try:
            return np.asarray(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(
                f"the picture {path} cannot be read: {error}", "replace it or take it out"
            ) from error


def _opened(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a picture", "replace it or take it out") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"the picture {path} cannot be read: {reason}", "replace it or take it out"
        ) from error
    if image.mode in _DEEP_MODES:
        image.close()
        raise InputError(
            f"the picture {path} has more than 8 bits a channel (mode {image.mode})",
            "convert it to 8 bits",
        )
    return image
