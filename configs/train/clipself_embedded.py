"""CLIPSelf: patches of the packaged plain CLIP learn to speak for regions, from photos alone.

Paper: Wu et al., "CLIPSelf: Vision Transformer Distills Itself for Open-Vocabulary Dense
Prediction", ICLR 2024, arXiv:2310.01403. Random grids, value path, AdamW at 1e-5 with decay .1,
final weights .7 student and .3 teacher; grids of at most 4 × 4, batches of 8 and the image term,
which keeps the class tokens of whole pictures, are ours.
Data: a folder of photos of any layout; no labels are learned from. With `captions.jsonl` or class
folders, the guard holds zero-shot accuracy within 1 point. With `instances.json`, its boxes are
the regions.
Command: dense train configs/train/clipself_embedded.py --data-root PHOTOS
Expected: a whole run is not measured yet; compare by `dense models card --detection DIR`. After 100
iterations at 5e-5 the guard lets 60 % of the student through (4 % after 400 at 1e-4 without the
term). Seed 0.
Minutes: about 60 on two cores with bfloat16 units (estimate), 2 on a GPU.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.region_training import *

train_dataloader.rule.update(most=4)
model["method"]["terms"].update(image=8.0)
