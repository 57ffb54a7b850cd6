"""Words to look for and to ignore, and the CLAP method: laws and hand-worked parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense.backbones.attention import AS_TRAINED
from dense.classifier import build_state_weights
from dense.errors import InputError
from dense.methods.anomaly.clap import ClapInspector, ClapSettings, hide, stretched
from dense.methods.anomaly.memory import MemoryInspector, MemorySettings
from dense.methods.anomaly.patch import PatchInspector, PatchProtocol
from dense.methods.anomaly.winclip import WinCLIPInspector
from dense.prompts import StateWords, anomaly_prompts, word_prompts
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone

SMALL = {"layers": (-2,), "short_side": 64}


def sample(seed: int = 0) -> Sample:
    return Sample(photo(64, 64, seed))


def clap(backbone=None, **more) -> ClapInspector:  # type: ignore[no-untyped-def]
    settings = ClapSettings(**SMALL, **more)
    return ClapInspector(backbone or tiny_backbone(), "brain", settings, block=AS_TRAINED)


def test_words_make_the_prototypes_by_hand() -> None:
    backbone = tiny_backbone()

    def mean(prompts: list[str]) -> torch.Tensor:
        return F.normalize(backbone.encode_text(prompts).mean(0), dim=0)

    words = StateWords(look_for=("rust", "crack"), ignore=("water_drops",))
    normal, anomalous = build_state_weights(backbone, "nut", state_words=words)
    rust, crack = (mean(word_prompts("nut", word)) for word in ("rust", "crack"))
    torch.testing.assert_close(anomalous, F.normalize(rust + crack, dim=0))
    drops = mean(word_prompts("nut", "water drops"))
    torch.testing.assert_close(normal, F.normalize(mean(anomaly_prompts("nut")[0]) + drops, dim=0))


def test_prompts_of_a_word() -> None:
    prompts = word_prompts("metal_nut", "oil  stain")
    assert len(prompts) == 2 * 22
    assert "a photo of a oil stain." in prompts
    assert "a photo of the metal nut with oil stain." in prompts


def test_no_words_change_nothing_and_words_change_the_map() -> None:
    backbone = tiny_backbone()
    plain = build_state_weights(backbone, "nut")
    assert torch.equal(plain, build_state_weights(backbone, "nut", state_words=StateWords()))
    inspector = PatchInspector(backbone, "nut", protocol=PatchProtocol(**SMALL))
    before = inspector.predict([sample()])[0]
    assert "look_for" not in inspector.describe()
    inspector.steer(StateWords(look_for=("rust",), ignore=("dust",)))
    after = inspector.predict([sample()])[0]
    assert np.abs(before.anomaly_map - after.anomaly_map).max() > 1e-3
    assert inspector.describe()["look_for"] == ("rust",)


def test_winclip_reads_words_too() -> None:
    inspector = WinCLIPInspector(tiny_backbone(), "nut")
    before = inspector.predict([sample()])[0]
    inspector.steer(StateWords(look_for=("rust",)))
    assert np.abs(before.anomaly_map - inspector.predict([sample()])[0].anomaly_map).max() > 1e-3
    assert inspector.describe()["look_for"] == ("rust",)


def test_ignored_words_lower_what_looks_like_them() -> None:
    """A patch that is exactly the ignored prototype becomes more normal."""
    backbone = tiny_backbone()
    word = F.normalize(backbone.encode_text(word_prompts("nut", "dust")).mean(0), dim=0)
    margins = []
    for ignore in ((), ("dust",)):
        words = StateWords(ignore=ignore)
        normal, anomalous = build_state_weights(backbone, "nut", state_words=words)
        margins.append(float(word @ (anomalous - normal)))
    assert margins[1] < margins[0]


def test_methods_without_words_refuse_them() -> None:
    memory = MemoryInspector(tiny_backbone(), "nut", MemorySettings(**SMALL))
    with pytest.raises(InputError, match="patch memory takes no words to look for"):
        memory.steer(StateWords(look_for=("rust",)))
    with pytest.raises(InputError, match="a word to look for or to ignore is blank"):
        StateWords(ignore=(" ",))


def test_attention_by_hand() -> None:
    assert stretched(torch.tensor([1.0, 3.0, 2.0])).tolist() == [0, 1, 0.5]
    assert stretched(torch.ones(3)).tolist() == [0, 0, 0]
    attention = torch.tensor([[0.0, 0.2], [0.9, 0.4]])
    mask = hide(attention, 0.5, (4, 4))
    assert (mask[2:, :] == 255).all() and (mask[:2] == 0).all()
    assert not hide(torch.zeros(2, 2), 0.5, (4, 4)).any()


def test_only_the_hidden_region_and_its_rim_differ() -> None:
    backbone = tiny_backbone()
    inspector = clap(backbone, hidden=0.05)
    with torch.inference_mode():
        (look,) = inspector.look([sample()])
        attention = inspector.attention(look)
        difference, score = inspector.score(look)
    assert difference.shape == (64, 64) and 0 < score <= 1
    assert attention.min() >= 0
    mask = torch.from_numpy(hide(attention, 0.05, (64, 64)))
    far = F.max_pool2d(mask[None, None].float(), 65, 1, 32)[0, 0] == 0
    assert not far.any() or difference[far].max() < 1e-6
    assert difference[mask > 0].mean() > difference[mask == 0].mean()


def test_a_flat_picture_has_nothing_to_show() -> None:
    flat = Sample(np.full((64, 64, 3), 128, np.uint8))
    assert clap().predict([flat])[0].score < 1e-6


def test_contrast_takes_the_negative_attention_off() -> None:
    backbone = tiny_backbone()
    with torch.inference_mode():
        (look,) = clap(backbone).look([sample()])
        positive = clap(backbone, contrast=False).attention(look)
        both = clap(backbone).attention(look)
    assert (both <= positive + 1e-6).all() and both.sum() < positive.sum()


def test_refusals() -> None:
    with pytest.raises(InputError, match="hidden must lie between"):
        ClapSettings(hidden=1.0)
    with pytest.raises(InputError, match="takes no support images"):
        clap().fit([sample()])
