"""Patch grouping and dense region scores on OV-LVIS: 1,203 names, rare ones are novel.

Paper: ours; protocol of Gu et al., "Open-vocabulary Object Detection via Vision and Language
Knowledge Distillation" (ViLD), ICLR 2022, arXiv:2104.13921.
Data: COCO's `train2017/ val2017/` and `annotations/lvis_v1_val.json` in data/lvis.
Command: python tools/test.py configs/detect/regions_vitb16_ov_lvis.py --data-root data/lvis
Expected: not run here. For scale, CLIPSelf's F-ViT, trained on base boxes: 25.3 rare mask AP. No
randomness.
Minutes: about 90 on a GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detect_coco import *

from dense.methods.detection.detector import DetectSettings

data_root = "data/lvis"
dataset = dict(
    type=DetectionFolder, root=data_root, annotations="annotations/lvis_v1_val.json", images="."
)
classes = dict(type=detection_classes, dataset=dataset, split="lvis")
model.method.update(classes=classes, settings=dict(type=DetectSettings, least=0.001, limit=300))
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1, num_workers=4)
test_evaluator = [
    dict(type=DetectionMetric, dataset=dataset, classes=classes, split="lvis", lvis=True)
]
