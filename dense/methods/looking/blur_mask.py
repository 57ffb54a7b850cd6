"""FGVP: everything outside the object's mask blurred (Yang et al., NeurIPS 2023, arXiv:2306.04356).

The mask comes with the region (segment-anything's in the paper, with the box as its prompt); a
region without one is blurred outside its box, the paper's coarser B4. The paper's score
subtraction is `negatives` of `ground`; its parser of spatial relations ("R") is not here. Drawing
is `dense.methods.looking.marks`.
"""

from __future__ import annotations

from dense.methods.looking.base import builder, fixed
from dense.methods.looking.marks import Marked

build = builder(fixed(Marked, "fgvp", marks=("mask-blur",), label="fgvp"))
build_ensemble = builder(
    fixed(
        Marked, "fgvp-ensemble", marks=("contour", "mask-grey", "mask-blur"), label="fgvp-ensemble"
    )
)
