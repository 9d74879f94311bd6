"""What is told: before with a check, during to a function, afterwards as summary and sheet."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import lipgan_cli
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.sync.outlook import foresee

pytestmark = pytest.mark.usefixtures("network")


def picture_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def size_of(path: Path) -> tuple[int, ...]:
    """Return width and height."""
    return picture_of(path).shape[1::-1]


def test_the_summary_tells_what_was_made(studio: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(20), Fraction(30000, 1001))
    speech = studio.wav("speech.wav", 1.0)
    summary = studio.sync(film, speech, sheet=studio.folder / "sheet.png")
    assert dataclasses.asdict(summary) == {
        "output": studio.out(),
        "frames": 30,
        "fps": Fraction(30000, 1001),
        "variable_rate": False,
        "seconds": 30 * 1001 / 30000,
        "width": 320,
        "height": 240,
        "face_pixels": pytest.approx(96, abs=8),
        "people": 1,
        "cuts": (),
        "without_face": (),
        "silence": ((0.0, 1.0),),
        "repeated": 10,
        "cached": False,
        "sheet": studio.folder / "sheet.png",
        "provenance": False,
        "signed_by": None,
        "own_authority": False,
        "credentials": None,
        "elapsed": summary.elapsed,
        "first_frame": summary.first_frame,
        "speed": pytest.approx(summary.seconds / summary.elapsed),
        "steps": summary.steps,
    }
    assert 0 < summary.first_frame < summary.elapsed < 60
    assert {"find the faces", "generate", "blend"} <= set(summary.steps)
    assert all(0 <= seconds < summary.elapsed for seconds in summary.steps.values())
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.frames = 1


@pytest.mark.usefixtures("talking")
def test_a_contact_sheet_shows_moments_of_the_result(studio: Any, network: Any) -> None:
    network.paint = lambda target: np.full_like(target, 255)
    film = studio.film("face.mp4", studio.scenes(40))
    path = studio.folder / "new" / "sheet.png"
    studio.sync(film, studio.wav("speech.wav", 1.6), sheet=path)
    sheet = picture_of(path)
    assert sheet.shape == (180 + 240 + 22, 8 * 240, 3)  # frame, face, a line of text
    for column, number in enumerate(range(2, 40, 5)):
        here = sheet[:, column * 240 : (column + 1) * 240]
        frame = cv2.resize(here[:180], (320, 240))
        assert studio.number_of(frame.mean(axis=2)) == number
        assert here[180 + 120 : 180 + 200, 80:160].mean() > here[180:220].mean()  # white mouth
        assert (here[-22:] < 100).any()  # text
    few = studio.folder / "few.png"
    studio.sync(film, studio.wav("speech.wav", 0.12), "few.mp4", sheet=few)
    assert size_of(few) == (3 * 240, 442)


def test_a_sheet_that_exists_is_replaced_with_force_alone(studio: Any) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(5)), studio.wav("speech.wav", 0.2)
    sheet = studio.folder / "sheet.png"
    sheet.write_text("older")
    with pytest.raises(InputError, match=r"sheet\.png exists already"):
        studio.sync(film, speech, sheet=sheet)
    assert sheet.read_text() == "older"
    assert not studio.out().exists()
    studio.sync(film, speech, sheet=sheet, force=True)
    assert size_of(sheet) == (5 * 240, 442)


def test_a_check_tells_what_would_be_made_and_makes_a_sheet_of_faces_alone(
    studio: Any, head: np.ndarray
) -> None:
    """Two people, then a wall, then one of another size elsewhere; a varying rate."""
    pictures = []
    for number in range(50):
        picture = np.full((240, 640, 3), (90, 100, 110), np.uint8)
        if number < 20:
            picture[40:216, 10:186] = head
            picture[60:200, 400:540] = cv2.resize(head, (140, 140))[:, ::-1]
        elif number < 35:
            picture[:, ::8] = 255
            picture[::16] = 0
        else:
            picture[:] = 200
            picture[30:230, 200:400] = cv2.resize(head, (200, 200))
        pictures.append(picture)
    times = [k * 40 + (k % 3) * 12 for k in range(50)]
    film = studio.film("face.mp4", pictures, times=times)
    speech = studio.wav("speech.wav", 2.4)
    before = sorted(studio.folder.iterdir())
    options = lipgan_cli.SyncOptions(film, speech, studio.out(), fit="freeze")
    outlook = foresee(options)
    assert sorted(studio.folder.iterdir()) == sorted([*before, studio.folder / "out-faces.png"])
    assert (outlook.width, outlook.height, outlook.variable_rate) == (640, 240, True)
    assert float(outlook.fps) == pytest.approx(25, abs=0.2)
    assert outlook.cuts == pytest.approx((times[20] / 1000, times[35] / 1000))
    assert outlook.without_face == (pytest.approx((times[20] / 1000, times[35] / 1000)),)
    assert outlook.silence == ((0.0, 2.4),)
    assert outlook.seconds == pytest.approx(2.4, abs=0.05)
    assert outlook.repeated == outlook.frames - 50
    assert outlook.expected_seconds > 0
    first, second, *rest = outlook.faces
    assert [face.number for face in outlook.faces] == list(range(1, len(outlook.faces) + 1))
    assert (first.x, first.y) == (pytest.approx(98, abs=12), pytest.approx(128, abs=25))
    assert (second.x, second.y) == (pytest.approx(470, abs=12), pytest.approx(130, abs=25))
    assert first.seen[0] == second.seen[0] == 0
    if rest:  # without dlib's embedding the head after the cut is a third one
        assert rest[0].side > first.side > second.side
        assert rest[0].seen == pytest.approx((times[35] / 1000, times[49] / 1000))
    assert outlook.face_pixels > 90
    assert outlook.sheet == studio.folder / "out-faces.png"
    assert size_of(outlook.sheet) == (240 * len(outlook.faces), 262)
    # What was foretold is what is made.
    summary = lipgan_cli.sync(dataclasses.replace(options, cache=False))
    for name in ("frames", "fps", "seconds", "face_pixels", "cuts", "without_face", "repeated"):
        assert getattr(summary, name) == getattr(outlook, name), name


def test_a_check_of_many_faces_has_rows_of_six(studio: Any, head: np.ndarray) -> None:
    picture = np.full((480, 800, 3), 100, np.uint8)
    small = cv2.resize(head, (190, 190))
    for row in range(2):
        for column in range(4):
            mirrored = small[:, ::-1] if (row + column) % 2 else small
            top, left = 20 + 230 * row, 5 + 200 * column
            picture[top : top + 190, left : left + 190] = mirrored
    film = studio.film("face.mp4", [picture] * 7)
    sheet = studio.folder / "faces.png"
    options = lipgan_cli.SyncOptions(
        film, studio.wav("speech.wav", 0.28), studio.out(), sheet=sheet
    )
    outlook = foresee(options)
    assert len(outlook.faces) == 8
    assert outlook.sheet == sheet
    drawn = picture_of(sheet)
    assert drawn.shape == (2 * 262, 6 * 240, 3)
    assert (drawn[262:, 2 * 240 :] == 255).all()  # 8 of 12 places are taken
    for face in outlook.faces:
        row, column = divmod(face.number - 1, 6)
        portrait = drawn[row * 262 : row * 262 + 240, column * 240 : column * 240 + 240]
        assert portrait.std() > 30


def test_a_check_of_a_photo(studio: Any) -> None:
    photo = studio.folder / "photo.png"
    Image.fromarray(studio.scene(0)).save(photo)
    speech = studio.wav("speech.wav", 1.0)
    outlook = foresee(lipgan_cli.SyncOptions(photo, speech, studio.out()))
    assert (outlook.frames, outlook.fps, len(outlook.faces)) == (25, 25, 1)
    assert outlook.repeated == 24
    assert outlook.faces[0].seen == (0, 0)


def test_a_check_fails_as_the_run_would(studio: Any) -> None:
    film = studio.film("face.mp4", (studio.scene(k, face=k < 10) for k in range(30)))
    speech = studio.wav("speech.wav", 1.2)
    options = lipgan_cli.SyncOptions(film, speech, studio.out())
    for more, told in (
        ({"strict": True}, "no face from"),
        ({"fit": "error", "end": 0.5}, "lasts 0.5"),
        ({"person": "7"}, "no face 7"),
        ({"output": studio.folder / "out.avi"}, "does not end in"),
    ):
        with pytest.raises(InputError, match=told):
            foresee(dataclasses.replace(options, **more))
    assert len(list(studio.folder.iterdir())) == 2


def test_the_package_offers_it_with_text_for_paths_and_a_function_that_listens(
    studio: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.film("face.mp4", studio.scenes(20))
    studio.wav("speech.wav", 1.2)
    monkeypatch.chdir(studio.folder)
    heard: list[tuple[str, float, float | None]] = []
    made = lipgan_cli.sync(
        lipgan_cli.SyncOptions("face.mp4", "speech.wav", "out.mp4", sheet="sheet.png"),
        lambda step, done, total: heard.append((step, done, total)),
    )
    assert isinstance(made, lipgan_cli.SyncSummary)
    assert (made.output, made.sheet) == (Path("out.mp4"), Path("sheet.png"))
    assert made.output.is_file()
    steps = dict.fromkeys(step for step, _, _ in heard)
    assert list(steps) == ["finding the face", "speaking"]
    for step, count in (("finding the face", 20), ("speaking", 30)):
        told = [(done, total) for name, done, total in heard if name == step]
        assert told == [(done, count) for done in range(count + 1)]
    assert capfd.readouterr() == ("", "")  # a notebook shows what it is told to show
    assert lipgan_cli.sync(
        lipgan_cli.SyncOptions(face="face.mp4", speech="speech.wav", output="again.mp4")
    ).cached


def test_options_are_a_frozen_value() -> None:
    options = lipgan_cli.SyncOptions("a.mp4", "b.wav", "c.mp4")
    assert options == lipgan_cli.SyncOptions(face="a.mp4", speech="b.wav", output="c.mp4")
    assert dataclasses.replace(options, fit="loop") != options
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.face = "d.mp4"
    assert {"sync", "SyncOptions", "SyncSummary"} <= set(lipgan_cli.__all__)
    assert options == lipgan_cli.SyncOptions("a.mp4", "b.wav", "c.mp4", fit="pingpong")
    with pytest.raises(InputError, match="codec 'h263' is none") as raised:
        lipgan_cli.SyncOptions("a.mp4", "b.wav", "c.mp4", codec="h263")
    assert raised.value.hint == "known: h264, h265, vp9, ffv1"
    with pytest.raises(AttributeError, match="no attribute 'snyc'"):
        lipgan_cli.snyc  # noqa: B018


def test_a_missing_file_is_named(studio: Any) -> None:
    with pytest.raises(InputError, match=r"nobody\.mp4"):
        lipgan_cli.sync(lipgan_cli.SyncOptions("nobody.mp4", "b.wav", studio.out()))


@pytest.mark.parametrize("name", ["face.png", "speaker.png"])
def test_a_sheet_never_replaces_what_is_read(studio: Any, name: str) -> None:
    for picture in ("face.png", "speaker.png"):
        Image.fromarray(studio.scene(0)).save(studio.folder / picture)
    before = (studio.folder / name).read_bytes()
    with pytest.raises(InputError, match="would be overwritten"):
        studio.sync(
            studio.folder / "face.png",
            studio.wav("speech.wav", 0.4),
            person=str(studio.folder / "speaker.png"),
            sheet=studio.folder / name,
            force=True,
        )
    assert (studio.folder / name).read_bytes() == before


@pytest.mark.parametrize("span", [{"end": math.inf}, {"start": math.nan}, {"end": math.nan}])
def test_times_that_are_none_are_refused(studio: Any, span: dict[str, float]) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(5)), studio.wav("speech.wav", 0.2)
    with pytest.raises(InputError, match="there is nothing from"):
        studio.sync(film, speech, **span)
