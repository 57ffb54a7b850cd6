"""Keys that sign product files: Ed25519 (RFC 8032), made and trusted by commands.

``keys/signing.pem`` is this registry's own secret, readable by its owner alone;
``keys/trusted/FINGERPRINT.pem`` are public keys of registries whose products may come in.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from dense.errors import InputError
from dense.outputs import write_bytes

LARGEST = 4096
"""Bytes of a key file that are read."""


class Keys:
    """The keys of a registry.

    Args:
        root: Their folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def own(self) -> Ed25519PrivateKey:
        """The registry's secret, made when it is first needed.

        Raises:
            InputError: If it cannot be read or written.
        """
        place = self.root / "signing.pem"
        if not place.exists():
            self._make(place)
        try:
            key = load_pem_private_key(place.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InputError(f"cannot read the signing key {place}: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError(f"the signing key {place} is no Ed25519 key")
        return key

    def export_public(self, path: str | Path) -> str:
        """Write the registry's public key for others to trust; returns its fingerprint."""
        public = self.own().public_key()
        write_bytes(path, _pem(public))
        return fingerprint(public)

    def trust(self, path: str | Path) -> str:
        """Let in what the owner of a public key signs; returns its fingerprint.

        Raises:
            InputError: If the file is no Ed25519 public key.
        """
        public = read_public(path)
        name = fingerprint(public)
        write_bytes(self.root / "trusted" / f"{name}.pem", _pem(public))
        return name

    def trusted(self) -> dict[str, Ed25519PublicKey]:
        """Public keys by fingerprint, the registry's own among them if it exists."""
        files = sorted((self.root / "trusted").glob("*.pem"))
        keys = [read_public(path) for path in files]
        if (self.root / "signing.pem").exists():
            keys.append(self.own().public_key())
        return {fingerprint(key): key for key in keys}

    def _make(self, place: Path) -> None:
        secret = Ed25519PrivateKey.generate()
        data = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(prefix=".signing.", dir=self.root)
            try:  # readable by the owner alone from the first byte on
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                with contextlib.suppress(FileExistsError):  # a faster process made its key
                    os.link(temporary, place)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"cannot write {place}: {error.strerror or error}") from error


def verify(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether the owner of a key signed the data."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def fingerprint(key: Ed25519PublicKey) -> str:
    """32 hexadecimal letters: SHA-256 of the raw public key, cut."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:32]


def read_public(path: str | Path) -> Ed25519PublicKey:
    """Read a public key file (PEM).

    Raises:
        InputError: If it is none.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            key = load_pem_public_key(stream.read(LARGEST))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} is no public key of dense product key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path} is no Ed25519 public key")
    return key


def _pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
