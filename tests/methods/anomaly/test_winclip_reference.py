"""`WinCLIPInspector` against stored outputs of anomalib's WinCLIP on the same weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import PreprocessConfig
from dense.methods.anomaly.winclip import ANOMALIB, PAPER, WinCLIPInspector
from dense.structures import Sample
from tests.reference.winclip_inputs import PRODUCT, STEP, model, picture

import open_clip  # isort: skip

STORED = json.loads((Path(__file__).parents[2] / "reference/winclip_anomalib.json").read_text())
TEST = [Sample(picture(number)) for number in (2, 3, 4)]
SUPPORT = [Sample(picture(number)) for number in (0, 1)]


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    return CLIPBackbone(model(), tokenizer, PreprocessConfig(), name="reference").eval()


@pytest.mark.parametrize("shots", ["zero_shot", "two_shot"])
def test_maps_and_scores_equal_anomalib(backbone: CLIPBackbone, shots: str) -> None:
    inspector = WinCLIPInspector(backbone, PRODUCT, protocol=ANOMALIB)
    if shots == "two_shot":
        inspector.fit(SUPPORT)
    results = inspector.predict(TEST)
    expected = STORED[shots]
    maps = np.array(expected["maps"])
    assert np.ptp(expected["scores"]) > 0.01
    assert np.ptp(maps, axis=1).min() > 0.01  # the stored maps are not flat
    np.testing.assert_allclose([r.score for r in results], expected["scores"], atol=1e-5, rtol=0)
    ours = np.stack([r.anomaly_map[::STEP, ::STEP].ravel() for r in results])
    np.testing.assert_allclose(ours, maps, atol=1e-5, rtol=0)


def test_the_paper_protocol_is_another_one(backbone: CLIPBackbone) -> None:
    """Other prompts, temperature and mean: near, not equal; a switch that does nothing fails."""
    scores = [r.score for r in WinCLIPInspector(backbone, PRODUCT, protocol=PAPER).predict(TEST)]
    assert np.abs(np.array(scores) - STORED["zero_shot"]["scores"]).max() > 1e-3
