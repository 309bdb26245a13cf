"""The embedded generator: it composes a score bar by bar and plays it with a sampler."""
