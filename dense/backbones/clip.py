"""A CLIP ready for dense prediction: image tower, text tower, tokenizer, preprocessing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones.preprocess import PreprocessConfig
from dense.backbones.recommended import Recommended
from dense.backbones.text import encode_tokens
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.structures import Size

Tokenizer = Callable[[list[str]], Tensor]

TEXT_BATCH = 256
DEFAULTS = Recommended()


class CLIPBackbone(nn.Module):
    """An open_clip model as the frozen (or trainable) foundation of every method.

    Args:
        model: An open_clip `CLIP` or `CustomTextCLIP` whose image tower is a Vision Transformer.
        tokenizer: Texts → (P, L) int64.
        preprocess: Normalisation the checkpoint was trained with.
        name: For protocol cards and caches.
        recommended: Inference settings that the checkpoint recommends.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        preprocess: PreprocessConfig,
        *,
        name: str = "custom",
        recommended: Recommended = DEFAULTS,
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.preprocess = preprocess
        self.name = name
        self.recommended = recommended
        self.vit = DenseViT(model.visual)  # type: ignore[arg-type]

    @property
    def patch_size(self) -> Size:
        """(height, width) of a patch in input pixels."""
        return self.vit.patch_size

    @property
    def image_size(self) -> Size:
        """(h, w) the image tower was trained at."""
        return self.vit.image_size

    @property
    def joint_dim(self) -> int:
        """D, the width of the joint space."""
        return self.vit.joint_dim

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.parameters()).dtype

    @property
    def logit_scale(self) -> float:
        """Multiplier from cosine similarity to logits."""
        return float(self.model.logit_scale.detach().exp())  # type: ignore[operator]

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], *, normalise: bool = True) -> Tensor:
        """Encode prompts to (P, D) fp32 rows, of unit length if `normalise`.

        Texts beyond the context are cut; equal texts are encoded once.

        Raises:
            InputError: If `texts` is empty.
        """
        if not texts:
            raise InputError("no texts to encode: expected at least one prompt")
        unique = sorted(set(texts), key=lambda text: (len(text), text))
        rows: dict[str, Tensor] = {}
        for start in range(0, len(unique), TEXT_BATCH):
            batch = unique[start : start + TEXT_BATCH]
            features = encode_tokens(self.model, self.tokenizer(batch).to(self.device))
            rows.update(zip(batch, features.float(), strict=True))
        features = torch.stack([rows[text] for text in texts])
        return F.normalize(features, dim=-1) if normalise else features

    def to_batch(self, images: Sequence[Tensor]) -> Tensor:
        """Stack preprocessed images (3, h, w) of one size on the weights' device and dtype."""
        return torch.stack(list(images)).to(self.device, self.dtype)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all weights: the key of everything cached on disk."""
        digest = hashlib.blake2b(digest_size=16)
        for key, value in self.model.state_dict().items():
            digest.update(key.encode())
            flat = value.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy())
        return digest.hexdigest()
