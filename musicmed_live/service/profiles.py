"""Patients' profiles on disk: a small JSON file for each pseudonym. The calls block: not for an event loop."""

import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from musicmed_live.core.exposure import Week
from musicmed_live.core.messages import PATIENT
from musicmed_live.core.profile import Profile
from musicmed_live.errors import InvalidInput, shown

log = logging.getLogger(__name__)


def default_folder() -> Path:
    """Where profiles are kept unless told otherwise (XDG Base Directory Specification 0.8: state of the user)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "musicmed-live" / "profiles"


class Profiles:
    """Profiles in `folder`, which is made, for its owner alone, with the first one.

    Whatever is wrong with the disk is told in the log, and the session goes on: a profile is a convenience.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changing = threading.Lock()

    def load(self, patient: str) -> Profile:
        """What is known of `patient`; an empty profile where that is nothing. A damaged file is put aside.

        Raises `InvalidInput` where `patient` is no pseudonym.
        """
        try:
            return self._read(patient)
        except OSError as fault:
            log.warning("the profile of %s cannot be read: %s", patient, fault)
            return Profile()

    def save(self, patient: str, profile: Profile) -> None:
        """Keep what `profile` says of the body; the week of sound that is kept already stays (`expose`).

        Whoever reads meanwhile, or after a power cut, finds the old profile or the new one, whole. Raises
        `InvalidInput` where `patient` is no pseudonym.
        """
        self._change(patient, lambda kept: replace(profile, week=kept.week))

    def expose(self, patient: str, doses_pa2h: Mapping[int, float]) -> Week | None:
        """Add doses, by the hour since 1970, to what a patient has been exposed to; the week that this comes to.

        None where that could not be kept. Raises `InvalidInput` where `patient` is no pseudonym.
        """

        def add(profile: Profile) -> Profile:
            week = profile.week
            for hour, dose in sorted(doses_pa2h.items()):
                week = week.add(hour, dose)
            return replace(profile, week=week)

        changed = self._change(patient, add)
        return None if changed is None else changed.week

    def _read(self, patient: str) -> Profile:
        path = self._path(patient)
        try:
            return Profile.from_json(path.read_text("utf-8"))
        except FileNotFoundError:
            return Profile()
        except (InvalidInput, UnicodeDecodeError) as fault:
            put_aside(path, fault)
            return Profile()

    def _change(self, patient: str, change: Callable[[Profile], Profile]) -> Profile | None:
        """Keep what `change` makes of the profile; None where it cannot be read or kept."""
        path = self._path(patient)
        with self._changing:
            try:
                profile = change(self._read(patient))
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(path, profile.to_json())
            except OSError as fault:
                log.warning("the profile of %s cannot be kept: %s", patient, fault)
                return None
            return profile

    def _path(self, patient: str) -> Path:
        """Capitals are marked, as some disks do not tell them apart; the prefix keeps clear of names such as `con`."""
        if PATIENT.fullmatch(patient) is None:
            raise InvalidInput(f"patient: {shown(patient)} is not 1 to 64 of A-Z, a-z, 0-9, _ and -", "patient")
        name = re.sub("[A-Z]", lambda capital: f"={capital[0].lower()}", patient)
        return self._folder / f"patient-{name}.json"


def put_aside(path: Path, fault: Exception) -> None:
    """Let a new file take the place of one that `fault` says to be damaged, which gets the ending `.damaged`."""
    aside = path.with_suffix(".damaged")
    log.error("%s cannot be used and is put aside as %s: %s", path.name, aside.name, fault)
    try:
        path.replace(aside)
    except OSError as refusal:
        log.error("%s cannot be put aside: %s", path.name, refusal)


def replace_file(path: Path, text: str) -> None:
    """Write beside the file, for its owner alone, then take its place in one step. Raises `OSError`."""
    handle, beside = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except OSError:
        Path(beside).unlink(missing_ok=True)
        raise
