"""After the sets are known: does the place matter, the way of removing, the wording; and which words are it?

Each is a handful of questions. What this module does not do: look for causes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from maieutic.forensics.action import Context
from maieutic.forensics.attribution.cause import Move
from maieutic.forensics.attribution.minimal import Asked, MinimalSets, members, shrink
from maieutic.forensics.attribution.question import Question
from maieutic.forensics.attribution.trials import Trials
from maieutic.forensics.partition import Part, partition
from maieutic.forensics.removal import Masker, NoRewriteError, removal, remove_parts
from maieutic.readings import Reading


def moves(trials: Trials, question: Question, found: MinimalSets) -> tuple[Move, ...]:
    """Put the words of each part of the cause elsewhere, all but one sufficient set removed.

    Places: the farthest part of the same message, a part of another message of the same role, a part of another role's
    message; none of them belongs to the cause or is an argument of a call. Two or more parts that act together are exchanged too.

    Cost: at most three questions a part and one a set.
    """
    parts, made, done = trials.parts, list[Move](), set[int]()
    cause = {i for s in found.sufficient for i in members(s)}
    for one in found.sufficient:
        kept = members(one)
        for i in kept:
            if i in done:
                continue
            done.add(i)
            for to in _places(parts, i, cause):
                context = trials.masker(frozenset(kept) - {i}, {to: parts[i].text})
                made.append(Move(part=parts[i], to=parts[to], swap=False, happens=question(context)))
        if len(kept) > 1:
            first, last = kept[0], kept[-1]
            context = trials.masker(frozenset(kept), {first: parts[last].text, last: parts[first].text})
            made.append(Move(part=parts[first], to=parts[last], swap=True, happens=question(context)))
    return tuple(made)


def _places(parts: Sequence[Part], i: int, cause: set[int]) -> list[int]:
    """Where to put the words of a part."""
    here = parts[i].spans[0]
    free = [j for j in range(len(parts)) if j not in cause and not parts[j].spans[0].field]
    same = [j for j in free if parts[j].spans[0].message == here.message]
    role = [j for j in free if parts[j].role == parts[i].role and parts[j].spans[0].message != here.message]
    other = [j for j in free if parts[j].role != parts[i].role]
    found = [max(group, key=lambda j: (abs(j - i), -j)) for group in (same, role, other) if group]
    return list(dict.fromkeys(found))


def ways(
    trials: Trials,
    question: Question,
    edit: Sequence[Part],
    names: Sequence[str],
    rewrite: Callable[[str], str] | None,
) -> dict[str, Reading]:
    """How often the act still happens when these parts are removed in other ways, all else kept.

    A way that cannot be made (no other words are known) is unmeasured. Cost: a question a way.
    """
    found: dict[str, Reading] = {}
    for name in names:
        if name == trials.how.name:
            continue
        try:
            context: Context = remove_parts(trials.action.messages, edit, removal(name, rewrite=rewrite))
        except NoRewriteError as error:
            found[name] = Reading.unmeasured(f"act.{name}", str(error))
            continue
        question(context)
        found[name] = question.reading(f"act.{name}", context)
    return found


def words(trials: Trials, question: Question, sufficient: int) -> tuple[Part, ...]:
    """The tokens of a sufficient set that suffice, everything else removed; empty when removing tokens breaks the rest.

    Cost: about ``k log2 t`` questions for k of its t tokens.
    """
    fine = partition(trials.action.messages, level="token", tokens=trials.actor.tokens)
    inside = [fine.part(trials.parts[i].id) for i in members(sufficient)]
    groups = [fine.leaves_of(p) for p in inside]
    tokens = [t for g in groups for t in g]
    outside = [p for i, p in enumerate(trials.parts) if i not in members(sufficient)]
    masker = Masker(trials.action.messages, [*tokens, *outside], trials.how)

    def ask(kept: int) -> bool:
        return question(masker(frozenset(members(kept))))

    asked, at, tree = Asked(ask=ask), 0, list[tuple[int, ...]]()
    for group in groups:
        tree.append(tuple(range(at, at + len(group))))
        at += len(group)
    everything = (1 << len(tokens)) - 1
    asked.learn(everything, True)
    asked.learn(0, False)
    return tuple(tokens[i] for i in members(shrink(asked, everything, tree)))
