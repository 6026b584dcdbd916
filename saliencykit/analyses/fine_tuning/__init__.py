"""What fine-tuning for saliency favours (notebook 03)."""
