"""MusicGen's decoder: a transformer over four delayed streams of audio tokens (Copet et al. 2023, arXiv 2306.05284)."""

from dataclasses import dataclass

FRAME_RATE = 50  # codec frames per second
WINDOW_STEPS = 1503  # the model was trained on 30 s: 1500 frames and what the delay pattern adds
PROMPT_TOKENS = 64  # the longest prompt, in T5's tokens


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The shape of a decoder. `small` is 24 x 1024 x 16 heads, `medium` 48 x 1536 x 24, `large` 48 x 2048 x 32."""

    layers: int
    width: int
    heads: int
    ffn: int
    text_width: int = 768  # of the text encoder's hidden states
    codebooks: int = 4
    vocab: int = 2048  # tokens of a codebook; the token `vocab` itself pads the delay pattern

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads
