"""Matrix products for inference on a CPU.

PyTorch sends fp32 `linear` to MKL. On processors where MKL does not use the widest vector units
(AMD's, for one) oneDNN, which ships inside the same PyTorch, is about twice as fast, and it fuses
the GELU. Both accumulate in fp32. `dense benchmark` prints the ratio on the machine at hand.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F


@functools.cache
def _onednn_works() -> bool:
    """Whether oneDNN's fused linear exists here and agrees with `F.linear`."""
    if not torch.backends.mkldnn.is_available():
        return False
    x, w, b = torch.linspace(-1, 1, 12).view(3, 4), torch.eye(5, 4) + 0.5, torch.arange(5.0)
    try:
        with torch.no_grad():
            fused = torch.ops.mkldnn._linear_pointwise(x, w, b, "gelu", [], "none")
    except (AttributeError, RuntimeError):
        return False
    return torch.allclose(fused, F.gelu(F.linear(x, w, b)), atol=1e-5)


def use_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether products of two tensors go through oneDNN."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32 == weight.dtype
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and _onednn_works()
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear`, through oneDNN where that is allowed. x (..., in)."""
    if use_onednn(x, weight):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`gelu(linear(x))` with the exact (erf) GELU. x (..., in)."""
    if use_onednn(x, weight):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")
    return F.gelu(F.linear(x, weight, bias))
