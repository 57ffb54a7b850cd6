"""Mahalanobis distance and Gaussian discriminant analysis on image features.

Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial
Attacks", NeurIPS 2018, arXiv:1807.03888; the density of the mixture (GDA) also counts how many
classes are near and how common they are. With few pictures the covariance is shrunk by Ledoit and
Wolf's rule (the paper has none: it has whole training sets).
"""

from __future__ import annotations

from torch import Tensor

from dense.heads.outliers import fit_gaussians
from dense.methods.reject.base import Foreignness, Rejector, builder


class MahalanobisRejector(Rejector):
    """Squared Mahalanobis distance to the nearest class."""

    name = "Mahalanobis"

    def learn(self, features: Tensor, labels: Tensor) -> Foreignness:
        """Class means and a shared covariance."""
        return fit_gaussians(features, labels).mahalanobis


class DiscriminantRejector(Rejector):
    """Negative log-density of the class mixture."""

    name = "GDA"

    def learn(self, features: Tensor, labels: Tensor) -> Foreignness:
        """Class means, a shared covariance, and the classes' shares."""
        return fit_gaussians(features, labels).negative_log_density


build = builder("mahalanobis", MahalanobisRejector)
"""Catalogue entry of the distance."""

build_gda = builder("gda", DiscriminantRejector)
"""Catalogue entry of the density."""
