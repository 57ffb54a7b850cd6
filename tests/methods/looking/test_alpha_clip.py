"""Alpha-CLIP: the authors' features, their files, and what is refused; its training step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from dense.classifier import build_text_classifier
from dense.datasets import DetectionFolder
from dense.errors import InputError
from dense.methods.looking.alpha_clip import (
    AlphaCLIP,
    alpha_channels,
    alpha_tower,
    read_alpha,
    save_alpha,
)
from dense.methods.looking.alpha_training import AlphaSettings, AlphaTraining
from dense.methods.looking.answers import classify
from dense.methods.looking.ask import build_looker
from dense.methods.looking.base import asked_regions
from dense.methods.looking.plain import WholePicture
from dense.regions import box_cover
from dense.training.region_phrases import AlphaSample, PhraseRule, RegionPhrases
from dense.training.text_table import TextTable
from tests.datasets.made import make_detection
from tests.helpers import fill_by_formula, photo, tiny_backbone
from tests.reference import looking_inputs as given

STORED = json.loads((Path(given.__file__).parent / "looking_methods.json").read_text())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tower as ours (safetensors) and as the authors' (`.pth`, half precision)."""
    root = tmp_path_factory.mktemp("alpha")
    save_alpha(root / "ours.safetensors", given.alpha_vit(tiny_backbone()), {"model": "tiny"})
    state = load_file(root / "ours.safetensors")
    torch.save(state, root / "theirs.pth")
    torch.save({f"visual.{k}": v for k, v in state.items()}, root / "whole.pth")
    torch.save({f"module.{k}": v for k, v in state.items()}, root / "parallel.pth")
    torch.save({k: v.half() for k, v in state.items()}, root / "half.pth")
    return root


@torch.inference_mode()
@pytest.mark.parametrize("name", ["ours.safetensors", "theirs.pth", "whole.pth", "parallel.pth"])
def test_features_equal_the_authors_code(files: Path, name: str) -> None:
    backbone, (image, mask) = tiny_backbone(), given.alpha_picture()
    looker = build_looker(backbone, "alpha-clip", weights=files / name)
    found = looker.views(backbone, image, asked_regions((32, 32), masks=mask[None])).features[0, 0]
    torch.testing.assert_close(found, torch.tensor(STORED["alpha_clip"]), atol=1e-5, rtol=0)


def test_the_file_has_the_authors_names(files: Path) -> None:
    state = load_file(files / "ours.safetensors")
    names = ("conv1_alpha.weight", "transformer.resblocks.0.attn.in_proj.weight")
    assert all(name in state for name in (*names, "conv1.weight", "proj", "class_embedding"))
    assert not any("in_proj_weight" in name or "rgb" in name for name in state)
    half = read_alpha(tiny_backbone(), files / "half.pth")
    assert half.tower.visual.conv1.alpha.weight.dtype == torch.float32


@torch.inference_mode()
def test_an_untrained_channel_changes_nothing() -> None:
    backbone, image = tiny_backbone(), photo(40, 48)
    regions = asked_regions((40, 48), np.array([[3, 4, 20, 30]]))
    found = AlphaCLIP(alpha_tower(backbone)).views(backbone, image, regions).features
    plain = WholePicture().views(backbone, image, regions).features
    torch.testing.assert_close(found, plain, atol=1e-6, rtol=0)


def test_channels_by_hand() -> None:
    cover = box_cover([1, 0, 6, 4], (8, 8), (2, 2))
    np.testing.assert_allclose(cover, [[0.75, 0.5], [0, 0]])
    boxes = asked_regions((8, 8), np.array([[1, 0, 6, 4]]))
    np.testing.assert_allclose(
        alpha_channels(boxes, (8, 8), (2, 2))[0], (np.array([[0.75, 0.5], [0, 0]]) - 0.5) / 0.26,
        rtol=1e-6,
    )  # fmt: skip
    mask = np.zeros((1, 8, 8), bool)
    mask[0, :4, 1:6] = True
    same = alpha_channels(asked_regions((8, 8), masks=mask), (8, 8), (2, 2))
    np.testing.assert_allclose(same[0], alpha_channels(boxes, (8, 8), (2, 2))[0], rtol=1e-6)
    whole = alpha_channels(asked_regions((8, 8)), (8, 8), (2, 2))[0]
    np.testing.assert_allclose(whole, 0.5 / 0.26)


def test_names_regions_and_pictures(files: Path) -> None:
    backbone = tiny_backbone()
    words = build_text_classifier(backbone, ["cat", "dog"], templates="plain")
    looker = build_looker(backbone, "alpha-clip", weights=files / "theirs.pth")
    grey = np.full((30, 40, 3), 90, np.uint8)
    for image in (photo(30, 40), grey):
        assert np.isclose(classify(backbone, looker, image, words).probabilities.sum(), 1)
    assert looker.describe() == {"method": "alpha-clip", "weights": "theirs.pth"}


class TestRefuses:
    def refuse(self, path: Path, message: str) -> None:
        with pytest.raises(InputError, match=message):
            read_alpha(tiny_backbone(), path)

    def test_no_file(self, tmp_path: Path) -> None:
        self.refuse(tmp_path / "gone.pth", "no such checkpoint")
        with pytest.raises(InputError, match="needs learned parts: pass --weights"):
            build_looker(tiny_backbone(), "alpha-clip")

    def test_a_plain_clip(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.pt"
        torch.save(tiny_backbone().model.state_dict(), path)
        self.refuse(path, "is no Alpha-CLIP checkpoint: it has no conv1_alpha.weight")

    def test_another_tower(self, files: Path, tmp_path: Path) -> None:
        state = load_file(files / "ours.safetensors")
        state["proj"] = torch.zeros(32, 8)
        torch.save(state, tmp_path / "other.pth")
        self.refuse(tmp_path / "other.pth", r"do not fit tiny: .*of another shape \['proj")

    def test_adapters(self, files: Path, tmp_path: Path) -> None:
        state = load_file(files / "ours.safetensors")
        state["transformer.resblocks.0.attn.in_proj.lora_A"] = torch.zeros(2, 2)
        torch.save(state, tmp_path / "lora.pth")
        self.refuse(tmp_path / "lora.pth", "low-rank adapters")

    def test_code_and_rubbish(self, tmp_path: Path) -> None:
        torch.save({"conv1_alpha.weight": print}, tmp_path / "code.pth")
        self.refuse(tmp_path / "code.pth", "could run code")
        (tmp_path / "rubbish.pth").write_bytes(b"rubbish")
        self.refuse(tmp_path / "rubbish.pth", "corrupt checkpoint")
        torch.save([1, 2], tmp_path / "list.pth")
        self.refuse(tmp_path / "list.pth", "not a state dict")

    def test_another_family_of_towers(self) -> None:
        backbone = tiny_backbone()
        backbone.vit.tower = torch.nn.Identity()  # type: ignore[assignment]
        with pytest.raises(InputError, match="needs open_clip's own image tower"):
            alpha_tower(backbone)


class TestTraining:
    TEXTS = ("a cup", "a dog")

    def training(self, **settings: object) -> AlphaTraining:
        table = TextTable(tiny_backbone().encode_text, self.TEXTS)
        training = AlphaTraining(tiny_backbone(), table, AlphaSettings(**settings))  # type: ignore[arg-type]
        fill_by_formula(training.vit.tower.visual.conv1.alpha)
        return training

    def sample(self, number: int, whole: bool = False) -> AlphaSample:
        alpha = np.ones((32, 32), np.float32)
        if not whole:
            alpha[:, : 8 + 8 * number] = 0
        return AlphaSample(photo(32, 32, number), alpha, self.TEXTS[number % 2], whole)

    def test_losses_by_hand(self) -> None:
        training = self.training(whole=2.0)
        samples = [self.sample(0), self.sample(1), self.sample(2, whole=True)]
        found = training.loss(samples)
        backbone = tiny_backbone()
        rows = []
        for sample in samples:
            colours = backbone.preprocess.to_tensor(sample.image)
            alpha = (torch.from_numpy(sample.alpha)[None] - 0.5) / 0.26
            rows.append(training.vit.encode_image(torch.cat([colours, alpha])[None])[0])
        unit = F.normalize(torch.stack(rows[:2]), dim=-1)
        logits = backbone.logit_scale * unit @ backbone.encode_text(self.TEXTS).T
        target = torch.arange(2)
        words = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        torch.testing.assert_close(found["loss_words"], words, atol=1e-4, rtol=1e-4)
        plain = backbone.vit.encode_image(backbone.preprocess.to_tensor(samples[2].image)[None])[0]
        whole = 2 * (1 - F.cosine_similarity(rows[2], plain, dim=0))
        torch.testing.assert_close(found["loss_whole"], whole, atol=1e-5, rtol=1e-4)

    def test_only_late_blocks_and_the_channel_learn(self) -> None:
        training = self.training(start=2)
        sum(training.loss([self.sample(0), self.sample(1)]).values()).backward()
        learned = {n for n, p in training.vit.tower.visual.named_parameters() if p.grad is not None}
        assert "conv1.alpha.weight" in learned and "conv1.rgb.weight" not in learned
        blocks = {name.split(".")[2] for name in learned if "resblocks" in name}
        assert blocks == {"2"}
        assert all(p.grad is None for p in training.backbone.parameters())

    def test_a_batch_without_regions_still_has_both_losses(self) -> None:
        found = self.training().loss([self.sample(0, whole=True)])
        assert float(found["loss_words"]) == 0 and found["loss_words"].requires_grad

    def test_refuses(self) -> None:
        with pytest.raises(InputError, match="start and whole must be 0 or more"):
            AlphaSettings(start=-1)
        with pytest.raises(InputError, match="cannot start at 9"):
            self.training(start=9)
        with pytest.raises(InputError, match="fp32 or bf16"):
            AlphaSettings(precision="fp8")


class TestPhrases:
    def test_boxes_become_channels_with_words(self, tmp_path: Path) -> None:
        source = DetectionFolder(make_detection(tmp_path))
        drawn = RegionPhrases(source, PhraseRule(side=16, whole=0))
        assert len(drawn) == 1 and drawn.texts == ["a photo of a bolt.", "a photo of a nut."]
        found = [drawn[number] for number in range(12)]
        boxes = {"a photo of a nut.": [1, 2, 11, 22], "a photo of a bolt.": [30.5, 4, 35.5, 10]}
        assert {sample.text for sample in found} == set(boxes)
        for sample in found:
            np.testing.assert_allclose(
                sample.alpha, box_cover(boxes[sample.text], (40, 60), (16, 16)), atol=1e-6
            )
            assert sample.image.shape == (16, 16, 3) and not sample.whole
        np.testing.assert_array_equal(drawn[3].alpha, found[3].alpha)

    def test_some_are_whole(self, tmp_path: Path) -> None:
        source = DetectionFolder(make_detection(tmp_path))
        drawn = RegionPhrases(source, PhraseRule(side=16, whole=0.5))
        whole = [sample for sample in map(drawn.__getitem__, range(40)) if sample.whole]
        assert 10 < len(whole) < 30 and all((sample.alpha == 1).all() for sample in whole)

    def test_refuses(self, tmp_path: Path) -> None:
        root = make_detection(tmp_path)
        with pytest.raises(InputError, match="no picture has a region"):
            RegionPhrases(DetectionFolder(root, masks=True), PhraseRule())
        with pytest.raises(InputError, match="side ≥ 1 and whole in"):
            PhraseRule(whole=1.0)
