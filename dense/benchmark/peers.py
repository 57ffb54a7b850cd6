"""What the measurements are held against: anomalib's WinCLIP and a plain loop over open_clip."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class _TokensFirst(nn.Module):
    """Takes (tokens, windows, width) for a transformer that wants the windows first."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.permute(1, 0, 2)).permute(1, 0, 2)


def anomalib_winclip(clip: Any, product: str) -> Any:
    """WinCLIP as anomalib has it, on a given open_clip model, or ``None`` if it is not installed.

    anomalib hands tokens to the transformer as (tokens, windows, width), as older versions of
    open_clip wanted; since then its transformers take the batch first, and attention would run
    over the windows. The tokens are turned back here, so that attention runs over the tokens of
    one window as in the paper; nothing else of anomalib is changed.
    """
    try:
        from anomalib.models.image.winclip import torch_model
    except ImportError:
        return None

    class Peer(torch_model.WinClipModel):
        def encode_image(self, batch: Tensor) -> Any:
            self.clip.visual.output_tokens = True  # only here: others share the tower
            try:
                return super().encode_image(batch)
            finally:
                self.clip.visual.output_tokens = False

        def _get_window_embeddings(self, feature_map: Tensor, masks: Tensor) -> Tensor:
            visual = self.clip.visual
            inner = visual.transformer
            visual.transformer = _TokensFirst(inner)
            try:
                return super()._get_window_embeddings(feature_map, masks)
            finally:
                visual.transformer = inner

    loader = SimpleNamespace(create_model_and_transforms=lambda *_, **__: (clip, None, None))
    original, torch_model.open_clip = torch_model.open_clip, loader
    try:
        peer = Peer(class_name=product).eval()
    finally:
        torch_model.open_clip = original
    clip.visual.output_tokens = False
    return peer


@torch.inference_mode()
def drop_tokens(visual: Any, images: Tensor, windows: Sequence[Tensor]) -> list[Tensor]:
    """Image feature (B, D), then (B, W, D) a scale, through open_clip's own layers alone."""
    tokens = visual._embeds(images)

    def pooled(x: Tensor) -> Tensor:
        return visual._pool(visual.transformer(x))[0] @ visual.proj

    features = [pooled(tokens)]
    for index in windows:
        kept = torch.cat([torch.cat([tokens[:, :1], tokens[:, 1:][:, w]], 1) for w in index])
        features.append(pooled(kept).view(len(index), len(images), -1).transpose(0, 1))
    return features
