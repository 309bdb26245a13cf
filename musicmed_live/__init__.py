"""Music composed while it plays: it meets a listener's mood and leads it to a better one."""

__version__ = "0.1.0"
