"""Characters that are not displayed, so that texts that look the same are equal.

The classes follow the FreeformClass of PRECIS (RFC 8264, section 4.3), with two differences. Unassigned code points
are accepted, because Python's Unicode tables are older than the names of some people (new CJK extensions). Variation
selectors are dropped instead of refused: they choose between shapes of one character (Japanese names, emoji).
"""

from __future__ import annotations

import re
import unicodedata

# Default_Ignorable_Code_Point of Unicode 17 (DerivedCoreProperties.txt); `unicodedata` does not have the property.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Symbols whose shape is empty: the braille blank, the object replacement character, the null notehead, and two blanks
# of Egyptian hieroglyphs.
_BLANK = "\u2800\ufffc\U0001d159\U00013441\U00013442"
_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_JOINERS = "\u200c\u200d"
# The scripts whose letters join, or stack below a virama: Arabic to Syriac and N'Ko, the scripts of India and South
# East Asia, Mongolian, Phags-pa and Adlam.
_JOINING = (
    "\u0600-\u08ff\u0900-\u0fff\u1000-\u109f\u1700-\u18af\u1900-\u1aaf\u1b00-\u1c4f\ua800-\uaaff\uabc0-\uabff"
    "\ufb50-\ufdff\ufe70-\ufefe\U00010a00-\U00010aff\U00010d00-\U00010d3f\U00010f30-\U00010fff"
    "\U00011000-\U00011fff\U0001e900-\U0001e95f"
)

_SELECTOR = re.compile(f"[{_SELECTORS}]")
_INVISIBLE = re.compile(f"[{_IGNORABLE}{_BLANK}]")
_JOINER = re.compile(f"[{_JOINERS}]")
_IN_JOINING_SCRIPT = re.compile(f"[{_JOINING}]")
# Control, format, surrogate and private use characters, separators of lines and paragraphs.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_VIRAMA = 9


def clean(text: str, *, joiners: bool = False) -> str:
    """Return `text` in NFC, without variation selectors, trimmed, and with single spaces (U+0020) inside.

    With `joiners`, the zero-width joiners U+200C and U+200D may stand where they change what is displayed. Raises
    `ValueError` with a sentence for characters that are not displayed, or when nothing remains.
    """
    if not (text.isascii() and text.isprintable()):
        text = _SELECTOR.sub("", text)
        _refuse_invisible(_JOINER.sub("", text) if joiners else text)
        text = unicodedata.normalize("NFC", text)
    text = " ".join(text.split())
    if not text:
        raise ValueError("Must not be empty.")
    if not text.isascii():
        if any(not _joins(text, match.start()) for match in _JOINER.finditer(text)):
            raise ValueError("A zero-width joiner must follow a letter that it changes.")
        if unicodedata.category(text[0]).startswith("M"):
            raise ValueError("Must not begin with a combining mark.")
    return text


def _refuse_invisible(text: str) -> None:
    if _INVISIBLE.search(text) or any(
        unicodedata.category(char) in _REFUSED_CATEGORIES or _is_noncharacter(ord(char)) for char in text
    ):
        raise ValueError("Must not contain control characters, or others that are not displayed.")


def _is_noncharacter(code: int) -> bool:
    """Return whether a code point is a noncharacter: the last two of each plane, and U+FDD0 to U+FDEF."""
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # noqa: PLR2004 - the standard's own figures


def _joins(text: str, place: int) -> bool:
    """Return whether the joiner at `place` changes what is displayed.

    It does after a virama (Indic conjuncts, also at the end of a word), between a letter of a joining script and what
    follows, and between two pictures of an emoji. Never beside another joiner.
    """
    before, after = text[place - 1 : place] if place else "", text[place + 1 : place + 2]
    if not before or _JOINER.match(after):
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if not after or after.isspace():
        return False
    if text[place] == "\u200d" and unicodedata.category(before) in {"So", "Sk"} and unicodedata.category(after) == "So":
        return True
    return bool(_IN_JOINING_SCRIPT.match(before)) and unicodedata.category(before)[0] in "LM"
