"""Music emotion recognition: where in the valence-arousal plane listeners would put a stretch of music, and why."""
