"""The commands `musicmed-live models NAME` that make weights; each module adds its own."""

import argparse

from models.commands import card, evaluate, fit_recognizer, prepare, train


def add_parsers(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add them to the other actions of `musicmed-live models`, in the order in which they are used."""
    for module in (fit_recognizer, prepare, train, evaluate, card):
        module.add_parser(actions)
