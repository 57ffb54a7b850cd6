"""Small storage of weights: matrices as int8 rows with one scale each, the rest as fp16.

A row w is stored as round(w / s) with s = max |w| / 127, so the error of an entry is at most s / 2.
Packed files are ordinary safetensors; `unpack` gives the fp32 state dict back.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE_SUFFIX = ".row_scale"


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Pack a state dict. Tensors of two or more axes become int8 rows, others fp16.

    Scalars and position tables stay fp16: they are small and added, not multiplied.
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point():
            packed[name] = value.contiguous()
        elif value.ndim < 2 or "positional_embedding" in name:
            packed[name] = value.half().contiguous()
        else:
            rows = value.float().flatten(1)
            scale = rows.abs().amax(1).clamp(min=1e-12) / 127
            packed[name] = (rows / scale[:, None]).round().to(torch.int8).view_as(value)
            packed[name + SCALE_SUFFIX] = scale
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `pack`: fp32 tensors by name; tensors that were not packed pass through as fp32."""
    state: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = tensors.get(name + SCALE_SUFFIX)
        value = value.float() if value.is_floating_point() or scale is not None else value
        if scale is not None:
            value = value * scale.float().view(-1, *[1] * (value.ndim - 1))
        state[name] = value
    return state
