"""A local web app over run folders: `create_app` serves what `maieutic.report` shows, searched and filtered on demand."""

from __future__ import annotations

from maieutic.view.app import create_app
from maieutic.view.opening import Opened, Viewed

__all__ = ["Opened", "Viewed", "create_app"]
