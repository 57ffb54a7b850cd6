"""Hand-worked parts of the methods, their laws, and the builders."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, last_block
from dense.errors import InputError
from dense.methods.catalog import methods
from dense.methods.method import Method
from dense.methods.segmentation.base import LastBlockMethod, scaled_block
from dense.methods.segmentation.gem import self_grouped
from dense.methods.segmentation.maskclip import MaskCLIP, denoise_prompts, smooth_by_keys
from dense.methods.segmentation.protocol import SegmentProtocol
from dense.methods.segmentation.resclip import ResCLIP, feedback_links
from dense.methods.segmentation.sc_clip import SCCLIP, anomalies, mend
from dense.methods.segmentation.surgery import operate
from dense.methods.segmentor import build_segmentor
from dense.structures import Sample, TextClassifier
from tests.backbones.builders import build_siglip, images, tiny_vit
from tests.helpers import photo, tiny_backbone
from tests.methods.segmentation.made import words

SEGMENT = [row for row in methods("segment") if not row.trained]


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


# --- every method --------------------------------------------------------------------------------


@pytest.mark.parametrize("row", SEGMENT, ids=lambda row: row.name)
def test_predicts_and_tells_its_name(row: Method, backbone: CLIPBackbone) -> None:
    protocol = SegmentProtocol(short_side=32, crop=32, stride=16)
    segmentor = row.builder()(backbone, words(3), protocol=protocol)
    (got,) = segmentor.predict([Sample(photo(40, 60))])
    assert got.class_map.shape == (40, 60)
    assert got.confidence.std() > 1e-4
    assert segmentor.describe()["method"] == row.name.removesuffix("-refined")


@pytest.mark.parametrize("row", SEGMENT, ids=lambda row: row.name)
def test_each_picture_of_a_batch_stands_alone(row: Method) -> None:
    """A picture's scores do not depend on its companions, and traces are left untouched."""
    _, vit = tiny_vit(layers=12)
    method, classifier = row.builder()(tiny_backbone(), words(3)).method, words(3)
    batch = images(40, 48, batch=3)
    with torch.inference_mode():
        trace = vit.trace(batch)
        kept = [x.clone() for x in trace.entering]
        together = method.similarity(vit, trace, classifier)
        alone = torch.cat(
            [method.similarity(vit, vit.trace(image[None]), classifier) for image in batch]
        )
    assert all(torch.equal(a, b) for a, b in zip(kept, trace.entering, strict=True))
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "row",
    [row for row in SEGMENT if row.name not in ("sc-clip", "head-decomposition")],
    ids=lambda row: row.name,
)
def test_towers_without_class_token(row: Method) -> None:
    from dense.backbones.vit import DenseViT

    vit = DenseViT(build_siglip().visual).eval()
    method = row.builder()(tiny_backbone(), words(3)).method
    with torch.inference_mode():
        got = method.similarity(vit, vit.trace(images(32, 40)), words(3, 96))
    assert got.shape == (2, 3, 4, 5) and got.isfinite().all()


def test_sc_clip_needs_a_class_token() -> None:
    from dense.backbones.vit import DenseViT

    vit = DenseViT(build_siglip().visual).eval()
    with pytest.raises(InputError, match="SC-CLIP needs a tower with a class token"):
        SCCLIP().dense(vit, vit.trace(images(32, 32)))


def test_plain_equals_the_dense_forward(backbone: CLIPBackbone) -> None:
    batch = images(32, 40)
    for name in ("plain", "value", "qq+kk"):
        with torch.inference_mode():
            got = LastBlockMethod(last_block(name)).dense(backbone.vit, backbone.vit.trace(batch))
            expected = backbone.vit(batch, last_block(name)).dense
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_wrong_settings(backbone: CLIPBackbone) -> None:
    with pytest.raises(InputError, match=r"unknown setting of the method 'iteration'.*iterations"):
        build_segmentor(backbone, words(2), "gem", settings={"iteration": 3})
    with pytest.raises(InputError, match=r"unknown segment method 'sclpi'.*sclip"):
        build_segmentor(backbone, words(2), "sclpi")


# --- MaskCLIP ------------------------------------------------------------------------------------


def test_denoising_by_hand() -> None:
    """Scale 10: class 0 reaches 0.99, class 1 0.5 on the second patch, class 2 stays below."""
    similarity = torch.tensor([[[[1.0, 0.5]], [[0.5, 0.5]], [[0.3, 0.0]]]])
    got = denoise_prompts(similarity, words(3, logit_scale=10.0), 0.45)
    assert torch.equal(got[0, :2], similarity[0, :2])
    assert (got[0, 2] == -1).all()
    everything = denoise_prompts(similarity, words(3, logit_scale=0.01), 0.9)
    assert (everything[0, 0] != -1).any()  # the most confident class stays


def test_denoising_keeps_all_synonyms_of_a_class() -> None:
    similarity = torch.tensor([[[[1.0]], [[0.0]], [[0.2]]]])
    vocabulary = TextClassifier(torch.eye(3), ("a", "b"), torch.tensor([0, 0, 1]), 20.0)
    got = denoise_prompts(similarity, vocabulary, 0.5)
    assert got.flatten().tolist() == pytest.approx([1.0, 0.0, -1.0])


def test_smoothing_by_hand() -> None:
    """Two patches with equal keys share their mean, a third with an opposed key keeps its own."""
    similarity = torch.tensor([[[[0.2, 0.0, 0.1]], [[0.0, 0.1, 0.3]]]])
    keys = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]]])
    got = smooth_by_keys(similarity, keys, 10.0, 1.0)
    before = (10 * similarity).softmax(1)
    after = (10 * got).softmax(1)
    mean = before[..., :2].mean(-1, keepdim=True)
    torch.testing.assert_close(after[..., :2], mean.expand(-1, -1, -1, 2))
    torch.testing.assert_close(after[..., 2], before[..., 2])
    unsure = (10 * smooth_by_keys(similarity, keys, 10.0, 0.8)).softmax(1)
    torch.testing.assert_close(unsure[..., 0], before[..., 0])  # 0.88 is sure
    torch.testing.assert_close(unsure[..., 1], mean[..., 0])  # 0.73 is not


def test_refinements_that_are_off_change_nothing(backbone: CLIPBackbone) -> None:
    batch = images(32, 32)
    with torch.inference_mode():
        trace = backbone.vit.trace(batch)
        plain = LastBlockMethod(last_block("value")).similarity(backbone.vit, trace, words(3))
        assert torch.equal(MaskCLIP().similarity(backbone.vit, trace, words(3)), plain)


# --- GEM, CLIP Surgery, ResCLIP, SC-CLIP ---------------------------------------------------------


def test_grouping_with_great_sharpness_is_the_value_path() -> None:
    """Every token then attends to itself alone."""
    x, v = torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8)
    torch.testing.assert_close(self_grouped((x, -x), v, 1e4, 2), v, atol=1e-4, rtol=0)


def test_feature_surgery_is_the_long_way_round() -> None:
    """The paper's channel-wise product, weight and subtraction, then the sum over channels."""
    features = F.normalize(torch.randn(2, 5, 8), dim=-1)
    texts, whole = (F.normalize(torch.randn(n, 8), dim=-1) for n in (3, 2))
    picture = whole @ texts.T
    share = (2 * picture).softmax(-1)
    product = (
        features[:, :, None] * texts * (share / share.mean(-1, keepdim=True))[:, None, :, None]
    )
    expected = (product - product.mean(2, keepdim=True)).sum(-1)
    similarity = (features @ texts.T).transpose(1, 2)[..., None]
    got = operate(similarity, picture)[..., 0].transpose(1, 2)
    torch.testing.assert_close(got, expected)


def test_resclip_without_shares_is_naclip(backbone: CLIPBackbone) -> None:
    naclip = last_block("neighbourhood", residual=False, feed_forward=False)
    with torch.inference_mode():
        trace = backbone.vit.trace(images(32, 40))
        got = ResCLIP(gain=1.0, share=0.0).dense(backbone.vit, trace)
        expected = LastBlockMethod(naclip).dense(backbone.vit, trace)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_feedback_links_by_hand() -> None:
    """A row a b a with next to no blur: the ends are linked by exp(−2 / 2), the way is barred."""
    links = feedback_links(torch.tensor([[[0, 1, 0]]]), std=0.05)[0]
    far = torch.tensor(-1.0).exp()
    expected = torch.tensor([[1, 0, far], [0, 1, 0], [far, 0, 1]])
    torch.testing.assert_close(links, expected / expected.sum(1, keepdim=True))


def test_one_anomalous_token_is_found_and_mended() -> None:
    tokens = torch.zeros(1, 36, 4) + 0.01 * torch.randn(1, 36, 4, generator=torch.manual_seed(0))
    tokens[0, 14] = 5.0
    found = anomalies(tokens)
    assert found[0, 14] and found.sum() == 2  # 5 % of 36
    only = torch.zeros_like(found)
    only[0, 14] = True
    mended = mend(tokens, only, (6, 6))
    around = [7, 8, 9, 13, 15, 19, 20, 21]
    torch.testing.assert_close(mended[0, 14], tokens[0, around].mean(0))
    assert torch.equal(mended[0, :14], tokens[0, :14])
    assert not anomalies(torch.randn(2, 2, 4)).any()


def test_blocks_scale_with_depth() -> None:
    for layers, expected in ((12, [3, 8, 11]), (24, [7, 17, 23]), (3, [0, 1, 2])):
        _, vit = tiny_vit(layers=layers)
        assert [scaled_block(vit, block) for block in (3, 8, 11)] == expected
