"""F-ViT, trained by configs/train/f_vit_embedded.py, on anyone's own boxes.

Paper: Wu et al., "CLIPSelf", ICLR 2024, arXiv:2310.01403, section 3.3.
Data: `images/ instances.json`, see data/README.md.
Command: python tools/test.py configs/detect/f_vit_embedded_folder.py --data-root MY_BOXES
Expected: depends on the data. No randomness.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detect_folder import *

model.method.update(method="f-vit", weights="work_dirs/f_vit_embedded/learned.safetensors")
