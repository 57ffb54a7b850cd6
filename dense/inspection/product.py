"""A product as a value: everything that a decision depends on, without pictures and memories.

Those are files named by their content (`dense.inspection.store.blobs`). A product comes from other
machines too, so what is read from plain values is checked.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dense.errors import InputError
from dense.inspection.plain import (
    read_entries,
    read_entry,
    read_number,
    read_sha256,
    read_words,
)
from dense.inspection.quality import Gates
from dense.inspection.thresholds import Calibration
from dense.inspection.view import View, read_size
from dense.prompts import StateWords
from dense.structures import Size

FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")


@dataclass(frozen=True)
class Picture:
    """A support picture.

    Attributes:
        name: File name it had, to name it to people.
        blob: SHA-256 of its file in the store, a PNG.
        pixels: SHA-256 of its size and pixels: what tells that two pictures are the same.
        size: (H, W).
    """

    name: str
    blob: str
    pixels: str
    size: Size

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "name": self.name,
            "blob": self.blob,
            "pixels": self.pixels,
            "size": list(self.size),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Picture:
        """The reverse of `to_json`."""
        return cls(
            str(content["name"]),
            read_sha256(content["blob"]),
            read_sha256(content["pixels"]),
            read_size(content["size"]),
        )


@dataclass(frozen=True)
class Member:
    """One fitted model of a product.

    A product has one, fitted on all support pictures, or, after calibration by folds, one for
    each fold, fitted on the others.

    Attributes:
        support: Places of its pictures in `Product.support`.
        bank: SHA-256 of its memory file; ``None`` if it is fitted anew when it is needed.
    """

    support: tuple[int, ...]
    bank: str | None = None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {"support": list(self.support), "bank": self.bank}

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Member:
        """The reverse of `to_json`."""
        support, bank = content["support"], content["bank"]
        if not isinstance(support, list) or not all(type(place) is int for place in support):
            raise InputError("the members of a product name their pictures by whole numbers")
        return cls(tuple(support), None if bank is None else read_sha256(bank))


@dataclass(frozen=True)
class Product:
    """What is inspected, and how.

    Attributes:
        name: Letters, digits, ``.``, ``_`` and ``-``: it also names files and topics.
        words: What it is, e.g. ``"metal nut"``.
        method: A name of `dense.methods.catalog`.
        model: Name of the checkpoint, see `dense.backbones.load`.
        pretrained: Tag or file, if the name is an architecture's.
        weights: Fingerprint of the checkpoint that fitted it.
        support: Good pictures.
        traits: SHA-256 of the file with what the gates compare with, see `dense.inspection.traits`.
        members: Fitted models, see `Member`.
        view: Where to look.
        gates: Which pictures can be judged.
        state_words: Words to look for and to ignore.
        mm_per_pixel: Scale of the pictures.
        calibration: Thresholds, ``None`` before the first calibration.
    """

    name: str
    words: str
    method: str
    model: str
    pretrained: str | None
    weights: str
    support: tuple[Picture, ...]
    traits: str
    members: tuple[Member, ...]
    view: View
    gates: Gates
    state_words: StateWords
    mm_per_pixel: float | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.words.strip():
            raise InputError(
                'the words for the product are blank: say what it is, e.g. "metal nut"'
            )
        if not self.support or not self.members:
            raise InputError("a product needs at least one good picture and one fitted model")
        places = {place for member in self.members for place in member.support}
        if not all(member.support for member in self.members) or not places <= set(
            range(len(self.support))
        ):
            raise InputError("the members of a product must name its own support pictures")
        scale = self.mm_per_pixel
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise InputError(f"the scale is millimetres per pixel, above 0, got {scale:g}")
        known = self.calibration
        if known is not None and set(known.thresholds) != set(self.view.names):
            raise InputError(
                f"thresholds must be for the regions {self.view.names}, got {set(known.thresholds)}"
            )

    @property
    def blobs(self) -> frozenset[str]:
        """SHA-256 of all files that it needs."""
        banks = {member.bank for member in self.members if member.bank is not None}
        return frozenset({picture.blob for picture in self.support} | banks | {self.traits})

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "format": FORMAT,
            "name": self.name,
            "words": self.words,
            "method": self.method,
            "model": self.model,
            "pretrained": self.pretrained,
            "weights": self.weights,
            "support": [picture.to_json() for picture in self.support],
            "traits": self.traits,
            "members": [member.to_json() for member in self.members],
            "view": self.view.to_json(),
            "gates": self.gates.to_json(),
            "look_for": list(self.state_words.look_for),
            "ignore": list(self.state_words.ignore),
            "mm_per_pixel": self.mm_per_pixel,
            "calibration": None if self.calibration is None else self.calibration.to_json(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Product:
        """The reverse of `to_json`.

        Raises:
            InputError: If it is of another form or newer.
        """
        if content.get("format") != FORMAT:
            raise InputError(
                f"the product has format {content.get('format')!r}, this version reads {FORMAT}: "
                "update the package"
            )
        try:
            scale, calibration = content["mm_per_pixel"], content["calibration"]
            pretrained = content["pretrained"]
            return cls(
                str(content["name"]),
                str(content["words"]),
                str(content["method"]),
                str(content["model"]),
                None if pretrained is None else str(pretrained),
                str(content["weights"]),
                tuple(Picture.from_json(entry) for entry in read_entries(content["support"])),
                read_sha256(content["traits"]),
                tuple(Member.from_json(entry) for entry in read_entries(content["members"])),
                View.from_json(read_entry(content["view"])),
                Gates.from_json(read_entry(content["gates"])),
                StateWords(read_words(content["look_for"]), read_words(content["ignore"])),
                None if scale is None else read_number(scale),
                None if calibration is None else Calibration.from_json(read_entry(calibration)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the record of a product is broken: {error!r}") from error


def fingerprint(product: Product) -> str:
    """SHA-256 of everything that a product's decisions depend on."""
    text = json.dumps(product.to_json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_name(name: str) -> str:
    """Refuse a name that could not be a file's.

    Raises:
        InputError: If it has other letters or more than 64.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"a product's name has 1 to 64 letters a-z, digits, . _ or - and starts with a letter "
            f"or digit, got {name[:80]!r}"
        )
    return name
