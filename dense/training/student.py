"""The tower that is trained, cut in two: a frozen prefix and the blocks that learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dense.backbones import CLIPBackbone, DenseViT
from dense.backbones.attention import TokenLayout, plain
from dense.backbones.blocks import Block, run_block
from dense.backbones.loading import build_model
from dense.backbones.preprocess import PreprocessConfig
from dense.backbones.towers import resize_positions
from dense.backbones.weights import Config
from dense.errors import InputError

IMAGENET = PreprocessConfig((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class StudentShape:
    """Architecture of a small CLIP.

    Attributes:
        layers: Blocks of the image tower.
        image_size: Side in pixels that the position table is kept for.
        width: Of the image tower.
        patch_size: Side of a patch.
        joint_dim: D.
        text_width: Of the text tower.
        text_layers: Blocks of the text tower.
        text_heads: Its heads.
    """

    layers: int = 12
    image_size: int = 224
    width: int = 384
    patch_size: int = 14
    joint_dim: int = 384
    text_width: int = 256
    text_layers: int = 6
    text_heads: int = 4

    def model_cfg(self) -> Config:
        """Configuration of open_clip's `CLIP`; the image tower is DINOv2's."""
        return {
            "embed_dim": self.joint_dim,
            "vision_cfg": {
                "layers": self.layers,
                "width": self.width,
                "head_width": 64,
                "patch_size": self.patch_size,
                "image_size": self.image_size,
                "ls_init_value": 1e-5,
                "no_ln_pre": True,
                "norm_kwargs": {"eps": 1e-6},
                "pool_type": "tok",
            },
            "text_cfg": {
                "context_length": 77,
                "vocab_size": 49408,
                "width": self.text_width,
                "heads": self.text_heads,
                "layers": self.text_layers,
            },
        }


def build_student(
    shape: StudentShape = StudentShape(),
    *,
    vision: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> CLIPBackbone:
    """Build a small CLIP, with the image tower from elsewhere.

    Args:
        shape: Its architecture.
        vision: Tensors by open_clip's names below ``visual``, e.g. of `read_onnx_vit`; blocks
            beyond `shape.layers` are left out and positions resampled. Random if ``None``.
        seed: Of everything that is initialised here.

    Raises:
        InputError: If a tensor does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(shape.model_cfg())
    if vision is not None:
        _fill_vision(model, vision, shape)
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    return CLIPBackbone(model, tokenizer, IMAGENET, name="student")


def _fill_vision(model: nn.Module, vision: Mapping[str, Tensor], shape: StudentShape) -> None:
    visual: nn.Module = model.visual  # type: ignore[assignment]
    own = visual.state_dict()
    grid = shape.image_size // shape.patch_size
    state = {key: vision[key] for key in own if key in vision}
    table = vision["positional_embedding"]
    side = round((len(table) - 1) ** 0.5)
    patches = resize_positions(table[1:], (side, side), (grid, grid))
    state["positional_embedding"] = torch.cat([table[:1], patches])
    missing = sorted(set(own) - set(state) - {"proj"})
    wrong = [key for key, value in state.items() if value.shape != own[key].shape]
    if missing or wrong:
        raise InputError(
            f"the image tower does not fit: {len(missing)} tensors missing {missing[:2]}, "
            f"{len(wrong)} of another shape {wrong[:2]}"
        )
    visual.load_state_dict({**own, **state})


def train_only(backbone: CLIPBackbone, *, start: int | None, text: bool = False) -> None:
    """Freeze everything but the image tower from block `start` on, and maybe the text tower.

    Args:
        backbone: Changed in place.
        start: First block that learns; 0 also unfreezes the embedding; ``None`` freezes all.
        text: Whether the text tower learns.

    Raises:
        InputError: If the block does not exist.
    """
    blocks = backbone.vit.num_blocks
    if start is not None and not 0 <= start <= blocks:
        raise InputError(f"the first block to train must be 0 to {blocks}, got {start}")
    visual = {id(p) for p in backbone.vit.parameters()}
    for parameter in backbone.model.parameters():
        parameter.requires_grad_(text and id(parameter) not in visual)
    backbone.model.logit_scale.requires_grad_(False)
    if start is None:
        return
    for name, parameter in backbone.vit.tower.visual.named_parameters():
        tail = name.partition("resblocks.")[2]
        number = int(tail.partition(".")[0]) if tail else None
        ending = number is None and ("ln_post" in name or name == "proj")
        learns = ending or start == 0 or (number is not None and number >= start)
        parameter.requires_grad_(learns)


@dataclass(frozen=True)
class Outputs:
    """What the tower says of pictures.

    Attributes:
        class_token: (B, D) unit rows in the joint space.
        patches: (B, N, D) unit rows, of the last block as trained.
        values: (B, N, D) unit rows of its value path (MaskCLIP), or ``None``.
        features: (B, T, C) all tokens after the final norm, at encoder width.
    """

    class_token: Tensor
    patches: Tensor
    values: Tensor | None
    features: Tensor


def run_prefix(vit: DenseViT, images: Tensor, blocks: int, *, precision: str = "fp32") -> Tensor:
    """Tokens (B, T, C) after the first `blocks` blocks. images (B, 3, h, w) preprocessed."""
    x = vit.tower.embed(images)
    with autocast(images.device, precision):
        for block in vit.tower.blocks[:blocks]:
            x = _run(vit, block, x)
    return x.float()


def check_precision(precision: str) -> str:
    """Return the precision of a training step if it is known.

    Raises:
        InputError: If it is not.
    """
    if precision not in ("fp32", "bf16"):
        raise InputError(f"training runs in fp32 or bf16, got {precision!r}")
    return precision


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """bfloat16 autocast on any device, or nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def run_suffix(
    vit: DenseViT,
    tokens: Tensor,
    start: int,
    *,
    values: bool = False,
    precision: str = "fp32",
) -> Outputs:
    """Run the blocks from `start` on, then norm and projection in fp32.

    Patches may be a subset (dropped patches make steps cheaper, FLIP, Li et al. 2023): positions
    are already in the tokens.

    Args:
        vit: The tower.
        tokens: (B, T, C) as `run_prefix` gives them.
        start: Number of blocks that have run.
        values: Also follow the value path of the last block.
        precision: Of the blocks, ``"fp32"`` or ``"bf16"``.

    Raises:
        InputError: If the value path is asked for, but the last block has run.
    """
    with autocast(tokens.device, precision):
        whole, path = _run_blocks(vit, tokens, start, values)
    tower = vit.tower
    whole = whole.float()
    patches = tower.project(whole[:, tower.prefix :])
    return Outputs(
        F.normalize(tower.pool(whole), dim=-1),
        F.normalize(patches, dim=-1),
        None if path is None else F.normalize(tower.project(path.float()), dim=-1),
        tower.norm(whole),
    )


def _run_blocks(
    vit: DenseViT, tokens: Tensor, start: int, values: bool
) -> tuple[Tensor, Tensor | None]:
    tower = vit.tower
    x = tokens
    if not values:
        for block in tower.blocks[start:]:
            x = _run(vit, block, x)
        return x, None
    if start == len(tower.blocks):
        raise InputError("the value path needs the last block: start one block earlier")
    for block in tower.blocks[start:-1]:
        x = _run(vit, block, x)
    last, layout = tower.blocks[-1], TokenLayout(tower.prefix, (1, x.shape[1] - tower.prefix))
    q, k, v = last.qkv(x)
    whole = x + last.attention_branch(plain(q, k, v, layout))
    path = last.attention_branch(v)[:, tower.prefix :]
    return whole + last.feed_forward(whole), path


@torch.no_grad()
def window_tokens(
    vit: DenseViT, images: Tensor, index: Tensor, blocks: int, *, precision: str = "fp32"
) -> Tensor:
    """Tokens of windows after `blocks` blocks in which they saw nothing but themselves.

    With all blocks and pooling this is `DenseViT.encode_windows`.

    Args:
        vit: The tower.
        images: (B, 3, h, w) preprocessed.
        index: (B, K, n) patch indices, other windows for every image.
        blocks: Number of blocks to run.
        precision: Of the blocks.

    Returns:
        (B, K, prefix + n, C).
    """
    prefix = vit.tower.prefix
    embedded = vit.tower.embed(images)
    head = embedded[:, None, :prefix].expand(-1, index.shape[1], -1, -1)
    rows = torch.arange(len(index), device=index.device)[:, None, None]
    x = torch.cat([head, embedded[rows, index + prefix]], dim=2).flatten(0, 1)
    with autocast(images.device, precision):
        for block in vit.tower.blocks[:blocks]:
            x = run_block(block, x)
    return x.float().unflatten(0, (len(index), index.shape[1]))


def keep_patches(tokens: Tensor, index: Tensor, prefix: int) -> Tensor:
    """Keep the patches of `index` (B, n) and the class tokens. (B, T, C) → (B, prefix + n, C)."""
    chosen = torch.gather(tokens, 1, (index + prefix)[..., None].expand(-1, -1, tokens.shape[2]))
    return torch.cat([tokens[:, :prefix], chosen], dim=1)


def _run(vit: DenseViT, block: Block, x: Tensor) -> Tensor:
    if vit.grad_checkpointing and torch.is_grad_enabled():
        return checkpoint(run_block, block, x, use_reentrant=False)
    return run_block(block, x)
