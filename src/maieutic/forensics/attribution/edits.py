"""Dearer experiments for a short list: put something else in a part's place, and resample the model's own sentences.

*Substitution*: how much the act's rate falls when a part is replaced by other words, beside how much it falls when the part
is only said differently: what any edit does is not the effect of this one. *Resampling* (Bogdan et al. 2025, arXiv
2506.19143): the model goes on from each beginning of its own answer; a sentence's importance is the rate with it minus the
rate without, its counterfactual importance counts only those answers that went on with something else.

What this module does not do: propose edits. Similarity of sentences is the cosine of their word counts, no embedding.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from maieutic.forensics.act import ActTest
from maieutic.forensics.action import Action, Context, Message
from maieutic.forensics.actor import Actor, Sample, Spent
from maieutic.forensics.attribution.trials import Trials
from maieutic.forensics.partition import Part, partition
from maieutic.forensics.removal import NoRewriteError, removal, remove_parts, replace_parts
from maieutic.forensics.sequential import Tally, difference_interval
from maieutic.readings import Reading

#: answers go on with something else when their first sentence is less like the removed one than this
DIFFERENT = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """What replacing a part does.

    Attributes:
        part: what was replaced, by ``instead``.
        effect: rate (log-odds) before minus after.
        baseline: the same for a paraphrase of the part; unmeasured when none could be made.
        net: after the paraphrase minus after the substitution: the effect beyond that of rewording.
        spent: what it cost.
    """

    part: Part
    instead: str
    effect: Reading
    baseline: Reading
    net: Reading
    spent: Spent


def substitute(
    trials: Trials, part: Part, instead: str, *, samples: int = 32, rewrite: Callable[[str], str] | None = None
) -> Substitution:
    """Replace a part. Cost: three conditions, ``samples`` each (one pass or sample where that tells all).

    Args:
        trials: what is measured.
        part: one span of text.
        instead: other words.
        samples: of each condition, in mode ``rate``.
        rewrite: makes the paraphrase; rules otherwise.
    """
    before, messages = trials.spent, trials.action.messages
    after = replace_parts(messages, [(part, instead)])
    effect = _difference("effect", trials, messages, after, samples)
    try:
        other = remove_parts(messages, [part], removal("paraphrase", rewrite=rewrite))
    except NoRewriteError as error:
        baseline, net = (Reading.unmeasured(n, str(error)) for n in ("baseline", "net"))
    else:
        baseline = _difference("baseline", trials, messages, other, samples)
        net = _difference("net", trials, other, after, samples)
    return Substitution(
        part=part, instead=instead, effect=effect, baseline=baseline, net=net, spent=trials.spent - before
    )


def _difference(name: str, trials: Trials, first: Context, second: Context, samples: int) -> Reading:
    """The act in the first context minus that in the second."""
    if trials.mode == "score":
        a, b = trials.scores_of([first, second])
        return Reading(name=name, value=a - b, n=1, details={"unit": "log-odds"})
    one, two = (trials.tally_of(c, samples) for c in (first, second))
    low, high = difference_interval(one, two) if trials.mode == "rate" else (None, None)
    return Reading(name=name, value=one.rate - two.rate, low=low, high=high, n=one.n + two.n, details={"unit": "rate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceEffect:
    """How much one sentence of the model's own answer decides.

    Attributes:
        text: the sentence.
        importance: rate of the act when the answer goes on behind it, minus when it goes on before it.
        counterfactual: the same, only answers counted that went on with a different sentence; unmeasured without any.
    """

    text: str
    importance: Reading
    counterfactual: Reading


def resample_sentences(
    action: Action,
    actor: Actor,
    *,
    samples: int = 32,
    seed: int = 0,
    test: ActTest | None = None,
    begun: str | None = None,
) -> list[SentenceEffect]:
    """Let the answer go on from behind each of its sentences.

    Args:
        action: its ``observed`` message holds the answer; its text is cut into sentences.
        actor: who goes on; a provider that takes no beginning of an answer gives failed samples.
        samples: answers from each beginning.
        seed: of the first.
        test: whether the whole answer is the act.
        begun: the answer's text, where it is not that of ``observed``.

    Cost: ``samples x (sentences + 1)``.

    Raises:
        UserError: nothing can be asked.
    """
    said = begun if begun is not None else action.observed.content if action.observed else ""
    cut = partition((Message(role="assistant", content=said),), level="sentence").at("sentence") if said else ()
    rows: list[tuple[Tally, list[tuple[str, bool]]]] = []
    with test or ActTest(action.act) as looking:
        for i in range(len(cut) + 1):
            beginning = "".join(p.text for p in cut[:i])
            # an answer without a beginning is an answer from scratch, not the continuation of an empty one
            start = (Message(role="assistant", content=beginning),) if beginning else ()
            context = (*action.messages, *start)
            (drawn,) = actor.samples([context], n=samples, seed=seed + i * samples, sampling=action.sampling)
            whole = [_behind(beginning, s) for s in drawn]
            happened = [v.happened for v in looking(whole)]
            went = [
                (s.message.content, h)
                for s, h in zip(drawn, happened, strict=True)
                if s.message is not None and h is not None
            ]
            rows.append((Tally(happened=sum(h for _, h in went), n=len(went)), went))
    return [_effect(cut[i], rows[i], rows[i + 1][0]) for i in range(len(cut))]


def _behind(beginning: str, sample: Sample) -> Sample:
    """The whole answer."""
    if sample.message is None:
        return sample
    return Sample(message=replace(sample.message, content=beginning + sample.message.content))


def _effect(part: Part, without: tuple[Tally, Sequence[tuple[str, bool]]], with_it: Tally) -> SentenceEffect:
    tally, went = without
    other = [h for text, h in went if similarity(_first(text), part.text) < DIFFERENT]
    return SentenceEffect(
        text=part.text,
        importance=_rise("importance", with_it, tally),
        counterfactual=_rise("counterfactual", with_it, Tally(happened=sum(other), n=len(other))),
    )


def _rise(name: str, after: Tally, before: Tally) -> Reading:
    if not after.n or not before.n:
        return Reading.unmeasured(name, "no answer could be used")
    low, high = difference_interval(after, before)
    return Reading(name=name, value=after.rate - before.rate, low=low, high=high, n=after.n + before.n)


def _first(text: str) -> str:
    parts = partition((Message(role="assistant", content=text),), level="sentence").at("sentence")
    return parts[0].text if parts else ""


def similarity(a: str, b: str) -> float:
    """Cosine of the word counts of two texts, 0 to 1."""
    one, two = (Counter(re.findall(r"\w+", t.lower())) for t in (a, b))
    norm = math.sqrt(sum(c * c for c in one.values()) * sum(c * c for c in two.values()))
    return sum(one[w] * two[w] for w in one) / norm if norm else 0.0
