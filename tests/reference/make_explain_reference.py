"""Write explain_methods.json: what outside code says of the tiny model, a picture and a sentence.

- second-order: the authors' package exclip 1.1 (pip install exclip), its own defaults.
- m2ib: the authors' bottleneck and training loop, `scripts/iba.py` of a checkout of YingWANGG/M2IB
  (commit 7da2b53), around open_clip's towers, whose text tower keeps its causal mask; the
  information is what their heat maps sum, before they rescale it.

Run from the repository root in an environment that has both:

    python -m tests.reference.make_explain_reference PATH_TO_M2IB
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.helpers import tiny_backbone
from tests.reference.explain_inputs import SECOND_ORDER_POINTS, SENTENCE, picture, seeded

OUT = Path(__file__).with_name("explain_methods.json")


class Tail(nn.Module):
    """An open_clip tower as the authors' loop wants it: blocks that may return tuples."""

    def __init__(self, blocks: list[nn.Module], embed: Any, finish: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)
        self.embed, self.finish = embed, finish

    def forward(self, x: Tensor) -> Tensor:
        """Features of a batch."""
        x = self.embed(x)
        for block in self.layers:
            x = block(x)
            x = x[0] if isinstance(x, tuple) else x
        return self.finish(x)


class Masked(nn.Module):
    """A block with its mask bound."""

    def __init__(self, block: nn.Module, mask: Tensor | None) -> None:
        super().__init__()
        self.block, self.mask = block, mask

    def forward(self, x: Tensor) -> Tensor:
        """The block on (B, T, C)."""
        return self.block(x) if self.mask is None else self.block(x, attn_mask=self.mask)


class Both(nn.Module):
    """The two towers under the names that the authors' loop calls."""

    def __init__(self, text: nn.Module, vision: nn.Module) -> None:
        super().__init__()
        self.text_model, self.vision_model = text, vision

    def get_text_features(self, x: Tensor) -> Tensor:
        """(B, D)."""
        return self.text_model(x)

    def get_image_features(self, x: Tensor) -> Tensor:
        """(B, D)."""
        return self.vision_model(x)


def towers(model: Any, length: int) -> Both:
    """open_clip's own towers; texts are cut at the end of text."""
    visual = model.visual
    mask = model.attn_mask[:length, :length]

    def embed_image(x: Tensor) -> Tensor:
        x = visual.conv1(x).flatten(2).transpose(1, 2)
        head = visual.class_embedding.expand(len(x), 1, -1)
        return visual.ln_pre(torch.cat([head, x], 1) + visual.positional_embedding)

    vision = Tail(
        [Masked(b, None) for b in visual.transformer.resblocks],
        embed_image,
        lambda x: visual.ln_post(x[:, 0]) @ visual.proj,
    )
    text = Tail(
        [Masked(b, mask) for b in model.transformer.resblocks],
        lambda ids: model.token_embedding(ids) + model.positional_embedding[:length],
        lambda x: model.ln_final(x[:, -1]) @ model.text_projection,
    )
    return Both(text, vision)


def m2ib(place: str) -> dict[str, list[float]]:
    """Information of each token by the authors' loop, image tokens without the class token."""
    sys.path.insert(0, place)
    from scripts.iba import Estimator, IBAInterpreter

    backbone = tiny_backbone()
    ids = backbone.tokenizer([SENTENCE])[0]
    ids = ids[: int(ids.argmax()) + 1][None]
    both = towers(backbone.model, ids.shape[1]).requires_grad_(False)
    found = {}
    for name, tower, layer in (("image", both.vision_model, 1), ("text", both.text_model, 0)):
        width = 32 if name == "image" else 16
        tokens = 17 if name == "image" else ids.shape[1]
        estimator = Estimator(tower.layers[layer])
        estimator.M = torch.zeros(1, tokens, width).numpy()
        estimator.S, estimator.N = estimator.M + 1, 1
        reader = IBAInterpreter(both, estimator, beta=0.1, steps=10, lr=1, batch_size=10)
        seeded()
        run = reader._run_vision_training if name == "image" else reader._run_text_training
        found[name] = torch.nansum(run(ids, picture())[0], -1).detach().tolist()
    found["image"] = found["image"][1:]
    return found


def second_order() -> list[list[list[float]]]:
    """(L, gh, gw) interactions, start and end of text included."""
    from exclip.explanation import OpenClipExplainer

    backbone = tiny_backbone()
    explainer = OpenClipExplainer(backbone.model, image_dim=32, device=torch.device("cpu"))
    ids = backbone.tokenizer([SENTENCE])
    shares = explainer.explain(ids, picture(), text_layer=1, image_layer=2, N=SECOND_ORDER_POINTS)
    return shares.tolist()


def main() -> None:
    """Run both and store what they say."""
    content = {
        "exclip": version("exclip"),
        "m2ib": "YingWANGG/M2IB 7da2b53",
        "second_order": second_order(),
        "information": m2ib(sys.argv[1]),
    }
    OUT.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
