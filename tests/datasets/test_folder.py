import json
import re
from pathlib import Path

import numpy as np
import pytest

from dense.datasets import AnomalyFolder, DetectionFolder, SegmentationFolder, select_support
from dense.errors import InputError
from tests.datasets.made import (
    make_category,
    make_detection,
    make_segmentation,
    segmentation_mask,
    write,
)
from tests.helpers import photo


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


class TestSegmentationFolder:
    def test_maps_ids_to_indices_and_ignored_ones_to_255(self, tmp_path: Path) -> None:
        data = SegmentationFolder(make_segmentation(tmp_path))
        assert len(data) == 3
        assert data.metainfo == {"classes": ("cat", "wooden table")}
        sample = data[1]
        assert sample.image_size == (48, 48)
        assert sample.image_path == tmp_path / "images" / "1.jpg"
        row = [0] * 16 + [1] * 16 + [255] * 16
        np.testing.assert_array_equal(sample.mask, np.tile(row, (48, 1)))

    def test_255_is_ignored_without_being_listed(self, tmp_path: Path) -> None:
        make_segmentation(tmp_path)
        write(tmp_path / "masks" / "0.png", segmentation_mask(40, 48, (255, 7)))
        mask = SegmentationFolder(tmp_path)[0].mask
        assert mask is not None
        assert mask[0].tolist() == [255] * 24 + [1] * 24

    def test_reads_a_split_and_leaves_pictures_without_mask_out(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_segmentation(tmp_path, 2, split="val")
        make_segmentation(tmp_path, 1, split="train")
        write(tmp_path / "images" / "val" / "extra.png", photo())
        data = SegmentationFolder(tmp_path, "val")
        assert [pair[0].name for pair in data.pairs] == ["0.jpg", "1.jpg"]
        assert data.unlabelled == 1
        assert "1 of 3 pictures in" in caplog.text and "e.g. extra.png" in caplog.text
        assert len(SegmentationFolder(tmp_path)) == 3

    def test_mask_of_another_size(self, tmp_path: Path) -> None:
        make_segmentation(tmp_path)
        write(tmp_path / "masks" / "2.png", segmentation_mask(20, 24, (3, 7)))
        with pytest.raises(InputError, match=r"size of its image, expected \(56, 48\), got \(20, "):
            SegmentationFolder(tmp_path)[2]

    def test_unknown_ids(self, tmp_path: Path) -> None:
        make_segmentation(tmp_path)
        write(tmp_path / "masks" / "0.png", segmentation_mask(40, 48, (3, 12, 9)))
        with pytest.raises(InputError, match=r"does not name: \[9, 12\]"):
            SegmentationFolder(tmp_path)[0]

    def test_mask_without_picture(self, tmp_path: Path) -> None:
        make_segmentation(tmp_path)
        write(tmp_path / "masks" / "lost.png", segmentation_mask(40, 48, (3,)))
        with pytest.raises(InputError, match=r"lost\.png has no picture .*\(1 masks"):
            SegmentationFolder(tmp_path)

    def test_two_pictures_of_one_name(self, tmp_path: Path) -> None:
        make_segmentation(tmp_path)
        write(tmp_path / "images" / "0.png", photo(40, 48))
        with pytest.raises(InputError, match="share a name"):
            SegmentationFolder(tmp_path)

    def test_no_masks(self, tmp_path: Path) -> None:
        make_segmentation(tmp_path, 0)
        (tmp_path / "images").mkdir()
        (tmp_path / "masks").mkdir()
        with pytest.raises(InputError, match="no masks in"):
            SegmentationFolder(tmp_path)

    @pytest.mark.parametrize("missing", ["", "images", "masks"])
    def test_missing_folder(self, tmp_path: Path, missing: str) -> None:
        root = tmp_path / "data"
        if missing:
            root.mkdir()
            make_segmentation(root, 0)
            for name in {"images", "masks"} - {missing}:
                (root / name).mkdir()
        with pytest.raises(InputError, match=f"{re.escape(str(root / missing))} does not exist"):
            SegmentationFolder(root)

    def test_root_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("")
        with pytest.raises(InputError, match="x is a file: expected a directory"):
            SegmentationFolder(tmp_path / "x")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "no such file: .*classes.json"),
            ("{", r"not valid JSON \(line 1"),
            ("[1]", "must hold a JSON object, got a list"),
            ('{"classes": ["cat"]}', "does not have the expected form"),
            ('{"classes": {"cat": "1"}}', "must be whole numbers"),
            ('{"classes": {"-1": "cat"}}', "must be 0 or more, got -1"),
            ('{"classes": {"1": "cat"}, "ignore": [1]}', "no class is left"),
            (json.dumps({"classes": {str(i): str(i) for i in range(256)}}), "at most 255 classes"),
        ],
    )
    def test_broken_classes(self, tmp_path: Path, text: str | None, message: str) -> None:
        make_segmentation(tmp_path)
        (tmp_path / "classes.json").unlink()
        if text is not None:
            (tmp_path / "classes.json").write_text(text)
        with pytest.raises(InputError, match=message):
            SegmentationFolder(tmp_path)

    def test_classes_that_are_not_text(self, tmp_path: Path) -> None:
        make_segmentation(tmp_path)
        (tmp_path / "classes.json").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="cannot read"):
            SegmentationFolder(tmp_path)


class TestDetectionFolder:
    def test_boxes_and_labels(self, tmp_path: Path) -> None:
        data = DetectionFolder(make_detection(tmp_path))
        assert data.metainfo == {"classes": ("bolt", "nut")}
        first, second = data[0], data[1]
        assert first.image_size == (50, 30)
        assert first.boxes is not None and first.boxes.shape == (0, 4)
        np.testing.assert_array_equal(second.boxes, [[1, 2, 11, 22], [30.5, 4, 35.5, 10]])
        np.testing.assert_array_equal(second.box_labels, [1, 0])

    def test_file_names_relative_to_the_root(self, tmp_path: Path) -> None:
        make_detection(tmp_path)
        (tmp_path / "images").rename(tmp_path / "test")
        images = [{"id": 5, "file_name": "test/b.png"}, {"id": 4, "file_name": "test/a.png"}]
        edit_json(tmp_path / "instances.json", images=images)
        assert DetectionFolder(tmp_path)[1].image_size == (40, 60)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"images": []}, "lists no images"),
            ({"categories": []}, "lists no categories"),
            ({"annotations": 3}, "must hold the lists"),
            ({"annotations": [{"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1]}]}, "names i"),
            ({"annotations": [{"image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "names c"),
            ({"annotations": [{"image_id": 5, "category_id": 9, "bbox": [0, 0, 1]}]}, "needs bbox"),
            (
                {"annotations": [{"image_id": 5, "category_id": 9, "bbox": [0, 0, 0, 4]}]},
                "without area, width 0",
            ),
            ({"annotations": [{"image_id": 5, "bbox": [0, 0, 1, 4]}]}, "lacks an entry"),
            ({"categories": [{"id": "x", "name": "nut"}]}, "another kind"),
            ({"images": [{"id": 5, "file_name": "no.png"}], "annotations": []}, "is missing"),
        ],
    )
    def test_broken_json(self, tmp_path: Path, changes: dict[str, object], message: str) -> None:
        make_detection(tmp_path)
        edit_json(tmp_path / "instances.json", **changes)
        with pytest.raises(InputError, match=message):
            DetectionFolder(tmp_path)

    def test_picture_of_another_size(self, tmp_path: Path) -> None:
        make_detection(tmp_path)
        write(tmp_path / "images" / "b.png", photo(60, 40))
        with pytest.raises(InputError, match=r"says \(40, 60\): its boxes would be misplaced"):
            DetectionFolder(tmp_path)[1]


class TestAnomalyFolder:
    def test_test_split(self, tmp_path: Path) -> None:
        data = AnomalyFolder(make_category(tmp_path / "screw"), split="test")
        assert data.metainfo == {"categories": ("screw",)}
        assert data.counts() == {"screw/good": 2, "screw/scratch": 3}
        good, bad = data[0], data[2]
        assert (good.label, good.category) == (0, "screw")
        assert good.mask is not None and good.mask.dtype == np.bool_ and not good.mask.any()
        assert bad.label == 1
        assert bad.mask is not None and bad.mask.sum() == 256 and bad.mask[:16, :16].all()

    def test_train_split_has_normal_pictures_alone(self, tmp_path: Path) -> None:
        make_category(tmp_path / "screw")
        write(tmp_path / "screw" / "train" / "scratch" / "0.png", photo())
        data = AnomalyFolder(tmp_path / "screw", split="train")
        assert [item.label for item in data.items] == [0] * 5

    def test_several_categories(self, tmp_path: Path) -> None:
        make_category(tmp_path / "screw")
        make_category(tmp_path / "nut", good=1, bad=1)
        both = AnomalyFolder(tmp_path, split="test")
        assert both.categories == ("nut", "screw")
        assert len(both) == 7
        assert AnomalyFolder(tmp_path, "nut", split="test").counts() == {
            "nut/good": 1,
            "nut/scratch": 1,
        }

    def test_plain_folder_is_support(self, tmp_path: Path) -> None:
        for i in range(3):
            write(tmp_path / "mine" / f"{i}.jpg", photo(20, 30, seed=i))
        data = AnomalyFolder(tmp_path / "mine", split="train")
        assert (len(data), data.categories) == (3, ("mine",))
        assert data[0].label == 0
        assert AnomalyFolder(tmp_path / "mine", "nut", split="train")[0].category == "nut"

    def test_other_names_for_good_and_masks(self, tmp_path: Path) -> None:
        """BTAD says ok and ko; VisA's masks hold class indices under the picture's own name."""
        root = tmp_path / "01"
        write(root / "test" / "ok" / "0.bmp", photo(16, 16))
        write(root / "test" / "ko" / "1.bmp", photo(16, 16))
        write(root / "ground_truth" / "ko" / "1.png", np.pad(np.full((2, 2), 3, np.uint8), 7))
        data = AnomalyFolder(root, split="test")
        assert [item.label for item in data.items] == [1, 0]
        mask = data[0].mask
        assert mask is not None and mask.sum() == 4

    def test_grey_mask_edges_are_cut_at_half(self, tmp_path: Path) -> None:
        root = make_category(tmp_path / "screw")
        grey = np.full((32, 32), 100, np.uint8)
        grey[0] = 200
        write(root / "ground_truth" / "scratch" / "000_mask.png", grey)
        mask = AnomalyFolder(root, split="test")[2].mask
        assert mask is not None and mask.sum() == 32

    def test_defects_without_masks(self, tmp_path: Path) -> None:
        root = make_category(tmp_path / "screw")
        write(root / "test" / "dent" / "0.png", photo(32, 32))
        data = AnomalyFolder(root, split="test")
        sample = data[0]
        assert (sample.label, sample.mask, data.items[0].defect_type) == (1, None, "dent")

    def test_some_masks_missing(self, tmp_path: Path) -> None:
        root = make_category(tmp_path / "screw")
        (root / "ground_truth" / "scratch" / "001_mask.png").unlink()
        with pytest.raises(InputError, match=r"001\.png has no mask 001_mask\.png"):
            AnomalyFolder(root, split="test")

    def test_mask_of_another_size(self, tmp_path: Path) -> None:
        root = make_category(tmp_path / "screw")
        write(root / "ground_truth" / "scratch" / "000_mask.png", np.zeros((8, 8), np.uint8))
        with pytest.raises(InputError, match="size of its image"):
            AnomalyFolder(root, split="test")[2]

    def test_unknown_category_and_split(self, tmp_path: Path) -> None:
        make_category(tmp_path / "screw")
        with pytest.raises(InputError, match=r"unknown category 'crew'.*screw"):
            AnomalyFolder(tmp_path, "crew")
        with pytest.raises(InputError, match=r"unknown category 'nut'.*screw"):
            AnomalyFolder(tmp_path / "screw", "nut")
        with pytest.raises(InputError, match="unknown split 'val'"):
            AnomalyFolder(tmp_path, split="val")  # type: ignore[arg-type]

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no train pictures .* plain folder"):
            AnomalyFolder(tmp_path, split="train")
        with pytest.raises(InputError, match="no test pictures in"):
            AnomalyFolder(tmp_path, split="test")

    def test_support_of_each_category(self, tmp_path: Path) -> None:
        make_category(tmp_path / "screw")
        make_category(tmp_path / "nut", train=2)
        data = AnomalyFolder(tmp_path, split="train")
        chosen = data.support(2, seed=3)
        assert [sample.category for sample in chosen] == ["nut", "nut", "screw", "screw"]
        with pytest.raises(InputError, match=r"category 'nut': 3 support images .* only 2"):
            data.support(3)


class TestSelectSupport:
    PATHS = tuple(Path("train") / f"{i:02d}.png" for i in range(20))

    def test_choice_depends_on_the_set_and_the_seed_alone(self) -> None:
        chosen = select_support(self.PATHS, 4, seed=1)
        assert chosen == select_support(self.PATHS[::-1], 4, seed=1)
        assert chosen == sorted(chosen)
        assert len(set(chosen)) == 4
        assert chosen != select_support(self.PATHS, 4, seed=2)

    def test_fewer_shots_are_a_subset_of_more(self) -> None:
        for shots in range(1, 20):
            fewer = select_support(self.PATHS, shots, seed=5)
            assert set(fewer) < set(select_support(self.PATHS, shots + 1, seed=5))

    def test_a_moved_data_set_gives_the_same_files(self) -> None:
        moved = [Path("elsewhere") / path for path in self.PATHS]
        names = [path.name for path in select_support(self.PATHS, 5, seed=7)]
        assert [path.name for path in select_support(moved, 5, seed=7)] == names

    def test_all_of_them(self) -> None:
        assert select_support(self.PATHS, 20, seed=9) == list(self.PATHS)

    def test_too_many_and_too_few_shots(self) -> None:
        with pytest.raises(InputError, match=r"21 support images were asked for, but .* only 20"):
            select_support(self.PATHS, 21)
        with pytest.raises(InputError, match="shots must be 1 or more, got 0"):
            select_support(self.PATHS, 0)
