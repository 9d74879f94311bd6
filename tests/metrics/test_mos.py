"""The kit for human raters: blind, the same for the same seed; and what its answers come to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.metrics import mos
from lipgan_cli.engine.metrics.mos import QUESTIONS, key_path, make_kit
from lipgan_cli.engine.metrics.opinions import Rating, estimate, read_opinions, share

KEYS = [question.key for question in QUESTIONS]


def film(path, *options, size="32x32", sound=True, codec="libx264"):
    """Write a short video of one grey with a tone."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    inputs = ["-f", "lavfi", "-i", f"color=gray:s={size}:r=25:d=0.2"]
    if sound:
        inputs += ["-f", "lavfi", "-i", "sine=300:d=0.2", "-shortest"]
    # The size does not matter, the pixels' format does: lavfi's grey is not what browsers play.
    coding = ["-c:v", codec, "-pix_fmt", "yuv420p", *options]
    subprocess.run([program, "-v", "error", "-y", *inputs, *coding, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "clip.mp4")


@pytest.fixture
def systems(tmp_path, clip):
    """Make folders of systems: `systems(["one", "two"], ["a.mp4"])`."""

    def make(names, clips):
        folders = [tmp_path / name for name in names]
        for folder in folders:
            folder.mkdir(parents=True)
            for name in clips:
                shutil.copy(clip, folder / name)
        return folders

    return make


def page_of(kit):
    """What the page is told."""
    text = kit.page.read_text("utf-8")
    return json.loads(re.search(r'id="kit">(.*?)</script>', text, re.DOTALL)[1])


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Raters:
    """Answers to a kit, written as its page does."""

    def __init__(self, kit, folder):
        self.kit, self.folder = kit, folder
        items = json.loads(kit.key.read_text("utf-8"))["items"]
        self.code = {(item["system"], item["clip"]): code for code, item in items.items()}
        folder.mkdir(exist_ok=True)

    def trial(self, clip, first, second, ours, theirs, preferred):
        """Score both for all questions; the preference is for "a", "b", "none" or None."""
        scores = [
            dict.fromkeys(KEYS, score) if isinstance(score, int) else score
            for score in (ours, theirs)
        ]
        codes = self.code[first, clip], self.code[second, clip]
        return {
            "a": codes[0],
            "b": codes[1],
            "scores": dict(zip("ab", scores, strict=True)),
            "preferred": preferred,
            "watched": {"a": 1, "b": 1},
            "seconds": 9.5,
        }

    def save(self, name, trials, **changes):
        sheet = {
            "format": 1,
            "kit": self.kit.kit,
            "rater": name,
            "session": "of-one-browser",
            "saved": "2024-05-01T10:00:00.000Z",
            "asked": 2,
            "trials": trials,
            **changes,
        }
        path = self.folder / f"answers-{name}.json"
        path.write_text(json.dumps(sheet), "utf-8")
        return path


@pytest.fixture
def raters(systems, tmp_path):
    """Two systems, "up" and "down", with the clips "k.mp4" and "l.mp4"."""
    kit = make_kit(tmp_path / "kit", systems(["up", "down"], ["k.mp4", "l.mp4"]))
    return Raters(kit, tmp_path / "answers")


def test_kit_has_every_pair_and_the_key_maps_back(systems, tmp_path):
    folders = systems(["one", "two", "three"], ["k.mp4", "l.mp4"])
    for number, folder in enumerate(folders):
        film(folder / "k.mp4", size=f"{16 * number + 16}x32")
    kit = make_kit(tmp_path / "out" / "kit", folders, trials=4)
    assert (kit.systems, kit.clips, kit.pairs, kit.trials) == (("one", "two", "three"), 2, 6, 4)
    assert kit.key == tmp_path / "out" / "kit.key.json"
    assert sorted(path.name for path in kit.folder.iterdir()) == ["index.html", "videos"]
    assert sorted(path.name for path in kit.folder.parent.iterdir()) == ["kit", "kit.key.json"]
    key = json.loads(kit.key.read_text("utf-8"))
    videos = {path.stem: path for path in (kit.folder / "videos").iterdir()}
    assert videos.keys() == key["items"].keys()
    for code, item in key["items"].items():
        assert videos[code].suffix == ".mp4"
        original = tmp_path / item["system"] / item["clip"]
        assert videos[code].read_bytes() == original.read_bytes()
    page = page_of(kit)
    assert (page["id"], page["limit"], len(page["trials"])) == (key["kit"], 4, 6)
    shown = set()
    for pair in page["trials"]:
        first, second = (key["items"][name.removesuffix(".mp4")] for name in pair)
        assert first["clip"] == second["clip"]
        shown.add((first["clip"], frozenset([first["system"], second["system"]])))
    assert len(shown) == 6


def test_raters_are_told_neither_system_nor_clip(systems, tmp_path):
    names = ["zebra-model", "quagga-model"]
    kit = make_kit(tmp_path / "kit", systems(names, ["wuthering.mp4", "heights.mp4"]))
    given = kit.page.read_text("utf-8") + " ".join(contents(kit.folder))
    for word in ("zebra", "quagga", "model", "wuthering", "heights", str(tmp_path)):
        assert word not in given
    # What remains of the page without its codes is the same for any names.
    other = make_kit(tmp_path / "other", systems(["p", "q"], ["r.mp4", "s.mp4"]))
    shape = [re.sub(r"[0-9a-f]{10,16}", "#", made.page.read_text("utf-8")) for made in (kit, other)]
    assert shape[0] == shape[1]


def test_order_of_pairs_and_sides_is_random(systems, tmp_path):
    clips = [f"{number:02d}.mp4" for number in range(40)]
    kit = make_kit(tmp_path / "kit", systems(["one", "two"], clips))
    items = json.loads(kit.key.read_text("utf-8"))["items"]
    pairs = [[items[name.removesuffix(".mp4")] for name in pair] for pair in page_of(kit)["trials"]]
    left = sum(pair[0]["system"] == "one" for pair in pairs)
    assert 8 <= left <= 32  # 4 standard deviations of a fair coin
    assert [pair[0]["clip"] for pair in pairs] != clips
    # The codes, and so the names in order, do not sort by system either.
    by_code = [items[code]["system"] for code in sorted(items)]
    runs = 1 + sum(one != other for one, other in pairwise(by_code))
    assert 23 <= runs <= 59


def test_kit_depends_on_seed_names_and_content(systems, tmp_path, clip):
    folders = systems(["one", "two"], ["k.mp4"])
    kits = [make_kit(tmp_path / name, folders, seed) for name, seed in [("a", 0), ("b", 0)]]
    assert contents(kits[0].folder) == contents(kits[1].folder)
    assert kits[0].key.read_bytes() == kits[1].key.read_bytes()
    ids = [kits[0].kit, make_kit(tmp_path / "c", folders, 1).kit]
    ids.append(make_kit(tmp_path / "d", folders[::-1]).kit)
    (folders[0] / "k.mp4").write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    ids.append(make_kit(tmp_path / "e", folders).kit)
    assert len(set(ids)) == 4
    # A cap changes nobody's codes.
    assert make_kit(tmp_path / "f", folders, trials=9).kit == ids[-1]


def test_folders_of_one_name_are_told_apart_by_what_is_before_it(systems, tmp_path):
    kit = make_kit(tmp_path / "kit", systems(["gan/test", "flow/test"], ["k.mp4"]))
    assert kit.systems == ("gan/test", "flow/test")


def test_page_loads_nothing_from_elsewhere():
    text = mos.TEMPLATE.read_text("utf-8")
    assert text.count("__KIT__") == 1
    for word in ("http:", "https:", "@import", "@font-face", "url(", "<link", "<img", "import("):
        assert word not in text
    assert not re.search(r"<script[^>]*\bsrc", text)
    assert "default-src 'none'" in text


def test_what_is_told_cannot_end_its_element(monkeypatch, systems, tmp_path):
    monkeypatch.setattr(mos, "SCALE", ("</script><b>", "2", "3", "4", "5"))
    kit = make_kit(tmp_path / "kit", systems(["one", "two"], ["k.mp4"]))
    assert page_of(kit)["scale"][0] == "</script><b>"


def test_files_that_are_no_videos_are_passed_over(systems, tmp_path):
    folders = systems(["one", "two"], ["k.mp4"])
    (folders[0] / "notes.txt").write_text("mine")
    (folders[0] / "._k.mp4").write_text("a file manager's")
    (folders[1] / "inner.mp4").mkdir()
    assert make_kit(tmp_path / "kit", folders).clips == 1


def test_clips_that_a_folder_lacks_are_named_up_to_five(systems, tmp_path):
    folders = systems(["one", "two"], [f"{number}.mp4" for number in range(8)])
    for number in range(7):
        (folders[1] / f"{number}.mp4").unlink()
    (folders[0] / "7.mp4").rename(folders[0] / "7.mov")
    with pytest.raises(InputError) as caught:
        make_kit(tmp_path / "kit", folders)
    assert caught.value.message == (
        f"the folders do not match by name: not in {folders[0]}: 7.mp4; "
        f"not in {folders[1]}: 0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4 and 3 more"
    )


def test_videos_that_browsers_do_not_play_are_refused(systems, tmp_path, clip):
    one, two = systems(["one", "two"], ["k.mp4"])

    def refuse(message):
        with pytest.raises(InputError, match=message):
            make_kit(tmp_path / "kit", [one, two])
        assert not (tmp_path / "kit").exists()
        assert not key_path(tmp_path / "kit").exists()

    shutil.copy(clip, one / "l.MKV")
    refuse(r"browsers do not play these files of .*one: l\.MKV")
    (one / "l.MKV").unlink()
    film(two / "k.mp4", codec="mpeg4")
    refuse(r"browsers do not play the mpeg4 picture of .*two.k\.mp4")
    film(two / "k.mp4", "-pix_fmt", "yuv444p")
    refuse(r"browsers do not play the yuv444p picture of .*two.k\.mp4")
    film(two / "k.mp4", "-c:a", "ac3")
    refuse(r"browsers do not play the ac3 sound of .*two.k\.mp4")
    film(two / "k.mp4", sound=False)
    refuse(r"the video .*two.k\.mp4 has no sound")
    film(two / "k.mp4", "-vn")
    refuse(r"two.k\.mp4 has no picture")
    (two / "k.mp4").write_bytes(b"no video" * 99)
    refuse(r"the video .*two.k\.mp4 cannot be read")
    (two / "k.mp4").write_bytes(b"")
    refuse(r"the video .*two.k\.mp4 is empty")
    (two / "k.mp4").unlink()
    refuse(r"there is no video in .*two")


def test_systems_that_cannot_be_compared(systems, tmp_path):
    one, two = systems(["one", "two"], ["k.mp4"])
    for given_, message in [
        ([], "two systems or more to compare, not 0"),
        ([one], "two systems or more to compare, not 1"),
        ([one, two, tmp_path / "one" / "." / ".." / "one"], "one is given twice"),
        ([one, tmp_path / "none"], "none does not exist"),
        ([one, two / "k.mp4"], "is a file, not a folder"),
    ]:
        with pytest.raises(InputError, match=message):
            make_kit(tmp_path / "kit", given_)
    with pytest.raises(InputError, match="0 pairs a rater are too few"):
        make_kit(tmp_path / "kit", [one, two], trials=0)


def test_nothing_is_written_over_nor_left_half_written(systems, tmp_path, monkeypatch):
    folders = systems(["one", "two"], ["k.mp4"])
    out = tmp_path / "out" / "kit"
    out.mkdir(parents=True)

    def fail(source, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", fail)
        with pytest.raises(LipganError, match=r"cannot write .*: No space left"):
            make_kit(out, folders)
    assert list(out.parent.iterdir()) == [out]  # empty as it was
    kit = make_kit(out, folders)
    before = contents(out.parent)
    with pytest.raises(InputError, match="is not empty"):
        make_kit(out, folders)
    shutil.rmtree(out)
    with pytest.raises(InputError, match=r"kit\.key\.json exists already: the answers"):
        make_kit(out, folders)
    out.write_text("a file")
    with pytest.raises(InputError, match="is a file, not a folder"):
        make_kit(out, folders)
    assert kit.key.read_bytes() == before["kit.key.json"]


def test_means_intervals_and_preferences_by_hand(raters):
    # Up: 4 4, 3 3, 5 5 by three raters, mean 4. Over the raters' means 4, 3, 5 Student's t with
    # two degrees of freedom, 4.3027 / sqrt(3); over the clips' means 4 and 4 nothing is added.
    for name, score, preferred in [("ann", 4, "a"), ("ben", 3, "none"), ("cy", 5, "a")]:
        trials = [
            raters.trial(clip, "up", "down", score, 2, preferred) for clip in ("k.mp4", "l.mp4")
        ]
        raters.save(name, trials)
    opinions = read_opinions(raters.kit.folder, [raters.folder])
    assert (opinions.kit, opinions.raters, opinions.pairs) == (raters.kit.kit, 3, 6)
    assert list(opinions.scores) == ["up", "down"]
    assert list(opinions.scores["up"]) == KEYS
    assert "Student's t over raters and over clips" in opinions.method
    assert "alone" not in opinions.method
    up, down = (opinions.scores[system]["sync"] for system in ("up", "down"))
    assert (up.mean, up.ratings, up.raters, up.clips) == (4.0, 6, 3, 2)
    assert up.low == pytest.approx(4 - 4.302653 / 3**0.5, abs=1e-6)
    assert up.high == 5.0
    assert (down.mean, down.low, down.high) == (2.0, 2.0, 2.0)
    (preference,) = opinions.preferences
    assert (preference.first, preference.second) == ("up", "down")
    assert (preference.wins, preference.ties, preference.losses) == (4, 2, 0)
    assert preference.share.mean == pytest.approx(5 / 6)
    difference = preference.differences["quality"]
    assert difference.mean == 2.0
    assert difference.low == pytest.approx(2 - 4.302653 / 3**0.5, abs=1e-6)
    assert difference.high == 4.0
    assert (opinions.unfinished, opinions.replaced) == ((), ())


def test_both_raters_and_clips_widen_the_interval():
    # Raters' means 2 and 4, clips' means 2.5 and 3.5: each half-width is t(1) = 12.7062 times the
    # standard error of two means, 1 and 0.5; they add as squares.
    table = {("r", "k"): 1.5, ("r", "l"): 2.5, ("s", "k"): 3.5, ("s", "l"): 4.5}
    found = estimate([Rating(value, *who) for who, value in table.items()], -99, 99)
    assert found.mean == 3.0
    assert found.high - 3 == pytest.approx(12.706205 * (1 + 0.25) ** 0.5, abs=1e-5)


def test_share_by_hand():
    # Ten clips, one rater, all won: t(9) = 2.26216, so 1 / (1 + t² / 10).
    every = share([Rating(1.0, "r", str(clip)) for clip in range(10)])
    assert every.low == pytest.approx(1 / (1 + 2.262157**2 / 10), abs=1e-6)
    assert every.high == 1.0
    # Four raters of one clip, half of them each way: t(3) = 3.18245, a variance of the mean of
    # 1/12, four times that of 1/4 by t²/12 = 0.844.
    half = share([Rating(float(rater % 2), str(rater), "k") for rater in range(4)])
    unsure = 3.182446**2 / 12 * 4
    reach = (0.25 * unsure + unsure**2 / 4) ** 0.5 / (1 + unsure)
    assert (half.low, half.high) == pytest.approx((0.5 - reach, 0.5 + reach), abs=1e-6)
    assert reach == pytest.approx(0.4391, abs=1e-4)


def test_one_rater_and_one_clip_have_no_interval_and_it_is_told(raters):
    raters.save("ann", [raters.trial("k.mp4", "down", "up", 3, 4, "b")])
    opinions = read_opinions(raters.kit.folder, [raters.folder])
    up = opinions.scores["up"]["natural"]
    assert (up.mean, up.low, up.high, up.ratings) == (4.0, None, None, 1)
    (preference,) = opinions.preferences
    assert (preference.wins, preference.share.mean, preference.share.low) == (1, 1.0, None)
    assert "one rater alone" in opinions.method
    assert "one clip alone" in opinions.method
    assert opinions.unfinished == ("ann",)


def test_unfinished_answers_count_as_far_as_they_go(raters):
    begun = raters.trial("k.mp4", "up", "down", {"sync": 2}, {}, None)
    raters.save("ann", [begun, raters.trial("l.mp4", "up", "down", {}, {}, None)])
    opinions = read_opinions(raters.kit.folder, [raters.folder])
    assert opinions.pairs == 1
    assert opinions.scores["up"].keys() == {"sync"}
    assert opinions.scores["down"] == {}
    assert opinions.preferences == ()
    assert opinions.unfinished == ("ann",)


def test_later_file_of_a_rater_counts(raters):
    trials = [raters.trial("k.mp4", "up", "down", 2, 2, "none")]
    late = raters.save("ann-a", trials, rater="ann", saved="2024-05-03T08:00:00.000Z")
    trials = [raters.trial("k.mp4", "up", "down", 5, 5, "none")]
    early = raters.save("ann-b", trials, rater="ann", saved="2024-05-02T09:00:00.000Z")
    for order in ([late, early], [early, late], [raters.folder, late]):
        opinions = read_opinions(raters.kit.folder, order)
        assert (opinions.raters, opinions.replaced) == (1, (early,))
        assert opinions.scores["up"]["sync"].mean == 2.0


def test_two_people_of_one_name_are_not_mixed(raters):
    trials = [raters.trial("k.mp4", "up", "down", 2, 2, "none")]
    one, other = (raters.save(f"ann-{n}", trials, rater="ann", session=n) for n in "ab")
    with pytest.raises(InputError, match=re.escape(f"{one} and {other} are both of 'ann'")):
        read_opinions(raters.kit.folder, [raters.folder])


def test_kit_is_known_by_its_key_too(raters):
    raters.save("ann", [raters.trial("k.mp4", "up", "down", 2, 3, "b")])
    # A key among the answers is no file of answers.
    moved = Path(shutil.move(raters.kit.key, raters.folder / "kit.key.json"))
    assert read_opinions(moved, [raters.folder]).scores["down"]["sync"].mean == 3.0
    with pytest.raises(InputError, match=r"the key .*kit\.key\.json is missing"):
        read_opinions(raters.kit.folder, [raters.folder])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kit": "0123"}, "answers another kit, 0123, not"),
        ({"format": 2}, "has format 2, not 1"),
        ({"rater": ""}, "'' is no text"),
        ({"rater": "a\nb"}, r"'a\\nb' is no text"),
        ({"trials": None}, "are damaged: .*NoneType"),
        ({"trials": [{}]}, "are damaged: 'a' is missing"),
        ({"asked": "all"}, "are damaged: .*'all'"),
        ({"score": 0}, "the score 0 is not one of 1 to 5"),
        ({"score": 6}, "the score 6 is not one of 1 to 5"),
        ({"score": 4.5}, "the score 4.5 is not one of 1 to 5"),
        ({"score": True}, "the score True is not one of 1 to 5"),
        ({"score": "4"}, "the score '4' is not one of 1 to 5"),
        ({"question": "hair"}, "'hair' was not asked"),
        ({"preferred": "c"}, "'c' is no preference"),
        ({"preferred": []}, r"\[\] is no preference"),
        ({"a": "zzz"}, "no clip has the code zzz"),
        ({"twice": True}, r"k\.mp4 of down and up is there twice"),
        ({"same": True}, "are no pair"),
    ],
)
def test_bad_answers_name_their_file_in_one_line(raters, change, message):
    trial = raters.trial("k.mp4", "up", "down", 2, 2, "none")
    changes = {key: change[key] for key in change if key in {"kit", "format", "rater", "asked"}}
    if "score" in change:
        trial["scores"]["b"]["sync"] = change["score"]
    if "question" in change:
        trial["scores"]["a"][change["question"]] = 3
    trial.update({key: change[key] for key in change if key in {"preferred", "a"}})
    if "same" in change:
        trial["b"] = trial["a"]
    trials = change.get("trials", [trial] * (2 if "twice" in change else 1))
    path = raters.save("ann", trials, **changes)
    with pytest.raises(InputError, match=message) as caught:
        read_opinions(raters.kit.folder, [path])
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'{"kit": "', "is damaged: it is no JSON"),
        (b"\xff\xfe\x00", "is damaged: it is no JSON"),
        (b"[" * 100_000, "is damaged: it is no JSON"),
        (b"[1]", "is not a file of a kit"),
        (b'{"name": "other"}', "is not a file of a kit"),
    ],
)
@pytest.mark.parametrize("broken", ["answers", "key"])
def test_damaged_files_are_named(raters, content, message, broken):
    path = raters.save("ann", [raters.trial("k.mp4", "up", "down", 2, 2, "none")])
    victim = path if broken == "answers" else raters.kit.key
    victim.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_opinions(raters.kit.folder, [raters.folder])
    assert str(victim) in caught.value.message


def test_key_without_its_items_is_no_key(raters):
    path = raters.save("ann", [raters.trial("k.mp4", "up", "down", 2, 2, "none")])
    raters.kit.key.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"kit\.key\.json is not the key of a kit"):
        read_opinions(raters.kit.folder, [path])


def test_no_answers(raters, tmp_path):
    with pytest.raises(InputError, match=r"there are no answers in .*answers"):
        read_opinions(raters.kit.folder, [raters.folder])
    with pytest.raises(InputError, match="there are no answers to read"):
        read_opinions(raters.kit.folder, [])
    with pytest.raises(InputError, match=r"the answers .*none\.json does not exist"):
        read_opinions(raters.kit.folder, [tmp_path / "none.json"])
    raters.save("ann", [])
    with pytest.raises(InputError, match=r"no pair of the kit .* is answered in .*answers"):
        read_opinions(raters.kit.folder, [raters.folder])


def test_sides_do_not_matter(raters):
    raters.save("ann", [raters.trial("k.mp4", "up", "down", 5, 1, "a")])
    raters.save("ben", [raters.trial("k.mp4", "up", "down", 2, 3, "b")])
    straight = read_opinions(raters.kit.folder, [raters.folder])
    raters.save("ann", [raters.trial("k.mp4", "down", "up", 1, 5, "b")])
    raters.save("ben", [raters.trial("k.mp4", "down", "up", 3, 2, "a")])
    assert read_opinions(raters.kit.folder, [raters.folder]) == straight


ratings = st.lists(
    st.builds(
        Rating, st.integers(1, 5).map(float), st.sampled_from("rstu"), st.sampled_from("klm")
    ),
    min_size=1,
    max_size=30,
)
votes = st.lists(
    st.builds(
        Rating, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from("rstu"), st.sampled_from("klm")
    ),
    min_size=1,
    max_size=30,
)


@given(ratings)
def test_interval_holds_the_mean_and_stays_on_the_scale(given_):
    found = estimate(given_, 1, 5)
    alone = (found.raters, found.clips) == (1, 1)
    assert (found.low is None) == (found.high is None) == alone
    if found.low is not None:
        assert 1 <= found.low <= found.mean + 1e-9
        assert found.mean - 1e-9 <= found.high <= 5


@given(ratings)
def test_saying_the_same_twice_is_no_more_evidence(given_):
    once, twice = (estimate(times, -99, 99) for times in (given_, given_ * 2))
    assert twice.mean == pytest.approx(once.mean)
    assert twice.ratings == 2 * once.ratings
    if once.low is not None:
        assert (twice.low, twice.high) == pytest.approx((once.low, once.high), abs=1e-6)


@given(votes)
def test_share_turned_round_is_the_other_share(given_):
    found = share(given_)
    turned = share([Rating(1 - vote.value, vote.rater, vote.clip) for vote in given_])
    assert turned.mean == pytest.approx(1 - found.mean)
    if found.low is None:
        return
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.high - found.low > 0.05  # whatever all agree on, thirty votes are few
    assert (turned.low, turned.high) == pytest.approx((1 - found.high, 1 - found.low))
