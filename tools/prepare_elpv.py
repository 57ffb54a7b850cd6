"""Lay the ELPV solar-cell pictures out as two inspection categories.

The Python package `elpv-dataset` (Buerhop-Lutz et al. 2018; CC BY-NC-SA 4.0) holds 2,624
electroluminescence pictures with a defect probability each. Cells with probability 0 are normal,
with probability 1 anomalous, those in between are left out; 100 normal cells a category, chosen
with seed 0, become training pictures. There are no masks.

    pip install elpv-dataset
    python tools/prepare_elpv.py OUT_DIR
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

TRAIN_NORMAL = 100


def prepare(out_dir: Path) -> dict[str, int]:
    """Write `elpv_mono` and `elpv_poly` under `out_dir`; returns the number of test pictures."""
    import numpy as np
    from elpv_dataset.utils import load_dataset

    from dense.images import write_image

    images, probabilities, types = load_dataset()
    counts = {}
    for kind in ("mono", "poly"):
        root = out_dir / f"elpv_{kind}"
        normal = np.flatnonzero((types == kind) & (probabilities == 0))
        broken = np.flatnonzero((types == kind) & (probabilities == 1))
        order = np.random.default_rng(0).permutation(normal)
        parts = {
            "train/good": order[:TRAIN_NORMAL],
            "test/good": order[TRAIN_NORMAL:],
            "test/defective": broken,
        }
        for part, indices in parts.items():
            for index in indices:
                write_image(root / part / f"{index:04d}.png", images[index])
        counts[root.name] = len(parts["test/good"]) + len(broken)
    return counts


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=Path)
    try:
        counts = prepare(parser.parse_args().out_dir)
    except ImportError:
        print("the package elpv-dataset is missing: pip install elpv-dataset", file=sys.stderr)
        return 2
    print(", ".join(f"{name}: {count} test pictures" for name, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
