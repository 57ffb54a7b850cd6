"""The embedding distance of decisions and calibrations, and the name of a calibration set."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from dense.inspection.calibration import change_alpha
from dense.inspection.fitting import pixel_digest, set_digest
from dense.inspection.order import Order
from dense.inspection.thresholds import Calibration
from tests.inspection.products import good, part, workshop


def test_a_split_calibration_keeps_what_its_parts_get_when_judged(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    shop.create(Order("nut", method="patch"), good(1, 2, 3, 4))
    parts = good(*range(10, 19))
    known = shop.calibrate("nut", alpha=0.1, good=parts).product.calibration
    assert known is not None
    judge = shop.judge("nut")
    judged = judge.judge_batch(
        [image for _, image in parts], [name for name, _ in parts], ["a" * 64] * len(parts)
    )
    assert known.distances == pytest.approx([one.distance for one in judged], abs=1e-6)
    assert min(known.distances) > 0
    itself = judge.judge(part(1), "support", "b" * 64)
    assert itself.distance == pytest.approx(0, abs=1e-6)
    assert itself.to_json()["distance"] == itself.distance
    assert known.pictures == set_digest(pixel_digest(image) for _, image in reversed(parts))
    assert Calibration.from_json(known.to_json()) == known
    other = change_alpha(known, 0.2)
    assert (other.distances, other.pictures) == (known.distances, known.pictures)


def test_leave_one_out_leaves_each_picture_out(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    record = shop.create(Order("nut", method="patch"), good(1, 2, 3, 4))
    known = shop.calibrate("nut", alpha=0.2).product.calibration
    assert known is not None and len(known.distances) == 4
    without = workshop(tmp_path / "other")
    without.create(Order("nut", method="patch"), good(2, 3, 4))
    alone = without.judge("nut").judge(part(1), "left out", "a" * 64)
    assert known.distances[0] == pytest.approx(alone.distance, abs=1e-6)
    assert known.pictures == set_digest(one.pixels for one in record.product.support)


def test_a_set_has_a_name_whatever_its_order() -> None:
    assert set_digest(["b", "a"]) == set_digest(["a", "b"]) == sha256(b"a\nb\n").hexdigest()
    assert set_digest(["a"]) != set_digest(["a", "a"])


def test_calibrations_of_before_have_neither() -> None:
    known = Calibration("split", 0.1, 1, {"": (1.0,)}, {"": (1.0,)}, {"": 1.0}, {"": 1.0})
    plain = known.to_json()
    del plain["distances"], plain["pictures"]
    assert Calibration.from_json(plain) == known
