"""A sound card with a socket for headphones, as far as `pactl` tells of it."""

import json
from pathlib import Path
from typing import Any

# What pactl 16.1 prints of a laptop's sound card, shortened.
CARD: dict[str, Any] = {
    "index": 0,
    "name": "alsa_output.pci-0000_00_1f.3.analog-stereo",
    "ports": [
        {
            "name": "analog-output-speaker",
            "description": "Speakers",
            "type": "Speaker",
            "priority": 10000,
            "availability_group": "Legacy 3",
            "availability": "availability unknown",
        },
        {
            "name": "analog-output-headphones",
            "description": "Headphones",
            "type": "Headphones",
            "priority": 9900,
            "availability_group": "Legacy 2",
            "availability": "available",
        },
    ],
    "active_port": "analog-output-headphones",
}


def fake_pactl(folder: Path, listing: str, events: str) -> None:
    """Put a `pactl` in `folder`. It lists what the file `sinks` beside it says, `listing` at first; `events` is the
    shell script of its `subscribe`."""
    info = json.dumps({"default_sink_name": CARD["name"]})
    (folder / "sinks").write_text(listing)
    answers = f"*info) echo '{info}' ;;\n*list*) cat sinks ;;\n*) {events} ;;"
    (folder / "pactl").write_text(f"#!/bin/sh\ncd {folder}\ncase $* in\n{answers}\nesac\n")
    (folder / "pactl").chmod(0o755)
