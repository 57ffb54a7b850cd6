import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from dense.engine.checkpoint import read_run_checkpoint, state_dict_of
from dense.engine.metrics import AnomalyMetric
from dense.engine.run import split_metrics, test_config, train_config
from dense.errors import InputError
from tests.datasets.made import defect_mask, make_category, make_segmentation, write
from tests.helpers import photo

CONFIGS = Path(__file__).parent / "configs"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_segmentation(tmp_path / "photos", 5)


class TestSegmentation:
    def test_hand_worked_scores(self, photos: Path, work: Path) -> None:
        """A third of each picture is cat, a third table, a third ignored; all is called cat."""
        report = test_config(CONFIGS / "stub_segment.py", data_root=photos, work_dir=work)
        assert report["overall"] == {"miou": 25.0, "macc": 50.0, "aacc": 50.0}
        assert report["per_class"] == {
            "cat": {"iou": 50.0, "acc": 100.0},
            "wooden table": {"iou": 0.0, "acc": 0.0},
        }
        assert (report["samples"], report["processes"]) == (5, 1)
        assert report["protocol"] == {"method": "constant", "choice": 0, "seed": 0}

    def test_undecided_pixels_are_missed_but_no_false_alarm(self, photos: Path, work: Path) -> None:
        """Cat: half of its third is hit; half of the table's third is false: 1/2 over 3/2."""
        options = {"model.method.undecided": True}
        report = test_config(
            CONFIGS / "stub_segment.py", data_root=photos, work_dir=work, options=options
        )
        overall = report["overall"]
        assert isinstance(overall, dict)
        assert overall["miou"] == pytest.approx(100 / 6)
        assert overall["aacc"] == pytest.approx(25)

    def test_padding_sampler_in_one_process(self, photos: Path, work: Path) -> None:
        report = test_config(CONFIGS / "stub_padded.py", data_root=photos, work_dir=work)
        assert report["overall"] == {"miou": 25.0, "macc": 50.0, "aacc": 50.0}

    def test_error_of_a_loader_worker_is_one_sentence(self, photos: Path, work: Path) -> None:
        (photos / "images" / "3.jpg").write_bytes(b"")
        with pytest.raises(InputError, match=r"^image file is empty \(zero bytes\): .*3\.jpg$"):
            test_config(
                CONFIGS / "stub_segment.py",
                data_root=photos,
                work_dir=work,
                options={"test_dataloader.num_workers": 1},
            )

    def test_draws_every_second_picture(self, photos: Path, work: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        test_config(
            CONFIGS / "stub_segment.py",
            data_root=photos,
            work_dir=work,
            draw_dir=out,
            draw_every=2,
        )
        assert sorted(p.name for p in out.iterdir()) == [
            "00000_0.png",
            "00002_2.png",
            "00004_4.png",
        ]


class TestAnomaly:
    def test_hand_worked_scores(self, tmp_path: Path, work: Path) -> None:
        """Scores 0, 1 (good) against 1, 2, 3 (bad): one tie of six pairs.

        The map marks the defect exactly, and as much of the two good pictures: 1536 of 5 * 1024
        pixels are defect-free and marked where 768 are defect.
        """
        make_category(tmp_path / "data" / "nut")
        make_category(tmp_path / "data" / "screw")
        report = test_config(
            CONFIGS / "stub_inspect.py", data_root=tmp_path / "data", work_dir=work, shots=0
        )
        per_category = report["per_category"]
        assert isinstance(per_category, dict)
        nut = per_category["nut"]
        assert nut == per_category["screw"] == report["overall"]
        assert nut["image_auroc"] == pytest.approx(100 * 5.5 / 6)
        negatives, alarms = 5 * 1024 - 3 * 256, 2 * 256
        assert nut["pixel_auroc"] == pytest.approx(100 * (1 - alarms / negatives / 2))
        assert nut["pixel_f1_max"] == pytest.approx(100 * 2 * 768 / (768 + 768 + 512))
        assert nut["image_f1_max"] == pytest.approx(100 * 6 / 7)

    def test_overall_is_the_macro_mean(self, tmp_path: Path, work: Path) -> None:
        make_category(tmp_path / "data" / "nut", good=1, bad=1)
        make_category(tmp_path / "data" / "screw")
        report = test_config(
            CONFIGS / "stub_inspect.py", data_root=tmp_path / "data", work_dir=work, shots=0
        )
        parts, overall = report["per_category"], report["overall"]
        assert isinstance(parts, dict) and isinstance(overall, dict)
        assert parts["nut"]["image_auroc"] == 100.0
        assert overall["image_auroc"] == pytest.approx((100 + 100 * 5.5 / 6) / 2)

    def test_category_without_masks_has_no_pixel_scores(self, tmp_path: Path, work: Path) -> None:
        root = make_category(tmp_path / "nut", bad=0)
        write(root / "test" / "dent" / "5.png", photo(32, 32))
        report = test_config(CONFIGS / "stub_inspect.py", data_root=root, work_dir=work, shots=0)
        overall = report["overall"]
        assert isinstance(overall, dict)
        assert overall["image_auroc"] == 100.0
        assert np.isnan(overall["pixel_auroc"]) and np.isnan(overall["aupro"])

    def test_unmasked_defects_do_not_count_as_normal_pixels(
        self, tmp_path: Path, work: Path
    ) -> None:
        root = make_category(tmp_path / "nut", good=0, bad=1)
        write(root / "test" / "good" / "0.png", photo(32, 32))
        before = test_config(CONFIGS / "stub_inspect.py", data_root=root, work_dir=work, shots=0)
        write(root / "test" / "dent" / "5.png", photo(32, 32))
        after = test_config(CONFIGS / "stub_inspect.py", data_root=root, work_dir=work, shots=0)
        assert isinstance(before["overall"], dict) and isinstance(after["overall"], dict)
        assert before["overall"]["pixel_auroc"] == after["overall"]["pixel_auroc"]

    def test_fits_on_the_asked_support(self, tmp_path: Path, work: Path) -> None:
        root = make_category(tmp_path / "nut")
        for shots, expected in ((None, 2), (4, 4), (0, 0)):
            report = test_config(
                CONFIGS / "stub_inspect.py", data_root=root, work_dir=work, shots=shots, seed=3
            )
            assert report["protocol"] == {"shots": expected, "seed": 3}

    def test_histogram_mode_comes_close(self, tmp_path: Path, work: Path) -> None:
        root = make_category(tmp_path / "nut")
        write(root / "ground_truth" / "scratch" / "000_mask.png", defect_mask(32, 32).T)
        options = {"test_evaluator": [{"type": AnomalyMetric, "pixel_bins": 2**12}]}
        exact = test_config(CONFIGS / "stub_inspect.py", data_root=root, work_dir=work, shots=0)
        close = test_config(
            CONFIGS / "stub_inspect.py", data_root=root, work_dir=work, shots=0, options=options
        )
        assert exact["overall"] == close["overall"]


class TestTraining:
    def weights(self, work: Path, number: int) -> torch.Tensor:
        return state_dict_of(read_run_checkpoint(work / f"iter_{number}.pth"))["method.colour"]

    def test_first_step_by_hand(self, photos: Path, work: Path) -> None:
        """From zero, one step of plain descent goes to 2 * lr * target."""
        report = train_config(
            CONFIGS / "stub_train.py",
            data_root=photos,
            work_dir=work,
            options={"train_cfg.max_iters": 1, "train_dataloader.batch_size": 5},
        )
        assert report["iterations"] == 1
        assert str(report["checkpoint"]).endswith("iter_1.pth")
        from dense.datasets import SegmentationFolder

        images = [sample.image for sample in map(SegmentationFolder(photos).__getitem__, range(5))]
        target = np.mean([image.reshape(-1, 3).mean(0) for image in images], axis=0) / 255
        np.testing.assert_allclose(self.weights(work, 1), 0.2 * target, rtol=1e-5)

    def test_resumed_run_ends_with_the_same_weights(self, photos: Path, tmp_path: Path) -> None:
        config = CONFIGS / "stub_train.py"
        train_config(config, data_root=photos, work_dir=tmp_path / "whole")
        first = {"train_cfg.max_iters": 1}
        train_config(config, data_root=photos, work_dir=tmp_path / "parts", options=first)
        train_config(config, data_root=photos, work_dir=tmp_path / "parts", resume=True)
        whole, parts = self.weights(tmp_path / "whole", 3), self.weights(tmp_path / "parts", 3)
        assert torch.equal(whole, parts)
        assert not torch.equal(whole, self.weights(tmp_path / "whole", 1))

    def test_weights_of_another_model_are_refused(self, photos: Path, work: Path) -> None:
        work.mkdir()
        torch.save({"state_dict": {"method.color": torch.zeros(3)}}, work / "other.pth")
        with pytest.raises(
            InputError, match=r"do not fit the model: 1 tensors missing \['method.colour'\]"
        ):
            train_config(
                CONFIGS / "stub_train.py",
                data_root=photos,
                work_dir=work,
                checkpoint=work / "other.pth",
            )

    def test_config_that_cannot_be_trained(self, photos: Path, work: Path) -> None:
        with pytest.raises(InputError, match="has no train_dataloader"):
            train_config(CONFIGS / "stub_segment.py", data_root=photos, work_dir=work)


def test_config_that_cannot_be_evaluated(photos: Path, work: Path) -> None:
    with pytest.raises(InputError, match="has no test_dataloader"):
        test_config(CONFIGS / "stub_train.py", data_root=photos, work_dir=work)


def test_missing_data(work: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the data are not in data/nowhere: .* --data-root DIR"):
        test_config(CONFIGS / "stub_segment.py", work_dir=work)
    with pytest.raises(InputError, match=r"the data are not in .*gone"):
        test_config(CONFIGS / "stub_segment.py", data_root=tmp_path / "gone", work_dir=work)


def test_shots_without_support(photos: Path, work: Path) -> None:
    with pytest.raises(InputError, match="has no support images"):
        test_config(CONFIGS / "stub_segment.py", data_root=photos, work_dir=work, shots=1)
    with pytest.raises(InputError, match="shots must be 0 or more, got -1"):
        test_config(CONFIGS / "stub_segment.py", data_root=photos, work_dir=work, shots=-1)


def test_work_dir_that_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write into"):
        test_config(CONFIGS / "stub_segment.py", data_root=photos, work_dir=tmp_path / "file")


def test_terminal_stays_quiet(photos: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test_config(CONFIGS / "stub_segment.py", data_root=photos, work_dir=work)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert "miou: 25.0" in next(work.glob("*/*.log")).read_text()
    logging.getLogger().handlers.clear()


def test_split_metrics() -> None:
    assert split_metrics({"miou": 1.0, "iou/a/b": 2.0, "mmseg/mIoU": 3.0}) == {
        "overall": {"miou": 1.0, "mmseg/mIoU": 3.0},
        "per_class": {"a/b": {"iou": 2.0}},
    }
    assert split_metrics({"aupro": 1.0, "aupro/nut": 2.0}) == {
        "overall": {"aupro": 1.0},
        "per_category": {"nut": {"aupro": 2.0}},
    }
