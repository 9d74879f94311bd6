"""The cache: never stale, never half an entry, never larger than its cap, never in the way."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lipgan_cli.engine import cache as module
from lipgan_cli.engine.cache import DEFAULT_CAP, GIB, Cache, Usage, content_hash, open_cache
from lipgan_cli.engine.errors import InputError, LipganError

ROOT = Path(__file__).parents[1]
MIB = 1 << 20
BOXES = {"boxes": np.arange(12, dtype=np.float32).reshape(3, 4)}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", MIB)


def entry(cache: Cache) -> Path:
    (path,) = cache.folder.iterdir()
    return path


def same(one, other) -> bool:
    return (
        one is not None
        and list(one) == list(other)
        and all(
            one[name].dtype == other[name].dtype
            and one[name].shape == other[name].shape
            and one[name].tobytes() == other[name].tobytes()
            for name in one
        )
    )


def test_what_was_put_is_got_and_nothing_else_is(cache):
    assert cache.get({"of": "a"}) is None
    assert cache.put({"of": "a"}, BOXES)
    assert same(cache.get({"of": "a"}), BOXES)
    assert cache.get({"of": "b"}) is None
    assert same(Cache(cache.folder, MIB).get({"of": "a"}), BOXES)


def test_an_entry_is_replaced(cache):
    cache.put({}, BOXES)
    other = {"boxes": np.zeros(2), "times": np.ones((0, 3), np.int64)}
    assert cache.put({}, other)
    assert same(cache.get({}), other)
    assert cache.usage().entries == 1


@given(
    st.dictionaries(
        st.sampled_from(["boxes", "times", "about", "about.json", "ü"]),
        arrays_of.arrays(
            st.one_of(arrays_of.scalar_dtypes(), arrays_of.unicode_string_dtypes()),
            arrays_of.array_shapes(min_dims=0, min_side=0),
        ),
    )
)
def test_arrays_of_every_kind_come_back_bit_for_bit(tmp_path_factory, arrays):
    cache = Cache(tmp_path_factory.mktemp("cache"), MIB)
    assert cache.put({}, arrays)
    assert same(cache.get({}), arrays)


def test_views_that_do_not_lie_in_one_piece_come_back(cache):
    whole = np.arange(60).reshape(3, 4, 5)
    views = {"turned": whole.T, "some": whole[::2, 1:3, ::-1]}
    assert cache.put({}, views)
    got = cache.get({})
    assert got is not None
    assert all(np.array_equal(got[name], views[name]) for name in views)


def test_objects_are_refused_and_never_unpickled(cache):
    with pytest.raises(ValueError, match="Object arrays"):
        cache.put({}, {"boxes": np.array([{}], object)})
    assert list(cache.folder.iterdir()) == []
    cache.put({}, BOXES)
    with np.load(entry(cache)) as stored:  # an .npz that anybody can read
        text = stored["about.json"]
    with zipfile.ZipFile(entry(cache), "w") as archive:
        archive.writestr("about.json", text)
        with archive.open("boxes.npy", "w") as stream:
            np.lib.format.write_array(stream, np.array([{}], object), allow_pickle=True)
    assert cache.get({}) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # the last: a file name that is no text
    | st.text()
    | st.just("\udcff"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text(), JSON, JSON)
def test_a_key_that_differs_anywhere_is_another_entry(key, name, one, other):
    def text(value) -> str:
        return module._text({**key, name: value})

    turned = dict(reversed([*{**key, name: one}.items()]))
    assert text(one) == module._text(turned)
    assert json.loads(text(one))["key"] == {**key, name: one}
    assert (text(one) == text(other)) == sorted_alike(one, other)


def sorted_alike(one, other) -> bool:
    """Equal but for the order of names."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), (0, False), ("1", 1), (None, "null"), ([1, 2], [2, 1]), ({}, [])],
)
def test_values_that_look_alike_are_told_apart(cache, one, other):
    cache.put({"value": one}, BOXES)
    assert cache.get({"value": other}) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Path("a.mp4"), np.float32(1)])
def test_a_key_holds_nothing_that_would_not_compare(cache, value):
    with pytest.raises((ValueError, TypeError)):
        cache.put({"value": value}, BOXES)


def test_another_version_or_format_is_another_entry(cache, monkeypatch):
    cache.put({}, BOXES)
    with monkeypatch.context() as patch:
        patch.setattr(module, "__version__", "0.0.0")
        assert cache.get({}) is None
    with monkeypatch.context() as patch:
        patch.setattr(module, "FORMAT", module.FORMAT + 1)
        assert cache.get({}) is None
    assert same(cache.get({}), BOXES)


def test_the_key_inside_is_compared(cache):
    """Two keys with one name: a collision, or a file that was renamed."""
    cache.put({"of": "a"}, BOXES)
    theirs = cache._path(module._text({"of": "b"}))
    entry(cache).rename(theirs)
    assert cache.get({"of": "b"}) is None
    assert not theirs.exists()


def test_a_truncated_entry_is_no_entry_and_is_removed(cache):
    cache.put({}, BOXES)
    path = entry(cache)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert cache.get({}) is None, length
        assert not path.exists(), length
    assert cache.put({}, BOXES)
    assert same(cache.get({}), BOXES)


def test_a_damaged_byte_never_changes_an_array(cache):
    cache.put({}, BOXES)
    path = entry(cache)
    whole = path.read_bytes()
    misses = 0
    for place in range(len(whole)):
        for change in (0x01, 0xFF):
            damaged = bytearray(whole)
            damaged[place] ^= change
            path.write_bytes(damaged)
            got = cache.get({})
            misses += got is None
            # A date or an attribute of the archive may say anything.
            assert got is None or same(got, BOXES), place
    assert misses > len(whole)  # more than half of 2 * len


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x05\x06" + bytes(18), b"\x93NUMPY" * 99])
def test_a_foreign_file_under_an_entry_s_name_is_a_miss(cache, content):
    cache.put({}, BOXES)
    entry(cache).write_bytes(content)
    assert cache.get({}) is None
    assert list(cache.folder.iterdir()) == []


def test_a_folder_under_an_entry_s_name_is_a_miss(cache):
    cache.put({}, BOXES)
    path = entry(cache)
    path.unlink()
    path.mkdir()
    assert cache.get({}) is None
    assert not cache.put({}, BOXES)
    assert [place.name for place in cache.folder.iterdir()] == [path.name]


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_the_least_recently_used_go_first(tmp_path):
    cache = Cache(tmp_path, 3500)  # three entries of 1000 bytes and what is around them
    arrays = {"boxes": np.zeros(700, np.uint8)}
    for number, name in enumerate("abc"):
        assert cache.put({"of": name}, arrays)
        age(cache._path(module._text({"of": name})), 300 - 100 * number)
    assert cache.get({"of": "a"}) is not None  # the oldest is used again
    assert cache.put({"of": "d"}, arrays)
    there = [name for name in "abcd" if cache.get({"of": name}) is not None]
    assert there == ["a", "c", "d"]
    assert cache.usage().size <= cache.cap


def test_it_is_never_larger_than_its_cap(tmp_path):
    cache = Cache(tmp_path, 20_000)
    random = np.random.default_rng(1)
    for number in range(60):
        size = int(random.integers(0, 25_000))
        kept = cache.put({"number": number}, {"x": np.zeros(size, np.uint8)})
        usage = cache.usage()
        assert usage.size == sum(path.stat().st_size for path in tmp_path.iterdir())
        assert usage.size <= cache.cap
        assert kept == (cache.get({"number": number}) is not None)
        assert kept or size > 19_000  # what fits is kept


def test_a_smaller_cap_holds_from_the_next_entry_on(cache):
    for number in range(5):
        cache.put({"number": number}, {"x": np.zeros(10_000, np.uint8)})
    small = Cache(cache.folder, 25_000)
    assert small.put({"number": 9}, BOXES)
    assert small.usage().size <= 25_000
    assert small.usage().entries == 3


def test_a_cap_of_nothing_keeps_nothing(tmp_path):
    cache = Cache(tmp_path / "cache", 0)
    assert not cache.put({}, {})
    assert cache.get({}) is None
    assert not cache.folder.exists()
    Cache(cache.folder, MIB).put({}, BOXES)
    assert cache.get({}) is None


def test_clear_removes_its_own_files_alone(cache):
    assert cache.clear() == 0
    cache.put({"of": "a"}, BOXES)
    cache.put({"of": "b"}, BOXES)
    half = cache.folder / ".0123abcd.0123abcd.part.npz"
    half.write_bytes(b"x" * 100)
    foreign = [cache.folder / name for name in ("notes.txt", "a.npz", ".hidden")]
    for path in foreign:
        path.write_text("mine")
    assert cache.usage().entries == 2
    assert cache.clear() == 2
    assert cache.usage() == Usage(cache.folder, 0, 0, MIB)
    assert sorted(cache.folder.iterdir()) == sorted(foreign)


def test_what_cannot_be_removed_is_told(cache):
    cache.put({}, BOXES)
    path = entry(cache)
    path.unlink()
    path.mkdir()
    with pytest.raises(LipganError, match="cannot remove"):
        cache.clear()


def test_half_made_files_go_when_they_are_old(cache):
    cache.put({"of": "a"}, BOXES)
    old, new = (cache.folder / f".0123abcd.{name}.part.npz" for name in ("aaaa0000", "bbbb0000"))
    for path in (old, new):
        path.write_bytes(b"x")
    age(old, module.LEFT_OVER_SECONDS + 60)
    cache.put({"of": "b"}, BOXES)
    assert not old.exists()
    assert new.exists()  # another run may be writing it
    assert cache.usage().entries == 2


def test_the_name_of_a_half_made_file_is_known(cache, monkeypatch):
    seen = []

    def write(archive, text, arrays):
        seen.extend(file for file in module._files(cache.folder) if not file.entry)
        raise OSError("stopped")

    monkeypatch.setattr(module, "_write", write)
    assert not cache.put({}, BOXES)
    assert len(seen) == 1
    assert list(cache.folder.iterdir()) == []


def test_a_folder_that_cannot_be_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "cache", MIB)
    assert cache.get({}) is None
    assert not cache.put({}, BOXES)
    assert cache.usage().entries == 0
    assert cache.clear() == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_still_gives(cache):
    cache.put({"of": "a"}, BOXES)
    cache.folder.chmod(0o500)
    try:
        assert same(cache.get({"of": "a"}), BOXES)
        assert not cache.put({"of": "b"}, BOXES)
    finally:
        cache.folder.chmod(0o700)


def test_a_file_system_that_refuses_every_change_still_gives(cache, monkeypatch):
    cache.put({"of": "a"}, BOXES)

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    for name in ("utime", "unlink", "mkdir", "replace", "rename"):
        monkeypatch.setattr(os, name, refuse)
    assert same(cache.get({"of": "a"}), BOXES)
    assert not cache.put({"of": "b"}, BOXES)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_is_no_error_and_leaves_nothing(cache):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        assert not cache.put({}, {"x": np.zeros(100_000, np.uint8)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(cache.folder.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
import numpy as np
from lipgan_cli.engine.cache import Cache

def content(number):
    return {"x": np.full(20_000, number, np.uint8), "y": np.arange(number)}

cache = Cache(Path(sys.argv[1]), 150_000)  # about seven of ten: some are always removed
hits = 0
print("ready", flush=True)
sys.stdin.readline()
random = np.random.default_rng(int(sys.argv[2]))
for turn in range(int(sys.argv[3])):
    number = int(random.integers(10))
    got = cache.get({"number": number})
    if got is None:
        cache.put({"number": number}, content(number))
    else:
        hits += 1
        assert all(np.array_equal(got[k], v) for k, v in content(number).items())
        assert list(got) == ["x", "y"]
print(hits)
"""


def start(folder: Path, seed: int, turns: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(seed), str(turns)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_runs_at_once_and_a_third_that_clears(tmp_path):
    writers = [start(tmp_path, seed, 600) for seed in (1, 2)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    cleared = 0
    while any(writer.poll() is None for writer in writers):
        cleared += Cache(tmp_path, 150_000).clear()
        time.sleep(0.1)
    for writer in writers:
        said, complained = writer.communicate(timeout=60)
        assert (writer.returncode, complained) == (0, "")
        assert int(said) > 0
    assert cleared > 0
    assert Cache(tmp_path, MIB).usage().size <= 150_000
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_run_leaves_whole_entries_or_none(tmp_path):
    for seed in range(4):
        writer = start(tmp_path, seed, 100_000)
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.npz")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05 + 0.03 * seed)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
    entries = Cache(tmp_path, MIB)
    whole = [entries.get({"number": number}) for number in range(10)]
    assert sum(found is not None for found in whole) == entries.usage().entries > 0


def test_what_is_being_read_survives_a_clear(cache, monkeypatch):
    cache.put({}, BOXES)
    read = module._read

    def cleared_meanwhile(archive, text):
        assert cache.clear() == 1
        return read(archive, text)

    monkeypatch.setattr(module, "_read", cleared_meanwhile)
    if sys.platform != "win32":  # where an open file cannot be removed
        assert same(cache.get({}), BOXES)
        assert cache.usage().entries == 0


def test_the_content_decides_and_nothing_else(tmp_path):
    one, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    content = os.urandom(MIB + 1)
    one.write_bytes(content)
    other.write_bytes(content)
    assert content_hash(one) == content_hash(other) == hashlib.sha256(content).hexdigest()
    stamp = one.stat()
    one.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(one, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as some tools leave it
    assert content_hash(one) != content_hash(other)
    with pytest.raises(InputError, match="cannot be read"):
        content_hash(tmp_path / "missing")
    with pytest.raises(InputError, match="cannot be read"):
        content_hash(tmp_path)


@pytest.mark.parametrize(
    ("told", "cap"), [("", DEFAULT_CAP), ("2", DEFAULT_CAP), ("0.5", GIB // 2), ("0", 0)]
)
def test_the_environment_says_how_much(monkeypatch, home, told, cap):
    monkeypatch.setenv("LIPGAN_CACHE_GB", told)
    assert open_cache() == Cache(home / "cache", cap)
    monkeypatch.delenv("LIPGAN_CACHE_GB")
    assert open_cache().cap == 2 * 2**30


@pytest.mark.parametrize("told", ["much", "-1", "nan", "inf", "2GB"])
def test_a_size_that_is_none_is_bad_input(monkeypatch, told):
    monkeypatch.setenv("LIPGAN_CACHE_GB", told)
    with pytest.raises(InputError, match="LIPGAN_CACHE_GB is"):
        open_cache()


def test_without_a_home_of_its_own_it_lies_where_caches_lie(monkeypatch):
    import platformdirs

    monkeypatch.delenv("LIPGAN_HOME")
    assert open_cache().folder == platformdirs.user_cache_path("lipgan")
