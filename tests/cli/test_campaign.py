"""`lipgan sync --messages` from the command line: what it prints, refuses and leaves behind."""

from __future__ import annotations

import _thread
import io
import json
import re
import shlex
import sys
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine import campaign as engine
from lipgan_cli.engine.campaign import forecast as forecasting
from lipgan_cli.engine.campaign.options import CampaignOptions, CampaignSummary, Forecast
from lipgan_cli.engine.campaign.shards import Shard
from lipgan_cli.engine.media.demo import write_portrait
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.metrics import judge
from lipgan_cli.engine.sync import SyncOptions, presenter, survey
from lipgan_cli.engine.sync.options import MarkOptions

Lipgan = Callable[..., Any]

NOTED = (
    "not marked as made by a model (--no-provenance): where the law asks for marks, such as "
    "Article 50 of the EU AI Act, they are yours to add"
)
DOTS = "begins with a dot or ends with a dot or a space"
VOICE = '''
"""Hums a twentieth of a second for each letter, and cannot say "fail"."""
import math, struct, sys, wave
text = sys.stdin.read().strip()
if "fail" in text:
    sys.exit("no such word")
hum = [int(9000 * math.sin(2 * math.pi * 220 * k / 16000)) for k in range(800 * len(text))]
with wave.open(sys.argv[1], "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(struct.pack(f"<{len(hum)}h", *hum))
'''

detector = cache(HogDetector)
load_judge = cache(judge.load_judge)


class Mirror:
    """A network that gives back the face that it is shown."""

    device = "cpu"

    def faces(self, reference: Any, target: Any, windows: Any, keys: Any = None) -> Any:
        return target


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Mirror:
    mirror = Mirror()
    monkeypatch.setattr(presenter, "_network", lambda *given: mirror)
    monkeypatch.setattr(presenter, "installed_landmarks", lambda: None)
    monkeypatch.setattr(survey, "HogDetector", detector)
    monkeypatch.setattr(judge, "load_judge", load_judge)
    return mirror


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    return write_portrait(tmp_path / "face.png")


@pytest.fixture
def hum(tmp_path: Path) -> Path:
    """0.4 s of a sound."""
    path = tmp_path / "hum.wav"
    samples = 9000 * np.sin(2 * np.pi * 220 * np.arange(6400) / 16000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture
def voice(tmp_path: Path) -> str:
    """A command that speaks."""
    script = tmp_path / "say it.py"
    script.write_text(VOICE)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {{output}}"


@pytest.fixture
def sync(lipgan: Lipgan, portrait: Path, tmp_path: Path) -> Lipgan:
    """Run a campaign of the portrait: `sync(table, ...)`."""

    def call(table: object, *options: object) -> Any:
        given = ("--messages", table, "-o", tmp_path / "out", "--no-provenance")
        return lipgan("sync", portrait, *given, *options)

    return call


def write(folder: Path, text: str, name: str = "messages.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def made_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.mp4"))


def refused(ran: Any) -> str:
    """Return the error of a run that was refused, without its hint."""
    assert (ran.code, ran.stdout) == (2, ""), ran.stderr
    error, _, hint = ran.stderr.rpartition("hint: ")
    assert hint.count("\n") == 1
    return str(error.rstrip("\n"))


def test_the_manifest_is_the_result_and_the_rest_is_talk(
    sync: Lipgan, tmp_path: Path, hum: Path, network: Mirror
) -> None:
    table = write(tmp_path, "id,audio\na,hum.wav\nb c,hum.wav\n")
    ran = sync(table)
    assert (ran.code, ran.stdout) == (0, f"{tmp_path / 'out' / 'manifest.jsonl'}\n"), ran.stderr
    note, told = ran.stderr.splitlines()
    assert note == NOTED
    assert re.fullmatch(
        r"2 of 2 messages made, 1 s of video in \d+ s, \d+\.\d\d times real time", told
    )
    assert made_in(tmp_path / "out") == ["a.mp4", "b c.mp4"]

    ran = sync(write(tmp_path, "id,audio\na,hum.wav\nd,hum.wav\ne,hum.wav\n"), "--limit", 1)
    assert ran.code == 0
    assert re.fullmatch(
        r"1 of 3 messages made, 1 there before, 1 left, "
        r"0 s of video in \d+ s, \S+ times real time, "
        "1 videos in the folder are of no row any more",
        ran.stderr.splitlines()[1],
    )
    ran = sync(table, "--quiet")
    assert (ran.code, ran.stdout) == (0, f"{tmp_path / 'out' / 'manifest.jsonl'}\n")
    assert ran.stderr == ""


def test_texts_are_spoken_by_a_command(
    sync: Lipgan, tmp_path: Path, voice: str, network: Mirror
) -> None:
    table = write(tmp_path, 'id,name\na,Anna\nb,"Bo ""the, one"""\n')
    ran = sync(table, "--text", "Hello {name}, it is {{here}}.", "--tts", voice, "--quiet")
    assert ran.code == 0, ran.stderr
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    entries = {entry["id"]: entry for entry in map(json.loads, lines)}
    assert entries["b"]["row"] == {"id": "b", "name": 'Bo "the, one"'}
    with av.open(str(tmp_path / "out" / "b.mp4")) as film:
        frames = sum(1 for _ in film.decode(video=0))
    assert frames == entries["b"]["frames"] > entries["a"]["frames"] > 40


def test_what_failed_is_told_and_the_run_with_it(
    sync: Lipgan, tmp_path: Path, hum: Path, voice: str, network: Mirror
) -> None:
    table = write(tmp_path, "id,audio,text\na,hum.wav,\nb,,fail here\n")
    manifest = tmp_path / "out" / "manifest.jsonl"
    ran = sync(table, "--tts", voice)
    assert (ran.code, ran.stdout) == (1, f"{manifest}\n")
    note, failed, told, error, hint = ran.stderr.splitlines()
    assert note == NOTED
    assert failed.startswith("b: the voice ")
    assert failed.endswith("ended with exit code 1, at 'fail here': no such word")
    assert told.startswith("1 of 2 messages made, 0 s of video in ")
    assert error == "error: failed: 1, rejected: 0, of 2 messages"
    assert hint == (
        f"hint: {manifest} says why; the next run tries the failed ones again, "
        "--retry-failed the rejected ones too"
    )
    ran = sync(table, "--tts", voice, "--retry-failed", "--quiet")
    assert (ran.code, ran.stdout) == (1, f"{manifest}\n")
    assert ran.stderr.splitlines()[0] == "error: failed: 1, rejected: 0, of 2 messages"


def test_what_is_rejected_is_told(sync: Lipgan, tmp_path: Path, network: Mirror) -> None:
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        noise = np.random.default_rng(1).integers(-9000, 9000, 40000)
        file.writeframes(noise.astype("<i2").tobytes())
    table = write(tmp_path, "id,audio\na,long.wav\n")
    ran = sync(table, "--min-sync", 1, "--quiet")
    assert ran.code == 1
    assert ran.stderr.splitlines()[0] == "error: failed: 0, rejected: 1, of 1 messages"
    assert made_in(tmp_path / "out") == ["a.mp4"]
    ran = sync(table, "--quiet", "--min-sync", 1)
    assert ran.code == 1  # nothing was to be made, and it still is not as it should be
    ran = sync(table, "--quiet", "--retry-failed")
    assert ran.code == 0


def test_a_summary_as_json(sync: Lipgan, tmp_path: Path, hum: Path, network: Mirror) -> None:
    table = write(tmp_path, "id\taudio\na\thum.wav\nb\thum.wav\n", "messages.tsv")
    ran = sync(table, "--json", "--sheet", tmp_path / "sheet.jpg", "--limit", 1)
    assert ran.code == 0, ran.stderr
    assert ran.stderr == f"{NOTED}\n"
    told = json.loads(ran.stdout)
    assert 0 < told.pop("started") < told["elapsed"]
    assert told.pop("speed") == pytest.approx(0.4 / told.pop("elapsed"))
    assert told == {
        "folder": str(tmp_path / "out"),
        "manifest": str(tmp_path / "out" / "manifest.jsonl"),
        "rows": 2,
        "kept": 0,
        "kept_rejected": 0,
        "made": 1,
        "failed": 0,
        "rejected": 0,
        "left": 1,
        "seconds": 0.4,
        "strays": [],
        "sheet": [str(tmp_path / "sheet.jpg")],
    }
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.size == (320, 194)


def test_a_dry_run_tells_what_would_be_made(
    sync: Lipgan, tmp_path: Path, hum: Path, network: Mirror
) -> None:
    table = write(tmp_path, "id,audio\n" + "".join(f"m{k},hum.wav\n" for k in range(40)))
    before = sorted(tmp_path.iterdir())
    ran = sync(table, "--dry-run")
    assert ran.code == 0, ran.stderr
    lines = [re.split(r"\s{2,}", line) for line in ran.stdout.splitlines()]
    told = dict(lines)
    assert list(told) == [
        "messages", "to be made", "video", "expected time", "expected size", "free on the disk",
    ]  # fmt: skip
    assert told["messages"] == "40, of which 0 are there"
    assert told["to be made"] == "40, 0 of which failed before"
    assert told["video"] == "16 s"
    assert re.fullmatch(r"\d+ (s|min), from 3 that were tried", told["expected time"])
    assert re.fullmatch(r"\d+\.\d MiB", told["expected size"])
    assert re.fullmatch(r"[\d,]+ MiB", told["free on the disk"])
    ran = sync(table, "--dry-run", "--json", "--limit", 1)
    told = json.loads(ran.stdout)
    assert told.pop("expected_seconds") > 0
    assert told.pop("expected_bytes") > 1000
    assert told.pop("free_bytes") > 0
    assert told == {
        "rows": 40, "kept": 0, "todo": 1, "failed_before": 0, "seconds": 0.4, "tried": 1,
    }  # fmt: skip
    assert sorted(tmp_path.iterdir()) == before


class Piped:
    """Standard input that is a pipe."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_a_table_comes_on_standard_input(
    sync: Lipgan, tmp_path: Path, hum: Path, network: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Piped(b'\xef\xbb\xbf{"id": "a", "audio": "hum.wav"}\n'))
    ran = sync("-", "--quiet")
    assert ran.code == 0, ran.stderr
    assert made_in(tmp_path / "out") == ["a.mp4"]
    for nothing in (Piped(b""), None):  # None: it is closed
        monkeypatch.setattr(sys, "stdin", nothing)
        assert refused(sync("-")) == "error: standard input is empty"
    monkeypatch.setattr(sys, "stdin", Piped(b"id,audio\na,b.wav\n"))
    assert refused(sync("-")) == "error: standard input, line 2: the audio 'b.wav' does not exist"
    monkeypatch.setattr(sys, "stdin", None)
    assert sync(write(tmp_path, "id,audio\na,hum.wav\n"), "--quiet").code == 0


@pytest.mark.parametrize("byte_order_mark", ["", "\ufeff"])
def test_all_that_is_bad_in_a_table_is_told_at_once_with_its_lines(
    sync: Lipgan, tmp_path: Path, portrait: Path, hum: Path, byte_order_mark: str
) -> None:
    table = write(
        tmp_path,
        byte_order_mark
        + "id,audio,text,start,end,output\n"
        + "good,hum.wav,,,,\n"
        + "missing,gone.wav,,,,\n"  # 3
        + "empty,,  ,,,\n"
        + "good,hum.wav,,,,\n"  # 5
        + "../up,hum.wav,,,,\n"
        + "a/b,hum.wav,,,,\n"  # 7
        + ",hum.wav,,,,\n"
        + "far,hum.wav,,,,../far.mp4\n"  # 9
        + 'quoted,,"He said ""no, no""\nand left",,,\n'
        + "comma,,one, two,,\n"  # 12
        + "both,hum.wav,spoken,,,\n"
        + f"long,,{'very ' * 1500},,,\n"  # 14
        + "when,hum.wav,,soon,,\n"
        + "back,hum.wav,,2,1,\n"  # 16
        + "avi,hum.wav,,,,a.avi\n"
        + "late,hum.wav,,3,,\n",
    )
    before = sorted(tmp_path.iterdir())
    faults = refused(sync(table)).splitlines()
    gone = tmp_path / "gone.wav"
    assert faults == [
        f"error: {table} has 14 faults:",
        f"line 3: the audio {str(gone)!r} does not exist",
        "line 4: there is neither audio nor text",
        "line 5: the id 'good' is that of line 2 too, capitals or not",
        "line 6: the id '../up' has a '/' in it: it cannot name a file",
        "line 7: the id 'a/b' has a '/' in it: it cannot name a file",
        "line 8: no id",
        "line 9: the output '../far.mp4' cannot be made: '..' " + DOTS,
        "line 12: the start 'two' is no number of seconds, such as 2.5",
        "line 13: there are both audio and text: leave one empty",
        "line 14: the text has 7,499 characters: 5,000 are the most",
        "line 15: the start 'soon' is no number of seconds, such as 2.5",
        "line 16: there is nothing from 2 s to 1 s: the start comes first",
        "line 17: the output 'a.avi' does not end in .mp4, .mov, .mkv, .webm",
        f"line 18: {portrait} has no frame from 3 s to its end",
    ]
    assert sorted(tmp_path.iterdir()) == before


def test_other_bad_tables_are_refused_in_one_line(
    sync: Lipgan, tmp_path: Path, hum: Path, voice: str
) -> None:
    def told(data: bytes | str, *options: str) -> str:
        path = tmp_path / "t.csv"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return refused(sync(path, *options)).removeprefix(f"error: {path}")

    text = ("--text", "Hello {name}, you", "--tts", voice)
    assert "there is no column 'name', which --text names" in told("id,nam\na,Jo\n", *text)
    assert "there is nothing in 'name', which --text names" in told("id,name\na,\n", *text)
    assert "is not UTF-8: save it as UTF-8 text" in told("id,text\na,Jürgen\n".encode("latin-1"))
    assert "the row is longer than 100,000 characters" in told("id,text\na," + "word " * 2_000_000)
    assert told("").endswith("t.csv is empty")
    assert told("id,audio\n") == " has no rows"
    assert "there is no column 'id'" in told("name,audio\na,hum.wav\n")
    assert "a quote is opened and never closed" in told('id,text\na,"open\nb,c\n')
    many = "id,audio\n" + "".join(f"m{k},no.wav\n" for k in range(1000))
    lines = told(many).splitlines()
    assert lines[0] == " has 1,000 faults:"
    assert lines[-1] == "and 980 more"
    assert len(lines) == 22
    assert not (tmp_path / "out").exists()


def test_what_is_given_must_be_there(lipgan: Lipgan, tmp_path: Path, portrait: Path, hum: Path):
    table, out = write(tmp_path, "id,audio\na,hum.wav\n"), tmp_path / "out"
    messages = ("--messages", table)
    assert refused(lipgan("sync", *messages, "-o", out)) == "error: FACE not given"
    assert refused(lipgan("sync", portrait, *messages)) == "error: --output not given"
    gone = tmp_path / "gone.csv"
    ran = lipgan("sync", portrait, "--messages", gone, "-o", out)
    assert refused(ran) == f"error: the table of messages {gone} does not exist"
    gone = tmp_path / "gone.mp4"
    ran = lipgan("sync", gone, *messages, "-o", out)
    assert refused(ran) == f"error: the face {gone} does not exist"
    ran = lipgan("sync", portrait, *messages, "-o", hum)
    assert refused(ran) == f"error: {hum} is a file, not a folder"
    assert not out.exists()


def without_a_face(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for _ in range(5):
            grey = np.full((96, 96, 3), 120, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_presenter_without_a_face_is_found_before_anything_is_made(
    lipgan: Lipgan, tmp_path: Path, portrait: Path, hum: Path, network: Mirror
) -> None:
    wall = without_a_face(tmp_path / "wall.mp4")
    table = write(tmp_path, "id,audio\na,hum.wav\n")
    ran = lipgan("sync", wall, "--messages", table, "-o", tmp_path / "out", "--quiet")
    assert refused(ran) == f"error: no face found in the 5 frames of {wall}"
    assert made_in(tmp_path / "out") == []
    ran = lipgan("sync", portrait, "--messages", table, "-o", tmp_path / "out", "--quiet")
    assert ran.code == 0, ran.stderr  # the folder is nobody's yet


def test_the_folder_of_another_campaign_is_left_alone(
    sync: Lipgan, tmp_path: Path, hum: Path, portrait: Path, network: Mirror
) -> None:
    table = write(tmp_path, "id,audio\na,hum.wav\n")
    assert sync(table, "--quiet").code == 0
    before = (tmp_path / "out" / "a.mp4").read_bytes()
    out = tmp_path / "out"
    assert refused(sync(table, "--crf", 40)) == (
        f"error: {out} is another campaign's: crf none, not 40"
    )
    with Image.open(portrait) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(portrait)
    assert refused(sync(table)) == (
        f"error: {out} is another campaign's: presenter face.png, not another recording of that "
        "name"
    )
    assert (out / "a.mp4").read_bytes() == before
    assert sync(table, "--quiet", "--force").code == 0
    assert (out / "a.mp4").read_bytes() != before

    (tmp_path / "own").mkdir()
    own = write(tmp_path / "own", "mine", "a.mp4")
    ran = sync(table, "-o", own.parent)
    assert refused(ran) == f"error: {own.parent} is no campaign's, and holds a.mp4 already"
    assert own.read_text() == "mine"


@pytest.mark.parametrize(
    "option",
    [
        ("--text", "Hello"),
        ("--tts", "say {output}"),
        ("--voice", "de"),
        ("--loudness", "-20"),
        ("--pause", "0"),
        ("--min-sync", "0"),
        ("--limit", "0"),
        ("--dry-run",),
        ("--retry-failed",),
        ("--shard", "1/2"),
        ("--workers", "2"),
        ("--scheduler", "tcp://localhost:1"),
    ],
    ids=lambda option: option[0],
)
def test_what_is_for_messages_needs_messages(
    lipgan: Lipgan, tmp_path: Path, portrait: Path, hum: Path, option: Sequence[str]
) -> None:
    ran = lipgan("sync", portrait, hum, "-o", tmp_path / "out.mp4", *option)
    assert refused(ran) == f"error: {option[0]} needs --messages"
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("other", ["SPEECH", "--demo", "--check"])
def test_messages_go_with_no_other_speech(
    lipgan: Lipgan, tmp_path: Path, portrait: Path, hum: Path, other: str
) -> None:
    table = write(tmp_path, "id,audio\na,hum.wav\n")
    more = hum if other == "SPEECH" else other
    ran = lipgan("sync", portrait, more, "--messages", table, "-o", tmp_path / "out")
    assert refused(ran) == f"error: --messages and {other} do not go together"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--limit", "0"), "a limit of 0 messages"),
        (("--workers", "0"), "0 workers"),
        (("--shard", "3/2"), "there is no shard 3/2"),
        (("--shard", "half"), "'half' is no shard"),
        (("--min-sync", "2"), "a least confidence of 2"),
        (("--loudness", "3"), "a loudness of 3 LUFS"),
        (("--pause", "11"), "a pause of 11 s"),
        (("--text", "Hello {name"), "a lone { at character 7 of the text"),
        (("--text", "Hello {name}"), "there is no column 'name'"),
        (("--sheet", "sheet.jpg", "--shard", "1/2"), "--shard and --sheet do not go together"),
        (("--sheet", "sheet.bmp"), "sheet.bmp does not end in .png or .jpg"),
        (("--codec", "vp9", "--crf", "64"), "vp9 has no CRF 64"),
        (("--start", "1", "--end", "0.5"), "there is nothing from 1 s to 0.5 s"),
        (("--scheduler", "tcp://127.0.0.1:1"), "no scheduler answers at tcp://127.0.0.1:1"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_options_that_cannot_be_are_refused(
    sync: Lipgan, tmp_path: Path, hum: Path, options: Sequence[str], told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from lipgan_cli.engine import cluster

    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    table = write(tmp_path, "id,audio\na,hum.wav\n")
    before = sorted(tmp_path.iterdir())
    assert told in refused(sync(table, *options))
    assert sorted(tmp_path.iterdir()) == before


def test_texts_need_a_voice(sync: Lipgan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write(tmp_path, "id,text\na,Hello\n")
    ran = sync(table, "--tts", "nobody-speaks {output}")
    assert refused(ran) == "error: the voice's program 'nobody-speaks' is not found"
    ran = sync(table, "--tts", f"{shlex.quote(sys.executable)} -c pass")
    assert "does not say where the sound goes" in refused(ran)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(sync(table)) == "error: no text to speech is installed: espeak-ng is not found"
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_a_run_with_130_and_the_next_one_goes_on(
    sync: Lipgan, tmp_path: Path, hum: Path, network: Mirror
) -> None:
    table = write(tmp_path, "id,audio\n" + "".join(f"m{k},hum.wav\n" for k in range(6)))
    calls: list[int] = []

    def interrupting(reference: Any, target: Any, windows: Any, keys: Any = None) -> Any:
        calls.append(len(calls))
        if len(calls) == 4:
            _thread.interrupt_main()
            time.sleep(0.2)
        return target

    network.faces = interrupting  # type: ignore[method-assign]
    ran = sync(table)
    assert (ran.code, ran.stdout) == (130, "")
    assert ran.stderr.splitlines()[-1] == "interrupted"
    ran = sync(table, "--json")
    told = json.loads(ran.stdout)
    assert told["kept"] >= 1
    assert told["kept"] + told["made"] == 6
    assert made_in(tmp_path / "out") == [f"m{k}.mp4" for k in range(6)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[CampaignOptions]]:
    """Let the engine do nothing but record what it was asked."""
    asked: list[CampaignOptions] = []
    out = Path("o")

    def campaign(options: CampaignOptions, progress: object, stdin: object) -> CampaignSummary:
        asked.append(options)
        return CampaignSummary(out, out / "m", 3, 0, 0, 1, 1, 1, 0, 0.5, 2.0, 1.0, 0.25, (), ())

    def forecast(options: CampaignOptions, progress: object, stdin: object) -> Forecast:
        asked.append(options)
        return Forecast(2000, 100, 1900, 4, 9500.0, 3, 9000.0, 3 << 30, 1 << 40)

    monkeypatch.setattr(engine, "campaign", campaign)
    monkeypatch.setattr(forecasting, "forecast", forecast)
    return asked


def test_every_option_reaches_the_engine(lipgan: Lipgan, asked: list[CampaignOptions]) -> None:
    short = ("sync", "face.mp4", "--messages", "t.csv", "-o", "o")
    assert lipgan(*short).code == 1  # one failed, one was rejected
    ran = lipgan(*short, "--text", "Hello {name}", "--tts", "say {output}", "--voice", "de",
        "--loudness", -20, "--pause", 0.7, "--min-sync", 0.2, "--limit", 5, "--retry-failed",
        "--shard", "2/8", "--workers", 3, "--scheduler", "tcp://x:1", "--crf", 20, "--force",
        "--no-provenance", "--sheet", "s.png")  # fmt: skip
    assert ran.stderr.splitlines()[-2] == "error: failed: 1, rejected: 1, of 3 messages"
    film = SyncOptions(Path("face.mp4"), Path("t.csv"), Path("o"))
    assert asked[0] == CampaignOptions(film)
    assert asked[1] == CampaignOptions(
        SyncOptions(
            Path("face.mp4"), Path("t.csv"), Path("o"), crf=20, force=True, sheet=Path("s.png"),
            marks=MarkOptions(provenance=False),
        ),
        "Hello {name}", "say {output}", "de", -20.0, 0.7, 0.2, 5, True, Shard(2, 8), 3,
        "tcp://x:1",
    )  # fmt: skip


def test_long_forecasts_are_told_in_hours(lipgan: Lipgan, asked: list[CampaignOptions]) -> None:
    ran = lipgan("sync", "face.mp4", "--messages", "t.csv", "-o", "o", "--dry-run")
    assert ran.code == 0
    assert ran.stdout == (
        "messages          2,000, of which 100 are there\n"
        "to be made        1,900, 4 of which failed before\n"
        "video             9,500 s\n"
        "expected time     2.5 h, from 3 that were tried\n"
        "expected size     3,072.0 MiB\n"
        "free on the disk  1,048,576 MiB\n"
    )
