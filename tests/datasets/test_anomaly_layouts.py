"""Every layout of anomaly data gives the same pictures, labels and masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dense.datasets import AnomalyFolder
from dense.errors import InputError
from tests.datasets.layouts import EMPTY, MAKERS, MARK, pictures
from tests.datasets.made import make_category, write


@pytest.fixture(params=list(MAKERS))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    root = tmp_path / "Data set"
    root.mkdir()
    MAKERS[request.param](root)
    return request.param.partition(" ")[0], root


def test_a_layout_is_found_out_and_read(made: tuple[str, Path]) -> None:
    name, root = made
    data = AnomalyFolder(root)
    assert data.layout == name
    category = {"kolektor": "Data set", "dagm": "Class1"}.get(name, "nut")
    assert data.categories == (category,)
    samples = [data[i] for i in range(len(data))]
    assert sorted(sample.label or 0 for sample in samples) == [0, 0, 1, 1]
    for sample in samples:
        assert sample.category == category
        assert sample.mask is not None
        np.testing.assert_array_equal(sample.mask, (MARK if sample.label else EMPTY) > 0)


def test_training_has_the_normal_pictures_alone(made: tuple[str, Path]) -> None:
    name, root = made
    train, test = AnomalyFolder(root, split="train"), AnomalyFolder(root)
    assert (train.layout, train.categories) == (name, test.categories)
    assert [item.label for item in train.items] == [0, 0, 0]
    assert not {i.image_path for i in train.items} & {i.image_path for i in test.items}
    assert len(train.support(2, seed=1)) == 2


def test_a_category_is_chosen_and_a_layout_can_be_named(made: tuple[str, Path]) -> None:
    name, root = made
    category = AnomalyFolder(root).categories[0]
    assert len(AnomalyFolder(root, category, layout=name)) == 4
    with pytest.raises(InputError, match="unknown category 'bolt'"):
        AnomalyFolder(root, "bolt")
    with pytest.raises(InputError, match="no test pictures"):
        AnomalyFolder(root, layout="dagm" if name != "dagm" else "visa")


def test_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown layout 'mvtek'.*mvtec"):
        AnomalyFolder(tmp_path, layout="mvtek")


class TestFolders:
    def test_a_category_of_mvtec_ad_2_itself(self, tmp_path: Path) -> None:
        MAKERS["mvtec_ad_2"](tmp_path)
        assert AnomalyFolder(tmp_path / "nut").counts() == {"nut/good": 2, "nut/bad": 2}

    def test_bmad_without_pixel_labels(self, tmp_path: Path) -> None:
        pictures(tmp_path / "Chest" / "train" / "good", 2)
        pictures(tmp_path / "Chest" / "test" / "good", 2)
        pictures(tmp_path / "Chest" / "test" / "Ungood", 2)
        data = AnomalyFolder(tmp_path)
        assert (data.layout, data.counts()) == ("bmad", {"Chest/good": 2, "Chest/Ungood": 2})
        assert [item.mask_paths for item in data.items if item.label] == [(), ()]

    def test_loco_picture_without_mask_folder(self, tmp_path: Path) -> None:
        MAKERS["mvtec_loco"](tmp_path)
        pictures(tmp_path / "nut" / "test" / "logical_anomalies", 1, first=7)
        with pytest.raises(InputError, match=r"007\.png has no mask folder 007 in"):
            AnomalyFolder(tmp_path)


class TestKinds:
    def test_normal_pictures_are_dealt_in_turn(self, tmp_path: Path) -> None:
        pictures(tmp_path / "ok", 5)
        pictures(tmp_path / "cracked", 2)
        train, test = AnomalyFolder(tmp_path, split="train"), AnomalyFolder(tmp_path)
        assert [item.image_path.name for item in train.items] == ["000.png", "002.png", "004.png"]
        assert test.counts() == {f"{tmp_path.name}/ok": 2, f"{tmp_path.name}/cracked": 2}
        assert [test[i].mask is None for i in range(4)] == [True, True, False, False]

    def test_normal_pictures_alone(self, tmp_path: Path) -> None:
        pictures(tmp_path, 3)
        assert AnomalyFolder(tmp_path, split="train").layout == "flat"
        with pytest.raises(InputError, match=r"no test pictures .* another layout"):
            AnomalyFolder(tmp_path)

    def test_one_folder_of_defects_must_be_called_so(self, tmp_path: Path) -> None:
        pictures(tmp_path / "broken", 3)
        with pytest.raises(InputError, match="no test pictures"):
            AnomalyFolder(tmp_path)
        data = AnomalyFolder(tmp_path / "broken", layout="defects")
        assert data.counts() == {"broken/defect": 3}
        assert data[0].mask is None
        with pytest.raises(InputError, match="no train pictures"):
            AnomalyFolder(tmp_path / "broken", layout="defects", split="train")


class TestLists:
    def test_visa_list_names_a_missing_picture(self, tmp_path: Path) -> None:
        MAKERS["visa"](tmp_path)
        (tmp_path / "nut" / "Data" / "Images" / "Normal" / "003.JPG").unlink()
        with pytest.raises(InputError, match=r"1cls\.csv names .*003\.JPG, which is missing"):
            AnomalyFolder(tmp_path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"object,split\nnut,test\n", "needs the columns object, split, label, image, mask"),
            (b"\xff\xfe\x00", r"cannot read .*1cls\.csv as a list of VisA"),
        ],
    )
    def test_broken_visa_list(self, tmp_path: Path, content: bytes, message: str) -> None:
        MAKERS["visa"](tmp_path)
        (tmp_path / "split_csv" / "1cls.csv").write_bytes(content)
        with pytest.raises(InputError, match=message):
            AnomalyFolder(tmp_path)

    def test_real_iad_lists_may_lie_one_folder_higher(self, tmp_path: Path) -> None:
        MAKERS["real_iad"](tmp_path)
        inner = tmp_path / "realiad_jsons" / "realiad_jsons"
        (inner / "nut.json").rename(inner.parent / "nut.json")
        data = AnomalyFolder(tmp_path)
        assert data.counts() == {"nut/OK": 2, "nut/HS": 2}
        assert all("realiad_1024" in item.image_path.parts for item in data.items)

    @pytest.mark.parametrize("missing", ["meta", "test"])
    def test_broken_real_iad_list(self, tmp_path: Path, missing: str) -> None:
        MAKERS["real_iad"](tmp_path)
        path = tmp_path / "realiad_jsons" / "realiad_jsons" / "nut.json"
        content = json.loads(path.read_text())
        del content[missing]
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=rf"lacks an entry \('{missing}'\)"):
            AnomalyFolder(tmp_path)

    def test_real_iad_without_pictures(self, tmp_path: Path) -> None:
        MAKERS["real_iad"](tmp_path)
        for size in (256, 1024):
            (tmp_path / f"realiad_{size}").rename(tmp_path / f"size_{size}")
        with pytest.raises(InputError, match="expected a folder like realiad_1024"):
            AnomalyFolder(tmp_path)

    def test_kolektor_picture_without_mask(self, tmp_path: Path) -> None:
        MAKERS["kolektor"](tmp_path)
        (tmp_path / "test" / "10001_GT.png").unlink()
        with pytest.raises(InputError, match=r"10001\.png has no mask 10001_GT\.png"):
            AnomalyFolder(tmp_path)

    def test_dagm_without_its_list_goes_by_the_masks(self, tmp_path: Path) -> None:
        MAKERS["dagm"](tmp_path)
        (tmp_path / "Class1" / "Test" / "Label" / "Labels.txt").unlink()
        assert [item.label for item in AnomalyFolder(tmp_path).items] == [1, 0, 1, 0]

    def test_dagm_defect_without_mask(self, tmp_path: Path) -> None:
        MAKERS["dagm"](tmp_path)
        (tmp_path / "Class1" / "Test" / "Label" / "0002_label.PNG").unlink()
        with pytest.raises(InputError, match=r"0002\.PNG has no mask 0002_label\.PNG"):
            AnomalyFolder(tmp_path)


class TestMasks:
    def test_values_of_a_half_and_less_mark_where_the_layout_says_so(self, tmp_path: Path) -> None:
        """LOCO's masks hold a number for each kind of defect, low and high ones in one mask."""
        MAKERS["mvtec_loco"](tmp_path)
        mask = np.zeros((32, 32), np.uint8)
        mask[0], mask[1] = 20, 250
        for name in ("000.png", "001.png"):
            folder = tmp_path / "nut" / "ground_truth" / "logical_anomalies" / "000"
            write(folder / name, mask)
        data = AnomalyFolder(tmp_path)
        place = next(i for i, x in enumerate(data.items) if x.defect_type == "logical_anomalies")
        found = data[place].mask
        assert found is not None and found.sum() == 64

    def test_an_empty_mask_on_a_defective_picture_stays_empty(self, tmp_path: Path) -> None:
        root = make_category(tmp_path / "screw", bad=1)
        write(root / "ground_truth" / "scratch" / "000_mask.png", EMPTY)
        sample = AnomalyFolder(root)[2]
        assert sample.label == 1
        assert sample.mask is not None and not sample.mask.any()

    def test_a_mask_named_like_the_picture_and_one_with_the_suffix(self, tmp_path: Path) -> None:
        root = make_category(tmp_path / "screw", bad=1)
        write(root / "ground_truth" / "scratch" / "000.png", EMPTY)
        mask = AnomalyFolder(root)[2].mask
        assert mask is not None and mask.any()

    def test_odd_names(self, tmp_path: Path) -> None:
        """Categories and kinds may hold any character a folder may."""
        name = "M3 {}-Schraube | ä%s"
        root = make_category(tmp_path / name)
        (root / "test" / "scratch").rename(root / "test" / "cut {0}")
        (root / "ground_truth" / "scratch").rename(root / "ground_truth" / "cut {0}")
        data = AnomalyFolder(tmp_path)
        assert data.counts() == {f"{name}/good": 2, f"{name}/cut {{0}}": 3}
        assert data[0].mask is not None and data[0].mask.any()
