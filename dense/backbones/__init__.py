"""open_clip towers as patch-feature extractors."""

from dense.compat import ensure_torchvision

ensure_torchvision()

from dense.backbones.attention import LastBlock, last_block  # noqa: E402
from dense.backbones.clip import CLIPBackbone  # noqa: E402
from dense.backbones.loading import ModelInfo, available, load  # noqa: E402
from dense.backbones.vit import DenseViT  # noqa: E402

__all__ = [
    "CLIPBackbone",
    "DenseViT",
    "LastBlock",
    "ModelInfo",
    "available",
    "last_block",
    "load",
]
