"""Results in the terminal: a row a class, or a row a score where there are no classes."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from dense.engine.tables import print_report

REST = {"protocol": {"method": "x"}, "seconds": 2.0, "samples": 4}


def printed(**report: object) -> list[list[str]]:
    out = StringIO()
    print_report({**REST, **report}, Console(file=out, width=80))  # type: ignore[typeddict-item]
    return [line.replace("┃", " ").replace("│", " ").split() for line in out.getvalue().split("\n")]


def test_classes_come_before_their_mean() -> None:
    lines = printed(per_class={"cat": {"iou": 40.0}, "dog": {"iou": 60.0}}, overall={"miou": 50.0})
    assert [line for line in lines if line[:1] == ["cat"]] == [["cat", "40.00"]]
    assert ["overall", "50.00"] in lines


def test_scores_without_classes_have_a_line_each() -> None:
    overall = {f"score_{number}": float(number) for number in range(30)}
    lines = printed(per_category={}, overall={**overall, "none": float("nan")})
    assert [f"score_{number}" for number in range(30)] == [
        line[0] for line in lines if len(line) == 2 and line[0].startswith("score_")
    ]
    assert ["none", "-"] in lines
