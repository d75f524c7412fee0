"""Check the HTML of a page without a browser: structure, headings, landmarks, labels, and what the policy refuses."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
CLOSED_BY_ITSELF = VOID | {"rect", "line", "path", "circle", "polyline"}
INPUTS = {"input", "select", "textarea"}
HIDDEN_TYPES = {"hidden", "submit", "button"}


@dataclass
class Element:
    """An element with its attributes, its text, and the elements that it contains."""

    tag: str
    attributes: Mapping[str, str]
    parent: Element | None = None
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    content: list[str | Element] = field(default_factory=list)
    """Texts and children in the order of the page."""

    def walk(self) -> Iterator[Element]:
        """Yield this element and all inside of it, in the order of the page."""
        yield self
        for each in self.children:
            yield from each.walk()

    def inside(self, *tags: str) -> bool:
        """Return whether one of the elements around it is one of these."""
        return self.parent is not None and (self.parent.tag in tags or self.parent.inside(*tags))

    @property
    def text(self) -> str:
        """All text inside, with single spaces."""
        return " ".join(" ".join(each if isinstance(each, str) else each.text for each in self.content).split())


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.open = Element("", {})
        self.errors: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        twice = [name for name, count in Counter(name for name, _ in attrs).items() if count > 1]
        self.errors += [f"<{tag}> has {name} twice" for name in twice]
        element = Element(tag, {name: value or "" for name, value in attrs}, self.open)
        self.open.children.append(element)
        self.open.content.append(element)
        if tag not in CLOSED_BY_ITSELF:
            self.open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in CLOSED_BY_ITSELF:
            return
        if self.open.tag != tag:
            self.errors.append(f"</{tag}> closes <{self.open.tag}>")
        if self.open.parent is not None:
            self.open = self.open.parent

    def handle_data(self, data: str) -> None:
        self.open.texts.append(data)
        self.open.content.append(data)


def parse(html: str) -> tuple[Element, list[str]]:
    """Return the root of a page, and the errors of its structure."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.root, parser.errors


def faults(html: str) -> list[str]:
    """Return what is wrong with a page, a sentence each."""
    root, found = parse(html)
    elements = list(root.walk())
    found += _structure(elements)
    found += _names(elements)
    found += _policy(elements)
    return found


def _structure(elements: list[Element]) -> Iterator[str]:
    counts = Counter(each.tag for each in elements)
    for tag in ("html", "title", "main", "h1"):
        if counts[tag] != 1:
            yield f"{counts[tag]} <{tag}> instead of one"
    html = next((each for each in elements if each.tag == "html"), None)
    if html and not html.attributes.get("lang"):
        yield "<html> names no language"
    ids = Counter(each.attributes["id"] for each in elements if "id" in each.attributes)
    yield from (f"the id {each} is there {count} times" for each, count in ids.items() if count > 1)
    levels = [int(each.tag[1]) for each in elements if re.fullmatch("h[1-6]", each.tag)]
    for before, after in itertools.pairwise(levels):
        if after > before + 1:
            yield f"a heading of level {after} follows one of level {before}"
    for each in elements:
        if each.tag == "table" and not any(cell.attributes.get("scope") == "col" for cell in each.walk()):
            yield "a table has no column headings with a scope"
        if each.tag == "table" and not any(cell.tag == "caption" and cell.text for cell in each.walk()):
            yield "a table has no caption"
        if each.tag == "nav" and not each.attributes.get("aria-label"):
            yield "a <nav> has no name"
        for name in ("aria-labelledby", "aria-describedby"):
            for target in each.attributes.get(name, "").split():
                if target not in ids:
                    yield f"{name} names {target}, which does not exist"


def _names(elements: list[Element]) -> Iterator[str]:
    """Yield the controls, links and pictures without a name."""
    labels = {each.attributes.get("for") for each in elements if each.tag == "label"}
    for each in elements:
        named = each.text or each.attributes.get("aria-label") or each.attributes.get("aria-labelledby")
        if each.tag in INPUTS and each.attributes.get("type", "text") not in HIDDEN_TYPES:
            is_labelled = each.attributes.get("id") in labels or each.inside("label")
            if not (is_labelled or each.attributes.get("aria-label")):
                yield f"the field {each.attributes.get('name')} has no label"
        if each.tag in {"a", "button", "legend", "th", "h1", "h2", "h3", "option"} and not named:
            yield f"a <{each.tag}> has no text"
        if each.tag == "svg" and not (each.attributes.get("aria-label") or each.attributes.get("aria-hidden")):
            yield "a picture has no name"


def _policy(elements: list[Element]) -> Iterator[str]:
    """Yield what the Content-Security-Policy refuses, and links that lead nowhere or elsewhere."""
    for each in elements:
        if "style" in each.attributes or each.tag == "style":
            yield f"<{each.tag}> has a style of its own"
        if each.tag == "script" and "src" not in each.attributes:
            yield "a script stands in the page"
        yield from (f"<{each.tag}> has {name}" for name in each.attributes if name.startswith("on"))
        if each.tag == "form" and each.attributes.get("method", "get") not in {"get", "post"}:
            yield "a form has an unknown method"
        for name in ("href", "src", "action"):
            if each.attributes.get(name, "/").startswith(("http:", "https:", "//", "javascript:")):
                yield f"<{each.tag}> leads to another site"


def words(html: str) -> list[str]:
    """Return the texts of a page that people read: between tags, and in labels, titles and placeholders."""
    root, _ = parse(html)
    found = []
    for each in root.walk():
        if each.tag not in {"script", "style", "code"}:
            found += each.texts
        found += [each.attributes.get(name, "") for name in ("aria-label", "title", "placeholder", "alt")]
    return [text for text in (" ".join(each.split()) for each in found) if text]
