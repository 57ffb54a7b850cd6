"""`dense evaluate`: the result table of a config on a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common


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
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="the data set")
    parser.add_argument("--work-dir", type=Path, metavar="DIR", help="logs (default: work_dirs/)")
    common.add_json_option(parser)
    common.add_override_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    common.check_config(arguments.config)
    common.check_directory(arguments.data_root, "--data-root")

    from dense.engine.run import test_config

    results = test_config(
        arguments.config,
        data_root=arguments.data_root,
        work_dir=arguments.work_dir,
        overrides=arguments.set,
    )
    rows = [[key, f"{value:.2f}"] for key, value in results.items()]
    common.print_table(["metric", "value"], rows)
    common.save_json(
        arguments, {"command": "evaluate", "config": arguments.config, "metrics": results}
    )
