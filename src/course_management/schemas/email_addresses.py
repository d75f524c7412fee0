"""The canonical form of e-mail addresses: two addresses of one mailbox have the same form.

The domain is in lower case, in Unicode, as IDNA 2008 maps it (UTS 46, non-transitional): `xn--bcher-kva.example` is
`bücher.example`. The standard library's `idna` codec is IDNA 2003, in which `straße.example` is `strasse.example`: two
domains that may belong to different people. The local part is in NFKC and case-folded, and quoted only where it must
be.
"""

from __future__ import annotations

import re
import unicodedata

import idna
from marshmallow import ValidationError, validate

_is_address = validate.Email()
_ATOM = re.compile(r"[-!#$%&'*+/=?^`{}|~\w]+(\.[-!#$%&'*+/=?^`{}|~\w]+)*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PLAIN = re.compile(r"[a-z0-9._+-]+@(?!.*xn--)[a-z0-9-]+(\.[a-z0-9-]+)+")


def canonical_address(text: str) -> str:
    """Return the canonical form of an e-mail address. Raises `ValueError` if it is not valid."""
    if not _PLAIN.fullmatch(text):
        local, at, domain = unicodedata.normalize("NFKC", text.strip()).rpartition("@")
        if not at:
            raise ValueError("Not a valid email address.")
        ascii_domain, domain = _domain(domain)
        text = f"{_local(local)}@{domain}"
    else:
        ascii_domain = text.rpartition("@")[2]
    try:
        _is_address(f"{text.rpartition('@')[0]}@{ascii_domain}")
    except ValidationError:
        raise ValueError("Not a valid email address.") from None
    return text


def _local(text: str) -> str:
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    folded = unicodedata.normalize("NFKC", text.casefold())
    while folded != text:  # folding can produce what NFKC composes, and the reverse
        text, folded = folded, unicodedata.normalize("NFKC", folded.casefold())
    if quoted and not _ATOM.fullmatch(text):
        text = '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
    return text


def _domain(text: str) -> tuple[str, str]:
    """Return the domain in ASCII and in Unicode, without the final dot that names the root."""
    text = text.lower()
    if text.startswith("["):
        return text, text  # an IP address
    try:
        if not text.isascii():
            text = idna.uts46_remap(text, std3_rules=True, transitional=False)
        labels = [_label(label) for label in text.removesuffix(".").split(".")]
    except (idna.IDNAError, UnicodeError):
        raise ValueError("The domain of the email address is not valid.") from None
    return ".".join(label for label, _ in labels), ".".join(label for _, label in labels)


def _label(text: str) -> tuple[str, str]:
    """Return one label of a domain in ASCII and in Unicode."""
    if not text.isascii():
        return idna.alabel(text).decode(), text
    if text.startswith("xn--"):
        try:
            unicode = idna.ulabel(text)
            if idna.alabel(unicode).decode() == text:
                return text, unicode
        except (idna.IDNAError, UnicodeError):
            pass  # not valid in IDNA 2008 (an emoji, for example): it has an ASCII form only
    return text, text
