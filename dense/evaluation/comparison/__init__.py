"""Comparisons of methods: every cell measured once, kept on disk, and shown as one table.

`cells` runs and keeps what any `Task` measures, `tables` writes JSON, Markdown and the page;
`inspect_*`, `segment_*`, `detect_*`, `look_*` and `explain_*` say what a cell of each task is, how
it is measured and summed up.
"""

from dense.evaluation.comparison.cells import Comparison, Task, compare
from dense.evaluation.comparison.tables import to_json, write_tables

__all__ = ["Comparison", "Task", "compare", "to_json", "write_tables"]
