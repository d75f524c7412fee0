"""Files of other systems: read them, plan what they would change, apply that, and write files.

A record is what one row of a file says, whatever the format of the file: it has the field names of our own resources,
and names other rows by their `external_id`. The modules, in reading order:

    importing                    an import from its files to its end: read, plan, apply; start here
    sources, texts, tables       the files of paths and archives; their text; their rows
    formats/                     which format files have, and their rows as records
    kind, kinds/                 what a kind of record is; one module per kind
    records, values              records, and cells as values of their fields
    staging                      records in the tables of the import, by unit
    references, missing          the rows that records name; those that `--create-missing` creates
    handlers/                    decide and write the rows of a kind: resources, lists, records of students
    enrolling, enrollment_plan,  decide and write enrollments
    enrollment_changes, courses_in_terms
    verdicts, findings           what becomes of a row; what is wrong with a file or a row
    reports                      the report of an import as CSV
    exporting                    rows of our tables as files that an import reads without any change
    rosters, oneroster           a roster as CSV; all tables as OneRoster
    calendars, spreadsheets      timetables as iCalendar; cells that a spreadsheet would take for formulas
"""
