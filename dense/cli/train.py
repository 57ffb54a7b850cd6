"""`dense train`: train what a config describes."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train what a config describes",
        description="Run the training of a config; checkpoints and logs land in the work folder.",
        epilog="Example: dense train configs/train/CONFIG.py --data-root DATA",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a file of configs/train")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="the data set")
    parser.add_argument(
        "--work-dir", type=Path, metavar="DIR", help="checkpoints and logs (default: work_dirs/)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    common.add_json_option(parser)
    common.add_override_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    common.check_config(arguments.config)
    common.check_directory(arguments.data_root, "--data-root")

    from dense.engine.run import train_config

    results = train_config(
        arguments.config,
        data_root=arguments.data_root,
        work_dir=arguments.work_dir,
        resume=arguments.resume,
        overrides=arguments.set,
    )
    common.save_json(
        arguments, {"command": "train", "config": arguments.config, "metrics": results or {}}
    )
