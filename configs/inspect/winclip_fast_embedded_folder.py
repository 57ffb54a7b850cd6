"""WinCLIP's approximate mode, zero-shot, on anyone's own products, with the packaged model.

Paper: Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation", CVPR 2023,
arXiv:2303.14814; windows are means of dense features, see `dense.methods.anomaly.winclip.FAST`.
Data: as configs/inspect/winclip_embedded_folder.py.
Command: python tools/test.py configs/inspect/winclip_fast_embedded_folder.py --data-root MY_DATA
         WinCLIP+: add --shots 4 --seed 0
Expected: depends on the data; measured examples are in docs. No randomness without support.
Minutes: about 0.1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .winclip_embedded_folder import *

from dense.methods.anomaly.winclip import WindowProtocol

model["method"].update(protocol=dict(type=WindowProtocol, window_blocks=0))
