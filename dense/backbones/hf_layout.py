"""Hugging Face `CLIPModel` checkpoints in open_clip's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dense.errors import InputError

_TOP = {
    "logit_scale": "logit_scale",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # the library's own spelling
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
}
_TRANSPOSED = {
    "visual_projection.weight": "visual.proj",
    "text_projection.weight": "text_projection",
}
_LAYER = re.compile(r"(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)")
_PARTS = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def convert_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a `CLIPModel` state dict; queries, keys and values are stacked.

    Raises:
        InputError: If a tensor has no counterpart in open_clip's layout.
    """
    out: dict[str, Tensor] = {}
    stacks: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        if name.endswith("position_ids"):
            continue
        if name in _TOP:
            out[_TOP[name]] = value.float()
        elif name in _TRANSPOSED:
            out[_TRANSPOSED[name]] = value.float().T.contiguous()
        elif match := _LAYER.fullmatch(name):
            tower, index, rest = match.groups()
            block = f"{'visual.' if tower == 'vision' else ''}transformer.resblocks.{index}."
            part, kind = rest.rsplit(".", 1)
            if part in _PARTS:
                out[f"{block}{_PARTS[part]}.{kind}"] = value.float()
            else:
                key = f"{block}attn.in_proj_{kind}"
                stacks.setdefault(key, {})[part.removeprefix("self_attn.")] = value.float()
        else:
            raise InputError(f"tensor {name!r} does not belong to a Hugging Face CLIP checkpoint")
    for key, parts in stacks.items():
        out[key] = torch.cat([parts["q_proj"], parts["k_proj"], parts["v_proj"]])
    return out


def convert_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config.json` of a `CLIPModel` → arguments of `open_clip.model.CLIP`.

    Raises:
        InputError: If the model type is not ``clip``.
    """
    if config.get("model_type") != "clip":
        raise InputError(
            f"expected a Hugging Face config of model type 'clip', got "
            f"{config.get('model_type')!r}; load other models through open_clip"
        )
    vision, text = config.get("vision_config", {}), config.get("text_config", {})
    width, heads = vision.get("hidden_size", 768), vision.get("num_attention_heads", 12)
    text_width = text.get("hidden_size", 512)
    return {
        "embed_dim": config.get("projection_dim", 512),
        "quick_gelu": vision.get("hidden_act", "quick_gelu") == "quick_gelu",
        "vision_cfg": {
            "layers": vision.get("num_hidden_layers", 12),
            "width": width,
            "head_width": width // heads,
            "patch_size": vision.get("patch_size", 32),
            "image_size": vision.get("image_size", 224),
            "mlp_ratio": vision.get("intermediate_size", 3072) / width,
        },
        "text_cfg": {
            "context_length": text.get("max_position_embeddings", 77),
            "vocab_size": text.get("vocab_size", 49408),
            "width": text_width,
            "heads": text.get("num_attention_heads", 8),
            "layers": text.get("num_hidden_layers", 12),
            "mlp_ratio": text.get("intermediate_size", 2048) / text_width,
        },
    }


def convert_preprocess(config: Mapping[str, Any]) -> dict[str, Any]:
    """`preprocessor_config.json` → ``mean``, ``std``, ``interpolation``."""
    if "image_mean" not in config:
        return {}
    return {
        "mean": config["image_mean"],
        "std": config["image_std"],
        "interpolation": "bicubic" if config.get("resample", 3) == 3 else "bilinear",
    }
