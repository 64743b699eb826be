"""Bench ``session``: one whole agent session on real units, over HTTP, with a model whose programs are written down.

A MAIA-like session (exemplars, hypotheses, made stimuli, measurements with expectations, edits, measurements, answer) goes
through everything that a real model would use: an OpenAI-compatible server on this machine, Inspect, the tool `python`, the
jail, the workbench, the ledger, the store, the report. The programs decide by what they measure, so they do not know the
unit. The figures say whether all of it arrived, and what a turn costs outside the model. What this does not show: whether
any model is a good scientist; the label here is only as good as a dozen lines of Python.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.campaign import Run, explain_units, open_run, stored_explanation, stored_readings
from maieutic.errors import UsageError, UserError
from maieutic.lab import Budget
from maieutic.llm.loopback import Call, Loopback, Reply, Request
from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.store import experiments, explanations
from maieutic.subjects import Unit

_LOOK = """
top = lab.exemplars(6, where="top")
rest = lab.exemplars(10)
for e in rest: print(e)
"""
#: what a model would write for a unit that looks at pictures; each program goes on from the variables of the last
IMAGE = (
    _LOOK
    + """
lab.show(*top[:3], (top[0].highlighted, "where it is active"))
said = lab.describe([e.image for e in top])
for line in said: print(line)
""",
    """
import re
from collections import Counter
bare = lab.describe([e.image for e in rest if e.value < 0.2][:4] or [rest[-1].image])
words = Counter(w for line in said for w in set(re.findall(r"[a-z]{3,}", line.lower())))
common = Counter(w for line in bare for w in set(re.findall(r"[a-z]{3,}", line.lower())))
ideas = [w for w, n in (words - common).most_common(30)]
plain = "grey brown white black red green blue yellow orange pink small large low high left right top contrast".split()
made = {}
for w in ideas:
    if w in plain: continue
    try: made[w] = lab.imagine("a " + w, n=2)
    except LabError as why: print(w, "->", str(why)[:80])
    if len(made) == 3: break
hs = {w: lab.hypothesize(f"pictures of a {w}") for w in made}
print(lab.hypotheses)
""",
    """
found, done = {}, False
for w, pictures in made.items():
    found[w] = lab.measure(pictures, expect=0.7, because="it should if this is right", hypothesis=hs[w])
    print(w, [round(x.value, 2) for x in found[w]])
lab.show(*[x for xs in found.values() for x in xs][:3])
""",
    """
base = lab.measure([top[0].image], expect=1.0, because="the strongest exemplar")[0]
for how in ("make it grey", "turn it upside down", "blur it"):
    try: edited = lab.edit(top[0].image, how)
    except LabError as why: print(how, "->", str(why)[:80]); continue
    x = lab.measure([edited], expect=0.5, because=f"what if: {how}")[0]
    print(how, round(x.value, 2), "from", round(base.value, 2))
    lab.show((edited.image, how))
""",
    """
ranked = sorted(found, key=lambda w: -sum(x.value for x in found[w]))
for w in ranked:
    strong = max(x.value for x in found[w]) >= 0.2
    lab.judge(hs[w], "supported" if strong else "rejected", evidence=found[w], because="by what was made for it")
    try:
        if strong and not done: print(lab.submit(w, confidence=0.5, evidence=found[w])); done = True
    except LabError as why: print(w, "->", str(why)[:80])
if not done: print(lab.submit(unexplained="none of the ideas that can be executed drives it"))
""",
)
TEXT = (
    _LOOK
    + """
from collections import Counter
strong = Counter()
for e in lab.exemplars(20, where="top"):
    for token, value in e.tokens:
        if value >= 0.5: strong[token.strip().lower()] += value
ideas = [w for w, n in strong.most_common() if w.isalpha()][:3]
print(ideas)
""",
    """
hs = {w: lab.hypothesize(f'the word "{w}"') for w in ideas}
made = {}
for w in ideas:
    try: made[w] = lab.write(f'sentences with "{w}"', n=3)
    except LabError as why: print(w, "->", str(why)[:80])
for w, texts in made.items():
    for t in texts: print(t)
""",
    """
found = {}
for w, texts in made.items():
    found[w] = lab.measure(texts, expect=0.7, because="it should if this is right", hypothesis=hs[w])
    for x in found[w]: print(x)
""",
    """
for w, xs in found.items():
    strongest = max(xs, key=lambda x: x.value)
    for token, value in strongest.tokens:
        if token.strip().lower() == w:
            other = lab.replace(strongest.text, token, token.replace(token.strip(), "thing"))
            x = lab.measure([other], expect=0.1, because=f"without {w}", hypothesis=hs[w])[0]
            print(w, round(strongest.value, 2), "->", round(x.value, 2))
            break
""",
    """
good = [w for w, xs in found.items() if sum(x.value for x in xs) / len(xs) >= 0.3]
used = [x for w in good for x in found[w]]
for w in good: lab.judge(hs[w], "supported", evidence=found[w])
if good:
    print(lab.submit(" or ".join(f'"{w}"' for w in good), predicate=P.token_in(words=good), confidence=0.5, evidence=used))
else:
    print(lab.submit(unexplained="none of the words drives it on its own"))
""",
)


def programs(request: Request) -> Reply:
    """The next program of the session that a request belongs to."""
    steps = IMAGE if "it reads images" in request.text else TEXT
    done = sum(m["role"] == "assistant" for m in request.messages)
    return Reply(text="", calls=(Call(name="python", arguments={"code": steps[min(done, len(steps) - 1)]}),))


def run_session(
    *, seed: int = 0, runs: Sequence[Path] = (), jail: str = "bwrap", report: Report = silent
) -> BenchResult:
    """One session on the first unit of every run in a folder.

    Args:
        seed: recorded; the session draws nothing of its own.
        runs: the folder of ``maieutic demo``, or of runs. Copies of them are used.
        jail: where the programs run.
        report: called with progress.

    Raises:
        UsageError: no run there.
    """
    folders = [f for run in runs for f in ([p.parent for p in sorted(run.glob("*/store.sqlite"))] or [run])]
    if not folders:
        raise UsageError(
            "bench session needs a run: make one with  maieutic demo, then  maieutic bench session --run FOLDER"
        )
    started, figures, rows = time.perf_counter(), dict[str, Figure](), list[tuple[str, ...]]()
    with Loopback(programs) as server:
        for folder in folders:
            with tempfile.TemporaryDirectory() as place:
                row = _one(Path(shutil.copytree(folder, Path(place) / folder.name)), server, jail, report)
            for name, value in row.items():
                if name not in ("unit", "label", "modality") and value is not None:
                    figures[f"{row['modality']}.{name}"] = _figure(name, value)
            rows.append(tuple(str(row[k]) for k in ("modality", "unit", "label")))
    return BenchResult(
        bench="session", seed=seed, seconds=time.perf_counter() - started, figures=figures,
        tables=(
            Table(title="sessions", columns=("modality", "unit", "label (of a script)"), rows=tuple(rows)),
            Table(title="what arrived", columns=("figure", "value", "at least"), rows=tuple(_row(f) for f in figures.items())),
        ),
    )  # fmt: skip


def _one(folder: Path, server: Loopback, jail: str, report: Report) -> Mapping[str, Any]:
    """Explain the first unit of a run over HTTP and count what arrived where."""
    asked = len(server.requests)
    with open_run(folder, write=True) as opened:
        with opened.store.transaction() as connection:  # of the copy: an older session must not stand in for this one
            connection.execute(explanations.delete().where(explanations.c.explainer == "agent"))
        unit, before = _telling(opened), time.perf_counter()
        options = {"model": "openai-api/local/test", "base_url": server.url, "jail": jail, "cache": False}
        failures = explain_units(
            opened,
            [unit],
            explainer="agent",
            budget=Budget(measurements=60),
            nulls=False,
            options=options,
            report=report,
        )
        if failures:
            raise UserError(f"the session on {unit.key} failed ({failures[0].reason}): mend that, then run again")
        seconds = time.perf_counter() - before
        found = stored_explanation(opened, "main", unit, explainer="agent")
        assert found is not None
        rows = opened.store.rows(experiments, unit=opened.ids["main", unit.key], explainer="agent")
        pictures = sum((opened.folder / "images" / r["stimulus"][:2] / f"{r['stimulus']}.webp").is_file() for r in rows)
        modality = opened.subject.modality
    requests = server.requests[asked:]
    transcript = json.loads(next((folder / "transcripts").glob("*.agent.json")).read_text(encoding="utf-8"))
    parts = [p for m in transcript["runs"][0]["messages"] for p in m["parts"]]
    return {
        "modality": modality,
        "unit": unit.key,
        "label": found.label if found.reason is None else f"unexplained: {found.reason}",
        "turns": len(requests),
        "pictures to the model": len(requests[-1].images()) if modality == "image" else None,
        "pictures in the transcript": sum("image" in p for p in parts) if modality == "image" else None,
        "pictures in the ledger": pictures if modality == "image" else None,
        "measurements": len(rows),
        "share with expectation": sum(r["expect"] is not None for r in rows) / max(len(rows), 1),
        "share with the jail recorded": sum(r["detail"].get("jail") == jail for r in rows) / max(len(rows), 1),
        "pages with the session": _pages(folder),
        "seconds": seconds,
    }


def _telling(opened: Run) -> Unit:
    """The unit that the search explained best, by its held-out score; the first one where nothing is scored."""

    def score(unit: Unit) -> float:
        found = stored_readings(opened, unit, explainer="search").get("predictive")
        return found.value if found is not None and found.value is not None else -1.0

    return max(opened.units, key=score)


def _row(item: tuple[str, Figure]) -> tuple[str, str, str]:
    name, figure = item
    value = figure.reading.value
    assert value is not None, "every figure here is a count that was made"
    return (name, f"{value:.4g}", "" if figure.target is None else f"{figure.target:g}")


def _pages(folder: Path) -> int:
    """Pages of the run's report that show the session, its pictures or text included."""
    from maieutic.report.gather import report_runs

    with tempfile.TemporaryDirectory() as out:
        index = report_runs([folder], Path(out) / "report", explainer="agent")
        pages = [p.read_text(encoding="utf-8") for p in sorted((index.parent / "units").glob("*.html"))]
    return sum('class="transcript"' in p and "hypothesize" in p for p in pages)


#: what has to be so for a session to have arrived whole
_TARGETS: Mapping[str, float] = {
    "pictures to the model": 4, "pictures in the transcript": 4, "pictures in the ledger": 4, "measurements": 4,
    "share with expectation": 1.0, "share with the jail recorded": 1.0, "pages with the session": 1,
}  # fmt: skip


def _figure(name: str, value: Any) -> Figure:
    return Figure(reading=Reading(name=name, value=float(value), n=1), target=_TARGETS.get(name))
