"""`dense methods`: what can be chosen, and how each is verified."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import get_args

from dense.cli import common
from dense.methods.catalog import find_method, methods
from dense.methods.method import Method, Task


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "methods",
        help="list the methods and how each is verified",
        description="List the methods by task, or show one: paper, needs, verification.",
        epilog="Example: dense methods winclip",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="show this one")
    parser.add_argument("--task", choices=get_args(Task), help="list one task's methods")
    common.add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    task: Task | None = arguments.task
    chosen = (find_method(arguments.name, task),) if arguments.name else methods(task)
    common.save_json(arguments, {"methods": [asdict(method) for method in chosen]})
    if arguments.name:
        for key, value in asdict(chosen[0]).items():
            print(f"{key:10} {value}")
        return
    rows = [[m.name, m.task, m.title, _needs(m)] for m in chosen]
    common.print_table(["name", "task", "method", "works with"], rows)


def _needs(method: Method) -> str:
    kinds = [("words", method.zero_shot), ("good pictures", method.few_shot)]
    given = " or ".join(kind for kind, possible in kinds if possible)
    learned = {method.trained: "learned parts", method.optional_weights: "learned parts if any"}
    needs = [given if method.task == "inspect" else "", learned.get(True, "")]
    return ", ".join(need for need in needs if need)
