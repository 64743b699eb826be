"""Pages of a report beside its overview and units: what people say, two explainers side by side, and files of other commands.

The app shows the same templates; what they are filled with is worked out here, once for both. What this module does not do:
read models, or write files (`write` does).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maieutic.report.agreement import agreements
from maieutic.report.artifacts import find_artifacts
from maieutic.report.pairing import Paired, explainers_of, pair, scatter, side_of
from maieutic.report.records import CONTROL_NAMES
from maieutic.report.said import VERDICTS, Heard, Said, latest, named, read_said, said_csv, said_jsonl, spreadsheet
from maieutic.store import Store

#: things said, and units compared, on one page
PAGE = 100
#: put before a page that is copied: it may hold styles and pictures of its own, and nothing else
_DEAD = (
    "<!doctype html>\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    'img-src data:">\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherPage:
    """A page of a static report.

    Attributes:
        file: where it is written. title: in the bar above every page.
        template: with ``values`` it becomes the page.
        section: number of the model's section, from 1: whose units its links lead to.
        data: files beside it, by name.
    """

    file: str
    title: str
    template: str
    section: int
    values: Mapping[str, Any]
    data: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def about(self, section: int, value: str) -> bool:
        """Whether it is of a section, and shows a certain value."""
        return self.section == section and value in self.values


def further_pages(stores: Sequence[Store]) -> list[FurtherPage]:
    """The further pages of a report of some runs; none where there is nothing to show.

    Cost: a second for 100,000 units; reads what other commands wrote.
    """
    found: list[FurtherPage] = []
    for number, store in enumerate(stores, start=1):
        several = f" {number}" if len(stores) > 1 else ""
        found += [*_people(store, number, several), *_compared(store, number, several), *_files(store, number, several)]
    return found


# --- what people say -----------------------------------------------------------------------------------------------------


def shown_said(heard: Heard, page: int, *, size: int = PAGE) -> dict[str, Any]:
    """What the page of everything that was said shows: the newest first."""
    newest = list(reversed(heard.said))
    pages = max(-(-len(newest) // size), 1)
    at = min(max(page, 1), pages)
    last = latest(heard.said)
    return {
        "rows": said_rows(newest[(at - 1) * size : at * size], heard),
        "number": at,
        "pages": pages,
        "heard": heard,
        "agreements": agreements(heard.said),
        "own_labels": sum(s.verdict in ("correct", "label") for s in last),
        "blind_labels": sum(s.verdict == "label" for s in last),
        "judges": len({s.rater for s in last}),
    }


def said_rows(said: Sequence[Said], heard: Heard) -> list[tuple[Said, str, str]]:
    """What was said, by whom, and what the verdict is called."""
    names = named(heard.said)
    return [(s, names[s.rater], VERDICTS[s.verdict]) for s in said]


def said_of(unit: str, heard: Heard | None) -> list[tuple[Said, str, str]]:
    """What was said of one unit."""
    return [] if heard is None else said_rows(heard.about(unit), heard)


def _people(store: Store, number: int, several: str) -> list[FurtherPage]:
    heard = read_said(store.folder)
    if not heard.said:
        return []
    files = {"csv": f"people-{number}.csv", "jsonl": f"people-{number}.jsonl", "json": f"people-{number}.json"}
    plain = [a.to_json() for a in agreements(heard.said)]
    data = {
        files["csv"]: said_csv(heard),
        files["jsonl"]: said_jsonl(heard),
        files["json"]: json.dumps(plain, indent=1),
    }
    return [
        FurtherPage(
            file=f"people-{number}.html", title=f"People{several}", template="people.html.j2", section=number,
            values={**shown_said(heard, 1, size=len(heard.said)), "name": store.folder.name, "base": "", "files": files,
                    "writable": False},
            data=_bytes(data),
        )
    ]  # fmt: skip


# --- two explainers ------------------------------------------------------------------------------------------------------


def shown_pairs(both: Paired | None, page: int, show: str) -> dict[str, Any]:
    """The part of the table that is asked for, and the chart; ``show``: ``apart``, ``a``, ``b`` or ``one``."""
    if both is None:
        return {"rows": (), "number": 1, "pages": 1, "total": 0, "chart": None, "names": CONTROL_NAMES}
    wanted = {
        "a": [r for r in both.compared if (r.difference or 0) > 0],
        "b": [r for r in both.compared if (r.difference or 0) < 0],
        "one": [r for r in both.rows if r.difference is None],
    }.get(show, list(both.compared))
    pages = max(-(-len(wanted) // PAGE), 1)
    at = min(max(page, 1), pages)
    return {
        "rows": wanted[(at - 1) * PAGE : at * PAGE],
        "number": at,
        "pages": pages,
        "total": len(wanted),
        "chart": scatter(both),
        "names": CONTROL_NAMES,
    }


def paired_csv(both: Paired) -> str:
    """A row a unit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["unit", "difference", "ap_a", "ap_b", "label_a", "label_b", "reason_a", "reason_b"])
    for r in both.rows:
        a, b = r.a, r.b
        cells = [r.key, r.difference, a and a.value, b and b.value, a and a.label, b and b.label]
        cells += [a and a.reason, b and b.reason]
        writer.writerow(["" if c is None else c if isinstance(c, float) else spreadsheet(c) for c in cells])
    return out.getvalue()


def _compared(store: Store, number: int, several: str) -> list[FurtherPage]:
    """The first two explainers whose labels have scores for the same units; a baseline only where there is no other."""
    names = explainers_of(store)
    names = [n for n in names if n != "lookup"] + [n for n in names if n == "lookup"]
    sides = [side_of(store, n, name=store.folder.name) for n in names]
    pairs = (pair(a, b) for i, a in enumerate(sides) for b in sides[i + 1 :])
    both = next((p for p in pairs if len(p.compared) > 1), None)
    if both is None:
        return []
    files = {"csv": f"compare-{number}.csv", "json": f"compare-{number}.json"}
    data = {files["csv"]: paired_csv(both), files["json"]: json.dumps(both.to_json(), indent=1)}
    name = store.folder.name
    fixed = {"name": name, "other": name, "base": "", "choice": {}, "kinds": {}, "show": "apart", "here": None}
    return [
        FurtherPage(
            file=f"compare-{number}.html", title=f"Compare{several}", template="compare.html.j2", section=number,
            values={**shown_pairs(both, 1, "apart"), **fixed, "both": both, "files": files, "url_a": None, "url_b": None},
            data=_bytes(data),
        )
    ]  # fmt: skip


# --- files of other commands ----------------------------------------------------------------------------------------------


def _files(store: Store, number: int, several: str) -> list[FurtherPage]:
    found = find_artifacts(store.folder)
    if not found:
        return []
    addresses: dict[str, str] = {}
    data: dict[str, bytes] = {}
    for n, a in enumerate(found):
        if a.page is not None:
            addresses[a.id] = f"files-{number}-{n}.html"
            data[addresses[a.id]] = _DEAD.encode() + a.page.read_bytes()
    return [
        FurtherPage(
            file=f"files-{number}.html", title=f"Files{several}", template="artifacts.html.j2", section=number,
            values={"name": store.folder.name, "found": found, "addresses": addresses}, data=data,
        )
    ]  # fmt: skip


def _bytes(texts: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
