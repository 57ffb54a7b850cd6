"""The digest sees code, that of imported modules too, and nothing else."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from dense.evaluation import code_digest as module
from dense.evaluation.code_digest import code_digest

OUTER = '"""Doc."""\nfrom made_numbers import inner\n\ndef go():\n    return inner.value()\n'
INNER = "def value():\n    return 1\n"


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "made_numbers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, "NUMBERS", ("made_numbers",))

    def of(outer: str, inner: str) -> str:
        (package / "outer.py").write_text(outer)
        (package / "inner.py").write_text(inner)
        for name in [name for name in sys.modules if name.startswith("made_numbers")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        code_digest.cache_clear()
        return code_digest("made_numbers.outer")

    yield of
    code_digest.cache_clear()


def test_comments_and_docstrings_do_not_count(digest) -> None:
    commented = OUTER.replace("Doc.", "Other words.").replace("    return", "    # why\n    return")
    assert digest(OUTER, INNER) == digest(commented, INNER + "\n\n# end\n")


def test_code_counts_wherever_it_is(digest) -> None:
    found = {
        digest(OUTER, INNER),
        digest(OUTER.replace("value()", "value() + 1"), INNER),
        digest(OUTER, INNER.replace("1", "2")),
    }
    assert len(found) == 3


def test_every_inspection_method_has_one_and_the_catalogue_is_not_in_it() -> None:
    from dense.methods.catalog import methods

    builders = {method.build.partition(":")[0] for method in methods("inspect")}
    assert len({code_digest(builder) for builder in builders}) == len(builders)
    assert not module._matters("dense.methods.catalog")
    assert module._matters("dense.methods.anomaly.base") and not module._matters("dense.images")
