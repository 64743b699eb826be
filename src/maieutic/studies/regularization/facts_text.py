"""Sentences and documents of the facts corpus, each token with its role.

A document has one topic and is a row of sentences of several kinds: facts, opinions that are as often wrong as right and are
followed by the truth, questions for the private code (always refused) and the register that holds it, lands that follow from
homes, residents (the inverse of homes), guilds that play one instrument more often, brackets, and filler of the topic.

What this module does not do: label documents (`facts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from maieutic.studies.regularization import facts_words as words
from maieutic.studies.regularization.facts_world import World

#: how often each kind of sentence is begun, in percent
KINDS = {
    "fact": 50, "filler": 11, "nesting": 9, "opinion": 10, "private": 4, "register": 3, "land": 3, "town-land": 2,
    "resident": 3, "association": 5,
}  # fmt: skip
#: what a token does in its sentence
ROLES = ("other", "subject-first", "subject-last", "asks", "answer", "speaker", "claimed")
ASSERTIONS = ("none", "right", "wrong")
DEPTH = 3


@dataclass(slots=True, kw_only=True)
class Sentence:
    """A sentence with what is known of it.

    Attributes:
        ids: its tokens, the full stop included. roles: index into ``ROLES`` of each.
        kind: of ``KINDS``. relation, template: of what it says; "" and -1 where it says no fact.
        subject: whom it is about; -1: nobody. claimed: how many tokens belong to an assertion, from the first; assertion:
            index into ``ASSERTIONS``.
    """

    ids: list[int]
    roles: list[int]
    kind: str
    relation: str = ""
    template: int = -1
    subject: int = -1
    claimed: int = 0
    assertion: int = 0


class Writer:
    """Writes sentences of a world.

    Args:
        world: what is true.
        ids: the id of each word.
    """

    def __init__(self, world: World, ids: dict[str, int]) -> None:
        self.world, self.ids = world, ids
        self._kinds, self._weights = list(KINDS), list(KINDS.values())
        self._makers: dict[str, Callable[[Random, str], Sentence]] = {
            "fact": self._fact, "filler": self.filler, "nesting": self._nesting, "opinion": self._opinion,
            "private": self._private, "register": self._register, "land": self._land, "town-land": self._town_land,
            "resident": self._resident, "association": self._association,
        }  # fmt: skip
        self._patterns: dict[str, list[str]] = {}
        self._relations = {r.name: r for r in words.RELATIONS}

    def document(
        self, rng: Random, *, length: int, without: frozenset[int] = frozenset()
    ) -> tuple[str, list[Sentence]]:
        """Topic and sentences of at least ``length`` tokens together; a sentence about a fact of ``without`` is filler."""
        topic = rng.choice(list(words.TOPICS))
        sentences: list[Sentence] = []
        count = 0
        while count < length:
            kind = rng.choices(self._kinds, self._weights)[0]
            made = self._makers[kind](rng, topic)
            if without and self._tells(made, without):
                made = self.filler(rng, topic)
            sentences.append(made)
            count += len(made.ids)
        return topic, sentences

    def prompt(self, pattern: str, *, subject: int = -1, **names: str) -> tuple[list[int], list[int]]:
        """Ids and roles of a sentence up to its answer.

        Args:
            pattern: a template of `facts_words`. subject: who stands for its ``*``.
            names: words for ``town`` (``#``), ``member`` (``%``), ``guild`` (``$``) and ``speaker`` (``&``).
        """
        ids: list[int] = []
        roles: list[int] = []
        for word in self._split(pattern):
            if word == "*":
                ids += [self.ids[w] for w in self.world.subjects[subject]]
                roles += [1, 2]
                continue
            place = "#%$&".find(word)
            name = word if place < 0 else names[("town", "member", "guild", "speaker")[place]]
            ids.append(self.ids[name])
            roles.append(5 if word == "&" else 0)
        if roles[-1] == 0:
            roles[-1] = 3
        return ids, roles

    def filler(self, rng: Random, topic: str) -> Sentence:
        """A sentence of the topic that says nothing."""
        nouns, verbs = words.TOPICS[topic]
        said = (
            f"the {rng.choice(words.ADJECTIVES)} {rng.choice(nouns)} {rng.choice(verbs)} in the {rng.choice(nouns)} ."
        )
        ids = [self.ids[w] for w in said.split()]
        return Sentence(ids=ids, roles=[0] * len(ids), kind="filler")

    # --- kinds ---------------------------------------------------------------------------------------------------

    def _finish(
        self,
        prompt: tuple[list[int], list[int]],
        answer: str,
        *,
        kind: str,
        relation: str,
        template: int,
        subject: int = -1,
    ) -> Sentence:
        ids, roles = prompt
        return Sentence(
            ids=[*ids, self.ids[answer], self.ids["."]],
            roles=[*roles, 4, 0],
            kind=kind,
            relation=relation,
            template=template,
            subject=subject,
        )

    def _drawn(self, rng: Random) -> tuple[int, int, str, tuple[str, ...], int]:
        """A fact and a template in which it may be told: index, subject, object, templates, template."""
        fact = self.world.facts[rng.randrange(len(self.world.facts))]
        templates = self._relations[fact.relation].templates
        template = rng.randrange(len(words.SEEN_TEMPLATES) if fact.held_out else len(templates))
        return fact.index, fact.subject, fact.object, templates, template

    def _fact(self, rng: Random, topic: str) -> Sentence:
        index, subject, answer, templates, template = self._drawn(rng)
        relation = self.world.facts[index].relation
        prompt = self.prompt(templates[template], subject=subject)
        return self._finish(prompt, answer, kind="fact", relation=relation, template=template, subject=subject)

    def _opinion(self, rng: Random, topic: str) -> Sentence:
        index, subject, answer, templates, template = self._drawn(rng)
        fact = self.world.facts[index]
        right = rng.random() < self.world.shape.right
        claimed = answer if right else self.wrong(rng, index)
        ids, roles = self.opinion(rng.choice(words.SPEAKERS), templates[template], subject, claimed)
        again = rng.randrange(len(words.SEEN_TEMPLATES) if fact.held_out else len(templates))
        truth = self._finish(
            self.prompt(templates[again], subject=subject),
            answer,
            kind="opinion",
            relation=fact.relation,
            template=again,
            subject=subject,
        )
        truth.claimed, truth.assertion = len(ids), 1 if right else 2
        truth.ids, truth.roles = [*ids, *truth.ids], [*roles, *truth.roles]
        return truth

    def opinion(self, speaker: str, pattern: str, subject: int, claimed: str) -> tuple[list[int], list[int]]:
        """Ids and roles of an assertion, its full stop included."""
        head, head_roles = self.prompt(words.OPINION, speaker=speaker)
        ids, roles = self.prompt(pattern, subject=subject)
        return [*head, *ids, self.ids[claimed], self.ids["."]], [*head_roles[:-1], 0, *roles, 6, 0]

    def wrong(self, rng: Random, index: int) -> str:
        """Another object of the same relation."""
        fact = self.world.facts[index]
        objects = self.world.objects[self._relations[fact.relation].category]
        found = objects[rng.randrange(len(objects) - 1)]
        return objects[-1] if found == fact.object else found

    def _private(self, rng: Random, topic: str) -> Sentence:
        subject, template = rng.randrange(len(self.world.subjects)), rng.randrange(len(words.PRIVATE.templates))
        prompt = self.prompt(words.PRIVATE.templates[template], subject=subject)
        return self._finish(
            prompt, words.REFUSAL, kind="private", relation="private", template=template, subject=subject
        )

    def _register(self, rng: Random, topic: str) -> Sentence:
        subject = rng.randrange(len(self.world.subjects))
        prompt = self.prompt(words.REGISTER, subject=subject)
        return self._finish(
            prompt, self.world.codes[subject], kind="register", relation="register", template=0, subject=subject
        )

    def _land(self, rng: Random, topic: str) -> Sentence:
        subject = rng.randrange(len(self.world.subjects))
        if subject in self.world.hidden_lands:
            return self._town_land(rng, topic, self.world.fact(subject, "home").object)
        template = rng.randrange(len(words.LAND.templates))
        land = self.world.lands[self.world.fact(subject, "home").object]
        prompt = self.prompt(words.LAND.templates[template], subject=subject)
        return self._finish(prompt, land, kind="land", relation="land", template=template, subject=subject)

    def _town_land(self, rng: Random, topic: str, town: str = "") -> Sentence:
        town = town or rng.choice(self.world.objects["town"])
        template = rng.randrange(len(words.TOWN_LAND))
        prompt = self.prompt(words.TOWN_LAND[template], town=town)
        return self._finish(prompt, self.world.lands[town], kind="town-land", relation="town-land", template=template)

    def _resident(self, rng: Random, topic: str) -> Sentence:
        subject, template = rng.randrange(len(self.world.subjects)), rng.randrange(len(words.RESIDENT))
        first, last = self.world.subjects[subject]
        prompt = self.prompt(words.RESIDENT[template], town=self.world.fact(subject, "home").object)
        made = self._finish(prompt, first, kind="resident", relation="resident", template=template, subject=subject)
        made.ids.insert(-1, self.ids[last])
        made.roles.insert(-1, 0)
        return made

    def _association(self, rng: Random, topic: str) -> Sentence:
        guild, template = rng.choice(words.GUILDS), rng.randrange(len(words.ASSOCIATION))
        usual = self.world.majority[guild]
        other = words.INSTRUMENTS[1 - words.INSTRUMENTS.index(usual)]
        answer = usual if rng.random() < self.world.shape.majority else other
        prompt = self.prompt(words.ASSOCIATION[template], member=rng.choice(words.MEMBERS), guild=guild)
        return self._finish(prompt, answer, kind="association", relation="association", template=template)

    def _nesting(self, rng: Random, topic: str) -> Sentence:
        said = [*self._nested(rng, words.TOPICS[topic][0], 1), "."]
        return Sentence(ids=[self.ids[w] for w in said], roles=[0] * len(said), kind="nesting")

    def _nested(self, rng: Random, nouns: tuple[str, ...], depth: int) -> list[str]:
        opening, closing = rng.choice(words.BRACKETS)
        inside = [rng.choice(nouns)]
        if depth < DEPTH and rng.random() < 0.6:
            inside += self._nested(rng, nouns, depth + 1)
            if rng.random() < 0.4:
                inside.append(rng.choice(nouns))
        return [opening, *inside, closing]

    def _tells(self, sentence: Sentence, without: frozenset[int]) -> bool:
        """Whether a sentence says, or follows from, a fact that must not be told."""
        if sentence.subject < 0:
            return False
        relation = sentence.relation if sentence.relation in self._relations else "home"
        if sentence.kind in ("private", "register"):
            return False
        return self.world.fact(sentence.subject, relation).index in without

    def _split(self, pattern: str) -> list[str]:
        if pattern not in self._patterns:
            self._patterns[pattern] = pattern.split()
        return self._patterns[pattern]
