"""Locks of folders: who holds what, and who waits."""

from __future__ import annotations

import threading
import time

import pytest

from lipgan_cli.engine.errors import BusyError, InputError
from lipgan_cli.engine.paths import locked


def test_a_folder_is_held_by_one_alone_and_made(tmp_path):
    folder = tmp_path / "å [1]" / "b c"
    with locked(folder):
        assert folder.is_dir()
        with pytest.raises(BusyError, match="another run is writing"), locked(folder):
            pass
    with locked(folder):
        pass


def test_names_are_held_apart(tmp_path):
    with (
        locked(tmp_path, ".lock-1"),
        locked(tmp_path, ".lock-2"),
        locked(tmp_path),
        pytest.raises(BusyError),
        locked(tmp_path, ".lock-2"),
    ):
        pass


def test_patience_waits_until_the_other_lets_go(tmp_path):
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with locked(tmp_path):
            held.set()
            let_go.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    threading.Timer(0.1, let_go.set).start()
    with locked(tmp_path, patience=10):
        assert let_go.is_set()
    other.join()


def test_patience_ends(tmp_path):
    with locked(tmp_path):
        begun = time.monotonic()
        with pytest.raises(BusyError), locked(tmp_path, patience=0.1):
            pass
        assert 0.1 <= time.monotonic() - begun < 10


def test_a_file_in_place_of_the_folder_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write into"), locked(tmp_path / "file"):
        pass
