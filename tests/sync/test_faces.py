"""Who speaks: the face that was asked for alone, through cuts and gaps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import identity
from lipgan_cli.engine.media.detectors import Face, HogDetector
from lipgan_cli.engine.media.identity import DlibIdentity
from lipgan_cli.engine.media.landmarks import find_model
from lipgan_cli.engine.media.picture import luma
from lipgan_cli.engine.media.video import probe, read_frames, to_rgb
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.sync import SyncOptions, presenter, survey, sync
from lipgan_cli.engine.sync.marks import NOT_MARKED
from lipgan_cli.engine.sync.options import MarkOptions
from lipgan_cli.engine.sync.outlook import foresee

PEOPLE = ((10, 140), (220, 158), (450, 176))  # left column and side of three heads


def row(head: np.ndarray, people: tuple[tuple[int, int], ...] = PEOPLE) -> np.ndarray:
    """Three people beside each other, each larger than the one before: RGB (240, 640)."""
    picture = np.full((240, 640, 3), (90, 100, 110), np.uint8)
    for index, (left, side) in enumerate(people):
        here = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
        here = here[:, ::-1] if index % 2 else here
        picture[40 : 40 + side, left : left + side] = here
    return picture


def painted(rendered: list[np.ndarray], source: list[np.ndarray]) -> set[int]:
    """Return the numbers of the heads, from the left, in which anything changed."""
    changed = np.zeros(640, bool)
    for frame, own in zip(rendered, source, strict=True):
        changed |= (luma(frame) != luma(own)).any(axis=0)
    columns = np.flatnonzero(changed)
    inside = [(left <= columns) & (columns < left + side) for left, side in PEOPLE]
    assert np.logical_or.reduce(inside).all()
    return {k for k, here in enumerate(inside) if here.any()}


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize(
    ("who", "number"),
    [
        *(("largest", 2), ("left", 0), ("center", 1), ("RIGHT", 2), ("1", 0), ("2", 1), ("3", 2)),
        *(("80,110", 0), ("300,120", 1), ("530.5,120", 2)),
    ],
)
def test_the_face_that_was_asked_for_speaks_and_nobody_else(
    studio: Any, network: Any, rendered: list[np.ndarray], head: np.ndarray, who: str, number: int
) -> None:
    film = studio.film("row.mp4", [row(head)] * 6)
    network.paint = lambda target: 255 - target
    summary = studio.sync(film, studio.wav("speech.wav", 0.24), person=who)
    assert painted(rendered, studio.source(film)) == {number}
    assert summary.people == 3
    assert summary.face_pixels == pytest.approx(1.1 * 87 * PEOPLE[number][1] / 176, rel=0.2)


@pytest.mark.usefixtures("talking")
def test_the_largest_face_is_the_largest_wherever_it_is(
    studio: Any, network: Any, rendered: list[np.ndarray], head: np.ndarray
) -> None:
    film = studio.film("row.mp4", [row(head)[:, ::-1]] * 6)
    network.paint = lambda target: 255 - target
    studio.sync(film, studio.wav("speech.wav", 0.24))
    changed = (luma(rendered[0]) != luma(studio.source(film)[0])).any(axis=0)
    assert np.flatnonzero(changed).max() < 640 - 450


@pytest.mark.usefixtures("network", "rendered")
@pytest.mark.parametrize(
    ("who", "told"),
    [
        ("4", "there is no face 4"),
        ("600,20", "no face at 600,20"),
        ("0", "no way to choose a face: '0'"),
        ("the tall one", "no way to choose a face"),
        ("missing.jpg", "'missing.jpg' is not a file"),
    ],
)
def test_a_face_that_is_not_there_is_refused_with_those_that_are(
    studio: Any, head: np.ndarray, who: str, told: str
) -> None:
    small = ((10, 140), (190, 158), (380, 150))
    film = studio.film("row.mp4", [row(head, small)] * 6)
    with pytest.raises(InputError, match=told) as raised:
        studio.sync(film, studio.wav("speech.wav", 0.24), person=who)
    assert raised.value.hint is not None
    assert ("1 at " in raised.value.hint) == told.startswith(("there is", "no face"))
    assert not studio.out().exists()


@pytest.fixture
def embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    """dlib's face embedding, where it is installed."""
    monkeypatch.setattr(identity, "find_model", find_model)
    try:
        DlibIdentity()
    except InputError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="module")
def speakers(grid_dir: Path) -> list[list[np.ndarray]]:
    """Heads of two real people, 160 x 200 RGB, ten pictures of each."""
    heads = []
    for speaker in ("s1", "s32"):
        frames = read_frames(probe(min((grid_dir / "test" / speaker).iterdir())))
        pictures = [to_rgb(frame) for _, frame in zip(range(10), frames, strict=False)]
        (found,) = HogDetector().detect(cv2.cvtColor(pictures[0], cv2.COLOR_RGB2GRAY), 360)
        (x, y), side = found.centre, found.side
        rows = slice(round(y - side), round(y + side))
        columns = slice(round(x - 0.8 * side), round(x + 0.8 * side))
        heads.append([cv2.resize(picture[rows, columns], (160, 200)) for picture in pictures])
    return heads


@pytest.mark.usefixtures("talking", "embedding")
@pytest.mark.parametrize("wanted", [0, 1])
def test_a_picture_says_who_speaks(
    studio: Any, network: Any, rendered: list[np.ndarray], speakers: list[Any], wanted: int
) -> None:
    """The reference is another moment than those of the film."""
    pictures = []
    for number in range(6):
        picture = np.full((240, 480, 3), (90, 110, 120), np.uint8)
        for heads, left in zip(speakers, (40, 280), strict=True):
            picture[20:220, left : left + 160] = heads[number]
        pictures.append(picture)
    film = studio.film("two.mp4", pictures)
    reference = studio.folder / "who, exactly.png"
    Image.fromarray(speakers[wanted][9]).save(reference)
    network.paint = lambda target: 255 - target
    studio.sync(film, studio.wav("speech.wav", 0.24), person=str(reference))
    changed = (luma(rendered[3]) != luma(studio.source(film)[3])).any(axis=0)
    columns = np.flatnonzero(changed)
    assert len(columns) > 30
    assert ((columns >= 240) == bool(wanted)).all()


@pytest.mark.usefixtures("network", "rendered", "embedding")
def test_pictures_of_strangers_and_of_nobody_are_refused(
    studio: Any, head: np.ndarray, speakers: list[Any]
) -> None:
    film = studio.film("face.mp4", studio.scenes(5))
    stranger, wall = studio.folder / "stranger.png", studio.folder / "wall.png"
    Image.fromarray(speakers[1][0]).save(stranger)
    Image.new("RGB", (200, 200), "grey").save(wall)
    speech = studio.wav("speech.wav", 0.2)
    with pytest.raises(InputError, match=r"nobody in the video looks like .*stranger\.png"):
        studio.sync(film, speech, person=str(stranger))
    with pytest.raises(InputError, match=r"no face found in .*wall\.png"):
        studio.sync(film, speech, person=str(wall))


@pytest.mark.usefixtures("network", "rendered")
def test_without_dlib_s_models_a_picture_is_refused_and_a_number_is_not(
    studio: Any, head: np.ndarray
) -> None:
    film = studio.film("face.mp4", studio.scenes(5))
    reference = studio.folder / "who.png"
    Image.fromarray(head).save(reference)
    speech = studio.wav("speech.wav", 0.2)
    with pytest.raises(InputError, match="dlib's model") as raised:
        studio.sync(film, speech, person=str(reference))
    assert raised.value.hint.startswith("lipgan download-weights landmarks-5 face-embedding")
    assert studio.sync(film, speech, person="1").frames == 5


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("who", ["largest", "left"])
def test_at_a_cut_who_speaks_is_decided_anew(
    studio: Any, network: Any, rendered: list[np.ndarray], head: np.ndarray, who: str
) -> None:
    """First two people, the right one larger; then a single one in another place."""
    two = row(head, ((10, 140), (450, 176)))
    one = row(head, ((230, 170),))[:, ::-1] // 2
    one[:20] = 255
    film = studio.film("cut.mp4", [two] * 10 + [one] * 10)
    network.paint = lambda target: 255 - target
    summary = studio.sync(film, studio.wav("speech.wav", 0.8), person=who)
    assert summary.cuts == (0.4,)
    assert summary.without_face == ()
    source = studio.source(film)
    before, after = (
        np.flatnonzero((luma(rendered[k]) != luma(source[k])).any(axis=0)) for k in (5, 15)
    )
    assert before.max() < 160 if who == "left" else before.min() > 440
    assert 230 < after.min() < after.max() < 420
    last, first = (network.windows[k] for k in (9, 10))
    assert last.shape == first.shape  # no frame is left out at the cut
    assert len(network.windows) == 20


def posed(head: np.ndarray, scale: float, roll: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture 480x360 of a head, turned counterclockwise, and where its lips are."""
    matrix = cv2.getRotationMatrix2D((88, 80), roll, scale)
    matrix[:, 2] += np.array([240, 170]) - (88, 80)
    picture = cv2.warpAffine(head, matrix, (480, 360), borderMode=cv2.BORDER_REPLICATE)
    return picture, matrix @ (86, 118, 1)


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize(
    ("scale", "roll"), [(0.5, 0), (1.0, 28), (1.0, -28), (1.0, 15), (1.9, 0), (0.7, 0)]
)
def test_small_large_and_turned_faces_speak(
    studio: Any,
    network: Any,
    rendered: list[np.ndarray],
    head: np.ndarray,
    scale: float,
    roll: float,
) -> None:
    """The middle of what changes lies on the lips; a turned face the network sees upright."""
    picture, lips = posed(head, scale, roll)
    film = studio.film("posed.mp4", [picture] * 5)
    network.paint = lambda target: 255 - target
    summary = studio.sync(film, studio.wav("speech.wav", 0.2))
    assert summary.face_pixels == pytest.approx(96 * scale, rel=0.25)
    rows, columns = np.nonzero(luma(rendered[2]) != luma(studio.source(film)[2]))
    assert np.hypot(columns.mean() - lips[0], rows.mean() - lips[1]) < 13 * scale
    if not roll:
        return
    straight, _ = posed(head, 1.0, 0.0)
    upright = cv2.resize(straight[126:222, 190:286], (96, 96))
    shown = network.seen[0][1][2]
    likeness = cv2.matchTemplate(shown, upright[16:80, 16:80], cv2.TM_CCOEFF_NORMED).max()
    assert likeness > 0.7


@pytest.mark.usefixtures("talking")
def test_mmod_finds_the_face_too(
    studio: Any, network: Any, rendered: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "find_model", find_model)
    if find_model("mmod_human_face_detector.dat") is None:
        pytest.skip("dlib's MMOD weights are not installed")
    film = studio.film("face.mp4", studio.scenes(3))
    network.paint = lambda target: 255 - target
    summary = studio.sync(film, studio.wav("speech.wav", 0.12), detector="mmod")
    assert summary.people == 1
    changed = luma(rendered[1]) != luma(studio.source(film)[1])
    assert np.mean(np.nonzero(changed), axis=1) == pytest.approx((155, 148), abs=15)


class Told(Silent):
    """Remembers what is noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def change(rendered: list[np.ndarray], source: list[np.ndarray]) -> np.ndarray:
    """Return how much each frame was changed at most."""
    pairs = zip(rendered, source, strict=True)
    return np.array([np.abs(luma(frame).astype(int) - luma(own)).max() for frame, own in pairs])


@pytest.mark.usefixtures("talking")
def test_frames_without_a_face_pass_through_and_are_told(
    studio: Any, network: Any, rendered: list[np.ndarray]
) -> None:
    """No face in frames 20 to 49. It goes with a cut, and comes back into the picture."""
    gone = range(20, 50)
    film = studio.film("face.mp4", (studio.scene(k, face=k not in gone) for k in range(75)))
    speech = studio.wav("speech.wav", 3.0)
    network.paint = lambda target: np.full_like(target, 255)
    told = Told()
    summary = sync(
        SyncOptions(film, speech, studio.out(), marks=MarkOptions(provenance=False)), told
    )
    changed = change(rendered, studio.source(film))
    assert (changed[20:50] == 0).all()
    assert (changed[:20] > 50).all()
    assert (np.diff(changed[49:55]) > 0).all()
    assert (changed[55:] > 50).all()
    assert summary.cuts == (0.8,)
    assert summary.without_face == ((0.8, 2.0),)
    gone_from = f"{film}: no face from 0.80 s to 2.00 s, left as it is"
    assert told.notes == [gone_from, NOT_MARKED]


@pytest.mark.usefixtures("network")
def test_strict_wants_a_face_in_every_frame_that_is_shown(studio: Any) -> None:
    film = studio.film("face.mp4", (studio.scene(k, face=k < 20) for k in range(40)))
    with pytest.raises(InputError, match=r"no face from 0\.80 s to 1\.20 s") as raised:
        studio.sync(film, studio.wav("speech.wav", 1.2), strict=True)
    assert raised.value.exit_code == 2
    assert not studio.out().exists()
    assert studio.sync(film, studio.wav("speech.wav", 0.8), strict=True).without_face == ()
    summary = studio.sync(film, studio.wav("speech.wav", 3.0), end=0.8, strict=True, force=True)
    assert summary.frames == 75


@pytest.mark.usefixtures("network", "rendered")
def test_spans_without_a_face_are_in_the_video_s_own_time(studio: Any) -> None:
    film = studio.film(
        "face.mp4", (studio.scene(k, face=k not in range(30, 50)) for k in range(75))
    )
    summary = studio.sync(film, studio.wav("speech.wav", 1.6), start=0.4)
    assert summary.without_face == (pytest.approx((1.2, 2.0)),)


class Blinking:
    """Misses the face in some of the studio's pictures."""

    def __init__(self, number_of: Callable[[np.ndarray], int], missed: Collection[int]) -> None:
        self._sees, self._number_of, self._missed = HogDetector(), number_of, missed
        self.sizes = self._sees.sizes
        self._looking = False

    def detect(self, luma: np.ndarray, longest: int) -> list[Face]:
        if luma.shape == (240, 320):  # else it is a part of the picture that it last looked at
            self._looking = self._number_of(luma) not in self._missed
        return self._sees.detect(luma, longest) if self._looking else []


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize(("missed", "bridged"), [(range(24, 34), True), (range(24, 40), False)])
def test_gaps_shorter_than_half_a_second_are_bridged(
    studio: Any,
    network: Any,
    rendered: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    missed: range,
    bridged: bool,
) -> None:
    detector = Blinking(studio.number_of, missed)
    monkeypatch.setattr(survey, "_detector", lambda choice: detector)
    film = studio.film("face.mp4", studio.scenes(60))
    network.paint = lambda target: np.full_like(target, 255)
    summary = studio.sync(film, studio.wav("speech.wav", 2.4))
    changed = change(rendered, studio.source(film))
    if bridged:
        assert summary.without_face == ()
        assert (changed > 50).all()
        return
    ((first, last),) = summary.without_face
    assert (first, last) == (pytest.approx(0.96), pytest.approx(1.6))
    assert (changed[24:40] == 0).all()
    # Over 5 frames the mouth fades out before and in after them.
    assert (np.diff(changed[18:25]) < 0).all()
    assert (np.diff(changed[39:46]) > 0).all()
    assert (changed[:18] > 50).all()
    assert (changed[46:] > 50).all()


def test_no_face_at_all_is_an_error_that_names_the_file(studio: Any, network: Any) -> None:
    film = studio.film("wall.mp4", (studio.scene(k, face=False) for k in range(5)))
    with pytest.raises(InputError, match=r"no face found in the 5 frames of .*wall\.mp4"):
        studio.sync(film, studio.wav("speech.wav", 1.0))
    assert sorted(path.name for path in studio.folder.iterdir()) == ["speech.wav", "wall.mp4"]


@pytest.mark.usefixtures("network")
def test_a_face_that_only_comes_later_is_told_with_when(studio: Any) -> None:
    film = studio.film("late.mp4", (studio.scene(k, face=k >= 40) for k in range(75)))
    with pytest.raises(InputError, match=r"no face in the part that is shown") as raised:
        studio.sync(film, studio.wav("speech.wav", 1.0))
    assert "--start 1." in raised.value.hint
    made = studio.sync(film, studio.wav("speech.wav", 1.0), start=1.64)
    assert made.without_face == ()


@pytest.mark.usefixtures("network", "rendered")
def test_the_numbers_of_a_check_are_those_that_a_run_takes(
    studio: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people in three scenes: one, the other, the first again."""
    if find_model("dlib_face_recognition_resnet_model_v1.dat") is None:
        pytest.skip("dlib's models are not installed: the extra faces")
    monkeypatch.undo()  # the models may be used
    monkeypatch.setenv("LIPGAN_HOME", str(studio.folder / "home"))
    monkeypatch.setattr(presenter, "_network", lambda *given: Mirror())
    people = [data_dir / "grid" / "test" / name for name in ("s1/bbas1s.mpg", "s33/bbac2p.mpg")]
    scenes = [[to_rgb(f) for f in list(read_frames(probe(p)))[:20]] for p in people]
    film = studio.film("cuts.mp4", [*scenes[0], *scenes[1], *scenes[0]])
    speech = studio.wav("speech.wav", 2.4)
    told = foresee(SyncOptions(film, speech, studio.out()))
    assert [face.number for face in told.faces] == [1, 2]
    assert told.faces[0].seen[1] > 2.2  # in the last scene, too
    one = studio.sync(film, speech, person="1", force=True)
    other = studio.sync(film, speech, person="2", force=True)
    assert one.cached
    assert other.cached
    assert one.without_face == ((0.8, 1.6),)
    assert other.without_face == ((0.0, 0.8), (1.6, 2.4))
    with pytest.raises(InputError, match="there is no face 3"):
        studio.sync(film, speech, person="3", force=True)


class Mirror:
    def faces(self, reference: Any, target: Any, windows: Any, keys: Any = None) -> Any:
        return target
