"""The text search on units whose truth is known: each must be found, said, and predicted on the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from maieutic.explain.explanation import Explanation
from maieutic.explain.lookup_text import lookup_text
from maieutic.explain.predicates.base import from_json
from maieutic.explain.search.text import explain_text
from maieutic.harvest.atlas import Atlas, Observed
from maieutic.lab import Budget, Lab
from maieutic.stimuli.base import Corpus, Split, Stimulus
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.function import function_subject, words

NOUNS = ["dog", "cat", "river", "house", "teacher", "garden", "letter", "engine", "window", "market", "winter", "bread"]
NOUNS += ["bridge", "forest", "island", "doctor"]
VERBS = ["sees", "likes", "paints", "builds", "follows", "carries", "watches", "leaves", "holds", "finds"]
ADJECTIVES = ["old", "red", "quiet", "large", "green", "heavy", "strange", "early", "distant", "common"]
ADVERBS = ["slowly", "quickly", "gladly", "nearly", "rarely"]

Fn = Callable[[list[str]], list[float]]


def tokens(text: str) -> list[str]:
    """Words and marks, lower case."""
    return [t.text.lower() for t in words(text)]


def texts(n: int, seed: int = 0, *, insert: Callable[[np.random.Generator], str] | None = None) -> list[str]:
    """Sentences from a small grammar; about half of them hold what ``insert`` gives."""
    rng = np.random.default_rng(seed)
    out: list[str] = []
    for _ in range(n):
        sentences: list[str] = []
        for _ in range(4):
            pick = lambda pool: pool[int(rng.integers(len(pool)))]  # noqa: E731
            row = ["the", pick(ADJECTIVES), pick(NOUNS), pick(VERBS), pick(["the", "a"]), pick(NOUNS), pick(ADVERBS)]
            if rng.random() < 0.3:
                row += ["in", str(int(rng.integers(1, 3000)))]
            if insert is not None and rng.random() < 0.4:
                row.insert(int(rng.integers(1, len(row))), insert(rng))
            sentences.append(" ".join(row).capitalize())
        out.append(". ".join(sentences) + ".")
    return out


def lab_of(
    fn: Fn, contents: Sequence[str], *, per_token: bool = True, measurements: int = 200
) -> tuple[Lab, list[Stimulus]]:
    """A lab on a unit that is a function of the tokens (or of the whole text), and the test stimuli."""
    stimuli = [text_stimulus(t, group=f"document {i}") for i, t in enumerate(contents)]
    splits: tuple[Split, ...] = ("discover", "select", "test", "discover")
    stimuli = [replace(s, split=splits[i % 4]) for i, s in enumerate(stimuli)]

    def run(batch: list[str]) -> list[Any]:
        return [fn(tokens(t)) if per_token else float(max(fn(tokens(t)), default=0.0)) for t in batch]

    subject = function_subject(run, name=f"planted{'' if per_token else '-text'}")
    unit = subject.unit()
    values = dict(zip([s.id for s in stimuli], subject.measure(stimuli, unit), strict=True))
    atlas = Atlas(
        subject=subject.name,
        corpus=Corpus(name="made-up", modality="text", stimuli=stimuli),
        sites={},
        observe=lambda _, split: [Observed(s, values[s.id]) for s in stimuli if s.split == split],
    )
    return Lab(subject, unit, atlas, budget=Budget(measurements=measurements)), [
        s for s in stimuli if s.split == "test"
    ]


def correlation(fn: Fn, found: Explanation, test: Sequence[Stimulus]) -> float:
    truth = np.concatenate([fn(tokens(s.content)) for s in test])
    return float(np.corrcoef(np.concatenate(found.predict(test)), truth)[0, 1])


def near(tokens: list[str], i: int, word: str, n: int) -> bool:
    return word in tokens[max(0, i - n) : i]


RULES: dict[str, tuple[Callable[[list[str], int], float], str]] = {
    "single": (lambda t, i: float(t[i] == "river"), '"river"'),
    "or": (lambda t, i: float(t[i] in ("river", "bread")), '"bread"'),
    "and": (lambda t, i: float(t[i] == "the" and near(t, i, "old", 4)), '"old"'),
    "and not": (lambda t, i: float(t[i] == "dog" and not near(t, i, "the", 1)), "but not"),
    "suffix": (lambda t, i: float(t[i].endswith("ly")), "-ly"),
    "numbers": (lambda t, i: float(t[i].isdigit() and 1500 <= int(t[i]) <= 2100), "years (1500 to 2100)"),
    "position": (lambda t, i: float(i < 2), "first 2 tokens"),
    "graded": (lambda t, i: {"river": 1.0, "bread": 0.5}.get(t[i], 0.0), '"river"'),
}


@pytest.mark.parametrize("name", RULES)
def test_planted_rules_are_found_and_said(name: str) -> None:
    rule, said = RULES[name]

    def fn(tokens: list[str]) -> list[float]:
        return [rule(tokens, i) for i in range(len(tokens))]

    lab, test = lab_of(fn, texts(240))
    found = explain_text(lab)
    assert not found.abstained, found.reason
    assert said in found.label
    assert correlation(fn, found, test) > 0.9
    assert found.confidence > 0.7
    assert len(lab.ledger) > 0 and set(found.evidence) <= {e.id for e in lab.ledger.entries}
    assert all(e.expect is not None for e in lab.ledger.entries)


def test_a_dead_unit_and_a_noise_unit_are_left_unexplained() -> None:
    rng = np.random.default_rng(0)
    dead, _ = lab_of(lambda tokens: [0.0] * len(tokens), texts(80))
    assert "never changes" in (explain_text(dead).reason or "")
    noise, _ = lab_of(lambda tokens: list(rng.standard_normal(len(tokens))), texts(160))
    assert explain_text(noise).abstained


def test_a_noisy_unit_is_still_found() -> None:
    def fn(tokens: list[str]) -> list[float]:
        noise = np.random.default_rng(len("".join(tokens))).normal(0, 0.2, len(tokens))
        return list(noise + [t == "garden" for t in tokens])

    lab, _ = lab_of(fn, texts(240))
    assert '"garden"' in explain_text(lab).label


def test_experiments_change_the_answer_when_the_corpus_misleads() -> None:
    """In the corpus "zinc" always stands before "ore" and nowhere else. The unit fires on whatever follows "zinc"."""

    def fn(tokens: list[str]) -> list[float]:
        return [float(i > 0 and tokens[i - 1] == "zinc") for i in range(len(tokens))]

    contents = texts(200, insert=lambda _: "zinc ore")
    with_experiments, _ = lab_of(fn, contents)
    without, _ = lab_of(fn, contents)
    found, guessed = explain_text(with_experiments), explain_text(without, experiments=False)
    assert '"ore"' in guessed.label and "zinc" not in guessed.label  # the plainest reading of the corpus
    assert 'right after "zinc"' in found.label and '"ore"' not in found.label
    assert any('"ore"' in label and "foretells" in why for label, why in found.considered)
    assert found.predict(["we saw zinc plates"])[0].argmax() == 3
    assert guessed.predict(["we saw zinc plates"])[0].max() < 0.5


def test_experiments_keep_a_condition_that_is_really_needed() -> None:
    """The same corpus; the unit fires on "ore" after "zinc" only: both are needed, and only experiments can tell."""

    def fn(tokens: list[str]) -> list[float]:
        return [float(t == "ore" and i > 0 and tokens[i - 1] == "zinc") for i, t in enumerate(tokens)]

    lab, _ = lab_of(fn, texts(200, insert=lambda _: "zinc ore"))
    found = explain_text(lab)
    assert '"ore"' in found.label and "zinc" in found.label
    assert found.predict(["iron ore here"])[0].max() < 0.5 < found.predict(["zinc ore here"])[0].max()


def test_the_budget_is_kept_and_the_run_repeats_itself() -> None:
    def fn(tokens: list[str]) -> list[float]:
        return [float(t in ("river", "winter")) for t in tokens]

    first, _ = lab_of(fn, texts(160), measurements=5)
    assert explain_text(first).label and len(first.ledger) <= 5
    a, b = (lab_of(fn, texts(160))[0] for _ in range(2))
    one, two = explain_text(a), explain_text(b)
    assert (one.label, one.predicate, one.confidence) == (two.label, two.predicate, two.confidence)
    assert [e.shown for e in a.ledger.entries] == [e.shown for e in b.ledger.entries]


def test_predicates_survive_storage() -> None:
    def fn(tokens: list[str]) -> list[float]:
        return [float(t == "dog" and near(tokens, i, "old", 3)) for i, t in enumerate(tokens)]

    lab, test = lab_of(fn, texts(200))
    found = explain_text(lab)
    again = from_json(found.predicate.to_json())
    assert found.viewer is not None
    for s in test[:5]:
        np.testing.assert_array_equal(again.evaluate(found.viewer(s)), found.predict([s])[0])


def test_a_unit_with_one_value_a_text() -> None:
    def fn(tokens: list[str]) -> list[float]:
        return [float(t == "island") for t in tokens]

    lab, test = lab_of(fn, texts(300), per_token=False)
    found = explain_text(lab)
    assert not found.abstained, found.reason
    assert "texts with" in found.label and "island" in found.label
    predicted = np.concatenate(found.predict(test))
    truth = np.array([float("island" in s.content.lower()) for s in test])
    assert predicted.shape == truth.shape
    assert {e.kind for e in lab.ledger.entries} == {"delete", "insert"}
    assert np.corrcoef(predicted, truth)[0, 1] > 0.95


def test_lookup_is_the_shrunken_mean_of_each_token() -> None:
    lab, _ = lab_of(lambda tokens: [float(t == "bread") for t in tokens], texts(120))
    found = lookup_text(lab)
    assert '"bread"' in found.label
    n = sum(o.stimulus.content.lower().count(" bread") for o in lab.discover)
    total = sum(len(o.values) for o in lab.discover)
    # one pseudo-count at the overall mean: (n * 1 + n / total) / (n + 1)
    expected = (n + n / total) / (n + 1)
    assert found.predict(["some bread"])[0][1] == pytest.approx(expected, abs=1e-3)
