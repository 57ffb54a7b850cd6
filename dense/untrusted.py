"""Files of weights that users bring: read without running code from them."""

from __future__ import annotations

import pickle  # nosec B403  # only for the name of its error
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dense.errors import InputError


def read_torch(path: str | Path, *, map_location: str | torch.device = "cpu") -> object:
    """Read what `torch.save` wrote: tensors, plain values and containers of them.

    Raises:
        InputError: If the file is missing or broken, or holds other objects, which could run code.
    """
    if not Path(path).is_file():
        raise InputError(f"no such checkpoint: {path}")
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # broken archives raise many kinds
        # an unknown instruction is no pickle at all; any other refusal names what was found
        if isinstance(error, pickle.UnpicklingError) and "Unsupported operand" not in str(error):
            raise InputError(
                f"refused {path}: it holds Python objects other than tensors, which could run "
                "code; save the state dict alone, best as safetensors"
            ) from error
        raise InputError(f"corrupt checkpoint {path}: not a file that torch.save wrote") from error


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        InputError: If the file is missing or broken.
    """
    if not Path(path).is_file():
        raise InputError(f"no such checkpoint: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"corrupt safetensors file {path}: {error}") from error


def state_dict(content: object, path: str | Path) -> dict[str, Tensor]:
    """What was read of a file, if it is a dictionary of tensors.

    Raises:
        InputError: If it is something else.
    """
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path} is not a state dict: expected a dict of tensors")
    return {str(key): value for key, value in content.items()}


def check_fit(
    expected: Mapping[str, Tensor], state: Mapping[str, Tensor], what: str, remedy: str
) -> None:
    """Refuse weights that are not exactly those of a network.

    Args:
        expected: The network's own tensors by name.
        state: What would be loaded.
        what: Subject and verb of the sentence, e.g. ``"the weights in a.pt do not fit"``.
        remedy: Its end.

    Raises:
        InputError: If a tensor is missing, unknown, or has another shape.
    """
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    wrong = [k for k, v in expected.items() if k in state and state[k].shape != v.shape]
    if missing or extra or wrong:
        pairs = [f"{k} {tuple(state[k].shape)} for {tuple(expected[k].shape)}" for k in wrong[:2]]
        raise InputError(
            f"{what}: {len(missing)} tensors missing {missing[:2]}, {len(extra)} unknown "
            f"{extra[:2]}, {len(wrong)} of another shape {pairs}; {remedy}"
        )
