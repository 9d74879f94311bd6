"""`lipgan score --mos-kit` and `--mos-results`: from folders of videos to means of opinions."""

from __future__ import annotations

import json
import shutil
import subprocess

import imageio_ffmpeg
import pytest

from lipgan_cli.engine.metrics.mos import QUESTIONS


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A short video of one grey with a tone."""
    path = tmp_path_factory.mktemp("film") / "clip.mp4"
    program = imageio_ffmpeg.get_ffmpeg_exe()
    inputs = ["-f", "lavfi", "-i", "color=gray:s=32x32:r=25:d=0.2"]
    inputs += ["-f", "lavfi", "-i", "sine=300:d=0.2", "-shortest"]
    coding = ["-c:v", "libx264", "-pix_fmt", "yuv420p"]
    subprocess.run([program, "-v", "error", "-y", *inputs, *coding, str(path)], check=True)
    return path


@pytest.fixture
def systems(tmp_path, clip):
    """Two systems, "up" and "down [1] ü", with the clips "k.mp4" and "l.mp4"."""
    folders = [tmp_path / name for name in ("up", "down [1] ü")]
    for folder in folders:
        folder.mkdir()
        for name in ("k.mp4", "l.mp4"):
            shutil.copy(clip, folder / name)
    return folders


@pytest.fixture
def kit(tmp_path, systems, lipgan):
    folder = tmp_path / "kit"
    assert lipgan("score", "--mos-kit", folder, *systems, "--quiet").code == 0
    return folder


def answer(kit, name, scores, preferred="up", done=None):
    """Save what a rater says of both clips: so many points for "up", 2 for the other."""
    about = json.loads(kit.with_name("kit.key.json").read_text("utf-8"))
    codes = {(item["system"], item["clip"]): code for code, item in about["items"].items()}
    other = "down [1] ü"
    trials = [
        {
            "a": codes["up", clip],
            "b": codes[other, clip],
            "scores": {
                side: dict.fromkeys((question.key for question in QUESTIONS), value)
                for side, value in (("a", score), ("b", 2))
            },
            "preferred": {"up": "a", other: "b", "none": "none"}[preferred],
            "watched": {"a": 1, "b": 1},
            "seconds": 9.5,
        }
        for clip, score in zip(("k.mp4", "l.mp4"), scores, strict=True)
    ]
    sheet = {
        "format": 1,
        "kit": about["kit"],
        "rater": name,
        "session": "of-one-browser",
        "saved": "2024-05-01T10:00:00.000Z",
        "asked": 2,
        "trials": trials[:done],
    }
    folder = kit.parent / "answers"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(sheet), "utf-8")
    return path


def failed(ran):
    """The error's one line, of bad input with nothing on stdout."""
    assert (ran.code, ran.stdout) == (2, "")
    line, hint = ran.stderr.splitlines()
    assert hint.startswith("hint: ")
    return line


def test_kit_is_made_and_told(tmp_path, systems, lipgan):
    folder = tmp_path / "a kit"
    ran = lipgan("score", "--mos-kit", folder, *systems)
    key = tmp_path / "a kit.key.json"
    assert (ran.code, ran.stdout) == (0, f"{folder / 'index.html'}\n")
    assert ran.stderr == (
        "2 pairs of 2 systems and 2 clips: give the folder to the raters, and keep "
        f"{key} to yourself\n"
    )
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "videos"]
    assert len(list((folder / "videos").iterdir())) == 4
    assert "not empty" in failed(lipgan("score", "--mos-kit", folder, *systems))


def test_kit_as_json(tmp_path, systems, lipgan):
    ran = lipgan("score", "--mos-kit", tmp_path / "kit", *systems, "--json", "-q")
    assert (ran.code, ran.stderr) == (0, "")
    made = json.loads(ran.stdout)
    assert made["page"] == str(tmp_path / "kit" / "index.html")
    assert made["systems"] == ["up", "down [1] ü"]
    assert (made["clips"], made["pairs"], made["trials"]) == (2, 2, 2)


def test_raters_can_be_shown_fewer_pairs(tmp_path, systems, lipgan):
    ran = lipgan("score", "--mos-kit", tmp_path / "kit", *systems, "--mos-pairs", 1, "--json", "-q")
    assert (ran.code, ran.stderr) == (0, "")
    made = json.loads(ran.stdout)
    assert (made["pairs"], made["trials"]) == (2, 1)
    ran = lipgan("score", "--mos-kit", tmp_path / "b", *systems, "--mos-pairs", 9, "--json", "-q")
    assert json.loads(ran.stdout)["trials"] == 2


def test_kit_of_bad_input_leaves_nothing(tmp_path, systems, lipgan):
    (systems[1] / "k.mp4").unlink()
    before = sorted(tmp_path.iterdir())
    line = failed(lipgan("score", "--mos-kit", tmp_path / "kit", *systems))
    assert f"not in {systems[1]}: k.mp4" in line
    assert "two systems or more" in failed(lipgan("score", "--mos-kit", tmp_path / "kit"))
    assert sorted(tmp_path.iterdir()) == before


def test_results_as_tables(kit, lipgan):
    answer(kit, "ann", (4, 4))
    answer(kit, "ben", (3, 3), "none")
    answer(kit, "cy [1]", (5, 5))
    ran = lipgan("score", "--mos-results", kit, kit.parent / "answers")
    assert (ran.code, ran.stderr) == (0, "")
    scores, preferences = ran.stdout.split("\n\n")
    head, _, *rows, note = scores.splitlines()
    columns = ["system", "question", "mean, 1 to 5", "low", "high", "ratings", "raters", "clips"]
    assert [part.strip() for part in head.split("  ") if part.strip()] == columns
    assert len(rows) == 2 * len(QUESTIONS)
    # Student's t of the raters' means 4, 3 and 5: 4.3027 / sqrt(3) to each side, cut at 5.
    cells = [part.strip() for part in rows[0].split("  ") if part.strip()]
    assert cells == ["up", QUESTIONS[0].text, "4.00", "1.52", "5.00", "6", "3", "2"]
    cells = [part.strip() for part in rows[3].split("  ") if part.strip()]
    assert cells == ["down [1] ü", QUESTIONS[0].text, "2.00", "2.00", "2.00", "6", "3", "2"]
    assert note.startswith("3 raters; mean of all ratings; 95 % interval")
    head, _, row = preferences.splitlines()
    cells = [part.strip() for part in row.split("  ") if part.strip()]
    assert cells[:6] == ["up", "down [1] ü", "4", "2", "0", "0.83"]
    assert "first preferred" in head


def test_results_as_json(kit, lipgan):
    answer(kit, "ann", (4, 5))
    ran = lipgan("score", "--mos-results", kit, kit.parent / "answers" / "ann.json", "--json")
    assert (ran.code, ran.stderr) == (0, "")
    found = json.loads(ran.stdout)
    assert found["scores"]["up"]["sync"]["mean"] == 4.5
    assert found["preferences"][0]["wins"] == 2
    assert (found["raters"], found["unfinished"], found["replaced"]) == (1, [], [])


def test_what_is_missing_is_noted(kit, lipgan):
    path = answer(kit, "ann [1]", (4, 5), done=1)
    ran = lipgan("score", "--mos-results", kit, path)
    assert (ran.code, ran.stderr) == (0, "ann [1] has not answered all pairs\n")
    note = ran.stdout.split("\n\n")[0].splitlines()[-1]
    assert note.startswith("1 rater; ")
    assert "one rater alone" in note
    # One rater and one clip: there is no interval.
    cells = [part.strip() for part in ran.stdout.splitlines()[2].split("  ") if part.strip()]
    assert cells[2:] == ["4.00", "-", "-", "1", "1", "1"]
    assert lipgan("score", "--mos-results", kit, path, "--quiet").stderr == ""


def test_bad_answers_are_told(kit, tmp_path, lipgan):
    text = tmp_path / "x.json"
    text.write_text("no answers")
    assert str(text) in failed(lipgan("score", "--mos-results", kit, text))
    evil = answer(kit, "ann\x1b[2J", (4, 5))
    assert "is no text" in failed(lipgan("score", "--mos-results", kit, evil))
    none = tmp_path / "none.json"
    assert str(none) in failed(lipgan("score", "--mos-results", kit, none))
    assert failed(lipgan("score", "--mos-results", kit))
    assert "the key" in failed(lipgan("score", "--mos-results", tmp_path / "other", text))
