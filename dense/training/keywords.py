"""Which words of captions and scene names say what a patch can show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from dense.datasets.captions import CaptionRecord

_SPELLINGS = {
    "airplane": "jet plane",
    "backpack": "backpack",
    "bear": "grizzly polar",
    "bench": "bench",
    "bicycle": "bicycle bike",
    "bird": "birds",
    "boat": "boat boats",
    "branch": "branch",
    "bridge": "bridge",
    "building": "building buildings city hotel palace shops skyline town",
    "bush": "bush bushes",
    "car": "car cars vehicle",
    "chair": "chair",
    "clouds": "cloud",
    "dirt": "dirt",
    "dog": "dog dogs",
    "door": "door",
    "face": "face",
    "fence": "fence",
    "flag": "flag",
    "flower": "flowers petals tulip",
    "forest": "forest",
    "fountain": "fountain",
    "frisbee": "frisbee",
    "grass": "field grass grassy lawn",
    "ground": "ground",
    "hair": "hair",
    "hat": "hat",
    "hill": "hill hills",
    "horse": "foals horse horses mare",
    "house": "house houses hut",
    "jacket": "jacket",
    "leaves": "leaf",
    "mountain": "mountain mountains",
    "person": (
        "adult adults boy boys child children climber crowd girl girls guy hiker kid kids "
        "lady man men people person swimmers toddler woman women"
    ),
    "plant": "plants",
    "pole": "pole",
    "railing": "railing",
    "railroad": "railroad tracks",
    "road": "path paved road street trail",
    "rock": "cliff rock rocks rocky",
    "roof": "roofs",
    "sand": "beach sand sandy",
    "sea": "ocean waves",
    "ship": "ships",
    "shirt": "shirt",
    "sidewalk": "sidewalk",
    "sky": "sky",
    "snow": "snow snowy",
    "sports ball": "ball",
    "stone": "stone",
    "surfboard": "surf",
    "table": "table tables",
    "train": "locomotive",
    "tree": "tree trees woods",
    "truck": "truck",
    "wall": "wall",
    "water": "creek lake pool river stream water",
    "window": "window",
}
_SCENES = {
    "aerial view of a farm field": "field dirt grass",
    "aerial view of a forest": "tree forest",
    "aerial view of a grassland": "grass",
    "aerial view of a industrial area": "building roof road",
    "aerial view of a parking lot": "car road parking_lot",
    "aerial view of a residential area": "house roof road tree",
    "aerial view of a river or lake": "water tree",
    "bathroom": "wall floor sink toilet mirror window cabinet",
    "bedroom": "bed wall window pillow floor curtain lamp ceiling",
    "forest": "tree leaves ground forest",
    "front of a house": "house grass tree sky road roof window sidewalk door",
    "highway": "road car sky tree vegetation",
    "industrial factory interior": "machine floor ceiling wall",
    "inner city street": "building road car sidewalk person sky",
    "kitchen": "cabinet wall floor oven refrigerator sink window ceiling counter",
    "living room": "wall floor couch window table chair ceiling rug",
    "mountain": "mountain sky snow rock tree",
    "office interior": "desk chair wall floor computer window ceiling",
    "open countryside": "grass sky tree hill field",
    "sea coast": "sea sky sand rock",
    "store interior": "shelf floor ceiling wall",
    "street": "road building car sky sidewalk tree",
    "suburban house": "house grass tree sky road roof window fence",
    "tall building": "building skyscraper sky tree",
}

KEYWORDS: Mapping[str, str] = {
    spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings.split()
}
"""Word in a caption → the thing it stands for."""

SCENES: Mapping[str, tuple[str, ...]] = {
    scene: tuple(name.replace("_", " ") for name in names.split())
    for scene, names in _SCENES.items()
}
"""Class name of a scene → the things it is made of."""

_WORD = re.compile("[a-z]+")


def keywords_of(record: CaptionRecord, *, objects: Sequence[str] = ()) -> tuple[str, ...]:
    """Things that a picture's words promise, sorted.

    Tags count one by one; words of a caption if two captions of the picture, or else one, say
    them; a scene's name stands for its parts; an object's name for itself.

    Args:
        record: A picture's words.
        objects: Class names that stand for one thing in the picture; other names say nothing.
    """
    if record.kind == "tags":
        return tuple(sorted({KEYWORDS.get(text, text) for text in record.texts[1:]}))
    name = record.texts[0]
    if record.kind == "class":
        return SCENES.get(name, (name,) if name in objects else ())
    said = Counter(w for text in record.texts for w in set(_WORD.findall(text.lower())))
    often = {KEYWORDS[word] for word, count in said.items() if word in KEYWORDS and count >= 2}
    return tuple(sorted(often or {KEYWORDS[word] for word in said if word in KEYWORDS}))
