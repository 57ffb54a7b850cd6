"""Zero-shot weights: the mean of templates, synonyms, and the cache on disk."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.classifier import build_state_weights, build_text_classifier
from dense.errors import InputError
from dense.prompts import anomaly_prompts, make_class_list, template_set
from tests.helpers import tiny_backbone


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


def open_clip_features(backbone: CLIPBackbone, prompts: list[str]) -> torch.Tensor:
    with torch.inference_mode():
        return backbone.model.encode_text(backbone.tokenizer(prompts))


def test_weights_by_hand(backbone: CLIPBackbone) -> None:
    got = build_text_classifier(backbone, ["cat", "wooden table"], templates="short")
    for row, words in zip(got.weights, ("cat", "wooden table"), strict=True):
        prompts = [template.replace("{}", words) for template in template_set("short")]
        features = F.normalize(open_clip_features(backbone, prompts), dim=-1)
        torch.testing.assert_close(row, F.normalize(features.mean(0), dim=0), atol=1e-5, rtol=0)
    assert got.class_index is None
    assert got.logit_scale == pytest.approx(100.0)


def test_equals_open_clips_own_builder(backbone: CLIPBackbone) -> None:
    from open_clip import build_zero_shot_classifier

    names = ["cat", "dog", "sky"]
    theirs = build_zero_shot_classifier(
        backbone.model,
        backbone.tokenizer,
        names,
        [lambda c, t=t: t.replace("{}", c) for t in template_set("short")],
    )
    ours = build_text_classifier(backbone, names, templates="short").weights
    torch.testing.assert_close(ours, theirs.T, atol=1e-5, rtol=0)


def test_synonyms_keep_the_class_count(backbone: CLIPBackbone) -> None:
    entries = ["cat; kitten", "dog", "sky; clouds; horizon"]
    got = build_text_classifier(backbone, entries, templates="plain")
    assert got.num_classes == 3
    assert got.class_names == ("cat", "dog", "sky")
    assert got.class_index is not None
    assert got.class_index.tolist() == [0, 0, 1, 2, 2, 2]
    torch.testing.assert_close(got.weights.norm(dim=1), torch.ones(6))
    alone = build_text_classifier(backbone, ["clouds"], templates="plain")
    torch.testing.assert_close(got.weights[4], alone.weights[0], atol=1e-5, rtol=0)


def test_background_and_scale(backbone: CLIPBackbone) -> None:
    classes = make_class_list(["cat"], background=["wall", "floor"])
    got = build_text_classifier(backbone, classes, templates="none", logit_scale=40.0)
    assert got.background == 0
    assert got.class_names == ("background", "cat")
    assert got.logit_scale == 40.0


def test_class_order_is_row_order(backbone: CLIPBackbone) -> None:
    straight = build_text_classifier(backbone, ["a", "bb", "ccc"], templates="plain").weights
    turned = build_text_classifier(backbone, ["ccc", "a", "bb"], templates="plain").weights
    torch.testing.assert_close(turned, straight[[2, 0, 1]], atol=1e-5, rtol=0)


def test_texts_beyond_the_context_are_cut(backbone: CLIPBackbone) -> None:
    long = "very " * 200 + "long"
    got = backbone.encode_text([long, "cat"])
    expected = F.normalize(open_clip_features(backbone, [long, "cat"]), dim=-1)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_equal_texts_are_encoded_once(
    backbone: CLIPBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    tokenizer = backbone.tokenizer
    monkeypatch.setattr(backbone, "tokenizer", lambda t: seen.extend(t) or tokenizer(t))
    got = backbone.encode_text(["cat", "a dog", "cat"])
    assert sorted(seen) == ["a dog", "cat"]
    assert torch.equal(got[0], got[2])


def test_no_texts(backbone: CLIPBackbone) -> None:
    with pytest.raises(InputError, match="no texts to encode"):
        backbone.encode_text([])


def test_empty_class_list(backbone: CLIPBackbone) -> None:
    with pytest.raises(InputError, match="class list is empty"):
        build_text_classifier(backbone, [])


# --- cache ---------------------------------------------------------------------------------------


def test_cache_is_read_back(
    backbone: CLIPBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "made" / "here"
    first = build_text_classifier(backbone, ["cat", "dog"], templates="plain", cache_dir=cache)
    (file,) = cache.iterdir()
    monkeypatch.setattr(CLIPBackbone, "encode_text", lambda *_: pytest.fail("encoded again"))
    again = build_text_classifier(backbone, ["cat", "dog"], templates="plain", cache_dir=cache)
    assert torch.equal(first.weights, again.weights)
    assert list(cache.iterdir()) == [file]


def test_cache_key_is_the_content(backbone: CLIPBackbone, tmp_path: Path) -> None:
    def build(model: CLIPBackbone, classes: list[str], templates: str) -> torch.Tensor:
        return build_text_classifier(
            model, classes, templates=templates, cache_dir=tmp_path
        ).weights

    plain = build(backbone, ["cat", "dog"], "plain")
    other = build(tiny_backbone(seed=1), ["cat", "dog"], "plain")
    build(backbone, ["cat", "dog"], "none")
    build(backbone, ["cat", "dogs"], "plain")
    assert len(list(tmp_path.iterdir())) == 4
    assert (plain - other).abs().max() > 0.01
    build(backbone, ["cat;", "dog"], "plain")  # the same phrases
    assert len(list(tmp_path.iterdir())) == 4


def test_a_broken_cache_file_is_rebuilt(backbone: CLIPBackbone, tmp_path: Path) -> None:
    first = build_text_classifier(backbone, ["cat"], templates="plain", cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"torn")
    again = build_text_classifier(backbone, ["cat"], templates="plain", cache_dir=tmp_path)
    assert torch.equal(first.weights, again.weights)
    assert file.stat().st_size > 10


# --- states --------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", [True, False])
def test_state_prototypes_by_hand(backbone: CLIPBackbone, normalise: bool) -> None:
    got = build_state_weights(backbone, "nut", normalise=normalise)
    for row, prompts in zip(got, anomaly_prompts("nut"), strict=True):
        features = open_clip_features(backbone, prompts)
        features = F.normalize(features, dim=-1) if normalise else features
        torch.testing.assert_close(row, F.normalize(features.mean(0), dim=0), atol=1e-5, rtol=0)
    assert (got[0] - got[1]).abs().max() > 1e-3
