"""The benchmark section ``line``, quick and without Ray, which takes long to start."""

from __future__ import annotations

from dense.benchmark import line


def test_outbox_and_memory(monkeypatch):
    monkeypatch.setattr(line, "_ray", lambda _: None)
    outbox, memory, _ = line.measure_line(quick=True)
    assert outbox.bar is None and 0.2 < outbox.ratio < 50 and "decisions/s" in outbox.note
    assert memory.passed and "500 pictures" in memory.name


def test_ray_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(line.importlib.util, "find_spec", lambda _: None)
    assert line._ray(True).note == "ray is not installed"
