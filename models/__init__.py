"""What makes and describes weights: the recognizer's coefficients, data sets, adapters for MusicGen, evaluation."""
