"""Files come from folders and archives; an archive that no system would write is refused before it is read."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from course_management.transfer import sources
from course_management.transfer.findings import FileRefused
from course_management.transfer.texts import read_lines


def archive(folder: Path, files: dict[str | zipfile.ZipInfo, bytes]) -> Path:
    path = folder / "full.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return path


def names(*paths: Path) -> list[str]:
    return [each.name for each in sources.find(paths)]


def test_a_folder_is_its_csv_files(tmp_path: Path) -> None:
    for name in ("b.csv", "A.CSV", "notes.pdf", ".hidden.csv"):
        (tmp_path / name).write_text("id\n")
    assert names(tmp_path) == ["A.CSV", "b.csv"]


def test_an_archive_is_its_csv_files(tmp_path: Path) -> None:
    path = archive(tmp_path, {"roster/users.csv": b"id\n1\n", "__MACOSX/users.csv": b"", "readme.md": b""})
    (found,) = sources.find([path])
    assert (found.name, found.base) == ("full.zip/roster/users.csv", "users.csv")
    assert list(read_lines(found)) == ["id\n", "1\n"]


def test_the_digest_of_a_file_changes_with_its_content(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("id\n1\n")
    before = sources.find([path])[0].digest()
    assert sources.find([path])[0].digest() == before
    path.write_text("id\n2\n")
    assert sources.find([path])[0].digest() != before


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("users.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"../users.csv": b"id\n"}, "unsafe_archive"),
        ({"a/../../users.csv": b"id\n"}, "unsafe_archive"),
        ({"/etc/users.csv": b"id\n"}, "unsafe_archive"),
        ({"..\\users.csv": b"id\n"}, "unsafe_archive"),
        ({"C:\\users.csv": b"id\n"}, "unsafe_archive"),
        ({link(): b"/etc/passwd"}, "unsafe_archive"),
        ({"users.csv": b"0" * 3_000_000}, "archive_too_large"),
        ({f"{number}.csv": b"" for number in range(sources.MAX_FILES + 1)}, "archive_too_large"),
    ],
    ids=["parent", "parent inside", "absolute", "backslash", "drive", "link", "bomb", "many files"],
)
def test_an_unsafe_archive_is_refused(tmp_path: Path, files: dict[str | zipfile.ZipInfo, bytes], code: str) -> None:
    with pytest.raises(FileRefused) as refused:
        sources.find([archive(tmp_path, files)])
    assert refused.value.finding.code == code


def test_an_archive_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "full.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as zipped:
        zipped.writestr("users.csv", "id\nAda\n")
    path.write_bytes(path.read_bytes().replace(b"id\nAda\n", b"id\nAdb\n"))
    (found,) = sources.find([path])
    with pytest.raises(FileRefused) as refused:
        list(read_lines(found))
    assert refused.value.finding.code == "damaged_archive"


def test_an_archive_that_is_cut_off_is_no_archive(tmp_path: Path) -> None:
    path = archive(tmp_path, {"users.csv": b"id\n" * 1000})
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(FileRefused):
        list(read_lines(sources.find([path])[0]))


def test_the_only_archive_of_a_folder_is_read_where_it_has_no_table(tmp_path: Path) -> None:
    archive(tmp_path, {"users.csv": b"id\n"}).rename(tmp_path / "one.zip")
    assert [source.name for source in sources.find([tmp_path])] == ["one.zip/users.csv"]
    archive(tmp_path, {"users.csv": b"id\n"}).rename(tmp_path / "two.zip")
    with pytest.raises(FileRefused, match=r"several archives: one\.zip, two\.zip\. Name the one to import"):
        sources.find([tmp_path])
    (tmp_path / "roles.csv").write_text("id\n")
    assert [source.name for source in sources.find([tmp_path])] == ["roles.csv"]


@pytest.mark.parametrize(("made", "code"), [(False, "no_such_file"), (True, "no_files")])
def test_a_path_without_files_is_refused(tmp_path: Path, made: bool, code: str) -> None:
    path = tmp_path / "roster"
    if made:
        path.mkdir()
    with pytest.raises(FileRefused) as refused:
        sources.find([path])
    assert refused.value.finding.code == code
