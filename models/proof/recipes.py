"""The recipes that the base and its adapter are trained by: TOML, as any training's."""

from models.proof.sizes import Size

_BASE = """\
# The base: all weights of a decoder that begins at random.
seed = {seed}

[conditioning]
drop_text = 0.0
drop_emotion = 0.0
drop_both = 0.2

[training]
steps = {base_steps}
batch = {base_batch}
learning_rate = 2e-3
warmup_steps = {base_warmup}
weight_decay = 0.05

[validation]
every = {base_every}
segments = 16
patience = 100
"""

_ADAPTER = """\
# The adapter: LoRA and emotion tokens on the base, which stays as it is.
seed = {seed}

[lora]
rank = {rank}
alpha = {rank}
targets = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "enc_to_dec_proj"]

[emotion]
tokens = 4
width = 64
learning_rate = 3e-3

[conditioning]
drop_text = 0.3
drop_emotion = 0.0
drop_both = 0.2

[training]
steps = {adapter_steps}
batch = {adapter_batch}
learning_rate = 3e-3
warmup_steps = {adapter_warmup}

[validation]
every = {adapter_every}
segments = 64
patience = 100
"""


def base_recipe(size: Size) -> str:
    """All weights, from text alone; a fifth of it without text, so that the model can be guided."""
    return _BASE.format(
        seed=size.seed,
        base_steps=size.base_steps,
        base_batch=size.base_batch,
        base_warmup=size.base_steps // 20,
        base_every=max(1, size.base_steps // 8),
    )


def adapter_recipe(size: Size) -> str:
    """LoRA of the size's rank, and emotion tokens."""
    return _ADAPTER.format(
        seed=size.seed,
        rank=size.rank,
        adapter_steps=size.adapter_steps,
        adapter_batch=size.adapter_batch,
        adapter_warmup=size.adapter_steps // 20,
        adapter_every=max(1, size.adapter_steps // 8),
    )
