"""The one exception tree: what a user can be told in one line."""

from __future__ import annotations

from collections.abc import Sequence


class LipganError(Exception):
    """A failure with a message for the user and a hint on what to do about it.

    The message says what, where (file, frame, second) and the value; the hint says what to do.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(LipganError):
    """The user gave something that cannot be used: a wrong file, option or folder."""

    exit_code = 2


class DivergedError(LipganError):
    """A training run's losses or weights are no longer numbers that anything can be learnt from."""


class BusyError(InputError):
    """Another process holds what this one was to write."""


class FaultsError(InputError):
    """Bad input at several places: the message says where, and each fault has a line."""

    def __init__(self, message: str, faults: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join((self.message, *self.faults))
