"""What else lies in a folder: dossiers, trust cards, studies, comparisons, forecasts, answers, and pages of other commands.

A folder is searched for files that maieutic writes, by name and by what stands in them; each becomes an `Artifact` with its
headline figures. What cannot be read is listed with the reason. Links out of the folder are not followed.

What this module does not do: show pages, or trust them. A page is a file that anybody may have changed: whoever serves it
takes scripts, forms and its origin away (`view.security.SANDBOX`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from maieutic.readings import Reading

#: folders that hold what runs and reports are made of
_SKIPPED = frozenset({"harvest", "images", "directions", "transcripts", "pictures", "assets", "units", "models", "log"})
#: how deep, how many files are looked at, and bytes of one
_DEEP, _FILES, _BYTES = 4, 4_000, 32 * 2**20
#: of a page, where its generator and title must stand
_HEAD = 4_096
_MARK = '<meta name="generator" content="maieutic">'
#: beside a page of another command: files of its name with these endings
_DATA = (".json", ".csv", ".parquet", ".txt")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Something that a command wrote.

    Attributes:
        id: where it lies in the folder, with ``/``; different for all.
        kind: ``dossier``, ``trust card``, ``study``, ``comparison``, ``forecast``, ``pilot``, ``answer``, ``monitors`` or ``page``.
        title: a few words.
        headline: what it found.
        facts: (name, value) rows.
        page: its page, a file of the folder; ``None`` where it has none of its own.
        files: what may be taken away, by name.
        wrong: why it cannot be read; ``None`` where it can.
    """

    id: str
    kind: str
    title: str
    headline: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    page: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What is shown of a file's contents."""

    title: str
    headline: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def find_artifacts(folder: Path) -> list[Artifact]:
    """Everything that was found, by kind and place. Cost: reads every file that is shown, some milliseconds each."""
    found: dict[str, Artifact] = {}
    pages: dict[Path, Path] = {}
    for file in _files(folder):
        if file.suffix == ".html":
            pages[file] = file
            continue
        kind = _kind_of(file)
        if kind is not None:
            made = _artifact(folder, file, kind)
            found[made.id] = made
    taken = {a.page for a in found.values()}
    for page in pages:
        title = None if page in taken else _title_of(page)
        if title is not None:
            place = _place(folder, page)
            files = _there(page.parent, [page.stem + ending for ending in _DATA])
            found[place] = Artifact(id=place, kind="page", title=title, page=page, files=files)
    return sorted(found.values(), key=lambda a: (_ORDER.index(a.kind), a.id))


def _files(folder: Path) -> Iterator[Path]:
    """Files by place, without links and without what runs and reports are made of."""
    looked = 0
    for where, folders, names in os.walk(folder):
        here = Path(where)
        deep = len(here.relative_to(folder).parts)
        if "report.json" in names:  # a static report: a whole folder of pages
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if f not in _SKIPPED and not f.startswith(".") and deep < _DEEP)
        for name in sorted(names):
            looked += 1
            if looked > _FILES:
                return
            file = here / name
            if file.suffix in (".json", ".html") and file.is_file() and not file.is_symlink():
                yield file


def _place(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


# --- kinds ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A sort of artifact: which file it is, whether its contents are ours, and what it says.

    ``page`` and ``more`` lie beside it: its page, and what may be taken away with it. Nothing else of the folder is shown.
    """

    name: str
    file: str
    ours: Callable[[Any], bool]
    tell: Callable[[Any], _Told]
    page: str | None = None
    more: tuple[str, ...] = ()


def _kind_of(file: Path) -> Kind | None:
    for kind in _KINDS:
        if (file.name.endswith(kind.file) if kind.file.startswith(".") else file.name == kind.file) and (
            not kind.name.startswith(("forecast", "pilot")) or file.parent.name == "plan"
        ):
            return kind
    return None


def _artifact(folder: Path, file: Path, kind: Kind) -> Artifact:
    place = _place(folder, file)
    page = None if kind.page is None else file.with_name(kind.page)
    page = page if page is not None and page.is_file() and not page.is_symlink() and _title_of(page) else None
    files = _there(file.parent, [file.name, *kind.more])
    try:
        if file.stat().st_size > _BYTES:
            raise ValueError(f"it is larger than {_BYTES >> 20} MiB")
        data = json.loads(file.read_text(encoding="utf-8"))
        if not kind.ours(data):
            raise ValueError("it was not written by this version of maieutic")
        told = kind.tell(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        why = str(error) if isinstance(error, ValueError) and "\n" not in str(error) else type(error).__name__
        return Artifact(id=place, kind=kind.name, title=place, page=page, files=files, wrong=why)
    return Artifact(
        id=place, kind=kind.name, title=told.title, headline=told.headline, facts=told.facts, page=page, files=files
    )


def _there(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    return {n: folder / n for n in names if (folder / n).is_file() and not (folder / n).is_symlink()}


def _title_of(page: Path) -> str | None:
    """The title of a page that says it is ours; ``None`` for other pages."""
    try:
        with page.open(encoding="utf-8", errors="replace") as handle:
            head = handle.read(_HEAD)
    except OSError:
        return None
    if _MARK not in head:
        return None
    import html

    _, _, rest = head.partition("<title>")
    title, closed, _ = rest.partition("</title>")
    return html.unescape(title).strip() if closed else page.stem


def _dossier(data: Json) -> _Told:
    action, end = data["action"], data["conclusion"]
    facts = [("model", str(data["model"])), ("seed", str(data["seed"])), ("measurements", _count(data["cost"]))]
    return _Told(f"Why a model acted: {action['id']}", f"{end['finding']}: {end['text']}", tuple(facts))


def _card(data: Json) -> _Told:
    verdicts = Counter(str(f["verdict"]) for f in data["findings"])
    who = f"{data['explainer']} with {data['model']}" if data["model"] else str(data["explainer"])
    facts = [
        ("skill", str(Reading.from_json(data["skill"]))),
        ("findings", ", ".join(f"{n} {v}" for v, n in sorted(verdicts.items()))),
        ("exam", f"{data['exam']['modality']}, seed {data['exam']['seed']}"),
    ]
    return _Told(f"Trust card of {who}", str(data["conclusion"]), tuple(facts))


def _study(data: Json) -> _Told:
    answers = ", ".join(f"{a['id']} {a['verdict']}" for a in data["answers"])
    config, missing = data["config"], len(data["missing"])
    facts = [("models", str(data["models"] if isinstance(data["models"], int) else len(data["models"])))]
    facts += [("missing", str(missing))] if missing else []
    facts += [("machine", str(data["machine"]))]
    return _Told(f"Study of regularisation: {config.get('preset', 'own configuration')}", answers, tuple(facts))


def _comparison(data: Json) -> _Told:
    one, other = data["runs"]
    rows = [(str(r["what"]), str(Reading.from_json(r["difference"]))) for r in data["rows"]]
    said = "" if not rows else f"{rows[0][0]}, A minus B: {rows[0][1]}"
    return _Told(f"{one['name']} beside {other['name']}", said, tuple(rows[1:4]))


def _forecast(data: Json) -> _Told:
    last = data["scenarios"][-1]
    readings = {n: Reading.from_json(r) for n, r in last["readings"].items()}
    wanted = (
        ("wall", "wall time, seconds"),
        ("measurements", "measurements"),
        ("dollars", "dollars"),
        ("ap", "mean AP"),
    )
    facts = [(words, _between(readings[n])) for n, words in wanted if n in readings]
    head = f"{last['units']:,} units on {last['workers']} workers, forecast from {data['sampled']}"
    return _Told(f"Forecast for {data['about']['subject']}", head, tuple(facts))


def _pilot(data: Json) -> _Told:
    stages = ", ".join(str(s["explainer"]) for s in data["stages"])
    widths = ", ".join(f"{site}: {n:,} units" for site, n in data["widths"].items())
    return _Told("Pilot of a sweep", f"stages {stages}", (("sites", widths),))


def _answer(data: Json) -> _Told:
    answers = cast("Sequence[Json]", data["answers"])
    given = next((str(a["answer"]) for a in answers if a["reason"] is None), None)
    why = next((str(a["reason"]) for a in answers if a["reason"] is not None), "no run answered")
    facts = [
        ("model", str(data["model"])),
        ("units", ", ".join(data["units"])),
        ("experiments", str(len(data["experiments"]))),
    ]
    return _Told(str(data["question"]), given if given is not None else f"open: {why}", tuple(facts))


def _monitors(data: Any) -> _Told:
    facts = [(str(m["monitor"]), f"AUROC {Reading.from_json(m['figures']['auroc'])}") for m in data]
    return _Told("Monitors compared", f"{len(facts)} monitors on the same cases", tuple(facts))


def _count(cost: Json) -> str:
    return f"{int(cost['measurements']):,}"


def _between(reading: Reading) -> str:
    if reading.value is None:
        return f"unmeasured ({reading.reason})"
    ends = "" if reading.low is None or reading.high is None else f" ({reading.low:,.3g} to {reading.high:,.3g})"
    return f"{reading.value:,.3g}{ends}"


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda data: isinstance(data, dict) and set(names) <= set(cast("dict[str, Any]", data))


def _format(name: str) -> Callable[[Any], bool]:
    return lambda data: isinstance(data, dict) and cast("dict[str, Any]", data).get("format") == name


def _is_list(data: Any) -> bool:
    return isinstance(data, list) and bool(cast("list[Any]", data))


_KINDS = (
    Kind(
        name="dossier", file="dossier.json", page="dossier.html", more=("action.json",), tell=_dossier,
        ours=_format("maieutic-dossier"),
    ),
    Kind(
        name="trust card", file="card.json", page="card.html", more=("answers.json",), tell=_card,
        ours=_format("maieutic-trust-card"),
    ),
    Kind(
        name="study", file="results.json", page="report.html", tell=_study, ours=_has("config", "answers", "missing"),
        more=("summary.txt", "measures.csv", "measures.parquet", "comparisons.csv"),
    ),
    Kind(
        name="comparison", file="comparison.json", page="comparison.html", tell=_comparison, ours=_has("rows", "runs")
    ),
    Kind(name="forecast", file="forecast.json", tell=_forecast, ours=_has("scenarios", "about")),
    Kind(name="pilot", file="pilot.json", tell=_pilot, ours=_has("stages", "widths")),
    Kind(name="answer", file=".answer.json", tell=_answer, ours=_has("question", "answers")),
    Kind(name="monitors", file="compare.json", more=("safety.svg",), tell=_monitors, ours=_is_list),
)  # fmt: skip
_ORDER = [*(k.name for k in _KINDS), "page"]
