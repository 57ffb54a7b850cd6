"""What the tests say, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

FEWEST = 20
"""Decisions before anything is said."""


class Test(Protocol):
    """What is said something about."""

    @property
    def name(self) -> str: ...

    @property
    def limit(self) -> float: ...

    @property
    def highest(self) -> float: ...

    @property
    def then(self) -> float | None: ...

    @property
    def now(self) -> float | None: ...

    @property
    def alarm(self) -> bool: ...


def describe(test: str, known: int, split: bool) -> str:
    """What a test compares with what."""
    with_what = (
        f"{known} good parts of the calibration that passed, and with all earlier parts"
        if known
        else "all earlier parts, as the calibration "
        + ("kept none" if split else "scored its parts by other models than decide now")
    )
    return {
        "score": f"Scores of parts that passed, compared with {with_what}.",
        "distance": "How far pictures of parts that passed are, as a whole, from the nearest "
        f"support picture, compared with {with_what}.",
        "not-passed": "Share of parts that did not pass, compared with all earlier parts.",
    }[test]


def advise(product: str, version: int, decisions: int, tests: Sequence[Test]) -> str:
    """What to do, and why."""
    alarms = [test for test in tests if test.alarm]
    if alarms:
        why = " ".join(_why(test) for test in alarms)
        return f"{why} {_remedy(product, {test.name for test in alarms})}"
    if decisions < FEWEST:
        return (
            f"Too early to say: {decisions} decisions by version {version}, at least {FEWEST} "
            "are needed."
        )
    top = max(tests, key=lambda test: test.highest)
    return (
        f"No drift found in {decisions} decisions by version {version}: the strongest evidence "
        f"was {top.highest:.3g}, an alarm needs {top.limit:g}. Nothing to do."
    )


def _why(test: Test) -> str:
    then, now = test.then or 0.0, test.now or 0.0
    if test.name == "not-passed":
        moved = f"from {then:.1%} to {now:.1%}"
        return (
            f"The share of parts that do not pass changed ({moved}): defects come more or less "
            "often, or good parts look different."
        )
    if test.name == "distance":
        return (
            f"Pictures look different as a whole (median distance {then:.4g} before, {now:.4g} "
            "now): camera, light, background or the product itself changed."
        )
    if now > then:
        return (
            f"Good parts come closer to the threshold (median distance to it {-then:.4g} before, "
            f"{-now:.4g} now): more of them may be rejected than the guarantee promises."
        )
    return (
        f"Scores of parts fell (median distance to the threshold {-then:.4g} before, {-now:.4g} "
        "now): defects may pass that did not before; look for lost sharpness or contrast."
    )


def _remedy(product: str, names: set[str]) -> str:
    how = (
        "recalibrate on recent good parts: "
        f"dense product calibrate {product} --alpha SHARE --good DIR."
    )
    if names == {"not-passed"}:
        return f"Look at those that did not pass: if they are good, {how}"
    return (
        f"Look at camera, light and focus first. If the change is meant or stays, {how} Until then "
        "the guarantee does not hold."
    )
