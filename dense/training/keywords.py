"""Which words of captions and class names say what a patch can show, and how likely."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

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
    "baby children room interior": "bed wall floor shelf rug",
    "badminton": "person floor wall",
    "baseball": "person grass sand",
    "basketball": "person floor wall",
    "bathroom": "wall floor sink toilet mirror window cabinet",
    "bedroom": "bed wall window pillow floor curtain lamp ceiling",
    "bedroom interior": "bed pillow wall floor lamp window curtain rug",
    "boxing": "person floor wall",
    "cricket": "person grass",
    "dining interior": "table chair lamp floor wall window",
    "fencing": "person floor wall",
    "field hockey": "person grass",
    "forest": "tree leaves ground forest",
    "formula 1 car race": "car road grass person",
    "front of a house": "house grass tree sky road roof window sidewalk door",
    "gymnastics": "person floor wall",
    "hallway interior": "wall floor door shelf",
    "highway": "road car sky tree vegetation",
    "home office interior": "desk chair shelf wall floor",
    "ice hockey": "person ice",
    "industrial factory interior": "machine floor ceiling wall",
    "inner city street": "building road car sidewalk person sky",
    "kabaddi": "person floor",
    "kitchen": "cabinet wall floor oven refrigerator sink window ceiling counter",
    "kitchen interior": "cabinet counter sink wall floor oven refrigerator",
    "living room": "wall floor couch window table chair ceiling rug",
    "living room interior": "couch table rug wall floor lamp window chair",
    "motorcycle racing": "person motorcycle road grass",
    "mountain": "mountain sky snow rock tree",
    "office interior": "desk chair wall floor computer window ceiling",
    "open countryside": "grass sky tree hill field",
    "outdoor interior": "table chair tree grass floor",
    "people playing chess": "person table wall",
    "professional wrestling": "person floor",
    "sea coast": "sea sky sand rock",
    "soccer match": "person grass",
    "sport shooting": "person wall grass sky",
    "store interior": "shelf floor ceiling wall",
    "street": "road building car sky sidewalk tree",
    "suburban house": "house grass tree sky road roof window fence",
    "swimming": "person water",
    "table tennis": "person table floor wall",
    "tall building": "building skyscraper sky tree",
    "tennis": "person grass floor wall",
    "volleyball": "person floor sand wall",
    "weight lifting": "person floor wall",
    "wrestling": "person floor",
}

_KINDS = {
    "apple": (
        "golden delicious apple;granny smith apple;pink lady apple;red delicious apple;"
        "royal gala apple"
    ),
    "bed": "cot",
    "bird": (
        "American robin;brambling;bulbul;chicken;duck;eagle;emu;flamingo;flamingo head;goldfinch;"
        "hen;house finch;ibis;indigo bunting;jay;junco;ostrich;pigeon;rooster;turkey"
    ),
    "boat": "ferry;ketch;schooner",
    "cabinet": "chest of 3 drawers;chest of 4 drawers;wall cabinet;wardrobe",
    "car": "car side view",
    "carrot": "carrots",
    "cat": "wild cat",
    "cell phone": "cellphone",
    "chair": "wheelchair;windsor chair",
    "clock": "wall clock",
    "cow": "bison",
    "cup": "mug",
    "curtain": "curtains, 1 pair",
    "dining table": "desk",
    "dog": "dalmatian",
    "fish": "goldfish;great white shark;shark;tench;tiger shark",
    "flower": (
        "crocus flower;daffodil flower;daisy flower;dandelion flower;iris flower;lotus;"
        "pansy flower;sunflower;sunflower flower;tulip flower;water lilly"
    ),
    "lamp": "ceiling lamp;floor,reading lamp;pendant lamp;table lamp;work lamp",
    "motorcycle": "motorbike",
    "orange": "nectarine;satsumas",
    "person": ("human face;human face close up;human face without mask;person wearing a face mask"),
    "potted plant": "bonsai",
    "rug": "rug, flatwoven;rug, high pile;rug, low pile",
    "shelf": "bookcase;shelving unit;wall shelf",
    "shoe": "colorful sneaker;shiny sneaker;shoes",
    "table": "desk",
    "teddy bear": "soft toy;stuffed bear toy",
    "towel": "bath towel",
    "vegetable": "asparagus;broccoli;cabbage;cauliflower;leek;zucchini",
}
_BACKGROUND = (
    *("floor", "grass", "leaves", "road", "rock", "sand", "sky", "snow", "tree", "wall"),
    "water",
)
BACKGROUND_PRIOR = 0.08
"""How likely each background word is beside a word that the picture is known by."""

KEYWORDS: Mapping[str, str] = {
    spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings.split()
}
"""Word in a caption → the thing it stands for."""

SCENES: Mapping[str, tuple[str, ...]] = {
    scene: tuple(name.replace("_", " ") for name in names.split())
    for scene, names in _SCENES.items()
}
"""Class name of a scene → the things it is made of."""

HYPERNYMS: Mapping[str, tuple[str, ...]] = {
    name: tuple(kind for kind, names in _KINDS.items() if name in names.split(";"))
    for names in _KINDS.values()
    for name in names.split(";")
}
"""Class name of an object → what it is a kind of."""

_WORD = re.compile("[a-z]+")


def keywords_of(record: CaptionRecord, *, objects: Sequence[str] = ()) -> dict[str, float]:
    """Things that a picture's words promise, and how likely each is, in alphabetical order.

    Tags count one by one; words of a caption if two captions of the picture, or else one, say
    them; a scene's name stands for its parts; an object's name for itself and what it is a kind
    of. Captions and names of objects are silent about what lies behind: background words are
    possible there, but little likely.

    Args:
        record: A picture's words.
        objects: Class names that stand for one thing in the picture; other names say nothing.
    """
    name = record.texts[0]
    if record.kind == "tags":
        return _ranked(KEYWORDS.get(text, text) for text in record.texts[1:])
    if record.kind == "class":
        if name in SCENES:
            return _ranked(SCENES[name])
        own = (name,) if name in objects else ()
        return _ranked((*own, *HYPERNYMS.get(name, ())), behind=True)
    said = Counter(w for text in record.texts for w in set(_WORD.findall(text.lower())))
    often = {KEYWORDS[word] for word, count in said.items() if word in KEYWORDS and count >= 2}
    return _ranked(often or {KEYWORDS[w] for w in said if w in KEYWORDS}, behind=True)


def _ranked(words: Iterable[str], *, behind: bool = False) -> dict[str, float]:
    known = dict.fromkeys(words, 1.0)
    if known and behind:
        known = {**dict.fromkeys(_BACKGROUND, BACKGROUND_PRIOR), **known}
    return dict(sorted(known.items()))
