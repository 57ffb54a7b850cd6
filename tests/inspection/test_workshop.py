"""Products on a tiny model: laws of judging, calibration and undo, and what is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dense.errors import InputError
from dense.inspection.archive import export_product, import_product
from dense.inspection.audit import local_outlier_factors, robust_deviations
from dense.inspection.calibration import escape, folds_of, guarantee
from dense.inspection.decision import Decision
from dense.inspection.judge import Judge
from dense.inspection.keys import Keys
from dense.inspection.product import Product
from dense.inspection.team import Maker
from dense.inspection.view import View
from dense.inspection.workshop import Order, Workshop
from dense.methods.anomaly.tiles import Tiling
from dense.prompts import StateWords
from tests.helpers import photo, tiny_backbone
from tests.inspection.products import SIZE, backbone, good, part, scratched, workshop

WORDS = StateWords(("scratch", "dent"), ("oil",))


def decide(judge: Judge, *images: np.ndarray) -> list[Decision]:
    names = [f"{place}.png" for place in range(len(images))]
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    return judge.judge_batch(images, names, digests)


def told(decision: Decision) -> dict[str, object]:
    """What a decision says, but when and how fast."""
    content = decision.to_json()
    content.pop("judged_at"), content.pop("seconds")
    return content


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A product with words and a scale, calibrated on parts beside its support."""
    made = workshop(tmp_path_factory.mktemp("home"))
    made.create(Order("nut", state_words=WORDS, mm_per_pixel=0.5), good(1, 2, 3, 4))
    made.calibrate("nut", alpha=0.1, good=good(*range(10, 22)))
    return made


def test_a_defect_is_found_where_it_is(shop: Workshop) -> None:
    fine, bad = decide(shop.judge("nut"), part(50), scratched(51))
    assert fine.verdict == "pass" and fine.defects == () and fine.reasons == ()
    assert bad.verdict == "reject" and [reason.code for reason in bad.reasons] == ["defect"]
    assert bad.score is not None and bad.threshold is not None and bad.score > bad.threshold
    x, y = bad.defects[0].centre
    assert 50 <= x <= 94 and 30 <= y <= 64
    assert bad.defects[0].area_mm2 == pytest.approx(bad.defects[0].area_px / 4)
    assert set(bad.defects[0].words) == {"scratch", "dent"}
    evidence = bad.evidence
    assert evidence is not None and evidence.mask is not None
    assert evidence.mask.sum() == sum(defect.area_px for defect in bad.defects)
    total = sum(evidence.words.values())
    assert total.shape == SIZE and float(total.max()) <= 1 + 1e-5


def test_judging_is_repeatable_and_a_batch_is_its_pictures(shop: Workshop) -> None:
    judge, images = shop.judge("nut"), [part(50), scratched(51), photo(40, 40), part(52)]
    together = decide(judge, *images)
    assert [told(one) for one in together] == [told(one) for one in decide(judge, *images)]
    for place, decision in enumerate(together):
        name, digest = f"{place}.png", hashlib.sha256(images[place].tobytes()).hexdigest()
        alone = judge.judge(images[place], name, digest)
        assert (alone.id, alone.verdict) == (decision.id, decision.verdict)
        if alone.score is not None:
            assert alone.score == pytest.approx(decision.score, abs=1e-4)


def test_a_loaded_product_decides_as_the_fitted_one(shop: Workshop) -> None:
    """Its memory comes from a file, in another process as here in another workshop."""
    again = Workshop(shop.registry, backbones={"embedded": tiny_backbone()})
    left, right = (told(decide(one.judge("nut"), scratched(51))[0]) for one in (shop, again))
    assert left == right


def test_export_and_import_give_equal_decisions(shop: Workshop, tmp_path: Path) -> None:
    export_product(shop.registry, "nut", tmp_path / "nut.dense")
    other = workshop(tmp_path / "other")
    Keys(shop.registry.home / "keys").export_public(tmp_path / "key.pem")
    Keys(other.registry.home / "keys").trust(tmp_path / "key.pem")
    import_product(other.registry, tmp_path / "nut.dense")
    images = part(50), scratched(51)
    assert [told(one) for one in decide(shop.judge("nut"), *images)] == [
        told(one) for one in decide(other.judge("nut"), *images)
    ]


def test_undo_restores_decisions(shop: Workshop) -> None:
    before = [told(one) for one in decide(shop.judge("nut"), part(50), scratched(51))]
    shop.calibrate("nut", threshold=1e6)
    assert decide(shop.judge("nut"), scratched(51))[0].verdict == "pass"
    shop.registry.undo("nut")
    assert [told(one) for one in decide(shop.judge("nut"), part(50), scratched(51))] == before


def test_scores_stay_beside_a_threshold_by_hand(shop: Workshop) -> None:
    measured = shop.registry.get("nut").product.calibration
    made = shop.calibrate("nut", threshold=1.5).product.calibration
    assert measured is not None and made is not None
    assert made.scores == measured.scores and made.alpha is None
    assert made.thresholds == made.pixel_thresholds == {"": 1.5} and guarantee(made) is None
    assert shop.calibrate("nut", alpha=measured.alpha).product.calibration == measured
    shop.registry.undo("nut")
    shop.registry.undo("nut")


def test_another_alpha_needs_no_pictures(shop: Workshop) -> None:
    strict = shop.registry.get("nut").product.calibration
    loose = shop.calibrate("nut", alpha=0.5).product.calibration
    assert strict is not None and loose is not None
    assert loose.scores == strict.scores and loose.thresholds[""] < strict.thresholds[""]
    promise = guarantee(loose)
    assert promise is not None and promise.bound == pytest.approx(1 - 7 / 13)
    assert "12 good parts that the model had not seen" in promise.text
    with pytest.raises(InputError, match=r"cannot promise that at most 0.01"):
        shop.calibrate("nut", alpha=0.01)
    shop.registry.undo("nut")


def test_defect_examples_estimate_what_passes(shop: Workshop) -> None:
    examples = [("a", scratched(60)), ("b", scratched(61)), ("good", part(62))]
    known = shop.calibrate("nut", alpha=0.1, defects=examples).product.calibration
    assert known is not None
    found = escape(known)
    assert found is not None and (found.passed, found.examples) == (1, 3)
    assert found.interval[0] < 1 / 3 < found.interval[1]
    shop.registry.undo("nut")


@pytest.mark.parametrize(
    ("method", "folds", "members"), [("patch", None, 1), ("words-memory", None, 4), ("patch", 2, 2)]
)
def test_calibration_on_the_support_itself(
    tmp_path: Path, method: str, folds: int | None, members: int
) -> None:
    shop = workshop(tmp_path)
    shop.create(Order("nut", method=method), good(1, 2, 3, 4))
    record = shop.calibrate("nut", alpha=0.35, folds=folds)
    assert len(record.product.members) == members
    promise = guarantee(record.product.calibration)  # type: ignore[arg-type]
    assert promise is not None and promise.bound <= 0.35
    assert promise.method == ("cross" if folds else "leave-one-out")
    assert decide(shop.judge("nut"), scratched(9))[0].verdict == "reject"


def test_the_team_says_what_its_mildest_member_says(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    shop.create(Order("nut"), good(1, 2, 3))
    record = shop.calibrate("nut", alpha=0.3)
    team, image = shop.judge("nut").team, scratched(9)
    alone = []
    for place in range(3):
        one = replace(record.product, members=record.product.members[place : place + 1])
        alone.append(shop.fitting.team(one).read([image])[0].scores[""])
    assert team.read([image])[0].scores[""] == min(alone)


def test_regions_have_their_own_thresholds(tmp_path: Path) -> None:
    left, right = np.zeros(SIZE, np.bool_), np.zeros(SIZE, np.bool_)
    left[:, :40], right[:, 50:] = True, True
    shop = workshop(tmp_path)
    shop.create(Order("nut", view=View(SIZE, {"left": left, "right": right})), good(1, 2, 3, 4))
    known = shop.calibrate("nut", alpha=0.2, good=good(*range(10, 22))).product.calibration
    assert known is not None and set(known.thresholds) == {"left", "right"}
    promise = guarantee(known)
    assert promise is not None and "2 regions have an equal part" in promise.text
    bad = decide(shop.judge("nut"), scratched(51))[0]
    assert [(one.name, one.is_anomalous) for one in bad.regions][1] == ("right", True)
    assert {defect.region for defect in bad.defects} <= {"left", "right"}
    other = decide(shop.judge("nut"), photo(70, 90))[0]
    assert [reason.code for reason in other.reasons] == ["size"]


def test_what_lies_outside_the_regions_changes_nothing(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[:, :40] = True
    shop = workshop(tmp_path)
    shop.create(Order("nut", view=View(SIZE, {"left": mask})), good(1, 2, 3, 4))
    shop.calibrate("nut", alpha=0.2, good=good(*range(10, 16)))
    image = part(50)
    other = image.copy()
    other[:, 60:] = np.roll(other[:, 60:], 7, 0)
    left, right = decide(shop.judge("nut"), image, other)
    assert left.score == pytest.approx(right.score, abs=1e-5)


def test_long_pictures_in_tiles(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    band = [(name, np.tile(image, (1, 3, 1))) for name, image in good(1, 2, 3, 4)]
    shop.create(Order("band", view=View(tiling=Tiling("square"))), band)
    shop.calibrate("band", alpha=0.25)
    good_one = np.tile(part(9), (1, 3, 1))
    places = range(8, 272, 24)  # also on the seams of the tiles
    bad = [good_one.copy() for _ in places]
    for x, one in zip(places, bad, strict=True):
        one[20:44, x : x + 12] = 255 * (np.indices((24, 12)).sum(0) // 3 % 2)[..., None]
    fine, *decisions = decide(shop.judge("band"), good_one, *bad)
    assert fine.verdict == "pass"
    for x, decision in zip(places, decisions, strict=True):
        assert decision.verdict == "reject", x
        assert abs(decision.defects[0].centre[0] - (x + 6)) < 8, x


def test_what_cannot_be_judged_is_refused(shop: Workshop) -> None:
    small, dark = decide(shop.judge("nut"), photo(40, 40), (part(50) * 0.2).astype(np.uint8))
    assert [reason.code for reason in small.reasons] == ["size"] and small.score is None
    assert dark.verdict == "refused" and "dark" in {reason.code for reason in dark.reasons}


def test_another_product_is_refused_and_a_defect_is_not(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    shop.create(Order("nut"), good(1, 2, 3, 4))
    shop.calibrate("nut", alpha=0.1, good=good(*range(10, 22)))
    judge = shop.judge("nut")
    reasons = judge.traits.foreign(judge.team.read([part(9)])[0].feature, judge.record.gates, 0.6)
    assert [reason.code for reason in reasons] == ["foreign"]
    foreign = np.random.default_rng(0).normal(size=backbone().joint_dim).astype(np.float32)
    feature = torch.from_numpy(foreign / np.linalg.norm(foreign))
    gates = judge.record.gates
    assert judge.traits.foreign(feature, gates, 0.3) == []
    assert "picture as a whole is foreign" in judge.traits.foreign(feature, gates, 0.4)[0].text


def test_without_a_threshold_nothing_passes(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    shop.create(Order("nut", method="patch"), good(1))
    decision = decide(shop.judge("nut"), part(2))[0]
    assert decision.verdict == "refused" and decision.score is not None
    assert "dense product calibrate nut" in decision.reasons[0].text


def test_other_weights_are_told_and_calibrating_fits_anew(shop: Workshop) -> None:
    other = Workshop(shop.registry, backbones={"embedded": tiny_backbone(seed=1)})
    with pytest.raises(InputError, match=r"made with other weights .* calibrate nut"):
        other.judge("nut")
    record = other.calibrate("nut", alpha=0.2)
    assert record.product.weights == tiny_backbone(seed=1).fingerprint
    assert other.judge("nut").judge(part(50), "a", "0" * 64).score is not None
    shop.registry.undo("nut")
    assert shop.judge("nut").version == 2


def test_the_audit_names_a_bad_and_a_foreign_part(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    odd = [("scratched.png", scratched(7)), ("other.png", photo(*SIZE, seed=5))]
    shop.create(Order("nut", method="patch"), [*good(1, 2, 3, 4, 5, 6), *odd])
    found = {one.name: [kind for kind, _ in one.findings] for one in shop.audit("nut")}
    assert "bad part" in found["scratched.png"]
    assert "foreign" in found["other.png"]
    assert all(not kinds for name, kinds in found.items() if name.startswith("good"))


def test_the_audit_names_a_picture_that_comes_twice(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    shop.create(Order("nut", method="patch"), [*good(1, 2, 3), ("copy.png", part(2))])
    last = shop.audit("nut")[-1]
    assert ("twice", "is the same picture as good2.png") in last.findings


def test_audit_scores_by_hand() -> None:
    assert robust_deviations(np.array([1.0, 2.0, 3.0, 4.0, 50.0]))[-1] == pytest.approx(47 / 1.4826)
    square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [9.0, 0.5]])
    factors = local_outlier_factors(square)
    np.testing.assert_allclose(factors[:4], 1.0)
    far = np.sqrt(64.25)
    assert factors[4] == pytest.approx(far)


def test_a_product_as_json(shop: Workshop) -> None:
    product = shop.registry.get("nut").product
    assert Product.from_json(product.to_json()).to_json() == product.to_json()
    for key, value, match in (
        ("format", 99, "format 99"),
        ("support", [], "at least one good picture"),
        ("members", [{"support": [7], "bank": None}], "its own support pictures"),
        ("traits", "../x", "hexadecimal"),
        ("mm_per_pixel", -1.0, "above 0"),
        ("mm_per_pixel", "x", "finite number"),
        ("words", " ", "words for the product are blank"),
        ("gates", {}, "is broken"),
        ("gates", [], "expected an object"),
        ("look_for", "rust", "expected a list"),
        ("name", "a/b", "starts with a letter"),
    ):
        with pytest.raises(InputError, match=match):
            Product.from_json({**product.to_json(), key: value})


def test_folds() -> None:
    assert folds_of(5, None) == [[0], [1], [2], [3], [4]]
    assert folds_of(7, 3) == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(InputError, match="one support picture cannot be left out"):
        folds_of(1, None)
    with pytest.raises(InputError, match="2 to 4 folds, got 9"):
        folds_of(4, 9)


def test_refusals(shop: Workshop) -> None:
    with pytest.raises(InputError, match="there is a product 'nut' already"):
        shop.create(Order("nut"), good(1))
    with pytest.raises(InputError, match="expected at least one good picture"):
        shop.create(Order("new"), [])
    with pytest.raises(InputError, match="pictures of one size"):
        shop.create(Order("new", mm_per_pixel=1.0), [*good(1), ("x", photo(9, 9))])
    with pytest.raises(InputError, match="the regions are for pictures"):
        view = View((9, 9), {"a": np.ones((9, 9), np.bool_)})
        shop.create(Order("new", view=view), good(1))
    with pytest.raises(InputError, match="needs learned parts"):
        Maker(backbone(), "nut", "april-gan")(4)
    with pytest.raises(InputError, match="takes no support pictures"):
        Maker(backbone(), "nut", "clip-ad")(4)
    with pytest.raises(InputError, match="either alpha, or a threshold"):
        shop.calibrate("nut")
    with pytest.raises(InputError, match="folds are of the support"):
        shop.calibrate("nut", alpha=0.1, good=good(9), folds=2)
    with pytest.raises(InputError, match=r"good1.png is the support picture good1.png"):
        shop.calibrate("nut", alpha=0.1, good=good(1))
    with pytest.raises(InputError, match="the quality gates refuse them"):
        shop.calibrate("nut", alpha=0.1, good=[("x", np.zeros((*SIZE, 3), np.uint8))])
    with pytest.raises(InputError, match="finite number"):
        shop.calibrate("nut", threshold=float("inf"))
    judge = shop.judge("nut")
    with pytest.raises(InputError, match="uint8 RGB"):
        judge.judge(np.zeros((4, 4), np.uint8), "a", "0" * 64)
    with pytest.raises(InputError, match="needs its source"):
        judge.judge_batch([part(1)], [], [])
    assert shop.registry.names() == ["nut"]
