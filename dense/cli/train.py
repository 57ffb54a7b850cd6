"""`dense train`: train what a config describes."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, numbers


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train what a config describes",
        description="Run the training of a config; checkpoints and logs land in the work folder.",
        epilog="Example: dense train configs/train/CONFIG.py --data-root DATA",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a file of configs/train")
    parser.add_argument(
        "--work-dir", type=Path, metavar="DIR", help="checkpoints and logs (default: work_dirs/)"
    )
    parser.add_argument("--seed", type=numbers.seed, metavar="S", help="seed of the run")
    parser.add_argument("--load-from", type=Path, metavar="FILE", help="weights to start from")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    common.add_config_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    common.check_run(arguments)

    from dense.engine.build import parse_options
    from dense.engine.run import train_config

    report = train_config(
        arguments.config,
        data_root=arguments.data_root,
        options=parse_options(arguments.cfg_options),
        work_dir=arguments.work_dir,
        seed=arguments.seed,
        resume=arguments.resume,
        checkpoint=arguments.load_from,
    )
    common.save_json(arguments, report)
    common.print_table(["", "value"], [[key, str(value)] for key, value in report.items()])
