"""Hand-worked parts of the methods with second networks, and their builders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dense.backbones import CLIPBackbone
from dense.backbones.blocks import attend
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.methods.learned_files import save_learned
from dense.methods.segmentation import cliper, dinoiser, proxyclip, trident
from dense.methods.segmentation.cliper import CLIPer, contrasted, level_scores
from dense.methods.segmentation.corrclip import merge_regions, regional_attention
from dense.methods.segmentation.dinoiser import CLIPDinoiser, DinoiserParts, DinoiserSettings
from dense.methods.segmentation.dinoiser_training import DinoiserTraining, foreground_of
from dense.methods.segmentation.head_decomposition import HeadDecomposition, contributions
from dense.methods.segmentation.proxyclip import ProxyCLIP, proxy_attention
from dense.methods.segmentation.trident import Trident, gated_attention
from dense.providers import View
from dense.providers.clip import OwnBlocks
from dense.structures import Sample, TextClassifier
from tests.backbones.builders import build_siglip, images, tiny_vit
from tests.helpers import photo, tiny_backbone
from tests.reference import provided_inputs as outside


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


@pytest.fixture(autouse=True)
def no_gradients(request: pytest.FixtureRequest):
    with torch.set_grad_enabled("loss" in request.node.name):
        yield


# --- affinities ----------------------------------------------------------------------------------


def test_proxy_attention_by_hand() -> None:
    """Mean 0.4: cut 1 keeps what is above it; each row's own patch stays even when nothing is."""
    similarity = torch.tensor([[[1.0, 0.5, -0.6], [0.5, 1.0, 0.3], [-0.6, 0.3, 1.2]]])
    got = proxy_attention(similarity, 1.0, 2.0)
    first = torch.tensor([1.2, 0.2]).softmax(0)
    expected = torch.tensor([[first[0], first[1], 0], [first[1], first[0], 0], [0, 0, 1]])
    torch.testing.assert_close(got[0], expected)
    assert torch.equal(proxy_attention(similarity, 9.0, 2.0)[0], torch.eye(3))


def test_open_gate_is_the_mean_attention() -> None:
    view = outside.view(2, (3, 4), 1.3)
    low = gated_attention(replace(view, values=torch.ones_like(view.values)), 0.5)
    mean = torch.stack([view.attention(0), view.attention(1)]).mean(0)
    torch.testing.assert_close(low, mean / mean.sum(-1, keepdim=True))
    shut = gated_attention(replace(view, values=torch.randn(2, 2, 12, 64)), 99.0)
    torch.testing.assert_close(shut, torch.eye(12).expand(2, -1, -1))  # the bound is 0.9 at most


def test_trident_of_one_window_is_proxyclip_linked_once_more(backbone: CLIPBackbone) -> None:
    """Where the aggregator links every patch with itself alone, ProxyCLIP is left."""

    class Itself(OwnBlocks):
        def look(self, vit: DenseViT, trace: object) -> View:
            view = super().look(vit, trace)  # type: ignore[arg-type]
            return replace(view, values=torch.eye(17)[None, None].expand(2, 2, -1, -1))

    trace = backbone.vit.trace(images(32, 32))
    proxy = ProxyCLIP(OwnBlocks()).dense(backbone.vit, trace)
    got = Trident(OwnBlocks(), Itself(), window=32, gate=99.0).dense(backbone.vit, trace)
    torch.testing.assert_close(got, proxy, atol=1e-5, rtol=1e-5)


# --- CorrCLIP ------------------------------------------------------------------------------------


def test_like_regions_merge() -> None:
    """Regions 4 and 9 point the same way, 7 another; what is of no region stays so."""
    labels = torch.tensor([[4, 4, 7], [9, -1, 7]])
    features = torch.tensor([[[1.0, 1, 0], [0.9, 1, 0]], [[0.0, 0.1, 1], [0.1, 0, 1]]])
    assert merge_regions(labels, features, 0.2).tolist() == [[0, 0, 1], [0, -1, 1]]
    assert torch.equal(merge_regions(labels, features, 0.0), labels)
    assert merge_regions(labels, features, 2.0).tolist() == [[0, 0, 0], [0, -1, 0]]


def test_attention_stays_in_its_region() -> None:
    """Two patches of a region share; the one of none reads what is above the mean (0.5)."""
    similarity = torch.tensor(
        [[[1.0, 0.2, 0.6, 0.3], [0.2, 1, 0.1, 0.7], [0.6, 0.1, 1, 0.1], [0.3, 0.7, 0.1, 1]]]
    )
    got = regional_attention(similarity, torch.tensor([[0, 0, 1, -1]]))
    pair = (4 * torch.tensor([1.0, 0.2])).softmax(0)
    three = (4 * torch.tensor([0.2, 1, 0.7])).softmax(0)
    none = (4 * torch.tensor([0.7, 1])).softmax(0)
    torch.testing.assert_close(got[0, 0], torch.tensor([pair[0], pair[1], 0, 0]))
    torch.testing.assert_close(got[0, 1], torch.tensor([three[0], three[1], 0, three[2]]))
    torch.testing.assert_close(got[0, 2], torch.tensor([0.0, 0, 1, 0]))
    torch.testing.assert_close(got[0, 3], torch.tensor([0, none[0], 0, none[1]]))


# --- CLIPer, head decomposition ------------------------------------------------------------------


def test_contrast_by_hand() -> None:
    """Symmetric part [[.8 .2] [.2 .8]], columns' mean .5: the diagonal is left."""
    got = contrasted(torch.tensor([[0.8, 0.1], [0.3, 0.8]])[None, None])
    torch.testing.assert_close(got[0, 0], torch.eye(2))


def test_common_query_is_of_the_foreground_alone() -> None:
    weights = torch.eye(3)
    classifier = TextClassifier(weights, ("bg", "a"), torch.tensor([0, 0, 1]), 2.0, background=0)
    dense = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    expected = torch.tensor([0.0, 0.0, 2.0, 2.0]).softmax(0)[:3]
    torch.testing.assert_close(level_scores(dense, classifier).flatten(), expected)


def test_compensation_by_unlinked_patches_changes_nothing(backbone: CLIPBackbone) -> None:
    """Where all similarities are the same, the cut is above them: each patch keeps its score."""

    class Alike(OwnBlocks):
        def look(self, vit: DenseViT, trace: object) -> View:
            view = super().look(vit, trace)  # type: ignore[arg-type]
            rows = torch.ones_like(view.features)
            return replace(view, features=rows)

    trace = backbone.vit.trace(images(32, 32))
    classifier = TextClassifier(torch.eye(16)[:3], ("a", "b", "c"))
    plain = CLIPer(None).similarity(backbone.vit, trace, classifier)
    compensated = CLIPer(Alike())
    spread = compensated.similarity(backbone.vit, trace, classifier)
    assert plain.flatten(2).std(-1).min() > 1e-4
    torch.testing.assert_close(spread, plain, atol=1e-5, rtol=1e-4)


def test_contributions_add_up_to_the_class_token() -> None:
    _, vit = tiny_vit()
    block, x = vit.tower.blocks[1], vit.trace(images(32, 40)).entering[1]
    q, k, v = block.qkv(x)
    expected = block.attention_branch(attend(q[:, :, :1], k, v))
    torch.testing.assert_close(contributions(block, x).sum(1, keepdim=True), expected)


def test_last_blocks_alone_say_less() -> None:
    """Contributions are a sum over blocks: all of them are the first ones plus the last."""
    _, vit = tiny_vit()
    trace = vit.trace(images(32, 32))
    whole, last = (HeadDecomposition(n).dense(vit, trace) for n in (0, 1))
    assert (whole - last).abs().max() > 1e-3
    torch.testing.assert_close(HeadDecomposition(99).dense(vit, trace), whole)


def test_decomposition_needs_a_class_token() -> None:
    vit = DenseViT(build_siglip().visual).eval()
    with pytest.raises(InputError, match="head-decomposition needs an open_clip tower"):
        HeadDecomposition().dense(vit, vit.trace(images(32, 32)))


# --- CLIP-DINOiser -------------------------------------------------------------------------------


def test_foreground_by_hand() -> None:
    """Patch 2 correlates with itself and 3 alone: these two are the object."""
    alike = torch.tensor([[1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]]).bool()
    assert foreground_of(alike[None]).tolist() == [[False, False, True, True]]


def test_uncertain_ground_is_background(backbone: CLIPBackbone) -> None:
    """A foreground logit of −1 everywhere sends what is uncertain to all background words."""
    settings = DinoiserSettings(width=8, certain=0.9)
    parts = DinoiserParts(32, settings)
    torch.nn.init.zeros_(parts.foreground.weight)
    torch.nn.init.constant_(parts.foreground.bias, -1.0)
    rows = torch.eye(16)[:3]
    vocabulary = TextClassifier(rows, ("bg", "a"), torch.tensor([0, 0, 1]), 20.0, background=0)
    trace = backbone.vit.trace(images(32, 32))
    method = CLIPDinoiser(parts, settings)
    got = method.similarity(backbone.vit, trace, vocabulary)
    without = method.similarity(backbone.vit, trace, replace(vocabulary, background=None))
    first = (20 * without).softmax(1)
    uncertain = torch.maximum(first[:, :2].amax(1), first[:, 2]) < 0.9
    assert uncertain.any() and not uncertain.all()
    assert (got[:, :2].movedim(1, 0)[:, uncertain] == 1).all()
    assert torch.equal(got[:, 2], without[:, 2])
    assert torch.equal(got.movedim(1, 0)[:, ~uncertain], without.movedim(1, 0)[:, ~uncertain])
    torch.nn.init.constant_(parts.foreground.bias, 1.0)
    assert torch.equal(method.similarity(backbone.vit, trace, vocabulary), without)


def test_loss_reaches_the_convolutions_alone(backbone: CLIPBackbone) -> None:
    torch.manual_seed(0)
    student = DinoiserTraining(backbone, OwnBlocks(), settings=DinoiserSettings(width=8), side=35)
    assert student.side == 32
    losses = student.loss([Sample(photo(40, 60)), Sample(photo(50, 40, seed=1))])
    assert set(losses) == {"loss_correlation", "loss_foreground"}
    sum(losses.values()).backward()  # type: ignore[union-attr]
    names = {name for name, p in student.named_parameters() if p.grad is not None}
    assert names == {f"learned.{n}" for n, _ in student.learned.named_parameters()}
    assert all(p.grad is None for p in backbone.parameters())
    before = float(losses["loss_correlation"])
    for _ in range(30):
        optimizer = torch.optim.SGD(student.parameters(), lr=1.0)
        optimizer.zero_grad()
        after = student.loss([Sample(photo(40, 60)), Sample(photo(50, 40, seed=1))])
        sum(after.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    assert float(after["loss_correlation"]) < before - 1e-3


def test_learned_parts_come_back(backbone: CLIPBackbone, tmp_path: Path) -> None:
    student = DinoiserTraining(backbone, OwnBlocks(), settings=DinoiserSettings(0.3, 0.8, 8, -2))
    save_learned(tmp_path / "l.safetensors", student)
    method = dinoiser.read(str(tmp_path / "l.safetensors"), backbone)
    assert method.settings == student.settings and method.origin == "l.safetensors"
    for name, value in student.learned.state_dict().items():
        assert torch.equal(method.parts.state_dict()[name], value)
    vocabulary = TextClassifier(torch.eye(16)[:2], ("a", "b"))
    student.classifier = vocabulary
    segmentor = dinoiser.build(backbone, vocabulary, weights=str(tmp_path / "l.safetensors"))
    sample = Sample(photo(40, 60))
    expected = student.predict([sample])[0].class_map
    assert (segmentor.predict([sample])[0].class_map == expected).all()
    assert segmentor.describe()["learned"] == "l.safetensors"
    assert student.describe()["teacher"] == "clip"


def test_dinoiser_without_what_it_needs(backbone: CLIPBackbone, tmp_path: Path) -> None:
    vocabulary = TextClassifier(torch.eye(16)[:2], ("a", "b"))
    with pytest.raises(InputError, match=r"configs/train/clip_dinoiser_embedded\.py"):
        dinoiser.build(backbone, vocabulary)
    with pytest.raises(InputError, match="no such checkpoint"):
        dinoiser.build(backbone, vocabulary, weights=str(tmp_path / "gone.safetensors"))
    with pytest.raises(InputError, match="no vocabulary to predict with"):
        DinoiserTraining(backbone, OwnBlocks()).predict([Sample(photo(32, 32))])


# --- builders ------------------------------------------------------------------------------------


def test_sources_are_settings(backbone: CLIPBackbone) -> None:
    vocabulary = TextClassifier(torch.eye(16)[:2], ("a", "b"))
    made = proxyclip.build(backbone, vocabulary, cut=1.5)
    assert (made.describe()["provider"], made.describe()["cut"]) == ("clip", 1.5)
    assert cliper.build(backbone, vocabulary).describe()["provider"] is None
    assert cliper.build(backbone, vocabulary, provider="clip").describe()["provider"] == "clip"
    with pytest.raises(InputError, match=r"unknown setting of the method 'cuts'.*cut"):
        proxyclip.build(backbone, vocabulary, cuts=1.5)
    with pytest.raises(InputError, match=r"unknown provider 'dyno-b8'.*dino-b8"):
        proxyclip.build(backbone, vocabulary, provider="dyno-b8")
    with pytest.raises(InputError, match=r"aggregator_weights"):
        trident.build(backbone, vocabulary, aggregator="sam-b")
    with pytest.raises(InputError, match="proxyclip needs a second network"):
        proxyclip.build(backbone, vocabulary, provider="none").predict([Sample(photo(32, 32))])
