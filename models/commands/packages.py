"""Whether the packages are there that a command needs."""

from collections.abc import Sequence
from importlib.util import find_spec

from musicmed_live.errors import CannotServe


def require_packages(work: str, names: Sequence[str]) -> None:
    """Raise `CannotServe` unless all of `names` are installed. `work` is what needs them."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise CannotServe(f"{work} needs {', '.join(missing)}: pip install 'musicmed-live[training]'")
