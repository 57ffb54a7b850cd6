"""`dense methods`."""

import json


def test_list_one_and_unknown(dense, tmp_path):
    listed = dense("methods", "--task", "inspect", "--json", tmp_path / "m.json")
    assert listed.code == 0
    names = [m["name"] for m in json.loads((tmp_path / "m.json").read_text())["methods"]]
    assert {"winclip", "patch"} <= set(names)
    assert all(name in listed.out for name in names)
    segment = dense("methods", "--task", "segment")
    assert all(name in segment.out for name in ("maskclip", "sclip", "resclip", "gem"))
    shown = dense("methods", "winclip")
    assert "arXiv:2303.14814" in shown.out
    wrong = dense("methods", "winclp")
    assert wrong.code == 2
    assert "winclip" in wrong.err
