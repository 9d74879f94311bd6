"""Pictures of a log: which are drawn, what is in them, and logs that have little in them."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.run import plots
from lipgan_cli.engine.run.plots import Line, compare, draw
from lipgan_cli.engine.run.series import Series


def write(run, *lines):
    run.mkdir(exist_ok=True)
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def names(run):
    return sorted(path.name for path in (run / "plots").glob("**/*"))


def evaluation(iteration, **speakers):
    groups = {s: {"right": r, "gap_to_swapped": r / 100} for s, r in speakers.items()}
    return {"iteration": iteration, "seconds": iteration * 60, "evaluation": groups}


@pytest.fixture
def drawn(monkeypatch):
    """The panels that would be drawn, by picture."""
    panels = {}
    monkeypatch.setattr(
        plots,
        "_save",
        lambda path, title, some, shared=False: panels.update({path.stem: list(some)}),
    )
    return panels


def labels(panels):
    return {panel.title: [line.label for line in panel.lines] for panel in panels}


def test_a_log_becomes_pictures(tmp_path):
    steps = [
        {"iteration": i, "critic_loss": 0.5, "generator_loss": 1 / (i + 1), "psnr": 20 + i / 9}
        for i in range(40)
    ]
    run = write(tmp_path, *steps, evaluation(40, s1=20.5, all=20.5))
    draw(run)
    pictures = ["evaluations.png", "losses.png", "quality.png", "speakers.png"]
    assert names(run) == pictures  # and nothing temporary
    for name in pictures:
        picture = cv2.imread(str(run / "plots" / name))
        assert picture.shape == (800, 1200, 3)
        assert picture.std() > 5
    before = (run / "plots" / "losses.png").read_bytes()
    draw(run)
    assert (run / "plots" / "losses.png").read_bytes() == before


def test_a_line_goes_where_its_figures_say(tmp_path):
    run = write(tmp_path, *({"iteration": i, "psnr": 10 + i} for i in range(10)))
    draw(run)
    picture = cv2.imread(str(run / "plots" / "quality.png")).astype(int)
    blue = (picture[..., 0] - picture[..., 2]) > 60  # matplotlib's first colour
    rows, columns = np.nonzero(blue)
    assert rows[columns.argmin()] > 600  # begins low
    assert rows[columns.argmax()] < 150  # and ends high


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{"iteration": 5}],
        [{"iteration": 5, "note": "words", "psnr": float("nan"), "l1": float("inf")}],
    ],
)
def test_without_figures_nothing_is_drawn(tmp_path, lines):
    draw(write(tmp_path, *lines))
    assert not (tmp_path / "plots").exists()


def test_without_a_log_nothing_is_drawn(tmp_path):
    draw(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_line_is_enough(tmp_path):
    run = write(tmp_path, {"iteration": 0, "learning_rate_critic": 0.0, "gradient_critic": 0})
    draw(run)
    assert names(run) == ["gradients.png", "learning_rates.png"]


def test_odd_names_are_drawn_as_they_are(tmp_path):
    run = write(
        tmp_path / "$a_\u4f60", evaluation(1, **{"$\\x$": 20.0, "_s": 21.0, "\u4f60": 22.0})
    )
    draw(run)
    assert names(run) == ["evaluations.png", "speakers.png"]


def test_losses_are_by_network_with_the_whole_in_black(tmp_path, drawn):
    parts = ("critic_loss", "critic_face", "critic_audio", "critic_penalty")
    draw(write(tmp_path, {"iteration": 1, **dict.fromkeys((*parts, "generator_l1"), 1.0)}))
    assert labels(drawn["losses"]) == {
        "critic's loss and its parts": ["loss", "face", "audio", "penalty"],
        "generator's loss and its parts": ["L1"],
    }
    assert [line.colour for line in drawn["losses"][0].lines] == ["black", "", "", ""]


def test_rates_share_a_panel_and_unknown_figures_have_their_own(tmp_path, drawn):
    figures = ("learning_rate_generator", "learning_rate_critic", "new_thing", "samples_per_second")
    draw(write(tmp_path, {"iteration": 1, **dict.fromkeys(figures, 1.0)}))
    assert labels(drawn["learning_rates"]) == {"": ["generator", "critic"]}
    assert [(p.title, p.y) for p in drawn["other"]] == [("new thing", ""), ("speed", "samples/s")]


def test_evaluations_are_for_all_and_by_speaker(tmp_path, drawn):
    own = {"right": 20.0, "swapped": 19.0, "still": 18.0, "copy": 25.0, "ssim": 0.8, "new": 1.0}
    draw(write(tmp_path, {"iteration": 9, "evaluation": {"s1": own, "s2": own, "all": own}}))
    by_speaker = ["s1", "s2", "all"]
    assert labels(drawn["evaluations"]) == {
        "mouth PSNR, all speakers": ["right", "swapped", "still", "copy"],
        "mouth PSNR, right sound": by_speaker,
        "mouth SSIM": by_speaker,
        "new": by_speaker,
    }
    assert labels(drawn["speakers"]) == {
        f"{speaker}, mouth PSNR": ["right", "swapped", "still", "copy"] for speaker in ("s1", "s2")
    }


def test_many_speakers_share_a_colour_and_a_label(tmp_path, drawn):
    speakers = {f"s{i}": 20.0 + i for i in range(12)}
    draw(write(tmp_path, evaluation(9, **speakers, all=25.0)))
    lines = drawn["evaluations"][1].lines
    assert [line.label for line in lines] == ["one of 12", *[""] * 11, "all"]
    assert {line.colour for line in lines[:-1]} == {"0.75"}


def test_a_few_points_far_off_do_not_press_the_others_flat():
    y = np.append(np.linspace(0, 1, 199), 1e6)
    low, high = plots._range([Line("", Series(y, y, y))])
    assert -1 < low < 0
    assert 1 < high < 2
    y = np.linspace(0, 1, 200)
    assert plots._range([Line("", Series(y, y, y))]) == pytest.approx((-0.05, 1.05))
    y = np.full(30, 4.0)
    assert plots._range([Line("", Series(y, y, y))]) == pytest.approx((3.8, 4.2))


def test_runs_are_laid_over_each_other(tmp_path, drawn):
    old = write(tmp_path / "old", {"iteration": 1, "psnr": 20.0, "generator_l1": 0.1})
    new = write(tmp_path / "new", {"iteration": 1, "psnr": 21.0}, evaluation(60, all=20.0))
    compare([old, new], tmp_path / "both.png")
    right, psnr, gap, timed = drawn["both"]
    assert labels([right, psnr, gap]) == {
        "mouth PSNR, right sound": ["new"],
        "PSNR in training": ["old", "new"],
        "gap to swapped, mouth PSNR": ["new"],
    }
    assert (timed.x, timed.lines[0].series.x.tolist()) == ("hours of training", [1.0])
    # A run has one colour in every panel.
    colour = psnr.lines[1].colour
    assert right.lines[0].colour == gap.lines[0].colour == timed.lines[0].colour == colour
    assert psnr.lines[0].colour != colour


def test_many_runs_have_many_colours(tmp_path, drawn):
    runs = [write(tmp_path / str(i), {"iteration": 1, "psnr": 20.0}) for i in range(14)]
    compare(runs, tmp_path / "many.png")
    assert len({line.colour for line in drawn["many"][0].lines}) == 14


def test_a_comparison_is_one_picture(tmp_path):
    runs = [write(tmp_path / n, evaluation(60, all=20.0), evaluation(90, all=21.0)) for n in "ab"]
    compare(runs, tmp_path / "new folder" / "both.png")
    assert cv2.imread(str(tmp_path / "new folder" / "both.png")).shape == (800, 1200, 3)


def test_runs_of_one_name_are_told_apart(tmp_path, drawn):
    (tmp_path / "x").mkdir()
    runs = [write(p / "run", {"iteration": 1, "psnr": 20.0}) for p in (tmp_path, tmp_path / "x")]
    compare(runs, tmp_path / "both.png")
    assert labels(drawn["both"]) == {"PSNR in training": [str(run) for run in runs]}


def test_nothing_to_compare_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="none of these runs"):
        compare([write(tmp_path / "a")], tmp_path / "both.png")
    assert not (tmp_path / "both.png").exists()


def test_matplotlib_is_loaded_for_a_picture_alone():
    code = "import sys, lipgan_cli.engine.run.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
