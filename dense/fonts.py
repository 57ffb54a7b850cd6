"""Text in pictures: a font that holds the letters at hand, whatever the script.

DejaVu Sans comes with matplotlib and covers Latin, Greek, Cyrillic, Arabic and more; for other
scripts the fonts of the machine are searched. A text that no font holds is replaced by a label
given by the caller, never by empty boxes.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from dense.errors import MissingDependencyError

Font = ImageFont.FreeTypeFont
Colour = tuple[int, int, int]

_WIDE_FONTS = ("noto", "wqy", "droid", "unifont", "pingfang", "msyh", "arialuni", "hiragino")
_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)


def font_for(text: str, size: int) -> Font | None:
    """Find a font that holds every letter of `text`, or ``None`` if no font here does."""
    letters = "".join(sorted({letter for letter in text if not letter.isspace()}))
    path = _path_for(letters)
    return None if path is None else _load(path, size)


def text_size(text: str, size: int, fallback: str = "?") -> tuple[int, int]:
    """Measure (height, width) of one line of text in pixels."""
    text, font = _fit(text, size, fallback)
    left, _, right, _ = font.getbbox(text)
    ascent, descent = font.getmetrics()
    return ascent + descent, int(right - left) + 1


def draw_text(
    picture: Image.Image,
    position: tuple[int, int],
    text: str,
    *,
    size: int,
    colour: Colour,
    fallback: str = "?",
) -> None:
    """Draw one line of text with its upper left corner at (x, y); `picture` is changed."""
    text, font = _fit(text, size, fallback)
    ImageDraw.Draw(picture).text(position, text, fill=colour, font=font)


def shorten(text: str, size: int, width: int) -> str:
    """Cut a text with an ellipsis until it takes at most `width` pixels."""
    text = " ".join(text.split()) or "?"
    if text_size(text, size)[1] <= width:
        return text
    while len(text) > 1 and text_size(text + "…", size)[1] > width:
        text = text[:-1].rstrip() or text[:1]
    return text + "…"


def _fit(text: str, size: int, fallback: str) -> tuple[str, Font]:
    font = font_for(text, size)
    if font is None:
        text = fallback
        font = font_for(fallback, size) or _default(size)
    return text, font


@lru_cache(maxsize=4096)
def _path_for(letters: str) -> str | None:
    return next((path for path in _font_files() if _holds(path, letters)), None)


@lru_cache(maxsize=64)
def _load(path: str, size: int) -> Font:
    return _default(size) if not path else ImageFont.truetype(path, size)


def _default(size: int) -> Font:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, text cannot be drawn")
    return font


def _holds(path: str, letters: str) -> bool:
    try:
        font = _load(path, 16)
        missing = bytes(font.getmask("\U0010fffe"))
        return all(bytes(font.getmask(letter)) != missing for letter in letters)
    except OSError:
        return False


def bundled_font(name: str = "DejaVuSans.ttf") -> Path:
    """File of a font that comes with matplotlib.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
    """
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise MissingDependencyError("the font comes with matplotlib: pip install matplotlib")
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name


@lru_cache(maxsize=1)
def _font_files() -> tuple[str, ...]:
    return (*_bundled(), *_installed(), "")


def _bundled() -> Iterator[str]:
    try:
        path = bundled_font()
    except MissingDependencyError:
        return
    if path.is_file():
        yield str(path)


def _installed() -> list[str]:
    found: list[str] = []
    for folder in _FOLDERS:
        for place, _, names in os.walk(Path(folder).expanduser()):
            found += [
                str(Path(place, name))
                for name in sorted(names)
                if name.lower().endswith((".ttf", ".ttc", ".otf"))
                and name.lower().startswith(_WIDE_FONTS)
                and not any(word in name.lower() for word in ("bold", "italic", "serif", "emoji"))
            ]
    return found[:200]
