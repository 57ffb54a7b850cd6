"""The list of files of a batch, cut into parts: made once, kept beside the results."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import cached_property

from dense.errors import InputError
from dense.inspection.batch.store import Store

PLAN, FILES = "plan.json", "files.txt.gz"


@dataclass(frozen=True)
class Plan:
    """Which files are in which part.

    Attributes:
        product: Name of the product.
        version: Its version; a batch that goes on must have the same.
        source: Where the files are.
        part_size: Files a part.
        names: All files, below the source.
    """

    product: str
    version: int
    source: str
    part_size: int
    names: tuple[str, ...]

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-len(self.names) // self.part_size)

    def part(self, number: int) -> tuple[str, ...]:
        """Files of a part, counted from 0."""
        return self.names[number * self.part_size : (number + 1) * self.part_size]

    def result(self, number: int) -> str:
        """Name of the results of a part."""
        return f"part-{number:06d}.jsonl"

    def receipt(self, number: int) -> str:
        """Name of what says that a part is finished, written after its results."""
        return f"part-{number:06d}.done.json"

    @cached_property
    def _listing(self) -> bytes:
        return "".join(f"{json.dumps(name)}\n" for name in self.names).encode()

    def save(self, out: Store) -> None:
        """Write the plan; it counts from the moment its last file is there."""
        out.write(FILES, gzip.compress(self._listing, 6, mtime=0))
        head = {
            "product": self.product,
            "version": self.version,
            "source": self.source,
            "part_size": self.part_size,
            "files": len(self.names),
            "sha256": hashlib.sha256(self._listing).hexdigest(),
        }
        out.write(PLAN, json.dumps(head, indent=2).encode() + b"\n")


def open_plan(
    out: Store, source: str, product: str, version: int, *, part_size: int = 256
) -> tuple[Plan, bool]:
    """Go on with the plan in `out`, or list the source and make one.

    Args:
        out: Where the results go.
        source: A folder or an fsspec address.
        product: Name of the product.
        version: Its version.
        part_size: Files a part, of a new plan.

    Returns:
        The plan, and whether it was there.

    Raises:
        InputError: If the plan in `out` is for something else or damaged, there are other files in
            `out`, or the source has no pictures.
    """
    if part_size < 1:
        raise InputError(f"a part has at least one file, got {part_size}")
    files, head = Store(source), out.read(PLAN)
    if head is not None:
        return _resume(out, head, files.place, product, version), True
    if any(name.startswith("part-") for name in out.names()):
        raise InputError(f"{out.place} has results without their plan: give another --out")
    plan = Plan(product, version, files.place, part_size, tuple(files.pictures()))
    plan.save(out)
    return plan, False


def _resume(out: Store, head: bytes, source: str, product: str, version: int) -> Plan:
    try:
        kept = json.loads(head)
        listing = gzip.decompress(out.read(FILES) or b"")
        names = tuple(json.loads(line) for line in listing.splitlines())
        plan = Plan(
            str(kept["product"]),
            int(kept["version"]),
            str(kept["source"]),
            int(kept["part_size"]),
            names,
        )
        whole = hashlib.sha256(listing).hexdigest() == kept["sha256"]
    except (ValueError, KeyError, TypeError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"the plan in {out.place} is damaged: give another --out") from error
    if not whole or plan.part_size < 1:
        raise InputError(f"the plan in {out.place} is damaged: give another --out")
    wanted = {"product": product, "version": version, "source": source}
    for key, value in wanted.items():
        if getattr(plan, key) != value:
            raise InputError(
                f"{out.place} holds results of the {key} {getattr(plan, key)!r}, not {value!r}: "
                "give another --out"
            )
    return plan
