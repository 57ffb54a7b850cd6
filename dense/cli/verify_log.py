"""`dense verify-log`: is the log of decisions still what was written?"""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, registry

BROKEN = 1
"""Exit code."""


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "verify-log",
        help="verify the log of decisions: nothing changed, missing or moved",
        description="Reads the log of decisions, feedback and changes of products. Each entry "
        "seals those before it by its hash; what was changed, taken out, put in or moved is found "
        "and located. Keep the last hash elsewhere (--json FILE) and give it back with --head: "
        "then it is also seen if the end was cut off. Exit code 0: sound; 1: broken.",
        epilog="Start with: dense verify-log --json head.json && dense verify-log --head head.json",
    )
    registry.add_options(parser)
    parser.add_argument(
        "--head", metavar="FILE|HASH", help="JSON of an earlier run, or a hash: must be in the log"
    )
    parser.add_argument(
        "--keep-head",
        type=Path,
        metavar="FILE",
        help="the same, for timers: must be in the log, and is moved on if it is sound",
    )
    parser.add_argument("--file", type=Path, metavar="FILE", help="verify an exported log instead")
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write a sound log as JSON lines"
    )
    parser.add_argument(
        "--rebuild", action="store_true", help="make the tables to search in anew from the log"
    )
    parser.set_defaults(run=verify)


def verify(arguments: argparse.Namespace) -> int:
    """Run ``dense verify-log``; returns the exit code."""
    from dense.errors import InputError
    from dense.inspection.ledger import Ledger, export_lines, read_head, verify_file
    from dense.outputs import check_file, write_json, write_parts

    if arguments.export is not None:
        check_file(arguments.export, "--export")
    kept = arguments.keep_head
    if kept is not None and arguments.head is not None:
        raise InputError("--head and --keep-head both name a known head: give one")
    given = str(kept) if kept is not None and kept.exists() else arguments.head
    head = None if given is None else read_head(given)
    if arguments.file is not None:
        if arguments.export is not None or arguments.rebuild:
            raise InputError("--file is verified as it is: leave out --export and --rebuild")
        result = verify_file(arguments.file, head)
    else:
        database = registry.open_known(arguments).database
        ledger = Ledger(database)
        if arguments.rebuild:
            ledger.rebuild()
        result = ledger.verify(head)
        if result.ok and arguments.export is not None:
            write_parts(arguments.export, map(str.encode, export_lines(database)))
    common.save_json(arguments, result.to_json())
    if not result.ok:
        print(f"BROKEN at entry {result.broken_at}: {result.why}")
        print(f"{result.entries} entries before it are sound")
        return BROKEN
    if kept is not None:
        write_json(kept, result.to_json())
    print(f"sound: {result.entries} entries, head {result.head_hash}")
    return 0
