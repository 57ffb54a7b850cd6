"""Pack a checkpoint: int8 rows, maybe without what another packed checkpoint holds already.

python tools/export_checkpoint.py IN OUT.safetensors [--plain] [--base PACKED] [--note KEY=VALUE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write a CLIP checkpoint in small storage.")
    parser.add_argument("source", type=Path, help="a checkpoint that describes its architecture")
    parser.add_argument("out", type=Path, help="where to write, ends in .safetensors")
    parser.add_argument("--plain", action="store_true", help="fp32 that open_clip reads, not int8")
    parser.add_argument("--base", type=Path, help="packed checkpoint in the folder of OUT to share")
    parser.add_argument(
        "--note", nargs="+", default=[], metavar="KEY=VALUE", help="metadata, e.g. licence=..."
    )
    return parser.parse_args()


def main() -> int:
    """Run and return the exit code."""
    arguments = parse_arguments()
    from dense.backbones.export import save_checkpoint
    from dense.backbones.weights import read_checkpoint
    from dense.errors import DenseError, InputError

    try:
        checkpoint = read_checkpoint(arguments.source)
        if checkpoint.model_cfg is None:
            raise InputError(f"{arguments.source} does not describe its architecture")
        if arguments.plain and arguments.base:
            raise InputError("--base needs packed storage: leave --plain out")
        if arguments.base and arguments.base.resolve().parent != arguments.out.resolve().parent:
            raise InputError("the base must lie in the folder of the output")
        notes = {k: v for k, v in checkpoint.notes.items() if k not in ("base", "format")}
        for note in arguments.note:
            key, sign, value = note.partition("=")
            if not sign:
                raise InputError(f"cannot use the note {note!r}: expected KEY=VALUE")
            notes[key] = value
        save_checkpoint(
            arguments.out,
            checkpoint.state,
            checkpoint.model_cfg,
            preprocess_cfg=checkpoint.preprocess_cfg,
            notes=notes,
            packed=not arguments.plain,
            base=arguments.base,
        )
    except DenseError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
