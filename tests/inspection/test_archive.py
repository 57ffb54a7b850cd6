"""Product files: what comes out goes in, and forged, cut or poisoned files do not."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dense.errors import InputError
from dense.inspection.archive import export_product, import_product
from dense.inspection.keys import Keys
from dense.inspection.product import Member
from dense.inspection.store.registry import Registry
from tests.inspection.products import record

Parts = dict[str, bytes]


@pytest.fixture
def here(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "here")
    bank, traits = registry.blobs.put(b"bank" * 99), registry.blobs.put(b"traits")
    product = record(blob=registry.blobs.put(b"picture"))
    product = replace(product, traits=traits, members=(Member((0,), bank),))
    registry.save(registry.create(product, "created"), product, "again")
    return registry


@pytest.fixture
def there(tmp_path: Path, here: Registry) -> Registry:
    """Another registry that trusts the first."""
    registry = Registry(tmp_path / "there")
    Keys(here.home / "keys").export_public(tmp_path / "here.pem")
    Keys(registry.home / "keys").trust(tmp_path / "here.pem")
    return registry


def test_what_goes_out_comes_in(tmp_path: Path, here: Registry, there: Registry) -> None:
    sent = export_product(here, "nut", tmp_path / "nut.dense")
    got = import_product(there, tmp_path / "nut.dense")
    assert got.product.to_json() == sent.product.to_json()
    assert (got.version, got.made_at) == (2, sent.made_at)
    for blob in sent.product.blobs:
        assert there.blobs.get(blob) == here.blobs.get(blob)
    with pytest.raises(InputError, match="there is a product 'nut' already"):
        import_product(there, tmp_path / "nut.dense")
    assert import_product(there, tmp_path / "nut.dense", name="nut2").product.name == "nut2"
    with pytest.raises(InputError, match="starts with a letter"):
        import_product(there, tmp_path / "nut.dense", name="a/b")


def test_equal_products_make_equal_files(tmp_path: Path, here: Registry) -> None:
    export_product(here, "nut", tmp_path / "1")
    export_product(here, "nut", tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_stranger_is_not_let_in(tmp_path: Path, here: Registry) -> None:
    export_product(here, "nut", tmp_path / "nut.dense")
    stranger = Registry(tmp_path / "stranger")
    with pytest.raises(InputError, match="does not trust"):
        import_product(stranger, tmp_path / "nut.dense")
    assert stranger.names() == [] and list(stranger.blobs) == []


def test_the_secret_is_its_owners_alone(here: Registry, tmp_path: Path) -> None:
    keys = Keys(here.home / "keys")
    keys.own()
    assert stat.S_IMODE((here.home / "keys" / "signing.pem").stat().st_mode) == 0o600
    first = keys.export_public(tmp_path / "a.pem")
    assert keys.export_public(tmp_path / "b.pem") == first  # made once
    assert b"PRIVATE" not in (tmp_path / "a.pem").read_bytes()


def test_bad_keys(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    (tmp_path / "x.pem").write_text("no key")
    with pytest.raises(InputError, match="is no public key"):
        keys.trust(tmp_path / "x.pem")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "signing.pem").write_text("no key")
    with pytest.raises(InputError, match="cannot read the signing key"):
        keys.own()


def changed(manifest: bytes, change: Callable[[dict], None]) -> bytes:
    content = json.loads(manifest)
    change(content)
    return json.dumps(content).encode()


def forged_threshold(parts: Parts) -> None:
    parts["manifest.json"] = changed(
        parts["manifest.json"], lambda content: content["product"].update(words="other")
    )


def other_blob(parts: Parts) -> None:
    name = next(part for part in parts if part.startswith("blobs/"))
    parts[name] = b"x" * len(parts[name])


def shorter_blob(parts: Parts) -> None:
    name = next(part for part in parts if part.startswith("blobs/"))
    parts[name] = parts[name][:-1]


def longer_blob(parts: Parts) -> None:
    name = next(part for part in parts if part.startswith("blobs/"))
    parts[name] += b"x"


def missing_blob(parts: Parts) -> None:
    parts.pop(next(part for part in parts if part.startswith("blobs/")))


def no_signature(parts: Parts) -> None:
    parts["signature.json"] = b"{}"


def missing_signature(parts: Parts) -> None:
    parts.pop("signature.json")


def traversal(parts: Parts) -> None:
    parts["../../evil"] = b"x"


def absolute(parts: Parts) -> None:
    parts["/tmp/evil"] = b"x"


def other_algorithm(parts: Parts) -> None:
    parts["signature.json"] = changed(
        parts["signature.json"], lambda content: content.update(algorithm="none")
    )


@pytest.mark.parametrize(
    ("poison", "match"),
    [
        (forged_threshold, "signature does not fit"),
        (other_blob, "is not its own"),
        (shorter_blob, "is not its own"),
        (longer_blob, "larger than it may be"),
        (missing_blob, "lacks listed ones"),
        (no_signature, "no readable signature"),
        (missing_signature, "it has no signature.json"),
        (traversal, "does not list"),
        (absolute, "does not list"),
        (other_algorithm, "does not trust"),
    ],
)
def test_poisoned_files(
    tmp_path: Path,
    here: Registry,
    there: Registry,
    poison: Callable[[Parts], None],
    match: str,
) -> None:
    export_product(here, "nut", tmp_path / "nut.dense")
    with zipfile.ZipFile(tmp_path / "nut.dense") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    poison(parts)
    with zipfile.ZipFile(tmp_path / "bad.dense", "w") as file:
        for name, data in parts.items():
            file.writestr(name, data)
    with pytest.raises(InputError, match=match):
        import_product(there, tmp_path / "bad.dense")
    assert there.names() == []
    assert not (tmp_path / "evil").exists() and not Path("/tmp/evil").exists()


def test_bombs_and_doubles(tmp_path: Path, there: Registry) -> None:
    bomb = tmp_path / "bomb.dense"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.json", b"0" * 50_000_000)
    with pytest.raises(InputError, match="unfolds to more than it holds"):
        import_product(there, bomb)
    with zipfile.ZipFile(bomb, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("manifest.json", b"0")
        file.writestr("manifest.json", b"1")
    with pytest.raises(InputError, match="two of one name"):
        import_product(there, bomb)


def test_cut_files_at_any_place(tmp_path: Path, here: Registry, there: Registry) -> None:
    export_product(here, "nut", tmp_path / "nut.dense")
    whole = (tmp_path / "nut.dense").read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "cut.dense").write_bytes(whole[:length])
        with pytest.raises(InputError, match="no product file"):
            import_product(there, tmp_path / "cut.dense")
    assert there.names() == []


def test_flipped_bytes_are_refused_or_harmless(
    tmp_path: Path, here: Registry, there: Registry
) -> None:
    """Whatever byte is changed: one clear refusal, or (dates, modes) exactly the same product."""
    sent = export_product(here, "nut", tmp_path / "nut.dense")
    whole = (tmp_path / "nut.dense").read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        data = bytearray(whole)
        data[place] ^= 0x5A
        (tmp_path / "bad.dense").write_bytes(bytes(data))
        try:
            got = import_product(there, tmp_path / "bad.dense")
        except InputError:
            continue
        assert got.product.to_json() == sent.product.to_json()
        there.delete("nut")


def test_other_files(tmp_path: Path, here: Registry, there: Registry) -> None:
    with pytest.raises(InputError, match="no product file"):
        import_product(there, tmp_path / "gone")
    (tmp_path / "text").write_text("text")
    with pytest.raises(InputError, match="does not begin as one"):
        import_product(there, tmp_path / "text")
    export_product(here, "nut", tmp_path / "nut.dense")
    polyglot = b"#!/bin/sh\n" + (tmp_path / "nut.dense").read_bytes()
    (tmp_path / "polyglot").write_bytes(polyglot)
    with pytest.raises(InputError, match="does not begin as one"):
        import_product(there, tmp_path / "polyglot")
    assert zipfile.is_zipfile(io.BytesIO(polyglot))
