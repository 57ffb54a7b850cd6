"""Region accuracy on ADE20K-panoptic, ViT-B/16 of OpenAI, value path.

Paper: protocol of Wu et al., "CLIPSelf", ICLR 2024, arXiv:2310.01403, table 2, at 512 pixels as
DenseVLM's authors report it for this set.
Data: ADE20K-panoptic in data/ade_panoptic, see data/README.md.
Command: python tools/test.py configs/detect/region_accuracy_vitb16_ade_panoptic.py
         --data-root data/ade_panoptic
Expected: not run here. Published with EVA-CLIP after CLIPSelf: boxes 48.1, things 47.5, stuff 53.7.
No randomness.
Minutes: about 3 on a GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.region_accuracy import *

data_root = "data/ade_panoptic"
dataset = dict(type=PanopticFolder, root=data_root)
model["method"].update(classes=dict(type=class_names, dataset=dataset), short_side=512)
test_dataloader.update(dataset=dataset)
