"""A session as a table: CSV (RFC 4180), one row for everything that has a time."""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.journal.account import Account, Played
from musicmed_live.journal.entries import Entry, Kind
from musicmed_live.journal.wording import changes, who

COLUMNS = (
    *("time_utc", "music_seconds", "kind", "what", "by", "valence", "arousal", "valence_sd", "arousal_sd"),
    *("heart_rate_bpm", "trust", "generator", "key", "tempo_bpm", "instruments", "detail"),
)
_POINT = ("valence", "arousal", "valence_sd", "arousal_sd")


def table(account: Account) -> str:
    """The table, with a line of headings. What is not known is empty."""
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, restval="")
    writer.writeheader()
    clips = {clip.position: clip for clip in account.clips}
    for entry in account.entries:
        for cells in _cells(entry, clips):
            writer.writerow(
                {
                    "time_utc": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds"),
                    "music_seconds": f"{entry.position / SAMPLE_RATE:.3f}",
                    "kind": entry.kind.value,
                    **cells,
                }
            )
    return written.getvalue()


def _cells(entry: Entry, clips: Mapping[int, Played]) -> Iterator[Mapping[str, Any]]:
    body = entry.body
    match entry.kind:
        case Kind.EVENT:
            detail = changes({name: value for name, value in body.items() if name not in _POINT})
            yield {"what": body["event"], "by": who(body), **_point(body), "detail": detail}
        case Kind.ESTIMATE:
            yield _point(body)
        case Kind.READING:
            rate = body.get("heart_rate_bpm")
            yield {"what": body["kind"], "heart_rate_bpm": rate, "trust": body["trust"], "detail": body["reason"]}
        case Kind.DECISION:
            yield {"what": body["phase"], "detail": body["why"]}
        case Kind.CLIP:
            yield {"what": "asked", **_point(body["emotion"]), **_music(clips[entry.position])}
            if body["heard"] is not None:
                yield {"what": "heard", **_point(body["heard"])}
        case Kind.JUDGED:
            yield {"what": "heard", **_point(body["heard"])}
        case Kind.PLAYED:
            pass  # the clip has it
        case Kind.CUT | Kind.ENDED:
            yield {"what": body["reason"]}
        case Kind.RESUMED:
            yield {"detail": f"after {body['seconds']} s without its server"}
        case Kind.UNDERRUN:
            yield {"what": body["times"]}
        case Kind.OPENED:
            yield {"what": body["generator"]["name"], "detail": f"seed {body['seed']}"}


def _music(clip: Played) -> dict[str, Any]:
    """What was played in it, over all that was heard of it."""
    instruments = ", ".join(clip.instruments)
    return {"generator": clip.generator, "key": clip.key, "tempo_bpm": clip.tempo_bpm, "instruments": instruments}


def _point(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in _POINT if name in body}
