"""Phrases: seeded, without held-out words; keywords; tables of text features."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from dense.datasets.captions import CaptionRecord
from dense.datasets.defects import KINDS
from dense.errors import InputError
from dense.training.keywords import BACKGROUND_PRIOR, keywords_of
from dense.training.phrases import PhraseCounts, build_phrases
from dense.training.text_table import StateTable, TextTable
from tests.training.made import tiny_sentences

FEW = PhraseCounts(2, 1, 1, 1, 20, 10, 10)


def test_phrases_are_seeded_and_keep_their_secret() -> None:
    first = build_phrases(["quokka", "wombat"], classes=["heron"], counts=FEW, held_out=0.2, seed=3)
    again = build_phrases(["wombat", "quokka"], classes=["heron"], counts=FEW, held_out=0.2, seed=3)
    assert first == again
    assert first != build_phrases(["quokka", "wombat"], counts=FEW, held_out=0.2, seed=4)
    assert first.names and len(first.states) == 2 * len(first.names)
    said = set(re.findall("[a-z]+", " ".join(first.train).lower()))
    for name in first.names:
        assert not set(re.findall("[a-z]+", name.lower())) <= said
    assert all(0 < len(phrase) <= 220 for phrase in first.train)
    assert len(set(first.train)) == len(first.train)


def test_nothing_is_held_out_if_asked() -> None:
    corpus = build_phrases(["quokka"], captions=["a whole sentence."], counts=FEW, held_out=0.0)
    assert corpus.names == ()
    assert {"quokka", "a whole sentence."} <= set(corpus.train)
    with pytest.raises(InputError, match="got 1"):
        build_phrases(["quokka"], held_out=1.0)


def record(*texts: str, kind: str) -> CaptionRecord:
    return CaptionRecord(Path("x"), texts, kind)


def likely(words: dict[str, float]) -> list[str]:
    return [word for word, prior in words.items() if prior == 1.0]


def test_keywords() -> None:
    assert set(keywords_of(record("sky people", "sky", "people", kind="tags"))) == {"person", "sky"}
    captions = ("two dogs on grass", "a dog runs on grass", "a boy plays")
    assert likely(keywords_of(record(*captions, kind="caption"))) == ["grass"]
    assert likely(keywords_of(record("two dogs", "a boy", kind="caption"))) == ["dog", "person"]
    assert "building" in keywords_of(record("street", kind="class"))
    mug = keywords_of(record("mug", kind="class"), objects=["mug"])
    assert likely(mug) == ["cup", "mug"]  # itself and what it is a kind of
    assert mug["wall"] == BACKGROUND_PRIOR
    assert keywords_of(record("trinket", kind="class")) == {}


def test_text_table() -> None:
    encode = tiny_sentences().encode
    table = TextTable(encode, ["b", "a", "b"])
    torch.testing.assert_close(table(["b", "a", "b"]), encode(["b", "a", "b"]))
    assert not list(table.state_dict())
    with pytest.raises(InputError, match="does not hold 'c'"):
        table(["c"])
    with pytest.raises(InputError, match="at least one text"):
        TextTable(encode, [])


def test_state_table() -> None:
    table = StateTable(tiny_sentences().encode, ["screw", "tile"])
    pair = table(["tile", "screw"])
    assert pair.shape == (2, 2, 8)
    torch.testing.assert_close(pair.norm(dim=-1), torch.ones(2, 2))
    torch.testing.assert_close(table(["screw", "tile"]), pair.flip(0))
    assert table.kinds_of(["screw"]).shape == (1, len(KINDS), 8)
    drawn = [
        table(["tile"], generator=torch.Generator().manual_seed(seed))[0, 0] for seed in range(12)
    ]
    assert any(not torch.allclose(row, pair[0, 0]) for row in drawn)
    with pytest.raises(InputError, match="does not hold 'gear'"):
        table(["gear"])
