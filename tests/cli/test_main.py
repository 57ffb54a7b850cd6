"""The entry point: start-up, help, names, and the thin commands."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "cv2", "numpy", "PIL", "mmengine", "open_clip", "rich", "scipy")


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


@pytest.mark.parametrize("words", [["--help"], ["segment", "--help"], ["models", "show", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys, contextlib, io\n"
        "from dense.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    code = main({words!r})\n"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert _python(code) == "0 []\n"


def test_help_is_quick():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _python("from dense.cli.main import main; main(['--help'])")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.7


def test_help_names_every_command(dense):
    ran = dense("--help")
    for name in ("segment", "inspect", "evaluate", "train", "models", "benchmark", "demo"):
        assert name in ran.out


def test_attention_names_in_the_help_are_those_that_exist():
    from dense.backbones.attention import ATTENTIONS as exist
    from dense.cli.segment import ATTENTIONS as listed

    assert set(listed) == set(exist)


@pytest.mark.parametrize(("words", "near"), [(["segmnt"], "segment"), ([], "COMMAND")])
def test_unknown_command_is_one_line_with_the_nearest(dense, words, near):
    ran = dense(*words)
    assert ran.code == 2 and len(ran.error_lines) == 1 and near in ran.err


def test_version(dense):
    from dense import __version__

    assert dense("--version").out == f"dense {__version__}\n"


def test_a_bug_is_not_hidden(dense, picture, monkeypatch, tmp_path):
    from dense import apps

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(apps, "segment_images", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        dense("segment", picture, "--classes", "cat", "--out", tmp_path)


def test_models_list_and_show(dense, tmp_path, monkeypatch, backbone):
    from dense import backbones

    ran = dense("models", "--json", tmp_path / "m.json")
    assert ran.code == 0
    listed = json.loads((tmp_path / "m.json").read_text())["models"]
    assert {"name": "ViT-B-16", "pretrained": "openai"}.items() <= next(
        m for m in listed if m["name"] == "ViT-B-16" and m["pretrained"] == "openai"
    ).items()
    monkeypatch.setattr(backbones, "load", lambda *_, **__: backbone)
    ran = dense("models", "show", "embedded", "--json", tmp_path / "s.json")
    assert ran.code == 0 and "patch_size" in ran.out
    assert json.loads((tmp_path / "s.json").read_text())["patch_size"] == [8, 8]


def test_models_show_unknown(dense):
    ran = dense("models", "show", "embeded")
    assert ran.code == 2 and "embedded" in ran.err and len(ran.error_lines) == 1


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_configs_go_to_the_engine(dense, tmp_path, monkeypatch, command):
    from dense.engine import run, tables

    calls: list[dict[str, object]] = []

    def record(config: Path, **options: object) -> dict[str, object]:
        calls.append({"config": config, **options})
        return {"overall": {"miou": 12.345}}

    monkeypatch.setattr(run, "test_config", record)
    monkeypatch.setattr(run, "train_config", record)
    monkeypatch.setattr(tables, "print_report", lambda report: None)
    config = tmp_path / "config.py"
    config.write_text("")
    ran = dense(
        command, config, "--data-root", tmp_path, "--seed", 3, "--json", tmp_path / "r.json",
        "--cfg-options", "a.b=1",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert calls[0]["config"] == config and calls[0]["data_root"] == tmp_path
    assert calls[0]["seed"] == 3 and calls[0]["options"] == {"a.b": 1}
    assert json.loads((tmp_path / "r.json").read_text())["overall"] == {"miou": 12.345}


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_missing_config_or_data(dense, tmp_path, monkeypatch, command):
    monkeypatch.chdir(ROOT)
    ran = dense(command, "configs/segment/maskclip_embeded_folder.py")
    assert ran.code == 2 and len(ran.error_lines) == 1 and "maskclip_embedded_folder.py" in ran.err
    config = tmp_path / "config.py"
    config.write_text("")
    ran = dense(command, config, "--data-root", tmp_path / "gone")
    assert ran.code == 2 and "--data-root is not a folder" in ran.err


def test_benchmark_prints_and_writes_its_rows(dense, tmp_path, monkeypatch):
    from dense import benchmark

    row = benchmark.Row("dense forward", "1.0 s", "0.9 s", 1.05, 1.10)
    calls: list[dict[str, object]] = []
    monkeypatch.setattr(benchmark, "run", lambda **options: calls.append(options) or [row])
    ran = dense("benchmark", "--quick", "--json", tmp_path / "b.json")
    assert ran.code == 0 and "dense forward" in ran.out and calls == [{"quick": True, "only": None}]
    assert json.loads((tmp_path / "b.json").read_text())["rows"][0]["ratio"] == 1.05


def test_demo_writes_a_page_without_requests(dense, tmp_path):
    ran = dense("demo", "--out", tmp_path, "--samples", ROOT / "data" / "samples")
    assert (ran.code, ran.err) == (0, "")
    page = (tmp_path / "index.html").read_text()
    assert (
        "http" not in page.replace("CC0", "")
        and page.count("data:image/jpeg;base64,") == 3 * 2 + 3 + 6 * 4
    )
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["inspection"]) == 6 and len(results["segmentation"]) == 3
    assert (tmp_path / "segment_coffee.png").is_file()
    explained = results["explanation"]
    assert sum(explained["parts"].values()) == pytest.approx(explained["score"], abs=1e-4)
    assert (tmp_path / "explain_china.png").is_file()


def test_demo_without_samples(dense, tmp_path):
    ran = dense("demo", "--out", tmp_path / "o", "--samples", tmp_path)
    assert ran.code == 2 and "--samples" in ran.err and len(ran.error_lines) == 1
