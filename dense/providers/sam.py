"""The image encoder of SAM as a provider (Kirillov et al., ICCV 2023, arXiv:2304.02643)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.preprocess import PreprocessConfig
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError, MissingDependencyError
from dense.providers.base import PixelProvider, View
from dense.providers.vit import read_tensors
from dense.untrusted import check_fit

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

NAMES = {"sam-b": "vit_b", "sam-l": "vit_l", "sam-h": "vit_h"}
WIDTHS = {768: "sam-b", 1024: "sam-l", 1280: "sam-h"}
HUB = "hub:"
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of values in [0, 255], as SAM was trained."""


class SamProvider(PixelProvider):
    """SAM's encoder on pictures whose long side is resized to its own (1024), the rest padded.

    Args:
        name: For the card.
        model: SAM; it is frozen here.
        source: How the CLIP's pictures are normalised.
    """

    def __init__(self, name: str, model: Sam, source: PreprocessConfig) -> None:
        mean, std = (tuple(value / 255 for value in values) for values in (MEAN, STD))
        super().__init__(name, source, PreprocessConfig(mean, std, "bilinear"))  # type: ignore[arg-type]
        self.model = model.eval().requires_grad_(False)

    @torch.no_grad()
    def look(self, vit: DenseViT, trace: Trace) -> View:
        """Features after the neck, and the projections of the last block, which sees the whole.

        See the base class.
        """
        encoder, images = self.model.image_encoder, self.pictures(trace)
        side, patch = encoder.img_size, encoder.patch_embed.proj.kernel_size[0]
        scale = side / max(images.shape[-2:])
        h, w = (max(patch, round(length * scale)) for length in images.shape[-2:])
        images = F.interpolate(images, (h, w), mode="bilinear", antialias=True)
        x = encoder.patch_embed(F.pad(images, (0, side - w, 0, side - h)))
        x = x if encoder.pos_embed is None else x + encoder.pos_embed
        for block in encoder.blocks[:-1]:
            x = block(x)
        attention = encoder.blocks[-1].attn
        qkv = attention.qkv(encoder.blocks[-1].norm1(x)).flatten(1, 2)
        q, k, v = qkv.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
        features = encoder.neck(encoder.blocks[-1](x).permute(0, 3, 1, 2))
        rows, columns = h // patch, w // patch
        whole = torch.arange(x.shape[1] * x.shape[2], device=x.device).view(x.shape[1:3])
        return View(
            features[..., :rows, :columns],
            q,
            k,
            v,
            whole[:rows, :columns].flatten(),
            _relative(attention, q, x.shape[1], x.shape[2]),
        )


def _relative(
    attention: torch.nn.Module, q: Tensor, rows: int, columns: int
) -> tuple[Tensor, Tensor] | None:
    """What relative positions add to the logits, by row and by column of the key."""
    if not attention.use_rel_pos:
        return None
    from segment_anything.modeling.image_encoder import get_rel_pos

    grid = q.unflatten(2, (rows, columns))
    by_row = get_rel_pos(rows, rows, attention.rel_pos_h)
    by_column = get_rel_pos(columns, columns, attention.rel_pos_w)
    return (
        torch.einsum("bhyxd,yrd->bhyxr", grid, by_row).flatten(2, 3),
        torch.einsum("bhyxd,xcd->bhyxc", grid, by_column).flatten(2, 3),
    )


def load_sam(name: str | None, weights: str | None) -> Sam:
    """Make SAM from a checkpoint, without executing anything from it.

    Args:
        name: One of `NAMES`; ``None`` takes the one that the checkpoint's width belongs to.
        weights: The authors' .pth file, the same tensors as .safetensors, or such a file on a hub
            as ``hub:OWNER/NAME/FILE``.

    Raises:
        MissingDependencyError: If segment-anything is not installed.
        InputError: If there is no checkpoint, it cannot be fetched, or it does not fit.
    """
    shown = name or "segment-anything"
    try:
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise MissingDependencyError(
            f"{shown} needs segment-anything: pip install segment-anything"
        ) from error
    if weights is None:
        raise InputError(
            f"{shown} needs SAM's own checkpoint: download it from the authors' repository "
            "(facebookresearch/segment-anything) and name the file (settings provider_weights, "
            "aggregator_weights, regions_weights)"
        )
    state = read_tensors(_fetched(weights))
    found = _name_of(state, weights)
    if name not in (None, found):
        raise InputError(
            f"{weights} is a checkpoint of {found} ({NAMES[found]}), not of {name}: choose that"
        )
    model = sam_model_registry[NAMES[found]]()
    check_fit(
        model.state_dict(),
        state,
        f"{weights} is not a checkpoint of {found}",
        "take the authors' file as it is",
    )
    model.load_state_dict(state)
    return model


def _name_of(state: Mapping[str, Tensor], weights: str) -> str:
    """Which of `NAMES` a checkpoint is, by the width of its encoder."""
    found = state.get("image_encoder.patch_embed.proj.weight")
    width = -1 if found is None else len(found)
    if width not in WIDTHS:
        raise InputError(
            f"{weights} is not a checkpoint of segment-anything: expected its image encoder of "
            f"width {', '.join(map(str, WIDTHS))}, got other tensors; SAM 2 and its relatives "
            "are other networks"
        )
    return WIDTHS[width]


def _fetched(weights: str) -> str:
    """The file itself, fetched from its hub if need be."""
    if not weights.startswith(HUB):
        return weights
    owner, _, rest = weights.removeprefix(HUB).partition("/")
    repository, _, file = rest.partition("/")
    if not (owner and repository and file):
        raise InputError(f"a checkpoint on a hub is {HUB}OWNER/NAME/FILE, got {weights!r}")
    try:
        from huggingface_hub import hf_hub_download

        # the user names the repository, and weights are read as tensors alone
        return str(hf_hub_download(f"{owner}/{repository}", file))  # nosec B615
    except Exception as error:  # hub clients raise many kinds without a common base
        raise InputError(
            f"cannot fetch {weights} ({type(error).__name__}): check the network, or pass a local "
            "checkpoint file"
        ) from error
