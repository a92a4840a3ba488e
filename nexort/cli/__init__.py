"""The command `nexort`. Nothing that computes is imported before a command needs it."""

from nexort.cli.app import main

__all__ = ["main"]
