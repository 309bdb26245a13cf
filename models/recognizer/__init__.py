"""The embedded recognizer: the rated pieces, how they are played, the fit, and the coefficients that came of it."""
