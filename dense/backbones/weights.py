"""Checkpoint files → an open_clip configuration and a state dict for strict loading.

Read without running code from the file: safetensors, or `torch.load(weights_only=True)`; OpenAI's
TorchScript archives go through TorchScript's own loader, which builds no Python objects.

| layout | how it is told apart |
|---|---|
| packed (this package's own) | safetensors whose metadata holds `model_cfg`; int8 rows |
| open_clip `.pt` / safetensors | state dict, maybe under `state_dict` and with a `module.` prefix |
| OpenAI archive | TorchScript zip |
| Hugging Face CLIP directory | `config.json` of model type `clip` |
| open_clip directory | `open_clip_config.json` |
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dense.backbones import hf_layout, packing
from dense.errors import InputError
from dense.untrusted import read_safetensors, read_torch, state_dict

StateDict = dict[str, Tensor]
Config = dict[str, Any]

_WEIGHT_FILES = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "open_clip_pytorch_model.pt",
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in open_clip's layout.

    Attributes:
        state: fp32 tensors by open_clip's names.
        model_cfg: Arguments of `open_clip.model.CLIP`, if the file tells them.
        preprocess_cfg: ``mean``, ``std``, ``interpolation``, if the file tells them.
        notes: Whatever else a packed file says of itself (licence, provenance, settings).
    """

    state: StateDict
    model_cfg: Config | None = None
    preprocess_cfg: Config = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint file or directory.

    Raises:
        InputError: If it is missing, corrupt, of an unknown layout, or would run code.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"no such checkpoint: {path}")
    if path.is_dir():
        return _read_directory(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if _is_torchscript(path):
        return _read_torchscript(path)
    return _describe(_read_pickle(path))


def _read_directory(path: Path) -> Checkpoint:
    weights = next((path / name for name in _WEIGHT_FILES if (path / name).is_file()), None)
    if weights is None:
        raise InputError(
            f"no weights in {path}: expected one of {', '.join(_WEIGHT_FILES[:3])} or .bin"
        )
    if (path / "open_clip_config.json").is_file():
        config = _read_json(path / "open_clip_config.json")
        state = read_checkpoint(weights).state
        return Checkpoint(state, config.get("model_cfg", config), config.get("preprocess_cfg", {}))
    if (path / "config.json").is_file():
        config = _read_json(path / "config.json")
        state = _raw_state(weights)
        preprocess = path / "preprocessor_config.json"
        return Checkpoint(
            hf_layout.convert_state(state),
            hf_layout.convert_config(config),
            hf_layout.convert_preprocess(_read_json(preprocess) if preprocess.is_file() else {}),
        )
    raise InputError(
        f"{path} has weights but neither open_clip_config.json nor config.json to describe them"
    )


def _read_json(path: Path) -> Config:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot read {path} as JSON: {error}") from error


def _raw_state(path: Path) -> StateDict:
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    return _read_pickle(path)


def _read_safetensors(path: Path) -> Checkpoint:
    tensors, notes = read_safetensors(path)
    if "model_cfg" not in notes:
        return _describe(tensors)
    if "base" in notes:
        base = path.with_name(Path(notes["base"]).name)
        tensors = {**read_safetensors(base)[0], **tensors}
    return Checkpoint(
        packing.unpack(tensors),
        json.loads(notes["model_cfg"]),
        json.loads(notes.get("preprocess_cfg", "{}")),
        {k: v for k, v in notes.items() if k not in ("model_cfg", "preprocess_cfg")},
    )


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _read_torchscript(path: Path) -> Checkpoint:
    try:
        state = torch.jit.load(str(path), map_location="cpu").state_dict()
    except (RuntimeError, OSError) as error:
        raise InputError(f"corrupt TorchScript archive {path}") from error
    state = _normalised(dict(state))
    return Checkpoint(state, infer_config(state, quick_gelu=True))


def _read_pickle(path: Path) -> StateDict:
    loaded = read_torch(path)
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    return state_dict(loaded, path)


def _normalised(state: StateDict) -> StateDict:
    """Drop the wrapper's prefix and OpenAI's three scalars; everything to fp32."""
    extra = {"input_resolution", "context_length", "vocab_size", "attn_mask"}
    plain = {key.removeprefix("module."): value for key, value in state.items()}
    return {
        key: value.float() if value.is_floating_point() else value
        for key, value in plain.items()
        if key not in extra
    }


def _describe(state: StateDict) -> Checkpoint:
    state = _normalised(state)
    if "vision_model.embeddings.class_embedding" in state:
        state = hf_layout.convert_state(state)
    known = "visual.conv1.weight" in state and "token_embedding.weight" in state
    return Checkpoint(state, infer_config(state, quick_gelu=False) if known else None)


def infer_config(state: StateDict, *, quick_gelu: bool) -> Config:
    """Read the architecture off the shapes of a plain open_clip / OpenAI ViT state dict.

    Head width is 64, as in every plain open_clip ViT; the activation cannot be seen in a state
    dict and is taken from `quick_gelu`.
    """
    conv = state["visual.conv1.weight"]
    grid = round((len(state["visual.positional_embedding"]) - 1) ** 0.5)
    blocks = {key.split(".")[3] for key in state if key.startswith("visual.transformer.resblocks.")}
    text = {key.split(".")[2] for key in state if key.startswith("transformer.resblocks.")}
    width = state["ln_final.weight"].shape[0]
    vision: Config = {
        "layers": len(blocks),
        "width": conv.shape[0],
        "patch_size": conv.shape[-1],
        "image_size": grid * conv.shape[-1],
    }
    if "visual.transformer.resblocks.0.ls_1.gamma" in state:
        vision["ls_init_value"] = 1e-5
    if "visual.ln_pre.weight" not in state:
        vision["no_ln_pre"] = True
    hidden = state["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0]
    if hidden != 4 * conv.shape[0]:
        vision["mlp_ratio"] = hidden / conv.shape[0]
    return {
        "embed_dim": state["text_projection"].shape[1],
        "quick_gelu": quick_gelu,
        "vision_cfg": vision,
        "text_cfg": {
            "context_length": len(state["positional_embedding"]),
            "vocab_size": len(state["token_embedding.weight"]),
            "width": width,
            "heads": max(1, width // 64),
            "layers": len(text),
        },
    }
