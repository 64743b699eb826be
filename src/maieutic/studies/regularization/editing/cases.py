"""Which facts are edited, to what, and what is asked afterwards.

Only facts that the model knows in every way of asking are edited or asked about, and where models are compared only those
that all of them know: otherwise a difference in editability is a difference in what was learnt. Subjects are parted once for
all models into those on whose facts sites and strengths are chosen and those that are measured.

Edits are made on the ways of asking 0 and 1, in which every fact was trained. The ways 2 and 3 are paraphrases that the edit
never saw: for some facts trained ones, for others (``held_out``) such as the model never saw this fact in either.

What this module does not do: edit, or mark answers (`scores`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from maieutic.studies.regularization.asking import right
from maieutic.studies.regularization.editing.sites import frozen
from maieutic.studies.regularization.facts import FactsCorpus, Prompt
from maieutic.studies.regularization.facts_world import Fact
from maieutic.studies.regularization.model import Gpt

Part = Literal["development", "test"]
#: ways of asking that an edit is made on
EDITED = (0, 1)
#: what is asked after an edit; the groups of locality hold answers that must stay
GROUPS = (
    "edit", "paraphrase.seen", "paraphrase.held-out", "locality.near", "locality.same-subject", "locality.random",
    "portability.inverse", "portability.two-hop",
)  # fmt: skip
LOCALITY = tuple(g for g in GROUPS if g.startswith("locality"))
#: share of the subjects on which is developed
_DEVELOPMENT = 0.3
_NEAR, _RANDOM, _TRAINED = 8, 6, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that is asked after an edit.

    Attributes:
        prompt: with the answer that is right *after* the edit; ``wrong`` is its rival (-1: none).
        group: of ``GROUPS``. case: number of the edit.
        within: the answer may be among so many most likely ones: 1, but more where several answers are true.
    """

    prompt: Prompt
    group: str
    case: int
    within: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One edit.

    Attributes:
        fact: what is edited. target: the new object.
        asked: prompts that the edit is made on; their answer is the target, ``wrong`` the old object.
        kept: the subject's other facts, with their answers.
        trained: facts that fine-tuning may use to leave the rest alone; none of them is asked about in ``questions``.
        questions: what is asked afterwards.
    """

    fact: Fact
    target: str
    asked: tuple[Prompt, ...]
    kept: tuple[Prompt, ...]
    trained: tuple[Prompt, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What compared models have in common.

    Attributes:
        facts: that all of them know. left_out: models that know too few facts to be compared, with how many they know.
    """

    facts: tuple[Fact, ...]
    left_out: Mapping[str, int]


def known_facts(model: Gpt, corpus: FactsCorpus) -> frozenset[int]:
    """Indices of the facts that a model answers right in every way of asking.

    Cost: about 1 CPU second for 768 facts and 3 layers of width 64.
    """
    return _known(model, corpus, corpus.facts)


def _known(model: Gpt, corpus: FactsCorpus, facts: Sequence[Fact]) -> frozenset[int]:
    prompts = corpus.prompts(facts)
    if not prompts:
        return frozenset()
    with frozen(model):
        answered = right(model, prompts).tolist()
    return frozenset(f.index for f in facts) - {p.fact for p, ok in zip(prompts, answered, strict=True) if not ok}


def common_facts(corpus: FactsCorpus, known: Mapping[str, AbstractSet[int]], *, least: float = 0.1) -> Common:
    """The facts that all compared models know.

    Args:
        known: by model, from `known_facts`.
        least: share of all facts that a model must know to be compared; one that knows less (an untrained one) would leave
            nothing for the others. It is left out, and named.
    """
    left_out = {name: len(found) for name, found in known.items() if len(found) < least * len(corpus.facts)}
    sets = [found for name, found in known.items() if name not in left_out]
    shared = frozenset.intersection(*map(frozenset, sets)) if sets else frozenset[int]()
    return Common(facts=tuple(f for f in corpus.facts if f.index in shared), left_out=left_out)


def part_of(corpus: FactsCorpus, part: Part) -> frozenset[int]:
    """The subjects of a part; the same for every model and seed."""
    subjects = list(range(len(corpus.world.subjects)))
    Random(f"editing-{corpus.seed}").shuffle(subjects)
    cut = round(_DEVELOPMENT * len(subjects))
    return frozenset(subjects[:cut] if part == "development" else subjects[cut:])


def pick(facts: Iterable[Fact], *, count: int, seed: int) -> list[Fact]:
    """Up to ``count`` facts, of every relation and of those told in two ways and in four as evenly as they come."""
    rows = sorted(facts, key=lambda f: f.index)
    Random(f"pick-{seed}").shuffle(rows)
    strata: dict[tuple[str, bool], list[Fact]] = {}
    for fact in rows:
        strata.setdefault((fact.relation, fact.held_out), []).append(fact)
    order = sorted(strata)
    turns = [(n, place, f) for place, key in enumerate(order) for n, f in enumerate(strata[key])]
    return [f for _, _, f in sorted(turns, key=lambda t: t[:2])[:count]]


def make_cases(
    corpus: FactsCorpus, facts: Sequence[Fact], *, known: AbstractSet[int], part: Part, count: int, seed: int
) -> list[Case]:
    """Edits of up to ``count`` known facts of a part, with what is asked after each.

    Args:
        facts: to choose from. known: indices of facts that may be asked about.
        seed: of the choice, the new objects and the questions; models that are compared are given the same.
    """
    subjects = part_of(corpus, part)
    chosen = pick((f for f in facts if f.subject in subjects and f.index in known), count=count, seed=seed)
    return [make_case(corpus, fact, number=n, known=known, seed=seed) for n, fact in enumerate(chosen)]


def make_case(corpus: FactsCorpus, fact: Fact, *, number: int, known: AbstractSet[int], seed: int) -> Case:
    """One edit: the new object is any other one of the relation, drawn by the seed."""
    rng = Random(f"case-{corpus.seed}-{seed}-{fact.index}")
    others = [w for w in corpus.objects(fact.relation) if w != corpus.id(fact.object)]
    target = corpus.words[rng.choice(others)]
    old = corpus.id(fact.object)

    def ask(template: int) -> Prompt:
        return replace(corpus.prompt(fact, template, answer=target), wrong=old)

    paraphrases = [t for t in corpus.templates(fact) if t not in EDITED]
    seen = corpus.templates(fact, "seen")
    questions = [Question(prompt=ask(t), group="edit", case=number) for t in EDITED]
    questions += [
        Question(prompt=ask(t), group=f"paraphrase.{'seen' if t in seen else 'held-out'}", case=number)
        for t in paraphrases
    ]
    calm, trained = _calm(corpus, fact, target, number=number, known=known, rng=rng)
    questions += calm + _following(corpus, fact, target, number=number)
    kept = tuple(corpus.prompt(f) for f in corpus.same_subject(fact))
    return Case(
        fact=fact,
        target=target,
        asked=tuple(ask(t) for t in EDITED),
        kept=kept,
        trained=trained,
        questions=tuple(questions),
    )


def _calm(
    corpus: FactsCorpus, fact: Fact, target: str, *, number: int, known: AbstractSet[int], rng: Random
) -> tuple[list[Question], tuple[Prompt, ...]]:
    """What must stay, and apart from it what fine-tuning may train on."""
    near = [f for f in corpus.neighbours(fact) if f.index in known]
    far = [f for f in corpus.unrelated(fact, count=4 * _RANDOM, seed=rng.randrange(1 << 30)) if f.index in known]
    rng.shuffle(near)
    rival = corpus.id(target)

    def asked(facts: Sequence[Fact], group: str, each: int) -> list[Question]:
        return [
            Question(prompt=replace(corpus.prompt(f, t), wrong=wrong), group=group, case=number)
            for f in facts
            for t in rng.sample(corpus.templates(f), each)
            for wrong in [rival if f.relation == fact.relation and rival != corpus.id(f.object) else -1]
        ]

    calm = asked(near[:_NEAR], "locality.near", 1)
    calm += asked([f for f in corpus.same_subject(fact) if f.index in known], "locality.same-subject", 2)
    calm += asked(far[:_RANDOM], "locality.random", 1)
    trained = [*near[_NEAR:][:_TRAINED], *far[_RANDOM:][:_TRAINED]]
    return calm, tuple(corpus.prompt(f, rng.choice(corpus.templates(f, "seen"))) for f in trained)


def _following(corpus: FactsCorpus, fact: Fact, target: str, *, number: int) -> list[Question]:
    """What follows from a new home: who lives there, and from which land its owner comes.

    Left out where it would say nothing: a first name that lives there already, a land that stays the same.
    """
    found: list[Question] = []
    inverse, land = corpus.inverse(fact, home=target), corpus.two_hop(fact, home=target)
    if inverse is not None and inverse.answer not in (there := corpus.residents(target)):
        found.append(Question(prompt=inverse, group="portability.inverse", case=number, within=len(there) + 1))
    if land is not None and land.answer != land.wrong:
        found.append(Question(prompt=land, group="portability.two-hop", case=number))
    return found


def questions_of(cases: Sequence[Case]) -> list[Question]:
    """Everything that is asked after the edits, case by case."""
    return [q for c in cases for q in c.questions]
