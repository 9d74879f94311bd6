"""What the credentials say of a film's making, as data."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipgan_cli.engine.provenance.origin import Statement, read_statement

SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
STATEMENTS = st.builds(
    Statement,
    model=st.text(),
    model_sha256=SHA256,
    face_sha256=SHA256,
    speech_sha256=SHA256,
    consent_sha256=st.none() | SHA256,
    sound_mark=st.none() | st.integers(0, 2**32 - 1),
)
ONE = Statement("default", "11" * 32, "22" * 32, "33" * 32)


@settings(max_examples=30)
@given(STATEMENTS)
def test_a_statement_survives_json(statement):
    assert read_statement(json.loads(json.dumps(statement.assertion()))) == statement


def test_what_there_is_not_is_not_told():
    assert set(ONE.assertion()) == {"format", "model", "face", "speech"}
    more = replace(ONE, consent_sha256="44" * 32, sound_mark=0xBAD).assertion()
    assert (more["consent"], more["soundMark"]) == ({"sha256": "44" * 32}, "00000bad")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=30)
@given(JSON)
def test_anything_else_is_none(data):
    assert read_statement(data) is None


@pytest.mark.parametrize("name", ["model", "face", "speech"])
@pytest.mark.parametrize("value", [None, 3, "text", [], {"sha256": 1, "name": "x"}])
def test_a_statement_of_strangers_that_lacks_something_is_none(name, value):
    assert read_statement({**ONE.assertion(), name: value}) is None


@pytest.mark.parametrize("change", [{"format": 2}, {"soundMark": "xyz"}])
def test_a_statement_of_another_form_is_none(change):
    assert read_statement({**ONE.assertion(), **change}) is None
