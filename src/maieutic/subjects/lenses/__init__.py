"""Units beyond neurons: attention heads, logits, named directions and latents, each seen through a lens at a module.

``load_subject("smollm2-135m+heads+logits:281,282")`` adds their sites to a subject. What this room does not do: it runs no
network; torch loads with the first lens, not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maieutic.subjects.lenses.base import Lens, step

__all__ = ["Lens", "step"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from maieutic.subjects.lenses import base

    return getattr(base, name)
