"""Where a template is cut, what is shared, and that a cell is never read as a template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.campaign.template import LONGEST_TEXT, Phrase, parse_template, split_plain
from lipgan_cli.engine.errors import InputError

VALUES = {
    "name": "Ann",
    "day": "Monday",
    "title": "Dr. Smith, M.D.",
    "price": "3.5",
    "first name": "A",
}


def spoken(template, values=VALUES):
    """The phrases; shared ones in brackets."""
    phrases = parse_template(template).fill(values)
    return [f"[{phrase.text}]" if phrase.shared else phrase.text for phrase in phrases]


CUTS = {
    # The personal part is as short as punctuation allows.
    "Hello {name}, your parcel is here.": ["Hello Ann,", "[your parcel is here.]"],
    "Hello {name}! How are you? See {day}.": ["Hello Ann!", "[How are you?]", "See Monday."],
    "Dear all; from {day}: we open. Bye": ["[Dear all;]", "from Monday:", "[we open. Bye]"],
    "On {day}. Your parcel": ["On Monday.", "[Your parcel]"],
    "It is here, {name}": ["[It is here,]", "Ann"],
    "Hello {name} — it is here": ["Hello Ann —", "[it is here]"],
    "Hello {name}—it is here": ["Hello Ann—", "[it is here]"],
    "Hello {name} – it is here": ["Hello Ann –", "[it is here]"],
    'He said "hello {name}." Then he left': ['He said "hello Ann."', "[Then he left]"],
    "你好{name}，你的包裹到了。": ["你好Ann，", "[你的包裹到了。]"],
    # Neighbours of a kind are one phrase.
    "Hello, all of you. Come, please!": ["[Hello, all of you. Come, please!]"],
    "{name}, on {day}, all is well, really.": ["Ann, on Monday,", "[all is well, really.]"],
    "Hello {name}, your parcel comes on {day}.": ["Hello Ann, your parcel comes on Monday."],
    # Punctuation in cells and inside words cuts nothing.
    "Hello {title}, it is here": ["Hello Dr. Smith, M.D.,", "[it is here]"],
    "{price} or 3.5 or 1,000 at 12:30, or less": ["3.5 or 3.5 or 1,000 at 12:30,", "[or less]"],
    "a.b {name} c?d, e": ["a.b Ann c?d,", "[e]"],
    # Dots that end no clause.
    "Dear Mr. {name}, hello": ["Dear Mr. Ann,", "[hello]"],
    "Dear Prof. {name}, hello": ["Dear Prof. Ann,", "[hello]"],
    "{name} met Dr. Smith, today": ["Ann met Dr. Smith,", "[today]"],
    "{name}, e.g. here": ["Ann,", "[e.g. here]"],
    "{name} pays approx. three euros": ["Ann pays approx. three euros"],
    "{name} am 3. Mai": ["Ann am 3. Mai"],
    "{name} – and 5 – 3": ["Ann –", "[and 5 – 3]"],
    # Bars cut in any case, and what is between two is one phrase again.
    "Hello {name}|and all": ["Hello Ann", "[and all]"],
    "one | two || three|": ["[one]", "[two]", "[three]"],
    "{name}|{day} is it, is it": ["Ann", "Monday is it,", "[is it]"],
    # Braces, names, spaces.
    "{{{name}}} {{name}}": ["{Ann} {name}"],
    "{{all}}, {name}": ["[{all},]", "Ann"],
    "{first name}, {  name  }": ["A, Ann"],
    " Hello\n {name},\t\tit  is\u00a0here ": ["Hello Ann,", "[it is here]"],
    "... {name}! ... (!)": ["... Ann!"],
}


@pytest.mark.parametrize(("template", "expected"), CUTS.items(), ids=CUTS.keys())
def test_where_a_template_is_cut(template, expected):
    assert spoken(template) == expected


def test_columns_are_named_once_in_their_order():
    assert parse_template("{b}, {a} | {b} {c d}").columns == ("b", "a", "c d")
    assert parse_template("{{a}} b").columns == ()


@pytest.mark.parametrize("value", ["{day}", "{{", "a|b", "x. Y, z!", "{0.__class__}", "%s"])
def test_a_cell_is_spoken_as_it_is(value):
    phrases = parse_template("Hello {name}, you").fill({"name": value})
    assert phrases == (Phrase(f"Hello {value},", False), Phrase("you", True))


def test_a_phrase_without_a_word_disappears():
    template = parse_template("{name}, hello. | {day}")
    assert template.fill({"name": "", "day": " \n"}) == (Phrase("hello.", True),)
    assert template.fill({"name": "?", "day": "!"}) == (Phrase("hello.", True),)


def test_a_missing_column_is_an_error():
    with pytest.raises(KeyError):
        parse_template("{name}").fill({})


def test_plain_text_is_one_personal_phrase_unless_there_are_bars():
    assert split_plain("Hello {Ann}, how. Are\nyou? — So") == (
        Phrase("Hello {Ann}, how. Are you? — So", False),
    )
    assert split_plain("one.| two |  | !") == (Phrase("one.", False), Phrase("two", False))
    assert split_plain("...") == ()


BAD = {
    "": "no word",
    " | ,": "no word",
    "{name!r}": "{name!r}, which is not a column's name alone",
    "{name:>9}": "{name:>9}",
    "{name.upper}": "{name.upper}",
    "{name[0]}": "{name[0]}",
    "{0}": "{0}",
    "{}": "{}",
    "{ }": "{ }",
    "Hello {name": "a lone { at character 7",
    "Hello name}!": "a lone } at character 11",
    "{a{b}}": "a lone { at character 1",
    "a\0b": "NUL byte",
    "a\udce9b": "is not UTF-8",
    "x" * (LONGEST_TEXT + 1): "a text of 5,001 characters",
}


@pytest.mark.parametrize(("template", "told"), BAD.items(), ids=[repr(text[:9]) for text in BAD])
def test_what_is_no_template_is_refused(template, told):
    with pytest.raises(InputError) as caught:
        parse_template(template)
    assert told in caught.value.message
    assert caught.value.hint


PARTS = st.lists(
    st.sampled_from(
        [
            "{name}",
            "{day}",
            "word",
            "Dr",
            " ",
            ". ",
            ", ",
            "! ",
            "|",
            "—",
            " – ",
            '"',
            "3",
            "{{",
            "}}",
        ]
    ),
    max_size=30,
)
CELLS = st.text("ab.,!?|{}—9 \n", max_size=8).map(lambda text: f"<{text}>x")


@given(PARTS, CELLS, CELLS)
def test_nothing_is_lost_and_no_cell_is_cut(parts, name, day):
    """The phrases say the whole text, each cell in one of them, none of them in a shared one."""
    parts = ["say ", *parts]
    cells = {"{name}": name, "{day}": day, "{{": "{", "}}": "}"}
    whole = "".join(cells.get(part, part) for part in parts)
    phrases = parse_template("".join(parts)).fill({"name": name, "day": day})
    said = " ".join(phrase.text for phrase in phrases)
    assert list(filter(str.isalnum, said)) == list(filter(str.isalnum, whole))
    filled = [" ".join(cells[part].split()) for part in parts if part in ("{name}", "{day}")]
    for phrase in phrases:
        assert phrase.text == " ".join(phrase.text.split())
        assert phrase.shared == ("<" not in phrase.text)
        rest = phrase.text
        while filled and filled[0] in rest:
            rest = rest.partition(filled.pop(0))[2]
    assert filled == []


@given(PARTS, CELLS, CELLS)
def test_shared_phrases_are_the_same_in_all_messages(parts, one, other):
    template = parse_template("say " + "".join(parts))
    first, second = (
        [phrase for phrase in template.fill({"name": cell, "day": cell}) if phrase.shared]
        for cell in (one, other)
    )
    assert first == second
