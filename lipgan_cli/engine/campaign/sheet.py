"""The contact sheet of a campaign: every message with a face in mid-speech, its id and status.

Pages of a bounded size: sheet.jpg, sheet-2.jpg and so on, in the table's order. The faces are kept
as small files in `.faces` of the campaign's folder while films are made, so that no memory is
needed for them and a run that goes on has them; what is not there is read out of the films.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lipgan_cli.engine.campaign.manifest import Entry, Status
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.picture import Frame, to_rgb
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.paths import atomic_path, check_output
from lipgan_cli.engine.progress import Progress, Silent
from lipgan_cli.engine.sync.options import check_sheet
from lipgan_cli.engine.sync.sheets import enlarged

CELLS = 200  # of a page
COLUMNS = 10
SIDE = 160  # pixels of a face
LINE = 17  # pixels of a line of text
TEXT = 12  # pixels, its size
QUALITY = 85  # of the JPEGs
LOUD_SECONDS = 0.1  # over which loudness is measured
READERS = 2  # films that are read at once; each decoder holds tens of megabytes

Rgb = NDArray[np.uint8]
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_FACES = ".faces"
_SOFTWARE = 0x0131  # the Exif tag
_MARK = "lipgan campaign"  # what it says of our sheets
_INK = {Status.DONE: "black", Status.REJECTED: "#b35c00", Status.FAILED: "#c00000"}


def speaking_frame(samples: NDArray[np.float32], rate: int, fps: float, frames: int) -> int:
    """Return the frame of a film that shows it in mid-speech: the loudest of its middle half.

    samples: the message's sound, (n,) at `rate` a second, which begins with the film.
    """
    candidates = np.arange(frames // 4, max(frames // 4 + 1, frames * 3 // 4))
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    middle = (candidates + 0.5) / fps
    edges = np.rint((middle[:, None] + np.array([-0.5, 0.5]) * LOUD_SECONDS) * rate)
    first, last = np.clip(edges, 0, len(samples)).astype(np.int64).T
    return int(candidates[np.argmax(total[last] - total[first])])


def portrait(frame: Frame, face: tuple[float, float, float] | None) -> bytes:
    """Return the face of an I420 frame as a JPEG of (160, 160, 3), without one the whole frame.

    face: centre x, centre y and side of its square in pixels.
    """
    rgb = to_rgb(frame)
    return _jpeg(_fitted(rgb if face is None else enlarged(rgb, np.array(face))))


def keep_face(folder: Path, entry: Entry, face: bytes) -> None:
    """Keep a film's `portrait`; one that cannot be kept is read out of the film later."""
    with suppress(LipganError, OSError), atomic_path(_kept(folder, entry)) as temporary:
        temporary.write_bytes(face)


def check_pages(path: Path, rows: int, force: bool = False) -> None:
    """Check before any work that a sheet of so many rows can be written; makes its folder.

    Raises:
        InputError: the name is no picture's, the folder cannot be written, or a page is there that
            is no campaign's sheet and `force` is false.
    """
    check_sheet(path)
    for page in _pages(path, rows):
        check_output(page, force or _ours(page))


def draw_sheet(
    path: Path,
    folder: Path,
    ids: Sequence[str],
    entries: Mapping[int, Entry],
    progress: Progress | None = None,
) -> tuple[Path, ...]:
    """Draw the sheet of a campaign and return its pages; of a larger one of ours none stay.

    ids: of all rows. entries: what is known of them, by position; the others are "not made".

    Raises:
        LipganError: a page cannot be written.
    """
    pages = tuple(_pages(path, len(ids)))
    told = progress or Silent()
    with (
        told.task("drawing the sheet", len(ids), "messages") as task,
        ThreadPoolExecutor(READERS, thread_name_prefix="sheet") as pool,
    ):
        for number, page in enumerate(pages):
            rows = range(number * CELLS, min((number + 1) * CELLS, len(ids)))
            found = [entries.get(row) for row in rows]
            cells = []
            for row, entry, face in zip(
                rows, found, pool.map(lambda one: _face(folder, one), found), strict=True
            ):
                cells.append((ids[row], entry, face))
                task.advance()
            _save(page, cells)
    for surplus in _behind(path, len(pages)):
        if not _ours(surplus):
            break
        with suppress(OSError):
            surplus.unlink()
    return pages


def _save(page: Path, cells: Sequence[tuple[str, Entry | None, bytes | None]]) -> None:
    columns, height = max(1, min(COLUMNS, len(cells))), SIDE + 2 * LINE
    size = (columns * SIDE, max(1, -(-len(cells) // columns)) * height)
    picture = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(TEXT)
    for place, (name, entry, face) in enumerate(cells):
        x, y = place % columns * SIDE, place // columns * height
        if face is None:
            pen.rectangle((x, y, x + SIDE - 1, y + SIDE - 1), fill="#e8e8e8")
        else:
            with Image.open(io.BytesIO(face)) as cell:
                picture.paste(cell, (x, y))
        ink = "gray" if entry is None else _INK[entry.status]
        for line, text in enumerate((name, _status(entry))):
            corner = (x + 3, y + SIDE + 1 + line * LINE)
            pen.text(corner, _cut(text, font), fill=ink, font=font)
    exif = Image.Exif()
    exif[_SOFTWARE] = _MARK
    with atomic_path(page) as temporary:
        picture.save(temporary, quality=QUALITY, exif=exif)


def _face(folder: Path, entry: Entry | None) -> bytes | None:
    """Return a film's face, kept or out of the film; None where there is none to be had."""
    if entry is None or entry.status is Status.FAILED:
        return None
    with suppress(OSError):
        kept = _kept(folder, entry).read_bytes()
        if _is_face(kept):
            return kept
    try:
        info = probe(folder / entry.output)
        moment = info.frames // 2 if entry.moment is None else entry.moment
        frame = next(read_frames(info, min(moment, info.frames - 1), threads=1), None)
    except InputError:  # removed or damaged meanwhile
        return None
    if frame is None:
        return None
    face = portrait(frame, entry.face)
    keep_face(folder, entry, face)
    return face


def _kept(folder: Path, entry: Entry) -> Path:
    # By its key, because a film that is made again has another face.
    return folder / _FACES / f"{hashlib.sha256(entry.key.encode()).hexdigest()}.jpg"


def _is_face(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            return picture.size == (SIDE, SIDE)
    except (OSError, ValueError, SyntaxError):
        return False


def _pages(path: Path, rows: int) -> Iterator[Path]:
    for number in range(1, max(1, -(-rows // CELLS)) + 1):
        yield _numbered(path, number)


def _behind(path: Path, pages: int) -> Iterator[Path]:
    """Yield the files that are there behind the first pages."""
    for number in count(pages + 1):
        page = _numbered(path, number)
        if not page.exists():
            return
        yield page


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _ours(path: Path) -> bool:
    """Return whether a file is a sheet of a campaign."""
    try:
        with Image.open(path) as picture:
            return str(picture.getexif().get(_SOFTWARE, "")) == _MARK
    except (OSError, ValueError, SyntaxError):
        return False


def _fitted(rgb: Rgb) -> Rgb:
    """Return a picture shrunk or enlarged into a square, with white beside it."""
    height, width = rgb.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    square = np.full((SIDE, SIDE, 3), 255, np.uint8)
    square[top : top + size[1], left : left + size[0]] = cv2.resize(rgb, size, interpolation=method)
    return square


def _jpeg(rgb: Rgb) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def _status(entry: Entry | None) -> str:
    if entry is None:
        return "not made"
    return f"{entry.status}: {entry.error}" if entry.error else entry.status.value


def _cut(text: str, font: Font) -> str:
    """Return the beginning of a text that fits below a face, on one line."""
    text = " ".join(text[:SIDE].split())
    if font.getlength(text) <= SIDE - 6:
        return text
    while text and font.getlength(f"{text}…") > SIDE - 6:
        text = text[:-1]
    return f"{text}…"
