"""Training of small CLIPs: teachers, pseudo-labels, losses, frozen-prefix caches."""

from dense.compat import ensure_torchvision

ensure_torchvision()
