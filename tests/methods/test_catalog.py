"""The catalogue of methods is whole: names are unique and every builder exists."""

import pytest

from dense.methods.catalog import METHODS, find_method


def test_names_are_unique():
    assert len({method.name for method in METHODS}) == len(METHODS)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_builder_exists(method):
    assert callable(method.builder())
    assert find_method(method.name, method.task) is method
