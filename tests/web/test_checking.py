"""The control of the checker of pages: it finds what it is there for."""

from __future__ import annotations

from .checking import faults, words

SOUND = """<!doctype html><html lang="en"><head><title>Courses</title></head><body>
<main><h1>Courses</h1><label for="q">Words</label><input id="q" name="q"></main></body></html>"""


def test_a_sound_page_has_no_faults() -> None:
    assert faults(SOUND) == []


def test_each_fault_is_found() -> None:
    for sound, broken, fault in (
        ("<h1>", "<h1></h1><h1>", "2 <h1> instead of one"),
        ("</h1>", "</h1><h3>A</h3>", "a heading of level 3 follows one of level 1"),
        (' for="q"', "", "the field q has no label"),
        (' lang="en"', "", "<html> names no language"),
        ("</h1>", '</h1><p style="color: red">A</p>', "<p> has a style of its own"),
        ("</h1>", "</h1><script>1</script>", "a script stands in the page"),
        ("</h1>", '</h1><a href="/app/"></a>', "a <a> has no text"),
        ("</h1>", '</h1><a href="https://example.edu">A</a>', "<a> leads to another site"),
        ("</h1>", '</h1><p id="q">A</p>', "the id q is there 2 times"),
        ("</h1>", "</h1><div><p>A</div>", "</div> closes <p>"),
        ("</h1>", "</h1><svg></svg>", "a picture has no name"),
        ("</h1>", "</h1><table><tr><td>1</td></tr></table>", "a table has no column headings with a scope"),
        ("</h1>", '</h1><p onclick="1">A</p>', "<p> has onclick"),
        ('id="q"', 'id="q" aria-describedby="hint"', "aria-describedby names hint, which does not exist"),
    ):
        assert fault in faults(SOUND.replace(sound, broken, 1)), fault


def test_words_are_what_people_read() -> None:
    html = '<p>One<b> two</b></p><button aria-label="Three"></button><script>no</script><code>no</code>'
    assert words(html) == ["One", "two", "Three"]
