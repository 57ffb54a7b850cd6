"""FALIP: the bias by hand, features against PyTorch's attention and the authors' code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense.errors import InputError
from dense.methods.looking.base import asked_regions
from dense.methods.looking.foveal import FovealAttention, foveal_map
from dense.methods.looking.plain import WholePicture
from tests.backbones.builders import build, tiny_config
from tests.helpers import photo, tiny_backbone
from tests.reference import looking_inputs as given

STORED = json.loads((Path(given.__file__).parent / "looking_methods.json").read_text())


def test_the_bias_by_hand() -> None:
    # 3 × 3 patches, distances 0, 1 and √2: bell 1, e^(-1/2), e^(-1), stretched to [0, 1]
    found = foveal_map([8, 0, 32, 24], (32, 40), (4, 5), std=1.0)
    edge = (np.exp(-0.5) - np.exp(-1)) / (1 - np.exp(-1))
    expected = np.zeros((4, 5))
    expected[:3, 1:4] = [[0, edge, 0], [edge, 1, edge], [0, edge, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_regions_smaller_than_a_patch_or_at_the_border() -> None:
    one = foveal_map([9, 1, 10, 2], (32, 32), (4, 4), std=100.0)
    assert one[0, 1] == pytest.approx(1) and one.sum() == pytest.approx(1)
    whole = foveal_map([0, 0, 32, 32], (32, 32), (4, 4), std=100.0)
    assert whole.max() == pytest.approx(1, abs=0.01) and whole[0, 0] < 0.02
    last = foveal_map([31.5, 31.5, 32, 32], (32, 32), (4, 4), std=1.0)
    assert last[3, 3] == pytest.approx(1)


@torch.inference_mode()
def test_features_equal_the_authors_code() -> None:
    backbone, image = given.falip_backbone(), given.falip_picture()
    regions = asked_regions((36, 40), np.array(given.BOXES))
    found = FovealAttention().views(backbone, image, regions).features[:, 0]
    torch.testing.assert_close(found, torch.tensor(STORED["falip"]), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_features_equal_pytorchs_attention_with_the_mask_written_out() -> None:
    backbone, image = tiny_backbone(), photo(32, 32)
    box = [3.0, 4.0, 20.0, 30.0]
    looker = FovealAttention(strength=3.0, std=1.5, depth=2 / 3)
    found = looker.views(backbone, image, asked_regions((32, 32), np.array([box]))).features[0, 0]
    visual = backbone.model.visual
    mask = torch.zeros(17, 17)
    mask[0, 1:] = 3.0 * torch.from_numpy(foveal_map(box, (32, 32), (4, 4), 1.5)).flatten()
    x = backbone.vit.tower.embed(backbone.preprocess.to_tensor(image)[None])
    for number, block in enumerate(visual.transformer.resblocks):
        y = block.ln_1(x)
        x = x + block.attn(y, y, y, attn_mask=mask if number >= 1 else None)[0]
        x = x + block.mlp(block.ln_2(x))
    expected = F.normalize(visual.ln_post(x[:, 0]) @ visual.proj, dim=-1)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_no_strength_is_the_plain_picture() -> None:
    backbone, regions = tiny_backbone(), asked_regions((40, 48), np.array([[3, 4, 20, 30]]))
    image = photo(40, 48)
    found = FovealAttention(strength=0).views(backbone, image, regions).features
    plain = WholePicture().views(backbone, image, regions).features
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=0)


def test_needs_a_class_token() -> None:
    backbone = tiny_backbone()
    backbone.vit.tower.visual = build(tiny_config(pool_type="avg")).visual
    with pytest.raises(InputError, match="falip works on the class token"):
        FovealAttention().views(backbone, photo(32, 32), asked_regions((32, 32)))
