"""Training, fine-tuning after pruning and distillation; one loop for all."""
