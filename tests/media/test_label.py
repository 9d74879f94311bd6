"""A label can be read on any picture, in the languages of the Union, and changes nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import label as labels
from lipgan_cli.engine.media.blend import planes
from lipgan_cli.engine.media.choices import Corner
from lipgan_cli.engine.media.label import FAINTEST, TEXTS, Label

Plane = NDArray[np.uint8]


def frame(width: int, height: int, luma: int = 120, chroma: int = 90) -> Plane:
    """Return an I420 frame of one colour."""
    flat = np.full((height * 3 // 2, width), chroma, np.uint8)
    flat[:height] = luma
    return flat


def drawn(label: Label, flat: Plane, full_range: bool = False) -> Plane:
    """Return a copy of a frame with a label."""
    copy = flat.copy()
    height, width = flat.shape[0] * 2 // 3, flat.shape[1]
    label.stamp(width, height, full_range).draw(copy)
    return copy


def changed(before: Plane, after: Plane) -> tuple[int, int, int, int]:
    """Return the first and last row and column of luma that differ."""
    rows, columns = np.nonzero(planes(before)[0] != planes(after)[0])
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def contrast(luma: Plane) -> float:
    """Return the contrast of the lightest and the commonest luma, as WCAG 2 defines it."""
    common = np.bincount(luma.reshape(-1)).argmax()
    light, dark = (((value - 16) / 219) ** 2.2 for value in (float(luma.max()), float(common)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("corner", list(Corner))
def test_it_stands_in_its_corner(corner: Corner) -> None:
    before = frame(640, 360)
    top, bottom, left, right = changed(before, drawn(Label("AI-generated", corner), before))
    margin = 10  # of 2.5 % of 360, made even
    assert (top == margin) == corner.startswith("top")
    assert (bottom == 359 - margin) == corner.startswith("bottom")
    assert (left == margin) == corner.endswith("left")
    assert (right == 639 - margin) == corner.endswith("right")
    assert bottom - top < 40 and right - left < 200


def test_nothing_else_is_touched_and_colour_goes_with_it() -> None:
    before = frame(640, 360)
    after = drawn(Label("AI-generated", opacity=1), before)
    top, bottom, left, right = changed(before, after)
    assert top % 2 == left % 2 == 0 and bottom % 2 == right % 2 == 1
    for old, new in zip(planes(before)[1:], planes(after)[1:], strict=True):
        inside = np.zeros(old.shape, np.bool_)
        inside[top // 2 : bottom // 2 + 1, left // 2 : right // 2 + 1] = True
        assert (old == new)[~inside].all()
        assert (new[inside] > 117).all()  # 15 % of 90 and 85 % of grey, 128: 122
    luma = planes(after)[0]
    outside = np.ones(luma.shape, np.bool_)
    outside[top : bottom + 1, left : right + 1] = False
    assert (luma[outside] == 120).all()


@pytest.mark.parametrize("opacity", [FAINTEST, 0.85, 1])
@pytest.mark.parametrize("luma", [16, 90, 160, 235])
def test_it_can_be_read_on_dark_and_light(luma: int, opacity: float) -> None:
    before = frame(1280, 720, luma)
    after = drawn(Label("AI-generated", opacity=opacity), before)
    top, bottom, left, right = changed(before, after) if luma > 16 else (0, 719, 0, 1279)
    assert contrast(planes(after)[0][top : bottom + 1, left : right + 1]) >= 3


@pytest.mark.parametrize(("full_range", "expected"), [(False, (16, 235)), (True, (0, 255))])
def test_its_white_is_that_of_the_picture(full_range: bool, expected: tuple[int, int]) -> None:
    black, white = expected
    for luma in (black, white):
        shown = planes(drawn(Label("HHHH", opacity=1), frame(320, 240, luma), full_range))[0]
        assert shown.max() == white
        assert shown.min() >= black
    assert shown.min() == pytest.approx(0.15 * white + 0.85 * black, abs=1)


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_the_languages_of_the_union_can_be_written(language: str) -> None:
    label = Label(language)
    label.check()
    assert label.line == TEXTS[language] != Label("AI generated").line
    assert changed(frame(360, 288), drawn(label, frame(360, 288)))[3] > 40


def test_there_are_24_of_them() -> None:
    assert len(TEXTS) == 24
    assert Label("DE").line == Label(" de ").line == "KI-generiert"
    assert Label("AI").line == "AI"  # two letters, and no language


@pytest.mark.parametrize("text", ["مرحبا", "Зроблено ШІ", "Tạo bởi AI", "© AI €"])
def test_other_scripts_of_the_font(text: str) -> None:
    Label(text).check()


def test_text_becomes_one_line_of_whole_letters() -> None:
    assert Label(" AI \n generated\t").line == "AI generated"
    assert Label("ge\u0301ne\u0301re\u0301").line == "généré"


def test_letters_that_the_font_lacks_are_named() -> None:
    with pytest.raises(InputError, match=r"lacks 生 \(U\+751F\), 成 \(U\+6210\)$") as caught:
        Label("AI 生成").check()
    assert "--label-font" in caught.value.hint
    with pytest.raises(InputError, match="and 2 more"):
        Label("一二三四五六七").check()


def test_another_font_can_be_brought(tmp_path: Path) -> None:
    font = tmp_path / "my font [1].ttf"
    font.write_bytes(Label("a")._face.read_bytes())
    before = frame(320, 240)
    assert (drawn(Label("AI", font=font), before) == drawn(Label("AI"), before)).all()


def test_what_is_no_font_is_an_error(tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    font.write_text("no font")
    with pytest.raises(InputError, match="not a font"):
        Label("AI", font=font).check()
    with pytest.raises(InputError, match="does not exist"):
        Label("AI", font=tmp_path / "none.ttf").check()


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (Label(" "), "empty"),
        (Label("AI", corner="middle"), "corner 'middle'"),
        (Label("AI", size=0.01), "0.01"),
        (Label("AI", size=float("nan")), "nan"),
        (Label("AI", opacity=0.3), "opacity 0.3"),
        (Label("AI", opacity=1.1), "opacity 1.1"),
    ],
)
def test_what_cannot_be_read_is_refused(label: Label, told: str) -> None:
    with pytest.raises(InputError, match=told):
        label.check()


def test_text_from_right_to_left_needs_what_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels.features, "check", lambda name: False)
    Label("AI").check()
    with pytest.raises(InputError, match="right to left"):
        Label("مرحبا").check()


def test_a_long_text_becomes_smaller_until_it_cannot_be_read() -> None:
    long = "Dieses Video wurde mit künstlicher Intelligenz erzeugt"
    top, bottom, left, right = changed(frame(720, 1280), drawn(Label(long), frame(720, 1280)))
    assert left >= 18 and right < 720 - 18
    assert bottom - top < changed(frame(720, 1280), drawn(Label("AI"), frame(720, 1280)))[1]
    with pytest.raises(InputError, match="does not fit into 320x240"):
        Label(long * 3).stamp(320, 240)


@given(
    st.integers(40, 400).map(lambda half: 2 * half),
    st.integers(30, 400).map(lambda half: 2 * half),
    st.floats(0.02, 0.2),
    st.sampled_from(list(Corner)),
)
@settings(max_examples=40)
def test_it_lies_within_any_picture(width: int, height: int, size: float, corner: Corner) -> None:
    before = frame(width, height)
    after = drawn(Label("AI", corner, size), before)
    top, bottom, left, right = changed(before, after)
    assert 0 < top < bottom < height - 1 and 0 < left < right < width - 1
    assert bottom - top < height / 2 + 2


def test_a_frame_of_another_size_is_refused() -> None:
    stamp = Label("AI").stamp(320, 240)
    with pytest.raises(ValueError, match="320x240"):
        stamp.draw(frame(322, 240))
    with pytest.raises(ValueError, match="320x240"):
        stamp.draw(np.asfortranarray(frame(320, 240)))
