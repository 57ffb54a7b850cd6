"""ViM on CLIP: what known features cannot say, weighed against what the words say.

Wang et al., "ViM: Out-of-Distribution with Virtual-logit Matching", CVPR 2022, arXiv:2203.10807.
What differs from the paper: the classifier is the text classifier (no bias, so the origin is 0),
features have unit length, and the principal space is smaller where there are few known pictures
(`dense.heads.outliers.vim_dimensions`).
"""

from __future__ import annotations

from torch import Tensor

from dense.heads.outliers import fit_vim
from dense.methods.reject.base import Foreignness, Rejector, builder


class VimRejector(Rejector):
    """Scaled residual minus the energy of the class logits."""

    name = "ViM"

    def learn(self, features: Tensor, labels: Tensor) -> Foreignness:
        """The principal space of the known features, and α."""
        text = self.classifier()
        return fit_vim(features, text.weights * text.logit_scale)


build = builder("vim", VimRejector)
"""Catalogue entry."""
