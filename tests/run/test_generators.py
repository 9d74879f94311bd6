"""Generators by name: one function for score, sync and train."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.run.generators import BUILT_IN, find_model, local_generators


@pytest.fixture
def runs(home: Path) -> Path:
    """Two runs with weights, one that has begun, and a folder that is none."""
    folder = home / "runs"
    for name in ("b [1] ü", "a", "begun", "other"):
        (folder / name).mkdir(parents=True)
    for name in ("b [1] ü", "a"):
        (folder / name / "weights.safetensors").touch()
    (folder / "begun" / "config.json").touch()
    return folder


def test_a_file_a_run_a_folder_or_the_default(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = runs / "a" / "weights.safetensors"
    assert find_model("a") == find_model(Path("a")) == find_model(own) == find_model(own.parent)
    assert find_model("b [1] ü").parent.name == "b [1] ü"
    assert find_model("default") == find_model(Path("default")) == BUILT_IN
    # What is there under that name comes first: a file, then a folder.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").touch()
    assert find_model("default") == Path("default")
    (tmp_path / "a").mkdir()
    assert find_model("a") == own
    (tmp_path / "a" / "weights.safetensors").touch()
    assert find_model("a") == Path("a/weights.safetensors")


@pytest.mark.parametrize("name", ["ghost", "other", "", "no/such/file.safetensors"])
def test_what_is_not_there_is_told_with_what_is(runs: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"there is no model {Path(name)}") as caught:
        find_model(Path(name))
    assert caught.value.hint == "give a file of weights, or a name: default, a, b [1] ü"


def test_without_runs_there_is_the_default(home: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_model("ghost")
    assert caught.value.hint == "give a file of weights, or a name: default"


def test_a_run_that_has_not_ended_says_so(runs: Path) -> None:
    with pytest.raises(InputError, match="the run begun has no weights yet") as caught:
        find_model("begun")
    assert caught.value.hint == "lipgan train --resume begun goes on with it until it has"


def test_they_are_listed_by_the_names_that_are_taken(runs: Path) -> None:
    listed = local_generators()
    assert [one.name for one in listed] == ["default", "a", "b [1] ü"]
    assert [find_model(one.name) for one in listed] == [one.path for one in listed]
