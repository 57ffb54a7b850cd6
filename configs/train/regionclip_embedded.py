"""RegionCLIP: regions learn the words of captions, as the frozen CLIP finds them in their crops.

Paper: Zhong et al., "RegionCLIP: Region-based Language-Image Pretraining", CVPR 2022,
arXiv:2112.09106: concept contrast, concept distillation and image-text contrast, temperature .01.
Theirs is a ResNet on proposals of a detector trained on LVIS; ours any ViT, on grids or given
boxes, pooled as in CLIPSelf.
Data: a folder with `captions.jsonl` (docs/training.md): its captions, tags and class names give
the concepts.
Command: dense train configs/train/regionclip_embedded.py --data-root CAPTIONS
Expected: not measured yet. Seed 0.
Minutes: as clipself_embedded.
"""

from mmengine.config import read_base

with read_base():
    from .clipself_embedded import *

from dense.datasets.captions import captioned_folder
from dense.engine.region_stage import concept_words

captions = dict(type=captioned_folder, root=data_root, split="train", without=kept_for_tests)
model.method.terms.update(content=0.0, concepts=1.0, concept_distillation=1.0, captions=0.1)
model.method.update(concepts=dict(type=concept_words, captions=captions), photos=photos)
