"""Bench ``local-model``: what a small real language model makes of maieutic, honestly.

    maieutic bench local-model --option model=openai-api/local/NAME --option base_url=http://127.0.0.1:8080/v1

Six planted units fire on the words of one topic in real English sentences, so the truth is known. The model

- drives the agent's structured mode: one JSON form a turn, a few turns, then a label (``agent``);
- labels the same units from exemplars in one prompt (``one-shot``);
- judges the true label and another unit's label by the detection scorer's own prompts (``judge``), 20 windows each, 10 with
  ``quick``.

Figures: ``agent.valid`` (forms that follow the schema), ``agent.carried_out`` (forms that could be carried out, of those),
``agent.submitted``, ``agent.named`` and ``one-shot.named`` (labels that name the topic: they hold one of a few words written
down before any model was asked), ``judge.true`` and ``judge.other`` (balanced accuracy, chance 0.5, of the right and of a
wrong label), ``judge.answered``, and ``seconds`` and ``tokens`` of a turn and a prompt. There are no targets: a bench of the
model, not of maieutic. Answers are cached in the bench's own folder, which is thrown away: every run asks anew.

What it does not show: six easy units say little of how often, and a label that names the topic may still be a bad label.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.campaign import Run, RunPlan, create_run, explain_units, stored_explanation
from maieutic.errors import MissingExtraError, UsageError
from maieutic.explain import Explanation, viewer_of
from maieutic.explain.predicates import Constant
from maieutic.lab import Budget
from maieutic.llm import Backbone, backbone
from maieutic.progress import Report, silent
from maieutic.readings import Reading, share_reading
from maieutic.score.judged.asking import Asked, asked
from maieutic.score.judged.detection import Detection
from maieutic.score.judged.material import Material, material_of
from maieutic.score.judged.options import Judge
from maieutic.score.judged.sampling import Item, batches, draw
from maieutic.score.registry import Request
from maieutic.stimuli import Corpus, load_corpus
from maieutic.stimuli.user import from_texts
from maieutic.subjects import Unit
from maieutic.subjects.planted import SITE, Planted, PlantedSubject, words

#: windows of each sort that the judge is shown for a label; with ``quick``
SHOWN, SHOWN_QUICK = 10, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What a unit fires on, its true label, and what a label must hold to name it (beginnings of words)."""

    words: str
    label: str
    named: str


#: written before any model was asked
TOPICS = (
    Topic(words="january february april june july august september october november december",
          label="names of months", named="month date calendar"),
    Topic(words="war wars troops soldiers army armed military combat weapons",
          label="war and the military", named="war militar arm soldier troop combat conflict weapon"),
    Topic(words="tax taxes taxpayers deficit budget spending debt",
          label="taxes and government budgets", named="tax budget fiscal deficit spending debt financ"),
    Topic(words="school schools teachers students education college colleges classroom",
          label="schools and education", named="school educat teach student college learn"),
    Topic(words="sea ocean coast coastal island islands gulf bay",
          label="seas, coasts and islands", named="sea ocean coast island marine maritime gulf geograph"),
    Topic(words="english french spanish arabic portuguese german russian chinese italian language languages",
          label="languages", named="language linguistic"),
)  # fmt: skip


def run_local_model(
    *,
    model: str | None = None,
    base_url: str | None = None,
    seed: int = 0,
    quick: bool = False,
    turns: int = 5,
    units: int | None = None,
    report: Report = silent,
) -> BenchResult:
    """Run the bench. A model of 1.5 billion parameters on one core takes about half an hour.

    Args:
        model: ``provider/model``; base_url: its server.
        seed: of corpus draws and orders.
        quick: two units, and fewer windows for the judge.
        turns: forms of a unit.
        units: how many of the six units; ``None``: all, or two with ``quick``.
        report: called with progress.

    Raises:
        UsageError: no model, or it cannot be opened.
    """
    if not model:
        raise UsageError(
            "bench local-model needs a model: give  --option model=openai-api/local/NAME"
            " --option base_url=http://127.0.0.1:8080/v1"
        )
    started, topics = time.perf_counter(), TOPICS[: units or (2 if quick else len(TOPICS))]
    subject = PlantedSubject([_planted(t) for t in topics], modality="text", seed=seed)
    corpus = _sentences(topics)
    plan = RunPlan(subject="planted", corpus="sentences", sites=(SITE,), nulls=0, seed=seed, units=(f"{SITE}/0",))
    with (
        tempfile.TemporaryDirectory(prefix="maieutic-local-") as folder,
        _own_answers(Path(folder) / "answers"),
        create_run(Path(folder) / "run", plan, subject=subject, corpus=corpus) as run,
    ):
        opened = backbone(model, base_url=base_url, connections=1)
        studied = [subject.unit(SITE, i) for i in range(len(topics))]
        agent = _labels(
                run, studied, "agent", report, model=model, base_url=base_url, mode="structured", turns=turns,
                max_tokens=400, cache=False, temperature=0.0,
            )  # fmt: skip
        forms = [f for file in sorted((run.folder / "transcripts").glob("*.eval")) for f in _forms(file)]
        once = _labels(run, studied, "one-shot", report, model=model, base_url=base_url, examples=10)
        verdicts = _judged(run, studied, topics, opened, each=SHOWN_QUICK if quick else SHOWN, report=report)
    figures = {
        **_agent_figures(forms, agent, topics),
        "one-shot.named": Figure(reading=share_reading("named", _named(once, topics))),
        **_judge_figures(verdicts),
    }
    return BenchResult(
        bench="local-model", seed=seed, seconds=time.perf_counter() - started, figures=figures,
        rows=tuple(_rows(topics, agent, once, verdicts, model)), tables=(_labels_table(topics, agent, once, verdicts),),
    )  # fmt: skip


def _sentences(topics: Sequence[Topic]) -> Corpus:
    """Sentences of the packaged prose: those of the topics, and as many others. Short, as small models need them."""
    known = re.compile(rf"\b({'|'.join(w for t in TOPICS for w in t.words.split())})\b", re.IGNORECASE)
    own = re.compile(rf"\b({'|'.join(w for t in topics for w in t.words.split())})\b", re.IGNORECASE)
    about: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for stimulus in load_corpus("prose", size=1000).stimuli:
        for sentence in re.split(r"(?<=[.!?;])\s+", " ".join(str(stimulus.content).split())):
            if 40 <= len(sentence) <= 160:
                if own.search(sentence):
                    about.append((sentence, stimulus.group or stimulus.id))
                elif not known.search(sentence):
                    others.append((sentence, stimulus.group or stimulus.id))
    kept = [*about, *others[:: max(1, len(others) // max(len(about), 1))]]
    return from_texts([s for s, _ in kept], documents=[g for _, g in kept], name="sentences")


@contextlib.contextmanager
def _own_answers(folder: Path) -> Generator[None]:
    """No answers of earlier runs: seconds and tokens are those of real requests."""
    before = os.environ.get("INSPECT_CACHE_DIR")
    os.environ["INSPECT_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["INSPECT_CACHE_DIR"]
        else:
            os.environ["INSPECT_CACHE_DIR"] = before


def _planted(topic: Topic) -> Planted:
    known = tuple(topic.words.split())
    return Planted(
        name=topic.label, kind="or", rule=words(*known, called=topic.label), about=topic.label, involved=known
    )


# --- labelling -----------------------------------------------------------------------------------------------------


def _labels(run: Run, units: Sequence[Unit], explainer: str, report: Report, **options: Any) -> list[str]:
    """A label for each unit; where there is none, why, in brackets."""
    failed = explain_units(
        run, units, explainer=explainer, nulls=False, budget=Budget(measurements=24), options=options, report=report
    )
    reasons = {f.unit: f.reason for f in failed}
    found = [stored_explanation(run, "main", u, explainer=explainer) for u in units]
    return [
        f"[{reasons.get(u.key, 'no label')}]" if e is None else f"[{e.reason}]" if e.abstained else e.label
        for u, e in zip(units, found, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One turn of the structured agent, read back from its log.

    Attributes:
        valid: it follows the schema. carried_out: and it could be done (``None``: not valid, or the last turn).
        action: what it asked for.
        seconds, tokens: of the request.
    """

    valid: bool
    carried_out: bool | None
    action: str
    seconds: float
    tokens: int


def _forms(log: Path) -> list[Form]:
    """The turns of one `.eval` log."""
    try:
        from inspect_ai.event import ModelEvent
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise MissingExtraError(package="inspect-ai", extra="agents", feature="bench local-model") from error
    from maieutic.explain.agent.structured_loop import schema
    from maieutic.llm.messages import checked_json

    found: list[Form] = []
    for sample in read_eval_log(str(log), resolve_attachments=True).samples or []:
        # requests that failed, as the first to a server without json_schema does, are no forms
        events = [e for e in sample.events if isinstance(e, ModelEvent) and e.error is None]
        for event, after in zip(events, [*events[1:], None], strict=True):
            form: Any = None
            with contextlib.suppress(ValueError):
                form = checked_json(event.output.completion, schema())
            next_told = after.input[-1].text if after is not None and after.input else None
            done = None if form is None or next_told is None else "That could not be done" not in next_told
            usage = event.output.usage
            found.append(
                Form(
                    valid=form is not None,
                    carried_out=done,
                    action=form["action"] if form is not None else "",
                    seconds=event.output.time or 0.0,
                    tokens=usage.total_tokens if usage else 0,
                )  # fmt: skip
            )
    return found


def _named(labels: Sequence[str], topics: Sequence[Topic]) -> list[bool]:
    """Whether each label names its topic. Reasons, which stand in brackets, name nothing."""
    return [
        not label.startswith("[") and any(re.search(rf"\b{w}", label, re.IGNORECASE) for w in topic.named.split())
        for label, topic in zip(labels, topics, strict=True)
    ]


# --- judging -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A label judged on a unit."""

    unit: str
    label: str
    right: bool
    got: Asked
    score: float | None


def _judged(
    run: Run, units: Sequence[Unit], topics: Sequence[Topic], opened: Backbone, *, each: int, report: Report
) -> list[Verdict]:
    """The true label of every unit, and the next unit's, by the same windows."""
    judge, task, found, seed = Judge(name=opened.name, model=opened), Detection(), list[Verdict](), run.seed
    with report("judge", opened.name) as step:
        for i, unit in enumerate(units):
            step(i, len(units))
            for right, topic in ((True, topics[i]), (False, TOPICS[(i + 1) % len(TOPICS)])):
                material = _material(run, unit, topic.label)
                if isinstance(material, str):
                    continue
                items = _few(task.items(material, seed=seed), each)
                groups = batches(items, task.per_prompt, draw("local", unit.key, seed))
                prompts = [task.prompt(topic.label, g, seed=seed) for g in groups]
                got = asked(judge, prompts, groups, task.parse)
                score = task.estimate(got, groups=material.groups, seed=seed)
                found.append(
                    Verdict(
                        unit=unit.key,
                        label=topic.label,
                        right=right,
                        got=got,
                        score=None if isinstance(score, str) else score.value,
                    )  # fmt: skip
                )
        step(len(units), len(units))
    return found


def _material(run: Run, unit: Unit, label: str) -> Material | str:
    found = Explanation(
        unit=unit.key, label=label, predicate=Constant(value=0.0), explainer="truth", confidence=1.0,
        viewer=viewer_of(run.subject, run.corpus),
    )  # fmt: skip
    request = Request(found=found, subject=run.subject, unit=unit, corpus=run.corpus, atlas=run.atlas, seed=run.seed)
    return material_of(request, run.subject, unit, run.atlas)


def _few(items: Sequence[Item] | str, each: int) -> list[Item]:
    """Some active and some inactive windows, spread over those that the scorer would take."""
    if isinstance(items, str):
        return []
    few: list[Item] = []
    for kind in ("active", "inactive"):
        those = [i for i in items if i.kind == kind]
        few += [those[int(k)] for k in np.unique(np.linspace(0, len(those) - 1, each).astype(int))] if those else []
    return few


# --- telling -------------------------------------------------------------------------------------------------------


def _mean(name: str, values: Sequence[float]) -> Figure:
    if not values:
        return Figure(reading=Reading.unmeasured(name, "there was none"))
    return Figure(reading=Reading(name=name, value=float(np.mean(values)), n=len(values)))


def _share(name: str, held: Sequence[bool]) -> Figure:
    return Figure(reading=share_reading(name, held) if held else Reading.unmeasured(name, "there was none"))


def _agent_figures(forms: Sequence[Form], labels: Sequence[str], topics: Sequence[Topic]) -> dict[str, Figure]:
    return {
        "agent.valid": _share("valid", [f.valid for f in forms]),
        "agent.carried_out": _share("carried_out", [f.carried_out for f in forms if f.carried_out is not None]),
        "agent.submitted": _share("submitted", [not la.startswith("[") for la in labels]),
        "agent.named": _share("named", _named(labels, topics)),
        "agent.seconds": _mean("seconds", [f.seconds for f in forms]),
        "agent.tokens": _mean("tokens", [float(f.tokens) for f in forms]),
    }


def _judge_figures(verdicts: Sequence[Verdict]) -> dict[str, Figure]:
    told = [t.said is not None for v in verdicts for t in v.got.told]
    prompts = sum(v.got.prompts for v in verdicts)
    cost = [v.got.cost for v in verdicts]
    return {
        "judge.true": _mean("true", [v.score for v in verdicts if v.right and v.score is not None]),
        "judge.other": _mean("other", [v.score for v in verdicts if not v.right and v.score is not None]),
        "judge.answered": _share("answered", told),
        "judge.tokens": _mean("tokens", [sum(c.llm_tokens for c in cost) / prompts] if prompts else []),
    }


def _score(verdicts: Sequence[Verdict], unit: str, *, right: bool) -> str:
    found = [v for v in verdicts if v.unit == unit and v.right is right]
    return "–" if not found or found[0].score is None else f"{found[0].score:.2f}"


def _labels_table(
    topics: Sequence[Topic], agent: Sequence[str], once: Sequence[str], verdicts: Sequence[Verdict]
) -> Table:
    rows = [
        (t.label, agent[i], once[i], *(_score(verdicts, f"{SITE}/{i}", right=right) for right in (True, False)))
        for i, t in enumerate(topics)
    ]
    columns = ("truth", "agent's label", "one-shot label", "judge: truth", "judge: another's label")
    return Table(title="Labels by the model; balanced accuracy of its verdicts", columns=columns, rows=tuple(rows))


def _rows(
    topics: Sequence[Topic], agent: Sequence[str], once: Sequence[str], verdicts: Sequence[Verdict], model: str
) -> list[Mapping[str, Any]]:
    return [
        {
            "model": model, "unit": f"{SITE}/{i}", "truth": t.label, "agent": agent[i], "one_shot": once[i],
            "judged": {v.label: v.score for v in verdicts if v.unit == f"{SITE}/{i}"},
        }
        for i, t in enumerate(topics)
    ]  # fmt: skip
