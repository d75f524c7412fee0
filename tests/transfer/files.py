"""Files that several tests import, as CSV: of the first import, and of the kinds that refer to it."""

from __future__ import annotations

TERMS = "external_id,code,title,starts_on,ends_on\nf26,2026-fall,Fall,2026-09-01,2026-12-18\n"
COURSES = "external_id,code,title,term,capacity\nc1,CS101,Programming,f26,\nc2,CS102,Data,2026-fall,1\n"
STUDENTS = "external_id,name,email\ns1,Ada,ada@example.edu\ns2,Bob,\n007,Cy,\n"
GROUPS = "kind,code,title\nprogram,CS,Computing\nprogram,MA,Mathematics\nlevel,1,First year\n"
FILES_OF_OTHER_KINDS = {
    "prerequisites": "catalog,group_number,requires,group_kind,group_code,minimum_points,minimum_grade\n"
    "CS 102,1,k1,,,2,C\nCS 102,1,,program,MA,,\nCS 102,2,k3,,,,\n",
    "meetings": "course,weekday,starts,ends,starts_on,ends_on,place\nc1,1,09:00,09:50,,,Hall 4\n"
    "c1,3,9:00 AM,9:50 AM,2026-09-01,2026-10-31,\n",
    "restrictions": "course,kind,code,admits\nc1,program,CS,true\nc1,level,1,no\n",
    "links": "course,group_number,linked\nc1,1,c2\n",
    "members": "student,kind,code\ns1,program,CS\ns1,program,MA\ns1,level,1\ns2,program,CS\n",
    "instructors": "course,person\nc1,p1\n",
    "accounts": "student,person,issuer,subject\ns1,,https://login.example.edu,ada\ns1,,https://login.example.edu,ada2\n"
    ",p1,https://login.example.edu,grace\n",
    "completions": "student,catalog,term_code,grade,points,passed,credits\ns1,k1,2025-fall,B,3,true,3\n"
    "s1,k1,2024-fall,F,0,false,0\n",
    "holds": "student,kind,contact,blocks,note,until\ns1,financial,Bursar,enroll,Invoice 7,2999-01-01T00:00:00Z\n",
    "permissions": "student,course,rule,reason,expires_at\ns1,c1,restricted,Agreed with the department,\n",
    "limits": "student,term,credit_limit\ns1,f26,21\n",
}
ENROLLMENTS = "student,course\ns1,c1\ns1,CS102\ns2,c1\n007,c1\n"
FILES = {"terms": TERMS, "courses": COURSES, "students": STUDENTS, "enrollments": ENROLLMENTS}
