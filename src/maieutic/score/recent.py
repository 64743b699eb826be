"""A short memory: what was worked out for the last few units. A run may have a million units, and windows are large."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps the ``most`` last used; what is used with every unit stays."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[T, Any]] = OrderedDict()

    def once(self, key: Hashable, make: Callable[[], T], *, holding: Any = None) -> T:
        """What ``make`` gives, made once as long as the key is remembered. ``holding``: objects whose ids are in the key."""
        if key not in self._kept:
            self._kept[key] = (make(), holding)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return self._kept[key][0]
