"""Two processes and an odd number of samples give the numbers of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dense.engine.run import test_config
from tests.datasets.made import make_category, make_segmentation

ROOT = Path(__file__).parents[2]
CONFIGS = Path(__file__).parent / "configs"


def test_exact_accounting(tmp_path: Path) -> None:
    photos = make_segmentation(tmp_path / "photos", 5)
    make_category(tmp_path / "products" / "nut", good=1, bad=2)
    make_category(tmp_path / "products" / "screw", good=2, bad=2)
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "tests.engine.worker"]
    done = subprocess.run(
        [*command, str(photos), str(tmp_path / "products"), str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    reports = json.loads(out.read_text())
    for name, root in (("segment", photos), ("padded", photos), ("inspect", tmp_path / "products")):
        alone = test_config(
            CONFIGS / f"stub_{name}.py", data_root=root, work_dir=tmp_path / "alone"
        )
        shared = reports[name]
        assert shared["processes"] == 2
        assert shared["samples"] == alone["samples"]
        assert shared["overall"] == pytest.approx(alone["overall"])
        part = "per_category" if name == "inspect" else "per_class"
        for key, scores in alone[part].items():  # type: ignore[attr-defined]
            assert shared[part][key] == pytest.approx(scores)
    assert reports["train"]["iterations"] == 3
