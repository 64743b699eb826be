"""The parts of judged scorers by hand: marks, samples, answers, metrics; simulation, embedding and delphi's counts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.explain.one_shot_windows import grid, marked, pair_for
from maieutic.llm import Answer
from maieutic.llm.fences import Fence
from maieutic.llm.scripted import Said
from maieutic.readings import Cost
from maieutic.score import Controls, score
from maieutic.score.evidence import Threshold
from maieutic.score.judged.asking import Asked, Told, Written, chance_of_one, numbers
from maieutic.score.judged.delphi import DelphiDetection, above, quantiles
from maieutic.score.judged.material import Material, Window
from maieutic.score.judged.sampling import Item, batches, over_range, right_marks, shifted, uniform
from maieutic.score.judged.scoring import answered
from maieutic.score.judged.simulation import Curve, correlation, simulated, standing
from maieutic.score.judged.yes_no import YesNo, accuracy, auroc, balanced
from maieutic.stimuli.base import Stimulus

WORD = "bul"


def window(values: list[float], *, name: str = "w", cluster: int = 0, first: int = 0, split: Any = "test") -> Window:
    words = [f"w{i}" for i in range(len(values))]
    ends = np.cumsum([len(w) + 1 for w in words]).tolist()
    spans = tuple((e - len(w) - 1, e - 1) for w, e in zip(words, ends, strict=True))
    array = np.array(values, dtype=np.float64)
    stimulus = Stimulus(id=name, modality="text", load=lambda: " ".join(words), group=f"g{cluster}", split=split)
    return Window(
        stimulus=stimulus, cluster=cluster, first=first, text=" ".join(words), spans=spans, values=array,
        scaled=np.clip(array / 10, 0, 1), active=array > 5,
    )  # fmt: skip


# --- marks and windows ---------------------------------------------------------------------------------------------


def test_windows_lie_on_a_grid_and_short_rests_are_left_out() -> None:
    assert grid(0) == []
    assert grid(5) == [(0, 5)]
    assert grid(39) == [(0, 32)]  # a rest of 7
    assert grid(40) == [(0, 32), (32, 40)]
    assert grid(70) == [(0, 32), (32, 64)]


def test_marks_by_hand() -> None:
    text = "The old cat sat."
    spans = [(0, 3), (3, 7), (7, 11), (11, 15), (15, 16)]
    assert marked(text, spans, [2], ("<<", ">>")) == "The old <<cat>> sat."
    assert marked(text, spans, [1, 2, 4], ("<<", ">>")) == "The <<old cat>> sat<<.>>"
    assert marked(text, spans, [], ("<<", ">>")) == text
    assert marked("a \n b", [(0, 1), (1, 3), (3, 5)], [1], ("<", ">")) == "a< \n> b"
    # a character cut into two tokens, and a token of no width
    assert marked("é!", [(0, 1), (0, 1), (1, 2), (2, 2)], [0, 1, 3], ("<", ">")) == "<é>!<>"


@given(st.text(max_size=40), st.data())
def test_marks_change_nothing_but_themselves(text: str, data: Any) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    spans = list(zip(cuts[:-1], cuts[1:], strict=True))
    marks = data.draw(st.lists(st.integers(0, max(len(spans) - 1, 0)), unique=True)) if spans else []
    pair = pair_for([text])
    assert marked(text, spans, marks, pair).replace(pair[0], "").replace(pair[1], "") == text


def test_marks_that_stand_in_a_text_are_not_used() -> None:
    assert pair_for(["a", "b"]) == ("<<", ">>")
    assert pair_for(["1 << 3"]) == ("⟪", "⟫")
    everything = "<< ⟪ [[ {{ « <<| >> <0<"
    assert pair_for([everything]) == ("<1<", ">1>")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True), st.integers(31, 40), st.integers(0, 99))
def test_moved_marks_keep_their_number_and_spacing_and_leave_the_right_place(
    marks: list[int], length: int, seed: int
) -> None:
    marks = sorted(marks)
    moved = shifted(marks, length, np.random.default_rng(seed), off=marks)
    assert len(moved) == len(marks)
    assert not set(moved) & set(marks)
    assert all(0 <= m < length for m in moved)
    fits = any(
        not {m - marks[0] + start for m in marks} & set(marks) for start in range(length - (marks[-1] - marks[0]))
    )
    if fits:
        assert [m - moved[0] for m in moved] == [m - marks[0] for m in marks]


def test_wrong_marks_where_there_is_no_wrong_place() -> None:
    rng = np.random.default_rng(0)
    assert shifted([0, 1, 2], 3, rng, off=[0, 1, 2]) == ()
    assert shifted([0, 1, 2], 5, rng, off=[0, 1, 2]) == (3, 4)
    assert shifted([], 5, rng) == ()


def test_marked_are_tokens_from_a_third_of_the_largest() -> None:
    assert right_marks(window([0, 10, 3, 2.9, 6])) == (1, 2, 4)
    assert right_marks(window([-2, -1, -3])) == (1,)  # nothing above rest: the largest
    assert above(np.array([0, 10.0, 3, 2.9])) == (1, 2)
    assert above(np.zeros(3)) == ()


@given(st.lists(st.text(max_size=30), max_size=5), st.integers(0, 5))
def test_no_text_holds_the_code_of_its_fence(texts: list[str], seed: int) -> None:
    fence = Fence.around(texts, seed=seed)
    assert not any(fence.nonce in t.lower() for t in texts)
    assert fence == Fence.around(texts, seed=seed)
    forged = Fence.around([*texts, fence.nonce.upper()], seed=seed)
    assert forged.nonce != fence.nonce


# --- samples -------------------------------------------------------------------------------------------------------


def test_samples_cover_the_range_evenly() -> None:
    many = [window([float(v), 0], name=f"{v:03d}") for v in range(200)]
    chosen = over_range(many, 50, np.random.default_rng(0))
    assert np.histogram([w.top for w in chosen], bins=10, range=(0, 200))[0].tolist() == [5] * 10
    assert len(over_range(many[:30], 50, np.random.default_rng(0))) == 30
    assert len(over_range(many[:53], 50, np.random.default_rng(0))) == 50
    assert len(uniform(many, 7, np.random.default_rng(0))) == 7


def test_delphi_draws_five_of_each_tenth_and_drops_the_remainder() -> None:
    # counted independently: 207 windows, tenths of 20 by rank, the last 7 (the weakest) belong to none
    many = [window([float(v), 0], name=f"{v:03d}") for v in range(207)]
    chosen = [int(w.top) for w in quantiles(many, seed=3)]
    ranks = [206 - v for v in chosen]
    assert len(set(ranks)) == 50
    assert [sum(20 * i <= r < 20 * (i + 1) for r in ranks) for i in range(10)] == [5] * 10
    assert max(ranks) < 200


def test_prompts_show_no_window_twice_where_that_can_be_helped() -> None:
    one = window([9.0, 0], name="a")
    items = [Item(kind="active", window=one), Item(kind="wrong", window=one)]
    items += [Item(kind="inactive", window=window([0, 0], name=f"{i}")) for i in range(10)]
    for seed in range(5):
        groups = batches(items, 5, np.random.default_rng(seed))
        assert [len(g) for g in groups] == [5, 5, 2]
        assert all(len({i.window.key for i in g}) == len(g) for g in groups)
        assert sorted(map(id, items)) == sorted(id(i) for g in groups for i in g)
    twice = batches(items[:2], 5, np.random.default_rng(0))
    assert [len(g) for g in twice] == [2]


def test_only_test_windows_can_be_judged() -> None:
    limit = Threshold(value=5.0, inclusive=False, quantile=0.99)
    with pytest.raises(AssertionError, match="test split only"):
        Material(
            windows=(window([1.0], split="discover"),), groups=1, threshold=limit, signs=frozenset(), whole=False
        )  # fmt: skip


# --- answers -------------------------------------------------------------------------------------------------------


def logs(*tokens: dict[str, float]) -> tuple[dict[str, float], ...]:
    return tuple({t: math.log(p) for t, p in top.items()} for top in tokens)


def test_probabilities_are_read_at_the_verdicts() -> None:
    tops = logs(
        {'{"': 1.0}, {"A": 0.9, "1": 0.1}, {'":': 1.0}, {" 1": 0.6, " 0": 0.2, "1": 0.1, " x": 0.1},
        {',"B": 0': 0.5, ',"B": 1': 0.3}, {"}": 1.0},
    )  # fmt: skip
    answer = Answer(text='{"A": 1,"B": 0}', parsed={"A": 1, "B": 0}, logprobs=tops)
    said, chances = YesNo().parse(answer, 2)
    assert said == [True, False]
    # A: (0.6 + 0.1) / (0.6 + 0.1 + 0.2); B: 0.3 / (0.3 + 0.5)
    assert chances == pytest.approx([0.7 / 0.9, 0.375])
    assert YesNo().parse(replace(answer, logprobs=()), 2)[1] == [None, None]
    # constrained output: what was written stands first and need not be the likeliest
    odd = logs({'{"A": ': 0.01, "Well": 0.9}, {"0": 0.2, "1": 0.3, "the": 0.5}, {"}": 1.0})
    assert YesNo().parse(Answer(text='{"A": 0}', parsed={"A": 0}, logprobs=odd), 1) == ([False], [pytest.approx(0.6)])
    assert chance_of_one({"yes": 0.5}) is None
    assert numbers({" 3": 0.25, "3": 0.25, "10": 0.5}) == {3: 0.5, 10: 0.5}


def test_delphi_lists() -> None:
    task = DelphiDetection()
    tops = logs({"[": 1.0}, {"1": 0.8, "0": 0.2}, {", ": 1.0}, {"0": 0.75, "1": 0.25}, {"]": 1.0})
    assert task.parse(Answer(text="[1, 0]", logprobs=tops), 2) == ([True, False], pytest.approx([0.8, 0.25]))
    assert task.parse(Answer(text="The list is [1,0] (2 examples)."), 2) == ([True, False], [None, None])
    for broken in ("[1, 0, 1]", "1, 0", "[1, 2]", "[10]", "[]", "none fit"):
        with pytest.raises(ValueError, match="no list of 2"):
            task.parse(Answer(text=broken), 2)


def test_simulated_activations_are_expected_values_where_alternatives_are_known() -> None:
    tops = logs({'{"1": ': 1.0}, {"4": 0.5, "6": 0.25, "0": 0.25}, {', "2": ': 1.0}, {"10": 0.5, "0": 0.5}, {"}": 1.0})
    answer = Answer(text='{"1": 4, "2": 10}', parsed={"1": 4, "2": 10}, logprobs=tops)
    # 0.5 x 4 + 0.25 x 6 = 3.5; 0.5 x 10 = 5
    assert simulated(answer).tolist() == pytest.approx([3.5, 5.0])
    assert simulated(replace(answer, logprobs=())).tolist() == [4.0, 10.0]
    # "10" in two tokens: what begins with 1 is the 10 that was said
    tops = logs({'{"1": ': 1.0}, {"1": 0.5, "0": 0.5}, {"0": 1.0}, {"}": 1.0})
    assert simulated(Answer(text='{"1": 10}', parsed={"1": 10}, logprobs=tops)).tolist() == [5.0]
    with pytest.raises(ValueError, match="from 0 to 10"):
        simulated(Answer(text="", parsed={"1": 11}))
    assert Written.of(Answer(text="x")).text == ""


# --- metrics -------------------------------------------------------------------------------------------------------


def told(truths: str, said: str, chances: list[float] | None = None) -> list[Told]:
    """One window a document; ``+`` active, ``-`` not; ``?`` unanswered."""
    return [
        Told(
            item=Item(kind="active" if t == "+" else "inactive", window=window([9.0 if t == "+" else 0.0, 0], cluster=i)),
            said=None if s == "?" else s == "+", probability=chances[i] if chances else None,
        )
        for i, (t, s) in enumerate(zip(truths, said, strict=True))
    ]  # fmt: skip


def asked(rows: list[Told]) -> Asked:
    return Asked(told=tuple(rows), prompts=len(rows), failures={}, first_failure="", cost=Cost())


def test_metrics_by_hand() -> None:
    rows = told("++++------", "+++-+-----", [0.9, 0.8, 0.7, 0.4, 0.6, 0.1, 0.2, 0.3, 0.1, 0.1])
    # 3 of 4 active, 5 of 6 others
    assert balanced(rows, groups=10).value == pytest.approx((3 / 4 + 5 / 6) / 2)
    assert accuracy(rows, groups=10).value == pytest.approx(8 / 10)
    # of 24 pairs only (0.4, 0.6) is the wrong way round
    found = auroc(rows, groups=10)
    assert not isinstance(found, str)
    assert found.value == pytest.approx(23 / 24)
    assert "0 of 4" in str(auroc(told("++--", "++--"), groups=4))
    low, high = balanced(rows, groups=10).interval() or (1, 0)
    assert low < 0.79 < high


def test_unanswered_items_are_neither_right_nor_wrong() -> None:
    rows = told("+" * 8 + "-" * 8, "+++++++?" + "-----+??")
    got = asked(rows)
    assert got.unusable("active", "inactive") is None
    # 7 of 7 active, 5 of 6 others
    assert balanced(got.among("active", "inactive"), groups=16).value == pytest.approx((1 + 5 / 6) / 2)
    assert "answered 5 of 16" in str(asked(told("+" * 8 + "-" * 8, "+++++" + "?" * 11)).unusable("active", "inactive"))
    assert "at least 5 of each" in str(asked(told("+" * 8 + "-" * 4, "+" * 8 + "-" * 4)).unusable("active", "inactive"))
    assert "there are no hard items" in str(got.unusable("active", "hard"))


def test_the_share_answered_is_of_the_items_behind_the_headline() -> None:
    rows = told("+" * 6 + "-" * 6, "++++++" + "---???")
    hard = [Told(item=replace(r.item, kind="hard")) for r in rows[6:]]
    share = answered(asked([*rows, *hard]), "detection.answered", ("active", "inactive"), {})
    assert (share.value, share.n) == (9 / 12, 12)
    # accuracy over everything asked: 9 right of 12
    assert accuracy(rows[:9], groups=20).value * share.value == pytest.approx(9 / 12)


def test_windows_of_a_simulation_count_for_the_stratum_they_come_from() -> None:
    def curve(said: list[float], measured: list[float], cluster: int, stands_for: float) -> Curve:
        return Curve(
            said=np.array(said), measured=np.array(measured), cluster=cluster, stands_for=stands_for, expected=False
        )  # fmt: skip

    a, b, c = ([1.0, 5.0], [2.0, 9.0]), ([0.0, 3.0], [1.0, 0.0]), ([2.0, 0.0], [0.0, 1.0])
    weighted = correlation([curve(*a, 0, 1.0), curve(*b, 1, 3.0), curve(*c, 2, 2.0)], groups=3)
    # a window that stands for three is there three times
    said, was = (np.concatenate([r[i] for r in (a, b, b, b, c, c)]) for i in (0, 1))
    assert weighted.value == pytest.approx(np.corrcoef(said, was)[0, 1])
    assert np.isnan(correlation([curve([1.0, 1.0], [0.0, 1.0], 0, 1.0)], groups=1).value)


def test_windows_that_were_not_answered_are_stood_for_by_the_others() -> None:
    items = [Item(kind="active", window=window([9.0, 0]), stands_for=2.0) for _ in range(4)]
    items += [Item(kind="inactive", window=window([0.0, 0]), stands_for=10.0) for _ in range(5)]
    rows = [Told(item=i, said=np.zeros(2)) for i in items]
    rows[0] = Told(item=items[0])
    curves = standing(asked(rows))
    assert [c.stands_for for c in curves] == pytest.approx([2 * 4 / 3] * 3 + [10.0] * 5)
    assert sum(c.stands_for for c in curves) == pytest.approx(4 * 2 + 5 * 10)


# --- simulation, delphi's counts and embedding, whole ---------------------------------------------------------------


def by_token(question: Any) -> dict[str, int]:
    """The simulator that believes the label."""
    rows = [line.split(" ", 1) for line in question.items["tokens"].split("\n")]
    return {i: 10 if json.loads(token).strip() in question.label.split(" or ") else 0 for i, token in rows}


def run(world: Any, scorer: str, options: dict[str, Any], *words: str, **more: Any) -> dict[str, Any]:
    label = world.label(world.units[0], *(words or (WORD,)))
    more.setdefault("controls", Controls())
    return score(label, world.subject, world.units[0], world.corpus, [scorer], options=options, **more)


def test_simulation_of_the_truth_is_one_and_of_another_word_nothing(world: Any, judges: Any) -> None:
    controls = Controls(
        one_shot=world.label(world.units[0], WORD, "bal"), shuffled=[world.label(world.units[1], "bal")]
    )
    found = run(world, "simulation", {"judge": judges(by_token)}, controls=controls)
    assert found["simulation"].value == pytest.approx(1.0)
    assert found["simulation.balanced"].value == pytest.approx(1.0)
    assert found["simulation"].details["prompts"] == 30
    assert found["simulation"].details["windows_of_expected_values"] == 0
    assert found["simulation.control.constant"].value == 0.0
    assert abs(found["simulation.control.shuffled"].value) < 0.1
    # the label that adds a frequent word: worse over the split than over chosen windows
    assert found["simulation.beats.one_shot"].low > 0
    assert not any(q.label == "" for q in judges.asked)  # a blank label is not simulated


def test_a_simulation_that_never_changes_is_unmeasured(world: Any, judges: Any) -> None:
    found = run(
        world, "simulation", {"judge": judges(lambda q: {i.split(" ")[0]: 3 for i in q.items["tokens"].split("\n")})}
    )
    assert found["simulation"].reason == "the simulated activation never changes"


def test_expected_values_are_used_where_the_provider_gives_alternatives(world: Any, judges: Any) -> None:
    def unsure(question: Any) -> Said:
        said = by_token(question)
        text = json.dumps(said)
        pieces = [{"{": 1.0}]
        for i, (name, value) in enumerate(said.items()):
            pieces += [
                {("" if i == 0 else ", ") + f'"{name}": ': 1.0},
                {"10": 0.6, "0": 0.4} if value else {"0": 0.9, "5": 0.1},
            ]
        return Said(text=text, logprobs=logs(*pieces, {"}": 1.0}))

    found = run(world, "simulation", {"judge": judges(unsure)})
    # 0.6 x 10 = 6 at the word, 0.1 x 5 = 0.5 elsewhere: still a perfect correlation
    assert found["simulation"].value == pytest.approx(1.0)
    assert found["simulation"].details["windows_of_expected_values"] == 30


@pytest.fixture(scope="module")
def large(world: Any) -> Any:
    """Enough windows for 50 of either kind."""
    corpus = replace(world.corpus, stimuli=[s for s in world.corpus])
    texts = [str(s.content) for s in corpus]
    more = [
        replace(s, id=f"x{s.id}", group=s.group, load=lambda t=t: " ".join(reversed(t.split())))
        for s, t in zip(corpus, texts, strict=True)
    ]
    return replace(world, corpus=replace(corpus, stimuli=[*corpus.stimuli, *more]))


@pytest.mark.parametrize(("scorer", "marks"), [("delphi-detection", False), ("delphi-fuzzing", True)])
def test_delphi_asks_twenty_prompts_of_five_about_fifty_and_fifty(
    large: Any, judges: Any, scorer: str, marks: bool
) -> None:
    def verdicts(question: Any) -> list[int]:
        return [int(bool(question.label) and question.label in question.words(i)) for i in question.items]

    found = run(large, scorer, {"judge": judges(verdicts)})
    assert found[scorer].value == 1.0
    assert found[scorer].details["prompts"] == 20
    assert found[scorer].details["asked"] == 100
    assert set(found[scorer].details["asked_of"].values()) == {50}
    assert found[f"{scorer}.control.constant"].value == 0.5
    own = [q for q in judges.asked if q.label]
    assert [len(q.items) for q in own] == [5] * 20
    assert all(list(q.items) == ["0", "1", "2", "3", "4"] for q in own)
    # instructions, then worked examples with their answers, then the question
    assert [m.role for m in own[0].messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert json.loads(own[0].messages[2].text) == [1, 0, 0, 1, 0] if marks else [1, 1, 0, 1, 0]
    shown = [t for q in own for t in q.items.values()]
    assert len(set(shown)) == 100
    assert all(("<<" in t) == marks for t in shown)
    if marks:  # resting windows have ceil(mean number of marks) marked tokens, joined where they touch
        right = [len(q.words(i)) for q in own for i in q.items if WORD in q.words(i)]
        wrong = [len(q.words(i)) for q in own for i in q.items if WORD not in q.words(i)]
        assert set(wrong) == {math.ceil(np.mean(right))}


def test_delphi_does_not_count_with_less(world: Any, judges: Any) -> None:
    few = replace(world.corpus, stimuli=world.corpus.stimuli[:90])
    found = run(replace(world, corpus=few), "delphi-detection", {"judge": judges(lambda q: [0] * 5)})
    assert "delphi asks 50 firing and 50 resting windows" in found["delphi-detection"].reason
    assert judges.asked == []


def test_embedding_ranks_windows_by_nearness_to_the_label(world: Any) -> None:
    calls: list[int] = []

    def bag(texts: Any) -> Any:
        """Which of a few words stand in a text: near the label is what holds its word."""
        calls.append(len(texts))
        rows = np.array([[float(w in t.split()) for w in (WORD, "bal", "dun")] + [0.1] for t in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    controls = Controls(shuffled=[world.label(world.units[1], "bal")])
    found = run(world, "embedding", {"embedder": bag}, controls=controls)
    assert found["embedding"].value > 0.95
    assert found["embedding.average_precision"].value > 0.95
    assert found["embedding.control.constant"].value == 0.5
    assert found["embedding.control.shuffled"].value < 0.6
    # windows once, then the other label alone
    assert len(calls) == 2
    assert calls[1] == 1


def test_embedding_without_an_encoder_says_what_to_do(world: Any) -> None:
    from maieutic.errors import UserError

    assert "--embedder hf:" in run(world, "embedding", {})["embedding"].reason
    with pytest.raises(UserError, match="hf:FOLDER"):
        run(world, "embedding", {"embedder": "word2vec"})
    assert (
        "cannot load the sentence encoder"
        in run(world, "embedding", {"embedder": "hf:/nowhere/at-all"})["embedding"].reason
    )


@pytest.mark.slow
def test_an_encoder_of_a_folder_gives_mean_pooled_unit_vectors(tmp_path: Any) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from maieutic.score.judged.embedder import load_embedder

    vocabulary = {w: i for i, w in enumerate(["<pad>", "<unk>", "red", "cat", "old", "dog"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=16,
    )  # fmt: skip
    model = BertModel(config).eval()
    model.save_pretrained(tmp_path)
    texts = ["red cat", "old", "red cat old dog"]
    found = load_embedder(f"hf:{tmp_path}")(texts)
    assert found.shape == (3, 8)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(3))
    with torch.inference_mode():  # one by one, without padding
        for row, ids in zip(found, ([2, 3], [4], [2, 3, 4, 5]), strict=True):
            mean = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(dim=0).double().numpy()
            assert row == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
