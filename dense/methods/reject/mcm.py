"""MCM: no class fits. The baseline: words alone, no pictures.

Ming et al., "Delving into Out-of-Distribution Detection with Vision-Language Representations",
NeurIPS 2022, arXiv:2211.13445.
"""

from __future__ import annotations

from torch import Tensor

from dense.errors import InputError
from dense.heads.outliers import max_softmax
from dense.methods.reject.base import Foreignness, Rejector, builder


class MaxSoftmaxRejector(Rejector):
    """1 − the largest class probability, at the paper's temperature of 1 (no logit scale)."""

    name = "MCM"
    needs_known = False

    def learn(self, features: Tensor, labels: Tensor) -> Foreignness:
        """Needs the classes alone."""
        text = self.classifier()
        if text.num_classes < 2:
            raise InputError("MCM compares classes: name at least two, or choose another method")
        return lambda x: max_softmax(self.logits(x) / text.logit_scale)


build = builder("mcm", MaxSoftmaxRejector)
"""Catalogue entry."""
