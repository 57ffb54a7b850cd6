"""The refiner of spatial correlations: what a frozen tower knows, less what its blocks mix in."""

from __future__ import annotations

from torch import Tensor, nn


class Refiner(nn.Module):
    """A few transformer layers on the frozen tower's dense features, starting as the identity.

    Trained with the student, on the teacher alone: the refined places of a region, seen within the
    whole picture, must equal the frozen features of the region's own magnified crop
    (`dense.training.region_losses.refinement`). Distant clutter is not in the crop, so it is what
    the refiner learns to remove. The idea is the Refiner of Qiu et al., ICLR 2025,
    arXiv:2504.02328, section 3.3; its code was never released and its exact objective is not known
    to us, so layers, width and loss are ours.

    Args:
        width: D of the features.
        layers: Number of layers.
        heads: Of each layer.
    """

    def __init__(self, width: int, *, layers: int = 2, heads: int = 8) -> None:
        super().__init__()
        heads = next(n for n in range(min(heads, width), 0, -1) if width % n == 0)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        for name, value in self.layers.named_parameters():
            if "out_proj" in name or "linear2" in name:
                nn.init.zeros_(value)

    def forward(self, dense: Tensor) -> Tensor:
        """Refine dense features (B, D, gh, gw) of any length, which they keep at the start."""
        given = dense.flatten(2).transpose(1, 2)
        length = given.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        tokens = given / length
        for layer in self.layers:
            tokens = layer(tokens)
        return (tokens * length).transpose(1, 2).reshape(dense.shape)
