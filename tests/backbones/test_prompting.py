"""Learned tokens inside the towers, and layers by share of the depth."""

from types import SimpleNamespace

import pytest
import torch

from dense.backbones.depth import QUARTERS, blocks_of, layer_indices
from dense.backbones.prompting import encode_prompts, run_prompted, text_parts, with_places
from dense.errors import InputError
from tests.helpers import tiny_backbone

CLIP = tiny_backbone()
PARTS = text_parts(CLIP.model)


def test_without_learned_tokens_texts_are_as_ever() -> None:
    texts = ["a metal nut", "a photo of a damaged screw."]
    with torch.no_grad():
        ours = encode_prompts(PARTS, CLIP.tokenizer(texts), {})
    torch.testing.assert_close(ours, CLIP.encode_text(texts, normalise=False))


def test_words_as_learned_tokens_are_the_words() -> None:
    """Embeddings of "red" put into the place behind the start give the features of "red nut"."""
    words = CLIP.tokenizer(["red nut"])
    tokens = with_places(CLIP.tokenizer, ["nut"], 1)
    assert tokens.shape == (1, 77)
    learned = PARTS.embedding(words[:, 1:2])
    with torch.no_grad():
        ours = encode_prompts(PARTS, tokens, {0: learned[0]})
    torch.testing.assert_close(ours, CLIP.encode_text(["red nut"], normalise=False))


def test_deep_tokens_change_the_text_and_get_gradients() -> None:
    deep = torch.zeros(1, PARTS.width, requires_grad=True)
    tokens = CLIP.tokenizer(["red nut"])
    features = encode_prompts(PARTS, tokens, {1: deep})
    assert not torch.allclose(features, CLIP.encode_text(["red nut"], normalise=False), atol=1e-3)
    features.sum().backward()
    assert deep.grad is not None and float(deep.grad.abs().sum()) > 0


def test_other_text_towers_are_refused() -> None:
    with pytest.raises(InputError, match="open_clip's own text transformer"):
        text_parts(torch.nn.Linear(1, 1))
    with pytest.raises(InputError, match="SimpleNamespace"):
        text_parts(SimpleNamespace(text=SimpleNamespace()))  # type: ignore[arg-type]


@torch.no_grad()
def test_a_tower_without_visual_prompts_is_as_ever() -> None:
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    plain = CLIP.vit(images, intermediates=(0, 2))
    ours = run_prompted(CLIP.vit, images, [], (0, 2))
    torch.testing.assert_close(ours.pooled, plain.class_token)
    for left, right in zip(ours.layers, plain.intermediates, strict=True):
        torch.testing.assert_close(left, right.flatten(2).transpose(1, 2))
    prompts = [torch.ones(2, 3, 32)]
    other = run_prompted(CLIP.vit, images, prompts, (2,))
    assert other.layers[0].shape == ours.layers[1].shape
    assert not torch.allclose(other.pooled, ours.pooled, atol=1e-3)


def test_shares_of_the_depth() -> None:
    assert layer_indices(QUARTERS, 24) == (5, 11, 17, 23)
    assert layer_indices(QUARTERS, 12) == (2, 5, 8, 11)
    assert layer_indices(QUARTERS, 3) == (0, 1, 2)
    assert layer_indices((-1, 0, 1.0), 8) == (0, 7)
    assert blocks_of(19 / 24, 24) == 19 and blocks_of(0.01, 3) == 1


@pytest.mark.parametrize(
    ("layers", "message"),
    [((), "no layers"), ((1.5,), "share of the depth"), ((0.0,), "in .0, 1."), ((3,), "block 3")],
)
def test_layers_that_are_not_there(layers: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        layer_indices(layers, 3)
