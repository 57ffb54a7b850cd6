"""The mask-text head on the packaged model, from anyone's own pictures with masks.

Paper: Das et al., "MTA-CLIP: Language-Guided Semantic Segmentation with Mask-Text Alignment", ECCV
2024, arXiv:2407.21654; simpler than the paper, see the head.
AdamW at 1e-3, batches of 8, pictures of 336; the masks are learned.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: dense train configs/train/mask_text_head_embedded.py --data-root MY_DATA
Expected: the losses fall; then configs/segment/mask_text_head_embedded_folder.py. Seed 0.
Minutes: about 20 on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training_folder import *

model["method"].update(name="mask-text-head", kind="mask-text")
