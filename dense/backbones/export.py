"""Write a CLIP as a checkpoint that `load` reads back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from dense.backbones.packing import pack
from dense.backbones.weights import Config
from dense.errors import InputError
from dense.outputs import write_bytes


def save_checkpoint(
    path: str | Path,
    state: Mapping[str, Tensor],
    model_cfg: Config,
    *,
    preprocess_cfg: Config | None = None,
    notes: Mapping[str, str] | None = None,
    packed: bool = False,
    base: str | Path | None = None,
) -> None:
    """Write a self-describing safetensors file, whole or not at all.

    Without `packed` the tensors are ordinary fp32 in open_clip's names, so that any open_clip
    program reads the file too.

    Args:
        path: Ends in ``.safetensors``.
        state: State dict of an open_clip model.
        model_cfg: Its configuration; stored in the metadata.
        preprocess_cfg: ``mean``, ``std``, ``interpolation``.
        notes: Further metadata: provenance, licence, recommended settings.
        packed: Store matrices as int8 rows (see `dense.backbones.packing`).
        base: Packed checkpoint in the same folder; tensors equal to its own are left out.

    Raises:
        InputError: If the place cannot be written or the suffix is another.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"checkpoints are written as .safetensors, got {path.name}")
    tensors = {k: v.detach().cpu().contiguous() for k, v in state.items() if k != "attn_mask"}
    tensors = pack(tensors) if packed else tensors
    metadata = {**(notes or {}), "format": "pt", "model_cfg": json.dumps(model_cfg)}
    metadata["preprocess_cfg"] = json.dumps(preprocess_cfg or {})
    if base is not None:
        tensors = _without_shared(tensors, Path(base))
        metadata["base"] = Path(base).name
    write_bytes(path, save(tensors, metadata))


def _without_shared(tensors: Mapping[str, Tensor], base: Path) -> dict[str, Tensor]:
    with safe_open(base, framework="pt") as file:
        names = set(file.keys())
        return {
            key: value
            for key, value in tensors.items()
            if key not in names or not torch.equal(value, file.get_tensor(key))
        }
