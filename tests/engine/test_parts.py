"""Adapter, loaders, hooks, checkpoints, augmentation, MMSegmentation's data sets."""

import pickle
from pathlib import Path

import albumentations as A
import numpy as np
import pytest
import torch
from mmseg.datasets import ADE20KDataset, COCOStuffDataset, PascalVOCDataset

from dense.datasets import DetectionFolder, SegmentationFolder
from dense.engine import data as data_module
from dense.engine.augment import Augment, train_augment
from dense.engine.checkpoint import load_strictly, read_run_checkpoint, state_dict_of
from dense.engine.data import (
    ExactSampler,
    class_names,
    collate,
    product_words,
    test_loader,
    train_loader,
)
from dense.engine.factories import stuff_words
from dense.engine.hooks import DrawResultsHook, FitOnSupportHook
from dense.engine.mmseg_data import COCOObjectDataset, MMSegSamples, foreground
from dense.engine.model import Prediction, RunnerModel
from dense.errors import InputError
from dense.structures import AnomalyResult, DetectionResult, Sample
from tests.datasets.made import make_detection, make_segmentation, segmentation_mask, write
from tests.engine.stubs import ConstantSegmentor, QuarterInspector, Regressor
from tests.helpers import photo


class TestRunnerModel:
    def test_predict_pairs_results_with_samples(self) -> None:
        model = RunnerModel(ConstantSegmentor(("a", "b"), 1))
        samples = [Sample(photo(8, 8, seed=i)) for i in range(2)]
        paired = model([7, 9], samples, mode="predict")
        assert [(p.index, p.sample) for p in paired] == [(7, samples[0]), (9, samples[1])]
        assert all((p.result.class_map == 1).all() for p in paired)
        assert model([7], samples[:1])[0].class_map.shape == (8, 8)

    def test_loss_passes_through(self) -> None:
        sample = Sample(np.full((4, 4, 3), 51, np.uint8))
        losses = RunnerModel(Regressor())([0], [sample], mode="loss")
        assert losses["loss_colour"].item() == pytest.approx(3 * 0.2**2)

    def test_loss_of_a_method_without(self) -> None:
        with pytest.raises(InputError, match="QuarterInspector cannot be trained"):
            RunnerModel(QuarterInspector())([0], [], mode="loss")

    def test_wrong_number_of_results(self) -> None:
        class Silent:
            def predict(self, samples: object) -> list[AnomalyResult]:
                return []

        with pytest.raises(InputError, match="one result a sample, got 0 for 1"):
            RunnerModel(Silent())([0], [Sample(photo(8, 8))], mode="predict")


class TestLoaders:
    @pytest.mark.parametrize(("number", "world"), [(5, 2), (7, 3), (1, 2), (6, 3)])
    def test_exact_sampler_deals_each_index_once(
        self, monkeypatch: pytest.MonkeyPatch, number: int, world: int
    ) -> None:
        dealt: list[int] = []
        for rank in range(world):
            monkeypatch.setattr(data_module, "get_dist_info", lambda r=rank: (r, world))
            sampler = ExactSampler(range(number))
            assert len(sampler) == len(list(sampler))
            dealt += sampler
        assert sorted(dealt) == list(range(number))

    def test_batches_carry_index_and_sample(self, tmp_path: Path) -> None:
        loader = test_loader(SegmentationFolder(make_segmentation(tmp_path)), batch_size=2)
        batches = list(loader)
        assert [batch["index"] for batch in batches] == [[0, 1], [2]]
        assert [s.image_size for s in batches[0]["samples"]] == [(40, 48), (48, 48)]
        assert loader.dataset.metainfo == {"classes": ("cat", "wooden table")}

    def test_training_order_follows_the_seed(self, tmp_path: Path) -> None:
        data = SegmentationFolder(make_segmentation(tmp_path, 9))
        orders = []
        for seed in (1, 1, 2):
            loader = train_loader(data, batch_size=9, seed=seed)
            orders.append(next(iter(loader))["index"])
        assert orders[0] == orders[1] != orders[2]
        assert sorted(orders[0]) == list(range(9))

    def test_collate_keeps_order(self) -> None:
        a, b = Sample(photo(8, 8)), Sample(photo(9, 9))
        assert collate([(3, a), (1, b)]) == {"index": [3, 1], "samples": [a, b]}

    def test_words_of_data_sets(self, tmp_path: Path) -> None:
        class Products:
            metainfo = {"categories": ("metal_nut", "pcb1")}  # noqa: RUF012

        words = product_words(Products(), {"pcb1": "circuit board"})
        assert words == {"metal_nut": "metal nut", "pcb1": "circuit board"}
        with pytest.raises(InputError, match="Products does not name its classes"):
            class_names(Products())


class TestHooks:
    def test_method_without_fit(self) -> None:
        class Source:
            def support(self, shots: int, seed: int = 0) -> list[Sample]:
                return []

        class FakeRunner:
            model = RunnerModel(ConstantSegmentor(("a",)))

        hook = FitOnSupportHook(Source(), shots=1)
        with pytest.raises(InputError, match="ConstantSegmentor cannot use support images"):
            hook.before_test(FakeRunner())  # type: ignore[arg-type]

    def test_every_must_be_positive(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="every must be 1 or more"):
            DrawResultsHook(tmp_path, every=0)

    def test_draws_maps_and_boxes(self, tmp_path: Path) -> None:
        hook = DrawResultsHook(tmp_path)
        sample = Sample(photo(32, 32), Path("x/007.png"), category="nut")
        flat = AnomalyResult(np.zeros((32, 32), np.float32), 0.0)
        boxes = DetectionResult(
            np.array([[2, 2, 20, 20]], np.float32), np.ones(1, np.float32), np.zeros(1, int), ("a",)
        )
        hook.after_test_iter(None, 0, None, [Prediction(3, sample, flat)])  # type: ignore[arg-type]
        assert (tmp_path / "nut" / "00003_007.png").is_file()
        drawn = hook.draw(Prediction(0, sample, boxes))
        assert not np.array_equal(drawn[:32, :32], sample.image)


class TestCheckpoints:
    def test_pickle_payload_is_refused_and_not_run(self, tmp_path: Path) -> None:
        class Payload:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

        torch.save({"state_dict": Payload()}, tmp_path / "bad.pth")
        with pytest.raises(InputError, match=r"refused .*bad.pth: .*could run code"):
            read_run_checkpoint(tmp_path / "bad.pth")
        assert not (tmp_path / "ran").exists()

    def test_broken_files(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such checkpoint"):
            read_run_checkpoint(tmp_path / "gone.pth")
        (tmp_path / "text.pth").write_text("hello")
        with pytest.raises(InputError, match=r"corrupt checkpoint .*text\.pth"):
            read_run_checkpoint(tmp_path / "text.pth")
        torch.save([1], tmp_path / "list.pth")
        with pytest.raises(InputError, match="must hold a dictionary of weights, got a list"):
            read_run_checkpoint(tmp_path / "list.pth")
        (tmp_path / "pickle.pth").write_bytes(pickle.dumps({"a": 1}))
        with pytest.raises(InputError, match="corrupt checkpoint"):
            read_run_checkpoint(tmp_path / "pickle.pth")

    def test_strict_loading(self) -> None:
        layer = torch.nn.Linear(2, 2)
        state = {"module.weight": torch.eye(2), "module.bias": torch.ones(2)}
        load_strictly(layer, state_dict_of({"state_dict": state}), "x")
        assert torch.equal(layer.weight, torch.eye(2))
        for change, message in (
            ({"weight": torch.eye(3)}, "1 of another shape"),
            ({"scale": torch.ones(2)}, r"1 unknown \['scale'\]"),
        ):
            with pytest.raises(InputError, match=message):
                load_strictly(layer, {**state_dict_of({"state_dict": state}), **change}, "x")
        with pytest.raises(InputError, match="not a dictionary"):
            state_dict_of({"state_dict": 3})


class TestAugment:
    def test_mirror_moves_picture_mask_and_boxes_together(self, tmp_path: Path) -> None:
        mirror = Augment([A.HorizontalFlip(p=1.0)])
        sample = DetectionFolder(make_detection(tmp_path))[1]
        flipped = mirror(sample)
        np.testing.assert_array_equal(flipped.image, sample.image[:, ::-1])
        expected = [[49, 2, 59, 22], [24.5, 4, 29.5, 10]]
        np.testing.assert_allclose(flipped.boxes, expected, atol=1e-4)
        np.testing.assert_array_equal(flipped.box_labels, sample.box_labels)
        mask = segmentation_mask(10, 30, (0, 1, 255)).astype(np.int64)
        masked = mirror(Sample(photo(10, 30), mask=mask))
        np.testing.assert_array_equal(masked.mask, mask[:, ::-1])
        assert masked.mask is not None and masked.mask.dtype == np.int64

    def test_box_that_leaves_the_picture_takes_its_label_along(self) -> None:
        boxes = np.array([[0, 0, 4, 4], [20, 20, 30, 30]], np.float32)
        sample = Sample(photo(32, 32), boxes=boxes, box_labels=np.array([5, 6]))
        cropped = Augment([A.Crop(16, 16, 32, 32)])(sample)
        np.testing.assert_allclose(cropped.boxes, [[4, 4, 14, 14]], atol=1e-4)
        assert cropped.box_labels is not None and cropped.box_labels.tolist() == [6]

    def test_repeats_with_torch_seed_and_differs_without(self) -> None:
        augment, sample = train_augment((16, 24)), Sample(photo(64, 64))
        torch.manual_seed(3)
        first, second = augment(sample), augment(sample)
        torch.manual_seed(3)
        again = augment(sample)
        assert first.image_size == (16, 24)
        np.testing.assert_array_equal(first.image, again.image)
        assert not np.array_equal(first.image, second.image)

    def test_boxes_without_labels(self) -> None:
        sample = Sample(photo(8, 8), boxes=np.array([[0, 0, 4, 4]], np.float32))
        with pytest.raises(InputError, match="only with a label for each"):
            train_augment((8, 8))(sample)


def make_voc(root: Path) -> Path:
    write(root / "JPEGImages" / "1.jpg", photo(10, 12))
    write(root / "SegmentationClass" / "1.png", segmentation_mask(10, 12, (0, 1, 20, 255)))
    (root / "ImageSets").mkdir()
    (root / "ImageSets" / "val.txt").write_text("1\n")
    return root


VOC = {
    "ann_file": "ImageSets/val.txt",
    "data_prefix": {"img_path": "JPEGImages", "seg_map_path": "SegmentationClass"},
}


class TestMMSegmentation:
    def test_voc_with_background(self, tmp_path: Path) -> None:
        options = {**VOC, "data_root": str(make_voc(tmp_path))}
        data = MMSegSamples(PascalVOCDataset, options)
        assert class_names(data)[:2] == ("background", "aeroplane")
        assert len(data) == 1
        mask = data[0].mask
        assert mask is not None and mask[0].tolist() == [0] * 3 + [1] * 3 + [20] * 3 + [255] * 3

    def test_voc_without_background(self, tmp_path: Path) -> None:
        options = {
            **VOC,
            "data_root": str(make_voc(tmp_path)),
            "metainfo": foreground(PascalVOCDataset),
        }
        data = MMSegSamples(PascalVOCDataset, options)
        assert len(class_names(data)) == 20
        for _ in range(2):
            mask = data[0].mask
            assert mask is not None
            assert mask[0].tolist() == [255] * 3 + [0] * 3 + [19] * 3 + [255] * 3

    def test_reduce_zero_label_is_honoured(self, tmp_path: Path) -> None:
        write(tmp_path / "images" / "a.jpg", photo(4, 8))
        write(tmp_path / "masks" / "a.png", segmentation_mask(4, 8, (0, 1, 2, 150)))
        prefix = {"img_path": "images", "seg_map_path": "masks"}
        data = MMSegSamples(ADE20KDataset, {"data_root": str(tmp_path), "data_prefix": prefix})
        mask = data[0].mask
        assert mask is not None and mask[0, ::2].tolist() == [255, 0, 1, 149]

    def test_coco_object(self) -> None:
        names = COCOObjectDataset.METAINFO["classes"]
        assert (len(names), names[0], names[1], names[80]) == (
            81,
            "background",
            "person",
            "toothbrush",
        )

    def test_stuff_words_are_distinct(self) -> None:
        class Stuff:
            metainfo = COCOStuffDataset.METAINFO

        words = stuff_words(Stuff())
        assert words["wall-brick"] == "brick wall"
        assert words["cat"] == "cat"
        assert len({word.casefold() for word in words.values()}) == 171

    def test_missing_files(self, tmp_path: Path) -> None:
        prefix = {"img_path": "images", "seg_map_path": "masks"}
        with pytest.raises(InputError, match=r"files of ADE20KDataset are not in .*README"):
            MMSegSamples(ADE20KDataset, {"data_root": str(tmp_path), "data_prefix": prefix})
        with pytest.raises(InputError, match="files of PascalVOCDataset are not in"):
            MMSegSamples(PascalVOCDataset, {"data_root": str(tmp_path), **VOC})

    def test_no_pictures(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        prefix = {"img_path": "images", "seg_map_path": "masks"}
        with pytest.raises(InputError, match="ADE20KDataset finds no pictures"):
            MMSegSamples(ADE20KDataset, {"data_root": str(tmp_path), "data_prefix": prefix})

    def test_missing_mask(self, tmp_path: Path) -> None:
        write(tmp_path / "images" / "a.jpg", photo(4, 8))
        prefix = {"img_path": "images", "seg_map_path": "masks"}
        data = MMSegSamples(ADE20KDataset, {"data_root": str(tmp_path), "data_prefix": prefix})
        with pytest.raises(InputError, match=r"a\.jpg has no mask"):
            data[0]
