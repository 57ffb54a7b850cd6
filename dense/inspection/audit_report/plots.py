"""The charts of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dense.charts import Anchor, Bar, Chart, Dot, Label, Line, Mark, Role, Scale, frame, legend
from dense.inspection.drift import DriftReport

WIDTH, HEIGHT = 720.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 708.0, 36.0, 196.0
BINS = 30
VERDICTS: Mapping[str, Role] = {"pass": "good", "reject": "bad", "refused": "warn"}  # nosec B105  # kinds of marks


def score_chart(
    good: Sequence[float], bad: Sequence[float], threshold: float, region: str
) -> Chart:
    """Scores of the calibration's good parts and of defective examples, and the threshold."""
    every = np.asarray([*good, *bad, threshold], float)
    low, high = float(every.min()), float(every.max())
    room = (high - low) * 0.04 or 0.01
    edges = np.linspace(low - room, high + room, BINS + 1)
    counts = {"good": np.histogram(good, edges)[0], "bad": np.histogram(bad, edges)[0]}
    most = max(int(count.max()) for count in counts.values())
    across, up = Scale(edges[0], edges[-1], _LEFT, _RIGHT), Scale(0, most * 1.1, _BOTTOM, _TOP)
    marks: list[Mark] = list(frame(across, up, left="parts", below="score"))
    roles: tuple[Role, ...] = ("accent", "bad")
    for (_, count), role in zip(counts.items(), roles, strict=True):
        for place, value in enumerate(count):
            if value:
                left, right = across(edges[place]), across(edges[place + 1])
                top = up(float(value))
                marks.append(Bar(left + 1, top, right - left - 2, _BOTTOM - top, role, 0.75))
    at = across(threshold)
    marks.append(Line([(at, _TOP), (at, _BOTTOM)], "ink", 1.6, dashed=True))
    side: Anchor = "end" if at > (_LEFT + _RIGHT) / 2 else "start"
    marks.append(
        Label(
            at + (-6 if side == "end" else 6), _TOP + 10, f"threshold {threshold:.4g}", side, "ink"
        )
    )
    names: list[tuple[str, Role]] = [(f"{len(good)} good parts", "accent")]
    names += [(f"{len(bad)} defective examples", "bad")] if bad else []
    marks += legend(names, _RIGHT, 16)
    where = f", region {region}" if region else ""
    return Chart(WIDTH, HEIGHT, f"Scores of the calibration{where}.", tuple(marks))


def verdict_chart(counts: Mapping[str, int]) -> Chart | None:
    """Shares of verdicts as one bar; ``None`` without decisions."""
    total = sum(counts.values())
    if not total:
        return None
    marks, left = list[Mark](), 0.0
    for verdict, role in VERDICTS.items():
        width = WIDTH * counts.get(verdict, 0) / total
        if width:
            marks.append(Bar(left, 0, max(width - 2, 1), 22, role))
        left += width
    names: list[tuple[str, Role]] = [
        (f"{verdict} {counts.get(verdict, 0)} ({counts.get(verdict, 0) / total:.1%})", role)
        for verdict, role in VERDICTS.items()
    ]
    marks += legend(names, WIDTH, 42)
    return Chart(WIDTH, 50, f"Verdicts of all {total} decisions.", tuple(marks))


def recent_chart(drift: DriftReport) -> Chart | None:
    """Scores of the latest decisions against threshold and calibration; ``None`` without any."""
    scores, seq = drift.series.get("score", []), drift.series.get("seq", [])
    verdicts = [str(verdict) for verdict in drift.series.get("verdict", [])]
    known = [float(score) for score in scores if isinstance(score, float)]
    if not known:
        return None
    threshold, levels = drift.calibration.get("threshold"), drift.calibration["score_quantiles"]
    band = [float(value) for value in dict(levels).values()]  # type: ignore[call-overload]
    lines = [*band, *([float(threshold)] if isinstance(threshold, float) else [])]
    low, high = min([*known, *lines]), max([*known, *lines])
    room = (high - low) * 0.08 or 0.01
    across = Scale(0, max(1, len(scores) - 1), _LEFT, _RIGHT)
    up = Scale(low - room, high + room, _BOTTOM, _TOP)
    names = Scale(float(str(seq[0])), float(str(seq[-1])), _LEFT, _RIGHT)
    marks: list[Mark] = []
    if band:
        top, bottom = up(max(band)), up(min(band))
        marks.append(Bar(_LEFT, top, _RIGHT - _LEFT, bottom - top, "accent", 0.14))
    marks += frame(names, up, left="score", below="log entry (first and last at the ends)")
    if isinstance(threshold, float):
        at = up(threshold)
        marks.append(Line([(_LEFT, at), (_RIGHT, at)], "ink", 1.4, dashed=True))
    for place, (score, verdict) in enumerate(zip(scores, verdicts, strict=True)):
        if isinstance(score, float):
            marks.append(Dot(across(place), up(score), VERDICTS[verdict]))
    marks += legend([*VERDICTS.items(), ("threshold (dashed)", "ink")], _RIGHT, 16)
    shaded = "; shaded: 5 to 95 % of the calibration's good parts that pass" if band else ""
    return Chart(WIDTH, HEIGHT, f"The latest {len(scores)} decisions{shaded}.", tuple(marks))


def evidence_chart(drift: DriftReport) -> Chart | None:
    """How the evidence of the drift tests grew; ``None`` without decisions."""
    curves = [(test.name, test.curve) for test in drift.tests if test.curve]
    if not curves:
        return None
    limit = drift.tests[0].limit
    values = [value for _, curve in curves for _, value in curve]
    seqs = [seq for _, curve in curves for seq, _ in curve]
    across = Scale(min(seqs), max(seqs), _LEFT, _RIGHT)
    up = Scale(min(0.1, *values), max(limit * 10, *values), _BOTTOM, _TOP, log=True)
    marks: list[Mark] = list(frame(across, up, left="evidence against 1", below="log entry"))
    roles: tuple[Role, ...] = ("accent", "warn", "good")
    for (_, curve), role in zip(curves, roles, strict=False):
        marks.append(Line([(across(seq), up(value)) for seq, value in curve], role, 1.8))
    at = up(limit)
    marks.append(Line([(_LEFT, at), (_RIGHT, at)], "bad", 1.4, dashed=True))
    marks.append(Label(_RIGHT, at - 5, f"alarm at {limit:g}", "end", "bad"))
    marks += legend(
        [(name, role) for (name, _), role in zip(curves, roles, strict=False)], _RIGHT, 16
    )
    return Chart(WIDTH, HEIGHT, "Evidence for drift since this version was made.", tuple(marks))
