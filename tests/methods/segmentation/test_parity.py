"""Features and scores against the authors' own code, run once and stored (see tests/reference)."""

from __future__ import annotations

import pytest
import torch

from dense.backbones import DenseViT, last_block
from dense.backbones.trace import Trace
from dense.methods.segmentation.base import LastBlockMethod
from dense.methods.segmentation.gem import GEM
from dense.methods.segmentation.resclip import ResCLIP, feedback_links
from dense.methods.segmentation.sc_clip import SCCLIP
from dense.methods.segmentation.surgery import CLIPSurgery
from dense.structures import TextClassifier
from tests.reference import segmentation_inputs as given
from tests.reference.stored import Stored

same = Stored("segmentation_methods.json").same
pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture(scope="module")
def trace(vit: DenseViT) -> Trace:
    with torch.no_grad():
        return vit.trace(given.pictures())


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
    read = method._read(vit, trace)
    same("resclip_feedback", method._pass(vit, trace, read, links))
