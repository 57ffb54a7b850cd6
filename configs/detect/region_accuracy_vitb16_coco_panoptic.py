"""Region accuracy on COCO-panoptic, ViT-B/16 of OpenAI, value path.

Paper: Wu et al., "CLIPSelf", ICLR 2024, arXiv:2310.01403, table 2: mean accuracy over classes of
given boxes, masks of things and masks of stuff at 1024 pixels. Theirs squashes pictures to a
square; ours keeps their shape. A tower of configs/train/clipself_vitb16_coco.py:
`--cfg-options model.method.backbone.pretrained=FILE`.
Data: COCO-panoptic val2017 in data/coco_panoptic, see data/README.md.
Command: python tools/test.py configs/detect/region_accuracy_vitb16_coco_panoptic.py
         --data-root data/coco_panoptic
Expected: not run here. Published with EVA-CLIP: boxes 18.2, things 20.6, stuff 18.4; after
CLIPSelf 72.1, 74.4 and 46.8 (`boxes_mean_top1`, ...). No randomness.
Minutes: about 10 on a GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.region_accuracy import *
