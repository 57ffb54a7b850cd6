"""Where pictures come from: watched folders, films, cameras. One file a source."""

from dense.inspection.sources.base import Ledger, Mark, Picture, Source, Unread
from dense.inspection.sources.camera import CameraSource, open_camera
from dense.inspection.sources.film import FilmSource
from dense.inspection.sources.folder import FolderSource

__all__ = [
    "CameraSource",
    "FilmSource",
    "FolderSource",
    "Ledger",
    "Mark",
    "Picture",
    "Source",
    "Unread",
    "open_camera",
]
