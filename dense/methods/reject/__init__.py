"""Image-level rejection of what is not a known product: one file a method, all `Rejector`s."""
