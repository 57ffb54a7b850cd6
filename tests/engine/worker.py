"""What each process of test_processes runs: three configs, results written by the main one."""

import json
import sys
from pathlib import Path

from dense.compat import ensure_torchvision

ensure_torchvision()

from dense.engine.run import finish, test_config, train_config  # noqa: E402

CONFIGS = Path(__file__).parent / "configs"


def main(photos: str, products: str, out: str) -> None:
    work = Path(out).parent / "work"
    reports = {
        "segment": test_config(CONFIGS / "stub_segment.py", data_root=photos, work_dir=work),
        "padded": test_config(CONFIGS / "stub_padded.py", data_root=photos, work_dir=work),
        "inspect": test_config(CONFIGS / "stub_inspect.py", data_root=products, work_dir=work),
        "train": train_config(CONFIGS / "stub_train.py", data_root=photos, work_dir=work),
    }
    if finish():
        Path(out).write_text(json.dumps(reports))


if __name__ == "__main__":
    main(*sys.argv[1:])
