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
from dense.untrusted import check_fit, read_torch


def read_run_checkpoint(
    path: str | Path, map_location: str | torch.device = "cpu"
) -> dict[str, object]:
    """Read a checkpoint that a training run has written.

    Only tensors, plain values and the few classes of MMEngine's logs are accepted, see
    `dense.compat.allow_mmengine_checkpoints`.

    Raises:
        InputError: If it is missing, broken, or would run code when loaded.
    """
    allow_mmengine_checkpoints()
    content = read_torch(path, map_location=map_location)
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
    what = f"the weights in {name} do not fit the model"
    check_fit(module.state_dict(), state, what, "use the config the checkpoint was made with")
    module.load_state_dict(dict(state))
