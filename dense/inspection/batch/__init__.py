"""Millions of pictures of one product, in parts that are finished once and never again."""

from dense.inspection.batch.engines import ENGINES, run_batch
from dense.inspection.batch.plan import Plan, open_plan
from dense.inspection.batch.store import Store

__all__ = ["ENGINES", "Plan", "Store", "open_plan", "run_batch"]
