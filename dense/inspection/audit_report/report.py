"""From the facts to sections, the same for page and document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from dense import __version__
from dense.charts import Chart
from dense.inspection.audit_report.facts import Facts, gather
from dense.inspection.audit_report.plots import (
    evidence_chart,
    recent_chart,
    score_chart,
    verdict_chart,
)
from dense.inspection.store.registry import Registry
from dense.report import Entry, Figure, Section, Table, render_report

LATEST = 12
"""Feedback that is listed."""


@dataclass(frozen=True)
class AuditReport:
    """A report.

    Attributes:
        facts: What it tells.
    """

    facts: Facts

    @property
    def title(self) -> str:
        return f"Audit report: {self.facts.product.name}"

    @property
    def subtitle(self) -> str:
        facts = self.facts
        return (
            f"Version {facts.record.version} ({facts.product.words}), made "
            f"{_when(facts.record.made_at)}. Report of {_when(facts.made_at)} by dense "
            f"{__version__}."
        )

    @cached_property
    def sections(self) -> list[Section]:
        """The content."""
        return list(_sections(self.facts))

    @property
    def html(self) -> str:
        """One page that needs nothing else."""
        return render_report(
            self.title, self.sections, subtitle=self.subtitle, footer=_footer(self.facts)
        )

    @property
    def pdf(self) -> bytes:
        """The same as a document.

        Raises:
            MissingDependencyError: If reportlab is not installed.
        """
        from dense.inspection.audit_report.pdf import render_pdf

        return render_pdf(
            self.title, self.sections, subtitle=self.subtitle, footer=_footer(self.facts)
        )

    def to_json(self) -> dict[str, object]:
        """The facts as plain values."""
        return self.facts.to_json()


def audit_report(registry: Registry, name: str) -> AuditReport:
    """The report of a product's version in use; the log is verified for it.

    Raises:
        InputError: If there is no such product.
    """
    return AuditReport(gather(registry, name))


def _sections(facts: Facts) -> Iterator[Section]:
    yield _summary(facts)
    yield _calibration(facts)
    yield _decisions(facts)
    yield _feedback(facts)
    yield _drift(facts)
    yield _identity(facts)
    yield _support(facts)
    rows = [[str(one.version), _when(one.made_at), one.note] for one in facts.history]
    header = ["version", "made at", "what was done"]
    yield Section("Versions", table=Table(header, rows, words=True))
    yield _log(facts)
    yield Section("Software", "What made this report.", facts=list(facts.software))


def _summary(facts: Facts) -> Section:
    product, known = facts.product, facts.product.calibration
    promise = "none: there is no calibration yet"
    if facts.guarantee is not None:
        promise = facts.guarantee.text
    elif known is not None:
        promise = "none: the threshold was set by hand"
    log = f"sound: all {facts.log.entries} entries are as they were written"
    if not facts.log.ok:
        log = f"BROKEN at entry {facts.log.broken_at}: {facts.log.why}"
    files = f"all {facts.files} files have the hashes that name them"
    if facts.broken:
        files = f"DAMAGED: {len(facts.broken)} of {facts.files + len(facts.broken)} files"
    states = product.state_words
    rows = [
        ("product", f"{product.name}, version {facts.record.version}"),
        ("inspected as", product.words),
        ("looked for", ", ".join(states.look_for) or "anything unlike the good parts"),
        ("ignored", ", ".join(states.ignore) or "nothing"),
        ("guarantee", promise),
        ("decisions", _counts(facts.counts)),
        ("drift", facts.drift.advice),
        ("log", log),
        ("data", files),
    ]
    return Section("Summary", facts=rows)


def _calibration(facts: Facts) -> Section:
    known = facts.product.calibration
    if known is None:
        return Section("Calibration", "This product has no threshold yet: it refuses all pictures.")
    rows = [("scores of good parts", known.method), ("good parts", str(known.parts))]
    loss = "none: set by hand" if known.alpha is None else f"{known.alpha:g}"
    rows.append(("accepted loss of good parts (α)", loss))
    if facts.guarantee is not None:
        rows.append(("promised at most", f"{facts.guarantee.bound:.4g} of good parts"))
    rows.append(("refused by quality gates, not counted", str(known.refused)))
    for name, limit in known.thresholds.items():
        rows.append((f"threshold{f' of region {name}' if name else ''}", repr(limit)))
    rows.append(("calibration set (SHA-256)", known.pictures or "not kept by that version"))
    if facts.escape is not None:
        low, high = facts.escape.interval
        passed = f"{facts.escape.passed} of {facts.escape.examples}"
        rows.append(
            ("defective examples that pass", f"{passed}; 95 % interval {low:.1%} to {high:.1%}")
        )
    charts = [
        score_chart(known.scores[name], known.defects.get(name, ()), limit, name)
        for name, limit in known.thresholds.items()
        if known.scores.get(name)
    ]
    text = (
        "A part is rejected if its score is above the threshold. The promise is about good parts; "
        "how many defective parts pass is estimated from examples, where there are any."
    )
    return Section("Calibration", text, facts=rows, charts=charts)


def _decisions(facts: Facts) -> Section:
    if facts.period is None:
        return Section("Decisions", "Nothing was judged yet.")
    rows = [
        ("first", _when(facts.period[0])),
        ("last", _when(facts.period[1])),
        (f"by version {facts.record.version}", _counts(facts.counts_now)),
        ("by all versions", _counts(facts.counts)),
    ]
    table = None
    if facts.reasons:
        told = [[code, str(count)] for code, count in facts.reasons.items()]
        table = Table(["first reason of parts that did not pass", "decisions"], told)
    chart = verdict_chart(facts.counts)
    return Section("Decisions", facts=rows, charts=_some(chart), table=table)


def _feedback(facts: Facts) -> Section:
    if not facts.feedback:
        return Section("Feedback", "No person has said of a decision whether it was right.")
    kinds = [said.kind for said in facts.feedback]
    text = (
        f"People looked at {len(kinds)} decisions: {kinds.count('right')} were right, "
        f"{kinds.count('false-alarm')} were false alarms, {kinds.count('missed')} missed a defect. "
        "They choose what they look at, so these are no rates. The latest:"
    )
    rows = [
        [_when(said.made_at), said.kind, said.actor, said.note or "–", said.decision_id]
        for said in list(facts.feedback)[: -LATEST - 1 : -1]
    ]
    return Section(
        "Feedback", text, table=Table(["at", "said", "by", "note", "decision"], rows, words=True)
    )


def _drift(facts: Facts) -> Section:
    drift = facts.drift
    text = (
        f"{drift.advice} Three tests look at every decision, and may be looked at any time: if "
        "parts stay as they were, an alarm is ever raised in at most "
        f"{drift.alpha:.2g} of all calibrations (conformal test martingales, Ville's inequality)."
    )
    rows = [
        [
            test.name,
            f"{test.highest:.4g}",
            f"{test.limit:g}",
            f"alarm at entry {test.alarm_at}" if test.alarm else "no alarm",
        ]
        for test in drift.tests
    ]
    header = ["test", "highest evidence", "alarm at", "result"]
    charts = _some(recent_chart(drift), evidence_chart(drift))
    facts_of = [(test.name, test.text) for test in drift.tests]
    return Section(
        "Drift", text, facts=facts_of, charts=charts, table=Table(header, rows, words=True)
    )


def _identity(facts: Facts) -> Section:
    product = facts.product
    rows = [
        ("product (SHA-256)", facts.product_sha256),
        ("method", product.method),
        ("model", " ".join(filter(None, (product.model, product.pretrained)))),
        ("fingerprint of the weights", product.weights),
        ("traits file (SHA-256)", product.traits),
    ]
    for place, member in enumerate(product.members, start=1):
        number = f" {place}" if len(product.members) > 1 else ""
        rows.append((f"memory{number} (SHA-256)", member.bank or "fitted anew on the support"))
    if any(product.view.names):
        rows.append(("regions", ", ".join(product.view.names)))
    if product.mm_per_pixel is not None:
        rows.append(("millimetres a pixel", f"{product.mm_per_pixel:g}"))
    limits = product.gates.to_json()
    rows.append(
        ("quality gates", ", ".join(f"{n} {v:.4g}" for n, v in limits.items() if v is not None))
    )
    rows += [("DAMAGED", why) for why in facts.broken]
    text = (
        "Everything that a decision depends on. The product's hash is of its whole record: words, "
        "pictures, regions, gates, thresholds, weights."
    )
    return Section("Identity", text, facts=rows)


def _support(facts: Facts) -> Section:
    pictures = facts.product.support
    figures = [Figure(image, name) for name, image in facts.pictures]
    entries = [
        Entry(", ".join(figure.caption for figure in row), row)
        for row in (figures[start : start + 4] for start in range(0, len(figures), 4))
    ]
    rows = [[one.name, f"{one.size[1]} × {one.size[0]}", one.pixels] for one in pictures]
    header = ["file", "width × height", "SHA-256 of the pixels"]
    text = f"The {len(pictures)} good pictures that the product was made from."
    return Section("Support pictures", text, entries, Table(header, rows, words=True))


def _log(facts: Facts) -> Section:
    found = facts.log
    rows = [
        ("database", facts.home),
        ("entries", str(found.entries)),
        ("head (SHA-256)", found.head_hash),
        ("result", "sound" if found.ok else f"BROKEN at entry {found.broken_at}: {found.why}"),
    ]
    text = (
        "Every decision, feedback and change of a product is an entry whose hash covers that of "
        "the entry before. Verified for this report; to verify it again, and that it only grew "
        f"since: dense verify-log --head {found.head_hash}"
    )
    return Section("Log", text, facts=rows)


def _footer(facts: Facts) -> str:
    return f"{facts.product.name} v{facts.record.version}, log head {facts.log.head_hash}"


def _when(made_at: str) -> str:
    """ISO 8601 in UTC, for people."""
    return f"{made_at[:10]} {made_at[11:19]} UTC"


def _counts(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{total}: {told}" if total else "none"


def _some(*charts: Chart | None) -> list[Chart]:
    return [chart for chart in charts if chart is not None]
