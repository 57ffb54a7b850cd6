"""Are parts and pictures still like those of the calibration? Tests that may be looked at always.

The guarantee of a threshold holds as long as parts to come are exchangeable with those of the
calibration. `drift_report` tests just that on the logged decisions.
"""

from dense.inspection.drift.report import DriftReport, drift_report

__all__ = ["DriftReport", "drift_report"]
