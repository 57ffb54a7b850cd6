"""WinCLIP+ with four normal pictures of each category, with the packaged model.

Paper: Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation", CVPR 2023,
arXiv:2303.14814.
Data: as configs/inspect/winclip_embedded_folder.py, with `train/good` in each category.
Command: python tools/test.py configs/inspect/winclip_4shot_embedded_folder.py --data-root MY_DATA
Expected: depends on the data and the seed of the support (0; `--seed` changes it); see docs.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .winclip_embedded_folder import *

support.update(shots=4)
