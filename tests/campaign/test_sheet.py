"""The contact sheet: which moment, where the face, which cell, what of earlier runs."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.campaign.manifest import Entry, Status
from lipgan_cli.engine.campaign.sheet import (
    check_pages,
    draw_sheet,
    keep_face,
    portrait,
    speaking_frame,
)
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.picture import from_rgb
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.progress import listening

CELL = (160, 194)  # a face of 160 x 160 and two lines of text
RED, GREEN = (200, 20, 20), (20, 160, 20)
GREY = (232, 232, 232)


def entry(name: str, status: Status = Status.DONE, **other: object) -> Entry:
    return dataclasses.replace(Entry(name, name, status, output=f"{name}.mp4"), **other)


def flat(colour: tuple[int, int, int], side: int = 64) -> bytes:
    return portrait(from_rgb(np.full((side, side, 3), colour, np.uint8)), None)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def face_of(page: np.ndarray, place: int) -> np.ndarray:
    """Return the face in a cell, (160, 160, 3)."""
    x, y = place % 10 * CELL[0], place // 10 * CELL[1]
    return page[y : y + 160, x : x + 160]


def text_of(page: np.ndarray, place: int) -> np.ndarray:
    """Return the two lines below a face, (34, 160, 3)."""
    x, y = place % 10 * CELL[0], place // 10 * CELL[1]
    return page[y + 160 : y + CELL[1], x : x + 160]


def is_filled(face: np.ndarray, colour: Sequence[int]) -> bool:
    """Return whether a face is of a colour, but for the edge, which JPEG blurs."""
    return is_near(face[16:-16, 16:-16], colour)


def is_near(picture: np.ndarray, colour: Sequence[int], most: int = 12) -> bool:
    return bool((np.abs(picture.astype(int) - np.array(colour)) <= most).all())


# A moment


def test_the_loudest_moment_of_the_middle_half_is_shown():
    samples = np.zeros(16000 * 4, np.float32)
    samples[:8000] = 1.0  # before the middle half
    samples[16000 * 2 : 16000 * 2 + 1600] = 0.3
    samples[16000 * 3 + 8000 :] = 1.0  # behind it
    assert speaking_frame(samples, 16000, 25.0, 100) == 51  # from 2.00 s on, for 0.1 s
    assert speaking_frame(samples, 16000, 10.0, 40) == 20


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 100])
def test_silence_and_sound_that_is_too_short_have_a_moment_too(frames: int):
    for samples in (np.zeros(0, np.float32), np.zeros(64000, np.float32)):
        assert 0 <= speaking_frame(samples, 16000, 25.0, frames) < frames


def test_a_portrait_is_the_face_enlarged():
    rgb = np.full((200, 320, 3), 20, np.uint8)
    rgb[60:120, 200:260] = RED
    with Image.open(io.BytesIO(portrait(from_rgb(rgb), (230.0, 90.0, 60.0)))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (160, 160))
        seen = np.asarray(picture)
    # The face's square is 1 / 1.4 of the picture: from pixel 23 to 137.
    assert is_near(seen[30:130, 30:130], RED)
    assert is_near(seen[:16], (20, 20, 20))
    assert is_near(seen[:, -16:], (20, 20, 20))


def test_without_a_face_it_is_the_whole_frame():
    rgb = np.full((100, 200, 3), GREEN, np.uint8)
    with Image.open(io.BytesIO(portrait(from_rgb(rgb), None))) as picture:
        seen = np.asarray(picture)
    assert is_near(seen[48:112], GREEN)
    assert is_near(seen[:32], (255, 255, 255))
    assert is_near(seen[-32:], (255, 255, 255))


# Pages


def kept(folder: Path, one: Entry, colour: tuple[int, int, int]) -> Entry:
    keep_face(folder, one, flat(colour))
    return one


def test_every_row_has_its_cell(tmp_path: Path):
    ids = [f"m{number}" for number in range(405)]
    entries = {number: kept(tmp_path, entry("red"), RED) for number in range(400)}
    entries[213] = kept(tmp_path, entry("green"), GREEN)
    entries[400] = entry("green", Status.FAILED, error="no such file")
    entries[401] = entry("green", Status.REJECTED)
    path = tmp_path / "the sheet [å].jpg"
    pages = draw_sheet(path, tmp_path, ids, entries)
    assert pages == (path, tmp_path / "the sheet [å]-2.jpg", tmp_path / "the sheet [å]-3.jpg")
    first, second, third = map(pixels, pages)
    assert first.shape == second.shape == (20 * CELL[1], 10 * CELL[0], 3)
    assert third.shape == (CELL[1], 5 * CELL[0], 3)
    assert all(is_filled(face_of(first, place), RED) for place in range(200))
    assert [is_filled(face_of(second, place), GREEN) for place in (12, 13, 14)] == [0, 1, 0]
    assert is_filled(face_of(third, 0), GREY)  # failed
    assert is_filled(face_of(third, 1), GREEN)
    assert is_filled(face_of(third, 2), GREY)  # not made
    redness = [np.ptp(text_of(third, place).astype(int), axis=2).max() for place in range(3)]
    assert redness[0] > redness[1] > 40 > redness[2]


def test_the_text_says_which_and_how_and_stays_in_its_cell(tmp_path: Path):
    long = "a very long id, " * 40
    failed = Entry("short", "k", Status.FAILED, error=f"{long}\n\n")
    entries = dict(enumerate([entry("short"), entry(long), failed]))
    path = tmp_path / "sheet.png"
    draw_sheet(path, tmp_path, [one.id for one in entries.values()], entries)
    page = pixels(path)
    assert page.shape == (CELL[1], 3 * CELL[0], 3)
    done, cut, told = (text_of(page, place).min(axis=2) for place in range(3))
    assert (done[:17] < 128).any()
    assert (done[17:] < 128).any()
    assert (done[:, 80:] == 255).all()
    assert cut[:17, -12:].min() < 255  # to the edge of its cell
    assert (told[17:, 80:] < 128).any()
    assert (told[:, :1] == 255).all()  # and not into the next one


def test_a_campaign_of_no_message_has_an_empty_sheet(tmp_path: Path):
    (page,) = draw_sheet(tmp_path / "sheet.jpg", tmp_path, [], {})
    assert is_near(pixels(page), (255, 255, 255))


def test_a_face_that_was_not_kept_is_read_out_of_its_film(
    tmp_path: Path, film_head: Callable[..., Path]
):
    film = film_head(tmp_path / "early.mp4", 2.0)
    (tmp_path / "damaged.mp4").write_bytes(film.read_bytes()[:500])
    face = (88.0, 88.0, 90.0)
    entries = {
        0: entry("early", key="0", moment=15, face=face),
        1: entry("early", Status.REJECTED, key="1"),
        2: entry("gone", key="2"),
        3: entry("damaged", key="3", moment=3),
        4: entry("early", Status.FAILED, key="4"),
        5: entry("early", key="5", moment=900, face=face),
    }
    keep_face(tmp_path, entries[1], flat(RED)[:100])  # the disk was full
    ids = [one.id for one in entries.values()]
    (path,) = draw_sheet(tmp_path / "sheet.png", tmp_path, ids, entries)
    page = pixels(path)
    frames = list(read_frames(probe(film)))
    for place, wanted in {
        0: portrait(frames[15], face),
        1: portrait(frames[10], None),
        5: portrait(frames[19], face),
    }.items():
        with Image.open(io.BytesIO(wanted)) as picture:
            assert (face_of(page, place) == np.asarray(picture)).all()
    assert all(is_near(face_of(page, place), GREY) for place in (2, 3, 4))
    film.unlink()  # now they are kept
    draw_sheet(path, tmp_path, ids, entries)
    assert (pixels(path) == page).all()


def test_a_film_that_is_made_again_shows_its_new_face(tmp_path: Path):
    path = tmp_path / "sheet.jpg"
    draw_sheet(path, tmp_path, ["a"], {0: kept(tmp_path, entry("a", key="old"), RED)})
    assert is_filled(face_of(pixels(path), 0), RED)
    draw_sheet(path, tmp_path, ["a"], {0: kept(tmp_path, entry("a", key="new"), GREEN)})
    assert is_filled(face_of(pixels(path), 0), GREEN)


def test_a_face_that_cannot_be_kept_stops_nothing(tmp_path: Path):
    (tmp_path / ".faces").write_text("in the way")
    one = kept(tmp_path, entry("a"), RED)
    (path,) = draw_sheet(tmp_path / "sheet.jpg", tmp_path, ["a"], {0: one})
    assert is_filled(face_of(pixels(path), 0), GREY)


def test_a_sheet_that_cannot_be_written_is_a_failure(tmp_path: Path):
    (tmp_path / "sheets").write_text("in the way")
    with pytest.raises(LipganError):
        draw_sheet(tmp_path / "sheets" / "sheet.jpg", tmp_path, ["a"], {})


def test_drawing_tells_of_its_progress(tmp_path: Path):
    heard: list[tuple[str, float, float | None]] = []
    told = listening(lambda *step: heard.append(step))
    draw_sheet(tmp_path / "sheet.jpg", tmp_path, ["a", "b"], {}, told)
    assert heard == [("drawing the sheet", done, 2) for done in (0.0, 1.0, 2.0)]


# What is there already


def test_only_sheets_of_campaigns_are_replaced(tmp_path: Path):
    path = tmp_path / "new" / "sheet.jpg"
    check_pages(path, 500)
    draw_sheet(path, tmp_path, [f"m{number}" for number in range(500)], {})
    check_pages(path, 500)
    holiday = path.with_name("sheet-4.jpg")
    Image.new("RGB", (8, 8)).save(holiday)
    check_pages(path, 600)
    with pytest.raises(InputError, match=r"sheet-4\.jpg exists already"):
        check_pages(path, 601)
    check_pages(path, 601, force=True)
    # Of the larger sheet nothing stays; the other's picture does.
    assert draw_sheet(path, tmp_path, ["a"], {}) == (path,)
    assert sorted(page.name for page in path.parent.iterdir()) == ["sheet-4.jpg", "sheet.jpg"]


def test_a_sheet_is_a_picture(tmp_path: Path):
    with pytest.raises(InputError, match="does not end in"):
        check_pages(tmp_path / "sheet.pdf", 3)
    (tmp_path / "sheet.jpg").write_text("no picture")
    with pytest.raises(InputError, match="exists already"):
        check_pages(tmp_path / "sheet.jpg", 3)
