"""F-ViT with ViT-B/16 on OV-COCO, trained by configs/train/f_vit_vitb16_ov_coco.py.

Paper: Wu et al., "CLIPSelf", ICLR 2024, arXiv:2310.01403, section 3.3.
Data: COCO `val2017/` and `annotations/instances_val2017.json` in data/coco.
Command: python tools/test.py configs/detect/f_vit_vitb16_ov_coco.py --data-root data/coco
Expected: not run here. Published with EVA-CLIP: novel AP50 33.6 and 37.6 with CLIPSelf's towers.
No randomness. The same by MMDetection's own `CocoMetric`: `mmdet/coco/bbox_mAP_50`.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detect_coco import *

from mmdet.evaluation import CocoMetric

from dense.engine.mmdet_data import MMDetMetric

model.method.update(method="f-vit", weights="work_dirs/f_vit_vitb16_ov_coco/learned.safetensors")
test_evaluator.append(
    dict(
        type=MMDetMetric,
        metric=dict(
            type=CocoMetric,
            ann_file="data/coco/annotations/instances_val2017.json",
            sort_categories=True,
        ),
        dataset=dataset,
        classes=classes,
    )
)
