"""The catalogue of methods is whole: names are unique and every builder exists."""

import pytest

from dense.errors import InputError
from dense.methods.catalog import METHODS, find_method, methods
from dense.methods.method import Task
from tests.helpers import tiny_backbone


def test_names_are_unique():
    assert len({method.name for method in METHODS}) == len(METHODS)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_builder_exists(method):
    assert callable(method.builder())
    assert find_method(method.name, method.task) is method


@pytest.mark.parametrize("task", ["inspect", "reject"])
def test_learned_parts_are_read_or_refused(task: Task) -> None:
    for method in methods(task):
        with pytest.raises(InputError) as error:
            method.builder()(tiny_backbone(), ["nut"] if task == "reject" else "nut", weights="w")
        refused = f"{method.name} has no learned parts, so w would not be read" in str(error.value)
        assert refused is not (method.trained or method.optional_weights), method.name
