"""Checkpoints of training runs: read without running their code, loaded without gaps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from dense.compat import allow_mmengine_checkpoints
from dense.errors import InputError


def read_run_checkpoint(
    path: str | Path, map_location: str | torch.device = "cpu"
) -> dict[str, object]:
    """Read a checkpoint that a training run has written.

    Only tensors, plain values and the few classes of MMEngine's logs are accepted, see
    `dense.compat.allow_mmengine_checkpoints`.

    Raises:
        InputError: If it is missing, broken, or would run code when loaded.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such checkpoint: {path}")
    allow_mmengine_checkpoints()
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # broken archives raise many kinds
        reason = _reason(error)
        raise InputError(f"cannot load {path} safely as a checkpoint: {reason}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path} must hold a dictionary of weights, got a {type(content).__name__}"
        )
    return content


def state_dict_of(checkpoint: Mapping[str, object]) -> dict[str, Tensor]:
    """The weights in a run's checkpoint, without the prefix of parallel wrappers."""
    state = checkpoint.get("state_dict", checkpoint)
    if not isinstance(state, Mapping):
        raise InputError("the checkpoint's state_dict is not a dictionary of weights")
    return {re.sub(r"^module\.", "", str(k)): cast(Tensor, v) for k, v in state.items()}


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load weights that fit exactly.

    Raises:
        InputError: If a tensor is missing, unknown, or has another shape.
    """
    expected = module.state_dict()
    missing = sorted(set(expected) - set(state))
    extra = sorted(set(state) - set(expected))
    wrong = [k for k, v in expected.items() if k in state and state[k].shape != v.shape]
    if missing or extra or wrong:
        raise InputError(
            f"the weights in {name} do not fit the model: {len(missing)} missing {missing[:2]}, "
            f"{len(extra)} unknown {extra[:2]}, {len(wrong)} of another shape {wrong[:2]}; use "
            "the config the checkpoint was made with"
        )
    module.load_state_dict(dict(state))


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    unsafe = [line for line in lines if "Unsupported" in line or "GLOBAL" in line]
    return (unsafe or lines or [type(error).__name__])[0]
