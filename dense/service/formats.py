"""Kinds of pictures that are taken, by suffix and by media type."""

from __future__ import annotations

TYPES = {
    ".bmp": "image/bmp",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}
SUFFIXES = {kind: suffix for suffix, kind in TYPES.items() if suffix not in (".jpeg", ".tiff")}
