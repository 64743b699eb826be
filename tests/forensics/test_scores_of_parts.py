"""Leave one out, surrogate, Shapley, interactions, substitution, resampling: against values by hand and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from maieutic.forensics.action import Act, Action, Context, Message, Sampling
from maieutic.forensics.actor_policy import PolicyActor
from maieutic.forensics.attribution import (
    Trials,
    interactions,
    leave_one_out,
    resample_sentences,
    shapley,
    substitute,
    surrogate,
)
from maieutic.forensics.attribution.edits import similarity
from maieutic.forensics.attribution.surrogate import lasso
from maieutic.forensics.attribution.trials import log_odds
from maieutic.forensics.partition import partition
from maieutic.forensics.removal import Delete

WORDS = "one two six ten"
CONTEXT: Context = (Message(role="user", content=WORDS),)


def trials(value: Callable[[str], float], *, mode: str = "score", temperature: float = 1.0) -> Trials:
    """Words as parts; the value is the probability of the act."""
    act = Act.continuation("go") if mode == "score" else Act.regex("go")
    action = Action(id="w", messages=CONTEXT, act=act, sampling=Sampling(temperature=temperature))

    def rate(context: Context) -> float:
        return value(context[0].content)

    def policy(context: Context, rng: np.random.Generator) -> str:
        return "go" if rng.random() < rate(context) else "no"

    actor = PolicyActor(policy, rate=rate if mode == "score" else None)
    return Trials(action, actor, partition(CONTEXT, level="token").at("token"), Delete())


def logistic(score: float) -> float:
    return float(1 / (1 + np.exp(-score)))


def additive(text: str) -> float:
    """Log-odds: -2, +3 with "one", -1 with "two"."""
    return logistic(-2 + 3 * ("one" in text) - ("two" in text))


def values(found) -> list[float]:  # type: ignore[no-untyped-def]
    return [e.value for e in found.effects]


def test_additive_scores_are_found_by_every_method() -> None:
    for method in (leave_one_out, shapley):
        found = method(trials(additive))
        assert values(found) == pytest.approx([3, -1, 0, 0], abs=1e-6)
        assert found.unit == "log-odds" and found.strongest(1)[0].text.strip() == "one"
    assert leave_one_out(trials(additive)).spent.calls == 5
    # the lasso's penalty takes 0.01 / standard deviation (0.5) off each weight, and a little for chance correlations
    found = surrogate(trials(additive), masks=64, resamples=20)
    assert values(found) == pytest.approx([3, -1, 0, 0], abs=0.06)
    assert found.spent.calls <= 16  # four words have 16 masks, and equal ones are measured once
    assert found.effects[0].low is not None and found.effects[0].low > 2.5


def test_a_redundant_cause_is_missed_by_one_and_shared_by_the_other() -> None:
    either = trials(lambda t: 1.0 if "one" in t or "two" in t else 0.0, mode="once", temperature=0)
    assert values(leave_one_out(either)) == [0, 0, 0, 0]
    # of two orders of "one" and "two", each is first in one: half the gain of 1 each
    assert values(shapley(either, orders=16)) == pytest.approx([0.5, 0.5, 0, 0])
    pair = interactions(either, [0, 1])
    # all 1, without either 1, without both 0: 1 - 1 - 1 + 0
    assert pair[0, 1].value == -1
    both = trials(lambda t: 1.0 if "one" in t and "two" in t else 0.0, mode="once", temperature=0)
    assert interactions(both, [0, 1])[0, 1].value == 1 and interactions(both, [0, 2])[0, 2].value == 0


def test_rates_have_intervals_that_hold_the_truth() -> None:
    noisy = trials(lambda t: 0.9 if "one" in t else 0.2, mode="rate")
    found = leave_one_out(noisy, samples=64)
    first, *others = found.effects
    assert first.low is not None and first.high is not None and first.low < 0.7 < first.high and first.low > 0.4
    assert first.details["p"] < 1e-6
    assert all(e.low is not None and e.high is not None and e.low < 0 < e.high for e in others)
    assert all(e.details["p"] > 0.05 for e in others)
    assert found.spent.calls == 5 * 64


@pytest.mark.parametrize("penalty", [0.01, 0.3])
def test_the_lasso_is_scikit_learns(penalty: float) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    draw = np.random.default_rng(2)
    x = (draw.random((64, 20)) < 0.5).astype(float)
    x[:, 7] = 1.0  # a part that is never removed
    y = 2 * x[:, 0] - 3 * x[:, 3] + draw.normal(size=64) * 0.3
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    theirs = linear.Lasso(alpha=penalty, tol=1e-10, max_iter=100_000).fit((x - x.mean(axis=0)) / spread, y)
    assert lasso(x, y, penalty=penalty) == pytest.approx(theirs.coef_ / spread, abs=1e-6)


def test_log_odds_are_exact_near_both_ends() -> None:
    assert log_odds(np.log(0.5)) == pytest.approx(0)
    assert log_odds(np.log(0.8)) == pytest.approx(np.log(4))
    assert log_odds(-600.0) == pytest.approx(-600.0)
    # p = 1 - 1e-12: log(p / (1 - p)) = 12 log 10
    assert log_odds(float(np.log1p(-1e-12))) == pytest.approx(12 * np.log(10), rel=1e-4)
    assert log_odds(0.0) == 700


def test_a_substitution_stands_beside_a_paraphrase() -> None:
    # "help" and its paraphrase "assist" act; any other word there does not
    text = "Please help."
    act, rate = Act.regex("go"), {"help": 0.9, "assist": 0.6}

    def policy(context: Context, rng: np.random.Generator) -> str:
        here = next((r for w, r in rate.items() if w in context[0].content), 0.1)
        return "go" if rng.random() < here else "no"

    action = Action(id="s", messages=(Message(role="user", content=text),), act=act)
    part = partition(action.messages).at("sentence")
    made = Trials(action, PolicyActor(policy), part, Delete())
    found = substitute(made, part[0], "Please wait.", samples=400, rewrite=lambda t: t.replace("help", "assist"))
    for reading, truth in ((found.effect, 0.8), (found.baseline, 0.3), (found.net, 0.5)):
        assert reading.low is not None and reading.high is not None and reading.low < truth < reading.high
    assert found.spent.calls == 1200
    plain = substitute(made, part[0], "x", samples=1, rewrite=lambda t: t)
    assert plain.baseline.value is None and plain.net.value is None


def test_the_sentence_that_decides_an_answer_is_found() -> None:
    said = "I read the list. I will take the money. Then I stop. "

    def goes_on(context: Context, rng: np.random.Generator) -> str:
        begun = context[-1].content if context[-1].role == "assistant" else ""
        if "take the money" in begun:
            return "wire"
        # on its own it says the same in half of its answers, and then acts
        return "I will take the money. wire" if rng.random() < 0.5 else "I leave it. bye"

    action = Action(id="r", messages=CONTEXT, act=Act.regex("wire"), observed=Message(role="assistant", content=said))
    first, second, third = resample_sentences(action, PolicyActor(goes_on), samples=200)
    # before and behind the first sentence the rate is 0.5; behind the second it is 1
    assert abs(first.importance.value or 0) < 0.15 and third.importance.value == 0
    assert second.importance.low is not None and second.importance.low > 0.35
    # answers that went on with another sentence never act
    assert second.counterfactual.value == 1.0
    assert third.counterfactual.value == 0.0
    assert (
        similarity("I will take the money.", "i will take the money") == pytest.approx(1) and similarity("a", "b") == 0
    )
