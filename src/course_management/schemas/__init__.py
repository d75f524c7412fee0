"""The shape of what comes in and goes out. No query and no rule is here.

What comes in is loaded by `incoming`, made of the strict `fields`. What goes out is documented by `outgoing`, and
the suite validates every answer it gets against that document; at run time an answer is written from the rows
directly (docs/decisions/0006-responses-are-written-from-rows.md has the measurement).
"""
