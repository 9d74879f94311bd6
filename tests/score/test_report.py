"""Scores as pages: whole in themselves, with how they came about, plots and samples."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.gan.inference import DEFAULT_WEIGHTS, Animator
from lipgan_cli.engine.media import landmarks
from lipgan_cli.engine.metrics.image import Figures, FigureTable, PairFigures
from lipgan_cli.engine.metrics.judge import DEFAULT_JUDGE
from lipgan_cli.engine.score import films as film_engine
from lipgan_cli.engine.score import samples
from lipgan_cli.engine.score.samples import MOMENTS, SHOWN, SMALL

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """What stands in a page, which must close what it opens."""

    def __init__(self, path):
        super().__init__()
        self.path, self.open, self.images, self.links, self.texts = path, [], [], [], {}
        self.feed(path.read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(found)
        self.links += [found[name] for name in ("src", "href") if name in found]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open:
            self.texts.setdefault(self.open[-1], []).append(data.strip())

    def facts(self):
        """Return how the score came about."""
        text = self.path.read_text("utf-8")
        return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text, re.DOTALL))

    def samples(self, heading):
        """Return captions of a section, and how many pictures each has."""
        text = self.path.read_text("utf-8")
        start = text.index(f"<h2>{heading}</h2>")
        section = text[start : text.index("</section>", start)]
        parts = re.split(r'<figure class="sample', section)[1:]
        return {
            re.search(r"<figcaption>(.*?)</figcaption>", part)[1]: part.count("<img")
            for part in parts
        }


def page_of(path):
    """The page, of which no part lies anywhere else."""
    page = Page(path)
    for link in page.links:
        assert link.startswith(("data:image/jpeg;base64,", "data:image/svg+xml;base64,", "#"))
    text = path.read_text("utf-8")
    assert "<script" not in text
    assert "url(" not in text
    assert all(image["alt"] for image in page.images)
    return page


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def _no_landmarks(monkeypatch):
    """Without dlib's landmarks, which only some have."""
    for module in (landmarks, film_engine):
        monkeypatch.setattr(module, "installed_landmarks", lambda: None)


def folder(path, count, off=0):
    path.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        picture = rng.integers(0, 200, (48, 48, 3)) + off * (number + 1)
        Image.fromarray(picture.astype(np.uint8)).save(path / f"<{number:02d}> & ü.png")
    return path


def test_page_of_folders(tmp_path, lipgan):
    real = folder(tmp_path / "real", 20)
    sides = [folder(tmp_path / name, 20, off) for name, off in (("<b>one", 1), ("two", 2))]
    path = tmp_path / "new" / "ü [1].html"
    ran = lipgan("score", real, *sides, "--report", path, "--gaussian")
    assert (ran.code, ran.stderr) == (0, "")
    page = page_of(path)
    names = ["<b>one", "two"]
    assert page.texts["h1"] == [f"{', '.join(names)} against real"]
    sections = ["Figures", "Spread"]
    sections += [
        f"{name}: {which}" for name in names for which in ("contact sheet", "worst", "best")
    ]
    assert page.texts["h2"] == sections
    facts = page.facts()
    assert facts["generated two"] == str(sides[1])
    assert facts["SSIM"] == "Gaussian window, 11x11"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC by lipgan .+", facts["made"])
    assert facts["with"] == ", ".join(
        f"{name} {version(name)}" for name in ("scikit-image", "pytorch-fid", "torch", "numpy")
    )
    # The table is that of the terminal.
    cells = [line.split() for line in ran.stdout.splitlines()[2:]]
    assert page.texts["td"][: 6 * len(cells)] == [cell for row in cells for cell in row[-6:]]
    plots = [image for image in page.images if "svg" in image["src"]]
    assert len(plots) == 4
    assert all("two" in plot["alt"] for plot in plots)
    assert list(page.samples("two: contact sheet").values()) == [MOMENTS, MOMENTS]
    worst, best = (page.samples(f"two: {which}") for which in ("worst", "best"))
    assert [name[: name.index(":")] for name in worst] == [
        f"&lt;{number:02d}&gt; &amp; ü" for number in range(19, 19 - SHOWN, -1)
    ]
    assert [name[: name.index(":")] for name in best] == [
        f"&lt;{number:02d}&gt; &amp; ü" for number in range(SHOWN)
    ]
    assert set(worst.values()) == {2}
    decibels = 20 * np.log10(255 / 2)
    assert f"{decibels:.1f} dB" in next(iter(best))


def test_page_of_two_pictures(tmp_path, lipgan):
    real, fake = folder(tmp_path / "real", 1), folder(tmp_path / "fake", 1, 3)
    path = tmp_path / "page.html"
    sides = [next(side.iterdir()) for side in (real, fake)]
    assert lipgan("score", *sides, "--report", path).code == 0
    page = page_of(path)
    name = sides[1].name
    assert page.texts["h2"] == ["Figures", "Spread", f"{name}: worst"]
    assert sha256(sides[0]) in page.facts()["real"]


def test_page_of_identical_folders_has_no_plot_of_psnr(tmp_path, lipgan):
    real = folder(tmp_path / "real", 2)
    path = tmp_path / "page.html"
    assert lipgan("score", real, real, "--report", path).code == 0
    plots = [image for image in page_of(path).images if "svg" in image["src"]]
    assert len(plots) == 2


def test_page_of_sets_alone(tmp_path, lipgan, short_features):
    real, fake = folder(tmp_path / "real", 3), folder(tmp_path / "fake", 2, 1)
    path = tmp_path / "page.html"
    arguments = ("--fid", "--fid-weights", short_features, "--report", path, "-q")
    assert lipgan("score", real, fake, *arguments).code == 0
    page = page_of(path)
    assert page.texts["h2"] == ["Figures"]
    assert page.images == []
    assert sha256(short_features) in page.facts()["FID network"]


def test_page_of_videos(films, judge, tmp_path, lipgan):
    path = tmp_path / "page.html"
    arguments = ("--sync", "--judge", judge, "--report", path)
    ran = lipgan("score", films["real"], films["fake"], *arguments, "--quiet")
    assert (ran.code, ran.stderr) == (0, "")
    page = page_of(path)
    facts = page.facts()
    assert facts["lip-sync judge"] == f"{judge}\nSHA-256 {sha256(judge)}"
    assert facts["real"].endswith(sha256(films["real"]))
    assert any("Lip-sync is judged under these conditions" in text for text in page.texts["p"])
    sheet = page.samples("fake.mkv: contact sheet")
    assert sheet == {"real": MOMENTS, "generated": MOMENTS}
    shown = [page.samples(f"fake.mkv: {which}") for which in ("worst", "best")]
    times = [
        float(re.match(r"frame (\d+), (\d\.\d\d) s: ", name)[2])
        for section in shown
        for name in section
    ]
    assert len(times) > SHOWN
    assert all(0 <= time < 2 for time in times)
    assert len(set(times)) == len(times)
    faces = [image for image in page.images if "jpeg" in image["src"]]
    assert {int(face["width"]) for face in faces[: 2 * MOMENTS]} == {96}  # the square of the face


def test_page_of_one_video(films, tmp_path, lipgan):
    path = tmp_path / "page.html"
    ran = lipgan("score", films["real"], "--report", path)
    assert ran.code == 0
    page = page_of(path)
    assert page.texts["h1"] == [f"Lip-sync of {films['real'].name}"]
    assert sha256(DEFAULT_JUDGE) in page.facts()["lip-sync judge"]
    assert page.texts["th"][4:] == ["own", "shifted", "swapped", "still"]


@pytest.fixture
def model(monkeypatch):
    """A model that gives back what it is shown, a little brighter."""

    def load(weights, device, batch_statistics=False):
        bright = 1 if weights is None else 5
        return SimpleNamespace(faces=lambda _reference, target, windows: target + np.uint8(bright))

    monkeypatch.setattr(Animator, "load", load)


def test_page_of_models(prepare_toy, model, judge, tmp_path, lipgan):
    clips = {"s1/a": 30, "s1/b": 28, "s2/c": 30}
    data = prepare_toy(clips, test=tuple(clips))
    weights, path = tmp_path / "[other].safetensors", tmp_path / "page.html"
    weights.write_bytes(b"weights")
    arguments = ("--data", data, "--sync", "--judge", judge, "--report", path, "-q")
    assert lipgan("score", *arguments).code == 0
    alone = page_of(path)
    assert alone.texts["h1"] == ["lipgan's own on toy"]
    assert sha256(DEFAULT_WEIGHTS) in alone.facts()["model lipgan&#x27;s own"]
    ran = lipgan("score", *arguments, "--model", weights, "--force")
    assert ran.code == 0
    page = page_of(path)
    facts = page.facts()
    assert facts["model [other]"].endswith(sha256(weights))
    assert (facts["clips"], facts["frames"]) == ("3 of the subset test", "every 6")
    sections = [f"[other]: {which}" for which in ("contact sheets", "worst", "best")]
    assert page.texts["h2"] == ["Figures", "Spread", *sections]
    sheets = page.samples("[other]: contact sheets")
    assert sheets == {
        f"{clip}, {which}": MOMENTS
        for clip in ("s1/a", "s2/c")
        for which in ("real", "generated from its own sound")
    }
    for which in ("worst", "best"):
        shown = page.samples(f"[other]: {which}")
        keys = [name.split(",")[0] for name in shown]
        assert keys
        assert len(set(keys)) == len(keys)  # one of each clip at most
        assert set(keys) <= set(clips)
        assert set(shown.values()) == {3}
    plots = [image["alt"] for image in page.images if "svg" in image["src"]]
    assert len(plots) == 4
    for condition in ("right", "swapped", "still", "copy"):
        assert f"[other], {condition}" in plots[0]


def test_page_has_every_speaker(prepare_toy, model, tmp_path, lipgan):
    clips = {f"s{number}/a": 7 for number in range(5)}
    data = prepare_toy(clips, test=tuple(clips))
    path = tmp_path / "page.html"
    ran = lipgan("score", "--data", data, "--report", path)
    assert "s3, SSIM, whole" not in ran.stdout
    assert "The figures of each speaker are in --report" in ran.stdout
    page = page_of(path)
    assert "s3, SSIM, whole" in page.texts["th"]
    assert "The figures of each speaker" not in path.read_text("utf-8")


def table_of(decibels):
    """Pairs with a mouth of so many dB; None: without a mouth."""
    whole = Figures(30, 0.9)
    return FigureTable.of(
        PairFigures(whole, None if value is None else Figures(value, 0.5)) for value in decibels
    )


def test_ends_do_not_overlap():
    every = samples._spaced(1)
    assert samples._ends(table_of([3, 1, 2]), every) == {"worst": [1, 2], "best": [0]}
    assert samples._ends(table_of([3]), every) == {"worst": [0]}
    assert samples._ends(table_of([3, None, 1]), every) == {"worst": [2], "best": [0]}
    assert samples._ends(table_of([None, None]), every) == {"worst": [0], "best": [1]}
    many = samples._ends(table_of(range(40)), every)
    assert many == {"worst": list(range(SHOWN)), "best": list(range(39, 39 - SHOWN, -1))}
    identical = samples._ends(table_of([float("inf"), 20]), every)
    assert identical == {"worst": [1], "best": [0]}


def test_frames_of_a_video_are_apart():
    assert samples._spaced(3)([5, 4, 3, 2, 9, 8, 6]) == [5, 2, 9]
    assert len(samples._spaced(1)(range(100))) == SHOWN


def test_one_frame_of_a_clip_is_shown():
    assert samples._first_of_each(["a", "a", "b", "b"])([1, 3, 0, 2]) == [1, 3]
    assert len(samples._first_of_each([str(n) for n in range(20)])(range(20))) == SHOWN


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 75])
def test_moments_are_spread(count):
    moments = samples._spread(count)
    assert moments == sorted(set(moments))
    assert 0 <= moments[0] <= moments[-1] < count
    assert len(moments) == min(count, MOMENTS) or count in {3, 9}
    if count > MOMENTS + 2:
        assert 0 < moments[0] < moments[-1] < count - 1


@pytest.mark.parametrize(
    ("shape", "small"), [((300, 600), (60, 120)), ((96, 96), (96, 96)), ((1, 999), (1, 120))]
)
def test_pictures_of_a_sheet_fit_a_row(shape, small):
    assert max(small) <= SMALL
    assert samples._small(np.zeros((*shape, 3), np.uint8)).shape == (*small, 3)
