"""Words → prompts: templates, class lists with synonyms, normal and anomalous states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dense.compat import ensure_torchvision
from dense.errors import InputError, unknown_name

Ensemble = Literal["winclip", "anomalib"]

SHORT_TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The seven templates that CLIP's authors found to carry most of the 80."""

PLAIN_TEMPLATES = ("a photo of a {}.",)

PHRASE_TEMPLATES = ("a photo of {}",)
"""For phrases that bring their own article."""

NORMAL_STATES = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
)
ANOMALOUS_STATES = ("damaged {}", "{} with flaw", "{} with defect", "{} with damage")

_PHOTOS = (
    "a cropped photo of",
    "a close-up photo of",
    "a bright photo of",
    "a dark photo of",
    "a jpeg corrupted photo of",
    "a blurry photo of",
    "a photo of",
)
_SIZES = ("small", "large")
_PURPOSES = ("visual inspection", "anomaly detection")


def _inspection_templates() -> tuple[str, ...]:
    articles = ("a", "the")
    frames = [f"{photo} {article} {{}}." for photo in _PHOTOS for article in articles]
    sizes = [f"a photo of {article} {size} {{}}." for size in _SIZES for article in articles]
    purposes = [f"a photo of {article} {{}} for {p}." for p in _PURPOSES for article in articles]
    return (*frames, *sizes, *purposes)


INSPECTION_TEMPLATES = _inspection_templates()
"""The 22 templates of WinCLIP (Jeong et al. 2023, appendix)."""

_ANOMALIB_MISSING = {"a cropped photo of a {}.", "a jpeg corrupted photo of a {}."}
ANOMALIB_TEMPLATES = (
    *(t for t in INSPECTION_TEMPLATES if t not in _ANOMALIB_MISSING),
    "a jpeg corrupted photo of the {}.",
)
"""anomalib's 21: two of the 22 are missing and one stands twice; for parity with it."""


def template_set(name: str) -> tuple[str, ...]:
    """Templates by name.

    ``imagenet`` (80), ``short`` (7), ``plain`` (1), ``phrase`` (1, without an article), ``none``
    (the words).

    Raises:
        InputError: If the name is unknown.
    """
    if name == "imagenet":
        ensure_torchvision()
        from open_clip import OPENAI_IMAGENET_TEMPLATES

        return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
    sets = {
        "short": SHORT_TEMPLATES,
        "plain": PLAIN_TEMPLATES,
        "phrase": PHRASE_TEMPLATES,
        "none": ("{}",),
    }
    if name not in sets:
        raise unknown_name("template set", name, ["imagenet", *sets])
    return sets[name]


def fill(templates: Sequence[str], words: str) -> list[str]:
    """Put the words into every template; braces inside the words stay as they are."""
    return [template.replace("{}", words) for template in templates]


_COCO_WORDS = {
    "tv": "television",
    "mouse": "computer mouse",
    "orange": "orange fruit",
    "playingfield": "playing field",
    "window-blind": "window blind",
}
_COCO_SUFFIXES = ("-merged", "-stuff", "-other")
_COCO_TURNED = ("floor", "wall", "fence", "ceiling")


def readable_name(name: str) -> str:
    """Turn a data set's label into words: COCO's suffixes off, ``wall-brick`` → "brick wall".

    Names without these marks only lose their underscores.
    """
    for suffix in _COCO_SUFFIXES:
        name = name.removesuffix(suffix)
    if name in _COCO_WORDS:
        return _COCO_WORDS[name]
    head, _, tail = name.partition("-")
    if tail and head in _COCO_TURNED:
        name = f"{tail} {head}"
    return name.replace("-", " ").replace("_", " ")


@dataclass(frozen=True)
class ClassList:
    """Classes, each with one or more phrases that stand for it.

    Attributes:
        names: K display names.
        phrases: K tuples of query phrases (synonyms).
        background: Index of the class whose phrases stand for "none of the others".
    """

    names: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    background: int | None = None

    def __post_init__(self) -> None:
        if not self.names:
            raise InputError('the class list is empty: name at least one class, e.g. "cat"')
        if len(self.names) != len(self.phrases) or not all(self.phrases):
            raise InputError("every class needs at least one phrase")
        folded = [name.casefold() for name in self.names]
        twice = sorted({name for name in folded if folded.count(name) > 1})
        if twice:
            raise InputError(f"classes are named twice: {', '.join(twice)}; name each class once")

    @property
    def digest(self) -> str:
        """Short hash of all phrases in order: what protocol cards compare."""
        content = json.dumps([self.phrases, self.background], ensure_ascii=False).encode()
        return hashlib.blake2b(content, digest_size=6).hexdigest()


def separator_warning(classes: Sequence[str]) -> str | None:
    """A sentence with the counts if synonyms seem to stand apart by something else than semicolons.

    Class files of this field separate them by ``", "`` or by ``"; "``; read by the other rule, a
    class silently becomes one long phrase.
    """
    marks = {"semicolons": ";", "commas": ",", "tabs": "\t", "bars": "|"}
    counts = {name: sum(mark in entry for entry in classes) for name, mark in marks.items()}
    other = max(list(marks)[1:], key=lambda name: counts[name])
    if counts["semicolons"] or not counts[other]:
        return None
    entry = next(entry for entry in classes if marks[other] in entry)
    return (
        f"{counts[other]} of {len(classes)} class entries hold {other} and none a semicolon: "
        f"{entry.strip()!r} is taken as one name; synonyms are separated by semicolons, "
        'e.g. "sofa; couch"'
    )


def make_class_list(classes: Iterable[str], background: Sequence[str] = ()) -> ClassList:
    """Build a class list from entries such as ``"sofa; couch"`` (synonyms after semicolons).

    Args:
        classes: One entry a class; the first phrase is the display name.
        background: Words of a background class, which is put first under that name.

    Raises:
        InputError: If an entry is blank or a class is named twice.
    """
    entries = [entry.strip() for entry in classes]
    rows = [tuple(p for p in (part.strip() for part in e.split(";")) if p) for e in entries]
    for entry, row in zip(entries, rows, strict=True):
        if not row:
            raise InputError(f"a class name is blank ({entry!r}): remove it or write a word")
    words = tuple(word.strip() for word in background if word.strip())
    names = tuple(row[0] for row in rows)
    if not names:
        raise InputError('the class list is empty: name at least one class, e.g. "cat"')
    if not words:
        return ClassList(names, tuple(rows))
    return ClassList(("background", *names), (words, *rows), background=0)


def anomaly_prompts(product: str, ensemble: Ensemble = "winclip") -> tuple[list[str], list[str]]:
    """Compositional prompt ensemble of WinCLIP (section 4.1): states × templates.

    Args:
        product: Words for the inspected thing, e.g. ``"metal nut"``; underscores become spaces.
        ensemble: ``"winclip"`` gives 154 normal and 88 anomalous prompts, ``"anomalib"`` 147 / 84.

    Raises:
        InputError: If the product is blank or the ensemble unknown.
    """
    words = " ".join(product.replace("_", " ").split())
    if not words:
        raise InputError('the product name is blank: say what is inspected, e.g. "metal nut"')
    sets = {"winclip": INSPECTION_TEMPLATES, "anomalib": ANOMALIB_TEMPLATES}
    if ensemble not in sets:
        raise unknown_name("prompt ensemble", ensemble, sets)

    def prompts(states: Sequence[str]) -> list[str]:
        return [p for state in fill(states, words) for p in fill(sets[ensemble], state)]

    return prompts(NORMAL_STATES), prompts(ANOMALOUS_STATES)


@dataclass(frozen=True)
class StateWords:
    """Words that a user adds to an inspection by words (the contrast of CLAP, arXiv:2411.07546).

    Attributes:
        look_for: What counts as anomalous, instead of the general states, e.g. ``"rust"``.
        ignore: What counts as normal beside the general states, e.g. ``"water drops"``.

    Raises:
        InputError: If a word is blank, or is to be looked for and ignored.
    """

    look_for: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(word.strip() for word in (*self.look_for, *self.ignore)):
            raise InputError("a word to look for or to ignore is blank: write it or leave it out")
        both = {w.strip().casefold() for w in self.look_for} & {
            w.strip().casefold() for w in self.ignore
        }
        if both:
            raise InputError(f"{min(both)!r} cannot be looked for and ignored: leave it out of one")

    def __bool__(self) -> bool:
        return bool(self.look_for or self.ignore)

    def describe(self) -> dict[str, object]:
        """What a protocol card says of them: nothing if there are none."""
        return {"look_for": self.look_for, "ignore": self.ignore} if self else {}


NO_WORDS = StateWords()


def word_prompts(product: str, word: str) -> list[str]:
    """Prompts of one word to look for or to ignore: alone and on the product, all templates."""
    product, word = (" ".join(text.replace("_", " ").split()) for text in (product, word))
    return [
        p for state in (word, f"{product} with {word}") for p in fill(INSPECTION_TEMPLATES, state)
    ]
