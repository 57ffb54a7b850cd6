"""MMSegmentation's data sets, feeding our samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
from torch.utils.data import Dataset

from dense.compat import ensure_mmcv_ops

ensure_mmcv_ops()

from mmseg.datasets import BaseSegDataset, COCOStuffDataset  # noqa: E402
from mmseg.datasets.transforms import LoadAnnotations  # noqa: E402

from dense.errors import InputError  # noqa: E402
from dense.images import read_image  # noqa: E402
from dense.structures import Sample  # noqa: E402


class MMSegSamples(Dataset[Sample]):
    """A data set of MMSegmentation as a data set of samples.

    Pictures are read by `dense.images.read_image`, masks by MMSegmentation's own
    `LoadAnnotations`, which applies the data set's `reduce_zero_label` and label map.

    Args:
        dataset: The data set class, e.g. `mmseg.datasets.ADE20KDataset`.
        options: Its arguments, without a pipeline.

    Raises:
        InputError: If its files are missing or it lists no pictures.
    """

    def __init__(
        self, dataset: Callable[..., BaseSegDataset], options: Mapping[str, object]
    ) -> None:
        arguments = {**options, "pipeline": [], "test_mode": True, "serialize_data": False}
        place = options.get("data_root", "its data_root")
        try:
            self.dataset = dataset(**arguments)
        except (FileNotFoundError, NotADirectoryError, AssertionError) as error:
            raise InputError(
                f"the files of {getattr(dataset, '__name__', dataset)} are not in {place}: "
                f"prepare it as data/README.md describes, or pass --data-root ({error})"
            ) from error
        if len(self.dataset) == 0:
            raise InputError(
                f"{type(self.dataset).__name__} finds no pictures in {place}: prepare it as "
                "data/README.md describes, or pass --data-root"
            )
        self._load_mask = LoadAnnotations()

    @property
    def metainfo(self) -> dict[str, object]:
        """`classes`, as MMSegmentation names them."""
        return {"classes": tuple(self.dataset.metainfo["classes"])}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        info = dict(self.dataset.get_data_info(index), seg_fields=[])
        path = Path(cast(str, info["img_path"]))
        image = read_image(path)
        try:
            self._load_mask._load_seg_map(info)
        except FileNotFoundError as error:
            raise InputError(f"{path} has no mask {info['seg_map_path']}") from error
        return Sample(image, path, mask=np.asarray(info["gt_seg_map"]).astype(np.int64))


class COCOObjectDataset(BaseSegDataset):
    """COCO with a background class and the 80 things, stuff counting as background.

    Xu et al., "GroupViT", CVPR 2022, introduced the benchmark; masks are
    `*_instanceTrainIds.png` with 0 for background, see data/README.md.
    """

    METAINFO = {  # noqa: RUF012  (read by the base class)
        "classes": ("background", *COCOStuffDataset.METAINFO["classes"][:80])
    }

    def __init__(
        self,
        *,
        img_suffix: str = ".jpg",
        seg_map_suffix: str = "_instanceTrainIds.png",
        **options: object,
    ) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **options)


def foreground(dataset: type[BaseSegDataset]) -> dict[str, tuple[str, ...]]:
    """The `metainfo` of a data set without its first class; background pixels are ignored."""
    return {"classes": tuple(dataset.METAINFO["classes"][1:])}
