"""An import: read the files into tables, plan what each row would change, then apply that.

The plan is made again by each call. An import that was killed while it was applied goes on with the rows that are left.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import tzinfo

from ..context import NamedActor, RequestContext
from ..repositories import imports as repository
from ..services import imports as service
from . import formats, kinds, staging
from .enrolling import EnrollmentHandler
from .findings import FileRefused, Finding
from .handlers import Handler
from .missing import Missing
from .records import Record
from .sources import Source
from .staging import Stage, Unit
from .verdicts import CHANGES, NOT_ENROLLED, REFUSE, UNCHANGED, Verdict

MOST_DROPS, SHARE_OF_DROPS, SMALL_COURSE = 50, 10, 5
"""More drops than these (a number, one in so many, half of a course of so many students) must be allowed."""
Progress = Callable[[str, int, int], object]
"""Called with the name of the phase, the number of rows that were just done in it, and how many it has."""
READING, PLANNING, APPLYING = "Reading", "Planning", "Applying"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the caller decided about an import."""

    mode: str = "delta"
    on_full: str = "refuse"
    rules: str = "notes"
    create_missing: bool = False
    school: str | None = None
    term: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """An import that was read and planned, or that is being applied. `drops` are those that the files imply."""

    id: int
    format: str
    is_resumed: bool = False
    drops: int = 0
    drops_need_permission: bool = False
    unchecked: int = 0
    """Enrollments about which the plan has not asked the rules of registration."""


def plan(
    sources: Sequence[Source],
    choices: Choices,
    zone: tzinfo,
    progress: Progress = lambda *_: None,
    as_planned: int | None = None,
    *,
    is_preview: bool = True,
) -> Planned:
    """Read the files and plan the import; change nothing but the tables of imports. Raises `FileRefused`.

    With the id of an earlier plan in `as_planned`, files and choices must be the same as then. Unless it `is_preview`,
    no row needs the plan of the enrollments: that is left out, which is a third of the time of a large import.
    """
    files = [{"name": source.name, "sha256": source.digest()} for source in sources]
    digest = hashlib.sha256(json.dumps([files, asdict(choices)]).encode()).hexdigest()
    if as_planned is not None:
        _refuse_changes(as_planned, files, digest)
    present = repository.latest(digest)
    if present and present.state == service.APPLYING:
        return Planned(present.id, present.format, is_resumed=True)
    findings: list[Finding] = []  # about headers; those about rows come while they are staged
    format_, tables = formats.recognize(sources, formats.Options(findings.append, zone), choices.encoding)
    if choices.school is not None and not format_.has_schools:
        detail = f"The format is {format_.name}, which does not say of which school a row is. Leave out --school."
        raise FileRefused("", "no_schools", detail)
    values = {"format": format_.name, "digest": digest, "files": files, "options": asdict(choices)}
    import_id = service.start(values, present.id if present and present.state != service.APPLIED else None)
    rows = Stage(import_id, functools.partial(progress, READING))
    for finding in findings:
        rows.find(finding)
    tables = replace(tables, options=formats.Options(rows.find, zone, choices.school, choices.term))
    _stage(rows, format_.records(tables), create_missing=choices.create_missing)
    for source, file in zip(sources, files, strict=True):
        if source.digest() != file["sha256"]:
            raise FileRefused(source.name, "changed", "The file changed while it was read. Import it again.")
    service.set_state(import_id, service.PLANNING)
    drops, need_permission = _stage_drops(import_id, rows, choices) if choices.mode == "bulk" else (0, False)
    *others, enrolling = _handlers(import_id, choices, zone, is_planning=True)
    handlers = [*others, enrolling] if is_preview else others
    _run_all(import_id, handlers, functools.partial(progress, PLANNING), is_planning=True)
    service.set_state(import_id, service.PLANNED)
    return Planned(
        import_id,
        format_.name,
        drops=drops,
        drops_need_permission=need_permission,
        unchecked=enrolling.unchecked,
    )


def apply(planned: Planned, choices: Choices, zone: tzinfo, progress: Progress = lambda *_: None) -> None:
    """Do what was planned, row by row as the database is now. Safe to call again after it was killed."""
    service.set_state(planned.id, service.APPLYING)
    handlers = _handlers(planned.id, choices, zone, is_planning=False)
    _run_all(planned.id, handlers, functools.partial(progress, APPLYING), is_planning=False)
    service.set_state(planned.id, service.APPLIED)


def _refuse_changes(plan_id: int, files: Sequence[Mapping[str, str]], digest: str) -> None:
    """Raise `FileRefused` if the files or the choices are not those of a plan, or it was applied already."""
    present = repository.find(plan_id)
    if present is None or present.state == service.APPLIED:
        problem = f"There is no plan {plan_id}" if present is None else f"Plan {plan_id} has been applied already"
        detail = f"{problem}. Plan the import first, and use the id of that plan."
        raise FileRefused("", "no_such_plan", detail)
    if present.digest == digest:
        return
    planned_files = {file["name"]: file["sha256"] for file in present.files}
    changed = [file["name"] for file in files if planned_files.get(file["name"]) != file["sha256"]]
    name, subject = (changed[0], "The file has") if changed else ("", "The options have")
    detail = f"{subject} changed since plan {plan_id}. Plan the import again, and look at the new plan."
    raise FileRefused(name, "changed_since_plan", detail)


def _stage(rows: Stage, records: Iterable[Record], *, create_missing: bool) -> None:
    missing = Missing()
    for record in records:
        rows.add(record)
        if create_missing:
            missing.note(record)
    for record in missing.records():
        rows.add(record)
    rows.flush()


def _stage_drops(import_id: int, rows: Stage, choices: Choices) -> tuple[int, bool]:
    """Stage a drop for each enrollment that earlier imports made and the files no longer have.

    With one school of several, only in its courses, which the files must describe: enrollments of the others were left
    out. Return how many drops there are, and whether they need permission. Without any enrollment in the files there
    is none.
    """
    is_part = choices.school is not None
    missing = repository.missing(import_id, only_described=is_part)
    total = repository.imported_total(import_id, only_described=is_part)
    for enrollment in missing:
        values = {"student": enrollment.student, "course": enrollment.course, "status": "unenrolled"}
        rows.add(Record(kinds.ENROLLMENT_KIND, "not in the files", 0, values))
    rows.flush()
    by_course = Counter(enrollment.course for enrollment in missing)
    sizes = {enrollment.course: enrollment.of_course for enrollment in missing}
    halves = any(sizes[course] >= SMALL_COURSE and 2 * count >= sizes[course] for course, count in by_course.items())
    return len(missing), len(missing) > MOST_DROPS or len(missing) * SHARE_OF_DROPS > total or halves


def _handlers(
    import_id: int, choices: Choices, zone: tzinfo, *, is_planning: bool
) -> tuple[*tuple[Handler, ...], EnrollmentHandler]:
    """Return the handlers in the order in which they write; that of enrollments is the last."""
    context = RequestContext(caller=NamedActor(f"import:{import_id}"), time_zone=zone)
    return (
        *(handler(import_id, context) for handler in kinds.HANDLERS),
        EnrollmentHandler(import_id, context, choices.on_full, choices.rules == "refuse", is_planning),
    )


def _run_all(
    import_id: int, handlers: Sequence[Handler], progress: Callable[[int, int], object], *, is_planning: bool
) -> None:
    total = repository.total(import_id, [handler.kind.name for handler in handlers])
    for handler in handlers:
        for units in staging.batches(import_id, handler.kind):
            verdicts = _plan(handler, units) if is_planning else _apply_units(handler, units)
            with service.letting_others_write():
                service.record_outcomes(import_id, verdicts, applied=not is_planning)
            progress(sum(map(len, units)), total)


def _plan(handler: Handler, units: Sequence[Unit]) -> list[Verdict]:
    handler.load(units)
    return [verdict for unit in units for verdict in handler.decide(unit)]


def _apply_units(handler: Handler, units: Sequence[Unit]) -> list[Verdict]:
    """Decide again and write the rows that are left. What a killed call did last keeps the planned outcome."""
    unapplied = [unit for unit in units if not all(row.is_applied for row in unit)]
    planned = {row.number: row.outcome for unit in unapplied for row in unit if not row.is_applied}
    handler.load(unapplied)
    decided = [(unit, [verdict for verdict in handler.decide(unit) if verdict.number in planned]) for unit in unapplied]
    return [_as_planned(verdict, planned[verdict.number]) for verdict in handler.write_all(decided)]


def _as_planned(verdict: Verdict, planned: str | None) -> Verdict:
    if verdict.outcome == UNCHANGED and verdict.code in (None, NOT_ENROLLED) and planned in CHANGES:
        return Verdict(verdict.number, planned)
    return verdict


def is_refused(import_id: int) -> bool:
    """Return whether a row of an import was refused."""
    return any(outcome == REFUSE for _, outcome in repository.counts(import_id))
