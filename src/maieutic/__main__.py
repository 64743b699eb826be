"""``python -m maieutic``."""

from maieutic.cli import main

main()
