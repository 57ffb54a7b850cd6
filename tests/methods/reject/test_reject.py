"""Rejection methods: laws, thresholds from held-out pictures, CLIPN's second tower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dense.errors import InputError, NotFittedError
from dense.methods.catalog import find_method, methods
from dense.methods.reject.no_prompts import NoPromptsRejector, learned_no_encoder
from dense.structures import Sample
from tests.helpers import fill_by_formula, photo, tiny_backbone

NAMES = [method.name for method in methods("reject")]
LEARNING = ["mahalanobis", "gda", "vim"]


def known(count: int = 8, classes: int = 2) -> list[Sample]:
    return [
        Sample(photo(40, 56, n % classes) ^ np.uint8(n // classes), category=f"kind {n % classes}")
        for n in range(count)
    ]


def foreign(count: int = 4) -> list[Sample]:
    return [Sample(photo(40, 56, 50 + n)) for n in range(count)]


def make(name: str, **more):  # type: ignore[no-untyped-def]
    return find_method(name, "reject").builder()(tiny_backbone(), **more)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_finite_and_classes_come_from_folders(name: str) -> None:
    rejector = make(name, classes=["nut", "bolt"]).fit(known())
    results = rejector.predict(known()[:2] + foreign())
    assert all(np.isfinite(result.score) for result in results)
    assert {result.nearest for result in results} <= {"nut", "bolt"}
    assert all(isinstance(result.is_foreign, bool) for result in results)
    assert make(name).fit(known()).classes == ("kind 0", "kind 1")


@pytest.mark.parametrize("name", LEARNING)
def test_foreign_pictures_score_above_known_ones(name: str) -> None:
    rejector = make(name, classes=["nut", "bolt"]).fit(known(12))
    inside = [result.score for result in rejector.predict(known(12))]
    outside = [result.score for result in rejector.predict(foreign())]
    assert min(outside) > max(inside)


@pytest.mark.parametrize("name", LEARNING)
def test_learning_methods_ask_for_fit(name: str) -> None:
    with pytest.raises(NotFittedError, match="learns from known pictures: call fit"):
        make(name, classes=["nut"]).predict(foreign())


@pytest.mark.parametrize("name", ["mcm", "no-prompts"])
def test_methods_of_words_need_no_pictures(name: str) -> None:
    results = make(name, classes=["nut", "bolt"]).predict(foreign())
    assert all(0 <= result.score <= 1 and result.is_foreign is None for result in results)
    with pytest.raises(InputError, match="needs words for what is known"):
        make(name).predict(foreign())


def test_mcm_needs_two_classes() -> None:
    with pytest.raises(InputError, match="name at least two"):
        make("mcm", classes=["nut"]).predict(foreign())


@pytest.mark.parametrize(("accept", "passing"), [(0.5, 5), (0.8, 8), (0.99, 9)])
def test_the_threshold_lets_the_share_pass(accept: float, passing: int) -> None:
    """Rank ⌈(9 + 1) · accept⌉ of nine held-out scores, the largest at most."""
    rejector = make("mahalanobis", accept=accept).fit(known(9, classes=1))
    assert rejector.threshold is not None
    assert int((rejector.held_out < rejector.threshold).sum()) == passing


def test_a_fixed_threshold_stands() -> None:
    rejector = make("mahalanobis", threshold=3.0).fit(known())
    assert rejector.threshold == 3.0 and rejector.describe()["accept"] is None


def test_held_out_scores_are_above_those_seen() -> None:
    rejector = make("mahalanobis").fit(known(12))
    seen = [result.score for result in rejector.predict(known(12))]
    assert rejector.held_out.mean() > np.mean(seen)


def test_refusals() -> None:
    with pytest.raises(InputError, match="no known pictures"):
        make("mahalanobis").fit([])
    with pytest.raises(InputError, match="accept must lie between 0 and 1"):
        make("mahalanobis", accept=1.0)
    with pytest.raises(InputError, match="too few known pictures to hold some out"):
        make("mahalanobis").fit(known(2, classes=1))
    with pytest.raises(InputError, match=r"unknown rule 'at'.*atd"):
        NoPromptsRejector(tiny_backbone(), ["nut"], rule="at")  # type: ignore[arg-type]


def clipn_file(path: Path, **changed: torch.Tensor) -> Path:
    """A checkpoint in CLIPN's layout: the tiny model, and another text tower under ``_no``."""
    yes, no = tiny_backbone().model, tiny_backbone().model
    fill_by_formula(no, scale=0.7)
    state = {f"module.{key}": value for key, value in yes.state_dict().items()}
    for key, value in no.state_dict().items():
        head, _, rest = key.partition(".")
        if head not in ("visual", "logit_scale"):
            state[f"module.{head}_no.{rest}" if rest else f"module.{head}_no"] = value
    state["module.prompt_no"] = torch.linspace(-1, 1, 16 * 77 * 16).view(16, 77, 16)
    state.update({f"module.{key}": value for key, value in changed.items()})
    torch.save({"epoch": 10, "state_dict": state}, path)
    return path


def test_clipns_encoder_is_its_tower_with_the_mean_prompt_added(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    denier = learned_no_encoder(backbone, clipn_file(tmp_path / "c.pt"))
    expected = tiny_backbone().model
    fill_by_formula(expected, scale=0.7)
    prompt = torch.linspace(-1, 1, 16 * 77 * 16).view(16, 77, 16).mean(0)
    tokens = backbone.tokenizer(["a photo of a nut."])
    with torch.inference_mode():  # CLIPN's own forward, step by step
        x = expected.token_embedding(tokens) + expected.positional_embedding + prompt
        x = expected.ln_final(expected.transformer(x, attn_mask=expected.attn_mask))
        x = x[0, tokens[0].argmax()] @ expected.text_projection
        got = denier.encode_text(["a photo of a nut."], normalise=False)[0]
    torch.testing.assert_close(got, x, atol=1e-5, rtol=1e-5)
    result = make("no-prompts", classes=["nut"], weights=tmp_path / "c.pt").predict(foreign(1))[0]
    assert 0 <= result.score <= 1
    assert torch.equal(backbone.model.text_projection, tiny_backbone().model.text_projection)


def test_other_files_are_refused(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    plain = tmp_path / "plain.pt"
    torch.save(backbone.model.state_dict(), plain)
    with pytest.raises(InputError, match="not a CLIPN checkpoint of this model"):
        learned_no_encoder(backbone, plain)
    projection = torch.zeros_like(backbone.model.visual.proj)
    other = clipn_file(tmp_path / "o.pt", **{"visual.proj": projection})
    with pytest.raises(InputError, match="another image tower"):
        learned_no_encoder(backbone, other)
