"""AnomalyCLIP: learned prompts that name no product, against a value-value path of the tower.

Zhou et al., "AnomalyCLIP: Object-agnostic Prompt Learning for Zero-shot Anomaly Detection", ICLR
2024, arXiv:2310.18961. Two prompts "[V1]...[Vn] object." and "[W1]...[Wn] damaged object." (section
3.2), learned tokens that overwrite those behind the start token before the next text blocks (3.3),
and patch features of the second path (DPAM, 3.4). Differences from the published code:

- positions are resized bicubic with antialiasing, as open_clip does; there bilinear without;
- maps are means over layers, not sums (the same for the one layer in use);
- everything runs in fp32; there the deep tokens are rounded to half precision, which is done
  here when the authors' file is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones.blocks import run_block
from dense.backbones.depth import blocks_of, layer_indices
from dense.backbones.dual_path import parallel_outputs
from dense.backbones.prompting import encode_prompts, text_parts, with_places
from dense.errors import InputError
from dense.heads.layered import enlarged, state_cosines
from dense.methods.anomaly.learned import LearnedInspector, Truth, learned_builder
from dense.methods.learned_files import numbered, read_published
from dense.structures import Size
from dense.training.mask_losses import dice, focal

STATES = ("object.", "damaged object.")
MASK_WEIGHT = 4.0
"""Weight of the losses on maps against the loss on the image (the published code's lambda)."""


@dataclass(frozen=True)
class AnomalyCLIPSettings:
    """Settings of `AnomalyCLIPInspector`.

    Attributes:
        layers: Blocks whose second path makes maps. The published code was mended in April 2025
            (its four maps had been one and the same) and uses the last alone since.
        parallel: Share of the blocks, from the last, with a second path: 19 of 24.
        context: Learned tokens before the words of each prompt.
        deep_length: Learned tokens that overwrite others inside the text tower.
        deep_depth: Text blocks with learned tokens, the first one's `context` included; fewer
            where the tower has fewer.
        temperature: Divides cosines.
        class_norm: Pool the class token through the final norm, as the checkpoint was trained;
            the published code leaves the norm out.
        input_size: Side of the square input; ``None`` scales 518 to the model.
        sigma: Gaussian smoothing in input pixels.
    """

    layers: tuple[int | float, ...] = (1.0,)
    parallel: float = 19 / 24
    context: int = 12
    deep_length: int = 4
    deep_depth: int = 9
    temperature: float = 0.07
    class_norm: bool = False
    input_size: int | None = None
    sigma: float = 4.0


PAPER = AnomalyCLIPSettings()


class LearnedPrompts(nn.Module):
    """The tokens that AnomalyCLIP learns.

    Args:
        width: C, of the text tower.
        context: Tokens before the words of each of the two prompts.
        deep_length: Tokens that overwrite others before a later block.
        deep_count: Number of such blocks.
    """

    def __init__(self, width: int, context: int, deep_length: int, deep_count: int) -> None:
        super().__init__()
        self.normal = nn.Parameter(0.02 * torch.randn(context, width))
        self.anomalous = nn.Parameter(0.02 * torch.randn(context, width))
        self.deep = nn.ParameterList(
            [nn.Parameter(0.02 * torch.randn(deep_length, width)) for _ in range(deep_count)]
        )

    def inserted(self) -> dict[int, Tensor]:
        """Tokens by block for `encode_prompts`; those of block 0 are (2, n, C)."""
        first = {0: torch.stack([self.normal, self.anomalous])}
        return first | dict(enumerate(self.deep, start=1))


@dataclass(frozen=True)
class _Seen:
    """A batch: image features (B, D), dense features (B, N, D) a layer, (gh, gw)."""

    image: Tensor
    layers: tuple[Tensor, ...]
    grid: Size


class AnomalyCLIPInspector(LearnedInspector):
    """Zero-shot with two learned prompts for all products; `products` are not read.

    The image score is the probability of the anomalous prompt for the class token alone.
    """

    name = "anomalyclip"
    title = "AnomalyCLIP"
    paper = PAPER
    settings: AnomalyCLIPSettings
    learned: LearnedPrompts

    def make_learned(self) -> LearnedPrompts:
        """Prompts of the text tower.

        Raises:
            InputError: If they leave no room for words.
        """
        settings, depth = self.settings, self.backbone.vit.num_blocks
        self.parts = text_parts(self.backbone.model)
        self.layers = layer_indices(settings.layers, depth)
        self.first = depth - blocks_of(settings.parallel, depth)
        self.tokens = with_places(self.backbone.tokenizer, STATES, settings.context)
        if not bool((self.tokens.argmax(-1) > settings.context).all()):
            raise InputError(
                f"{settings.context} learned tokens leave no room for words in a text context of "
                f"{self.tokens.shape[1]}; choose fewer"
            )
        deep = max(0, min(settings.deep_depth, len(self.parts.blocks)) - 1)
        return LearnedPrompts(self.parts.width, settings.context, settings.deep_length, deep)

    def text_features(self) -> Tensor:
        """(2, D) unit rows, normal then anomalous, with gradients for the learned tokens."""
        tokens = self.tokens.to(self.backbone.device)
        features = encode_prompts(self.parts, tokens, self.learned.inserted())
        return F.normalize(features.float(), dim=-1)

    def score(self, images: Tensor, categories: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Maps (B, h, w) and image scores (B,)."""
        seen, text = self._look(images), self.text_features()
        size = (images.shape[-2], images.shape[-1])
        maps = torch.stack([layer[:, 1] for layer in self._probabilities(seen, text, size)])
        return maps.mean(0), self._image_logits(seen, text).softmax(-1)[:, 1]

    def losses(self, images: Tensor, truth: Truth) -> dict[str, Tensor]:
        """Cross-entropy of the image; focal and Dice losses of every layer's map (section 3.5)."""
        with torch.no_grad():
            seen = self._look(images)
        text, masks = self.text_features(), truth.masks
        layers = self._probabilities(seen, text, (images.shape[-2], images.shape[-1]))
        overlap = [dice(p[:, 1], masks) + dice(p[:, 0], ~masks) for p in layers]
        return {
            "loss_image": F.cross_entropy(self._image_logits(seen, text), truth.labels),
            "loss_focal": MASK_WEIGHT * torch.stack([focal(p, masks) for p in layers]).sum(),
            "loss_dice": MASK_WEIGHT * torch.stack(overlap).sum(),
        }

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range."""
        return (0.2, 0.9)

    def describe(self) -> dict[str, object]:
        """Protocol card."""
        return {
            **super().describe(),
            "layers": self.layers,
            "parallel": self.backbone.vit.num_blocks - self.first,
            "deep_depth": len(self.learned.deep) + 1,
            "image_score": "class token alone",
        }

    def _look(self, images: Tensor) -> _Seen:
        vit = self.backbone.vit
        trace = vit.trace(images)
        beside = parallel_outputs(vit, trace, self.first)
        after = (*trace.entering[1:],)
        prefix = trace.layout.prefix
        layers = tuple(
            vit.tower.project((beside[i - self.first] if i >= self.first else after[i])[:, prefix:])
            for i in self.layers
        )
        whole = run_block(vit.tower.blocks[-1], trace.entering[-1])
        return _Seen(self._class_feature(whole), layers, trace.layout.grid)

    def _class_feature(self, whole: Tensor) -> Tensor:
        """(B, D); towers that do not pool a class token keep their own pooling."""
        visual = self.backbone.vit.tower.visual
        plain = getattr(visual, "pool_type", None) == "tok"
        if self.settings.class_norm or not plain:
            return self.backbone.vit.tower.pool(whole)
        return whole[:, 0] @ visual.proj

    def _image_logits(self, seen: _Seen, text: Tensor) -> Tensor:
        return F.normalize(seen.image.float(), dim=-1) @ text.T / self.settings.temperature

    def _probabilities(self, seen: _Seen, text: Tensor, size: Size) -> list[Tensor]:
        """(B, 2, h, w) a layer: soft-max on the grid, then enlarged."""
        grids = [
            (state_cosines(layer, text) / self.settings.temperature).softmax(-1)
            for layer in seen.layers
        ]
        return [enlarged(grid, seen.grid, size, align_corners=False) for grid in grids]


def published_state(path: str | Path) -> tuple[dict[str, Tensor], AnomalyCLIPSettings]:
    """The authors' ``epoch_N.pth`` in our names, and the settings its shapes tell.

    Word embeddings and token numbers that it carries follow from the backbone; the projections it
    carries are not used by the published code either.

    Raises:
        InputError: If it has another layout.
    """
    state = read_published(path, "prompt_learner")
    depth = len(numbered(state, "compound_prompts_text"))
    names = {"ctx_pos": "normal", "ctx_neg": "anomalous"}
    names |= {f"compound_prompts_text.{i}": f"deep.{i}" for i in range(depth)}
    lost = sorted(set(names) - set(state))
    if lost or not depth or state["ctx_pos"].ndim != 4 or len(state["ctx_pos"].flatten(0, 1)) != 1:
        raise InputError(
            f"{path} is not a prompt learner of AnomalyCLIP as published: "
            + (f"{lost[0]} is missing" if lost else "unexpected shapes")
        )
    found = {new: state[old].float() for old, new in names.items()}
    for key in ("normal", "anomalous"):
        found[key] = found[key].flatten(0, 2)
    found |= {k: v.half().float() for k, v in found.items() if k.startswith("deep.")}
    settings = replace(
        PAPER,
        context=len(found["normal"]),
        deep_length=len(found["deep.0"]),
        deep_depth=depth + 1,
    )
    return found, settings


build = learned_builder(AnomalyCLIPInspector, AnomalyCLIPSettings, published_state)
"""Catalogue entry: learned parts of ours or of the authors."""
