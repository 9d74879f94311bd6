"""The files of answers that a kit's page saves, and the key that says whose each clip is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.mos import FORMAT, KEY_ENDING, QUESTIONS, SCALE, key_path
from lipgan_cli.engine.paths import require_file

PREFERENCES = {"a": 1.0, "none": 0.5, "b": 0.0}
"""What a preference counts for the pair's first video."""


@dataclass(frozen=True)
class Key:
    """Which system and clip each code stands for."""

    kit: str
    systems: tuple[str, ...]
    items: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What a rater said of one pair: scores by question, and 1, 0.5 or 0 for the first system."""

    rater: str
    clip: str
    systems: tuple[str, str]
    scores: tuple[Mapping[str, int], Mapping[str, int]]
    preference: float | None

    @property
    def answered(self) -> bool:
        return self.preference is not None or any(self.scores)

    def seen_from(self, system: str) -> Answer:
        """The same answer with `system`, which is one of the two, as the first."""
        if system == self.systems[0]:
            return self
        turned = None if self.preference is None else 1 - self.preference
        return replace(
            self, systems=self.systems[::-1], scores=self.scores[::-1], preference=turned
        )


@dataclass(frozen=True)
class Sheet:
    """A file of answers; `session` is one browser's, `saved` a time that sorts as text."""

    path: Path
    rater: str
    session: str
    saved: str
    asked: int
    answers: tuple[Answer, ...]

    @property
    def finished(self) -> bool:
        whole = [
            answer
            for answer in self.answers
            if answer.preference is not None
            and all(len(scores) == len(QUESTIONS) for scores in answer.scores)
        ]
        return len(whole) >= self.asked


def read_key(folder: Path) -> Key:
    path = folder if folder.name.endswith(KEY_ENDING) else key_path(folder)
    if not path.exists():
        raise InputError(
            f"the key {path} is missing, without which nobody knows which clip was whose",
            f"put the kit's key, NAME{KEY_ENDING}, back beside its folder",
        )
    content = _read_json(path, "the key")
    try:
        return Key(
            kit=content["kit"],
            systems=tuple(content["systems"]),
            items={code: (item["system"], item["clip"]) for code, item in content["items"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not the key of a kit", "give the key that was made") from error


def list_files(answers: Sequence[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in answers:
        if path.is_dir():
            inside = sorted(
                file for file in path.glob("*.json") if not file.name.endswith(KEY_ENDING)
            )
            if not inside:
                raise InputError(f"there are no answers in {path}", "files ending in .json count")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    if not found:
        raise InputError("there are no answers to read", "give the files that the raters saved")
    return list(found)


def _read_json(path: Path, what: str) -> Any:
    require_file(path, what)
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{what} {path} is damaged: it is no JSON", "put a whole copy in its place"
        ) from error
    if not isinstance(content, dict) or "kit" not in content:
        raise InputError(f"{path} is not a file of a kit", "give the files that the page saved")
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {content.get('format')!r}, not {FORMAT}",
            "read it with the lipgan that made it",
        )
    return content


def read_sheet(path: Path, key: Key) -> Sheet:
    content = _read_json(path, "the answers")
    if content["kit"] != key.kit:
        raise InputError(
            f"{path} answers another kit, {content['kit']}, not {key.kit}", "give its own key"
        )
    try:
        sheet = Sheet(
            path=path,
            rater=_text(content["rater"]),
            session=_text(content["session"]),
            saved=_text(content["saved"]),
            asked=int(content["asked"]),
            answers=tuple(
                _read_answer(trial, content["rater"], key) for trial in content["trials"]
            ),
        )
    except KeyError as error:
        raise _damaged(path, f"{error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, str(error)) from error
    pairs = Counter((answer.clip, frozenset(answer.systems)) for answer in sheet.answers)
    for (clip, systems), count in pairs.items():
        if count > 1:
            raise _damaged(path, f"{clip} of {' and '.join(sorted(systems))} is there twice")
    return sheet


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"the answers {path} are damaged: {reason}", "have them saved again")


def _read_answer(trial: Any, rater: str, key: Key) -> Answer:
    codes = [_text(trial[side]) for side in "ab"]
    for code in codes:
        if code not in key.items:
            raise ValueError(f"no clip has the code {code}")
    (first, clip), (second, other) = (key.items[code] for code in codes)
    if clip != other or first == second:
        raise ValueError(f"{codes[0]} and {codes[1]} are no pair")
    preferred = trial["preferred"]
    if preferred not in (*PREFERENCES, None):
        raise ValueError(f"{preferred!r} is no preference")
    return Answer(
        rater=rater,
        clip=clip,
        systems=(first, second),
        scores=(_read_scores(trial["scores"]["a"]), _read_scores(trial["scores"]["b"])),
        preference=PREFERENCES.get(preferred),
    )


def _read_scores(scores: Any) -> dict[str, int]:
    known = {question.key for question in QUESTIONS}
    for question, score in scores.items():
        if question not in known:
            raise ValueError(f"{question!r} was not asked")
        if type(score) is not int or not 1 <= score <= len(SCALE):
            raise ValueError(f"the score {score!r} is not one of 1 to {len(SCALE)}")
    return dict(scores)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"{value!r} is no text")
    return value


def latest(sheets: Sequence[Sheet]) -> tuple[list[Sheet], list[Path]]:
    """The last saved sheet of each rater, and the files that it replaces."""
    kept: dict[str, Sheet] = {}
    replaced = []
    for sheet in sorted(sheets, key=lambda sheet: sheet.saved):
        earlier = kept.get(sheet.rater)
        if earlier and earlier.session != sheet.session:
            raise InputError(
                f"{earlier.path} and {sheet.path} are both of {sheet.rater!r}, begun apart",
                "two people: change the rater in one file; one who began anew: leave one out",
            )
        if earlier:
            replaced.append(earlier.path)
        kept[sheet.rater] = sheet
    return sorted(kept.values(), key=lambda sheet: sheet.rater), replaced
