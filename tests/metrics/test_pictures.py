"""Which files count as pictures, and what is said of those that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.pictures import list_pictures, picture_size, read_picture


def save(path, pixels):
    Image.fromarray(np.asarray(pixels)).save(path)
    return path


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_pictures_are_listed_in_order_and_nothing_else(tmp_path):
    for name in ("b.png", "a [1] ü.jpg", "c.txt", "d.PNG"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "deeper").mkdir()
    assert [path.name for path in list_pictures(tmp_path)] == ["a [1] ü.jpg", "b.png"]


def test_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(InputError, match="no picture in") as caught:
        list_pictures(tmp_path)
    assert "subfolders are not searched" in caught.value.hint


def test_missing_folder_and_file_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        list_pictures(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        list_pictures(tmp_path / "file")


def test_picture_becomes_rgb(tmp_path):
    pixels = noise(4, 6, 3)
    path = save(tmp_path / "a.png", pixels)
    assert picture_size(path) == (6, 4)
    assert np.array_equal(read_picture(path), pixels)


def test_grey_becomes_rgb_and_alpha_is_left_out(tmp_path):
    grey = noise(4, 6)
    assert np.array_equal(read_picture(save(tmp_path / "g.png", grey)), np.dstack([grey] * 3))
    rgba = noise(4, 6, 4)
    assert np.array_equal(read_picture(save(tmp_path / "t.png", rgba)), rgba[..., :3])


def test_sixteen_bits_are_refused(tmp_path):
    path = save(tmp_path / "deep.png", np.full((8, 8), 40_000, np.uint16))
    with pytest.raises(InputError, match=r"deep\.png has more than 8 bits"):
        read_picture(path)


@pytest.mark.parametrize("content", [b"", b"just text", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (picture_size, read_picture):
        with pytest.raises(InputError, match=r"a\.png (is not a picture|cannot be read)"):
            read(path)


def test_truncated_picture_is_named(tmp_path):
    path = save(tmp_path / "a.png", noise(64, 64, 3))
    path.write_bytes(path.read_bytes()[:2000])
    assert picture_size(path) == (64, 64)
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        read_picture(path)
