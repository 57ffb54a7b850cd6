"""What AdaCLIP learns, and its published files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from dense.errors import InputError
from dense.methods.anomaly.adapters import LayerAdapters
from dense.methods.learned_files import numbered, read_published


class HybridPrompts(nn.Module):
    """Static prompts, the makers of dynamic ones, and projections (AdaCLIP, section 3.3).

    Args:
        joint_dim: D.
        text_width: C of the text tower.
        image_width: C of the image tower.
        text_depth: Text blocks with prompts, from the second on.
        image_depth: Image blocks with prompts, from the first on.
        length: Prompts a block.
        layers: Blocks whose patches are projected.
    """

    def __init__(
        self,
        *,
        joint_dim: int,
        text_width: int,
        image_width: int,
        text_depth: int,
        image_depth: int,
        length: int,
        layers: int,
    ) -> None:
        super().__init__()
        self.static_text = _prompts(text_depth, length, text_width)
        self.static_image = _prompts(image_depth, length, image_width)
        self.dynamic_text = _linears(joint_dim, text_width, length)
        self.dynamic_image = _linears(joint_dim, image_width, length)
        self.patches = LayerAdapters(image_width, joint_dim, layers)
        self.image = nn.Linear(joint_dim, joint_dim)

    def dynamic(self, image_features: Tensor) -> tuple[Tensor, Tensor]:
        """Dynamic prompts of both towers, (B, n, C) each, of image features (B, D)."""
        text, image = (
            torch.stack([maker(image_features) for maker in makers], dim=1)
            for makers in (self.dynamic_text, self.dynamic_image)
        )
        return text, image


def _prompts(depth: int, length: int, width: int) -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(0.02 * torch.randn(length, width)) for _ in range(depth)])


def _linears(into: int, out: int, count: int) -> nn.ModuleList:
    return nn.ModuleList([nn.Linear(into, out) for _ in range(count)])


def published_state(path: str | Path) -> tuple[dict[str, Tensor], int, int]:
    """The authors' file in our names, with the depth and the length of the prompts.

    The static prompt of the first text block is left out: the published code never reads it.

    Raises:
        InputError: If it has another layout.
    """
    state = {k.removeprefix("clip_model."): v for k, v in read_published(path).items()}
    depth = len(numbered(state, "visual_prompter.static_prompts"))
    length = len(numbered(state, "dynamic_text_prompt_generator.head"))
    if not depth or not length:
        raise InputError(
            f"{path} is not a file of AdaCLIP as published: expected static prompts and makers of "
            "dynamic prompts in both towers"
        )
    parts = {
        "visual_prompter.static_prompts.": "static_image.",
        "dynamic_text_prompt_generator.head.": "dynamic_text.",
        "dynamic_visual_prompt_generator.head.": "dynamic_image.",
        "patch_token_layer.head.": "patches.layers.",  # nosec B105  # names of weights
        "cls_token_layer.head.0.": "image.",  # nosec B105  # names of weights
    }
    text = "text_prompter.static_prompts."
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        prefix = next((part for part in parts if key.startswith(part)), None)
        if prefix is not None:
            found[parts[prefix] + key.removeprefix(prefix)] = value
        elif key.startswith(text) and key.removeprefix(text).isdigit():
            number = int(key.removeprefix(text))
            if number:
                found[f"static_text.{number - 1}"] = value
        else:
            raise InputError(f"{path} is not a file of AdaCLIP as published: unknown {key!r}")
    return found, depth, length
