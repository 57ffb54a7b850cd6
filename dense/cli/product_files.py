"""The commands of `dense product` that need no model: list, undo, export, keys, drift, report."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common
from dense.cli.registry import open_registry

if TYPE_CHECKING:
    from dense.inspection.store.registry import Record

Run = Callable[[argparse.Namespace], None]
Add = Callable[[str, str], argparse.ArgumentParser]
Named = Callable[[argparse.ArgumentParser, Run], argparse.ArgumentParser]


def add(add_action: Add, named: Named) -> None:
    """Add the commands.

    Args:
        add_action: Adds one by name and help.
        named: Gives one the name of a product, and what it runs.
    """
    add_action("list", "list products").set_defaults(run=list_products)
    named(add_action("show", "show a product and its versions"), show_product)
    named(add_action("undo", "go back to the version before"), undo_product)
    named(add_action("delete", "forget a product"), delete_product)
    export = named(add_action("export", "write a product as one signed file"), export_one)
    take = add_action("import", "take in a product file that a trusted key signed")
    key = add_action("key", "write this registry's public key")
    trust = add_action("trust", "let in what the owner of a public key signs")
    drift = named(add_action("drift", "are parts still like those of the calibration?"), tell_drift)
    drift.add_argument(
        "--alpha", type=float, metavar="RATE", help="of false alarms in the version's life (0.01)"
    )
    report = named(add_action("report", "write the report for an auditor"), write_audit)
    report.add_argument("--out", type=Path, required=True, metavar="FILE", help="page (HTML)")
    report.add_argument("--pdf", type=Path, metavar="FILE", help="the same as PDF")
    for parser in (export, take, key, trust):
        parser.add_argument("file", type=Path, metavar="FILE")
    take.add_argument("--as", dest="name", metavar="NAME", help="another name than its own")
    for parser, run in ((take, import_one), (key, write_key), (trust, trust_key)):
        parser.set_defaults(run=run)
    add_action("collect", "remove files that no product uses").set_defaults(run=collect_files)


def list_products(arguments: argparse.Namespace) -> None:
    """Run ``dense product list``."""
    registry = open_registry(arguments)
    records = [registry.get(name) for name in registry.names()]
    common.save_json(arguments, {"products": [_summary(record) for record in records]})
    if not records:
        print(f"no products in {registry.home}: dense product create NAME --support DIR")
        return
    rows = [[str(value) for value in _summary(record).values()] for record in records]
    common.print_table(list(_summary(records[0])), rows)


def show_product(arguments: argparse.Namespace) -> None:
    """Run ``dense product show``."""
    from dense.inspection.calibration import guarantee

    registry = open_registry(arguments)
    record, history = registry.get(arguments.name), registry.history(arguments.name)
    product, known = record.product, record.product.calibration
    promise = None if known is None else guarantee(known)
    common.save_json(
        arguments,
        {
            **record.to_json(),
            "guarantee": None if promise is None else promise.to_json(),
            "versions": [
                {key: value for key, value in one.to_json().items() if key != "product"}
                for one in history
            ],
        },
    )
    facts = [
        ["words", product.words],
        ["look for", ", ".join(product.state_words.look_for)],
        ["ignore", ", ".join(product.state_words.ignore)],
        ["method, model", f"{product.method}, {product.model}"],
        ["support", ", ".join(picture.name for picture in product.support)],
        ["regions", ", ".join(name for name in product.view.names if name)],
        [
            "millimetres a pixel",
            "" if product.mm_per_pixel is None else f"{product.mm_per_pixel:g}",
        ],
        ["guarantee", "none" if promise is None else promise.text],
    ]
    common.print_table([product.name, ""], [fact for fact in facts if fact[1]])
    rows = [
        ["* " if one.version == record.version else "  ", str(one.version), one.made_at, one.note]
        for one in history
    ]
    common.print_table(["", "version", "made at", "what was done"], rows)


def undo_product(arguments: argparse.Namespace) -> None:
    """Run ``dense product undo``."""
    record = open_registry(arguments).undo(arguments.name)
    common.save_json(arguments, record.to_json())
    print(f"product {arguments.name!r} is back at version {record.version}: {record.note}")


def delete_product(arguments: argparse.Namespace) -> None:
    """Run ``dense product delete``."""
    registry = open_registry(arguments)
    registry.delete(arguments.name)
    freed = registry.collect()
    common.save_json(arguments, {"deleted": arguments.name, "freed_bytes": freed})
    print(f"product {arguments.name!r} deleted, {freed / 1e6:.1f} MB freed")


def _summary(record: Record) -> dict[str, object]:
    product, known = record.product, record.product.calibration
    by_hand = known is not None and known.alpha is None
    return {
        "name": product.name,
        "version": record.version,
        "words": product.words,
        "method": product.method,
        "support": len(product.support),
        "calibration": "none" if known is None else "manual" if by_hand else known.method,
        "alpha": None if known is None else known.alpha,
    }


def export_one(arguments: argparse.Namespace) -> None:
    """Run ``dense product export``."""
    from dense.inspection.archive import export_product

    record = export_product(open_registry(arguments), arguments.name, arguments.file)
    common.save_json(arguments, record.to_json())
    print(f"version {record.version} of {arguments.name!r} signed into {arguments.file}")


def import_one(arguments: argparse.Namespace) -> None:
    """Run ``dense product import``."""
    from dense.inspection.archive import import_product

    record = import_product(open_registry(arguments), arguments.file, name=arguments.name)
    common.save_json(arguments, record.to_json())
    print(f"product {record.product.name!r}, version {record.version}, is in")


def tell_drift(arguments: argparse.Namespace) -> None:
    """Run ``dense product drift``."""
    registry = open_registry(arguments)
    record = registry.get(arguments.name)

    from dense.inspection.drift import drift_report, log_report
    from dense.inspection.drift.report import ALPHA
    from dense.inspection.ledger import Ledger

    ledger = Ledger(registry.database)
    alpha = ALPHA if arguments.alpha is None else arguments.alpha
    report = drift_report(record, ledger, alpha=alpha)
    if arguments.alpha is None:  # other rates are tried out
        log_report(ledger, report)
    common.save_json(arguments, report.to_json())
    rows = [
        [
            test.name,
            f"{test.evidence:.3g}",
            f"{test.highest:.3g}",
            f"{test.limit:g}",
            f"ALARM at entry {test.alarm_at}" if test.alarm else "",
        ]
        for test in report.tests
    ]
    common.print_table(["test", "evidence", "highest", "alarm at", ""], rows)
    print(report.advice)


def write_audit(arguments: argparse.Namespace) -> None:
    """Run ``dense product report``."""
    from dense.outputs import check_file, write_bytes, write_text

    for path, option in ((arguments.out, "--out"), (arguments.pdf, "--pdf")):
        if path is not None:
            check_file(path, option)
    registry = open_registry(arguments)
    registry.get(arguments.name)

    from dense.inspection.audit_report import audit_report

    report = audit_report(registry, arguments.name)
    if arguments.pdf is not None:
        write_bytes(arguments.pdf, report.pdf)
    write_text(arguments.out, report.html)
    common.save_json(arguments, report.to_json())
    log = report.facts.log
    print(f"report in {arguments.out}" + (f" and {arguments.pdf}" if arguments.pdf else ""))
    print(f"log: {'sound' if log.ok else 'BROKEN'}, {log.entries} entries, head {log.head_hash}")


def write_key(arguments: argparse.Namespace) -> None:
    """Run ``dense product key``."""
    from dense.inspection.keys import Keys

    name = Keys(open_registry(arguments).home / "keys").export_public(arguments.file)
    common.save_json(arguments, {"fingerprint": name})
    print(f"public key {name} in {arguments.file}: dense product trust it elsewhere")


def trust_key(arguments: argparse.Namespace) -> None:
    """Run ``dense product trust``."""
    from dense.inspection.keys import Keys

    name = Keys(open_registry(arguments).home / "keys").trust(arguments.file)
    common.save_json(arguments, {"fingerprint": name})
    print(f"products signed by {name} are let in from now on")


def collect_files(arguments: argparse.Namespace) -> None:
    """Run ``dense product collect``."""
    freed = open_registry(arguments).collect()
    common.save_json(arguments, {"freed_bytes": freed})
    print(f"{freed / 1e6:.1f} MB freed")
