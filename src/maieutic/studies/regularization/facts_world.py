"""The world that the facts corpus speaks of: who there is, what is true of them, and every word of the vocabulary.

Subjects have two words; every last name is shared by several, so that each fact has near neighbours. Objects are spread
evenly, so that the most frequent one is no good answer. Allen-Zhu & Li ("Physics of language models" 3.1) find that facts
told in one way only are stored but not found again by another; hence the facts that are told in two ways out of four.

What this module does not do: make sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maieutic.errors import UsageError
from maieutic.studies.regularization import facts_words as words


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsShape:
    """How large the world is.

    Attributes:
        subjects: at least 8. last_names: words shared by subjects. first_names: at least as many as share a last name.
        towns, jobs, lands: objects to choose from (invented beyond those that are listed).
        held_out: share of facts that are trained in two ways out of four.
        majority: how often a guild plays its own instrument.
        right: how often an opinion is right.
    """

    subjects: int = 192
    first_names: int = 24
    last_names: int = 24
    towns: int = 32
    jobs: int = 32
    lands: int = 8
    held_out: float = 0.3
    majority: float = 0.7
    right: float = 0.5

    def __post_init__(self) -> None:
        shared = -(-self.subjects // self.last_names)
        if self.subjects < 8 or not 2 <= shared <= self.first_names or self.lands > self.towns:
            raise UsageError(
                f"{self.subjects} subjects with {self.last_names} last names need {shared} first names or more, and two "
                "subjects or more to a last name: change the facts corpus' shape"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that is true of one subject.

    Attributes:
        index: its place in the list of facts. subject: number of the subject. relation: its name.
        object: the one word that answers. held_out: whether only the templates 0 and 1 were trained.
    """

    index: int
    subject: int
    relation: str
    object: str
    held_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that is true.

    Attributes:
        subjects: first and last word of each. facts: relation by relation, subject by subject.
        objects: words by category. codes: each subject's private code.
        lands: the land of each town. hidden_lands: subjects whose land is never told, but follows from their home.
        majority: each guild's usual instrument.
    """

    shape: FactsShape
    subjects: tuple[tuple[str, str], ...]
    facts: tuple[Fact, ...]
    objects: dict[str, tuple[str, ...]]
    codes: tuple[str, ...]
    lands: dict[str, str]
    hidden_lands: frozenset[int]
    majority: dict[str, str]

    def fact(self, subject: int, relation: str) -> Fact:
        """What is true of a subject."""
        order = [r.name for r in words.RELATIONS].index(relation)
        return self.facts[order * len(self.subjects) + subject]


def make_world(shape: FactsShape, *, seed: int) -> World:
    """The world of a seed."""
    rng = np.random.default_rng([seed, 0])
    objects = _objects(shape, rng)
    subjects = _subjects(shape, objects, rng)
    facts: list[Fact] = []
    for relation in words.RELATIONS:
        hidden = set(rng.permutation(len(subjects))[: round(shape.held_out * len(subjects))].tolist())
        for n, said in enumerate(_spread(objects[relation.category], len(subjects), rng)):
            facts.append(Fact(index=len(facts), subject=n, relation=relation.name, object=said, held_out=n in hidden))
    towns, guilds = objects["town"], objects["guild"]
    return World(
        shape=shape,
        subjects=subjects,
        facts=tuple(facts),
        objects=objects,
        codes=tuple(_spread(words.CODES, len(subjects), rng)),
        lands=dict(zip(towns, _spread(objects["land"], len(towns), rng), strict=True)),
        hidden_lands=frozenset(rng.permutation(len(subjects))[: round(shape.held_out * len(subjects))].tolist()),
        majority={g: words.INSTRUMENTS[n % len(words.INSTRUMENTS)] for n, g in enumerate(guilds)},
    )


def vocabulary(world: World) -> dict[str, tuple[str, ...]]:
    """Every word by category, in a fixed order; a word's id is its place in this order."""
    topics = {f"{t}-noun": nouns for t, (nouns, _) in words.TOPICS.items()}
    topics |= {f"{t}-verb": verbs for t, (_, verbs) in words.TOPICS.items()}
    patterns = (
        *(t for r in (*words.RELATIONS, words.LAND, words.PRIVATE) for t in r.templates),
        *words.TOWN_LAND, *words.RESIDENT, *words.ASSOCIATION, words.OPINION, words.REGISTER,
    )  # fmt: skip
    table = {
        "special": (words.PADDING, words.UNKNOWN),
        "stop": (".", ":"),
        "opening": tuple(a for a, _ in words.BRACKETS),
        "closing": tuple(b for _, b in words.BRACKETS),
        "function": tuple(words.words_of(patterns)),
        **world.objects,
        **topics,
    }
    words.check_one_category(table)
    return table


def _objects(shape: FactsShape, rng: np.random.Generator) -> dict[str, tuple[str, ...]]:
    listed: dict[str, tuple[str, ...]] = {
        "job": words.JOBS, "pet": words.PETS, "food": words.FOODS, "code": words.CODES, "refusal": (words.REFUSAL,),
        "speaker": words.SPEAKERS, "guild": words.GUILDS, "instrument": words.INSTRUMENTS, "member": words.MEMBERS,
        "adjective": words.ADJECTIVES,
    }  # fmt: skip
    taken = {w for row in listed.values() for w in row}

    def names(count: int, *endings: str) -> tuple[str, ...]:
        return words.invented(count, endings=endings, rng=rng, taken=taken)

    listed["job"] = (*words.JOBS[: shape.jobs], *names(max(0, shape.jobs - len(words.JOBS)), "ier", "ist"))
    return {
        "first": names(shape.first_names, "a", "o", "i"),
        "last": names(shape.last_names, "sen", "ker", "mont"),
        "town": names(shape.towns, "ville", "burg", "port"),
        "land": names(shape.lands, "land", "ia"),
        **listed,
    }


def _subjects(
    shape: FactsShape, objects: dict[str, tuple[str, ...]], rng: np.random.Generator
) -> tuple[tuple[str, str], ...]:
    shared = -(-shape.subjects // shape.last_names)
    found = [
        (str(first), last)
        for last in objects["last"]
        for first in rng.choice(np.array(objects["first"]), size=shared, replace=False)
    ]
    return tuple(found[n] for n in sorted(rng.permutation(len(found))[: shape.subjects].tolist()))


def _spread(choices: tuple[str, ...], count: int, rng: np.random.Generator) -> list[str]:
    """Each choice as often as any other, give or take one, in a random order."""
    order = np.resize(np.arange(len(choices)), count)
    return [choices[n] for n in rng.permutation(order).tolist()]
