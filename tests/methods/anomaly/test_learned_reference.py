"""The trained methods against stored outputs of the authors' code on the same weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dense.methods.anomaly import adaclip, anomalyclip, april_gan, clip_ad, hybrid_prompts
from dense.methods.anomaly.learned import LearnedInspector, Truth
from dense.methods.learned_files import fill_learned
from dense.structures import AnomalyResult, Sample
from tests.methods.anomaly.published import (
    adaclip_file,
    anomalyclip_file,
    april_gan_file,
    backbone,
)
from tests.reference import learned_inputs as made

STORED = json.loads((Path(__file__).parents[2] / "reference/learned_methods.json").read_text())
TEST = [Sample(picture) for picture in made.test_pictures()]


def assert_equal(results: list[AnomalyResult], stored: dict, *, factor: float = 1.0) -> None:
    scores, maps = np.array(stored["scores"]), np.array(stored["maps"])
    assert np.ptp(scores) > 1e-3 and np.ptp(maps, axis=1).min() > 1e-3  # not flat
    np.testing.assert_allclose([r.score for r in results], scores, atol=1e-5, rtol=0)
    assert_maps(results, maps, factor=factor)


def assert_maps(results: list[AnomalyResult], maps: np.ndarray, *, factor: float = 1.0) -> None:
    ours = np.stack([r.anomaly_map[:: made.STEP, :: made.STEP].ravel() for r in results])
    np.testing.assert_allclose(factor * ours, maps, atol=1e-5, rtol=0)


def assert_losses(inspector: LearnedInspector, stored: dict) -> None:
    to_tensor = inspector.backbone.preprocess.to_tensor
    images = torch.stack([to_tensor(sample.image) for sample in TEST])
    truth = Truth(made.masks(), torch.tensor(made.LABELS), ("",) * 3)
    losses = inspector.losses(images, truth)
    names = {name for name in stored if name.startswith("loss")}
    assert set(losses) == names
    for name, value in losses.items():
        assert float(value) == pytest.approx(stored[name], rel=1e-4), name


class TestAnomalyCLIP:
    STORED = STORED["anomalyclip"]

    def inspector(self, path: Path, layers: tuple[float, ...]) -> LearnedInspector:
        state, settings = anomalyclip.published_state(anomalyclip_file(path / "epoch_15.pth"))
        settings = replace(
            settings, layers=layers, parallel=made.PARALLEL / 8, input_size=made.SIDE, sigma=0.0
        )
        inspector = anomalyclip.AnomalyCLIPInspector(backbone(), "nut", settings=settings)
        fill_learned(inspector.learned, state, path)
        return inspector

    def test_map_and_score(self, tmp_path: Path) -> None:
        assert_equal(self.inspector(tmp_path, (1.0,)).predict(TEST), self.STORED)

    def test_four_layers_and_losses(self, tmp_path: Path) -> None:
        inspector = self.inspector(tmp_path, made.LAYERS)
        assert_maps(inspector.predict(TEST), np.array(self.STORED["four_layers"]))
        assert_losses(inspector, self.STORED)


class TestAprilGan:
    STORED = STORED["april-gan"]

    @pytest.fixture
    def inspector(self, tmp_path: Path) -> april_gan.AprilGanInspector:
        settings = april_gan.AprilGanSettings(
            layers=made.LAYERS, memory_layers=made.LAYERS, input_size=made.SIDE
        )
        inspector = april_gan.AprilGanInspector(backbone(), made.PRODUCT, settings=settings)
        path = april_gan_file(tmp_path / "mvtec_pretrained.pth")
        fill_learned(inspector.learned, april_gan.published_state(path), path)
        return inspector

    def test_map_score_and_losses(self, inspector: april_gan.AprilGanInspector) -> None:
        assert_equal(inspector.predict(TEST), self.STORED, factor=4)
        assert_losses(inspector, self.STORED)

    def test_memories(self, inspector: april_gan.AprilGanInspector) -> None:
        inspector.fit([Sample(picture) for picture in made.support_pictures()])
        results = inspector.predict(TEST)
        assert_maps(results, np.array(self.STORED["two_shot"]), factor=8)
        texts = self.STORED["scores"]
        for result, text in zip(results, texts, strict=True):
            assert result.score == pytest.approx((text + result.anomaly_map.max()) / 2, abs=1e-5)


class TestClipAd:
    STORED = STORED["clip-ad"]
    MEAN = clip_ad.ClipAdSettings(
        layers=made.LAYERS, representative="mean", input_size=made.SIDE, sigma=0.0, leak=True
    )

    def test_sdp(self) -> None:
        inspector = clip_ad.ClipAdInspector(backbone(), made.PRODUCT, settings=self.MEAN)
        results = inspector.predict(TEST)
        assert_maps(results, np.array(self.STORED["maps"]), factor=4)
        peaks = [1 / (1 + np.exp(-200 * r.anomaly_map.max())) for r in results]
        expected = (np.array(self.STORED["scores"]) + peaks) / 2
        np.testing.assert_allclose([r.score for r in results], expected, atol=1e-4)

    def test_sdp_plus_and_losses(self, tmp_path: Path) -> None:
        settings = replace(self.MEAN, adapters=True)
        inspector = clip_ad.ClipAdInspector(backbone(), made.PRODUCT, settings=settings)
        path = april_gan_file(tmp_path / "train_on_visa.pth", "linear_layers")
        fill_learned(inspector.learned, april_gan.published_state(path, "linear_layers"), path)
        assert_maps(inspector.predict(TEST), np.array(self.STORED["plus"]), factor=4)
        assert_losses(inspector, self.STORED)

    def test_without_the_leak_maps_are_others(self) -> None:
        settings = replace(self.MEAN, leak=False)
        results = clip_ad.ClipAdInspector(backbone(), made.PRODUCT, settings=settings).predict(TEST)
        ours = np.stack([4 * r.anomaly_map[:: made.STEP, :: made.STEP].ravel() for r in results])
        assert np.abs(ours - np.array(self.STORED["maps"])).max() > 1e-5

    @pytest.mark.parametrize(
        ("name", "theirs"),
        [*((n, n) for n in ("mean", "kde", "pca", "dbscan")), ("mean", "mean_shift")],
    )
    def test_representative_vectors(self, name: str, theirs: str) -> None:
        settings = replace(self.MEAN, representative=name)
        inspector = clip_ad.ClipAdInspector(backbone(), made.PRODUCT, settings=settings)
        expected = np.array(self.STORED["texts"][theirs])
        np.testing.assert_allclose(inspector.state_weights().numpy(), expected, atol=1e-5)


class TestAdaCLIP:
    STORED = STORED["adaclip"]

    def test_map_score_and_losses(self, tmp_path: Path) -> None:
        path = adaclip_file(tmp_path / "pretrained_mvtec_colondb.pth")
        state, depth, length = hybrid_prompts.published_state(path)
        settings = adaclip.AdaCLIPSettings(
            layers=made.LAYERS,
            depth=depth,
            length=length,
            clusters=1,
            input_size=made.SIDE,
            sigma=0.0,
        )
        inspector = adaclip.AdaCLIPInspector(backbone(), made.PRODUCT, settings=settings)
        fill_learned(inspector.learned, state, path)
        assert_equal(inspector.predict(TEST), self.STORED)
        assert_losses(inspector, self.STORED)
