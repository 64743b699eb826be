"""Make the labelling task from a packaged network, once, and keep it in the cache.

Units of one layer are drawn with a seed. Kept are those that the trusted explainer (a look-up of tokens) and the search
both label with some success on the select split, and whose label, written out, can be read: a task whose reference is
wrong measures nothing. The test split decides nothing here.

The reference label is the search's, written out: the words on which its predicate predicts most of the activation of the
discover split. So people read what the predicate does, which short labels leave out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.control.labelling.submission import Submission, listed
from maieutic.control.labelling.units import Labelling, LabelUnit
from maieutic.errors import UserError
from maieutic.explain import Explanation, Viewer, explain, viewer_of
from maieutic.explain.predicates import Predicate
from maieutic.harvest import Atlas, harvest
from maieutic.lab import Budget, Lab
from maieutic.progress import Report, silent
from maieutic.score.standing import standing
from maieutic.stimuli import Corpus, load_corpus
from maieutic.stimuli.base import SPLITS, Split, Stimulus
from maieutic.store.files import read_tensors, write_tensors, writing
from maieutic.subjects import Subject, Unit, load_subject
from maieutic.subjects.packages import cache_folder

#: rises when the same settings give something else
VERSION = 1
#: look-up table entries of the trusted label, words of a written-out label, exemplars shown, tokens around each
WORDS, SHOWN, AROUND = 24, 8, 24
_WORDY = re.compile(r"[a-z]{3,}")
#: words of labels in general; never a concept
_FRAME = frozenset({"words", "word", "such", "tokens", "token", "the", "and", "for", "that"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make.

    Attributes:
        subject, corpus: packaged names; ``texts`` of the corpus are used.
        site: the layer.
        drawn: units that are tried, in the order of the draw, until ``kept`` of them will do.
        measurements: of the search, a unit.
        trusted, reference, words: standing on select that the trusted label, the reference and its words alone must have.
        seed: of the draw.
    """

    subject: str = "smollm2-135m"
    corpus: str = "text"
    texts: int = 600
    site: str = "layers.0.mlp"
    drawn: int = 240
    kept: int = 24
    measurements: int = 60
    trusted: float = 0.25
    reference: float = 0.3
    words: float = 0.12
    seed: int = 1


def load_labelling(plan: Plan | None = None, *, folder: Path | None = None, report: Report = silent) -> Labelling:
    """The task of a plan: from the cache, else made and kept there.

    Args:
        plan: what to make; the packaged one when not given.
        folder: where it is kept instead of the user's cache.
        report: called with progress.

    Cost: two minutes on one core when it is made (one pass of the corpus, then a search a unit); seconds afterwards.

    Raises:
        UserError: the packaged network or corpus cannot be had, or too few units will do.
    """
    plan = plan or Plan()
    subject, corpus = load_subject(plan.subject), load_corpus(plan.corpus, size=plan.texts)
    key = f"{subject.fingerprint[:12]}-{corpus.fingerprint[:12]}-v{VERSION}"
    name = f"{plan.site}-{plan.kept}-of-{plan.drawn}-{plan.seed}"
    folder = folder or cache_folder() / "labelling" / f"{key}-{name}"
    about = {**asdict(plan), "version": VERSION, "subject_is": subject.fingerprint, "corpus_is": corpus.fingerprint}
    kept = folder / "units.json"
    if not kept.is_file() or json.loads(kept.read_text("utf-8"))["about"] != about:
        write(make(subject, corpus, plan, report=report), folder, about)
    return read(folder, corpus, viewer_of(subject, corpus))


def make(subject: Subject, corpus: Corpus, plan: Plan, *, report: Report = silent) -> Labelling:
    """Make the task.

    Raises:
        UserError: fewer than four units will do.
    """
    width = subject.site(plan.site).width or 0
    order = np.random.default_rng(plan.seed).permutation(width)[: plan.drawn].tolist()
    drawn = [subject.unit(plan.site, int(i)) for i in order]
    with report("harvest", subject.name) as step:
        atlas = harvest(subject, corpus, [plan.site], keep=drawn, progress=step)
    found: list[LabelUnit] = []
    texts: dict[Split, list[Stimulus]] = {s: [o.stimulus for o in atlas.observed(drawn[0], s)] for s in SPLITS}
    viewer = viewer_of(subject, corpus)
    with report("label", plan.site) as step:
        for done, unit in enumerate(drawn, start=1):
            made = _labelled(subject, unit, atlas, plan, viewer, texts["discover"], len(found))
            found += [] if made is None else [made]
            step(done, len(drawn), f"{len(found)} kept")
            if len(found) == plan.kept:
                break
    if len(found) < min(4, plan.kept):
        raise UserError(f"only {len(found)} units of {plan.site} can be labelled: take another layer or more texts")
    return Labelling(units=tuple(found), texts=texts, viewer=viewer)


def _labelled(
    subject: Subject, unit: Unit, atlas: Atlas, plan: Plan, viewer: Viewer, shown: Sequence[Stimulus], number: int
) -> LabelUnit | None:
    """The unit with its labels, or ``None`` where one of them will not do."""

    def by(explainer: str) -> Explanation:
        lab = Lab(subject, unit, atlas, budget=Budget(measurements=plan.measurements), seed=plan.seed)
        return explain(lab, explainer)

    def stands(found: Explanation) -> float:
        return standing(found, lambda split: atlas.observed(unit, split), modality="text") or 0.0

    trusted = by("lookup")
    if stands(trusted) < plan.trusted:
        return None
    best = by("search")
    if best.abstained or stands(best) < plan.reference:
        return None
    reference = written_out(best.predicate, viewer, shown)
    if reference is None or (read := reference[0].words) is None:
        return None
    alone = Explanation(unit=unit.key, label="", predicate=read, explainer="words", confidence=0.0, viewer=viewer)
    if stands(alone) < plan.words:
        return None
    others = {"trusted": trusted, "plain": by("search-no-experiments")}
    written = {n: written_out(e.predicate, viewer, shown) for n, e in others.items() if not e.abstained}
    told = {n: w[0] for n, w in written.items() if w is not None}
    if "trusted" not in told:
        return None
    return LabelUnit(
        id=f"unit-{number:02d}", key=unit.key, words=reference[1], reference=reference[0], others=told,
        exemplars=_exemplars(subject, atlas, unit),
        values={s: [o.values for o in atlas.observed(unit, s)] for s in SPLITS},
    )  # fmt: skip


def written_out(
    predicate: Predicate, viewer: Viewer, texts: Sequence[Stimulus]
) -> tuple[Submission, tuple[str, ...]] | None:
    """A predicate with a label that names the words on which it predicts most, and those words; ``None`` without three.

    A word counts when it is at least three letters long and predicted, on average, at a quarter of the greatest such mean
    (one text more without it: rare words are not believed); words are ordered by what they are predicted in all.
    """
    views = [viewer(t) for t in texts]
    told = Explanation(unit="", label="", predicate=predicate, explainer="", confidence=0.0, viewer=viewer).predict(
        texts
    )
    mass: dict[str, float] = {}
    seen: dict[str, int] = {}
    for view, row in zip(views, told, strict=True):
        for word, value in zip(view.word, row.tolist(), strict=True):
            mass[word] = mass.get(word, 0.0) + value
            seen[word] = seen.get(word, 0) + 1
    mean = {w: m / (seen[w] + 1) for w, m in mass.items() if _WORDY.fullmatch(w) and w not in _FRAME}
    top = max(mean.values(), default=0.0)
    named = sorted((w for w, m in mean.items() if top > 0 and m >= top / 4), key=lambda w: (-mass[w], w))[:WORDS]
    return None if len(named) < 3 else (Submission(label=listed(named), predicate=predicate), tuple(named))


def _exemplars(subject: Subject, atlas: Atlas, unit: Unit) -> tuple[str, ...]:
    """The strongest texts of the discover split, cut around the strongest token, which is marked."""
    found: list[str] = []
    for e in atlas.exemplars(unit, SHOWN):
        text = str(e.stimulus.content)
        tokens = [t.text for t in subject.tokens(text)]
        start, end = max(0, e.position - AROUND), e.position + AROUND // 3
        cut = "".join((*tokens[start : e.position], "<<", tokens[e.position], ">>", *tokens[e.position + 1 : end]))
        found.append(" ".join(cut.split()))
    return tuple(found)


# --- on disk ---------------------------------------------------------------------------------------------------------------


def write(made: Labelling, folder: Path, about: dict[str, Any]) -> None:
    """Write ``values.safetensors`` (a column a unit, ``[position, unit]`` a split), then ``units.json``."""
    columns: dict[str, NDArray[Any]] = {
        s: np.stack([np.concatenate(u.values[s]) for u in made.units], axis=1).astype(np.float32) for s in SPLITS
    }
    write_tensors(folder / "values.safetensors", columns)
    rows = [
        {
            "id": u.id, "key": u.key, "words": u.words, "exemplars": u.exemplars,
            "reference": u.reference.to_json(), "others": {n: o.to_json() for n, o in u.others.items()},
        }
        for u in made.units
    ]  # fmt: skip
    lengths = {s: [len(v) for v in made.units[0].values[s]] for s in SPLITS}
    ids = {s: [t.id for t in made.texts[s]] for s in SPLITS}
    data = {"about": about, "lengths": lengths, "texts": ids, "units": rows}
    with writing(folder / "units.json") as part:
        part.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def read(folder: Path, corpus: Corpus, viewer: Viewer) -> Labelling:
    """Read what ``write`` wrote.

    Raises:
        UserError: it does not fit the corpus.
    """
    data = json.loads((folder / "units.json").read_text("utf-8"))
    values, _ = read_tensors(folder / "values.safetensors")
    known = {t.id: t for t in corpus}
    if any(i not in known for ids in data["texts"].values() for i in ids):
        raise UserError(f"{folder} was made of other texts: remove it, it is made again")
    ends = {s: np.cumsum(data["lengths"][s])[:-1] for s in SPLITS}
    units = tuple(
        LabelUnit(
            id=r["id"], key=r["key"], words=tuple(r["words"]), exemplars=tuple(r["exemplars"]),
            reference=Submission.from_json(r["reference"]),
            others={n: Submission.from_json(o) for n, o in r["others"].items()},
            values={s: np.split(values[s][:, i], ends[s]) for s in SPLITS},
        )
        for i, r in enumerate(data["units"])
    )  # fmt: skip
    texts: dict[Split, Sequence[Stimulus]] = {s: [known[i] for i in data["texts"][s]] for s in SPLITS}
    return Labelling(units=units, texts=texts, viewer=viewer, about=data["about"])
