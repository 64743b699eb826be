"""What somebody asks of the table: words, meaning, filters, an order and a page; read from an address and written into one.

Everything is answered from columns in memory. What this module does not do: embed words (`meaning`) or show rows (`units`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError, did_you_mean
from maieutic.report.columns import BEATEN, CONTROL, PLAIN, TEST, Columns, Numbers
from maieutic.report.model import STATES

#: rows of a page, and the most that may be asked for
SIZE, MOST_SIZE = 100, 500
#: of a search by meaning so many are shown, nearest first
NEAREST = 300
#: orders that are not by a number
_BY_RANK = ("key", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question to the table.

    Attributes:
        words: stand one after another in the key or the label, whatever their case.
        meaning: labels near to this in meaning, nearest first.
        site, state, made_by: only these; empty: all. ``made_by``: the explainer of the explanation that is shown.
        whose: whose explanations are shown; empty: the usual ones.
        least, most: of the average precision; units without one are left out where either is given.
        by: name of a column; empty: best first, as reports do.
        down: largest first.
        page: from 1; ``size`` rows each.
    """

    words: str = ""
    meaning: str = ""
    site: str = ""
    state: str = ""
    made_by: str = ""
    whose: str = ""
    least: float | None = None
    most: float | None = None
    by: str = ""
    down: bool = False
    page: int = 1
    size: int = SIZE

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Query:
        """The question in an address; what is unknown there is left alone.

        Raises:
            UsageError: a number that is none, or a state or column that there is not.
        """
        by = given.get("by", "")
        if by and by not in (*_BY_RANK, *PLAIN) and not by.startswith((CONTROL, BEATEN, TEST)):
            raise UsageError(f"no column {by!r}{did_you_mean(by, (*_BY_RANK, *PLAIN))}: leave by= out of the address")
        state = given.get("state", "")
        if state and state not in STATES:
            raise UsageError(f"no state {state!r}{did_you_mean(state, STATES)}: choose from {', '.join(STATES)}")
        return cls(
            words=given.get("q", "").strip(),
            meaning=given.get("meaning", "").strip(),
            site=given.get("site", ""),
            state=state,
            made_by=given.get("made_by", ""),
            whose=given.get("whose", ""),
            least=_float(given, "least"),
            most=_float(given, "most"),
            by=by,
            down=given.get("down", "") == "1",
            page=max(int(_float(given, "page") or 1), 1),
            size=min(max(int(_float(given, "size") or SIZE), 1), MOST_SIZE),
        )

    def address(self, **changes: Any) -> str:
        """The question with some changes, as the part of an address from ``?`` on; empty where nothing is asked."""
        new = replace(self, **changes)
        named = {
            "q": new.words, "meaning": new.meaning, "site": new.site, "state": new.state, "made_by": new.made_by,
            "whose": new.whose, "least": _written(new.least), "most": _written(new.most), "by": new.by,
            "down": "1" if new.down and new.by else "", "page": "" if new.page == 1 else str(new.page),
            "size": "" if new.size == SIZE else str(new.size),
        }  # fmt: skip
        text = urlencode({k: v for k, v in named.items() if v})
        return f"?{text}" if text else ""

    @property
    def place(self) -> str:
        """The question without its page, for links to units of the table."""
        return self.address(page=1)

    @property
    def narrowed(self) -> bool:
        """Whether anything is asked for beside an order."""
        return replace(self, by="", down=False, page=1, size=SIZE, whose="") != Query()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorting:
    """How the headings of the table lead to other orders."""

    query: Query
    to: str

    @property
    def by(self) -> str:
        return self.query.by

    @property
    def down(self) -> bool:
        return self.query.down

    def href(self, column: str) -> str:
        """The table by this column: numbers largest first, and the other way round where it stands so already."""
        down = not self.query.down if self.query.by == column else column not in _BY_RANK
        return self.to + self.query.address(by=column, down=down, page=1)


def find(columns: Columns, query: Query, nearness: Numbers | None = None) -> NDArray[np.int64]:
    """The rows that a question asks for, in its order.

    Args:
        columns: the units.
        query: the question.
        nearness: of each label to the meaning that is asked for, not a number where it is not known; needed with one.
    """
    kept = np.ones(len(columns), dtype=np.bool_)
    if query.words:
        wanted = query.words.lower()
        kept &= np.fromiter((wanted in t for t in columns.texts), dtype=np.bool_, count=len(columns))
    if query.site:
        kept &= _named(columns.site, columns.site_names, query.site)
    if query.state:
        kept &= columns.state == STATES.index(query.state)  # pyright: ignore[reportArgumentType]
    if query.made_by:
        kept &= _named(columns.explainer, columns.explainer_names, query.made_by)
    ap = columns.column("ap")
    if query.least is not None or query.most is not None:
        low = -math.inf if query.least is None else query.least
        high = math.inf if query.most is None else query.most
        kept &= (ap >= low) & (ap <= high)
    rows = np.flatnonzero(kept)
    if query.meaning:
        assert nearness is not None, "labels near in meaning were looked up"
        rows = rows[np.isfinite(nearness[rows])]
        rows = rows[np.argsort(-nearness[rows], kind="stable")][:NEAREST]
        return rows if not query.by else rows[_order(columns, query, rows)]
    return rows[_order(columns, query, rows)]


def _order(columns: Columns, query: Query, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of some rows; what has no value comes last whichever way, ties by their keys."""
    keys = columns.key_rank[rows]
    if not query.by:
        ap = columns.column("ap")[rows]
        best = np.where(np.isnan(ap), 1.0, -ap)
        return np.lexsort((keys, best, ~columns.where("beats")[rows], ~columns.labelled[rows]))
    if query.by in _BY_RANK:
        rank = keys if query.by == "key" else columns.label_rank[rows]
        return np.argsort(-rank if query.down else rank, kind="stable")
    values = columns.column(query.by)[rows]
    directed = np.where(np.isnan(values), np.inf, -values if query.down else values)
    return np.lexsort((keys, directed))


def _named(numbers: NDArray[np.int64], names: tuple[str, ...], wanted: str) -> NDArray[np.bool_]:
    return numbers == (names.index(wanted) if wanted in names else -1)


def _float(given: Mapping[str, str], name: str) -> float | None:
    text = given.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{name}={text[:40]!r} is no number: write it like 0.5")
    return value


def _written(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
