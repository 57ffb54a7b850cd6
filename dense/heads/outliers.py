"""How foreign an image feature is to known ones: pure functions, larger is more foreign."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dense.errors import InputError


def max_softmax(logits: Tensor) -> Tensor:
    """Maximum concept matching (MCM, Ming et al., NeurIPS 2022): 1 − largest probability.

    logits (B, K), already multiplied by the logit scale (MCM itself uses a scale of 1) → (B,).
    """
    return 1 - logits.float().softmax(-1).amax(-1)


def competing_to_win(yes: Tensor, no: Tensor) -> Tensor:
    """CLIPN's CTW rule (Wang et al., ICCV 2023): how much the likeliest class is denied.

    Args:
        yes: (B, K) logits of the classes.
        no: (B, K) logits of their denials.

    Returns:
        (B,) in [0, 1]. CTW accepts a picture where this is at most one half.
    """
    best = yes.argmax(-1, keepdim=True)
    return torch.sigmoid((no - yes).float()).gather(-1, best).squeeze(-1)


def agreeing_to_differ(yes: Tensor, no: Tensor) -> Tensor:
    """CLIPN's ATD rule: the probability of a class beyond the known ones, 1 − Σ p(k) p(yes | k).

    Shapes as `competing_to_win`. ATD accepts a picture where this is at most the largest
    p(k) p(yes | k).
    """
    accepted = torch.sigmoid((yes - no).float())
    return 1 - (yes.float().softmax(-1) * accepted).sum(-1)


@dataclass(frozen=True)
class VirtualLogit:
    """ViM (Wang et al., CVPR 2022): a virtual logit from the residual of the principal space.

    Attributes:
        origin: (D,) where all logits are equal to their bias-free value.
        outside: (D, D − k) orthonormal columns that span what the known features do not.
        scale: α, which gives the residual the size of a logit.
        weights: (K, D) of the classifier.
        bias: (K,).
    """

    origin: Tensor
    outside: Tensor
    scale: float
    weights: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Features (B, D) → α · residual − log Σ exp(logits), (B,) fp64."""
        x = features.double()
        residual = ((x - self.origin) @ self.outside).norm(dim=-1)
        return self.scale * residual - (x @ self.weights.T + self.bias).logsumexp(-1)


def vim_dimensions(width: int, count: int) -> int:
    """Size of the principal space by the paper's rule, bounded for few pictures.

    The paper has 1000 for a width of 2048 or more, 512 from 768 on, half the width below. It has
    hundreds of thousands of pictures; with fewer than twice the size, half their number is used,
    for otherwise every known residual is 0.
    """
    paper = 1000 if width >= 2048 else 512 if width >= 768 else width // 2
    return max(1, min(paper, count // 2))


def fit_vim(
    features: Tensor, weights: Tensor, bias: Tensor | None = None, *, dimensions: int | None = None
) -> VirtualLogit:
    """Fit ViM on known features (sections 4.1 to 4.3), in fp64.

    Args:
        features: (n, D) of known pictures.
        weights: (K, D) of the classifier, the logit scale included.
        bias: (K,); none for text classifiers, so that the origin is 0.
        dimensions: Size of the principal space; `vim_dimensions` if ``None``.

    Raises:
        InputError: If there are fewer than four pictures or the size does not fit.
    """
    count, width = features.shape
    if count < 4:
        raise InputError(f"ViM needs four known pictures or more, got {count}")
    kept = vim_dimensions(width, count) if dimensions is None else dimensions
    if not 1 <= kept < width:
        raise InputError(f"ViM's principal space has 1 to {width - 1} dimensions, got {kept}")
    x, w = features.double(), weights.double()
    b = w.new_zeros(len(w)) if bias is None else bias.double()
    origin = -torch.linalg.pinv(w) @ b
    centred = x - origin
    _, axes = torch.linalg.eigh(centred.T @ centred / count)
    outside = axes[:, : width - kept].contiguous()
    residual = (centred @ outside).norm(dim=-1).mean()
    largest = (x @ w.T + b).amax(-1).mean()
    scale = float(largest / residual.clamp_min(1e-12))
    return VirtualLogit(origin, outside, scale, w, b)


@dataclass(frozen=True)
class SharedGaussians:
    """Class means with one covariance: Mahalanobis distance and Gaussian discriminant analysis.

    Attributes:
        means: (K, D).
        factor: (D, D) with factorᵀ factor the inverse covariance.
        log_priors: (K,) logs of the classes' shares.
        log_volume: Half the log-determinant of 2π times the covariance.
    """

    means: Tensor
    factor: Tensor
    log_priors: Tensor
    log_volume: float

    def mahalanobis(self, features: Tensor) -> Tensor:
        """Squared distance to the nearest class (Lee et al., NeurIPS 2018), (B, D) → (B,)."""
        return self._squares(features).amin(-1)

    def negative_log_density(self, features: Tensor) -> Tensor:
        """− log p(x) of the mixture: generative discriminant analysis, (B, D) → (B,)."""
        exponents = self.log_priors - self._squares(features) / 2
        return self.log_volume - exponents.logsumexp(-1)

    def _squares(self, features: Tensor) -> Tensor:
        points, means = features.double() @ self.factor.T, self.means @ self.factor.T
        return torch.cdist(points, means, compute_mode="donot_use_mm_for_euclid_dist").square()


def fit_gaussians(
    features: Tensor, labels: Tensor, *, shrinkage: float | None = None
) -> SharedGaussians:
    """Class means and a shared, shrunk covariance, in fp64.

    Args:
        features: (n, D) of known pictures, at least two.
        labels: (n,) classes 0 … K − 1, each occurring.
        shrinkage: Share of the scaled identity in [0, 1]; ``None`` takes Ledoit and Wolf's (2004)
            and at least 1 / (n − K + 1): their rule breaks down at a handful of pictures, where
            the rows without their mean are far from independent (two give 0).

    Raises:
        InputError: If there are too few pictures or they are all alike.
    """
    x = features.double()
    if len(x) < 2:
        raise InputError(f"a Gaussian needs two known pictures or more, got {len(x)}")
    counts = labels.bincount().double()
    means = torch.zeros(len(counts), x.shape[1], dtype=x.dtype, device=x.device)
    means.index_add_(0, labels, x).div_(counts[:, None])
    centred = x - means[labels]
    sample = centred.T @ centred / len(x)
    least = 1 / max(1, len(x) - len(counts) + 1)
    share = max(ledoit_wolf(centred), least) if shrinkage is None else shrinkage
    size = float(sample.diagonal().mean())
    if size <= 1e-14:
        raise InputError("the known pictures of each class are all alike: add different ones")
    covariance = (1 - share) * sample
    covariance.diagonal().add_(max(share, 1e-9) * size)
    lower = torch.linalg.cholesky(covariance)
    eye = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
    factor = torch.linalg.solve_triangular(lower, eye, upper=False)
    volume = float(lower.diagonal().log().sum()) + len(lower) / 2 * math.log(2 * math.pi)
    return SharedGaussians(means, factor, (counts / counts.sum()).log(), volume)


def ledoit_wolf(centred: Tensor) -> float:
    """Shrinkage that minimises the expected error of the covariance (Ledoit and Wolf 2004).

    centred (n, D), means taken off.
    """
    count, width = centred.shape
    sample = centred.T @ centred / count
    size = sample.diagonal().mean()
    squares = centred.square()
    noise = (squares.T @ squares / count - sample.square()).sum() / (width * count)
    spread = (sample.square().sum() - width * size.square()) / width
    return float(torch.minimum(noise, spread) / spread) if spread > 0 else 1.0
