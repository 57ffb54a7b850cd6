"""Evaluate a config and print its table.

python tools/test.py configs/segment/maskclip_embedded_folder.py --data-root MY_DATA
torchrun --nproc-per-node 4 tools/test.py CONFIG --data-root DIR
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Evaluate a config and print its table.")
    parser.add_argument("config", type=Path, help="a file below configs/")
    parser.add_argument("checkpoint", type=Path, nargs="?", help="weights of a training run")
    parser.add_argument("--data-root", type=Path, help="the data set, instead of the config's")
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="override config values"
    )
    parser.add_argument("--shots", type=int, help="support images of each category, 0 for none")
    parser.add_argument("--seed", type=int, help="chooses the support images")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    parser.add_argument("--work-dir", type=Path, help="for the log (work_dirs/CONFIG)")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="draw results into this folder")
    parser.add_argument("--draw-every", type=int, default=1, metavar="N", help="every n-th sample")
    return parser.parse_args()


def main() -> int:
    """Run and return the exit code."""
    arguments = parse_arguments()
    warnings.filterwarnings("ignore")
    from dense.errors import DenseError

    try:
        from dense.engine.build import parse_options
        from dense.engine.run import finish, test_config
        from dense.engine.tables import print_report
        from dense.outputs import write_json

        report = test_config(
            arguments.config,
            data_root=arguments.data_root,
            options=parse_options(arguments.cfg_options),
            work_dir=arguments.work_dir,
            shots=arguments.shots,
            seed=arguments.seed,
            checkpoint=arguments.checkpoint,
            draw_dir=arguments.draw,
            draw_every=arguments.draw_every,
        )
        if finish():
            if arguments.json is not None:
                write_json(arguments.json, report)
            print_report(report)
    except DenseError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
