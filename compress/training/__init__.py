"""Training and fine-tuning on preprocessed tensors."""
