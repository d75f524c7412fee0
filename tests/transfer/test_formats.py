"""Files of each format become the same records; which format it is follows from the headers."""

from __future__ import annotations

import csv
from datetime import date
from typing import Any

import pytest

from course_management.transfer.findings import FileRefused, Finding
from course_management.transfer.formats.templates import template
from course_management.transfer.kinds import KINDS
from course_management.transfer.records import Record

from .reading import read_texts

CANVAS = {
    "courses.csv": "course_id,short_name,long_name,account_id,term_id,start_date,end_date,status\n"
    "c1,BIO,Biology,B,2022S,2022-2-01 00:00:00,2022-05-30 00:00:00,active\n"
    "c2,CHE,Chemistry,C,2022S,2022-02-15 00:00:00,2022-06-02 00:00:00,deleted\n"
    "c3,ART,Art,A,Never,,,active\n",
    "sections.csv": "section_id,course_id,name,status\n"
    "s1,c1,BIO-000,active\ns2,c1,BIO-001,deleted\ns3,c2,BIO-000,active\ns4,c9,X,active\ns5,c3,ART-1,active\n",
    "enrollments.csv": "section_id,user_id,role,status\n"
    "s1,0012,student,active\ns1,0013,student,deleted\ns1,0014,student,completed\ns1,7,teacher,active\n"
    "s1,8,observer,active\ns1,9,student,gone\n",
}
ONEROSTER = {
    "academicSessions.csv": "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,"
    "schoolYear\n"
    "FY,,,FY,schoolYear,2018-09-05,2019-06-22,,2018\nQ1,,,Q1,gradingPeriod,2018-09-05,2018-11-09,FY,2018\n"
    "S1,,,S1,term,2018-09-05,2019-01-29,FY,2018\n",
    "courses.csv": "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId\n"
    "k1,,,,English,01001,,2\nk2,,,,Latin,01001,,3\n",
    "classes.csv": "sourcedId,status,dateLastModified,title,courseSourcedId,classCode,classType,schoolSourcedId,"
    "termSourcedIds\n"
    '11,,,English A,k1,,scheduled,2,FY\n12,,,English B,k1,E-B,scheduled,2,"S1,FY"\n13,tobedeleted,,Latin,k2,L,x,3,FY\n',
    "users.csv": "sourcedId,status,dateLastModified,enabledUser,orgs,role,username,givenName,familyName,role,email\n"
    "0099,,,TRUE,2,student,ada,Ada,Lovelace,,ada@example.edu\n"
    "5,,,TRUE,2,,grace,Grace,Hopper,,\n6,,,TRUE,2,parent,pat,Pat,Parent,,\n7,,,TRUE,3,student,leo,Leo,Latin,,\n",
    "enrollments.csv": "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary\n"
    "1,,,11,2,0099,student,\n2,,,11,2,5,teacher,true\n3,,,12,2,5,student,\n4,tobedeleted,,12,2,0099,student,\n"
    "5,,,13,3,7,student,\n",
}


def values(records: list[Record], kind: str) -> list[dict[str, Any]]:
    return [dict(each.values) for each in records if each.kind.name == kind]


def codes(findings: list[Finding]) -> list[tuple[str, int | None, str]]:
    return [(each.file, each.line, each.code) for each in findings]


def test_a_section_of_canvas_becomes_a_course_and_its_term_has_the_dates_of_its_courses() -> None:
    records, findings = read_texts(CANVAS)
    (term,) = values(records, "terms")
    assert (term["code"], term["starts_on"], term["ends_on"]) == ("2022S", date(2022, 2, 1), date(2022, 6, 2))
    assert [(each["external_id"], each["code"], each["title"]) for each in values(records, "courses")] == [
        ("s1", "BIO-000-s1", "Biology"),
        ("s2", "BIO-001", "Biology"),
        ("s3", "BIO-000-s3", "Chemistry"),
        ("s5", "ART-1", "Art"),
    ]
    assert [each.is_removed for each in records if each.kind.name == "courses"] == [False, True, True, False]
    assert [(each["student"], each["status"]) for each in values(records, "enrollments")] == [
        ("0012", "enrolled"),
        ("0013", "unenrolled"),
        ("0014", "completed"),
    ]
    assert values(records, "instructors") == [{"course": "s1", "person": "7"}]
    assert codes(findings) == [
        ("courses.csv", 4, "term_has_no_dates"),
        ("courses.csv", 2, "unusual_date"),
        ("sections.csv", 5, "course_not_found"),
        ("enrollments.csv", 6, "role_ignored"),
        ("enrollments.csv", 7, "validation_failed"),
    ]


def test_a_user_of_canvas_is_a_student_or_staff_by_the_enrollments() -> None:
    users = (
        "user_id,login_id,full_name,email,status\n0012,ada,Ada Lovelace,,active\n"
        "7,grace,Grace Hopper,,active\n1,x,X,,active\n"
    )
    records, findings = read_texts(CANVAS | {"users.csv": users})
    assert [each["name"] for each in values(records, "students")] == ["Ada Lovelace"]
    assert [each["name"] for each in values(records, "people")] == ["Grace Hopper"]
    assert ("users.csv", 4, "no_role") in codes(findings)


def test_terms_of_canvas_that_have_no_dates_are_described_in_a_file_of_their_own() -> None:
    terms = "term_id,name,status,start_date,end_date\nNever,Any time,active,2022-01-10,2022-12-20\n"
    records, findings = read_texts(CANVAS | {"terms.csv": terms})
    assert [(term["code"], term["title"], term["starts_on"]) for term in values(records, "terms")] == [
        ("Never", "Any time", date(2022, 1, 10)),
        ("2022S", "2022S", date(2022, 2, 1)),
    ]
    assert "term_has_no_dates" not in {code for _, _, code in codes(findings)}


def test_sessions_of_oneroster_become_terms_where_they_are_terms_or_used() -> None:
    records, _ = read_texts(ONEROSTER)
    assert [each["code"] for each in values(records, "terms")] == ["2018 FY", "2018 S1"]


def test_a_class_of_oneroster_without_a_code_gets_that_of_its_course_and_its_id() -> None:
    records, findings = read_texts(ONEROSTER)
    found = [(each["code"], each["term"], each["catalog"]) for each in values(records, "courses")]
    assert found == [("01001-11", "FY", "k1"), ("E-B", "S1", "k1"), ("L", "FY", "k2")]
    assert [each.is_removed for each in records if each.kind.name == "courses"] == [False, False, True]
    assert ("classes.csv", 3, "several_terms") in codes(findings)


def test_course_codes_of_oneroster_that_repeat_get_the_id() -> None:
    records, _ = read_texts(ONEROSTER)
    assert [each["code"] for each in values(records, "catalog")] == ["01001-k1", "01001-k2"]


def test_a_user_of_oneroster_is_a_student_and_staff_if_the_files_say_both() -> None:
    records, findings = read_texts(ONEROSTER)
    assert [each["external_id"] for each in values(records, "students")] == ["0099", "5", "7"]
    (person,) = values(records, "people")
    assert (person["external_id"], person["student"], person["given_name"]) == ("5", "5", "Grace")
    assert [each["status"] for each in values(records, "enrollments")] == [
        "enrolled",
        "enrolled",
        "unenrolled",
        "enrolled",
    ]
    assert ("users.csv", 4, "no_role") in codes(findings)


def test_only_one_school_of_several_is_read_and_the_others_are_reported() -> None:
    records, findings = read_texts(ONEROSTER, school="2")
    assert [each["external_id"] for each in values(records, "courses")] == ["11", "12"]
    assert [each["external_id"] for each in values(records, "students")] == ["0099", "5"]
    assert [each for each in codes(findings) if each[2] == "other_school"] == [
        ("courses.csv", 3, "other_school"),
        ("classes.csv", 4, "other_school"),
        ("users.csv", 5, "other_school"),
        ("enrollments.csv", 6, "other_school"),
    ]


def test_a_school_that_the_files_lack_is_refused_with_those_that_they_have() -> None:
    orgs = "sourcedId,status,dateLastModified,name,type\n2,,,High,school\n3,,,Middle,school\n"
    with pytest.raises(FileRefused) as refused:
        read_texts(ONEROSTER | {"orgs.csv": orgs}, school="99")
    assert str(refused.value) == "There is no school '99' in these files. They have: 2 (High), 3 (Middle)."


def test_that_files_have_several_schools_is_reported_once() -> None:
    _, findings = read_texts(ONEROSTER)
    assert [each.detail for each in findings if each.code == "several_schools"] == [
        "The files have 2 schools: 2, 3. All are imported; --school ID takes one."
    ]


def test_a_manifest_that_names_a_missing_file_refuses_the_import() -> None:
    manifest = "propertyName,value\nmanifest.version,1.0\nfile.users,bulk\nfile.orgs,absent\n"
    with pytest.raises(FileRefused, match=r"users\.csv \(bulk\), but it is missing"):
        read_texts({name: text for name, text in ONEROSTER.items() if name != "users.csv"} | {"manifest.csv": manifest})


def test_roles_of_a_file_of_their_own_count() -> None:
    users = "sourcedId,username,givenName,familyName\n1,a,Ada,Lovelace\n2,g,Grace,Hopper\n3,n,No,Body\n"
    roles = "userSourcedId,orgSourcedId,role\n1,7,student\n2,7,professor\n"
    records, findings = read_texts({"users.csv": users, "roles.csv": roles})
    assert [each["name"] for each in values(records, "students") + values(records, "people")] == [
        "Ada Lovelace",
        "Grace Hopper",
    ]
    assert codes(findings) == [("users.csv", 4, "no_role")]


def test_the_flat_file_of_moodle_has_no_header() -> None:
    records, findings = read_texts(
        {
            "flat.txt": "add,student,s1,CS101\ndel, student ,s2,CS101\nadd,editingteacher,t1,CS101\n"
            "move,student,s3,CS101\n"
        }
    )
    assert values(records, "enrollments") == [
        {"student": "s1", "course": "CS101", "status": "enrolled"},
        {"student": "s2", "course": "CS101", "status": "unenrolled"},
    ]
    assert values(records, "instructors") == [{"person": "t1", "course": "CS101"}]
    assert [each.line for each in records] == [1, 2, 3]
    assert codes(findings) == [("flat.txt", 4, "validation_failed")]


def test_prerequisites_name_entries_by_their_codes() -> None:
    header = "CourseName,PrereqName,ConcurrentAllowed,PrereqGroupNum\n"
    records, findings = read_texts({"p.csv": f"{header}CS 225,CS 125,True,0\n"})
    assert values(records, "prerequisites") == [
        {"catalog": "CS 225", "requires": "CS 125", "group_number": "0", "concurrent_allowed": True}
    ]
    assert findings == []


SECTIONS = (
    "Subject,Number,Name,Credit Hours,CRN,Section,Section Credit Hours,Enrollment Status,Type Code,Start Time,End Time,"
    "Days of Week,Room,Building\n"
    "CS,225,Data &amp; Structures,3 OR 4 hours.,101,AL1,,Open,LEC,09:00 AM,09:50 AM,MW,ARR,Hall\n"
    "CS,225,Data &amp; Structures,3 OR 4 hours.,101,AL1,,Open,DIS,12:00 PM,01:50 PM,F,7,Hall\n"
    "CS,225,Data &amp; Structures,3 OR 4 hours.,102,,4 hours,Closed,LAB,ARRANGED,,,,\n"
    "CS,225,Data &amp; Structures,3 OR 4 hours.,103,,1 hours,Open,LAB,ARRANGED,,TR,,\n"
    "CS,199,Seminar,some hours,104,A,,Open,LEC,09:00 AM,09:50 AM,MX,,\n"
)


def test_sections_become_entries_courses_and_meetings() -> None:
    records, findings = read_texts({"s.csv": SECTIONS}, term="2026-su")
    (entry,) = values(records, "catalog")
    assert (entry["code"], entry["title"], entry["credits"], entry["credits_max"]) == (
        "CS 225",
        "Data & Structures",
        3,
        4,
    )
    courses = values(records, "courses")
    assert [(each["external_id"], each["code"], each["component"], each["closed"]) for each in courses] == [
        ("101", "CS 225 AL1", "LEC", False),
        ("102", "CS 225-102", "LAB", True),
        ("103", "CS 225-103", "LAB", False),
    ]
    assert [(each["credits"], each["credits_max"]) for each in courses] == [(3, 4), (4, None), (1, None)]
    assert {each["term"] for each in courses} == {"2026-su"}
    meetings = [tuple(each.values()) for each in values(records, "meetings")]
    assert [sorted(map(str, each)) for each in meetings] == [
        sorted(map(str, each))
        for each in [
            ("101", 1, "09:00", "09:50", "Hall"),
            ("101", 3, "09:00", "09:50", "Hall"),
            ("101", 5, "12:00", "13:50", "7 Hall"),
            ("104", 1, "09:00", "09:50", None),
        ]
    ]
    assert codes(findings) == [
        ("s.csv", 2, "credits_between"),
        ("s.csv", 5, "meeting_without_time"),
        ("s.csv", 6, "validation_failed"),
        ("s.csv", 6, "validation_failed"),
    ]


def test_sections_need_a_term() -> None:
    with pytest.raises(FileRefused, match="--term CODE"):
        read_texts({"s.csv": SECTIONS})


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_the_template_of_each_kind_is_read_as_that_kind(kind: Any) -> None:
    records, findings = read_texts({"any.csv": template(kind.name)})
    assert findings == []
    assert [each.kind.name for each in records] == [kind.name]
    assert records[0].values.keys() == kind.fields.keys()


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_template_with_required_columns_only_is_recognized(kind: Any) -> None:
    lines = list(csv.reader(template(kind.name).splitlines()))
    distinguishing = {"courses": {"term"}, "people": {"roles"}, "prerequisites": {"requires"}, "accounts": {"student"}}
    keep = kind.required | distinguishing.get(kind.name, set())
    cells = [(name, value) for name, value in zip(*lines, strict=True) if name in keep]
    records, _ = read_texts({"any.csv": "\n".join("|".join(line) for line in zip(*cells, strict=True))})
    assert [each.kind.name for each in records] == [kind.name]


def test_columns_of_templates_have_other_names_too() -> None:
    records, _ = read_texts({"e.csv": "Student ID;Course_ID\ns1;c1\n"})
    assert values(records, "enrollments") == [{"student": "s1", "course": "c1"}]


def test_a_cell_that_our_exports_protect_from_spreadsheets_is_read_as_it_was() -> None:
    records, _ = read_texts({"s.csv": "external_id,name\n'-17,'=Ada\n17,'Ada\n"})
    assert [tuple(each.values()) for each in values(records, "students")] == [("-17", "=Ada"), ("17", "'Ada")]


def test_unknown_columns_are_reported_and_ignored() -> None:
    records, findings = read_texts({"s.csv": "external_id,name,shoe size\ns1,Ada,37\n"})
    assert values(records, "students") == [{"external_id": "s1", "name": "Ada"}]
    assert [(each.column, each.code, each.is_error) for each in findings] == [("shoe size", "unknown_column", False)]


def test_a_file_with_only_a_header_has_no_records() -> None:
    assert read_texts({"s.csv": "external_id,name\n"}) == ([], [])


def test_every_wrong_cell_of_a_row_is_reported() -> None:
    text = "external_id,code,title,starts_on,ends_on\n1.5E+10,,Fall,01/02/2026,2026-12-18\n"
    records, findings = read_texts({"t.csv": text})
    assert records == []
    assert [(each.column, each.code) for each in findings] == [
        ("external_id", "spreadsheet_id"),
        ("starts_on", "ambiguous_date"),
        ("code", "value_missing"),
    ]


@pytest.mark.parametrize(
    ("files", "name", "column", "instead"),
    [
        (CANVAS, "enrollments", "status", "state"),
        (CANVAS, "sections", "status", "state"),
        (CANVAS, "courses", "status", "state"),
        (CANVAS, "courses", "long_name", "name"),
        (ONEROSTER, "enrollments", "status", "state"),
        (ONEROSTER, "enrollments", "userSourcedId", "user"),
        (ONEROSTER, "academicSessions", "endDate", "until"),
        (ONEROSTER, "classes", "title", "name"),
    ],
)
def test_a_renamed_column_that_decides_is_named_with_the_unknown_one(
    files: dict[str, str], name: str, column: str, instead: str
) -> None:
    text = files[f"{name}.csv"]
    assert column in text
    with pytest.raises(FileRefused) as refused:
        read_texts(files | {f"{name}.csv": text.replace(column, instead, 1)})
    finding = refused.value.finding
    assert (finding.file, finding.line, finding.code) == (f"{name}.csv", 1, "missing_column")
    assert f"has no column {column}. Unknown columns: {instead}. " in finding.detail


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a.csv": "s1,Ada\ns2,Bob\n"}, "unknown_format"),
        ({"a.csv": "external_id,name,roles,given_name,code,title,starts_on,ends_on\n"}, "unknown_format"),
        ({"a.csv": "external_id,name\n", "b.csv": "section_id,user_id,role\n"}, "several_formats"),
        ({"a.csv": "code,title,starts_on,ends_on\n"}, "missing_column"),
        ({}, "no_files"),
    ],
    ids=["no header", "two kinds", "two formats", "a column is missing", "nothing"],
)
def test_files_of_no_known_format_are_refused(files: dict[str, str], code: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read_texts(files)
    assert refused.value.finding.code == code
