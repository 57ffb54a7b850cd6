"""Hand-worked parts of the methods, their laws, and the builders."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, last_block
from dense.backbones.blocks import run_block
from dense.backbones.dual_path import dual_path, parallel_outputs
from dense.errors import InputError
from dense.methods.catalog import methods
from dense.methods.method import Method
from dense.methods.segmentation.base import LastBlockMethod, scaled_block
from dense.methods.segmentation.gem import self_grouped
from dense.methods.segmentation.maskclip import MaskCLIP, denoise_prompts, smooth_by_keys
from dense.methods.segmentation.protocol import (
    PROTOCOLS,
    SCLIP_FAMILY,
    TCL_FAMILY,
    WHOLE,
    SegmentProtocol,
    find_protocol,
)
from dense.methods.segmentation.resclip import ResCLIP, feedback_links
from dense.methods.segmentation.sc_clip import SCCLIP, anomalies, mend
from dense.methods.segmentation.surgery import operate
from dense.methods.segmentor import OpenVocabSegmentor, build_segmentor
from dense.structures import Sample, TextClassifier
from tests.backbones.builders import build_siglip, images, tiny_vit
from tests.helpers import photo, tiny_backbone

SEGMENT = [row for row in methods("segment") if not row.trained]


def words(count: int, width: int = 16, **options: object) -> TextClassifier:
    rows = F.normalize(torch.sin(torch.arange(count * width).view(count, width) * 1.7), dim=-1)
    return TextClassifier(rows, tuple("abcdefgh"[:count]), **options)  # type: ignore[arg-type]


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


# --- second path ---------------------------------------------------------------------------------


def test_dual_path_in_independent_lines() -> None:
    """x_orig through open_clip's blocks; the second path sums value-value attention of it."""
    model, vit = tiny_vit(layers=4)
    batch = images(32, 40)
    with torch.inference_mode():
        got = dual_path(vit, batch, first=2, keep=(0, 2, -1))
        x = vit.tower.embed(batch)
        original, path = [], None
        for number, block in enumerate(model.visual.transformer.resblocks):
            if number >= 2:
                y = block.ln_1(x)
                v = F.linear(y, block.attn.in_proj_weight, block.attn.in_proj_bias).chunk(3, -1)[2]
                v = v.unflatten(-1, (2, 16)).transpose(1, 2)
                mixed = (v @ v.transpose(-1, -2) / 4).softmax(-1) @ v
                mixed = block.attn.out_proj(mixed.transpose(1, 2).flatten(2))
                path = (x if path is None else path) + mixed
            x = block(x)
            original.append(x)
            if number == 2:
                middle = path
    for place, number in enumerate((0, 2, 3)):
        torch.testing.assert_close(got.original[place], original[number], atol=1e-5, rtol=0)
    torch.testing.assert_close(got.parallel[0], original[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(got.parallel[1], middle, atol=1e-5, rtol=0)
    torch.testing.assert_close(got.parallel[2], path, atol=1e-5, rtol=0)
    torch.testing.assert_close(got.class_token, vit(batch).class_token, atol=1e-5, rtol=0)


def test_dual_path_passes_gradients_to_the_pictures() -> None:
    _, vit = tiny_vit()
    batch = images(32, 32).requires_grad_()
    dual_path(vit, batch, first=-2).parallel[0].sum().backward()
    assert batch.grad is not None and batch.grad.abs().sum() > 0


def test_second_path_of_the_last_block_is_the_last_block() -> None:
    _, vit = tiny_vit()
    with torch.inference_mode():
        trace = vit.trace(images(32, 32))
        (path,) = parallel_outputs(vit, trace, 2)
        block = last_block("vv", feed_forward=False)
        expected = vit(images(32, 32), block).patch_tokens
    torch.testing.assert_close(path[:, 1:], expected, atol=1e-5, rtol=0)


def test_missing_block() -> None:
    _, vit = tiny_vit()
    with pytest.raises(InputError, match="must start in a block of the tower, 0 to 2, got 3"):
        dual_path(vit, images(32, 32), first=3)
    with pytest.raises(InputError, match=r"kept blocks must be in 0 to 2, got \(5,\)"):
        dual_path(vit, images(32, 32), first=1, keep=(5,))


def test_trace_is_what_enters_each_block() -> None:
    _, vit = tiny_vit()
    with torch.inference_mode():
        trace, features = vit.trace(images(32, 32)), vit(images(32, 32), intermediates=(0, 1))
        for index, expected in enumerate(features.intermediates):
            tokens = trace.patches(index + 1).transpose(1, 2).unflatten(2, (4, 4))
            assert torch.equal(tokens, expected)
        last = run_block(vit.tower.blocks[-1], trace.entering[-1])
        torch.testing.assert_close(vit.pool(trace), vit.tower.pool(last), atol=1e-5, rtol=0)
    assert trace.prefix(0).shape == (2, 1, 32)


# --- GEM, CLIP Surgery, ResCLIP, SC-CLIP ---------------------------------------------------------


def test_grouping_with_great_sharpness_is_the_value_path() -> None:
    """Every token then attends to itself alone."""
    x, v = torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8)
    torch.testing.assert_close(self_grouped(x, v, 1e4, 2), v, atol=1e-4, rtol=0)


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


# --- protocol ------------------------------------------------------------------------------------


def test_presets() -> None:
    small, large = SCLIP_FAMILY, TCL_FAMILY
    assert (small.short_side, small.crop, small.stride, small.logit_scale) == (336, 224, 112, 40)
    assert (large.short_side, large.crop, large.stride, large.logit_scale) == (448, 448, 224, 100)
    assert find_protocol("whole") is WHOLE and set(PROTOCOLS) == {"whole", "sclip", "tcl"}
    with pytest.raises(InputError, match=r"unknown segmentation protocol 'slcip'.*sclip"):
        find_protocol("slcip")


def test_changes_show_in_the_name() -> None:
    assert SCLIP_FAMILY.changed() is not None and SCLIP_FAMILY.changed(crop=224).name == "sclip"
    changed = SCLIP_FAMILY.changed(short_side="original", threshold="otsu", refine=["pamr"])
    assert changed.name == "sclip, changed"
    assert (changed.short_side, changed.threshold, changed.refine) == (None, "otsu", ("pamr",))
    assert (changed.crop, changed.logit_scale) == (224, 40.0)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, "ostu"])
def test_thresholds_that_are_none(threshold: object) -> None:
    with pytest.raises(InputError, match=r'a probability in \[0, 1\] or "otsu", got'):
        SegmentProtocol(threshold=threshold)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="short_side must be 1 pixel or more, got -5"):
        SegmentProtocol(short_side=-5)


def test_card_names_all_that_changes_numbers(backbone: CLIPBackbone) -> None:
    from dense.classifier import build_text_classifier

    classifier = build_text_classifier(backbone, ["cat; kitten", "dog"], templates="plain")
    again = build_text_classifier(backbone, ["cat; kitten", "dog"], templates="short")
    other = build_text_classifier(backbone, ["cat", "dog"], templates="plain")
    protocol = SCLIP_FAMILY.changed(refine=["pamr", "vote"], threshold=0.1)
    card = build_segmentor(backbone, classifier, "resclip", protocol=protocol).describe()
    assert card["refine"] == ["pamr", "vote"]
    assert (card["logit_scale"], card["threshold"], card["templates"]) == (40.0, 0.1, "plain")
    assert (card["classes"], card["queries"], card["share"]) == (2, 3, 0.4)
    assert card["vocabulary"] == again.vocabulary != other.vocabulary


def test_scale_of_the_protocol_is_used(backbone: CLIPBackbone) -> None:
    """A smaller scale makes probabilities softer, and leaves the winners."""
    pictures = [Sample(photo(32, 32))]
    soft, sharp = (
        OpenVocabSegmentor(
            backbone, words(3), protocol=SegmentProtocol(short_side=32, logit_scale=scale)
        ).predict(pictures)[0]
        for scale in (5.0, 100.0)
    )
    assert (soft.class_map == sharp.class_map).all()
    assert soft.confidence.mean() < sharp.confidence.mean() - 0.1
