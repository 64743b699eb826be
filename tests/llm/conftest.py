"""One way to open a backbone of a loopback server, with short waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from maieutic.llm import Backbone
    from maieutic.llm.loopback import Loopback


@pytest.fixture(scope="session", autouse=True)
def _loaded() -> None:
    """Seconds that belong to no test."""
    import inspect_ai.model  # noqa: F401
    import openai  # noqa: F401


@pytest.fixture
def of() -> Callable[..., Backbone]:
    """A backbone of the model ``test`` of a server."""
    from maieutic.llm import backbone

    def open_(server: Loopback, name: str = "test", **more: Any) -> Backbone:
        return backbone(f"openai-api/local/{name}", base_url=server.url, **{"wait": 0.01, "retries": 2, **more})

    return open_
