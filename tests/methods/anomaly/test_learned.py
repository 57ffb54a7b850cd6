"""Laws of the trained methods, their files, and their refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import PreprocessConfig
from dense.errors import InputError
from dense.methods.anomaly import adaclip, anomalyclip, april_gan, clip_ad, hybrid_prompts
from dense.methods.anomaly.learned import LearnedInspector
from dense.methods.anomaly.training import InspectorTraining, defect_mask
from dense.methods.catalog import find_method
from dense.methods.learned_files import fill_learned, read_published, save_learned
from dense.structures import Sample
from tests.backbones.builders import build, tiny_timm_config
from tests.helpers import photo, tiny_backbone
from tests.methods.anomaly.published import (
    adaclip_file,
    anomalyclip_file,
    april_gan_file,
    backbone,
)
from tests.reference import learned_inputs as made

import open_clip  # isort: skip

Maker = Callable[[CLIPBackbone], LearnedInspector]
PRODUCTS = {"a": "metal nut", "b": "screw"}


def april(clip: CLIPBackbone, size: int = 1) -> LearnedInspector:
    settings = april_gan.AprilGanSettings(input_size=32)
    return april_gan.AprilGanInspector(clip, PRODUCTS, settings=settings, batch_size=size)


def sdp_plus(clip: CLIPBackbone, size: int = 1) -> LearnedInspector:
    settings = replace(clip_ad.SDP_PLUS, sigma=2.0)
    return clip_ad.ClipAdInspector(clip, PRODUCTS, settings=settings, batch_size=size)


def agnostic(clip: CLIPBackbone, size: int = 1) -> LearnedInspector:
    settings = anomalyclip.AnomalyCLIPSettings(input_size=32)
    return anomalyclip.AnomalyCLIPInspector(clip, PRODUCTS, settings=settings, batch_size=size)


def hybrid(clip: CLIPBackbone, size: int = 1) -> LearnedInspector:
    settings = adaclip.AdaCLIPSettings(input_size=32, clusters=2)
    return adaclip.AdaCLIPInspector(clip, PRODUCTS, settings=settings, batch_size=size)


MAKERS = [april, sdp_plus, agnostic, hybrid]


def samples(count: int = 3) -> list[Sample]:
    return [Sample(photo(40, 56, n), category="ab"[n % 2]) for n in range(count)]


def labelled() -> list[Sample]:
    mask = np.zeros((40, 56), np.bool_)
    mask[:20, :28] = True
    good, bad = samples(2)
    return [replace(good, mask=np.zeros_like(mask), label=0), replace(bad, mask=mask, label=1)]


@pytest.mark.parametrize("make", MAKERS)
def test_results_do_not_depend_on_the_batch_size(make: Callable[..., LearnedInspector]) -> None:
    torch.manual_seed(0)
    one, many = make(tiny_backbone(), 1), make(tiny_backbone(), 3)
    many.learned.load_state_dict(one.learned.state_dict())
    for left, right in zip(one.predict(samples()), many.predict(samples()), strict=True):
        assert left.anomaly_map.shape == (40, 56)
        assert left.score == pytest.approx(right.score, abs=1e-5)
        np.testing.assert_allclose(left.anomaly_map, right.anomaly_map, atol=1e-5)


@pytest.mark.parametrize("make", MAKERS)
def test_training_moves_every_learned_part_and_nothing_else(make: Maker) -> None:
    torch.manual_seed(0)
    clip = tiny_backbone()
    frozen = clip.fingerprint
    training = InspectorTraining(make(clip))
    before = {key: value.clone() for key, value in training.state_dict().items()}
    optimizer = torch.optim.Adam(training.parameters(), lr=1e-2)
    sums = []
    for _ in range(12):
        training.predict(samples(1))  # validation in between leaves the gradients alone
        loss = torch.stack(list(training.loss(labelled()).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums.append(float(loss))
    assert sums[-1] < 0.9 * sums[0]
    for key, value in training.state_dict().items():
        assert not torch.equal(value, before[key]), key
    del clip.fingerprint
    assert clip.fingerprint == frozen
    assert training.describe()["learned"] == "in training"


@pytest.mark.parametrize("make", MAKERS)
def test_runs_on_a_timm_tower_with_attention_pooling(make: Maker) -> None:
    config = tiny_timm_config()
    config["text_cfg"] |= {"context_length": 77, "vocab_size": 49408}
    model = build(config)
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    clip = CLIPBackbone(model, tokenizer, PreprocessConfig(), name="timm").eval()
    for result in make(clip).predict(samples()):
        assert np.isfinite(result.anomaly_map).all() and np.ptp(result.anomaly_map) > 0


@pytest.mark.parametrize("make", MAKERS)
def test_own_files_bring_everything_back(make: Maker, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = make(tiny_backbone())
    path = tmp_path / "learned.safetensors"
    save_learned(path, first, {"trained_on": "test"})
    again = find_method(first.name, "inspect").builder()(tiny_backbone(), PRODUCTS, weights=path)
    assert again.settings == first.settings
    for left, right in zip(first.predict(samples()), again.predict(samples()), strict=True):
        np.testing.assert_allclose(left.anomaly_map, right.anomaly_map, atol=1e-6)
    builder = find_method(first.name, "inspect").builder()
    with pytest.raises(InputError, match=r"trained on the model 'tiny'.*train the parts again"):
        builder(tiny_backbone(seed=1), PRODUCTS, weights=path)
    half = tiny_backbone().to(torch.bfloat16)  # another hash, but the same model by name
    assert np.isfinite(builder(half, PRODUCTS, weights=path).predict(samples(1))[0].score)
    half.name = "other"
    with pytest.raises(InputError, match="does not fit 'other'"):
        builder(half, PRODUCTS, weights=path)


class TestPublishedFiles:
    def test_april_gan(self, tmp_path: Path) -> None:
        path = april_gan_file(tmp_path / "visa_pretrained.pth")
        inspector = april_gan.build(backbone(), "nut", weights=path)
        assert inspector.layers == made.LAYERS and inspector.input_size == (72, 72)
        expected = made.april_gan_published()["fc.2.weight"]
        assert torch.equal(inspector.learned.layers[2].weight, expected)

    def test_clip_ad_turns_the_leak_on(self, tmp_path: Path) -> None:
        path = april_gan_file(tmp_path / "train_on_visa.pth", "linear_layers")
        inspector = clip_ad.build(backbone(), "nut", weights=path)
        assert inspector.settings.leak and inspector.describe()["method"] == "CLIP-AD SDP+"
        with pytest.raises(InputError, match="no entry 'linear_layers'"):
            clip_ad.build(backbone(), "nut", weights=april_gan_file(tmp_path / "other.pth"))

    def test_anomalyclip(self, tmp_path: Path) -> None:
        path = anomalyclip_file(tmp_path / "epoch_15.pth")
        inspector = anomalyclip.build(backbone(), "nut", weights=path)
        assert (inspector.settings.context, inspector.settings.deep_depth) == (12, 4)
        expected = made.anomalyclip_published()
        assert torch.equal(inspector.learned.anomalous, expected["ctx_neg"][0, 0])
        assert torch.equal(inspector.learned.deep[1], expected["compound_prompts_text.1"])

    def test_adaclip(self, tmp_path: Path) -> None:
        path = adaclip_file(tmp_path / "pretrained_mvtec_colondb.pth")
        learned = adaclip.build(backbone(), "nut", weights=path).learned
        expected = made.adaclip_published()
        name = "clip_model.text_prompter.static_prompts.1"  # that of the first block is not read
        assert torch.equal(learned.static_text[0], expected[name])
        assert len(learned.static_text) == 2 and len(learned.static_image) == 3

    def test_other_layouts_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.pth"
        torch.save({"trainable_linearlayer": {"head.weight": torch.zeros(2)}}, path)
        with pytest.raises(InputError, match="does not hold linear layers"):
            april_gan.published_state(path)
        torch.save({"prompt_learner": {"ctx_pos": torch.zeros(1, 1, 12, 8)}}, path)
        with pytest.raises(InputError, match=r"not a prompt learner.*missing"):
            anomalyclip.published_state(path)
        torch.save({"clip_model.x": torch.zeros(2)}, path)
        with pytest.raises(InputError, match="not a file of AdaCLIP"):
            hybrid_prompts.published_state(path)
        adaclip_file(path, {**made.adaclip_published(), "clip_model.new": torch.zeros(1)})
        with pytest.raises(InputError, match="unknown 'new'"):
            hybrid_prompts.published_state(path)

    def test_files_that_could_run_code_or_are_broken(self, tmp_path: Path) -> None:
        path = tmp_path / "x.pth"
        torch.save({"prompt_learner": Path("x")}, path)
        with pytest.raises(InputError, match="could run code"):
            read_published(path)
        path.write_bytes(b"nothing")
        with pytest.raises(InputError, match=r"corrupt|could run code"):
            read_published(path)
        torch.save({"a": 1}, path)
        with pytest.raises(InputError, match="not a state dict"):
            read_published(path)


class TestRefusals:
    def test_wrong_places_and_suffixes(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file of learned parts"):
            april_gan.build(tiny_backbone(), "nut", weights=tmp_path / "gone.pth")
        (tmp_path / "a.bin").write_bytes(b"")
        with pytest.raises(InputError, match=r"come as .safetensors"):
            april_gan.build(tiny_backbone(), "nut", weights=tmp_path / "a.bin")
        with pytest.raises(InputError, match=r"written as .safetensors"):
            save_learned(tmp_path / "a.pth", april(tiny_backbone()))

    def test_files_of_others(self, tmp_path: Path) -> None:
        path = tmp_path / "a.safetensors"
        save_learned(path, april(tiny_backbone()))
        with pytest.raises(InputError, match="parts of april-gan, not of anomalyclip"):
            anomalyclip.build(tiny_backbone(), "nut", weights=path)
        notes = {"method": "april-gan", "fingerprint": tiny_backbone().fingerprint}
        notes["precision"] = "torch.float32"
        save_file({"x": torch.zeros(1)}, path, {**notes, "settings": '{"colour": 1}'})
        with pytest.raises(InputError, match=r"does not describe its settings.*colour"):
            april_gan.build(tiny_backbone(), "nut", weights=path)
        path.write_bytes(b"nothing")
        with pytest.raises(InputError, match="corrupt safetensors"):
            april_gan.build(tiny_backbone(), "nut", weights=path)

    def test_parts_of_another_shape(self, tmp_path: Path) -> None:
        path = april_gan_file(tmp_path / "a.pth")
        with pytest.raises(InputError, match="do not fit this model"):
            april_gan.build(tiny_backbone(), "nut", weights=path)
        with pytest.raises(InputError, match="1 unknown"):
            fill_learned(torch.nn.Identity(), {"x": torch.zeros(1)}, path)

    def test_sizes_and_contexts(self) -> None:
        with pytest.raises(InputError, match="multiple of the patch"):
            settings = april_gan.AprilGanSettings(input_size=30)
            april_gan.AprilGanInspector(tiny_backbone(), "nut", settings=settings)
        with pytest.raises(InputError, match="leave no room for words"):
            long = anomalyclip.AnomalyCLIPSettings(context=75)
            anomalyclip.AnomalyCLIPInspector(tiny_backbone(), "nut", settings=long)

    def test_training(self) -> None:
        with pytest.raises(InputError, match="nothing to train"):
            settings = clip_ad.ClipAdSettings()
            method = clip_ad.ClipAdInspector(tiny_backbone(), "nut", settings=settings)
            InspectorTraining(method).loss(labelled())
        with pytest.raises(InputError, match="has no mask"):
            defect_mask(Sample(photo(), label=1), (8, 8))

    def test_support_where_it_has_no_use(self) -> None:
        with pytest.raises(InputError, match="takes no support images"):
            agnostic(tiny_backbone()).fit(samples(1))


def test_masks_keep_what_covers_half_a_pixel() -> None:
    mask = np.zeros((4, 4), np.bool_)
    mask[:2, :2], mask[3, 3] = True, True
    small = defect_mask(Sample(photo(4, 4), mask=mask), (2, 2))
    assert small.tolist() == [[True, False], [False, False]]
    assert not defect_mask(Sample(photo(4, 4)), (2, 2)).any()


def test_a_remembered_image_adds_no_distance() -> None:
    inspector = april(tiny_backbone())
    probe = samples(1)
    plain = inspector.predict(probe)[0]
    known = inspector.fit(probe).predict(probe)[0]
    np.testing.assert_allclose(known.anomaly_map, plain.anomaly_map / 2, atol=1e-6)
    assert inspector.describe()["shots"] == [1]


def test_anomalyclip_reads_no_product() -> None:
    torch.manual_seed(0)
    inspector = agnostic(tiny_backbone())
    left, right = inspector.predict([replace(samples(1)[0], category=c) for c in "ab"])
    np.testing.assert_array_equal(left.anomaly_map, right.anomaly_map)
    normed = replace(inspector.settings, class_norm=True)  # type: ignore[type-var]
    other = anomalyclip.AnomalyCLIPInspector(tiny_backbone(), "nut", settings=normed)
    other.learned.load_state_dict(inspector.learned.state_dict())
    assert abs(other.predict(samples(1))[0].score - left.score) > 1e-6
