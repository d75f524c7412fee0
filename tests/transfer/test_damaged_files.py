"""Each damaged file is refused, or its rows are, by a sentence that says where, what was found, and what to do.

Every case is a good file with one fault, planned by the command line on SQLite: what is wrong with a file does not
depend on the database.
"""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from click.testing import CliRunner, Result

from course_management.cli import cli
from course_management.transfer.findings import FileRefused
from course_management.transfer.sources import Source
from course_management.transfer.texts import LONGEST_LINE

from ..support.databases import Databases
from .reading import read_all

TERMS = "external_id,code,title,starts_on,ends_on\nf26,2026-fall,Fall,2026-09-01,2026-12-18\n"
CATALOG = "external_id,code,title,credits\nk1,CS 1,Programming,3\nk2,CS 2,Data,3\nk3,CS 3,Logic,3\n"
COURSES = "external_id,code,title,term,capacity,credits\nc1,CS101,Programming,f26,30,3\n"
STUDENTS = "external_id,name,email\ns1,Ada Lovelace,ada@example.edu\ns2,Zoë Müller,zoe@example.edu\n"
ENROLLMENTS = "student,course,status\ns1,c1,enrolled\ns2,c1,enrolled\n"
PREREQUISITES = "catalog,group_number,requires\nk2,1,k1\nk3,1,k2\n"
MEETINGS = "course,weekday,starts,ends,starts_on,ends_on\nc1,1,09:00,09:50,2026-09-01,2026-12-18\n"
SCHOOL = {"terms": TERMS, "catalog": CATALOG, "courses": COURSES, "students": STUDENTS}
FILES = SCHOOL | {"enrollments": ENROLLMENTS, "prerequisites": PREREQUISITES, "meetings": MEETINGS}
REFUSED, ROWS, WARNED = 2, 3, 0
"""Exit codes: the files are refused; rows are; nothing is."""


class Damage(NamedTuple):
    """A fault: the file that has it, how, the exit code, and what the sentence says."""

    kind: str
    damaged: Callable[[str], str | bytes]
    exit_code: int
    sentence: str
    options: tuple[str, ...] = ()


def replaced(old: str, new: str) -> Callable[[str], str]:
    def damaged(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return damaged


def with_row(row: str) -> Callable[[str], str]:
    return lambda text: f"{text}{row}\n"


def encoded(encoding: str) -> Callable[[str], bytes]:
    return lambda text: text.encode(encoding)


DAMAGES: dict[str, Damage] = {
    # encodings
    "cp1252": Damage(
        "students",
        encoded("cp1252"),
        REFUSED,
        "students.csv, line 3: Byte 61 of the file (0xeb) is not utf-8. If it comes from a Windows program, try "
        "--encoding cp1252; or export it as UTF-8.",
    ),
    "another encoding than named": Damage(
        "students", str.encode, REFUSED, "line 3: Byte 61 of the file (0xc3) is not ascii.", ("--encoding", "ascii")
    ),
    "no encoding": Damage("students", str, REFUSED, "nothing is not an encoding", ("--encoding", "nothing")),
    "half a character": Damage(
        "students", lambda text: text.encode("utf-16")[:-1], REFUSED, "students.csv, line 3: Byte 171 of the file"
    ),
    "utf-16 without a mark": Damage(
        "students", encoded("utf-16-le"), REFUSED, "line 1: The line has a NUL character: the file is damaged, or it is"
    ),
    "NUL": Damage("students", replaced("Ada", "A\0da"), REFUSED, "students.csv, line 2: The line has a NUL character"),
    "replacement character": Damage(
        "students", replaced("Zoë", "Zo\ufffd"), ROWS, "line 3: name: The value has a replacement character (U+FFFD)"
    ),
    "invisible character": Damage("students", replaced("s1", "s1\u200b"), ROWS, "line 2: external_id: 's1\\u200b': "),
    # delimiters
    "unknown delimiter": Damage(
        "students", lambda text: "sep=#\n" + text.replace(",", "#"), REFUSED, "line 1: The first line names '#' as the"
    ),
    "sep=; before commas": Damage(
        "students",
        lambda text: "sep=;\n" + text,
        REFUSED,
        "line 2: The columns are of no known format: external_id,name",
    ),
    "two delimiters": Damage(
        "students", replaced("name,email", "name;email"), REFUSED, "The header has as many semicolons as commas"
    ),
    "another delimiter in a row": Damage(
        "students",
        replaced("s1,Ada Lovelace,", "s1;Ada Lovelace;"),
        ROWS,
        "line 2: The row has 1 cells, the header has 3",
    ),
    # quotes
    "open quote": Damage(
        "students", replaced("Ada Lovelace", '"Ada Lovelace'), REFUSED, "line 2: The quotes of the row that begins here"
    ),
    "bare quote": Damage(
        "students",
        replaced("Ada Lovelace", '"Ada "L" Lovelace"'),
        REFUSED,
        "A quote inside of a quoted cell is written twice",
    ),
    "text behind a quote": Damage(
        "students", replaced("Ada Lovelace", '"Ada" Lovelace'), REFUSED, "a quoted cell ends before the delimiter."
    ),
    "huge cell": Damage(
        "students", replaced("Ada", '"' + "x\n" * 70_000), REFUSED, "line 2: The quotes of the row that begins here"
    ),
    # lines and rows
    "empty file": Damage(
        "students", lambda _: "", REFUSED, "line 1: The first line is empty. It must name the columns."
    ),
    "empty first line": Damage("students", lambda text: "\n" + text, REFUSED, "line 1: The first line is empty."),
    "long line": Damage(
        "students", with_row("x" * LONGEST_LINE), REFUSED, "line 4: The line is longer than 1000000 characters"
    ),
    "old line ends": Damage(
        "students",
        lambda text: text.replace("s2,", ",").replace("\n", "\r"),
        ROWS,
        "line 3: external_id: The value is missing.",
    ),
    "cut off": Damage("students", lambda text: text[: text.index("@ex")], ROWS, "line 2: email: 'ada': "),
    "short row": Damage(
        "students", with_row("s3,Cy"), ROWS, "line 4: The row has 2 cells, the header has 3. Put quotes"
    ),
    "long row": Damage("students", with_row("s3,Cy,,x"), ROWS, "line 4: The row has 4 cells, the header has 3."),
    "missing value": Damage("students", with_row("s3,,"), ROWS, "students.csv, line 4: name: The value is missing."),
    "long value": Damage("students", with_row(f"s3,{'x' * 201},"), ROWS, "line 4: name: 'xxx"),
    "long id": Damage("students", with_row(f"{'x' * 256},Cy,"), ROWS, "Must be at most 255 characters long."),
    # headers
    "no header": Damage(
        "students", lambda text: text.partition("\n")[2], REFUSED, "line 1: The columns are of no known format: s1, Ada"
    ),
    "header without names": Damage(
        "students", lambda text: ",,\n" + text, REFUSED, "The header has no column with a name."
    ),
    "column twice": Damage(
        "students",
        lambda text: text.replace("\n", ",name\n", 1).replace("edu\n", "edu,Countess\n"),
        ROWS,
        "line 2: name: The header has the column twice, with different values here: ['Ada Lovelace', 'Countess'].",
    ),
    "unknown column": Damage(
        "students", replaced("email", "shoe size"), WARNED, "shoe size: The column is unknown, and is ignored."
    ),
    "column without a name": Damage(
        "students", replaced("email", ""), WARNED, "line 2: A column without a name has values. They are ignored."
    ),
    "missing column": Damage(
        "courses",
        replaced("external_id", "shoe_size"),
        REFUSED,
        "line 1: The file lacks these columns: external_id. It has",
    ),
    "columns of two kinds": Damage(
        "students",
        lambda _: "external_id,name,roles,code,title,term\n1,Ada,advisor,CS,Programming,f26\n",
        REFUSED,
        "The columns may be those of",
    ),
    # what spreadsheets do
    "id as a number": Damage(
        "students",
        replaced("s1", "1.23E+05"),
        ROWS,
        "students.csv, line 2: external_id: 1.23E+05 is what a spreadsheet makes of a long number, and its digits are "
        "lost. Export the file again, and do not save it with a spreadsheet.",
    ),
    "id as a number, with a comma": Damage(
        "enrollments", replaced("s1", '"1,23457E+11"'), ROWS, "line 2: student: 1,23457E+11 is what a spreadsheet makes"
    ),
    "date with slashes": Damage(
        "terms",
        replaced("2026-09-01", "9/1/26"),
        ROWS,
        "terms.csv, line 2: starts_on: 9/1/26 may be day or month first. Write dates as YYYY-MM-DD.",
    ),
    "date with dots": Damage(
        "terms",
        replaced("2026-12-18", "18.12.2026"),
        ROWS,
        "ends_on: 18.12.2026: Write dates as YYYY-MM-DD, this one as 2026-12-18.",
    ),
    "date as a number": Damage(
        "terms", replaced("2026-09-01", "46266"), ROWS, "starts_on: 46266 is a date as spreadsheets store it."
    ),
    "no such day": Damage(
        "terms", replaced("2026-09-01", "2026-02-30"), ROWS, "starts_on: '2026-02-30': Must be a date"
    ),
    "date with one digit": Damage(
        "terms",
        replaced("2026-09-01", "2026-9-1"),
        WARNED,
        "2026-9-1 was read as 2026-09-01. Write dates as YYYY-MM-DD.",
    ),
    "error of a formula": Damage("students", replaced("Ada Lovelace", "#REF!"), ROWS, "name: #REF! is an error of a"),
    "column that is too narrow": Damage(
        "students", replaced("s1", "######"), ROWS, "external_id: ###### is an error of a"
    ),
    "comma in a number": Damage(
        "courses", replaced("30,3", '30,"3,5"'), ROWS, "credits: '3,5': Must be a number from 0"
    ),
    "no whole number": Damage("courses", replaced(",30,", ",30.0,"), ROWS, "courses.csv, line 2: capacity: '30.0': "),
    "negative number": Damage("courses", replaced(",30,", ",-1,"), ROWS, "courses.csv, line 2: capacity: '-1': "),
    "no truth value": Damage(
        "courses",
        lambda text: text.replace(",credits", ",closed").replace(",3\n", ",maybe\n"),
        ROWS,
        "Must be true or false.",
    ),
    "no time": Damage(
        "meetings", replaced("09:00", "25:00"), ROWS, "starts: '25:00': Must be a time from 00:00 to 24:00"
    ),
    "unknown word": Damage(
        "enrollments", replaced("enrolled", "enroled"), ROWS, "status: 'enroled': Must be one of: enrolled, "
    ),
    "no address": Damage("students", replaced("ada@example.edu", "ada"), ROWS, "students.csv, line 2: email: 'ada': "),
    # what rows say together
    "unknown term": Damage("courses", replaced("f26", "f99"), ROWS, "courses.csv, line 2: c1: There is no term 'f99'"),
    "unknown student": Damage(
        "enrollments", with_row("s9,c1,enrolled"), ROWS, "enrollments.csv, line 4: s9/c1: There is no student 's9'"
    ),
    "unknown course": Damage("enrollments", with_row("s1,c9,enrolled"), ROWS, "line 4: s1/c9: There is no course 'c9'"),
    "unknown entry": Damage(
        "prerequisites", with_row("k1,1,k9"), ROWS, "line 4: k1/1/k9: There is no catalog entry 'k9'"
    ),
    "requires itself": Damage(
        "prerequisites", with_row("k1,1,CS 1"), ROWS, "line 4: k1/1/CS 1: A catalog entry cannot"
    ),
    "cycle": Damage("prerequisites", with_row("k1,1,k3"), WARNED, "line 4: k1/1/k3: k1 and k3 require each other"),
    "the same row twice": Damage(
        "enrollments",
        with_row("s1,c1,enrolled"),
        WARNED,
        "line 4: s1/c1: The row says the same as line 2 of enrollments.csv",
    ),
    "contradicting rows": Damage(
        "students",
        with_row("s1,Ada King,"),
        ROWS,
        "s1: These rows contradict each other: line 2 of students.csv, line 4 of students.csv.",
    ),
    "contradicting enrollments": Damage(
        "enrollments", with_row("s1,c1,unenrolled"), WARNED, "unchanged contradicting_row (1 row)"
    ),
    "the same address twice": Damage(
        "students", with_row("s3,Cy,ADA@example.edu"), ROWS, "line 2 of students.csv has the same email."
    ),
    "term that ends before it begins": Damage(
        "terms",
        replaced("2026-12-18", "2026-01-18"),
        ROWS,
        "terms.csv, line 2: f26: ends_on: Must not be before starts_on.",
    ),
    "meeting after the term": Damage(
        "meetings", replaced("2026-12-18", "2027-01-18"), ROWS, "Must be within the term: 2026-09-01 to 2026-12-18."
    ),
    "meeting past midnight": Damage(
        "meetings", replaced("09:00", "23:00"), ROWS, "ends: 09:50 must be later than 23:00"
    ),
    "two formats": Damage(
        "students",
        lambda _: "section_id,user_id,role\n1,2,student\n",
        REFUSED,
        "Import files of different formats one after the other.",
    ),
}


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty school on SQLite, for plans, which change nothing; the folder for files."""
    folder = tmp_path_factory.mktemp("damaged")
    url = Databases("sqlite", folder, None).migrated()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
        yield folder


@pytest.fixture
def plan(school: Path, tmp_path: Path) -> Callable[..., Result]:
    """Plans the import of files, by their kinds, or of a path."""
    del school

    def run(files: Mapping[str, str | bytes] | Path, *options: str) -> Result:
        path = files if isinstance(files, Path) else tmp_path / "files"
        if not isinstance(files, Path):
            path.mkdir(exist_ok=True)
            for name, content in files.items():
                (path / f"{name}.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        return CliRunner().invoke(cli, ["import", str(path), *options])

    return run


def test_the_files_without_damage_are_planned_without_a_finding(plan: Callable[..., Result]) -> None:
    result = plan(FILES)
    assert (result.exit_code, "finding" in result.output, "refuse" in result.output) == (0, False, False), result.output


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_refused_by_a_sentence(plan: Callable[..., Result], name: str) -> None:
    kind, damaged, exit_code, sentence, options = DAMAGES[name]
    result = plan(FILES | {kind: damaged(FILES[kind])}, *options)
    assert sentence in result.output
    assert result.exit_code == exit_code


def archive(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as zipped:
        for name, content in members:
            zipped.writestr(name, content)
    return path


GOOD = ("students.csv", STUDENTS.encode())
ARCHIVES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "bomb": (
        lambda path: archive(path, ("students.csv", b"0" * 3_000_000)),
        "full.zip: 'students.csv' unpacks to more than 200 times its size. Unpack it, look at it, and import",
    ),
    "path traversal": (
        lambda path: archive(path, GOOD, ("../../etc/cron.d/x.csv", b"")),
        "The archive has a file outside of its folder: '../../etc/cron.d/x.csv'.",
    ),
    "absolute path": (lambda path: archive(path, ("/tmp/x.csv", b"")), "outside of its folder: '/tmp/x.csv'."),  # noqa: S108
    "cut off": (lambda path: cut(archive(path, GOOD)), "full.zip, line 1: "),
    "wrong checksum": (
        lambda path: changed(archive(path, GOOD, method=zipfile.ZIP_STORED), b"Ada", b"Eda"),
        "The archive is damaged: Bad CRC-32 for file 'students.csv'.",
    ),
    "encrypted": (
        lambda path: changed(archive(path, GOOD), b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
        "The archive is encrypted. Unpack it, and import the folder.",
    ),
    "without a table": (lambda path: archive(path, ("readme.txt.md", b"")), "There is no file .csv, .txt or .tsv in "),
    "missing file of the manifest": (
        lambda path: archive(path, ("manifest.csv", b"propertyName,value\nmanifest.version,1.0\nfile.users,bulk\n")),
        "The manifest says that there is users.csv (bulk), but it is missing. Export it again.",
    ),
}


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:60])
    return path


def changed(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_damaged_archive_is_refused_by_a_sentence(plan: Callable[..., Result], tmp_path: Path, name: str) -> None:
    make, sentence = ARCHIVES[name]
    result = plan(make(tmp_path / "full.zip"))
    assert sentence in result.output
    assert result.exit_code == REFUSED


def test_a_path_that_does_not_exist_is_refused_by_a_sentence(plan: Callable[..., Result], tmp_path: Path) -> None:
    result = plan(tmp_path / "roster")
    assert (result.exit_code, "There is no such file or folder." in result.output) == (REFUSED, True)


def test_a_file_that_has_changed_since_its_plan_is_refused(plan: Callable[..., Result]) -> None:
    result = plan(FILES)
    plan_id = result.output.split()[1]
    result = plan(FILES | {"students": STUDENTS.replace("Ada", "Eda")}, "--apply", "--as-planned", plan_id)
    assert f"students.csv: The file has changed since plan {plan_id}. Plan the import again" in result.output
    assert result.exit_code == REFUSED


class Long(io.RawIOBase):
    """A file of students whose second line has 2 GB; a part is made when it is read."""

    SIZE = 2 * 1024**3

    def __init__(self) -> None:
        self._left = b"external_id,name\ns1,"
        self._size = self.SIZE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        part = self._left or b"x" * min(len(buffer), self._size)
        part = part[: len(buffer)]
        self._left = self._left[len(part) :]
        self._size -= len(part)
        buffer[: len(part)] = part
        return len(part)


def test_a_line_of_two_gigabytes_is_refused_in_bounded_memory() -> None:
    def opened() -> IO[bytes]:
        return io.BufferedReader(Long())  # type: ignore[type-var]

    tracemalloc.start()
    try:
        with pytest.raises(FileRefused, match=r"students\.csv, line 2: The line is longer than 1000000 characters"):
            read_all([Source("students.csv", opened)])
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
