"""Features and scores against the authors' own code, run once and stored (see tests/reference)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dense.backbones import DenseViT, last_block
from dense.backbones.trace import Trace
from dense.methods.segmentation.base import LastBlockMethod
from dense.methods.segmentation.gem import GEM
from dense.methods.segmentation.resclip import ResCLIP, feedback_links
from dense.methods.segmentation.sc_clip import SCCLIP
from dense.methods.segmentation.surgery import CLIPSurgery
from dense.structures import TextClassifier
from tests.reference import segmentation_inputs as given

STORED = Path(__file__).parents[2] / "reference" / "segmentation_methods.json"


@cache
def stored() -> dict[str, dict[str, list[float]]]:
    return json.loads(STORED.read_text())


def same(name: str, got: Tensor, *, atol: float = 2e-5) -> None:
    """Compare with the stored numbers; (B, D, gh, gw) is taken as (B, N, D)."""
    entry = stored()[name]
    rows = got.flatten(2).transpose(1, 2) if got.ndim == 4 and len(entry["shape"]) == 3 else got
    assert list(rows.shape) == entry["shape"]
    expected = torch.tensor(entry["values"])
    assert expected.std() > 1e-3
    torch.testing.assert_close(rows.flatten()[:: given.STEP], expected, atol=atol, rtol=1e-4)


@pytest.fixture(scope="module")
def vit() -> DenseViT:
    return DenseViT(given.model().visual).eval()


@pytest.fixture(scope="module")
def trace(vit: DenseViT) -> Trace:
    with torch.no_grad():
        return vit.trace(given.pictures())


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def test_naclip(vit: DenseViT, trace: Trace) -> None:
    block = last_block("neighbourhood", residual=False, feed_forward=False)
    same("naclip", LastBlockMethod(block).dense(vit, trace))


def test_sc_clip(vit: DenseViT, trace: Trace) -> None:
    same("sc_clip", SCCLIP().dense(vit, trace))


def test_gem(vit: DenseViT, trace: Trace) -> None:
    same("gem", GEM().dense(vit, trace))
    same("gem_twice", GEM(iterations=2).dense(vit, trace))


def test_clip_surgery(vit: DenseViT, trace: Trace) -> None:
    classifier = TextClassifier(given.texts(), ("a", "b", "c", "d"))
    same("clip_surgery", CLIPSurgery().dense(vit, trace))
    same("clip_surgery_scores", CLIPSurgery().similarity(vit, trace, classifier))


def test_resclip(vit: DenseViT) -> None:
    method, trace = ResCLIP(), vit.trace(given.pictures()[:1])
    same("resclip_residual", method.dense(vit, trace))
    links = feedback_links(given.labels()[None], 5.0)
    same("resclip_links", links)
    borrowed = method._borrowed(vit, trace)
    same("resclip_feedback", method._pass(vit, trace, borrowed, links))
