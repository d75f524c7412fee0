"""Files of other systems: read them, plan what they would change, apply that, and write files.

`sources` finds the files of paths and archives, `tables` reads one file as rows, `formats` turns the rows of each known
format into records. A record has the field names of our own resources, and names other rows by their `external_id`.
"""
