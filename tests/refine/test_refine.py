"""Post-processing: against the authors' code, hand-worked cases, and laws."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dense.errors import InputError
from dense.refine import REFINERS, find_refiners
from dense.refine.crf import LocalCRF
from dense.refine.neighbours import Neighbourhood, inside, ring, shifted, square
from dense.refine.pamr import PAMR
from dense.refine.propagation import Propagation
from dense.refine.regions import SuperpixelVote, superpixels, vote
from tests.reference import segmentation_inputs as given

STORED = Path(__file__).parents[1] / "reference" / "segmentation_methods.json"


def two_halves(height: int = 24, width: int = 32) -> Tensor:
    """A picture whose left half is dark, the right bright."""
    image = torch.full((3, height, width), 0.2)
    image[:, :, width // 2 :] = 0.8
    return image


def blurred_edge(height: int = 24, width: int = 32) -> Tensor:
    """Probabilities of two classes that change slowly across the middle, with a flaw."""
    slope = torch.linspace(0.2, 0.8, width).expand(height, width).clone()
    slope[10:12, 4:6] = 0.6
    return torch.stack([1 - slope, slope])


def test_pamr_equals_the_authors_code() -> None:
    entry = json.loads(STORED.read_text())["pamr"]
    got = PAMR(10, (1, 2, 4, 8))(given.masks()[0], given.colours()[0])
    expected = torch.tensor(entry["values"])
    assert [1, *got.shape] == entry["shape"]
    torch.testing.assert_close(got.flatten()[:: given.STEP], expected, atol=5e-6, rtol=0)


def test_pamr_leaves_hopeless_classes_and_the_winner() -> None:
    """Planes that cannot win are skipped: the largest of the others is the same as with all."""
    probabilities = torch.cat([blurred_edge() * 0.97, torch.full((2, 24, 32), 0.015)])
    image = given.colours()[0][:, :, :28]
    image = torch.nn.functional.interpolate(image[None], (24, 32), mode="bilinear")[0]
    got = PAMR()(probabilities, image)
    assert torch.equal(got[2:], probabilities[2:])
    alone = PAMR()(probabilities[:2], image)
    torch.testing.assert_close(got[:2], alone)


@pytest.mark.parametrize("name", sorted(REFINERS))
def test_laws(name: str) -> None:
    """Probabilities stay so, equal ones stay equal, inputs are untouched, classes are equal."""
    step, image, probabilities = REFINERS[name], two_halves(), blurred_edge()
    kept = probabilities.clone()
    got = step(probabilities, image)
    assert torch.equal(probabilities, kept)
    assert got.shape == probabilities.shape
    torch.testing.assert_close(got.sum(0), torch.ones(24, 32), atol=1e-5, rtol=0)
    assert (got >= 0).all()
    torch.testing.assert_close(step(probabilities.flip(0), image), got.flip(0), atol=1e-5, rtol=0)
    flat = torch.full((4, 24, 32), 0.25)
    torch.testing.assert_close(step(flat, image), flat, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(REFINERS))
def test_edges_follow_the_picture(name: str) -> None:
    """The flaw goes, and the halves differ more sharply at the picture's edge than before."""
    got = REFINERS[name](blurred_edge(), two_halves())
    before = blurred_edge()
    assert got[1, 11, 5] < before[1, 11, 5]
    jump = got[1, 12, 16] - got[1, 12, 15]
    assert jump > 2 * (before[1, 12, 16] - before[1, 12, 15])


def test_unknown_step_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown post-processing step 'pmar'.*pamr"):
        find_refiners(["crf", "pmar"])


# --- neighbours ----------------------------------------------------------------------------------


def test_neighbourhood_by_hand() -> None:
    """One plane, two offsets: right neighbour times 2 plus upper neighbour, border repeated."""
    plane = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    weights = torch.stack([torch.full((2, 3), 2.0), torch.ones(2, 3)])
    got = Neighbourhood(weights, ((0, 1), (-1, 0))).apply(plane[None])
    assert got.tolist() == [[[5.0, 8.0, 9.0], [11.0, 14.0, 15.0]]]


def test_neighbourhood_equals_shifts() -> None:
    offsets = ring((1, 3))
    weights, planes = torch.rand(len(offsets), 9, 7), torch.rand(4, 9, 7)
    expected = torch.einsum("ohw,ochw->chw", weights, shifted(planes, offsets))
    torch.testing.assert_close(Neighbourhood(weights, offsets).apply(planes), expected)


def test_offsets() -> None:
    assert len(ring((1, 2))) == 16 and (-2, 2) in ring((1, 2))
    assert len(square(2)) == 24 and (0, 0) not in square(2)
    assert inside((2, 3), ((0, 1), (-1, 0))).tolist() == [
        [[True, True, False], [True, True, False]],
        [[False, False, False], [True, True, True]],
    ]


# --- conditional random field --------------------------------------------------------------------


def test_crf_by_hand() -> None:
    """Two pixels, one step, no reduction: the message is the neighbour's normalised kernel."""
    crf = LocalCRF(iterations=1, radius=1, reduce=1, colour=13, position=67, near=3)
    image = torch.tensor([[[0.5, 0.52]]]).expand(3, 1, 2)
    start = torch.tensor([[[0.8, 0.3]], [[0.2, 0.7]]])
    # Each pixel has one neighbour, so symmetric normalisation makes both kernels 1.
    message = (4.0 + 3.0) * start.flip(2)
    expected = (start.log() + message).softmax(0)
    torch.testing.assert_close(crf(start, image), expected, atol=1e-5, rtol=0)


def test_crf_prefers_neighbours_of_its_colour() -> None:
    """Three pixels in a row: the middle takes the side whose colour it has."""
    image = torch.tensor([[[0.2, 0.2, 0.8]]]).expand(3, 1, 3)
    start = torch.tensor([[[0.9, 0.5, 0.1]], [[0.1, 0.5, 0.9]]])
    crf = LocalCRF(iterations=1, radius=1, reduce=1, smoothness=0)
    assert crf(start, image)[0, 0, 1] > 0.8


# --- propagation ---------------------------------------------------------------------------------


def test_propagation_solves_its_equation() -> None:
    """Y = α S Y + (1 − α) Y0 after many steps, with S built densely."""
    step = Propagation(share=0.5, iterations=60, dilations=(1,))
    image, start = torch.rand(3, 3, 4), torch.rand(2, 3, 4).softmax(0)
    affinity = torch.zeros(12, 12)
    for i in range(12):
        for j in range(12):
            (y, x), (v, u) = divmod(i, 4), divmod(j, 4)
            if i != j and max(abs(y - v), abs(x - u)) == 1:
                distance = (255 * (image[:, y, x] - image[:, v, u])).square().sum()
                affinity[i, j] = math.exp(-float(distance) / (2 * 13.0**2))
    root = affinity.sum(1).clamp(min=1e-12).rsqrt()
    normal = root[:, None] * affinity * root
    solved = torch.linalg.solve(torch.eye(12) - 0.5 * normal, 0.5 * start.flatten(1).T).T
    expected = (solved / solved.sum(0)).view(2, 3, 4)
    torch.testing.assert_close(step(start, image), expected, atol=1e-4, rtol=0)


# --- regions -------------------------------------------------------------------------------------


def test_vote_by_hand() -> None:
    probabilities = torch.tensor([[[0.9, 0.3, 0.2, 0.6]], [[0.1, 0.7, 0.8, 0.4]]])
    regions = torch.tensor([[0, 0, 2, -1]])
    got = vote(probabilities, regions)
    torch.testing.assert_close(got, torch.tensor([[[0.6, 0.6, 0.2, 0.6]], [[0.4, 0.4, 0.8, 0.4]]]))
    assert torch.equal(vote(probabilities, torch.full((1, 4), -1)), probabilities)


def test_vote_needs_equal_sizes() -> None:
    with pytest.raises(InputError, match=r"expected \(4, 4\), got \(2, 2\)"):
        vote(torch.rand(2, 4, 4), torch.zeros(2, 2, dtype=torch.int64))


def test_superpixels_respect_a_strong_edge() -> None:
    """No superpixel lies on both sides of an edge that grid cells straddle."""
    image = two_halves(48, 60)
    regions = superpixels(image, side=8, compactness=10.0, iterations=5).numpy()
    bright = image[0].numpy() > 0.5
    assert regions.shape == (48, 60)
    for label in np.unique(regions):
        assert len(np.unique(bright[regions == label])) == 1
    assert 20 < len(np.unique(regions)) <= 48


def test_superpixel_vote_is_constant_inside_a_region() -> None:
    image, start = two_halves(), blurred_edge()
    got = SuperpixelVote(side=8)(start, image)
    regions = superpixels(image, 8, 10.0, 5)
    for label in regions.unique():
        assert got[0][regions == label].std(correction=0) < 1e-6
