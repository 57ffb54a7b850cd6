"""MMEngine and its relatives stay behind one border; importing the package stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MM = {"mmengine", "mmcv", "mmseg", "mmdet"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def test_only_the_engine_imports_mm() -> None:
    allowed = {ROOT / "dense" / "compat.py", *(ROOT / "dense" / "engine").rglob("*.py")}
    offenders = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "dense").rglob("*.py")
        if path not in allowed
        and any(name.split(".")[0] in MM for name in imported(ast.parse(path.read_text())))
    }
    assert offenders == set()


def test_importing_dense_and_its_engine_is_light() -> None:
    code = "import sys, dense, dense.engine; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "numpy", "cv2", *MM} & set(done.stdout.split())


def test_data_sets_do_not_need_mmengine() -> None:
    code = "import sys, dense.datasets; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not MM & set(done.stdout.split())
