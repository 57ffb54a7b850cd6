"""Words and patch memory, guided to suspicious places, four normal pictures, the packaged model.

Paper: ours; guided cropping after Saranrittichai et al., "GC-CLIP", arXiv:2309.06581.
Data: as configs/inspect/winclip_embedded_folder.py, with `train/good` in each category.
Command: python tools/test.py configs/inspect/words_memory_guided_4shot_embedded_folder.py
         --data-root MY_DATA
         small defects apart: dense compare MY_DATA --methods words-memory words-memory+guided
         --shots 4 --small-defects --out results
Expected: depends on the data and the seed of the support (0; `--seed` changes it); see docs.
Minutes: about 6 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .words_memory_4shot_embedded_folder import *

model["method"].update(name="words-memory+guided")
