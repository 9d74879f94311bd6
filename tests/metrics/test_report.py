"""Reports: tables, one page that needs nothing else, odd names in it, and CSV."""

from __future__ import annotations

import base64
import csv
import math
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.video import probe, read_frames, to_rgb
from lipgan_cli.engine.metrics.boxplot import box_plot, describe
from lipgan_cli.engine.metrics.report import (
    Plot,
    Report,
    Sample,
    Section,
    to_html,
    visible,
    write_csv,
    write_report,
)
from lipgan_cli.engine.metrics.table import Table, is_number

VOID = {"meta", "img"}
ODD = '<b>&amp; "it\'s" [red]a[/red] \u4f60\u597d </title></style><script>alert(1)</script>'


class Page(HTMLParser):
    """The elements of a page, in order, and that each is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names))
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(([*self._open, ""][-2] if self._open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag):
        return [text for name, text in self.texts if name == tag]

    def structure(self):
        return [(tag, sorted(attributes)) for tag, attributes in self.elements]


def noise(seed, height=96, width=96):
    """A smooth grey picture with a tint, as JPEG keeps well."""
    small = np.random.default_rng(seed).integers(60, 200, (8, 8), dtype=np.uint8)
    smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.stack([np.asarray(smooth)] * 3, axis=-1) + np.uint8([20, 0, 10])


def decoded(source, kind="image/jpeg"):
    start = f"data:{kind};base64,"
    assert source.startswith(start)
    return base64.b64decode(source.removeprefix(start), validate=True)


def example_report(name="name"):
    groups = {name: np.arange(9.0), "other": np.array([math.inf])}
    return Report(
        name,
        {name: name, "date": "2020-01-02"},
        (
            Section(
                name,
                f"{name}\n\nAnother paragraph.",
                (Table(name, (name, "SSIM"), ((name, "0.9812"), ("b", None)), note=name),),
                (Plot(box_plot(groups, name), describe(groups, name)),),
                (Sample(name, (noise(1), noise(2), noise(3)), (name, "generated", "real")),),
            ),
            Section("second"),
        ),
    )


def test_a_page_is_whole_and_well_formed():
    page = Page(to_html(example_report()))
    assert page.all("html") == [{"lang": "en"}]
    assert page.text("title") == ["name"]
    assert page.text("h1") == ["name"]
    assert page.text("h2") == ["name", "second"]
    assert page.text("dt") == ["name", "date"]
    assert page.text("dd") == ["name", "2020-01-02"]
    assert page.text("p") == ["name", "Another paragraph.", "name"]
    assert page.text("caption") == ["name"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )


def test_a_page_needs_nothing_else():
    page = Page(to_html(example_report()))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert not {"srcset", "style", "onload", "onerror"} & set(attributes)
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    drawing = decoded(page.all("img")[0]["src"], "image/svg+xml").decode()
    for text in (re.sub(r"xmlns(:\w+)?=\S+", "", drawing), to_html(example_report())):
        assert "http" not in text.replace("http-equiv", "")
        assert "url(" not in text.replace("url(#", "")
        assert "@import" not in text


def test_links_lead_to_the_sections():
    page = Page(to_html(example_report()))
    targets = [attributes["id"] for attributes in page.all("section")]
    assert [attributes["href"] for attributes in page.all("a")] == [f"#{name}" for name in targets]
    assert len(set(targets)) == 2
    assert Page(to_html(Report("one", {}, (Section("alone"),)))).all("nav") == []


def test_odd_names_are_text_everywhere():
    text = to_html(example_report(ODD))
    page = Page(text)
    assert page.structure() == Page(to_html(example_report())).structure()
    for tag in ("title", "h1", "h2", "dt", "dd", "caption"):
        assert page.text(tag)[0] == ODD
    assert ODD in page.all("img")[0]["alt"]
    assert page.all("img")[1]["alt"] == f"{ODD}: {ODD}"
    assert "<script" not in text


@given(st.text(), st.sampled_from(["'", '"', "<!--", "]]>", "&lt;", "\x00", "\udc80", "\u202e"]))
def test_any_text_comes_out_of_a_page_as_it_went_in(name, piece):
    name = f"a{name}{piece}z"
    table = Table(name, (name,), ((name,),), name)
    report = Report(name, {name: name}, (Section("s", "", (table,)), Section(name)))
    text = to_html(report)
    text.encode("utf-8")
    page = Page(text)
    shown = visible(name)
    assert [page.text(tag)[-1] for tag in ("h1", "dt", "dd", "caption", "h2")] == [shown] * 5
    assert page.all("div")[0]["aria-label"] == shown
    assert len(page.elements) == len(Page(to_html(Report("", {"": ""}, report.sections))).elements)


def test_what_cannot_be_seen_is_shown():
    assert visible("a\x00b\x1b[1m\u202ec\udcff\r\t") == "a\\x00b\\x1b[1m\\u202ec\\udcff\\r\\t"
    plain = "\u00a0a\nb \u00e9 \u4f60 \U0001f600 \u0646\u200c\u0647"
    assert visible(plain) == plain


def test_pictures_are_the_ones_that_went_in():
    pictures = (noise(1), noise(2, 48, 24), noise(3, 300, 200))
    page = Page(
        to_html(Report("r", {}, (Section("s", samples=(Sample("c", pictures, ("x", "y", "z")),)),)))
    )
    assert [image["alt"] for image in page.all("img")] == ["c: x", "c: y", "c: z"]
    assert page.text("figcaption") == ["c", "x", "y", "z"]
    for image, picture in zip(page.all("img"), pictures, strict=True):
        with Image.open(BytesIO(decoded(image["src"]))) as stored:
            assert stored.format == "JPEG"
            assert (stored.height, stored.width) == picture.shape[:2]
            error = np.abs(np.asarray(stored).astype(int) - picture)
        assert 0 < error.mean() < 4
    sizes = [(int(image["width"]), int(image["height"])) for image in page.all("img")]
    assert sizes == [(192, 192), (96, 192), (200, 300)]  # small ones in whole steps to 192


@pytest.mark.parametrize(("count", "side"), [(1, 1152), (3, 384), (12, 192)])
def test_large_pictures_are_made_smaller(count, side):
    sample = Sample("", (noise(1, 600, 1200),) * count, ("",) * count)
    page = Page(to_html(Report("r", {}, (Section("s", samples=(sample,)),))))
    assert len(page.all("img")) == count
    for image in page.all("img"):
        assert (image["width"], image["height"]) == (str(side), str(side // 2))
        with Image.open(BytesIO(decoded(image["src"]))) as stored:
            assert stored.size == (side, side // 2)


def test_a_row_of_many_small_pictures_is_not_enlarged():
    sample = Sample("", (noise(1),) * 12, ("",) * 12)
    page = Page(to_html(Report("r", {}, (Section("s", samples=(sample,)),))))
    assert {image["width"] for image in page.all("img")} == {"96"}


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))]
)
def test_what_is_no_picture_is_an_error(picture):
    with pytest.raises(ValueError, match="is no RGB picture"):
        Sample("", (picture,), ("",))


def test_every_picture_has_a_label():
    with pytest.raises(ValueError, match="2 pictures have 1 labels"):
        Sample("", (noise(1), noise(2)), ("real",))


def test_thirty_two_samples_of_real_faces_stay_small(grid_dir):
    info = probe(min(grid_dir.rglob("*.mpg")))
    frames = (Image.fromarray(to_rgb(frame)) for frame in read_frames(info))
    faces = [np.asarray(frame.crop((90, 60, 270, 240)).resize((96, 96))) for frame in frames]
    samples = tuple(
        Sample("s1", (faces[0], faces[n], faces[n + 32]), ("reference", "generated", "real"))
        for n in range(32)
    )
    text = to_html(Report("r", {}, (Section("worst", samples=samples),)))
    assert text.count("<img ") == 96
    assert 150_000 < len(text) < 500_000


def test_a_table_s_cells_are_text():
    table = Table("t", ("a", "b", "c"), (("x", 1, None), ("y", 2.5, "0.10")))
    assert table.texts() == (("x", "1", "-"), ("y", "2.5", "0.10"))
    assert table.numeric() == (False, True, True)
    assert Table("t", ("a",), ()).numeric() == (False,)


def test_a_short_row_is_an_error():
    with pytest.raises(ValueError, match="1 cells stand below 2 columns"):
        Table("t", ("a", "b"), (("x", 1), ("y",)))


def test_numbers_stand_to_the_right_and_heads_say_what_they_head():
    rows = (("lipgan", "34.15", "-"), ("copy", "-", "3 to 4"))
    page = Page(
        to_html(Report("r", {}, (Section("s", tables=(Table("t", ("", "b", "c"), rows),)),)))
    )
    number = {"class": "number"}
    assert page.all("th") == [
        {"scope": "col"},
        {"scope": "col"} | number,
        {"scope": "col"},
        {"scope": "row"},
        {"scope": "row"},
    ]
    assert page.all("td") == [number, {}] * 2
    assert page.text("td") == ["34.15", "-", "-", "3 to 4"]


@pytest.mark.parametrize("cell", ["1", "-2.5", "1e-3", "inf", "nan", "12 %", "-", ""])
def test_numbers(cell):
    assert is_number(cell)


@pytest.mark.parametrize("cell", ["a", "1 to 2", "--", "12 dB", "%-", " "])
def test_other_cells_are_no_numbers(cell):
    assert not is_number(cell)


def test_a_report_without_anything_is_a_page():
    page = Page(to_html(Report("r")))
    assert page.text("h1") == ["r"]
    assert page.all("dl") == []


def test_the_same_report_is_the_same_text():
    assert to_html(example_report()) == to_html(example_report())


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "out.html"
    write_report(path, example_report(ODD))
    assert path.read_bytes().decode("utf-8") == to_html(example_report(ODD))
    with pytest.raises(InputError, match="exists already"):
        write_report(path, Report("other"), force=False)
    assert "other" not in path.read_text(encoding="utf-8")[:1000]
    write_report(path, Report("other"))
    assert Page(path.read_text(encoding="utf-8")).text("h1") == ["other"]
    assert list(path.parent.iterdir()) == [path]


def read_back(path):
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    return [[cell.removeprefix("'") for cell in row] for row in rows]


def test_csv_by_hand(tmp_path):
    path = tmp_path / "out.csv"
    rows = [
        ("a,b", 0.1, 3, None),
        ('say "x"', math.inf, -7, math.nan),
        ("two\nlines", -math.inf, np.int64(5), np.float64(1 / 3)),
        ("\u4f60", np.float32(0.5), 0, ""),
    ]
    write_csv(path, ("name", "PSNR", "n", "x"), rows)
    assert path.read_bytes().decode("utf-8") == (
        "name,PSNR,n,x\r\n"
        '"a,b",0.1,3,\r\n'
        '"say ""x""",inf,-7,nan\r\n'
        '"two\nlines",-inf,5,0.3333333333333333\r\n'
        "\u4f60,0.5,0,\r\n"
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "'"])
def test_a_text_that_begins_like_a_formula_is_none_in_csv(tmp_path, start):
    write_csv(tmp_path / "out.csv", ("name",), [(f"{start}1+1",), (f"a{start}",)])
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["name"], [f"'{start}1+1"], [f"a{start}"]]


def test_negative_numbers_stay_numbers_in_csv(tmp_path):
    write_csv(tmp_path / "out.csv", ("a", "b"), [(-1, -0.5)])
    assert (tmp_path / "out.csv").read_bytes() == b"a,b\r\n-1,-0.5\r\n"


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
cells = st.one_of(texts, st.floats(allow_nan=False), st.integers(), st.none())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["name"], [["'=x"], ["''"], ['"'], [None]])
@given(st.lists(texts, min_size=1, max_size=3), st.lists(st.lists(cells, min_size=3, max_size=3)))
def test_csv_comes_back_as_it_went(tmp_path, header, rows):
    rows = [row[: len(header)] for row in rows]
    write_csv(tmp_path / "out.csv", header, rows)
    names, *back = read_back(tmp_path / "out.csv")
    assert names == header
    for row, cells in zip(rows, back, strict=True):
        for wanted, cell in zip(row, cells, strict=True):
            if isinstance(wanted, str):
                assert cell == wanted
            else:
                assert cell == "" if wanted is None else type(wanted)(cell) == wanted


def test_a_name_of_odd_bytes_is_written_as_text(tmp_path):
    write_csv(tmp_path / "out.csv", ("name",), [("a\udcff",)])
    assert (tmp_path / "out.csv").read_bytes() == b"name\r\na\\udcff\r\n"


def test_csv_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.csv"
    with pytest.raises(ValueError, match="1 cells stand below 2 columns"):
        write_csv(path, ("a", "b"), [(1, 2), (1,)])

    def failing():
        yield (1, 2)
        raise LipganError("no more")

    with pytest.raises(LipganError, match="no more"):
        write_csv(path, ("a", "b"), failing())
    assert list(tmp_path.iterdir()) == []
    write_csv(path, ("a",), [(1,)])
    with pytest.raises(InputError, match="exists already"):
        write_csv(path, ("a",), [(2,)], force=False)
    assert path.read_bytes() == b"a\r\n1\r\n"


def test_csv_takes_a_row_at_a_time(tmp_path):
    taken = []

    def rows():
        for number in range(100_000):
            taken.append(number)
            yield (number, 1 / 3)
            if number == 50_000:
                (part,) = tmp_path.iterdir()
                assert part.stat().st_size > 500_000

    write_csv(tmp_path / "out.csv", ("n", "x"), rows())
    assert len(taken) == 100_000
