"""The mask-text head on anyone's own pictures with masks, with the packaged model.

Paper: Das et al., "MTA-CLIP: Language-Guided Semantic Segmentation with Mask-Text Alignment", ECCV
2024, arXiv:2407.21654; simpler than the paper, see the head.
The head is that of configs/train/mask_text_head_embedded.py, with its input size.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/mask_text_head_embedded_folder.py --data-root MY_DATA
Expected: depends on the data. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(
    method="mask-text-head",
    settings=dict(weights="work_dirs/mask_text_head_embedded/learned.safetensors"),
)
