"""The synthetic-defect generator: seeded, honest masks, controllable sizes, useful errors."""

from __future__ import annotations

import numpy as np
import pytest

from dense.datasets.defects import KINDS, PHRASES, make_defect
from dense.datasets.surfaces import MAKERS, make_surface, noise, unit
from dense.errors import InputError


def grey(size: int = 64) -> np.ndarray:
    """A flat grey picture with a faint gradient, so that warps show too."""
    ramp = np.linspace(90, 160, size)[:, None, None] + np.linspace(0, 40, size)[None, :, None]
    return np.repeat(ramp, 3, axis=2).astype(np.uint8)


def striped(size: int = 64) -> np.ndarray:
    """Vertical stripes of 4 pixels, 60 and 180."""
    row = np.where(np.arange(size) // 4 % 2 == 0, 60, 180).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (size, size, 3)))


def test_every_kind_has_words_and_one_slot() -> None:
    assert set(PHRASES) == set(KINDS)
    for phrases in PHRASES.values():
        assert all(phrase.count("{}") == 1 for phrase in phrases)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_defect(kind: str) -> None:
    first = make_defect(striped(), kind, rng=np.random.default_rng(5))
    second = make_defect(striped(), kind, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert first.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_mask_marks_changed_pixels(kind: str) -> None:
    """Within the mask the picture differs, on average, far more than outside of it."""
    image, inside, outside = striped(), [], []
    for seed in range(6):
        defect = make_defect(image, kind, rng=np.random.default_rng(seed), size=0.3)
        change = np.abs(defect.image.astype(int) - image.astype(int)).max(2)
        assert defect.mask.any()
        inside.append(change[defect.mask].mean())
        outside.append(change[~defect.mask].mean())
    assert np.mean(inside) > 8
    assert np.mean(inside) > 4 * np.mean(outside)


def test_input_is_left_alone() -> None:
    image = grey()
    before = image.copy()
    make_defect(image, "hole", rng=np.random.default_rng(0))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("kind", ["stain", "hole", "misplaced", "scratch"])
def test_size_controls_the_area(kind: str) -> None:
    """A four times wider defect covers clearly more pixels, summed over seeds."""

    def area(size: float) -> int:
        return sum(
            int(make_defect(striped(128), kind, rng=np.random.default_rng(s), size=size).mask.sum())
            for s in range(8)
        )

    assert area(0.4) > 2 * area(0.1)


def test_damage_stays_on_the_part_it_breaks() -> None:
    """Missing and chipped pieces are only cut out of the part."""
    part = np.zeros((64, 64), bool)
    part[20:44, 20:44] = True
    for kind in ("missing", "chip"):
        defect = make_defect(striped(), kind, rng=np.random.default_rng(1), part=part, size=0.2)
        assert not (defect.mask & ~part).any()


def test_contamination_shows_the_other_material() -> None:
    """A red material pasted on grey: the strongest channel within the mask is red."""
    other = np.zeros((64, 64, 3), np.uint8)
    other[..., 0] = 255
    defect = make_defect(
        grey(), "contamination", rng=np.random.default_rng(2), size=0.3, other=other
    )
    red, green, _ = defect.image[defect.mask].astype(int).mean(0)
    assert red > green + 80


def test_surface_is_seeded_and_named() -> None:
    first = make_surface(48, np.random.default_rng(3))
    second = make_surface(48, np.random.default_rng(3))
    np.testing.assert_array_equal(first.image, second.image)
    assert first.name == second.name
    assert first.image.shape == (48, 48, 3)


@pytest.mark.parametrize("kind", [*sorted(MAKERS), "part"])
def test_every_surface_kind_has_structure(kind: str) -> None:
    surface = make_surface(64, np.random.default_rng(0), kind=kind)
    assert surface.image.std() > 0.5
    assert surface.part.all() == (kind != "part")


def test_noise_fills_the_unit_range_and_constants_become_zero() -> None:
    field = noise(32, 2.0, np.random.default_rng(0))
    assert (float(field.min()), float(field.max())) == (0.0, 1.0)
    assert (unit(np.full((2, 2), 7.0)) == 0).all()


def test_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(InputError, match="scratch"):
        make_defect(grey(), "scrach", rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="brushed_metal"):
        make_surface(64, np.random.default_rng(0), kind="brushed_metl")


def test_unusable_inputs_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="uint8"):
        make_defect(grey().astype(np.float32), rng=rng)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="size"):
        make_defect(grey(), rng=rng, size=1.5)
    with pytest.raises(InputError, match="part mask"):
        make_defect(grey(), rng=rng, part=np.zeros((64, 64), bool))
    with pytest.raises(InputError, match="32"):
        make_surface(8, rng)
