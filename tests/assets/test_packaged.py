"""The packaged checkpoints: contents, sizes, what they recommend, and that they see."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from dense import apps
from dense.backbones import load
from dense.backbones.loading import ASSETS
from dense.images import read_image, read_mask
from dense.structures import Sample

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
CHECKSUMS = {
    "embedded": "904c8f47e6cd6a754e178aec82c6657becf2f4df745eb33224d398392978f269",
    "embedded-base": "16976942730e336d88bb8abbafba875e8242e995b2786d06a7b85a829f05eee7",
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_files_are_the_published_ones(name: str) -> None:
    content = (ASSETS / f"{name}.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == CHECKSUMS[name]


def test_sizes_stay_within_bounds() -> None:
    sizes = {name: (ASSETS / f"{name}.safetensors").stat().st_size / 1e6 for name in CHECKSUMS}
    assert sizes["embedded"] <= 48
    assert sum(sizes.values()) <= 64


def test_the_two_stages_share_text_and_early_blocks() -> None:
    base, default = (load(name).model.state_dict() for name in ("embedded-base", "embedded"))
    different = {key for key in base if not torch.equal(base[key], default[key])}
    assert different and all(key.startswith(("visual.", "logit_scale")) for key in different)
    assert not any(f"resblocks.{block}." in key for key in different for block in range(8))


def test_words_separate_in_the_text_tower() -> None:
    text = load("embedded").encode_text(["a photo of a cat", "a photo of a kitten", "a steel bolt"])
    near, far = float(text[0] @ text[1]), float(text[0] @ text[2])
    assert near > far + 0.2


@pytest.mark.slow
def test_sky_and_trees_are_where_they_are() -> None:
    sample = Sample(read_image(SAMPLES / "photos" / "china.jpg"))
    segmentor = apps.make_segmentor(load("embedded"), ["temple; palace", "sky", "tree"])
    result = segmentor.predict([sample])[0]
    height, width = result.class_map.shape
    assert (result.class_map[: height // 8, : width // 4] == 1).mean() > 0.9
    assert (result.class_map[-height // 8 :, : width // 4] == 2).mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("with_support", [False, True])
def test_damaged_surfaces_score_above_good_ones(with_support: bool) -> None:
    backbone = load("embedded")
    for folder in sorted((SAMPLES / "surfaces").iterdir()):
        words = folder.name.replace("_", " ")
        support = apps.read_support(folder / "train" / "good") if with_support else None
        inspector = apps.make_inspector(backbone, words, method="patch", support=support)
        scores: dict[bool, list[float]] = {True: [], False: []}
        for path in sorted((folder / "test").glob("*/*.jpg")):
            sample = Sample(read_image(path))
            result = inspector.predict([sample])[0]
            damaged = path.parent.name != "good"
            scores[damaged].append(result.score)
            if damaged:
                name = f"{path.stem}_mask.png"
                mask = read_mask(folder / "ground_truth" / path.parent.name / name) > 0
                inside = np.median(result.anomaly_map[mask])
                assert inside > np.quantile(result.anomaly_map[~mask], 0.9)
        assert min(scores[True]) > max(scores[False]) + 0.05
