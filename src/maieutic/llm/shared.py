"""One backbone a model and process, for code that is called once a unit: its connections and its counts are shared."""

from __future__ import annotations

from functools import lru_cache

from maieutic.llm.backbone import Backbone, backbone


@lru_cache(maxsize=8)
def shared_backbone(model: str, base_url: str | None = None) -> Backbone:
    """``backbone(model, base_url=base_url)``, opened once. Raises what it raises."""
    return backbone(model, base_url=base_url)
