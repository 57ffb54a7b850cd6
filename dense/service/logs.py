"""Logs as one JSON object a line, without secrets."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime, timezone

_SECRET = re.compile(r"dense_[0-9a-f]{8}_[0-9A-Za-z_-]+")
_COOKIE = re.compile(r"((?:__Host-)?dense-session=)[^;\s\"']+")
_FIELDS = ("request_id", "method", "path", "status", "seconds", "client", "actor")


class JSONFormatter(logging.Formatter):
    """A record as JSON; keys and cookies that got into it are blotted out."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return blot(json.dumps(line, ensure_ascii=False, default=str))


def blot(text: str) -> str:
    """A text without keys and cookies."""
    return _COOKIE.sub(r"\1…", _SECRET.sub("dense_…", text))


def log_config(level: str = "INFO") -> dict[str, object]:
    """For `logging.config.dictConfig`: everything on stderr."""
    own = {"handlers": ["stderr"], "level": level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "dense.service.logs.JSONFormatter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {
            "dense": own,
            "uvicorn": {**own, "level": "WARNING"},
            "uvicorn.error": {"level": level},
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
