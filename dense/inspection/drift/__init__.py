"""Are parts and pictures still like those of the calibration? Tests that may be looked at always.

The guarantee of a threshold holds as long as parts to come are exchangeable with those of the
calibration. `drift_report` tests just that on the logged decisions; `Watch` does it as they
are made, and logs alarms.
"""

from dense.inspection.drift.report import DriftReport, drift_report
from dense.inspection.drift.watch import Watch, log_report

__all__ = ["DriftReport", "Watch", "drift_report", "log_report"]
