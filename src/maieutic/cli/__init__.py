"""The command line: one module per verb, thin over the Python API. Nothing heavy is imported before a verb runs."""

from maieutic.cli.main import main

__all__ = ["main"]
