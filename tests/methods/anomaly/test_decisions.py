"""Shares of a decision sum to the score that the inspector gives."""

from __future__ import annotations

import pytest
import torch

from dense.classifier import build_state_weights
from dense.errors import InputError
from dense.methods.anomaly.decisions import Decision, explain_decision, phrase_vectors
from dense.methods.catalog import find_method
from dense.prompts import StateWords
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone

BACKBONE = tiny_backbone()
GOOD = [Sample(photo(48, 64, seed=n), label=0) for n in range(2)]
BAD = Sample(photo(48, 64, seed=7))
STEERED = StateWords(("rust", "a deep scratch"), ("dust",))


def decide(name: str, shots: int, words: StateWords | None = None) -> tuple[Decision, float]:
    inspector = find_method(name, "inspect").builder()(BACKBONE, "metal nut", shots=shots)
    if words:
        inspector.steer(words)
    if shots:
        inspector.fit(GOOD[:shots])
    return explain_decision(inspector, BAD), inspector.predict([BAD])[0].score


@pytest.mark.parametrize("name", ["winclip", "winclip-fast", "patch", "words-memory"])
@pytest.mark.parametrize("shots", [0, 2])
def test_parts_sum_to_the_score(name: str, shots: int) -> None:
    decision, score = decide(name, shots)
    assert decision.score == pytest.approx(score, abs=1e-6)
    assert sum(decision.parts.values()) == pytest.approx(score, rel=1e-4, abs=1e-5)
    assert sum(share for _, share in decision.words) == pytest.approx(decision.evidence, abs=1e-4)
    for part in {patch.part for patch in decision.patches}:
        total = sum(patch.share for patch in decision.patches if patch.part == part)
        assert total == pytest.approx(decision.parts[part], rel=1e-4, abs=1e-5)
    for patch in decision.patches:
        x0, y0, x1, y1 = patch.box
        assert 0 <= x0 < x1 <= 64
        assert 0 <= y0 < y1 <= 48


def test_evidence_is_the_log_odds_of_the_score() -> None:
    decision, score = decide("winclip", 0)
    odds = torch.logit(torch.tensor(score, dtype=torch.float64))
    assert decision.evidence == pytest.approx(float(odds), abs=1e-3)


@pytest.mark.parametrize("words", [StateWords(), STEERED])
def test_phrases_sum_to_the_prototypes(words: StateWords) -> None:
    names, vectors = phrase_vectors(BACKBONE, "metal nut", state_words=words)
    normal, anomalous = build_state_weights(BACKBONE, "metal nut", state_words=words)
    assert len(names) == len(vectors)
    torch.testing.assert_close(vectors.sum(0), anomalous - normal, atol=1e-6, rtol=1e-5)
    if words:
        assert names[:2] == ["rust", "a deep scratch"]
        assert names[-1] == "dust"


def test_words_that_were_chosen_carry_the_decision() -> None:
    decision, score = decide("words-memory", 2, STEERED)
    assert sum(decision.parts.values()) == pytest.approx(score, rel=1e-4)
    assert dict(decision.words).keys() >= {"rust", "dust"}
    told = decision.plain(limit=3)
    assert len(told["words"]) == 3


def test_rarity_is_not_explained_as_if_it_were_words() -> None:
    with pytest.raises(InputError, match="words and rarity has no exact shares"):
        decide("words-rarity", 0)


def test_other_methods_have_no_exact_shares() -> None:
    inspector = find_method("subspace", "inspect").builder()(BACKBONE, "nut", shots=2).fit(GOOD)
    with pytest.raises(InputError, match="has no exact shares"):
        explain_decision(inspector, BAD)
