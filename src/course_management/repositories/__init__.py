"""Reads: each function returns plain rows of one statement in autocommit, except for exports.

resources, owned_rows                what all resources, and all rows that belong to one row, have in common
enrollments                          the courses of a student; the histories of students and courses
rosters, past_rosters, seat_history  who is and was in a course; its seats over time
enrolled_students                    who is enrolled in a whole term
course_search, course_lookup         courses by words; courses, entries and terms by their codes
timetables, prerequisites            when courses meet; what entries require
registration, overview               what decides when a student registers; what a registrar looks at first
completions, course_permissions,     what is recorded about students, for the API, by course, and for the pages
student_records
student_names, actors                names by the ids of students, and by the actors of the ledgers
accounts                             with what people and students sign in
student_data                         all data about one student, for export and erasure
imports, import_targets              imports and their rows; what the database has of what they name
external_ids                         the tables whose rows files name by an external id
exports, oneroster_rows              whole tables in the order of files, for exports
"""
