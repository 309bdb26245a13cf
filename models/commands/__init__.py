"""The commands `musicmed-live models NAME` that make weights; each module adds its own."""
