"""AUROC and FPR95 of a rejector on pictures."""

from __future__ import annotations

import pytest

from dense.errors import InputError
from dense.evaluation.rejection import evaluate_rejection
from dense.methods.reject.mahalanobis import MahalanobisRejector
from dense.metrics import rejection_scores
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone


def samples(*seeds: int) -> list[Sample]:
    return [Sample(photo(32, 32, seed)) for seed in seeds]


def test_held_out_or_further_known_pictures_count() -> None:
    rejector = MahalanobisRejector(tiny_backbone()).fit(samples(*range(8)))
    foreign = samples(20, 21, 22)
    outside = [result.score for result in rejector.predict(foreign)]
    got = evaluate_rejection(rejector, foreign)
    expected = rejection_scores(rejector.held_out.tolist(), outside)
    assert {key: got[key] for key in expected} == expected
    assert (got["known"], got["foreign"]) == (8, 3)
    seen = evaluate_rejection(rejector, foreign, samples(*range(8)))
    assert seen["auroc"] > got["auroc"]


def test_without_known_pictures_there_is_nothing_to_compare() -> None:
    with pytest.raises(InputError, match="no known pictures to compare with"):
        evaluate_rejection(MahalanobisRejector(tiny_backbone()), samples(1))
