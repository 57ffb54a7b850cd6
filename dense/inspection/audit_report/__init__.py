"""The audit report of a product: one page (HTML) and one document (PDF) with the same content."""

from dense.inspection.audit_report.report import AuditReport, audit_report

__all__ = ["AuditReport", "audit_report"]
