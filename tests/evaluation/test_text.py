"""Text figures of the card, against embeddings made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.evaluation import card
from dense.evaluation.card import CardSources, make_card
from dense.evaluation.text import HeldOutPhrases, read_held_out, text_cosine
from tests.helpers import tiny_backbone

CENTRE = 3.0
PHRASES = ("cat", "red dog")


class Echo:
    """A teacher whose centred embeddings are the tower's own features, by a factor."""

    def __init__(self, backbone: CLIPBackbone, factors: dict[str, float]) -> None:
        self.backbone, self.factors = backbone, factors
        self.width = backbone.encode_text(["x"]).shape[1]

    def encode(self, texts: Sequence[str]) -> Tensor:
        factors = torch.tensor([[self.factors[text]] for text in texts])
        return self.backbone.encode_text(list(texts)) * factors + CENTRE


def held_out(width: int) -> HeldOutPhrases:
    return HeldOutPhrases(torch.full((width,), CENTRE), {"names": PHRASES})


def test_the_teachers_centre_is_taken_off_and_lengths_do_not_count() -> None:
    backbone = tiny_backbone()
    echo = Echo(backbone, {"cat": 0.5, "red dog": 4.0})
    scores = text_cosine(backbone, echo, held_out(echo.width))["names"]  # type: ignore[arg-type]
    assert scores == {"cosine": pytest.approx(1, abs=1e-5), "top1": 100, "count": 2}


def test_a_phrase_turned_round_counts_as_missed() -> None:
    backbone = tiny_backbone()
    echo = Echo(backbone, {"cat": 1.0, "red dog": -1.0})
    scores = text_cosine(backbone, echo, held_out(echo.width))["names"]  # type: ignore[arg-type]
    assert scores["cosine"] == pytest.approx(0, abs=1e-5)
    assert scores["top1"] == 50


def test_another_width_is_refused() -> None:
    backbone = tiny_backbone()
    echo = Echo(backbone, {"cat": 1.0, "red dog": 1.0})
    with pytest.raises(InputError, match=r"centre of 5: the card's text figures are for models"):
        text_cosine(backbone, echo, held_out(5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"centre": [1]}', '{"centre": ["a"], "phrases": {"a": ["b"]}}'],
)
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "phrases.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"cannot read phrases from .*expected"):
        read_held_out(path)


@pytest.mark.parametrize("phrases", [{}, {"a": []}, {"a": [3]}])
def test_sets_without_phrases_are_refused(tmp_path: Path, phrases: dict[str, object]) -> None:
    path = tmp_path / "phrases.json"
    path.write_text(json.dumps({"centre": [0.0], "phrases": phrases}))
    with pytest.raises(InputError, match="has a set without phrases"):
        read_held_out(path)


def test_the_card_has_the_text_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = tiny_backbone()
    echo = Echo(backbone, dict.fromkeys(PHRASES, 2.0))
    monkeypatch.setattr(card, "minilm", lambda: echo)
    path = tmp_path / "phrases.json"
    path.write_text(json.dumps({"centre": [CENTRE] * echo.width, "phrases": {"names": PHRASES}}))
    rows = [row for row in make_card(backbone, CardSources(text=[path])) if row.task == "text"]
    assert [(row.data, row.metric, row.count) for row in rows] == [
        ("names", "cosine", 2),
        ("names", "top1", 2),
    ]
    assert rows[0].value == pytest.approx(1, abs=1e-5)


def test_the_packaged_phrases_fit_the_packaged_model() -> None:
    phrases = read_held_out(Path(__file__).parents[2] / "data" / "held_out_phrases.json")
    assert len(phrases.centre) == 384
    assert {name: len(texts) for name, texts in phrases.sets.items()} == {
        "class names": 185,
        "state phrases": 670,
        "prompts": 185,
        "rare nouns": 600,
    }
