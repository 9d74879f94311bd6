"""Linking: a face goes to the path it must belong to, or begins one of its own."""

from __future__ import annotations

from functools import cache

import numpy as np

from lipgan_cli.engine.media.detectors import Face
from lipgan_cli.engine.media.identity import Embedding
from lipgan_cli.engine.media.likeness import Likeness, likeness
from lipgan_cli.engine.media.linking import EMBEDDINGS, Linker
from lipgan_cli.engine.media.looks import Look, Seen


@cache
def pattern(person: int) -> Likeness:
    luma = np.random.default_rng(person).integers(0, 255, (6, 6), dtype=np.uint8)
    luma = np.kron(luma, np.ones((20, 20), np.uint8))
    frame = np.concatenate([luma, np.full((60, 120), 120, np.uint8)])
    return likeness(frame, Face((20, 20, 100, 100)))


def seen(person: int, x: float, side: float = 100) -> Seen:
    return Seen(Face((x - side / 2, 100, x + side / 2, 100 + side)), pattern(person))


def linked(*looks: list[Seen], embeddings: dict[float, float] | None = None) -> list[list[float]]:
    """Return each path's places, x by x; `embeddings` by place, in which people differ."""
    linker = Linker(12)

    def embed(one: Seen) -> Embedding | None:
        return None if embeddings is None else np.full(128, embeddings[one.face.centre[0]])

    for number, found in enumerate(looks):
        linker.link(Look(12 * number, tuple(found)), embed)
    return [[place.face.centre[0] for place in path.places] for path in linker.paths]


def test_each_face_goes_to_its_own_path() -> None:
    paths = linked([seen(1, 100), seen(2, 300)], [seen(2, 310), seen(1, 110)])
    assert paths == [[100, 110], [300, 310]]


def test_looks_count_for_more_than_place() -> None:
    paths = linked([seen(1, 100), seen(2, 160)], [seen(2, 105), seen(1, 155)])
    assert paths == [[100, 155], [160, 105]]


def test_another_face_in_the_same_place_is_another_path() -> None:
    assert linked([seen(1, 100)], [seen(2, 100)]) == [[100], [100]]


def test_a_face_of_another_size_is_another_path_unless_it_is_surely_the_same() -> None:
    assert linked([seen(1, 100)], [seen(1, 100, side=300)]) == [[100, 100]]
    assert linked([seen(1, 100)], [seen(2, 100, side=300)]) == [[100], [100]]


def test_who_comes_back_goes_on() -> None:
    paths = linked([seen(1, 100)], [seen(1, 100)], *[[]] * 9, [seen(1, 500)])
    assert paths == [[100, 100, 500]]


def test_what_was_found_once_is_forgotten() -> None:
    assert linked([seen(1, 100)], *[[]] * 3, [seen(1, 100)]) == [[100, 100]]
    assert linked([seen(1, 100)], *[[]] * 4, [seen(1, 100)]) == [[100], [100]]


def test_who_cannot_be_told_from_another_is_neither() -> None:
    """Twins; one of them shows up halfway between where both were."""
    assert linked([seen(1, 100), seen(1, 180)], [seen(1, 140)]) == [[100], [180], [140]]
    assert linked([seen(1, 100), seen(1, 180)], [seen(1, 104)]) == [[100, 104], [180]]


def test_one_who_could_be_at_two_places_is_at_neither() -> None:
    assert linked([seen(1, 140)], [seen(1, 100), seen(1, 180)]) == [[140], [100], [180]]


def test_the_embedding_settles_it() -> None:
    known = {100.0: 0.0, 180.0: 1.0, 140.0: 1.01}
    twins = [seen(1, 100), seen(1, 180)]
    assert linked(twins, [seen(1, 140)], embeddings=known) == [[100], [180, 140]]
    unknown = {**known, 140.0: 0.5}
    assert linked(twins, [seen(1, 140)], embeddings=unknown) == [[100], [180], [140]]


def test_few_embeddings_are_kept() -> None:
    linker = Linker(12)
    for number in range(30):
        look = Look(12 * number, (seen(1, 100, side=100 * 1.3**number),))
        linker.link(look, lambda one: np.full(128, one.face.side))
    (path,) = linker.paths
    assert len(path.embeddings) == EMBEDDINGS
    assert len(path.places) == 30
