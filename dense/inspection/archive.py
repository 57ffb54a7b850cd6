"""One product as one signed file, and back.

A ZIP, nothing in it compressed: ``manifest.json`` (the product, SHA-256 and size of every part),
``signature.json`` (the signer's fingerprint, Ed25519 over the manifest's bytes), and one
``blobs/SHA256`` a file. Nothing of it is believed before the signature of a trusted key holds, and
nothing is written to disk under a name that the file chose.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

from dense.errors import InputError
from dense.inspection.keys import Keys, fingerprint, verify
from dense.inspection.plain import digest, read_sha256
from dense.inspection.product import Product, check_name
from dense.inspection.store.registry import Record, Registry
from dense.outputs import write_bytes

FORMAT = 1
MANIFEST, SIGNATURE, BLOBS = "manifest.json", "signature.json", "blobs/"
LARGEST_NOTE = 64 << 20
"""Bytes of a manifest: masks and calibration scores."""
LARGEST = 8 << 30
"""Bytes of a product file."""
MOST_PARTS = 10_000
_START = b"PK\x03\x04"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def export_product(registry: Registry, name: str, path: str | Path) -> Record:
    """Write the version of a product that is in use as one signed file.

    Raises:
        InputError: If there is no such product, one of its files is damaged, or the place cannot
            be written.
    """
    record = registry.get(name)
    secret = Keys(registry.home / "keys").own()
    parts = {sha256: registry.blobs.get(sha256) for sha256 in sorted(record.product.blobs)}
    manifest = digest(
        {
            "format": FORMAT,
            "version": record.version,
            "made_at": record.made_at,
            "product": record.product.to_json(),
            "parts": {sha256: len(data) for sha256, data in parts.items()},
        }
    )
    signature = {
        "algorithm": "ed25519",
        "signer": fingerprint(secret.public_key()),
        "signature": base64.b64encode(secret.sign(manifest)).decode(),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as file:
        _add(file, MANIFEST, manifest)
        _add(file, SIGNATURE, digest(signature))
        for sha256, data in parts.items():
            _add(file, BLOBS + sha256, data)
    write_bytes(path, stream.getvalue())
    return record


def import_product(registry: Registry, path: str | Path, *, name: str | None = None) -> Record:
    """Take a product file in, if a trusted key signed it.

    Args:
        registry: Where it goes.
        path: The file.
        name: Another name than its own; its decisions then have other ids.

    Raises:
        InputError: If it is no product file, forged, cut short, of a signer who is not trusted,
            or the name is taken.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream, _open(stream, path) as file:
            manifest = _verified(file, path, Keys(registry.home / "keys"))
            product, parts = _read_manifest(manifest, path)
            _check_names(file, path, parts)
            for sha256, size in parts.items():
                data = _read(file, path, BLOBS + sha256, size)
                if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
                    raise InputError(f"{path} is forged or damaged: part {sha256} is not its own")
                registry.blobs.put(data)
    except (OSError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise InputError(f"{path} is no product file, or is cut short: {error}") from error
    if name is not None:
        product = replace(product, name=check_name(name))
    note = f"imported from {path.name}"
    return registry.create(
        product, note, version=_version(manifest), made_at=str(manifest.get("made_at"))[:40]
    )


def _open(stream: IO[bytes], path: Path) -> zipfile.ZipFile:
    """The ZIP, if its directory promises no more than the file holds.

    Uncompressed parts that do not overlap are together smaller than their file; so nothing can
    unfold to more than was brought.
    """
    if stream.read(len(_START)) != _START:
        raise InputError(f"{path} is no product file: it does not begin as one")
    size = stream.seek(0, io.SEEK_END)
    if size > LARGEST:
        raise InputError(f"{path} has {size / 1e9:.1f} GB, more than the {LARGEST / 1e9:.1f} read")
    file = zipfile.ZipFile(stream)
    entries = file.infolist()
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > size:
        raise InputError(f"{path} unfolds to more than it holds, as no product file does: refused")
    if len(entries) > MOST_PARTS or len({entry.filename for entry in entries}) != len(entries):
        raise InputError(f"{path} has too many parts, or two of one name: refused")
    return file


def _verified(file: zipfile.ZipFile, path: Path, keys: Keys) -> Mapping[str, object]:
    """The manifest, if a trusted key signed it."""
    manifest = _read(file, path, MANIFEST, LARGEST_NOTE)
    signed = _read(file, path, SIGNATURE, 4096)
    try:
        note = json.loads(signed)
        signer, signature = str(note["signer"]), base64.b64decode(note["signature"], validate=True)
        algorithm = note["algorithm"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} has no readable signature: refused") from error
    trusted = keys.trusted()
    if algorithm != "ed25519" or signer not in trusted:
        raise InputError(
            f"{path} is signed by {signer[:32]!r}, whom this registry does not trust: if you do, "
            "get the signer's public key and run dense product trust KEY.pem"
        )
    if not verify(trusted[signer], signature, manifest):
        raise InputError(f"{path} is forged or damaged: its signature does not fit its content")
    try:
        content = json.loads(manifest)
    except ValueError as error:
        raise InputError(f"{path} has no readable manifest") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} has another format than {FORMAT}: update the package")
    return content


def _read_manifest(content: Mapping[str, object], path: Path) -> tuple[Product, dict[str, int]]:
    record, parts = content.get("product"), content.get("parts")
    if not isinstance(record, dict) or not isinstance(parts, dict):
        raise InputError(f"{path} has no readable manifest")
    product = Product.from_json(record)
    sizes = {read_sha256(name): size for name, size in parts.items()}
    if set(sizes) != product.blobs or not all(type(size) is int for size in sizes.values()):
        raise InputError(f"{path} lists other parts than its product needs: refused")
    return product, sizes


def _check_names(file: zipfile.ZipFile, path: Path, parts: Mapping[str, int]) -> None:
    expected = {MANIFEST, SIGNATURE, *(BLOBS + sha256 for sha256 in parts)}
    strange = sorted(set(file.namelist()) ^ expected)
    if strange:
        raise InputError(
            f"{path} has parts that it does not list, or lacks listed ones: {strange[0][:80]!r}"
        )


def _read(file: zipfile.ZipFile, path: Path, name: str, largest: int) -> bytes:
    try:
        with file.open(name) as part:
            data = part.read(largest + 1)
    except KeyError as error:
        raise InputError(f"{path} is no product file: it has no {name}") from error
    if len(data) > largest:
        raise InputError(f"{path} is forged or damaged: {name} is larger than it may be")
    return data


def _version(content: Mapping[str, object]) -> int:
    version = content.get("version")
    if type(version) is not int or not 1 <= version < 1 << 31:
        raise InputError(f"a version is a whole number from 1, got {str(version)[:20]!r}")
    return version


def _add(file: zipfile.ZipFile, name: str, data: bytes) -> None:
    """A part with a fixed date, so that equal products make equal files."""
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.external_attr = 0o644 << 16
    file.writestr(entry, data)
