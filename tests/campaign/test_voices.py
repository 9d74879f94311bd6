"""Voices: any program that writes a sound, whatever it does wrong, and espeak-ng."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.campaign import voices
from lipgan_cli.engine.campaign.command import Command, in_one_line
from lipgan_cli.engine.campaign.voices import (
    CommandVoice,
    choose_voice,
    command_voice,
    espeak_voice,
)
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import read_audio

PYTHON = shlex.quote(sys.executable)
BEEP = """
import math, struct, sys, wave
def beep(path, loud=12000):
    with wave.open(path, "wb") as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(8000)
        file.writeframes(b"".join(
            struct.pack("<h", round(loud * math.sin(n / 3))) for n in range(800)))
"""

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)
posix = pytest.mark.skipif(os.name == "nt", reason="sessions and signals are those of POSIX")


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Write a Python program and return how a command begins that runs it."""

    def write(body: str) -> str:
        path = tmp_path / "a voice's [program].py"
        path.write_text(BEEP + body, "utf-8")
        return f"{PYTHON} {shlex.quote(str(path))}"

    return write


def failure(voice: CommandVoice, output: Path, text: str = "Hello Anna,") -> LipganError:
    with pytest.raises(LipganError) as caught:
        voice.say(text, output)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


# --- What the program is given


TEXTS = ["Hello", 'He said "no"; it\'s $HOME `id` $(id) {output} {text} 100 % \\n', "Grüße, 你好"]


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_comes_on_standard_input_in_utf_8(program, tmp_path, text):
    body = 'open(sys.argv[1] + ".heard", "wb").write(sys.stdin.buffer.read()); beep(sys.argv[1])'
    output = tmp_path / "a b [ü].wav"
    command_voice(f"{program(body)} {{output}}").say(text, output)
    assert (tmp_path / "a b [ü].wav.heard").read_bytes() == f"{text}\n".encode()
    assert np.abs(read_audio(output)).max() > 0.3


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_as_an_argument_is_one_argument(program, tmp_path, text):
    body = """
import json, pathlib
out = sys.argv[1].removeprefix("--out=")
pathlib.Path(out + ".heard").write_text(json.dumps([sys.argv[1:], sys.stdin.read()]))
beep(out)
"""
    output = tmp_path / "a b.wav"
    voice = command_voice(f"{program(body)} --out={{output}} 'say this' {{text}} t={{text}}!")
    voice.say(text, output)
    heard, stdin = json.loads((tmp_path / "a b.wav.heard").read_text())
    assert heard == [f"--out={output}", "say this", text, f"t={text}!"]
    assert stdin == ""


@pytest.mark.parametrize(
    ("word", "text", "filled"),
    [
        ("{text}", "-w /etc/passwd", " -w /etc/passwd"),  # no option
        ("{text}", "5 - 3", "5 - 3"),
        ("-t{text}", "-5", "-t-5"),
        ("{output}", "{text}", "OUT"),
        ("{text}", "{output}", "{output}"),
        ("plain", "x", "plain"),
        ('{"a": 1}', "x", '{"a": 1}'),
    ],
)
def test_filling_in(tmp_path, word, text, filled):
    output = tmp_path / "o.wav"
    command = Command("program", (word,))
    assert command.fill(text, output) == ["program", filled.replace("OUT", str(output))]


@given(st.text(max_size=20), st.text(max_size=20))
def test_one_line(text, more):
    line = in_one_line(f"{text}\n{more}")
    assert line == in_one_line(line) == line.strip()
    assert not set(line) & {"\n", "\r", "\t", "\0", "\x1b", "\u2028", "\x85"}
    line.encode()


def test_one_line_keeps_writing():
    assert in_one_line(" a\n b\t\0c\ud800 ") == "a b c"
    assert in_one_line("می\u200cخواهم") == "می\u200cخواهم"  # what joins letters is part of a word


def test_a_text_without_words_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing to say"):
        CommandVoice(Command("never-run", ("{output}",)), "x").say(" \n\0", tmp_path / "o.wav")


# --- What may go wrong when it is chosen


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "empty"),
        ("piper -m 'voice.onnx {output}", "cannot be told apart"),
        ("piper -m voice.onnx", "does not say where the sound goes"),
        ("piper {name} -f {output}", "{name}"),
        ("piper -f {output} | sox - out.wav", "'|'"),
        ("no-such-voice-program -f {output}", "'no-such-voice-program' is not found"),
        ("/no/such/voice -f {output}", "'/no/such/voice' is not found"),
        ("sh -c 'echo {text} > {output}'", "as a command"),
        ("bash -lc {text} {output}", "as a command"),
        ("env sh -c 'say \"{text}\" {output}'", "as a command"),
        ("python3 -c 'say(\"{text}\")' {output}", "as a command"),
    ],
)
def test_a_template_that_cannot_be_used(command, message):
    with pytest.raises(InputError) as caught:
        choose_voice(command)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_shell_that_is_given_the_text_as_an_argument_or_as_input_is_allowed():
    command_voice("sh -c 'say \"$1\"' sh {text} {output}")
    command_voice("sh -c 'say {output}'")


@pytest.mark.parametrize("name", ["voice.bat", "ssh"])
def test_what_tells_arguments_apart_again_is_given_no_text(tmp_path, monkeypatch, name):
    (tmp_path / name).touch(0o755)
    monkeypatch.setattr(shutil, "which", lambda word: str(tmp_path / word))
    with pytest.raises(InputError, match="as a command"):
        command_voice(f"{name} host say {{text}} {{output}}")
    command_voice(f"{name} host say {{output}}")


def test_the_home_folder_is_that_of_the_user(program, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    command = program('open(sys.argv[2] + ".heard", "w").write(sys.argv[1]); beep(sys.argv[2])')
    command_voice(f"{command} ~/v.onnx {{output}}").say("a", tmp_path / "o.wav")
    assert (tmp_path / "o.wav.heard").read_text() == str(tmp_path / "v.onnx")


@posix
def test_a_program_by_a_relative_path_is_found_from_elsewhere(tmp_path, monkeypatch):
    path = tmp_path / "speak"
    path.write_text(f"#!{sys.executable}\n{BEEP}\nbeep(sys.argv[1])")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(tmp_path)
    voice = command_voice("./speak {output}")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    voice.say("a", Path("o.wav"))
    assert Path("o.wav").stat().st_size > 1000


# --- Names


def test_a_name_changes_with_the_command_and_with_the_files_in_it(program, tmp_path):
    model = tmp_path / "voice.onnx"
    model.write_bytes(b"one")
    command = program("")

    def name(options: str = "-f {output}") -> str:
        return command_voice(f"{command} --model={shlex.quote(str(model))} {options}").name

    first = name()
    assert name() == first
    assert "--model=" in first
    assert name("-f {output} --speed 2") != first
    assert name("-f {output} a b") != name("-f {output} 'a b'")
    model.write_bytes(b"two")
    second = name()
    assert second != first
    program("pass")
    assert name() not in {first, second}


# --- What may go wrong when it speaks


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('print("loading"); print("no such model", file=sys.stderr); sys.exit(3)', "exit code 3"),
        ('print("no such model")', "has written no sound"),
        ('print("no such model"); open(sys.argv[1], "w")', "has written an empty file"),
        ('print("no such model"); open(sys.argv[1], "w").write("text")', "a file that is no sound"),
        ('print("no such model"); import os; os.mkdir(sys.argv[1])', "has written no sound"),
        ('print("no such model"); beep(sys.argv[1], loud=20)', "has written silence"),
    ],
)
def test_what_went_wrong_is_said_with_the_last_line_of_the_program(
    program, tmp_path, body, message
):
    told = failure(command_voice(f"{program(body)} {{output}}"), tmp_path / "o.wav").message
    assert message in told
    assert "'Hello Anna,'" in told
    assert told.endswith(": no such model")


def test_a_program_that_says_nothing(program, tmp_path):
    told = failure(
        command_voice(f"{program('sys.exit(1)')} {{output}}"), tmp_path / "o.wav", "a" * 99
    )
    name = Path(sys.executable).name
    assert told.message == f"the voice '{name}' ended with exit code 1, at '{'a' * 39}…'"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (b"one\ntwo\n\n  \n", "two"),
        (b"10 %\r50 %\r\x1b[31mno model\x1b[0m\r\n", "no model"),
        (b"x" * 9000 + b"\n" + b"y" * 500, "y" * 300),
        (b"\xff\xfebad", "\ufffd\ufffdbad"),
        (b"", ""),
    ],
)
def test_the_last_line(tmp_path, said, line):
    with (tmp_path / "said").open("w+b") as file:
        file.write(said)
        assert voices._last_line(file) == line


def test_a_sound_that_was_there_before_is_not_taken_for_what_was_said(program, tmp_path):
    output = tmp_path / "o.wav"
    command_voice(f"{program('beep(sys.argv[1])')} {{output}}").say("a", output)
    told = failure(command_voice(f"{program('')} {{output}}"), output).message
    assert "has written no sound" in told
    assert not output.exists()


def test_a_program_that_cannot_be_started(tmp_path):
    voice = CommandVoice(Command(str(tmp_path), ("{output}",)), "x")
    assert "cannot be started" in failure(voice, tmp_path / "o.wav").message


def test_much_talk_and_a_child_that_goes_on_hold_nothing_up(program, tmp_path):
    body = """
import subprocess
print("talk " * 100_000)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
beep(sys.argv[1])
"""
    begun = time.monotonic()
    command_voice(f"{program(body)} {{output}}").say("a", tmp_path / "o.wav")
    assert time.monotonic() - begun < 18


STUCK = """
import pathlib, subprocess, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1] + ".child").write_text(str(child.pid))
print("still thinking", flush=True)
time.sleep(60)
"""


def running(pid: int) -> bool:
    """Whether a process still runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def child_of(output: Path) -> int:
    told, until = output.with_name(f"{output.name}.child"), time.monotonic() + 60
    while time.monotonic() < until:
        if told.exists() and told.read_text():
            return int(told.read_text())
        time.sleep(0.02)
    raise AssertionError("the program has not begun")


def gone(pid: int) -> bool:
    until = time.monotonic() + 30
    while running(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not running(pid)


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


@linux
def test_a_time_limit_ends_the_program_and_its_children(program, tmp_path):
    output = tmp_path / "o.wav"
    voice = command_voice(f"{program(STUCK)} {{output}}", limit_seconds=3)
    told = failure(voice, output).message
    assert "has not ended after 3 s" in told
    assert told.endswith(": still thinking")
    assert gone(child_of(output))


@linux
def test_stop_ends_what_other_threads_say_and_lets_nothing_begin(program, tmp_path):
    output, told = tmp_path / "o.wav", []
    voice = command_voice(f"{program(STUCK)} {{output}}")
    thread = threading.Thread(target=lambda: told.append(failure_without_hint(voice, output)))
    thread.start()
    child = child_of(output)
    voice.stop()
    thread.join(10)
    assert told == ["the voice was stopped"]
    assert gone(child)
    assert failure_without_hint(voice, output) == "the voice was stopped"


def failure_without_hint(voice: CommandVoice, output: Path) -> str:
    with pytest.raises(LipganError) as caught:
        voice.say("a", output)
    return caught.value.message


@linux
def test_ctrl_c_ends_the_program_and_its_children(program, tmp_path):
    output, children = tmp_path / "o.wav", []
    voice = command_voice(f"{program(STUCK)} {{output}}")

    def press() -> None:
        children.append(child_of(output))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        voice.say("a", output)
    thread.join()
    assert gone(children[0])


# --- espeak-ng


@needs_espeak
def test_espeak_speaks(tmp_path):
    voice, output = choose_voice(None), tmp_path / "a [b] ü.wav"
    voice.say("Hello Anna, your parcel comes on Monday.", output)
    samples = read_audio(output)
    assert 1.5 < len(samples) / 16000 < 4
    assert 0.1 < np.abs(samples).max() <= 1.01


@needs_espeak
def test_espeak_is_named_with_its_version_and_language():
    told = subprocess.run(["espeak-ng", "--version"], capture_output=True, check=True).stdout
    name, version, language = choose_voice(None).name.split(" ")
    assert (name, language) == ("espeak-ng", "en")
    assert version.encode() in told
    assert choose_voice(None, "de").name == f"espeak-ng {version} de"


@needs_espeak
def test_espeak_speaks_other_languages_with_all_their_letters(tmp_path):
    sounds = {}
    for language, text in (("de", "Grüße"), ("en", "Grüße"), ("de", "Gre")):
        espeak_voice(language).say(text, tmp_path / "o.wav")
        sounds[language, text] = read_audio(tmp_path / "o.wav").tobytes()
    assert len(set(sounds.values())) == 3


@needs_espeak
@pytest.mark.parametrize("text", ["-w /tmp/x", "--version", '"; id', "<speak>", "5 < 6 & $HOME"])
def test_espeak_speaks_any_text(tmp_path, text):
    espeak_voice("en").say(text, tmp_path / "o.wav")


@needs_espeak
def test_espeak_has_nothing_to_say_of_marks_alone(tmp_path):
    told = failure(espeak_voice("en"), tmp_path / "o.wav", "...").message
    assert "has written" in told


@needs_espeak
@pytest.mark.parametrize("language", ["klingonese", "de;id", "--help"])
def test_espeak_without_such_a_voice(language):
    with pytest.raises(InputError) as caught:
        espeak_voice(language)
    assert caught.value.message == f"espeak-ng has no voice {language!r}"


def test_espeak_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        choose_voice(None)
    assert "espeak-ng is not found" in caught.value.message
    assert "--tts" in caught.value.hint


def test_a_voice_of_espeak_beside_a_command_is_refused():
    with pytest.raises(InputError, match="'de' is one of espeak-ng's"):
        choose_voice(f"{PYTHON} {{output}}", "de")
