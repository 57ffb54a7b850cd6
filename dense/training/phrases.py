"""The phrases from which a text tower learns: names in templates, states, colours, captions.

Everything is drawn from lists and a seed. Some words are held out: no training phrase contains
them, so that the fit to unseen words can be measured.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dense.errors import InputError
from dense.prompts import INSPECTION_TEMPLATES, fill, template_set
from dense.training import words

LONGEST = 220
"""Longer phrases (in characters) are left out."""

_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class PhraseCounts:
    """How many phrases of each kind are drawn.

    Attributes:
        per_class: Templates for each main class name.
        per_name: Templates for each other name.
        per_extra: Templates for each extra name.
        per_product: State prompts in WinCLIP's manner for each industrial product.
        states: State phrases of any name.
        attributes: Colour or material with a name.
        pairs: Phrases of two names.
    """

    per_class: int = 26
    per_name: int = 14
    per_extra: int = 2
    per_product: int = 110
    states: int = 25_000
    attributes: int = 16_000
    pairs: int = 14_000


@dataclass(frozen=True)
class PhraseCorpus:
    """Training phrases, and tests of what was never read.

    Attributes:
        train: Distinct, sorted; none contains a held-out word.
        names: Held-out names.
        states: State phrases of held-out names.
        prompts: Held-out names in a template.
    """

    train: tuple[str, ...]
    names: tuple[str, ...]
    states: tuple[str, ...]
    prompts: tuple[str, ...]


def build_phrases(
    names: Iterable[str],
    *,
    classes: Iterable[str] = (),
    extra: Iterable[str] = (),
    captions: Iterable[str] = (),
    counts: PhraseCounts = PhraseCounts(),
    held_out: float = 0.035,
    seed: int = 7,
) -> PhraseCorpus:
    """Build a corpus.

    Args:
        names: Class names and tags of one's own data.
        classes: Main names that get the most templates, e.g. ImageNet's.
        extra: Many more words, e.g. WordNet's nouns.
        captions: Whole sentences, taken as they are.
        counts: How many of each kind.
        held_out: Share of the words that are kept for tests.
        seed: Of every draw.

    Raises:
        InputError: If there is no name, or `held_out` is not a share.
    """
    if not 0 <= held_out < 1:
        raise InputError(f"held_out must be a share from 0 to below 1, got {held_out}")
    main = set(classes)
    extras = sorted(set(extra))
    base = sorted({*main, *names, *words.EVERYDAY, *words.INDUSTRIAL})
    rng = random.Random(seed)  # nosec B311  # repeatable sampling
    secret = _secret_words(base + extras, held_out, rng)
    phrases = {*base, *extras, *captions, *_templated(base, main, extras, counts, rng)}
    phrases |= _inspection(counts, rng) | _drawn(base, extras, counts, rng)
    train = sorted(p for p in phrases if p and len(p) <= LONGEST and not _mentions(p, secret))
    if not train:
        raise InputError("no training phrases are left: hold out fewer words")
    kept = [name for name in base if _mentions(name, secret)]
    states = [rng.choice(_states()).replace("{}", name) for name in kept for _ in range(2)]
    templates = template_set("imagenet")
    prompts = [rng.choice(templates).replace("{}", name) for name in kept]
    return PhraseCorpus(tuple(train), tuple(kept), tuple(states), tuple(prompts))


def wordnet_names() -> list[str]:
    """Names and definitions of ImageNet-22k's classes, from timm's own lists."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet22k")
    found = set()
    for index in range(info.num_classes()):
        names = info.index_to_description(index, detailed=False).split(",")
        found |= {name.strip() for name in names[:3]}
        _, mark, definition = info.index_to_description(index, detailed=True).partition(":")
        if mark:
            found.add(definition.strip()[:160])
    return sorted(found - {""})


def imagenet_names() -> list[str]:
    """The 1,000 class names of ImageNet as CLIP's authors curated them."""
    from open_clip import IMAGENET_CLASSNAMES

    return list(IMAGENET_CLASSNAMES)


def _states() -> list[str]:
    damage = [phrase for row in words.DAMAGE.values() for phrase in row]
    return [*words.NORMAL, *words.ANOMALOUS, *damage]


def _frames() -> list[str]:
    return [*template_set("imagenet"), *INSPECTION_TEMPLATES, *words.FRAMES]


def _templated(
    base: Sequence[str],
    main: set[str],
    extras: Sequence[str],
    counts: PhraseCounts,
    rng: random.Random,
) -> set[str]:
    frames = _frames()
    drawn: set[str] = set()
    for name in base:
        number = counts.per_class if name in main else counts.per_name
        drawn |= set(fill(rng.sample(frames, min(number, len(frames))), name))
    for name in extras:
        drawn |= set(fill(rng.sample(frames, min(counts.per_extra, len(frames))), name))
    return drawn


def _inspection(counts: PhraseCounts, rng: random.Random) -> set[str]:
    states, general = _states(), [*words.NORMAL, *words.ANOMALOUS]
    drawn: set[str] = set()
    for name in words.INDUSTRIAL:
        drawn |= set(fill(states, name))
        for _ in range(counts.per_product):
            state = rng.choice(general if rng.random() < 0.75 else states)
            drawn.add(rng.choice(INSPECTION_TEMPLATES).replace("{}", state.replace("{}", name)))
    return drawn


def _drawn(
    base: Sequence[str], extras: Sequence[str], counts: PhraseCounts, rng: random.Random
) -> set[str]:
    states, drawn = _states(), set()
    frames = [*INSPECTION_TEMPLATES, *["{}"] * 8]
    for _ in range(counts.states):
        name = rng.choice(base if rng.random() < 0.6 or not extras else extras)
        drawn.add(rng.choice(frames).replace("{}", rng.choice(states).replace("{}", name)))
    for _ in range(counts.attributes):
        look = rng.choice(words.COLOURS if rng.random() < 0.6 else words.MATERIALS)
        phrase = f"{look} {rng.choice(base)}"
        whole = rng.random() < 0.5
        drawn.add(phrase if whole else rng.choice(words.FRAMES).replace("{}", phrase))
    for _ in range(counts.pairs):
        frame = rng.choice(words.PAIRS)
        drawn.add(frame.replace("{}", rng.choice(base), 1).replace("{}", rng.choice(base), 1))
    return drawn


def _secret_words(names: Sequence[str], share: float, rng: random.Random) -> set[str]:
    """Words to hold out: only such as no state, template or attribute needs."""
    frames = " ".join([*_states(), *_frames(), *words.COLOURS, *words.MATERIALS])
    needed = set(_WORD.findall(frames.lower()))
    known = {w for name in names for w in _WORD.findall(name.lower()) if len(w) > 3}
    free = sorted(known - needed)
    return set(rng.sample(free, int(share * len(free))))


def _mentions(phrase: str, secret: set[str]) -> bool:
    return any(word in secret for word in _WORD.findall(phrase.lower()))
