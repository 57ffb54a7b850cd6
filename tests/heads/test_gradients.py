"""Gradient similarity by hand."""

import pytest
import torch

from dense.heads.gradients import STABILISER, gradient_magnitude, msgms_difference


def test_magnitude_of_a_ramp() -> None:
    """Rising by 0.1 a pixel, the Prewitt operator (thirds) says 0.2 inside."""
    ramp = (torch.arange(8.0) / 10).expand(1, 3, 8, 8)
    assert gradient_magnitude(ramp)[0, 0, 3, 3].item() == pytest.approx(0.2)
    assert gradient_magnitude(ramp.transpose(2, 3))[0, 0, 3, 3].item() == pytest.approx(0.2)


def test_equal_pictures_do_not_differ() -> None:
    picture = torch.rand(1, 3, 16, 16)
    assert msgms_difference(picture, picture).abs().max() < 1e-6


def test_a_ramp_against_flat_by_hand() -> None:
    """Slope g at scale 1, 2g … per pooled pixel against 0: 1 − c / (g² + c), the four averaged."""
    ramp = (torch.arange(64.0) / 100).expand(1, 1, 64, 64)
    got = msgms_difference(ramp, torch.zeros_like(ramp))[0, 0, 32, 32].item()
    slopes = [0.02 * 2**scale for scale in range(4)]
    expected = sum(1 - STABILISER / (g * g + STABILISER) for g in slopes) / 4
    assert got == pytest.approx(expected, abs=1e-4)


def test_tiny_pictures_use_fewer_scales() -> None:
    assert msgms_difference(torch.rand(1, 3, 3, 3), torch.rand(1, 3, 3, 3)).shape == (1, 1, 3, 3)
