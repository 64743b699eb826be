"""Where pages lead: files of a folder that opens from disk, or addresses of a server. Templates ask one of these.

Nothing here knows which pages there are; addresses are built from names that were quoted once, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem:
    """An entry of the bar above every page: words, where it leads (as ``Links.to`` takes it), and whether one is there."""

    title: str
    to: str
    current: bool = False


class Links(Protocol):
    """How a page reaches others.

    Attributes:
        served: whether a server answers (searching, filtering and measuring on demand are possible).
        nav: the bar above the page; empty: none.
    """

    @property
    def served(self) -> bool: ...
    @property
    def nav(self) -> Sequence[NavItem]: ...
    def to(self, page: str) -> str:
        """A page, by its file in the report's folder or its address on the server; part of it after ``#``."""
        ...

    def asset(self, name: str) -> str:
        """A style sheet, a script or a file kept beside the pages."""
        ...

    def picture(self, file: str) -> str:
        """A picture as `images.Picture` names it."""
        ...

    def unit(self, key: str, explainer: str = "") -> str | None:
        """The page of a unit of the same model, ``None`` where it has none; with the answer of an explainer of its own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticLinks:
    """Relative addresses within one folder.

    Attributes:
        root: leads from the page to the folder: nothing or ``../``.
        units: files of units of the page's model by key.
    """

    root: str = ""
    nav: Sequence[NavItem] = ()
    served: bool = False
    units: Mapping[str, str] = field(default_factory=dict[str, str])

    def unit(self, key: str, explainer: str = "") -> str | None:
        file = None if explainer else self.units.get(key)
        return None if file is None else self.root + file

    def to(self, page: str) -> str:
        return self.root + page

    def asset(self, name: str) -> str:
        return f"{self.root}assets/{name}"

    def picture(self, file: str) -> str:
        return self.asset(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedLinks:
    """Addresses on the server, from its root; pages and pictures are named by whole addresses already.

    Attributes:
        base: of the page's run.
    """

    base: str = ""
    nav: Sequence[NavItem] = ()
    served: bool = True

    def unit(self, key: str, explainer: str = "") -> str | None:
        return f"{self.base}/unit/{quoted(key)}" + (f"?whose={quote(explainer)}" if explainer else "")

    def to(self, page: str) -> str:
        return page

    def asset(self, name: str) -> str:
        return f"/static/{name}"

    def picture(self, file: str) -> str:
        return file


def quoted(name: str) -> str:
    """A name as one part or several of an address: all but ``/`` and letters is written in per cent."""
    return quote(name, safe="/")
