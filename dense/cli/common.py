"""Options and small services that several commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dense.errors import InputError, unknown_name

if TYPE_CHECKING:
    from dense.apps import ModelOptions

Item = TypeVar("Item")
Subparsers = argparse._SubParsersAction


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add --model, --pretrained, --device and --precision."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="embedded",
        metavar="NAME|FILE",
        help="packaged model, open_clip architecture, hub id or checkpoint (default: embedded)",
    )
    group.add_argument(
        "--pretrained", metavar="TAG|FILE", help="weights of an open_clip architecture"
    )
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default: auto)"
    )
    group.add_argument(
        "--precision", default="fp32", choices=["fp32", "bf16", "fp16"], help="(default: fp32)"
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the results as JSON here"
    )


def add_class_options(parser: argparse.ArgumentParser) -> None:
    """Add --classes and --classes-file."""
    parser.add_argument(
        "--classes",
        nargs="+",
        default=[],
        metavar="WORDS",
        help='classes; synonyms after semicolons, e.g. "sofa; couch"',
    )
    parser.add_argument(
        "--classes-file", type=Path, metavar="FILE", help="more classes, one a line (UTF-8)"
    )


def read_classes(arguments: argparse.Namespace) -> list[str]:
    """Classes of `add_class_options`, checked.

    Raises:
        InputError: If there is none, one is blank or named twice, or is background, too.
    """
    from dense.prompts import make_class_list

    classes = list(arguments.classes)
    if arguments.classes_file is not None:
        classes += read_words(arguments.classes_file)
    known = make_class_list(classes)
    named = {word.casefold() for phrases in known.phrases for word in phrases}
    for word in arguments.background or ():
        if word.strip().casefold() in named:
            raise InputError(
                f"{word.strip()!r} is named as a class and as background: leave it out of one"
            )
    return classes


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add --data-root, --json and --cfg-options."""
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="the data set")
    add_json_option(parser)
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="replace entries of the config, e.g. model.method.short_side=336",
    )


def check_run(arguments: argparse.Namespace) -> None:
    """Refuse a config or data that are not there, before the Runner is imported.

    Raises:
        InputError: If there is no such file, with the nearest that is, or no such folder.
    """
    _check_config(arguments.config)
    check_directory(arguments.data_root, "--data-root")


def _check_config(path: Path) -> None:
    if path.is_file() and path.suffix == ".py":
        return
    if path.is_file():
        raise InputError(f"a config is a Python file, got {path}")
    near = sorted(str(file) for file in Path("configs").rglob("*.py") if "_base_" not in file.parts)
    if near:
        raise unknown_name("config", str(path), near)
    raise InputError(f"no such config: {path}")


def check_directory(path: Path | None, option: str) -> None:
    """Refuse a folder that is not there.

    Raises:
        InputError: If `path` is given and is not a folder.
    """
    if path is not None and not path.is_dir():
        raise InputError(f"{option} is not a folder: {path}")


def model_options(arguments: argparse.Namespace) -> ModelOptions:
    """Turn the parsed options into `ModelOptions`."""
    from dense.apps import ModelOptions

    return ModelOptions(
        arguments.model, arguments.pretrained, arguments.device, arguments.precision
    )


def save_json(arguments: argparse.Namespace, content: Mapping[str, object]) -> None:
    """Write what --json asks for, if it does."""
    if arguments.json is not None:
        from dense.outputs import write_json

        write_json(arguments.json, content)


def check_places(arguments: argparse.Namespace) -> None:
    """Refuse, before the work starts, files that could not be written after it.

    Raises:
        InputError: If one of the options that name a file names such a place.
    """
    named = {
        name: getattr(arguments, name, None) for name in ("json", "markdown", "save_proposals")
    }
    for name, path in named.items():
        if path is not None:
            from dense.outputs import check_file

            check_file(path, "--" + name.replace("_", "-"))


def read_pairs(entries: Sequence[str] | None, option: str) -> dict[str, str]:
    """Split entries KEY=VALUE.

    Raises:
        InputError: If one has another form, or a key comes twice.
    """
    pairs: dict[str, str] = {}
    for entry in entries or ():
        key, mark, value = entry.partition("=")
        if not (key and mark and value.strip()):
            raise InputError(f"{option} expects pairs with an equals sign, got {entry!r}")
        if key in pairs:
            raise InputError(f"{option} names {key} twice: {pairs[key]!r} and {value.strip()!r}")
        pairs[key] = value.strip()
    return pairs


def read_words(source: Path) -> list[str]:
    """Read one entry a line; blank lines and lines starting with ``#`` do not count.

    Raises:
        InputError: If the file is missing or not UTF-8 text.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"no such file: {source}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {source} as UTF-8 text, one class a line") from error
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def track(items: Iterable[Item], total: int | None, label: str) -> Iterable[Item]:
    """Show progress on stderr where somebody watches and there is more than one item."""
    if total == 1 or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as rich_track

    return rich_track(items, label, total=total, console=Console(stderr=True), transient=True)


def print_table(header: list[str], rows: list[list[str]], *, title: str | None = None) -> None:
    """Print a table on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", header_style="bold", show_edge=False, pad_edge=False
    )
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 120
    Console(width=width, markup=False, highlight=False).print(table)
