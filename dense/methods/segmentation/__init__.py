"""Open-vocabulary segmentation methods: one source each where a method has logic of its own."""
