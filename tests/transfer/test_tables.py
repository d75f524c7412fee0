"""A file that is damaged is refused, or its row is, with the line and what to do; nothing is guessed."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import IO

import pytest

from course_management.transfer.findings import FileRefused, Finding
from course_management.transfer.sources import Source
from course_management.transfer.tables import Row, open_table
from course_management.transfer.texts import LONGEST_LINE, known_encoding

HEADER = "external_id,name,email\n"
GOOD = HEADER + "s1,Ada Lovelace,ada@example.edu\ns2,Zoë Müller,zoe@example.edu\n"


def source(data: bytes | str) -> Source:
    content = data.encode() if isinstance(data, str) else data
    return Source("students.csv", lambda: io.BytesIO(content))


def read(data: bytes | str, encoding: str | None = None) -> tuple[list[Row], list[Finding]]:
    """Return the rows of a file, and the findings about them."""
    findings: list[Finding] = []
    rows = list(open_table(source(data), encoding).rows(findings.append))
    return rows, findings


def names(data: bytes | str, encoding: str | None = None) -> list[str]:
    rows, findings = read(data, encoding)
    assert findings == []
    return [row.get("name") for row in rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_the_encoding(encoding: str) -> None:
    assert names(GOOD.encode(encoding)) == ["Ada Lovelace", "Zoë Müller"]


def test_a_byte_order_mark_is_stronger_than_the_option() -> None:
    assert names(GOOD.encode("utf-8-sig"), "cp1252") == ["Ada Lovelace", "Zoë Müller"]


def test_an_encoding_can_be_named() -> None:
    assert names(GOOD.encode("cp1252"), "cp1252") == ["Ada Lovelace", "Zoë Müller"]


def test_only_encodings_of_text_can_be_named() -> None:
    assert known_encoding("cp1252")
    assert not known_encoding("base64")
    assert not known_encoding("nothing")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_decides_the_delimiter(delimiter: str) -> None:
    assert names(GOOD.replace(",", delimiter)) == ["Ada Lovelace", "Zoë Müller"]


def test_the_delimiter_can_be_named_in_the_first_line() -> None:
    rows, _ = read("sep=;\r\nexternal_id;name\r\ns1;Ada, Countess\r\n")
    assert [(row.line, row.get("name")) for row in rows] == [(3, "Ada, Countess")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_line_end_of_any_system_is_one(end: str) -> None:
    rows, _ = read(GOOD.replace("\n", end))
    assert [row.line for row in rows] == [2, 3]


def test_the_line_of_a_row_is_where_it_begins_in_the_file() -> None:
    rows, _ = read(HEADER + 's1,"Ada\nLovelace",\n\n,,\ns2,Grace,\n')
    assert [(row.line, row.get("externalid")) for row in rows] == [(2, "s1"), (6, "s2")]


def test_columns_are_found_whatever_their_case() -> None:
    rows, _ = read('"External ID",NAME\ns1,Ada\n')
    assert rows[0].cells == {"externalid": "s1", "name": "Ada"}


def test_leading_zeros_of_an_id_stay() -> None:
    assert read(HEADER + "000123,Ada,\n")[0][0].get("externalid") == "000123"


def test_a_column_twice_is_read_where_only_one_has_a_value() -> None:
    rows, findings = read("id,role,name,role\n1,student,Ada,\n2,,Bob,teacher\n3,x,Cy,x\n")
    assert [row.get("role") for row in rows] == ["student", "teacher", "x"]
    assert findings == []


def test_columns_without_a_name_are_ignored_with_a_warning() -> None:
    rows, findings = read("id,name,,\n1,Ada,,\n2,Bob\n3,Cy,x,y\n4,Di,z\n")
    assert [row.get("id") for row in rows] == ["1", "2", "3", "4"]
    assert [(each.line, each.code, each.is_error) for each in findings] == [(4, "unknown_column", False)]


@pytest.mark.parametrize(
    ("row", "code", "sentence"),
    [
        ("s1,Ada", "wrong_number_of_cells", "The row has 2 cells, the header has 3."),
        ("s1,Lovelace, Ada,a@example.edu", "wrong_number_of_cells", "The row has 4 cells, the header has 3."),
    ],
)
def test_a_row_with_another_number_of_cells_is_left_out(row: str, code: str, sentence: str) -> None:
    rows, findings = read(f"{HEADER}{row}\ns2,Grace,\n")
    assert [each.get("externalid") for each in rows] == ["s2"]
    assert [(each.line, each.code) for each in findings] == [(2, code)]
    assert sentence in str(findings[0])


def test_a_column_twice_with_different_values_is_an_error_of_the_row() -> None:
    rows, findings = read("id,role,role\n1,student,teacher\n2,student,\n")
    assert [row.get("id") for row in rows] == ["2"]
    (found,) = findings
    assert (found.line, found.column, found.code) == (2, "role", "contradicting_columns")
    assert "['student', 'teacher']" in found.detail


@pytest.mark.parametrize(
    ("data", "code", "line", "sentence"),
    [
        (GOOD.encode("cp1252"), "not_in_encoding", 3, "Byte 61 of the file (0xeb) is not utf-8."),
        (GOOD.replace("\n", "\r\n").encode("cp1252"), "not_in_encoding", 3, "Byte 63 of the file (0xeb)"),
        (GOOD.encode("utf-16")[:-1], "not_in_encoding", 3, "is not utf-16"),
        (GOOD.encode("utf-16-le"), "nul", 1, "--encoding utf-16-le"),
        ((HEADER + "s1,A\0da,\n").encode(), "nul", 2, "NUL character"),
        ("", "no_header", 1, "It must name the columns."),
        ("\n" + GOOD, "no_header", 1, "The first line is empty."),
        (",,\n1,2,3\n", "no_header", 1, "no column with a name"),
        ("sep=#\na#b\n", "unknown_delimiter", 1, "'#'"),
        ("id,name;email\n", "unknown_delimiter", 1, "as many"),
        (HEADER + 's1,"Ada,\ns2,Grace,\n', "wrong_quotes", 2, "noticed in line 3"),
        (HEADER + 's1,"Ada "The" L",\n', "wrong_quotes", 2, "is written twice"),
        (HEADER + 's1,"' + "x\n" * 70_000, "wrong_quotes", 2, "field larger than field limit"),
        (HEADER + "x" * LONGEST_LINE, "line_too_long", 2, "not a table"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(data: bytes | str, code: str, line: int, sentence: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read(data)
    assert (refused.value.finding.code, refused.value.finding.line) == (code, line)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(f"students.csv, line {line}: ")


def test_a_wrong_byte_beyond_the_first_part_of_a_file_is_found() -> None:
    rows = "".join(f"s{number},Zoë,\r\n" for number in range(20_000))
    data = (HEADER + rows).encode()
    with pytest.raises(FileRefused) as refused:
        read(data + b"s,\xe9,\r\n")
    assert refused.value.finding.line == 20_002
    assert f"Byte {len(data) + 3} of the file (0xe9)" in refused.value.finding.detail


class OneLine(io.RawIOBase):
    """A file with one endless line."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
def test_an_endless_line_needs_little_memory() -> None:
    def opened() -> IO[bytes]:
        return io.BufferedReader(OneLine())  # type: ignore[type-var]

    with pytest.raises(FileRefused, match="longer than"):
        open_table(Source("students.csv", opened))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
