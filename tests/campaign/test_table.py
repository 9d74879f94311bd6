"""Tables as people's programs write them, and what is said of those that cannot be read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.campaign import table as module
from lipgan_cli.engine.campaign.table import LONGEST_ROW, Fault, Table, read_table, refusal
from lipgan_cli.engine.errors import InputError


def read(content: str | bytes) -> Table:
    """Read a table from standard input."""
    data = content if isinstance(content, bytes) else content.encode()
    return read_table(None, io.BytesIO(data))


def cells(table: Table) -> list[tuple[int, dict[str, str]]]:
    return [(row.line, dict(row.values)) for row in table.rows]


@pytest.fixture
def written(tmp_path):
    """Read a file: `written("messages.csv", "id,text\\n...")`."""

    def read_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path)

    return read_file


EXPECTED = [(2, {"id": "1", "text": 'Hello, "Bob"\nand all'}), (4, {"id": "2", "text": "Bye"})]
SAME = {
    "CSV": 'id,text\n1,"Hello, ""Bob""\nand all"\n2,Bye\n',
    "no last line end": 'id,text\n1,"Hello, ""Bob""\nand all"\n2,Bye',
    "semicolons": 'id;text\n1;"Hello, ""Bob""\nand all"\n2;Bye\n',
    "tabs": 'id\ttext\n1\t"Hello, ""Bob""\nand all"\n2\tBye\n',
    "a space behind the comma": 'id, text\n1, "Hello, ""Bob""\nand all"\n2, Bye \n',
    "a quoted comma in the header": '"id";"text"\n1;"Hello, ""Bob""\nand all"\n2;Bye\n',
    "a short row": 'id,text,day\n1,"Hello, ""Bob""\nand all"\n2,Bye\n',
    "empty cells below no name": 'id,text,,\n1,"Hello, ""Bob""\nand all",,\n2,Bye,,,,\n',
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME.keys())
def test_cells_are_read_however_they_are_divided(content):
    table = read(content)
    for row in table.rows:
        assert row.values.get("day", "") == ""
    shown = [(n, {k: v for k, v in row.items() if k != "day"}) for n, row in cells(table)]
    assert shown == EXPECTED
    assert (table.faults, table.header_line) == ((), 1)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_end_as_on_any_system(end):
    content = 'id,text\n1,"Hello, ""Bob""\nand all"\n\n2,Bye\n'.replace("\n", end)
    first, second = cells(read(content))
    assert first == (2, {"id": "1", "text": f'Hello, "Bob"{end}and all'})
    assert second == (5, {"id": "2", "text": "Bye"})


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_part_of_the_first_column(coding, written):
    table = written("messages.csv", "id,text\n1,Grüß Gott Zoë 你好\n".encode(coding))
    assert cells(table) == [(2, {"id": "1", "text": "Grüß Gott Zoë 你好"})]


def test_big_endian_is_read_too():
    assert cells(read(b"\xfe\xff" + "id\n1\n".encode("utf-16-be"))) == [(2, {"id": "1"})]


def test_empty_lines_are_skipped_and_counted():
    table = read("\n \r\nid,text\n\n1,a\n,\n  , \n\n2,b\n\n")
    assert [line for line, _ in cells(table)] == [5, 9]
    assert table.header_line == 3


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.JSONL", "a.txt"])
def test_json_lines(name, written):
    lines = [
        {"id": 7, "text": 'Hello, "Bob"\nand all', "price": 3.50, "note": None},
        {"day": "Monday", "id": "8"},
    ]
    table = written(name, "\n".join(json.dumps(line) for line in lines).replace("3.5", "3.50"))
    assert cells(table) == [
        (1, {"id": "7", "text": 'Hello, "Bob"\nand all', "price": "3.50", "note": ""}),
        (2, {"day": "Monday", "id": "8"}),
    ]
    assert table.columns == ("id", "text", "price", "note", "day")
    assert table.header_line == 0


def test_the_ending_decides_what_the_first_line_leaves_open(written):
    assert written("a.tsv", "id\ta,b,c\n1\t2\n").columns == ("id", "a,b,c")
    assert written("a.csv", "id\ta,b,c\n1\t2\n").columns == ("id\ta", "b", "c")


def test_relative_paths_begin_at_the_table(written, tmp_path):
    assert written("a.csv", "id\n1\n").folder == tmp_path
    assert read("id\n1\n").folder == Path()


BAD_ROWS = {
    "too many cells": ("1,Hello, Bob", "'Bob' has no column: a cell with ',' in it needs quotes"),
    "Latin-1": (b"1,Jos\xe9", "'Jos\ufffd' is not UTF-8: save it as UTF-8 text"),
    "NUL": ("1,a\0b", r"'a\x00b' has a NUL byte: save it as UTF-8 text"),
    "a lone quote": ('1,"so "he" said"', "write a quote inside a quoted cell twice"),
    "long": (f"1,{'x' * LONGEST_ROW}", "the row is longer than 100,000 characters"),
}
BAD_OBJECTS = {
    "Latin-1": (b'{"text": "Jos\xe9"}', "'Jos\ufffd' is not UTF-8"),
    "half a character": (r'{"text": "a\ud800"}', r"'a\ud800' is not UTF-8"),
    "NUL": (r'{"text": "a\u0000b"}', r"'a\x00b' has a NUL byte"),
    "no JSON": ('{"id": "1"', "no JSON at character 12: Expecting ',' delimiter"),
    "a list": ('{"id": [1]}', "the field 'id' is neither text nor a number"),
    "a truth": ('{"id": true}', "the field 'id' is neither text nor a number"),
    "no number": ('{"id": NaN}', "the field 'id' is neither text nor a number"),
    "an object": ('{"id": {"id": 1}}', "the field 'id' is neither text nor a number"),
    "deep": ('{"id": ' + "[" * 90_000, "no field may hold others"),
    "twice": ('{"id": 1, "id ": 2}', "the field 'id' is there twice"),
    "text alone": ('"id"', "'\"id\"' is no JSON object"),
    "long": (f'{{"id": "{"x" * LONGEST_ROW}"}}', "the row is longer than 100,000 characters"),
}


@pytest.mark.parametrize(
    ("first", "row", "last", "told"),
    [("id,text", row, "2,b", told) for row, told in BAD_ROWS.values()]
    + [('{"id": 0}', row, '{"id": 2}', told) for row, told in BAD_OBJECTS.values()],
    ids=[*BAD_ROWS, *(f"{name} in JSON" for name in BAD_OBJECTS)],
)
def test_a_bad_row_is_told_with_its_line_and_the_next_is_read(first, row, last, told):
    row = row if isinstance(row, bytes) else row.encode()
    table = read(b"\n".join([first.encode(), row, last.encode()]))
    (fault,) = table.faults
    assert fault.line == 2
    assert told in fault.text
    assert (table.rows[-1].line, table.rows[-1].values["id"]) == (3, "2")


def test_a_cell_below_no_name_is_told():
    (fault,) = read("id,,text\n1,x,a\n2,,b\n").faults
    assert (fault.line, fault.text[:17]) == (2, "'x' has no column")


def test_a_stray_quote_loses_the_rows_up_to_the_next_one_alone():
    table = read('id,text\n1,"Hello\n2,"Bob"\n3,c\n4,"open\n5,e\n')
    assert [(row.line, row.values["id"]) for row in table.rows] == [(4, "3")]
    assert [fault.line for fault in table.faults] == [2, 5]
    assert table.faults[1].text == "a quote is opened and never closed"


def test_a_quote_left_open_ends_the_reading_before_it_fills_the_memory():
    table = read('id,text\n1,a\n2,"open\n' + "3,c\n" * LONGEST_ROW)
    assert [row.values["id"] for row in table.rows] == ["1"]
    (fault,) = table.faults
    assert fault.line == 3
    assert "is a quote left open? The lines below were not read" in fault.text


def test_ten_megabytes_in_a_row_are_refused_quickly():
    text = "word " * 2_000_000
    begin = process_time()
    table = read(f'id,text\n1,"{text}"\n2,"a"\n')
    assert process_time() - begin < 2
    assert [fault.line for fault in table.faults] == [2]
    assert [row.line for row in table.rows] == [3]


NO_TABLES = {
    "nothing": ("", "is empty"),
    "empty lines": ("\n\n \n" * LONGEST_ROW, "is empty"),
    "a mark alone": (b"\xef\xbb\xbf", "is empty"),
    "a header alone": ("id,text\n\n", "has no rows"),
    "empty objects": ("{}\n{}\n", "has no rows"),
    "names twice": ("a,id, a\n1,2,3\n", "line 1: more than one column is called 'a'"),
    "no names": ("\n,,\n1,2,3\n", "line 2: no column has a name"),
    "an open header": ('id,"text\n1,a\n', "line 1: a quote is opened and never closed"),
    "a long header": ("id," * LONGEST_ROW, "line 1: the row is longer than"),
    "Latin-1 header": (b"id,stra\xdfe\n1,a\n", "line 1: 'stra\ufffde' is not UTF-8"),
    "a workbook": (b"PK\3\4\x14\0\6\0\n1,2\n", "has a NUL byte: save it as UTF-8 text"),
    "UTF-16 without a mark": ("id,text\n1,a\n".encode("utf-16-le"), "has a NUL byte"),
    "an array": ('[{"id": 1}]', "is a JSON array"),
    "an array in lines": ('[\n{"id": 1}\n]', "is a JSON array"),
}


@pytest.mark.parametrize(("content", "told"), NO_TABLES.values(), ids=NO_TABLES.keys())
def test_what_is_no_table_is_refused(content, told):
    with pytest.raises(InputError, match="standard input") as caught:
        read(content)
    assert told in str(caught.value)
    assert caught.value.hint


def test_a_table_that_is_no_file_or_too_large_is_refused(tmp_path, written, monkeypatch):
    with pytest.raises(InputError, match=r"the table .+ does not exist"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)
    monkeypatch.setattr(module, "LARGEST_TABLE_BYTES", 10)
    assert cells(written("a.csv", "id\n1234567")) == [(2, {"id": "1234567"})]
    with pytest.raises(InputError, match="more than 10 bytes"):
        written("a.csv", "id\n12345678")


def test_a_refusal_names_all_faults_by_their_lines():
    assert refusal("t.csv", [Fault(3, "no id")]).message == "t.csv, line 3: no id"
    assert refusal("t.csv", [Fault(0, "no column")]).message == "t.csv: no column"
    error = refusal("t.csv", [Fault(30, "b"), Fault(4, "a"), Fault(30, "c"), Fault(0, "x")])
    assert str(error).splitlines() == [
        "t.csv has 4 faults:",
        "x",
        "line 4: a",
        "line 30: b",
        "line 30: c",
    ]
    many = str(refusal("t.csv", [Fault(k, "no id") for k in range(1, 1224)])).splitlines()
    assert many[0] == "t.csv has 1,223 faults:"
    assert many[20:] == ["line 20: no id", "and 1,203 more"]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd"), max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1), st.sampled_from(",;\t"))
def test_what_the_csv_module_writes_is_read_as_it_was(rows, divider):
    """And each row begins at the line that was next when it was written."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=divider, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "text", "end"])
    expected = []
    for row in rows:
        line = len(io.StringIO(file.getvalue(), newline="").readlines()) + 1
        expected.append((line, *(cell.strip() for cell in row), "."))
        writer.writerow([*row, "."])
    table = read(file.getvalue())
    assert table.faults == ()
    assert [(row.line, *row.values.values()) for row in table.rows] == expected


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_an_input_error(data):
    for head in (b"", b"id,text\n", b'{"id": 1}\n'):
        try:
            table = read_table(None, io.BytesIO(head + data))
        except InputError:
            continue
        assert table.rows or table.faults
