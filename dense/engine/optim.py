"""Which parameters an optimiser gets, and with what weight decay and rate."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from dense.errors import InputError


class LearnableParameters:
    """Builds the optimiser of a config: what learns, each tensor once, matrices alone decayed.

    Norms, biases, scales and other vectors get no weight decay, as is usual for transformers.
    MMEngine calls it as `constructor` of the `optim_wrapper`.

    Args:
        optim_wrapper_cfg: `type` (an `OptimWrapper` class), `optimizer` (its class under `type`
            and arguments), and further arguments of the wrapper.
        paramwise_cfg: `rates`: multipliers of the learning rate by a part of parameters' names.

    Raises:
        InputError: If nothing learns, or a rate fits no learnable parameter (when called).
    """

    def __init__(
        self,
        optim_wrapper_cfg: Mapping[str, object],
        paramwise_cfg: Mapping[str, object] | None = None,
    ) -> None:
        self.cfg = dict(optim_wrapper_cfg)
        self.rates: dict[str, float] = dict((paramwise_cfg or {}).get("rates", {}))  # type: ignore[call-overload]

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper for a model."""
        cfg = dict(self.cfg)
        wrapper, optimizer = cfg.pop("type"), dict(cfg.pop("optimizer"))  # type: ignore[call-overload]
        kind = optimizer.pop("type")
        groups = self._groups(model, float(optimizer["lr"]), optimizer.get("weight_decay", 0.0))
        return wrapper(optimizer=kind(groups, **optimizer), **cfg)  # type: ignore[operator]

    def _groups(self, model: nn.Module, rate: float, decay: float) -> list[dict[str, object]]:
        found: dict[tuple[float, bool], list[torch.Tensor]] = {}
        used = set()
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            part = next((part for part in self.rates if part in name), None)
            used.add(part)
            factor = 1.0 if part is None else self.rates[part]
            found.setdefault((factor, parameter.ndim > 1), []).append(parameter)
        if not found:
            raise InputError("nothing to train: every parameter of the method is frozen")
        lost = sorted(set(self.rates) - used)
        if lost:
            raise InputError(f"no parameter that learns has {lost[0]!r} in its name")
        return [
            {"params": rows, "lr": rate * factor, "weight_decay": decay if matrix else 0.0}
            for (factor, matrix), rows in sorted(found.items())
        ]
