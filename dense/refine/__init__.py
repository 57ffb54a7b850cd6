"""Post-processing of class probabilities by the picture's colours; each step a named column.

A refiner is a pure function of probabilities (K, h, w) and the picture (3, h, w) in [0, 1], at one
size, that returns probabilities (K, h, w). Steps never see ground truth and have one setting.

| name | idea | source |
|---|---|---|
| pamr | pixels take the mean of neighbours of their colour, repeated | Araslanov and Roth 2020 |
| pamr-fine | the same with the paper's six dilations: three times the work | same |
| crf | mean field with a local window | Krähenbühl and Koltun 2011; Teichmann and Cipolla 2018 |
| vote | superpixels decide as one | Achanta et al. 2012 |
| grabcut | parts of the class map are cut out anew, then vote | Rother et al. 2004 |
| sam:FILE | the same by segment-anything; ``sam`` alone is GrabCut | Kirillov et al. 2023 |
| propagate | labels spread over a graph of colours | Zhou et al. 2003 |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from dense.errors import unknown_name
from dense.refine.crf import LocalCRF
from dense.refine.cut import GrabCut
from dense.refine.cutters import find_cutter, is_cutter
from dense.refine.masks import CutVote
from dense.refine.pamr import PAMR
from dense.refine.propagation import Propagation
from dense.refine.regions import SuperpixelVote

Refiner = Callable[[Tensor, Tensor], Tensor]

REFINERS: dict[str, Refiner] = {
    "pamr": PAMR(),
    "pamr-fine": PAMR(dilations=(1, 2, 4, 8, 12, 24)),
    "crf": LocalCRF(),
    "vote": SuperpixelVote(),
    "propagate": Propagation(),
    "grabcut": CutVote(GrabCut()),
}


def find_refiners(names: Sequence[str]) -> list[Refiner]:
    """Look post-processing steps up.

    Raises:
        InputError: If there is none of a name, or segment-anything's checkpoint cannot be used.
    """
    for name in names:
        if name not in REFINERS and not is_cutter(name):
            raise unknown_name("post-processing step", name, (*REFINERS, "sam:FILE"))
    return [REFINERS[name] if name in REFINERS else CutVote(find_cutter(name)) for name in names]
