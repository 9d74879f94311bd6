"""The page for raters in a real browser: a whole session from a file, by mouse and by keyboard.

Chromium is driven by chromedriver, whose protocol (W3C WebDriver) is JSON over HTTP.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import imageio_ffmpeg
import pytest

from lipgan_cli.engine.metrics.mos import QUESTIONS, make_kit
from lipgan_cli.engine.metrics.opinions import read_opinions

KEYS = [question.key for question in QUESTIONS]
SECONDS = 0.6  # length of a clip
PATIENCE = 20.0
TAB, ENTER, RIGHT = "\ue004", "\ue007", "\ue014"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's own name for a reference

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    BROWSER is None or shutil.which("chromedriver") is None,
    reason="no chromium with chromedriver (Debian: chromium and chromium-driver)",
)


class Browser:
    """One window of a headless browser."""

    def __init__(self, address):
        self._address = address
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def call(self, path, body=None, method="POST"):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        head = {"Content-Type": "application/json"}
        asked = urllib.request.Request(self._address + path, data, head, method=method)
        try:
            with self._open(asked, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(json.load(error)["value"]["message"]) from None

    def start(self, folder):
        """Open the window, its profile and its downloads in `folder`."""
        profile, self._downloads = folder / "profile", folder / "downloads"
        flags = (
            "headless no-sandbox disable-gpu disable-quic no-first-run disable-sync "
            f"disable-background-networking disable-component-update user-data-dir={profile} "
            "window-size=1280,900"
        )
        options = {
            "binary": BROWSER,
            "args": [f"--{flag}" for flag in flags.split()],
            "prefs": {"download.default_directory": str(self._downloads)},
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.call("/session", {"capabilities": {"alwaysMatch": wanted}})
        self._address += f"/session/{answer['sessionId']}"

    def go(self, path):
        self.call("/url", {"url": path.as_uri()})

    def run(self, script, *arguments):
        return self.call("/execute/sync", {"script": script, "args": arguments})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def until(self, script, *arguments):
        """Wait until a script gives something true, and return it."""
        end = time.monotonic() + PATIENCE
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < end, f"still not: {script}"
            time.sleep(0.02)
        return found

    def click(self, selector):
        found = self.call("/element", {"using": "css selector", "value": selector})
        self.call(f"/element/{found[_ELEMENT]}/click")

    def type(self, text):
        """Press keys one by one, wherever the focus is."""
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.call("/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def watched(self, side):
        self.until(f"return document.getElementById('state-{side}').textContent === 'watched'")

    def downloaded(self, name):
        """Wait for a download, and take it out of the browser's folder."""
        path, end = self._downloads / name, time.monotonic() + PATIENCE
        while not (path.exists() and path.stat().st_size):  # it holds the name while it writes
            assert time.monotonic() < end, f"no {name}"
            time.sleep(0.02)
        return path.replace(self._downloads.with_name(name))

    def errors(self):
        return [entry["message"] for entry in self.call("/se/log", {"type": "browser"})]


@contextmanager
def driven(folder):
    """A browser, closed at the end whatever happens."""
    with subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as driver:
        try:
            started = (re.search(r"successfully on port (\d+)", line) for line in driver.stdout)
            browser = Browser(f"http://127.0.0.1:{next(filter(None, started))[1]}")
            browser.start(folder)
            try:
                yield browser
            finally:
                browser.call("", method="DELETE")
        finally:
            driver.terminate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with driven(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    """Two systems of two clips each: a grey one and a blue one."""
    folder = tmp_path_factory.mktemp("systems")
    program = imageio_ffmpeg.get_ffmpeg_exe()
    for system in ("gray", "navy"):
        (folder / system).mkdir()
        for clip, tone in (("k.mp4", 300), ("l.mp4", 500)):
            inputs = [f"color={system}:s=96x96:r=25:d={SECONDS}", f"sine={tone}:d={SECONDS}"]
            sources = [word for source in inputs for word in ("-f", "lavfi", "-i", source)]
            target = str(folder / system / clip)
            subprocess.run(
                [program, "-v", "error", *sources, "-pix_fmt", "yuv420p", target], check=True
            )
    return [folder / "gray", folder / "navy"]


@pytest.fixture(scope="module")
def kit(systems, tmp_path_factory):
    # A name that a rater's folder may well have.
    return make_kit(tmp_path_factory.mktemp("out") / "a kit #1 ü", systems)


@pytest.fixture
def opened(browser, kit):
    """The page as a new rater finds it; at the end it has complained of nothing."""
    browser.go(kit.page)
    browser.run("session = null; localStorage.clear()")
    browser.go(kit.page)
    browser.errors()
    yield browser
    assert browser.errors() == []


def item(browser, kit, side):
    """What the key says of the video that is shown."""
    code = browser.run(
        f"return document.getElementById('video-{side}').src.match(/([^/]+)[.]mp4$/)[1]"
    )
    return json.loads(kit.key.read_text("utf-8"))["items"][code]


def watch(browser, side):
    browser.click(f"#play-{side}")
    browser.watched(side)


def scores(browser, kit):
    """Scores for the two sides by system: gray has 5, 4, 3 and navy 2, 2, 1."""
    by_system = {"gray": (5, 4, 3), "navy": (2, 2, 1)}
    return {side: by_system[item(browser, kit, side)["system"]] for side in "ab"}


def answer_by_click(browser, kit):
    for side, given in scores(browser, kit).items():
        for key, score in zip(KEYS, given, strict=True):
            browser.click(f"[name={side}-{key}][value='{score}']")
    better = next(side for side in "ab" if item(browser, kit, side)["system"] == "gray")
    browser.click(f"[name=preferred][value={better}]")


def marked(browser):
    return browser.run(
        "return [...document.querySelectorAll('#trial input:checked')].map(i => i.name + i.value)"
    )


def check_answers(opinions):
    assert (opinions.pairs, opinions.unfinished) == (2 * opinions.raters, ())
    means = {
        system: tuple(found.mean for found in by_question.values())
        for system, by_question in opinions.scores.items()
    }
    assert means == {"gray": (5, 4, 3), "navy": (2, 2, 1)}
    (preference,) = opinions.preferences
    assert (preference.wins, preference.losses) == (opinions.pairs, 0)
    assert preference.differences["sync"].mean == 3


def test_session_by_mouse_outlives_a_reload(opened, kit):
    assert "2 pairs" in opened.text("#start")
    opened.click("#rater")
    opened.type("Ann")
    opened.click("#start button")
    assert opened.text("#place") == "Pair 1 of 2"
    # Nothing can be passed over: first both videos, then every question.
    opened.click("[data-do=next]")
    assert opened.text("#todo") == "Watch video A to its end first."
    watch(opened, "a")
    opened.click("[data-do=next]")
    assert opened.text("#todo") == "Watch video B to its end first."
    watch(opened, "b")
    opened.click("[data-do=next]")
    assert opened.text("#todo") == "Answer 7 more questions first."
    answer_by_click(opened, kit)
    first_pair, first_answers = [item(opened, kit, side) for side in "ab"], marked(opened)
    assert len(first_answers) == 7
    opened.click("[data-do=next]")
    assert opened.text("#place") == "Pair 2 of 2"
    assert marked(opened) == []
    opened.click("[name=a-sync][value='3']")

    opened.go(kit.page)
    assert opened.text("#place") == "Pair 2 of 2"
    assert marked(opened) == ["a-sync3"]
    opened.click("[data-do=back]")
    assert [item(opened, kit, side) for side in "ab"] == first_pair
    assert marked(opened) == first_answers
    assert opened.text("#state-a") == "watched"
    opened.click("[data-do=next]")

    # At any time: the file of a session that is not finished.
    opened.click("#bar [data-do=save]")
    begun = read_opinions(kit.folder, [opened.downloaded("answers-ann.json")])
    assert (begun.pairs, begun.unfinished) == (2, ("ann",))
    watch(opened, "a")
    watch(opened, "b")
    answer_by_click(opened, kit)
    opened.click("[data-do=next]")
    assert "Thank you" in opened.text("#end")
    opened.click("#end [data-do=save]")
    path = opened.downloaded("answers-ann.json")
    sheet = json.loads(path.read_text("utf-8"))
    assert (sheet["kit"], sheet["rater"], sheet["asked"]) == (kit.kit, "ann", 2)
    assert [trial["place"] for trial in sheet["trials"]] == [1, 2]
    for trial in sheet["trials"]:
        assert trial["watched"] == {"a": 1, "b": 1}
        assert SECONDS < trial["seconds"] < 60
    check_answers(read_opinions(kit.folder, [path]))
    # It is over after a reload, too.
    opened.go(kit.page)
    assert "Thank you" in opened.text("#end")


def test_session_by_keyboard_alone(opened, kit):
    opened.type(TAB + "not a name" + ENTER)
    assert "without spaces" in opened.text("#rater-wrong")
    # The field still has the focus.
    opened.run("document.activeElement.select()")
    opened.type("ben" + ENTER)
    for number in (1, 2):
        assert opened.text("#place") == f"Pair {number} of 2"
        given = scores(opened, kit)
        opened.type("a")
        opened.watched("a")
        opened.type("b")
        opened.watched("b")
        # Next leads to the first question that is open; a digit answers and moves on.
        opened.run("document.querySelector('[data-do=next]').focus()")
        opened.type(ENTER)
        opened.type("".join(str(score) for score in (*given["a"], *given["b"])))
        better = next(side for side in "ab" if item(opened, kit, side)["system"] == "gray")
        # The last digit has led to the preference: its first answer, or two to the right.
        opened.type(" " if better == "a" else RIGHT * 2)
        assert opened.text("#todo") == ""
        opened.type(TAB + ENTER)
    assert "Thank you" in opened.text("#end")
    opened.type(TAB + ENTER)
    check_answers(read_opinions(kit.folder, [opened.downloaded("answers-ben.json")]))


def test_one_video_plays_at_a_time_and_is_heard(opened):
    opened.run("begin('cy')")
    playing = (
        "return ['a', 'b'].filter(side => !document.getElementById(`video-${side}`).paused).join()"
    )
    opened.run("for (const v of document.querySelectorAll('video')) v.loop = true")
    opened.click("#play-a")
    opened.until(playing + " === 'a'")
    opened.until("return document.getElementById('play-a').textContent === 'Pause A'")
    opened.click("#video-b")
    opened.until(playing + " === 'b'")
    opened.until("return document.getElementById('video-b').webkitAudioDecodedByteCount > 0")
    assert not opened.run("return document.getElementById('video-b').muted")
    opened.click("#play-b")
    opened.until(playing + " === ''")


def test_order_and_sides_are_each_raters_own(opened):
    opened.run("kit.trials = [...Array(60).keys()].map(i => [`${i}x`, `${i}y`])")
    names = [f"rater{number}" for number in range(20)]
    orders = [opened.run("return orderFor(arguments[0])", name) for name in names]
    assert orders[0] == opened.run("return orderFor('rater0')")
    places, left = [], []
    for order in orders:
        assert sorted(int(pair[0][:-1]) for pair in order) == list(range(60))
        places.append([pair[0][:-1] for pair in order].index("0"))
        left.append(sum(pair[0].endswith("x") for pair in order))
    assert len({json.dumps(order) for order in orders}) == 20
    # Binomial of 60 for one rater and 1,200 for all, within 4.5 standard deviations.
    assert all(12 <= count <= 48 for count in left)
    assert 522 <= sum(left) <= 678
    assert 15 <= sum(places) / 20 <= 44  # uniform in 0..59: 29.5, within 3.7
    opened.run("kit.limit = 5")
    assert opened.run("return orderFor('rater3')") == orders[3][:5]


def test_raters_of_one_browser_are_kept_apart(opened):
    opened.run("begin('dan')")
    opened.click("[name=a-sync][value='1']")
    opened.click("[data-do=leave]")
    assert opened.run("return document.activeElement.id") == "rater"
    opened.type("eve" + ENTER)
    assert opened.text("#who") == "eve"
    assert marked(opened) == []
    opened.click("[data-do=leave]")
    opened.type("DAN" + ENTER)
    assert marked(opened) == ["a-sync1"]


def test_page_can_reach_no_network(opened):
    blocked = opened.run(
        """
        const reports = [];
        const heard = event => reports.push(event.violatedDirective);
        document.addEventListener("securitypolicyviolation", heard);
        const image = new Image();
        image.src = "http://127.0.0.1:9/x.png";
        const video = document.createElement("video");
        video.src = "http://127.0.0.1:9/x.mp4";
        return Promise.all([
          fetch("http://127.0.0.1:9/").catch(() => {}), new Promise(done => setTimeout(done, 100)),
        ]).then(() => reports.sort());
        """
    )
    assert blocked == ["connect-src", "img-src", "media-src"]
    assert len(opened.errors()) >= 3


def test_video_that_cannot_be_played_may_be_left_out(opened, kit, tmp_path):
    shutil.copytree(kit.folder, tmp_path / "kit")
    for video in (tmp_path / "kit" / "videos").iterdir():
        video.write_bytes(b"no video")
    opened.go(tmp_path / "kit" / "index.html")
    opened.run("session = null; begin('fay')")
    opened.until("return document.getElementById('state-a').textContent.includes('cannot')")
    assert opened.run("return document.getElementById('play-a').disabled")
    opened.click("[data-do=next]")
    assert opened.text("#place") == "Pair 2 of 2"


def test_without_storage_the_rater_is_warned(opened):
    opened.run("Storage.prototype.setItem = () => { throw new Error('none'); }")
    assert not opened.run("return document.getElementById('forgetful').checkVisibility()")
    opened.run("begin('gil')")
    assert "save" in opened.text("#forgetful")


@pytest.mark.parametrize("width", [1280, 390])
def test_everything_fits_the_window(opened, width):
    opened.call("/window/rect", {"width": width, "height": 900})
    try:
        for view in ("start", "trial", "end"):
            if view == "trial":
                opened.run("begin('hal')")
            if view == "end":
                opened.run("showPlace(2)")
            size = opened.run("return [document.documentElement.scrollWidth, innerWidth]")
            assert size[0] <= size[1], view
    finally:
        opened.call("/window/rect", {"width": 1280, "height": 900})


def test_everything_has_a_name_for_those_who_do_not_see_it(opened):
    opened.run("begin('ida')")
    groups = opened.run(
        "return [...document.querySelectorAll('fieldset')].map(f => f.querySelector('legend')"
        ".textContent + ': ' + f.querySelectorAll('label > input').length)"
    )
    assert len(groups) == len(set(groups)) == 7
    assert groups[0] == "How well does the mouth fit the speech? (video A): 5"
    assert groups[3] == "How well does the mouth fit the speech? (video B): 5"
    assert groups[6] == "Which of the two do you prefer?: 3"
    nameless = opened.run(
        "return [...document.querySelectorAll('#trial button, #bar button')]"
        ".filter(b => !b.textContent.trim()).length"
    )
    assert nameless == 0
