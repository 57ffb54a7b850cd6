"""Dense prediction and anomaly inspection on CLIP patch features."""

__version__ = "0.1.0"
