"""`dense serve-key`: who may use the service."""

from __future__ import annotations

import argparse

from dense.cli import common, registry

_ROLES = ("operator", "engineer", "auditor")


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve-key",
        help="make, list and revoke keys of the service",
        description="Keys of `dense serve`. An operator inspects and gives feedback, an engineer "
        "does that and changes products, an auditor reads everything and changes nothing.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    registry.add_options(shared)
    add = actions.add_parser("add", help="make a key and print it, once", parents=[shared])
    add.add_argument("name", metavar="NAME", help="of the person or system")
    add.add_argument("--role", required=True, choices=_ROLES)
    add.set_defaults(run=add_key)
    actions.add_parser("list", help="list keys", parents=[shared]).set_defaults(run=list_keys)
    revoke = actions.add_parser("revoke", help="end a key", parents=[shared])
    revoke.add_argument("id", metavar="ID", help="of `dense serve-key list`")
    revoke.set_defaults(run=revoke_key)


def add_key(arguments: argparse.Namespace) -> None:
    """Run ``dense serve-key add``."""
    from dense.service.keys import KeyStore, Role

    keys = KeyStore(registry.open_registry(arguments).database)
    text, who = keys.add(arguments.name, Role(arguments.role))
    common.save_json(arguments, {"id": who.key_id, "name": who.name, "role": who.role.value})
    print(text)


def list_keys(arguments: argparse.Namespace) -> None:
    """Run ``dense serve-key list``."""
    from dense.service.keys import KeyStore

    keys = KeyStore(registry.open_known(arguments).database).list()
    rows = [[key.id, key.name, key.role.value, key.made_at, key.revoked_at or ""] for key in keys]
    header = ["id", "name", "role", "made at", "revoked at"]
    names = [name.replace(" ", "_") for name in header]
    common.save_json(arguments, {"keys": [dict(zip(names, row, strict=True)) for row in rows]})
    common.print_table(header, rows)


def revoke_key(arguments: argparse.Namespace) -> None:
    """Run ``dense serve-key revoke``."""
    from dense.service.keys import KeyStore

    who = KeyStore(registry.open_known(arguments).database).revoke(arguments.id)
    common.save_json(arguments, {"id": who.key_id, "name": who.name, "role": who.role.value})
    print(f"key {who.key_id} of {who.name} is revoked; running services forget it in seconds")
