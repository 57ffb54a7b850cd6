"""Networks beside CLIP that say which patches belong together, and region masks: one interface.

`Provider.look` shows a batch to such a network and returns a `View`; `Regions` returns a map of
regions. CLIP's own middle blocks and superpixels need no further files and always work.
"""

from dense.providers.base import Provider, View, fitted
from dense.providers.find import find_provider, find_regions
from dense.providers.regions import Regions

__all__ = ["Provider", "Regions", "View", "find_provider", "find_regions", "fitted"]
