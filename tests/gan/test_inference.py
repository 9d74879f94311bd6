"""The generator at work: batches and remembered faces change nothing that can be seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipgan_cli.engine.gan.generator import Generator
from lipgan_cli.engine.gan.inference import Animator

CPU = torch.device("cpu")
COUNT = 16


def tuned() -> Generator:
    """Return a generator whose batch norms know statistics, as a trained one's do."""
    torch.manual_seed(3)
    generator = Generator().train()
    with torch.no_grad():
        generator(torch.rand(4, 6, 96, 96), torch.randn(4, 1, 80, 27) * 2)
    return generator.eval()


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator(tuned(), CPU, half_precision=False)


@pytest.fixture(scope="module")
def given() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (2, COUNT, 96, 96, 3), np.uint8)
    windows = random.uniform(-4, 4, (COUNT, 80, 27)).astype(np.float32)
    return pictures[0], pictures[1], windows


def apart(one: np.ndarray, other: np.ndarray) -> int:
    """Return by how many of 255 levels two batches of faces differ at most."""
    return int(np.abs(one.astype(int) - other).max())


def test_the_batch_changes_no_pixel_by_more_than_a_level(
    animator: Animator, given: tuple[np.ndarray, ...]
) -> None:
    whole = animator.faces(*given)
    assert whole.shape == (COUNT, 96, 96, 3)
    assert whole.std() > 3
    for size in (1, 5):
        parts = [
            animator.faces(*(array[first : first + size] for array in given))
            for first in range(0, COUNT, size)
        ]
        assert apart(np.concatenate(parts), whole) <= 1


def test_remembered_faces_are_painted_as_new_ones(given: tuple[np.ndarray, ...]) -> None:
    animator = Animator(tuned(), CPU, half_precision=False)
    encoded: list[int] = []
    encode = animator._encode

    def counted(reference: np.ndarray, target: np.ndarray) -> list[torch.Tensor]:
        encoded.append(len(target))
        return encode(reference, target)

    animator._encode = counted  # type: ignore[method-assign]
    places = [0, 1, 2, 3, 2, 1, 0, 1]  # back and forth
    reference, target, windows = given[0][places], given[1][places], given[2][:8]
    wanted = animator.faces(reference, target, windows)
    encoded.clear()
    assert apart(animator.faces(reference, target, windows, places), wanted) <= 1
    assert encoded == [4]  # each of the four once
    again = animator.faces(reference[4:], target[4:], windows[4:], places[4:])
    assert encoded == [4]
    assert apart(again, wanted[4:]) <= 1
    one_new = animator.faces(given[0][[1, 9]], given[1][[1, 9]], windows[:2], [1, 9])
    assert encoded == [4, 1]
    assert apart(one_new, animator.faces(given[0][[1, 9]], given[1][[1, 9]], windows[:2])) <= 1


def test_what_is_remembered_has_a_limit(given: tuple[np.ndarray, ...]) -> None:
    """Two faces in fp32 and no third: those that find no room are encoded each time."""
    room = 5 << 20  # 2.3 MB each
    animator = Animator(tuned(), CPU, half_precision=False, remembered_bytes=room)
    keys = [0, 1, 2, 3]
    wanted = animator.faces(*(array[:4] for array in given))
    for _ in range(2):
        assert apart(animator.faces(*(array[:4] for array in given), keys), wanted) <= 1
        kept = sum(level.nbytes for levels in animator._known.values() for level in levels)
        assert len(animator._known) == 2
        assert kept <= room
