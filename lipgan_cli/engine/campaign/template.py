"""Texts with {columns}: what is spoken, in phrases that messages share and personal ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby

from lipgan_cli.engine.campaign.table import find_flaw, quoted
from lipgan_cli.engine.errors import InputError

LONGEST_TEXT = 5_000  # characters of one message: about six minutes

_CUT = "|"
_HOLE = "\0"  # stands for a column while a template is cut; no text has it
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_FORMAT = re.compile(r"[!:\[]|\w\.\w|^\d*$")  # conversions, formats, items, attributes, numbers
_CLAUSE_END = re.compile(
    r"""
      (?: [!?;:,…؟،؛।]
        # A dot ends a clause after a word or a column, not after what may be an abbreviation or an
        # ordinal (Dr., e.g., 3.), nor before a column, since nobody knows how it begins (Prof.).
        | (?: (?<=[^\W\d_]{4}) | (?<=[\0)\]"”’»]) ) \. (?= ["'”’»)\]]* \s+ [^\s\0] )
      ) ["'”’»)\]]* (?=\s)
    | — | (?<=\s) – (?=\s)
    | [。！？；：，、]
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Phrase:
    """What is spoken in one go, with the columns filled in; never empty."""

    text: str
    shared: bool  # the same in every message that has it: no column in it


@dataclass(frozen=True)
class Template:
    """A text in pieces: shared phrases, and personal ones as text, column, text, column, text."""

    pieces: tuple[Phrase | tuple[str, ...], ...]
    columns: tuple[str, ...]  # that are filled in

    def fill(self, values: Mapping[str, str]) -> tuple[Phrase, ...]:
        """Return the phrases of a row; whatever its cells hold, they are neither cut nor read.

        Raises:
            KeyError: a column is not in it.
        """
        phrases: list[Phrase | None] = []
        for piece in self.pieces:
            if isinstance(piece, Phrase):
                phrases.append(piece)
            else:
                parts = [values[part] if k % 2 else part for k, part in enumerate(piece)]
                phrases.append(_phrase("".join(parts), shared=False))
        return tuple(filter(None, phrases))


def parse_template(text: str) -> Template:
    """Read a text with {columns} and cut it into pieces, with columns and without.

    It is cut at the end of clauses, where a piece with a column and one without meet there, and at
    every "|". "{{" and "}}" are braces.

    Raises:
        InputError: it is empty or too long, or a brace does not belong to a column's name.
    """
    if flaw := find_flaw([text]):
        raise InputError(f"the text cannot be read: {flaw}", "give it in UTF-8")
    if len(text) > LONGEST_TEXT:
        raise InputError(f"a text of {len(text):,} characters", f"give {LONGEST_TEXT:,} at most")
    columns: list[str] = []
    literal = "".join(_read_token(token, columns) for token in _TOKEN.finditer(text))
    names = iter(columns)
    pieces: list[Phrase | tuple[str, ...] | None] = []
    for section in literal.split(_CUT):
        for personal, clauses in groupby(_clauses(section), key=lambda clause: _HOLE in clause):
            first, *others = "".join(clauses).split(_HOLE)
            if personal:
                pieces.append((first, *chain.from_iterable((next(names), each) for each in others)))
            else:
                pieces.append(_phrase(first, shared=True))
    if not any(pieces):
        raise InputError(f"the text {quoted(text)} has no word in it", "give what is to be spoken")
    return Template(tuple(filter(None, pieces)), tuple(dict.fromkeys(columns)))


def split_plain(text: str) -> tuple[Phrase, ...]:
    """Return the phrases of a text without columns: one, unless there are "|" in it."""
    return tuple(filter(None, (_phrase(part, shared=False) for part in text.split(_CUT))))


def _phrase(text: str, shared: bool) -> Phrase | None:
    """Return a phrase with one space for white space of any kind, None if it has no word."""
    if not any(map(str.isalnum, text)):
        return None
    return Phrase(" ".join(text.split()), shared)


def _read_token(token: re.Match[str], columns: list[str]) -> str:
    """Return a piece of a template as it is spoken, a hole for a column, which is added."""
    if token[0] in ("{{", "}}"):
        return token[0][0]
    if token[0] in ("{", "}"):
        raise InputError(
            f"a lone {token[0]} at character {token.start() + 1} of the text",
            f"write {{column}}, or {token[0] * 2} for a brace that is spoken",
        )
    if token[1] is None:
        return token[0]
    column = token[1].strip()
    if _FORMAT.search(column):
        raise InputError(
            f"the text has {token[0]}, which is not a column's name alone",
            "write {column}: formats, conversions, attributes and numbers are not known",
        )
    columns.append(column)
    return _HOLE


def _clauses(section: str) -> Iterator[str]:
    """Cut a text behind its clauses; each has a word or a hole in it, the last perhaps not."""
    begin = 0
    for end in _CLAUSE_END.finditer(section):
        clause = section[begin : end.end()]
        goes_on = end[0][0] == "." and section[end.end() :].lstrip()[:1].islower()
        if not goes_on and re.search(r"[\w\0]", clause):
            yield clause
            begin = end.end()
    yield section[begin:]
