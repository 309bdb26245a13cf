"""Where checkpoints lie: in a directory, or on the Hugging Face hub and then in its local cache."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from musicmed_live.errors import BadWeights, shown

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model")
SAFE_FILES = ("config.json", "model*.safetensors", "model.safetensors.index.json", *TOKENIZER_FILES)
PICKLED_FILES = ("state_dict.bin", "compression_state_dict.bin")

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TEXT_ENCODER = re.compile(r"(google/flan-)?t5-(small|base|large|3b|11b|xl|xxl)")
_OTHER_VARIANT = re.compile(r"facebook/musicgen-.*(stereo|melody|style)")
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that Meta published, mono and conditioned on text, and what it takes."""

    name: str  # on the hub
    short: str
    parameters: str  # of the decoder
    download: str
    keeps_up: str  # the hardware that makes it faster than it plays


PUBLISHED = (
    Published("facebook/musicgen-small", "small", "420 million", "2.4 GB", "a CPU with memory of 45 GB/s, or a GPU"),
    Published("facebook/musicgen-medium", "medium", "1.8 billion", "8.0 GB", "a GPU with 16 GB"),
    Published("facebook/musicgen-large", "large", "3.3 billion", "13.7 GB", "a GPU with 24 GB"),
)


def locate(source: str | Path, offline: bool = False) -> Path:
    """The directory of a checkpoint; a name on the hub is downloaded where the local cache lacks it.

    Raises `BadWeights` where it is nowhere, or cannot be had.
    """
    try:
        folder = Path(source).expanduser()
        if folder.is_dir():
            return folder
        exists = folder.exists()
    except (OSError, RuntimeError) as fault:  # no such user, too long a name, no permission
        why = getattr(fault, "strerror", None) or fault
        raise BadWeights(f"{shown(str(source))} cannot be looked at ({why}); give a directory, or a name") from fault
    if exists:
        raise BadWeights(f"{folder} is a file; give the directory that holds the model")
    name = hub_name(source)
    return cached(name) or download(name, offline)


def hub_name(source: str | Path) -> str:
    """The full name on the hub of `small`, `medium`, `large` or OWNER/NAME. Raises `BadWeights` for anything else."""
    text = str(source)
    name = next((model.name for model in PUBLISHED if text == model.short), text)
    if isinstance(source, Path) or not _HUB_NAME.fullmatch(name):
        raise BadWeights(
            f"{shown(text)} is neither a directory nor the name of a model, such as small or facebook/musicgen-small"
        )
    if _OTHER_VARIANT.match(name):
        raise BadWeights(
            f"{name} is a stereo, melody or style model; only the mono ones that follow text can be played"
        )
    return name


def cached(name: str) -> Path | None:
    """The folder of the local cache that holds a model of the hub as it was last seen there, if all of it is there."""
    folder = _cached(name, SAFE_FILES)
    if folder is None or _has_weights(folder):
        return folder
    return _cached(name, (*TOKENIZER_FILES, *PICKLED_FILES))


def download(name: str, offline: bool = False) -> Path:
    """The folder of the local cache with a model of the hub, after what it lacks was downloaded.

    Checksums are compared. What an earlier download left is gone on with. Safetensors are taken where there are some,
    else audiocraft's files. Raises `BadWeights` where the hub cannot be reached, does not know the name, or sends
    something else than it says.
    """
    folder = _download(name, SAFE_FILES, offline)
    return folder if _has_weights(folder) else _download(name, PICKLED_FILES, offline)


def locate_text_encoder(folder: Path, name: str, offline: bool) -> Path:
    """The directory of the T5 that an audiocraft checkpoint was trained with: beside it, in the cache or on the hub.

    Raises `BadWeights` where it is nowhere.
    """
    if not _TEXT_ENCODER.fullmatch(name):
        raise BadWeights(f"{folder}: the text encoder is {shown(name)}; MusicGen's is t5-base")
    beside = folder / name.rpartition("/")[2]
    if beside.is_dir():
        return beside
    try:
        return _cached(name, SAFE_FILES) or _download(name, SAFE_FILES, offline)
    except BadWeights as fault:
        raise BadWeights(f"{folder} comes without its text encoder: copy {name} into {beside} ({fault})") from fault


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("model*.safetensors"))


def _cached(name: str, files: tuple[str, ...]) -> Path | None:
    try:
        return Path(snapshot_download(name, allow_patterns=list(files), local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _download(name: str, files: tuple[str, ...], offline: bool) -> Path:
    try:
        folder = Path(snapshot_download(name, allow_patterns=list(files), local_files_only=offline))
    except LocalEntryNotFoundError as fault:
        unreachable = "" if offline else ", and the hub cannot be reached"
        raise BadWeights(
            f"{name} is not in the local cache{unreachable}: run `musicmed-live models pull {name}`, here or where "
            "there is a network, from where the folder that it prints can be copied (cp -rL) and given instead"
        ) from fault
    except RepositoryNotFoundError as fault:
        raise BadWeights(f"{name} is neither a directory nor a model on the hub that anybody may read") from fault
    except (HTTPError, OSError) as fault:
        raise BadWeights(
            f"{name} could not be downloaded ({' '.join(str(fault).split())[:160]}); try again: it goes on where it was"
        ) from fault
    for path in sorted(folder.rglob("*")):
        if path.is_file():  # a name may have a folder in it
            _compare(path, name)
    return folder


def _compare(path: Path, name: str) -> None:
    """Compare a file of the cache with its checksum, which is what the cache calls the file that it links to."""
    stored = path.resolve()
    with stored.open("rb") as file:
        if len(stored.name) == 64:
            digest = hashlib.sha256()
        elif len(stored.name) == 40:  # a file that git holds itself
            digest = hashlib.sha1(f"blob {stored.stat().st_size}\0".encode(), usedforsecurity=False)
        else:
            return
        while block := file.read(_READ_BYTES):
            digest.update(block)
    if digest.hexdigest() != stored.name:
        stored.unlink()
        path.unlink()
        raise BadWeights(
            f"{path.name} of {name} was damaged on its way (its checksum differs) and removed: pull it again"
        )
