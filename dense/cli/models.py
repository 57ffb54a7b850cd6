"""`dense models`: which checkpoints there are."""

from __future__ import annotations

import argparse

from dense.cli import card, common


def add_parser(commands: common.Subparsers) -> None:
    """Add the command with its actions."""
    parser = commands.add_parser(
        "models",
        help="list and describe checkpoints",
        description="List the packaged models and the open_clip checkpoints that can be named.",
    )
    common.add_json_option(parser)
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="all of them (the default)")
    listing.set_defaults(run=run_list)
    show = actions.add_parser("show", help="describe one: sizes, input, what the file says")
    show.add_argument("name", metavar="NAME|FILE")
    show.add_argument("--pretrained", metavar="TAG|FILE", help="weights of an architecture")
    show.set_defaults(run=run_show)
    card.add_parser(actions)
    for action in (listing, show):
        action.add_argument(
            "--json", metavar="FILE", default=argparse.SUPPRESS, help="also write as JSON here"
        )


def run_list(arguments: argparse.Namespace) -> None:
    """Print every checkpoint that `--model` understands."""
    from dataclasses import asdict

    from dense.backbones import available

    models = available()
    rows = [
        [info.name, info.pretrained or "", "packaged" if info.packaged else "hub"]
        for info in models
    ]
    common.print_table(["model", "pretrained", "where"], rows)
    common.save_json(arguments, {"command": "models", "models": [asdict(m) for m in models]})


def run_show(arguments: argparse.Namespace) -> None:
    """Load one checkpoint and print what it is."""
    from dataclasses import asdict

    from dense.backbones import load

    backbone = load(arguments.name, pretrained=arguments.pretrained)
    parameters = sum(weight.numel() for weight in backbone.parameters())
    facts: dict[str, object] = {
        "name": backbone.name,
        "parameters": parameters,
        "image_size": list(backbone.image_size),
        "patch_size": list(backbone.patch_size),
        "logit_scale": round(backbone.logit_scale, 4),
        "mean": list(backbone.preprocess.mean),
        "std": list(backbone.preprocess.std),
        "interpolation": backbone.preprocess.interpolation,
        "fingerprint": backbone.fingerprint,
        "recommended": str(asdict(backbone.recommended)),
    }
    common.print_table(["", "value"], [[key, str(value)] for key, value in facts.items()])
    common.save_json(arguments, {"command": "models show", **facts})
