"""Messages of a table, and every fault of it at once."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from lipgan_cli.engine.campaign.messages import Message, read_messages
from lipgan_cli.engine.campaign.template import Phrase
from lipgan_cli.engine.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """A folder with sounds."""
    place = tmp_path / "mail [1] für alle"
    (place / "sounds").mkdir(parents=True)
    (place / "sounds" / "a b.wav").write_bytes(b"sound")
    (place / "empty.wav").touch()
    return place


@pytest.fixture
def read(folder):
    """Read a CSV: `read("id,text", "1,Hello")`."""

    def read_rows(*lines, template=None, suffix=".mp4"):
        table = folder / "messages.csv"
        table.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return read_messages(table, None, template, suffix)

    return read_rows


@pytest.fixture
def faults(read, folder):
    """The faults of a table, one a line, without the table's name."""

    def faults_of(*lines, template=None):
        with pytest.raises(InputError) as caught:
            read(*lines, template=template)
        assert caught.value.hint == "mend the table and run it again"
        head, *found = str(caught.value).splitlines()
        if found:
            assert head == f"{folder / 'messages.csv'} has {len(found)} faults:"
            return found
        return [head.removeprefix(str(folder / "messages.csv")).lstrip(",: ")]

    return faults_of


def test_messages_of_text_and_of_sound(read, folder):
    first, second = read(
        "id,audio,text,start,end,output,day",
        'anna-1,,"Hello Anna, it\'s\n Monday. | Bye",, 2.5,,Monday',
        "Zoë 2.x@b,sounds/a b.wav,,1,1e1,en/Zoë.MOV,",
    )
    assert first == Message(
        id="anna-1",
        line=2,
        audio=None,
        phrases=(Phrase("Hello Anna, it's Monday.", False), Phrase("Bye", False)),
        start=None,
        end=2.5,
        output=Path("anna-1.mp4"),
        values={
            "id": "anna-1",
            "audio": "",
            "text": "Hello Anna, it's\n Monday. | Bye",
            "start": "",
            "end": "2.5",
            "output": "",
            "day": "Monday",
        },
    )
    assert (second.id, second.line, second.phrases) == ("Zoë 2.x@b", 4, ())
    assert second.audio == folder / "sounds" / "a b.wav"
    assert (second.start, second.end, second.output) == (1, 10, Path("en/Zoë.MOV"))
    assert pickle.loads(pickle.dumps(second)) == second


def test_a_template_is_what_all_speak(read):
    first, second = read(
        "id,name,audio,text",
        '1,"Ann, {id}",,',
        "2,Bob,,",
        template="Hello {name}. Your {{parcel}} is here.",
    )
    assert first.phrases == (
        Phrase("Hello Ann, {id}.", False),
        Phrase("Your {parcel} is here.", True),
    )
    assert second.phrases[0] == Phrase("Hello Bob.", False)
    assert second.phrases[1] is first.phrases[1]


def test_a_template_may_use_the_text_and_the_id(read):
    (message,) = read("id,text", "1,Ann.", template="{id}: {text}")
    assert message.phrases == (Phrase("1: Ann.", False),)


def test_the_suffix_is_that_of_outputs_without_a_name(read):
    messages = read("id,text,output", "1.5,a,", "2,b,x.mkv", suffix=".webm")
    assert [message.output for message in messages] == [Path("1.5.webm"), Path("x.mkv")]


def test_sounds_of_standard_input_are_in_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (message,) = read_messages(None, io.BytesIO(b'{"id": 1, "audio": "sounds/a b.wav"}'), None)
    assert message.audio == Path("sounds/a b.wav")
    with pytest.raises(
        InputError, match=r"standard input, line 1: the audio 'x.wav' does not exist"
    ):
        read_messages(None, io.BytesIO(b'{"id": 1, "audio": "x.wav"}'), None)


def test_all_faults_are_told_at_once_by_their_lines(faults, folder):
    assert faults(
        "id,audio,text,start,end,output",
        "good,,Hello,,,",
        "1,none.wav,,,,",
        "2,empty.wav,,,,",
        "3,sounds,,,,",
        "4,,,,,",
        "5,sounds/a b.wav,Hello,,,",
        ",,Hello,,,",
        "GOOD,,Hello,,,",
        "../8,,Hello,,,",
        "9,,...,x,-1,",
        "10,,Hello {id},3,2,out.avi",
        "11,,Hello, Bob,3,4,x.mp4",
        f"12,,{'x' * 5001},,,good.mp4",
    ) == [
        f"line 3: the audio {str(folder / 'none.wav')!r} does not exist",
        f"line 4: the audio {str(folder / 'empty.wav')!r} is empty",
        f"line 5: the audio {str(folder / 'sounds')!r} is a folder, not a file",
        "line 6: there is neither audio nor text",
        "line 7: there are both audio and text: leave one empty",
        "line 8: no id",
        "line 9: the id 'GOOD' is that of line 2 too, capitals or not",
        "line 10: the id '../8' has a '/' in it: it cannot name a file",
        "line 11: the text has no word in it",
        "line 11: the start 'x' is no number of seconds, such as 2.5",
        "line 11: the end '-1' is no number of seconds, such as 2.5",
        "line 12: the text has {id}: columns are filled in for --text alone",
        "line 12: there is nothing from 3 s to 2 s: the start comes first",
        "line 12: the output 'out.avi' does not end in .mp4, .mov, .mkv, .webm",
        "line 13: 'x.mp4' has no column: a cell with ',' in it needs quotes",
        "line 14: the text has 5,001 characters: 5,000 are the most",
        "line 14: the output 'good.mp4' is that of line 2 too, capitals or not",
    ]


def test_faults_of_a_template(faults):
    assert faults(
        "id,name,day,audio,text",
        "1,Ann,,,",
        "2,,,,",
        "3,Ann,Monday,a.wav,",
        "4,Ann,Monday,,Hi",
        "5,...,Monday,,",
        template="{name}|{day}",
    ) == [
        "line 2: there is nothing in 'day', which --text names",
        "line 3: there is nothing in 'name', 'day', which --text names",
        "line 4: it has audio of its own beside --text: leave out one",
        "line 5: it has text of its own beside --text: leave out one",
    ]
    assert faults("id,name", "1,?", template="{name}") == ["line 2: the text has no word in it"]
    assert faults("id,name", f"1,{'x' * 4999}", template="{name} {name}") == [
        "line 2: the text has 9,999 characters: 5,000 are the most"
    ]


def test_columns_that_are_not_there(faults):
    columns = "the columns are 'id', 'name'"
    assert faults("id,name", "1,", "a/b,Ann", template="{Name}, {day}, {name}, {day}") == [
        f"line 1: there is no column 'Name', 'day', which --text names: {columns}",
        "line 2: there is nothing in 'name', which --text names",
        "line 3: the id 'a/b' has a '/' in it: it cannot name a file",
    ]
    assert faults("id,name", "1,Ann", "1,Bob") == [
        f"line 1: there is neither a column 'audio' nor 'text', and no --text: {columns}",
        "line 3: the id '1' is that of line 2 too, capitals or not",
    ]
    assert faults("Id,text", "1,a", "2,b,c") == [
        "line 1: there is no column 'id': the columns are 'Id', 'text'",
        "line 3: 'c' has no column: a cell with ',' in it needs quotes",
    ]


def test_fields_that_json_lacks(folder):
    table = folder / "messages.jsonl"
    table.write_text('{"id": 1, "name": "Ann"}\n{"name": "Bob"}\n{"id": 3}\n[]\n', "utf-8")
    with pytest.raises(InputError) as caught:
        read_messages(table, None, "Hello {name}, {day}")
    assert str(caught.value).splitlines()[1:] == [
        "there is no column 'day', which --text names: the columns are 'id', 'name'",
        "line 2: no id",
        "line 3: there is nothing in 'name', which --text names",
        "line 4: '[]' is no JSON object",
    ]
    table.write_text("{}\n[]\n", "utf-8")
    with pytest.raises(InputError, match=r"line 2: '\[\]' is no JSON object$"):
        read_messages(table, None, "Hello")


def test_a_template_is_read_before_the_table(tmp_path):
    with pytest.raises(InputError, match=r"a lone \{"):
        read_messages(tmp_path / "none.csv", None, "Hello {name")


def test_a_text_in_the_wrong_column_makes_no_long_message(faults):
    (fault,) = faults("id,audio", f'1,"Hello,\n{"x" * 50_000}"')
    assert fault.startswith("line 2: the audio '")
    assert fault.endswith("...' does not exist")
    assert len(fault) < 300


def test_many_faults_are_counted(faults, read):
    with pytest.raises(InputError) as caught:
        read("id,text", *(f"{number}," for number in range(1000)))
    head, *found = str(caught.value).splitlines()
    assert head.endswith("has 1,000 faults:")
    assert found[0] == "line 2: there is neither audio nor text"
    assert found[20:] == ["and 980 more"]


NO_NAMES = {
    "/": "has a '/' in it",
    "/etc/x": "has a '/' in it",
    "a\\b": r"has a '\\' in it",
    "C:x": "has a ':' in it",
    "what?": "has a '?' in it",
    "a\tb": "has a character that cannot be seen",
    "a\u202eb": "has a character that cannot be seen",
    ".": "begins with a dot",
    "..": "begins with a dot",
    ".hidden": "begins with a dot",
    "dot.": "ends with a dot",
    "con": "that Windows keeps",
    "Aux.x": "that Windows keeps",
    "LPT¹": "that Windows keeps",
    "é" * 101: "is longer than 200 bytes",
}


@pytest.mark.parametrize(("name", "told"), NO_NAMES.items(), ids=map(repr, NO_NAMES))
def test_an_id_that_cannot_name_a_file_is_a_fault(faults, name, told):
    (fault,) = faults("id,text", f'"{name}",Hello')
    assert fault.startswith("line 2: the id ")
    assert told in fault


@pytest.mark.parametrize("name", ["console", "com10", "a.con", "-x", "é" * 100, "a..b", "~", "%"])
def test_an_id_that_can_is_none(read, name):
    (message,) = read("id,text", f"{name},Hello")
    assert message.output == Path(f"{name}.mp4")


NO_OUTPUTS = {
    "/x.mp4": "is absolute: give it from the output folder on",
    "../x.mp4": "cannot be made: '..' begins with a dot",
    "a/../../x.mp4": "cannot be made: '..' begins with a dot",
    "./x.mp4": "cannot be made: '.' begins with a dot",
    "a//x.mp4": "cannot be made: '' is empty",
    "a/": "cannot be made: '' is empty",
    ".mp4": "cannot be made: '.mp4' begins with a dot",
    "a /x.mp4": "ends with a dot or a space",
    "C:/x.mp4": "cannot be made: 'C:' has a ':' in it",
    "a\\x.mp4": "has a '\\\\' in it",
    "nul/x.mp4": "cannot be made: 'nul' is a name that Windows keeps for itself",
    "x": "does not end in .mp4, .mov, .mkv, .webm",
    "manifest.jsonl": "does not end in",
    "Manifest.jsonl/x.mp4": "needs 'Manifest.jsonl', a file of the campaign's own, as a folder",
    "manifest-2-of-8.jsonl/x.mp4": "a file of the campaign's own",
    "campaign.json/x.mp4": "a file of the campaign's own",
    "/".join(["a" * 150] * 8) + ".mp4": "is longer than 1000 bytes",
}


@pytest.mark.parametrize(("output", "told"), NO_OUTPUTS.items(), ids=map(repr, NO_OUTPUTS))
def test_an_output_that_would_leave_the_folder_is_a_fault(faults, output, told):
    (fault,) = faults("id,text,output", f"1,Hello,{output}")
    assert fault.startswith("line 2: the output ")
    assert told in fault


def test_no_two_rows_have_one_output_on_any_file_system(faults):
    assert faults(
        "id,text,output",
        "1,a,Zoe\u0301.mp4",
        "2,a,ZOÉ.MP4",
        "3.mp4,a,b/3.mp4",
        "3,a,3.mp4",
        "4,a,3.MP4",
        "5,a,b/3.mp4/5.mp4",
        "é,a,",
        "e\u0301,a,",
    ) == [
        "line 3: the output 'ZOÉ.MP4' is that of line 2 too, capitals or not",
        "line 6: the output '3.MP4' is that of line 5 too, capitals or not",
        "line 7: its output is below that of line 4, which is a file",
        "line 9: the id 'e\u0301' is that of line 8 too, capitals or not",
    ]


@pytest.mark.parametrize("seconds", ["3,5", "1:30", "nan", "inf", "-0.1", "2 s"])
def test_what_is_no_number_of_seconds(faults, seconds):
    assert faults("id,text,start", f'1,a,"{seconds}"') == [
        f"line 2: the start '{seconds}' is no number of seconds, such as 2.5"
    ]


@pytest.mark.parametrize(("start", "end"), [("2", "2"), ("", "0"), ("1e3", "2")])
def test_a_span_without_length(faults, start, end):
    (fault,) = faults("id,text,start,end", f"1,a,{start},{end}")
    assert fault.startswith(f"line 2: there is nothing from {float(start or 0):g} s to {end} s")
