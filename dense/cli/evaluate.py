"""`dense evaluate`: the result table of a config on a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, numbers


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a config on a data set",
        description="Run the test of a config and print its metrics (rates in percent).",
        epilog="Example: dense evaluate configs/inspect/winclip_embedded_folder.py "
        "--data-root DATA --json results.json",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a file of configs/")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights of a training run")
    parser.add_argument(
        "--shots", type=numbers.whole(0), metavar="K", help="support images of each category"
    )
    parser.add_argument("--seed", type=numbers.seed, metavar="S", help="chooses the support images")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="draw results into this folder")
    parser.add_argument("--work-dir", type=Path, metavar="DIR", help="log (default: work_dirs/...)")
    common.add_config_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    common.check_run(arguments)

    from dense.engine.build import parse_options
    from dense.engine.run import test_config
    from dense.engine.tables import print_report

    report = test_config(
        arguments.config,
        data_root=arguments.data_root,
        options=parse_options(arguments.cfg_options),
        work_dir=arguments.work_dir,
        shots=arguments.shots,
        seed=arguments.seed,
        checkpoint=arguments.checkpoint,
        draw_dir=arguments.draw,
    )
    common.save_json(arguments, report)
    print_report(report)
