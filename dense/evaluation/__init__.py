"""What a checkpoint can do, measured in one go: the model card."""
