"""MMSegmentation is repaired before any test of the engine imports it."""

from dense.compat import ensure_mmcv_ops

ensure_mmcv_ops()
