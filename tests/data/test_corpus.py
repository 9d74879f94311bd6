"""Finding clips in folders, and drawing subsets that never mix training and testing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.data.corpus import (
    Candidate,
    Subsets,
    SubsetSizes,
    draw,
    find_clips,
    natural,
)
from lipgan_cli.engine.errors import InputError

USUAL = SubsetSizes()


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(place: Path) -> list[str]:
    return [f"{source.speaker}/{source.name}" for source in find_clips(place)]


def test_a_folder_per_speaker(tmp_path: Path) -> None:
    touch(tmp_path, "s10/a.mpg", "s2/b10.mp4", "s2/b9.MOV", "s2/notes.txt", "s2/b1.wav")
    assert found(tmp_path) == ["s2/b9", "s2/b10", "s10/a"]
    assert not any(source.held_out for source in find_clips(tmp_path))
    assert all(source.held_out for source in find_clips(tmp_path, held_out=True))


def test_the_layout_of_grids_archives(tmp_path: Path) -> None:
    touch(tmp_path, "s1/video/mpg_6000/bbaf2n.mpg", "s1/video/mpg_vcd/bbaf2n.mpg")
    assert found(tmp_path) == ["s1/bbaf2n", "s1/bbaf2n"]


def test_every_kind_of_video(tmp_path: Path) -> None:
    names = ["a.avi", "b.m4v", "c.mkv", "d.mov", "e.mp4", "f.mpeg", "g.mpg", "h.webm"]
    touch(tmp_path, *(f"s/{name}" for name in names))
    assert [source.path.name for source in find_clips(tmp_path)] == names


def test_a_flat_folder_is_one_speaker(tmp_path: Path) -> None:
    touch(tmp_path / "anna", "one.mp4", "two.mp4")
    assert found(tmp_path / "anna") == ["anna/one", "anna/two"]


def test_one_video_is_its_own_speaker(tmp_path: Path) -> None:
    touch(tmp_path, "My film [1].mp4")
    assert found(tmp_path / "My film [1].mp4") == ["My film [1]/My film [1]"]


def test_hidden_files_are_no_clips_and_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "corpus/s1/a.mp4", "corpus/s1/._a.mp4", "corpus/.cache/b.mp4", "far/c.mp4")
    (tmp_path / "corpus" / "s2").symlink_to(tmp_path / "far")
    (tmp_path / "corpus" / "s1" / "loop").symlink_to(tmp_path / "corpus")
    assert found(tmp_path / "corpus") == ["s1/a", "s2/c"]


def test_names_that_cannot_be_listed_are_changed(tmp_path: Path) -> None:
    touch(tmp_path, "s:1/a\nb?.mp4", "ü 語/c [x] & d.mp4")
    assert found(tmp_path) == ["s_1/a_b_", "ü 語/c [x] & d"]


def test_a_place_without_videos_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match="holds no video"):
        find_clips(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_clips(tmp_path / "missing")


def test_numbers_sort_as_numbers() -> None:
    names = ["s10", "s2", "s1", "a", "s2b", "10", "9", "s02"]
    assert sorted(names, key=natural) == ["9", "10", "a", "s1", "s02", "s2", "s2b", "s10"]


def clips(speaker: str, numbers: range, held_out: bool = False) -> list[Candidate]:
    return [
        Candidate(key, speaker, hashlib.sha256(key.encode()).hexdigest(), held_out)
        for key in (f"{speaker}/{'t' if held_out else ''}{number}" for number in numbers)
    ]


@pytest.mark.parametrize(
    ("count", "small", "full", "test"),
    [
        (1000, 300, 980, 20),
        (1200, 300, 980, 20),
        (960, 288, 940, 20),
        (100, 30, 80, 20),
        (50, 15, 40, 10),
        (13, 4, 10, 3),
        (5, 2, 4, 1),
        (4, 2, 4, 0),
        (1, 1, 1, 0),
    ],
)
def test_sizes_of_the_subsets(count: int, small: int, full: int, test: int) -> None:
    drawn = draw(clips("s", range(count)), Subsets(), USUAL, separate_test=False)
    assert (len(drawn.small), len(drawn.full), len(drawn.test)) == (small, full, test)


def test_a_separate_test_corpus_leaves_the_other_for_training() -> None:
    both = clips("s1", range(30)) + clips("s1", range(25), held_out=True)
    both += clips("s2", range(3), held_out=True) + clips("s3", range(10))
    drawn = draw(both, Subsets(), USUAL, separate_test=True)
    assert drawn.full == {f"s1/{n}" for n in range(30)} | {f"s3/{n}" for n in range(10)}
    assert sum(key.startswith("s1/t") for key in drawn.test) == 20
    assert {key for key in drawn.test if key.startswith("s2/")} == {"s2/t0", "s2/t1", "s2/t2"}
    assert len(drawn.test) == 23
    assert sum(key.startswith("s1/") for key in drawn.small) == 9


def test_the_draw_goes_by_content_and_not_by_order() -> None:
    some = clips("s", range(40))
    drawn = draw(some, Subsets(), USUAL, separate_test=False)
    assert draw(some[::-1], Subsets(), USUAL, separate_test=False) == drawn
    first = sorted(some, key=lambda clip: clip.sha256)[:8]
    assert drawn.test == {clip.key for clip in first}


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    sizes=st.tuples(st.integers(0, 40), st.integers(0, 60), st.integers(0, 10)),
    held=st.integers(0, 12),
    separate=st.booleans(),
)
def test_clips_that_are_added_move_none(
    counts: list[int], sizes: tuple[int, int, int], held: int, separate: bool
) -> None:
    limits = SubsetSizes(*sizes)
    before, total = Subsets(), 0
    for run, count in enumerate(counts):
        total += count
        present = clips("s", range(total))
        if separate or run > 1:  # a test corpus may come in later
            present += clips("s", range(held), held_out=True)
        drawn = draw(present, before, limits, separate or run > 1)
        assert before.small <= drawn.small
        assert before.full <= drawn.full
        assert before.test <= drawn.test
        assert drawn.small <= drawn.full
        assert not drawn.full & drawn.test
        assert not any(key.startswith("s/t") for key in drawn.full)
        assert len(drawn.small) <= limits.small
        assert len(drawn.full) <= limits.full
        assert len(drawn.test) <= limits.test
        before = drawn


def test_few_clips_are_for_training_until_there_are_more() -> None:
    few = draw(clips("s", range(4)), Subsets(), USUAL, separate_test=False)
    assert not few.test
    more = draw(clips("s", range(10)), few, USUAL, separate_test=False)
    assert len(more.test) == 2
    assert not more.test & few.full
