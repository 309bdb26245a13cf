"""Model cards: what an adapter is, what it was made from, what was measured, and what nobody knows.

Markdown with a head in YAML, as the Hugging Face hub reads it (huggingface.co/docs/hub/model-cards). Every figure comes
from `evaluation.json` and `history.json`; a figure that is not there is said to be missing, not left out.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.clips import digests, make_folder, write_text
from models.evaluate import RESULT
from models.evaluate import VERSION as EVALUATION_VERSION
from models.page import figure_rows, file_rows, grid_words, interval, number, side_by_side, tag_rows
from musicmed_live.errors import BadWeights, InvalidInput
from musicmed_live.musicgen.hub import PUBLISHED, hub_name

HISTORY = "history.json"
ADAPTER = "adapter"
HISTORY_VERSION = 1
LICENCE = "cc-by-nc-4.0"  # of the weights that Meta published, and so of what is made from them
OTHER_LICENCE = "other"  # the hub's word for one that it does not list, or that is not known

Content = Mapping[str, Any]

_UNKNOWN = {
    "listeners": "Nobody has listened to these clips in a study. All figures are those of recognizers, programs that "
    "were fitted on people's ratings of other music; where they err, the figures err with them.",
    "embedded": "The embedded recognizer was fitted on game music for the piano, rated by listeners who were not "
    "patients. It knows nothing of words, voices or memories.",
    "music2emo": "Music2Emo was not told the chords and the key that it could use. Its tags and ratings lean to what "
    "is common in MTG-Jamendo, DEAM, emoMusic and PMEmo.",
    "essentia": "Essentia's heads were trained on DEAM and emoMusic; how far they err on music of this kind has not "
    "been published.",
    "patients": "No patient has heard it. That music with a certain measured emotion does somebody good has not been "
    "shown here. It relaxes; it diagnoses and treats nothing.",
    "independence": "The confidence intervals take the clips as independent of each other. They say how much the seeds "
    "vary, and nothing of other texts, lengths or ways of playing.",
}


def write_card(evaluation: Path, training: Path | None, out: Path) -> None:
    """Write the card of what `evaluation` (the folder of `models evaluate`) measured into the file `out`.

    `training` is the folder of `models train`. Raises `InvalidInput` where what they hold cannot be used, `CannotServe`
    where the card cannot be written.
    """
    measured = _read(evaluation / RESULT, EVALUATION_VERSION, "models evaluate")
    if "adapter" not in measured.get("sides", {}):
        raise InvalidInput(f"{evaluation} is of no adapter; make it with musicmed-live models evaluate --adapter DIR")
    history = None
    if training is not None:
        history = _read(training / HISTORY, HISTORY_VERSION, "models train")
        _check_same(measured, training, evaluation)
    try:
        text = card(measured, history)
    except (KeyError, TypeError, AttributeError, IndexError) as fault:
        raise InvalidInput(f"{evaluation} and {training} lack {fault!r}; make them again with this version") from fault
    if out.is_dir():
        raise InvalidInput(f"{out} is a folder; give the name of a file in it, such as {out / 'README.md'}", "out")
    make_folder(out.parent)
    write_text(out, text)


def _check_same(measured: Content, training: Path, evaluation: Path) -> None:
    """Whether what was evaluated is what the training left, and is there still."""
    evaluated = set(measured["sides"]["adapter"].values())
    for name, value in digests(training / ADAPTER).items():
        if value not in evaluated:
            raise InvalidInput(
                f"{evaluation} is of another adapter than {training / ADAPTER}, whose {name} it does not know; "
                "evaluate that one, or give the training of the one that was evaluated"
            )


def card(measured: Content, history: Content | None) -> str:
    """The card as Markdown. `history` is None where nothing is known of the training."""
    parts = [
        _head(history),
        f"# Emotion adapter for {'MusicGen' if history is None else history['model']['name']}",
        _what(history),
        _use(history),
        _training(history),
        _evaluation(measured),
        _unknown(measured),
        _made_of(measured, history),
    ]
    return "\n\n".join(parts) + "\n"


def _read(path: Path, version: int, command: str) -> Content:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(f"{path} is missing; make it with musicmed-live {command}") from None
    except (OSError, ValueError) as fault:
        raise InvalidInput(f"{path} cannot be read ({fault}); make it again with musicmed-live {command}") from fault
    if not isinstance(content, dict) or content.get("version") != version:
        raise InvalidInput(f"{path} is not of version {version}; make it again with musicmed-live {command}")
    return content


def _head(history: Content | None) -> str:
    base = None if history is None else _on_hub(history["model"]["name"])
    lines = [
        "---",
        f"license: {LICENCE if _is_metas(history) else OTHER_LICENCE}",
        "library_name: peft",
        "pipeline_tag: text-to-audio",
    ]
    if base is not None:
        lines.append(f"base_model: {json.dumps(base)}")
    if _is_jamendo(history):
        lines += ["datasets:", "- mtg-jamendo"]
    lines += ["tags:", *(f"- {tag}" for tag in ("musicgen", "lora", "music", "emotion", "valence-arousal")), "---"]
    return "\n".join(lines)


def _is_metas(history: Content | None) -> bool:
    return history is not None and _on_hub(history["model"]["name"]) in {model.name for model in PUBLISHED}


def _on_hub(name: str) -> str | None:
    """The full name on the hub of what a training calls its model; None of a directory."""
    try:
        return hub_name(name)
    except BadWeights:
        return None


def _is_jamendo(history: Content | None) -> bool:
    return history is not None and "jamendo" in str(history["shards"].get("origin", {}).get("source", "")).lower()


def _what(history: Content | None) -> str:
    if history is None:
        return "An adapter for MusicGen, played by musicmed_live. How it was trained is not known to this card."
    recipe, base = history["recipe"], history["model"]["name"]
    lora, emotion = recipe.get("lora"), recipe.get("emotion")
    kind = "All weights of the decoder" if lora is None else f"A LoRA adapter of rank {lora['rank']}"
    steered = (
        "It is steered by text."
        if emotion is None
        else f"It is steered by text and by valence and arousal, as {emotion['tokens']} learned tokens beside the text."
    )
    return f"{kind} for MusicGen ({base}), made with musicmed_live. {steered}"


def _use(history: Content | None) -> str:
    base = "MODEL" if history is None else history["model"]["name"]
    return (
        "## Use\n\n```\nmusicmed-live play --generator musicgen "
        f"--model {base} --adapter DIR --start anxious --goal calm\n```\n\n"
        "It is for research and for listening at home between sessions with a music therapist, whom it does not "
        f"replace. {_licence(history)}"
    )


def _licence(history: Content | None) -> str:
    if _is_metas(history):
        return "The licence of MusicGen's weights (CC BY-NC 4.0) forbids commercial use."
    return "Its licence is that of the model it was trained on, which is not known here."


def _training(history: Content | None) -> str:
    if history is None:
        return "## Training\n\nNothing is recorded of it here."
    recipe, losses, validated = history["recipe"], history["losses"], history["validated"]
    rows = [(f"{section}.{key}", _plain(value)) for section, key, value in _values(recipe)]
    best = min(validated, key=lambda each: each["loss"], default=None)
    lines = [
        "## Training",
        _table(("recipe", ""), rows),
        f"{len(losses)} steps were made on {history['device']}"
        + (f" ({history['stopped']})." if history["stopped"] else ", and it could go on."),
        _splits(history["shards"]["splits"]),
        _licences(history["shards"]["splits"]),
    ]
    if best is None:
        return "\n\n".join([*lines, "It was never validated."])
    quadrants = [(name, number(share["loss"], 3), str(share["segments"])) for name, share in best["quadrants"].items()]
    lines += [
        f"Best validation: {best['loss']:.3f} nats per token at step {best['step']}.",
        _table(("quadrant", "loss", "segments"), quadrants),
    ]
    return "\n\n".join(lines)


def _licences(splits: Content) -> str:
    found = splits.get("train", {}).get("licences", {})
    told = ", ".join(f"{name or 'not told'} ({count} segments)" for name, count in sorted(found.items()))
    return f"Licences of the music that it was trained on: {told or 'not recorded'}."


def _splits(splits: Content) -> str:
    rows = [
        (split, str(found["segments"]), ", ".join(f"{name} {count}" for name, count in found["quadrants"].items()))
        for split, found in splits.items()
    ]
    return _table(("split", "segments", "of these"), rows)


def _values(recipe: Content) -> Iterable[tuple[str, str, Any]]:
    for section, found in recipe.items():
        if isinstance(found, Mapping):
            yield from ((section, key, value) for key, value in found.items())
        elif found is not None:
            yield "recipe", section, found


def _evaluation(measured: Content) -> str:
    sides = list(measured["sides"])
    parts = [
        "## Evaluation",
        f"{grid_words(measured)} Judged at one loudness. In brackets: 95 % confidence.",
    ]
    for judge in measured["judges"]:
        figures = [measured["figures"][side][judge] for side in sides]
        rows = side_by_side([figure_rows(each) + tag_rows(each) for each in figures])
        parts += [f"### Heard by {judge}", _table(("", *sides), rows)]
        gains = measured["gains"].get(judge, {})
        if gains:
            added = ", ".join(f"{interval(value)} to {name.removesuffix('_r')}'s" for name, value in gains.items())
            parts.append(f"Correlation that the adapter adds: {added}.")
    return "\n\n".join([*parts, "### Text and sound", _clap(measured["clap"])])


def _clap(found: Content) -> str:
    if "absent" in found:
        return f"{found['absent']}."
    rows = [
        (side, number(score["own_text"], 3), number(score["other_texts"], 3)) for side, score in found["scores"].items()
    ]
    return _table(("CLAP score", "with its own text", "with the other texts"), rows)


def _unknown(measured: Content) -> str:
    told = ["listeners", *(judge for judge in measured["judges"] if judge in _UNKNOWN), "patients", "independence"]
    return "\n".join(["## What is not known", "", *(f"- {_UNKNOWN[key]}" for key in told)])


def _made_of(measured: Content, history: Content | None) -> str:
    rows = [(owner, file, f"`{value}`") for owner, file, value in file_rows(measured)]
    if history is not None:
        rows.append(("training", "model", f"`{history['model']['sha256']}`"))
        rows.append(("training", "shards", f"`{history['shards']['sha256']}`"))
    evaluated = ", ".join(f"{name} {version}" for name, version in measured["software"].items())
    parts = ["## Made with", f"Evaluated with {evaluated}."]
    if history is not None:
        parts.append(f"Trained with {', '.join(f'{name} {version}' for name, version in history['versions'].items())}.")
    return "\n\n".join([*parts, _table(("", "file", "SHA-256"), rows)])


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
