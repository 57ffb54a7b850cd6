"""One running service for the tests that leave no traces that others would mind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi", reason="the extra 'service' is not installed")
pytest.importorskip("multipart", reason="the extra 'service' is not installed")
pytest.importorskip("prometheus_client", reason="the extra 'service' is not installed")

from tests.inspection.conftest import registry, server
from tests.service.made import Service, running

__all__ = ["registry", "server", "service"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("home")) as made:
        yield made
