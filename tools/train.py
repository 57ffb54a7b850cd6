"""Train a config.

python tools/train.py CONFIG --data-root DIR
torchrun --nproc-per-node 4 tools/train.py CONFIG --data-root DIR
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a config.")
    parser.add_argument("config", type=Path, help="a file below configs/train/")
    parser.add_argument("--data-root", type=Path, help="the data set, instead of the config's")
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="override config values"
    )
    parser.add_argument("--seed", type=int, help="seed of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--load-from", type=Path, help="weights to start from")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a summary here")
    parser.add_argument("--work-dir", type=Path, help="for log and checkpoints (work_dirs/CONFIG)")
    return parser.parse_args()


def main() -> int:
    """Run and return the exit code."""
    arguments = parse_arguments()
    warnings.filterwarnings("ignore")
    from dense.errors import DenseError

    try:
        from dense.engine.build import parse_options
        from dense.engine.run import finish, train_config
        from dense.outputs import write_json

        report = train_config(
            arguments.config,
            data_root=arguments.data_root,
            options=parse_options(arguments.cfg_options),
            work_dir=arguments.work_dir,
            seed=arguments.seed,
            resume=arguments.resume,
            checkpoint=arguments.load_from,
        )
        if finish():
            if arguments.json is not None:
                write_json(arguments.json, report)
            print("  ".join(f"{key} {value}" for key, value in report.items()))
    except DenseError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
