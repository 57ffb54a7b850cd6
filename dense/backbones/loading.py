"""`load`: one name → a `CLIPBackbone`, whatever the checkpoint's layout or place."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model
from torch import nn

from dense.backbones.clip import CLIPBackbone, Tokenizer
from dense.backbones.preprocess import OPENAI_MEAN, OPENAI_STD, PreprocessConfig
from dense.backbones.recommended import read_recommended
from dense.backbones.weights import Checkpoint, Config, read_checkpoint
from dense.errors import InputError, unknown_name
from dense.untrusted import check_fit

ASSETS = Path(__file__).parent.parent / "assets"
EMBEDDED = {
    "embedded": "the packaged model with dense alignment; the default",
    "embedded-base": "the packaged model after image-text training alone; a plain CLIP",
}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
HUB_PREFIX = "hf-hub:"


@dataclass(frozen=True)
class ModelInfo:
    """A checkpoint that `load` can be asked for."""

    name: str
    pretrained: str | None
    packaged: bool
    description: str


def available() -> list[ModelInfo]:
    """Packaged models first, then every Vision Transformer checkpoint that open_clip knows."""
    packaged = [
        ModelInfo(name, None, True, text)
        for name, text in EMBEDDED.items()
        if (ASSETS / f"{name}.safetensors").is_file()
    ]
    hub = [
        ModelInfo(name, tag, False, "open_clip checkpoint, downloaded on first use")
        for name, tag in open_clip.list_pretrained()
        if _is_vit(name)
    ]
    return packaged + hub


def load(
    name: str = "embedded",
    *,
    pretrained: str | None = None,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
) -> CLIPBackbone:
    """Load a CLIP for dense prediction, in evaluation mode.

    Args:
        name: ``"embedded"`` or ``"embedded-base"`` (packaged), an open_clip architecture such as
            ``"ViT-B-16"``, a hub id ``"hf-hub:org/model"``, or the path of a checkpoint file or
            directory (see `dense.backbones.weights`).
        pretrained: For an architecture: a tag such as ``"openai"``, or a checkpoint file.
        device: ``"cpu"``, ``"cuda"``, ...
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``: the weights are stored and used so.

    Raises:
        InputError: For unknown names, unreachable hubs, and unusable checkpoints.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    backbone = _resolve(name, pretrained)
    try:
        return backbone.eval().to(torch.device(device), PRECISIONS[precision])
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used: {reason}") from error


def _resolve(name: str, pretrained: str | None) -> CLIPBackbone:
    if pretrained is not None and name not in open_clip.list_models():
        raise InputError(
            f"pretrained weights go with an open_clip architecture such as ViT-B-16, but {name} "
            "brings its own: leave --pretrained out"
        )
    if name in EMBEDDED:
        return _from_checkpoint(read_checkpoint(ASSETS / f"{name}.safetensors"), name)
    if name.startswith(HUB_PREFIX):
        return _from_hub(name)
    if name in open_clip.list_models():
        return _from_architecture(name, pretrained)
    if Path(name).exists():
        return _from_checkpoint(read_checkpoint(name), str(name))
    if any(mark in name for mark in ("/", "\\")) or Path(name).suffix in (".pt", ".safetensors"):
        raise InputError(f"no such checkpoint: {name}")
    raise unknown_name("model", name, [*EMBEDDED, *open_clip.list_models()])


def _is_vit(name: str) -> bool:
    config = open_clip.get_model_config(name) or {}
    vision = config.get("vision_cfg", {})
    if "multimodal_cfg" in config or "hf_model_name" in config.get("text_cfg", {}):
        return False
    timm_name = vision.get("timm_model_name")
    if timm_name:
        return timm_name.startswith("vit_") and "siglip" in timm_name
    return isinstance(vision.get("layers"), int)


def _from_architecture(name: str, pretrained: str | None) -> CLIPBackbone:
    tags = list_pretrained_tags_by_model(name)
    if pretrained is None:
        raise InputError(
            f"{name} is an architecture and needs weights: pass pretrained= a checkpoint file or "
            f"one of {', '.join(tags[:6]) or 'no published tag'}"
        )
    config = copy.deepcopy(open_clip.get_model_config(name))
    if Path(pretrained).exists():
        checkpoint = read_checkpoint(pretrained)
        inferred = checkpoint.model_cfg or {}
        if inferred.get("quick_gelu"):
            config["quick_gelu"] = True
        merged = Checkpoint(checkpoint.state, config, checkpoint.preprocess_cfg, checkpoint.notes)
        return _from_checkpoint(merged, name, open_clip_name=name)
    tag = get_pretrained_cfg(name, pretrained)
    if not tag:
        raise unknown_name(f"pretrained tag of {name}", pretrained, tags)
    return _downloaded(
        f"{name}/{pretrained}",
        lambda: open_clip.create_model(
            name, pretrained, force_quick_gelu=bool(tag.get("quick_gelu")), weights_only=True
        ),
        lambda: open_clip.get_tokenizer(name),
    )


def _from_hub(name: str) -> CLIPBackbone:
    return _downloaded(
        name,
        lambda: open_clip.create_model(name, weights_only=True),
        lambda: open_clip.get_tokenizer(name),
    )


def _downloaded(name: str, create: Any, tokenizer: Any) -> CLIPBackbone:
    logging.disable(logging.ERROR)  # open_clip logs the failure that is raised below
    try:
        model, tokenize = create(), tokenizer()
    except Exception as error:  # hub clients raise many kinds without a common base
        raise InputError(
            f"cannot fetch {name} from its hub ({type(error).__name__}): check the network, or "
            "pass a local checkpoint file, or use the packaged model 'embedded'"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    config = open_clip.get_model_preprocess_cfg(model)
    return CLIPBackbone(model, tokenize, _preprocess(config), name=name)


def _from_checkpoint(
    checkpoint: Checkpoint, name: str, *, open_clip_name: str | None = None
) -> CLIPBackbone:
    if checkpoint.model_cfg is None:
        raise InputError(
            f"{name} does not describe its architecture: pass the architecture's name as the "
            "model and the file as pretrained"
        )
    model = _empty_model(checkpoint.model_cfg)
    _load_strictly(model, checkpoint, name)
    tokenizer = _tokenizer(checkpoint.model_cfg, open_clip_name)
    preprocess = _preprocess(checkpoint.preprocess_cfg)
    recommended = read_recommended(checkpoint.notes)
    return CLIPBackbone(model, tokenizer, preprocess, name=name, recommended=recommended)


def build_model(model_cfg: Config) -> nn.Module:
    """Build an open_clip model from its configuration, without weights from anywhere.

    Raises:
        InputError: If the configuration has unknown or missing entries.
    """
    config = copy.deepcopy(dict(model_cfg))
    custom = config.pop("custom_text", False) or "hf_model_name" in config.get("text_cfg", {})
    config.get("text_cfg", {}).pop("hf_tokenizer_name", None)
    try:
        return (CustomTextCLIP if custom else CLIP)(**config)
    except (TypeError, KeyError, RuntimeError) as error:
        raise InputError(f"not a usable open_clip model configuration: {error}") from error


def _empty_model(model_cfg: Config) -> nn.Module:
    """Build without drawing random weights, which would take longer than reading the file."""
    if "timm_model_name" in model_cfg.get("vision_cfg", {}) or model_cfg.get("custom_text"):
        return build_model(model_cfg)
    with torch.device("meta"):
        model = build_model(model_cfg)
    if isinstance(model, CLIP) and model.attn_mask is not None:
        length = model.context_length
        mask = torch.full((length, length), float("-inf")).triu(1)
        model.register_buffer("attn_mask", mask, persistent=False)
    return model


def _load_strictly(model: nn.Module, checkpoint: Checkpoint, name: str) -> None:
    state = dict(checkpoint.state)
    expected = model.state_dict()
    for key in ("logit_scale", "logit_bias"):
        if key in state and key in expected:
            state[key] = state[key].reshape(expected[key].shape)
    if "text.positional_embedding" in expected and "positional_embedding" in state:
        state = open_clip.model.convert_to_custom_text_state_dict(state)
    remedy = "choose the architecture the checkpoint was made with"
    check_fit(expected, state, f"the weights do not fit {name}", remedy)
    model.load_state_dict(state, assign=True)


def _tokenizer(model_cfg: Mapping[str, Any], open_clip_name: str | None) -> Tokenizer:
    text = model_cfg.get("text_cfg", {})
    if open_clip_name and text.get("hf_tokenizer_name"):
        try:
            return open_clip.get_tokenizer(open_clip_name)
        except Exception as error:  # needs a hub, whose clients raise many kinds
            raise InputError(
                f"the tokenizer of {open_clip_name} must be fetched from its hub, which cannot "
                "be reached"
            ) from error
    if text.get("hf_tokenizer_name"):
        logging.getLogger(__name__).warning("hub tokenizer replaced by CLIP's own")
    return open_clip.SimpleTokenizer(context_length=text.get("context_length", 77))


def _preprocess(config: Mapping[str, Any]) -> PreprocessConfig:
    mean, std = config.get("mean") or OPENAI_MEAN, config.get("std") or OPENAI_STD
    return PreprocessConfig(tuple(mean), tuple(std), config.get("interpolation", "bicubic"))
