"""The neural generator: MusicGen (Copet et al. 2023, arXiv 2306.05284) in real time."""
