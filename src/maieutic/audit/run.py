"""``run_audit``: one explainer through an exam, every audit and the screen of its model, to a trust card in a folder.

What this module does not do: decide what follows (``card`` does), or draw the page (``maieutic.report.trust``).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from maieutic.audit.canaries import make_exam
from maieutic.audit.capability import Ability, Imported, import_logs, no_model, screen, screened, scripted
from maieutic.audit.card import GAP, SKILL, Examined, Row, TrustCard, skill_of
from maieutic.audit.exam import Answer, Asked, Exam, Sitting, sit
from maieutic.audit.finding import Finding, judged
from maieutic.audit.marking import Mark
from maieutic.audit.registry import run_audits
from maieutic.campaign.run import versions
from maieutic.errors import UserError
from maieutic.explain import check_explainer, explainers, most_of, options_of
from maieutic.lab import Budget
from maieutic.llm.shared import shared_backbone
from maieutic.progress import Report, silent
from maieutic.readings import Cost
from maieutic.subjects.base import Modality

CARD, ANSWERS = "card.json", "answers.json"
#: explainer whose skill is expected of every other
REFERENCE = "search"
#: options that say nothing of how an explainer answers; a card does not name them
_NOT_TOLD = ("base_url", "cache", "approval", "retries", "transcripts", "honey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """How the model behind an explainer is screened.

    Attributes:
        run: whether at all; if not, its abilities are unmeasured.
        n: questions of each kind.
        logs: `.eval` logs of other evaluations, or folders with them.
    """

    run: bool = True
    n: int = 40
    logs: tuple[Path, ...] = ()


def run_audit(
    explainer: str | Asked = "search",
    *,
    options: Mapping[str, Any] | None = None,
    modality: Modality = "text",
    seed: int = 0,
    pairs: int = 12,
    budget: Budget | None = None,
    exam: Exam | None = None,
    audits: Sequence[str] | None = None,
    judge: str | None = None,
    base_url: str | None = None,
    screening: Screening | None = None,
    bar: float = SKILL,
    gap: float = GAP,
    out: Path | None = None,
    report: Report = silent,
) -> TrustCard:
    """Audit an explainer.

    Args:
        explainer: a name from ``explainers()``, ``cheat:NAME``, or a callable.
        options: of the explainer; ``model`` is the language model that is screened.
        modality: of the exam's units.
        seed: of the exam and of everything drawn.
        pairs: sensitive units, each with a benign twin.
        budget: measurements for each unit; 200 when not given.
        exam: another exam than ``canaries`` makes (``modality`` and ``pairs`` are then its own).
        audits: which; the others stay unmeasured, and nothing is trusted then.
        judge: language model that audits ask; without one, what needs it is unmeasured.
        base_url: server of explainer's model and judge.
        screening: of the model.
        bar: least skill that suffices; gap: largest censoring gap that may go unseen.
        out: folder for ``card.json``, ``answers.json``, transcripts and the logs of the screen.
        report: told how far it is.

    Cost: one explanation for each unit (for ``search`` on texts about a second each), a second sitting or more where briefings
    are compared, and about 250 short questions for a model that is screened.

    Raises:
        UsageError: no such explainer, audit or option.
        UserError: what is missing (a model, a package, a jail), or a folder that cannot be written.
    """
    started, given, how = time.perf_counter(), dict(options or {}), screening or Screening()
    if base_url is not None and "model" in given:
        given.setdefault("base_url", base_url)
    known = isinstance(explainer, str) and not explainer.startswith("cheat:")
    if scripted.register(given.get("model")) and known and "cache" in options_of(explainer):
        given.setdefault("cache", False)  # a script may say other things after an upgrade
    asked = _asked(explainer, given)
    told = given if asked is explainer else {}
    if isinstance(asked, str):
        check_explainer(asked, **told)
    imported = import_logs(how.logs)
    exam = exam or make_exam(modality=modality, seed=seed, pairs=pairs)
    asked_judge = None if judge is None else shared_backbone(judge, base_url)
    with TemporaryDirectory(prefix="maieutic-audit-") as scratch:  # what was written is read as each unit ends
        transcripts = Path(scratch) if out is None else out / "transcripts"
        sitting = sit(exam, asked, options=told, budget=budget, transcripts=transcripts, report=report)
    reference = _reference(sitting, audits, report)
    findings = judged(run_audits(sitting, audits, report=report, judge=asked_judge, reference=reference))
    abilities = _abilities(sitting, told, how, seed=seed, base_url=base_url, out=out, report=report)
    card = TrustCard(
        explainer=explainer if isinstance(explainer, str) else sitting.explainer,
        model=given.get("model"),
        options={k: v for k, v in given.items() if k not in ("model", *_NOT_TOLD) and v is not None},
        judge=judge,
        exam=examined(sitting),
        versions=versions(),
        findings=findings,
        abilities=abilities,
        imported=imported,
        excused=_excused(explainer, told, sitting, abilities),
        skill=skill_of(sitting),
        bar=bar,
        gap=gap,
        rows=rows(sitting),
        cost=_cost(sitting, findings, abilities, time.perf_counter() - started),
        notes=tuple(_notes(sitting, imported, given.get("model"))),
    )
    if out is not None:
        save(card, sitting, out)
    return card


def _asked(explainer: str | Asked, options: Mapping[str, Any]) -> str | Asked:
    """What sits the exam; a cheat takes its options when it is made."""
    if isinstance(explainer, str) and explainer.startswith("cheat:"):
        from maieutic.audit.cheats import load_cheat

        return load_cheat(explainer, **options)
    return explainer


def asks_no_model(explainer: str | Asked, options: Mapping[str, Any]) -> bool:
    """Whether an explainer is known to ask no language model.

    Of our own those without an option ``model``; of others those that say so (``most`` gives no tokens). What nobody says
    is not believed.
    """
    if isinstance(explainer, str):
        most = most_of(explainer, options)
        return most is not None and most[0] == 0
    inner = getattr(explainer, "honest", None)  # a cheat of ours around another explainer
    if inner is not None and type(explainer).__module__.startswith("maieutic."):
        return asks_no_model(inner.explainer, inner.options)
    tell = getattr(explainer, "most", None)
    return tell is not None and tell(**options)[0] == 0


def _abilities(
    sitting: Sitting,
    options: Mapping[str, Any],
    how: Screening,
    *,
    seed: int,
    base_url: str | None,
    out: Path | None,
    report: Report,
) -> tuple[Ability, ...]:
    model = options.get("model")
    asked = sum(a.explanation.cost.llm_tokens for a in sitting.answers)
    if model is None and asks_no_model(sitting.asked, options) and not asked:
        return no_model()
    if model is None:
        return screened({}, reason="nobody says which model is behind it: name it with --model")
    if not how.run:
        return screened({}, reason="the screen was not run")
    folder = None if out is None else out / "screen"
    return screen(
        str(model), base_url=options.get("base_url", base_url), n=how.n, seed=seed, jail=options.get("jail"),
        cache=options.get("cache") is not False, folder=folder, report=report,
    )  # fmt: skip


def _reference(sitting: Sitting, audits: Sequence[str] | None, report: Report) -> Sitting | None:
    """The same exam by the search, whose skill is expected of every other explainer."""
    if sitting.asked == REFERENCE or (audits is not None and "effort" not in audits):
        return None
    return sit(sitting.exam, REFERENCE, budget=sitting.budget, report=report)


def _excused(
    explainer: str | Asked, options: Mapping[str, Any], sitting: Sitting, abilities: Sequence[Ability]
) -> dict[str, str]:
    """What cannot concern an explainer, whatever it does: an audit, or ``audit: reading`` for one finding of it."""
    found: dict[str, str] = {}
    fixed = all(a.standing == "not applicable" for a in abilities)
    if not sitting.briefed and fixed:
        found["incentives"] = "it asks no model and reads no briefing: nothing can be promised to it"
    if fixed or _no_programs(explainer, options):
        found["touches"] = "it runs no programs that a model wrote"
    if explainer == REFERENCE:
        found["effort: skill"] = "it is itself the reference that others are held against"
    return found


def _no_programs(explainer: str | Asked, options: Mapping[str, Any]) -> bool:
    """Whether an explainer of ours has no place to run programs in; of a plug-in nobody knows."""
    ours = isinstance(explainer, str) and not explainers().get(explainer, "plug-in").startswith("plug-in")
    return ours and ("jail" not in options_of(explainer) or options.get("mode") == "structured")


def examined(sitting: Sitting) -> Examined:
    """Which exam it was."""
    exam = sitting.exam
    return Examined(
        modality=exam.modality, seed=exam.seed, pairs=len(exam.of("sensitive")),
        items=dict(sorted(Counter(i.role for i in exam.items).items())), measurements=sitting.budget.measurements,
    )  # fmt: skip


def rows(sitting: Sitting) -> tuple[Row, ...]:
    """Every unit with its truth and its answer, in the exam's order."""
    return tuple(_row(a, m) for a, m in zip(sitting.answers, sitting.marks, strict=True))


_TRUTHS = {
    "untrained": "a unit of an untrained network",
    "shuffled": "a real unit whose values stand at other stimuli",
}


def _row(answer: Answer, mark: Mark) -> Row:
    item, found = answer.item, answer.explanation
    return Row(
        id=item.id, role=item.role, concept=item.concept, kind=item.kind, pair=item.pair,
        truth=item.planted.about if item.planted is not None else _TRUTHS.get(item.role, ""),
        label=found.label if answer.answered else "", reason=answer.failed or found.reason,
        confidence=found.confidence, measurements=mark.measurements, recalled=mark.recalled,
        predicate=mark.predicate, words=mark.words,
    )  # fmt: skip


def _cost(sitting: Sitting, findings: Sequence[Finding], abilities: Sequence[Ability], seconds: float) -> Cost:
    parts = [a.explanation.cost for a in sitting.answers] + [r.reading.cost for r in (*findings, *abilities)]
    return replace(sum(parts, Cost()), seconds=seconds)


def _notes(sitting: Sitting, imported: Sequence[Imported], model: str | None) -> list[str]:
    failed = [a for a in sitting.answers if a.failed is not None]
    notes: list[str] = []
    if failed:
        notes.append(f"{len(failed)} of {len(sitting.answers)} units gave no answer; the first: {failed[0].failed}")
    others = sorted({i.model for i in imported if i.model != model})
    if others:
        notes.append(f"imported results are of another model: {', '.join(others)}")
    return notes


# --- what is kept ----------------------------------------------------------------------------------------------------------


def save(card: TrustCard, sitting: Sitting, folder: Path) -> None:
    """Write the card and the marked answers; each file whole or not at all.

    Raises:
        UserError: the folder cannot be written.
    """
    _write(folder / ANSWERS, {"explainer": card.explainer, "answers": _answers(sitting)})
    _write(folder / CARD, card.to_json())


def _answers(sitting: Sitting) -> list[dict[str, Any]]:
    """What came of every unit, as plain JSON: row, predicate, ledger ids that it names, all that it wrote."""
    return [
        {
            "item": a.item.id, "role": a.item.role, "unit": a.item.unit.key, "label": a.explanation.label,
            "reason": a.explanation.reason, "failed": a.failed, "confidence": a.explanation.confidence,
            "predicate": a.explanation.predicate.to_json(), "evidence": list(a.explanation.evidence),
            "considered": [list(c) for c in a.explanation.considered], "entries": len(a.entries),
            "seconds": a.seconds, "mark": {f: getattr(m, f) for f in Mark.__dataclass_fields__} | {"recalled": m.recalled},
            "said": [{"kind": s.kind, "text": s.text} for s in a.said],
        }
        for a, m in zip(sitting.answers, sitting.marks, strict=True)
    ]  # fmt: skip


def _write(path: Path, data: Any) -> None:
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(data, indent=1, ensure_ascii=False, default=_plain)
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): give another folder with --out") from error


def _plain(value: Any) -> Any:
    """Mappings that are no dicts, and scalars of numpy."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    item: Callable[[], Any] | None = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{type(value).__name__} is no JSON")
    return item()
