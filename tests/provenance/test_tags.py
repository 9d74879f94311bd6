"""The tag in a container's own metadata."""

from __future__ import annotations

import av
import pytest

from lipgan_cli import __version__
from lipgan_cli.engine.provenance.tags import SOURCE_TYPE, find_tag, is_made, tags


def test_it_says_so_in_words_and_in_the_terms_of_the_press():
    told = tags()["comment"]
    assert told.startswith("AI-generated: ")
    assert f"lipgan {__version__}" in told
    assert told.endswith(SOURCE_TYPE)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_every_container_keeps_it(films, suffix):
    with av.open(str(films[suffix])) as film:
        assert find_tag(film.metadata) == tags()["comment"]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({}, None),
        ({"title": "A film", "encoder": "Lavf"}, None),
        ({"comment": "AI-generated"}, "AI-generated"),
        ({"XMP": f"<x>{SOURCE_TYPE}</x>"}, f"<x>{SOURCE_TYPE}</x>"),
        ({"x": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"}, None),
        ({"x": "trainedAlgorithmicMedia"}, None),
    ],
)
def test_tags_of_any_tool_are_found(metadata, found):
    assert find_tag(metadata) == found


@pytest.mark.parametrize(
    ("term", "made"),
    [
        ("trainedAlgorithmicMedia", True),
        ("compositeWithTrainedAlgorithmicMedia", True),
        ("algorithmicMedia", True),
        ("compositeSynthetic", True),
        ("digitalCapture", False),
        ("composite", False),
    ],
)
def test_terms_of_iptc(term, made):
    assert is_made(term) is made
