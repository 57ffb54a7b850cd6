"""Entry point of `dense`: parses, dispatches, and turns errors that users can mend into one line.

Exit codes: 0 done (also when some, but not all, images of a folder had to be skipped), 1 what
was to be verified is broken, 2 wrong input or options, 130 interrupted. Everything else is a bug
and shows its traceback.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from dense import __version__
from dense.cli import (
    benchmark,
    classify,
    common,
    compare,
    demo,
    detect,
    evaluate,
    explain,
    ground,
    inspect,
    inspect_batch,
    methods,
    models,
    product,
    reject,
    segment,
    serve,
    serve_key,
    train,
    verify_log,
    watch,
)
from dense.errors import DenseError, unknown_name

COMMANDS = (
    segment,
    detect,
    classify,
    ground,
    inspect,
    explain,
    reject,
    product,
    watch,
    inspect_batch,
    serve,
    serve_key,
    verify_log,
    evaluate,
    compare,
    train,
    methods,
    models,
    benchmark,
    demo,
)
_CHOICE = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line and name the nearest choices."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one sentence."""
        choice = _CHOICE.search(message)
        if choice is not None:
            known = [name.strip(" '\"") for name in choice.group(2).split(",")]
            kind = "command" if "COMMAND" in message else "choice"
            message = str(unknown_name(kind, choice.group(1), known))
        self.exit(2, f"{self.prog}: error: {_one_line(message)} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = Parser(
        prog="dense",
        description="Segment photos and find objects by words, find defects: on CLIP patches.",
        epilog='Start with: dense segment photo.jpg --classes "cat" "wooden table"',
    )
    parser.add_argument("--version", action="version", version=f"dense {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    _quieten()
    try:
        common.check_places(arguments)
        code = arguments.run(arguments)
    except DenseError as error:
        print(f"dense: error: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dense: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return 0
    return code or 0


def _quieten() -> None:
    """Let our own warnings through as one line each, no chatter of libraries, any letters."""
    warnings.filterwarnings("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("dense: warning: %(message)s"))
    logger = logging.getLogger("dense")
    logger.handlers = [handler]
    logger.setLevel(logging.WARNING)
    logger.propagate = False


def _one_line(message: str) -> str:
    return " ".join(message.split())


if __name__ == "__main__":
    sys.exit(main())
