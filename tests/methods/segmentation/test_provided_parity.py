"""Methods with second networks against the authors' own code, run once and stored."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dense.backbones import DenseViT
from dense.backbones.trace import Trace
from dense.methods.segmentation.cliper import CLIPer
from dense.methods.segmentation.corrclip import CorrCLIP
from dense.methods.segmentation.dinoiser import (
    CLIPDinoiser,
    DinoiserParts,
    DinoiserSettings,
    inner_tokens,
)
from dense.methods.segmentation.head_decomposition import HeadDecomposition
from dense.methods.segmentation.proxyclip import ProxyCLIP
from dense.methods.segmentation.trident import Trident
from dense.providers import Provider, Regions, View
from dense.structures import TextClassifier
from tests.reference import provided_inputs as outside
from tests.reference import segmentation_inputs as given
from tests.reference.stored import Stored

same = Stored("provided_methods.json").same
pytestmark = pytest.mark.usefixtures("no_gradients")


class Given(Provider):
    """Answers with prepared views, one picture at a time."""

    name = "given"

    def __init__(self, view: View) -> None:
        self.view = view
        self.shown = 0

    def look(self, vit: DenseViT, trace: Trace) -> View:
        count = len(trace.entering[0])
        rows = slice(self.shown, self.shown + count)
        self.shown += count
        parts = (self.view.features, self.view.queries, self.view.keys, self.view.values)
        return View(*(part[rows] for part in parts), self.view.inside)


class GivenRegions(Regions):
    def find(self, image: Tensor) -> Tensor:
        return outside.regions()


def test_proxyclip(vit: DenseViT) -> None:
    method = ProxyCLIP(Given(outside.view(2, outside.FINE, 1.3)))
    same("proxyclip", method.dense(vit, vit.trace(given.pictures())))


def test_trident(vit: DenseViT) -> None:
    windows = Given(outside.windows())
    whole = Given(outside.view(1, outside.WHOLE, 0.9))
    method = Trident(windows, whole, window=48, step=16)
    same("trident", method.dense(vit, vit.trace(outside.wide_picture())))


def test_corrclip(vit: DenseViT) -> None:
    from dense.backbones.preprocess import PreprocessConfig

    regions = GivenRegions("given", PreprocessConfig())
    method = CorrCLIP(Given(outside.view(1, outside.FINE, 1.3)), regions)
    same("corrclip", method.dense(vit, vit.trace(given.pictures()[:1])), atol=5e-5)


def test_cliper(vit: DenseViT) -> None:
    classifier = TextClassifier(given.texts(), ("a", "b", "c", "d"), logit_scale=50.0)
    method = CLIPer(None)
    got = method.similarity(vit, vit.trace(given.pictures()), classifier) * 50
    same("cliper", got.exp())


def test_head_decomposition(vit: DenseViT) -> None:
    texts, trace = given.texts(), vit.trace(given.pictures())
    dense = HeadDecomposition().dense(vit, trace)
    got = torch.einsum("bdhw,pd->bphw", dense, texts) / 36
    same("head_decomposition", got, atol=2e-6)


def test_clip_dinoiser(vit: DenseViT) -> None:
    settings = DinoiserSettings(width=outside.CONV)
    parts = DinoiserParts(given.WIDTH, settings)
    parts.load_state_dict(outside.convolutions())
    trace = vit.trace(given.pictures())
    same("clip_dinoiser", CLIPDinoiser(parts, settings).dense(vit, trace))
    _, foreground = parts(inner_tokens(vit, trace, -3))
    same("clip_dinoiser_foreground", foreground[:, None])
