"""Made-up products for the tests: a record without a model, and workshops on a tiny one."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np

from dense.backbones import CLIPBackbone
from dense.inspection.product import Member, Picture, Product
from dense.inspection.quality import Gates
from dense.inspection.store.registry import Registry
from dense.inspection.view import View
from dense.inspection.workshop import Named, Workshop
from dense.prompts import StateWords
from tests.helpers import photo, tiny_backbone

SIZE = (64, 96)


@functools.cache
def backbone() -> CLIPBackbone:
    return tiny_backbone()


def workshop(home: Path) -> Workshop:
    return Workshop(Registry(home), backbones={"embedded": backbone()})


def part(seed: int) -> np.ndarray:
    """A good part: always the same picture under other blotches and noise."""
    generator = np.random.default_rng(seed)
    noise, blotches = generator.normal(0, 8, (*SIZE, 3)), generator.normal(0, 25, (8, 12, 3))
    blotches = cv2.resize(blotches, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(photo(*SIZE, seed=0) + noise + blotches, 0, 255).astype(np.uint8)


def good(*seeds: int) -> list[Named]:
    return [(f"good{seed}.png", part(seed)) for seed in seeds]


def scratched(seed: int) -> np.ndarray:
    """A part with a bright bar."""
    image = part(seed)
    cv2.line(image, (60, 40), (84, 56), (255, 255, 255), 5)
    return image


def record(name: str = "nut", blob: str = "a" * 64) -> Product:
    """A product that no model made, for the registry."""
    return Product(
        name,
        "metal nut",
        "patch",
        "embedded",
        None,
        "f" * 32,
        (Picture("0.png", blob, "b" * 64, SIZE),),
        "c" * 64,
        (Member((0,)),),
        View(),
        Gates(0.0, 0.0, 255.0, 1.0, 1.0),
        StateWords(("rust",), ("oil",)),
    )
