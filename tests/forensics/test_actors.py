"""Actors: log-probabilities against a plain forward pass, answers that depend on nothing but context and seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import maieutic as mt
from maieutic.errors import UsageError
from maieutic.forensics.action import Context, Message, Sampling, ToolCall
from maieutic.forensics.actor import Actor, TooLongError, open_actor
from maieutic.forensics.actor_model import EMPTY, ModelActor
from maieutic.forensics.actor_policy import PolicyActor
from maieutic.forensics.actor_render import call_text, message_text, parse_answer, plain_prompt, template_prompt
from maieutic.forensics.actor_subject import SubjectActor, _can_keep
from maieutic.llm.scripted import Said, script
from maieutic.subjects.language import LanguageSubject


def says(*texts: str) -> Context:
    return tuple(Message(role="user", content=t) for t in texts)


CONTEXTS = [
    says("the cat sat on a mat"), says("the cat sat on a river", "the dog"), says("the cat sat on a mat and"),
    says("moon"), says("the cat ran"), says("the cat sat on a mat"),
]  # fmt: skip
CALL = Message(role="assistant", content="ok", tool_calls=(ToolCall(id="1", name="bash", arguments={"cmd": "ls"}),))


@pytest.fixture(scope="module")
def subject(model_folder: Path) -> LanguageSubject:
    found = mt.load_subject(f"hf:{model_folder}")
    assert isinstance(found, LanguageSubject)
    return found


def by_hand(subject: LanguageSubject, context: Context, said: str) -> float:
    """One whole pass, no cache, no batch: sum of log softmax at each token of the continuation."""
    tokens = subject.tokenizer
    before = [*subject.prefix, *tokens(plain_prompt(context), add_special_tokens=False)["input_ids"]]
    after = tokens(said, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = subject.model(input_ids=torch.tensor([[*before, *after]])).logits[0].double()
    chances = torch.log_softmax(logits, dim=-1)
    return float(sum(chances[len(before) + i - 1, t] for i, t in enumerate(after)))


@pytest.mark.parametrize(("keep", "batch"), [(True, 1), (True, 4), (True, 8), (False, 4)])
def test_logprobs_are_those_of_a_plain_pass(subject: LanguageSubject, keep: bool, batch: int) -> None:
    actor = SubjectActor(subject, keep=keep, batch_size=batch)
    truth = [by_hand(subject, c, "the old tree") for c in CONTEXTS]
    # twice: the second time everything is kept from the first
    for _ in range(2):
        assert actor.logprobs(CONTEXTS, "the old tree") == pytest.approx(truth, abs=1e-4)
    assert actor.spent.passes == 12 and actor.spent.calls == 12
    assert (actor.spent.reused > 0) is keep


def test_a_kept_prefix_is_not_read_again(subject: LanguageSubject) -> None:
    long = says("the cat sat on a mat and the dog ran to a river and saw")
    contexts = [(*long, Message(role="user", content=w)) for w in ("cat", "dog", "moon")]
    kept, whole = (SubjectActor(subject, keep=k, batch_size=1) for k in (True, False))
    kept.logprobs(contexts, "tree")
    whole.logprobs(contexts, "tree")
    assert whole.spent.reused == 0
    assert kept.spent.tokens + kept.spent.reused == whole.spent.tokens
    assert kept.spent.reused > kept.spent.tokens / 2


def test_answers_depend_on_context_and_seed_alone(subject: LanguageSubject) -> None:
    settings = Sampling(max_tokens=6)
    first = SubjectActor(subject, sampling=settings, batch_size=8).samples(CONTEXTS[:2], n=5, seed=3)
    alone = SubjectActor(subject, sampling=settings, batch_size=1).samples([CONTEXTS[1]], n=5, seed=3)
    plain = SubjectActor(subject, sampling=settings, keep=False).samples([CONTEXTS[1]], n=5, seed=3)
    assert first[1] == alone[0] == plain[0]
    assert first[0] != SubjectActor(subject, sampling=settings).samples(CONTEXTS[:1], n=5, seed=99)[0]
    # seed 4 begins with the second answer of seed 3
    later = SubjectActor(subject, sampling=settings).samples([CONTEXTS[1]], n=4, seed=4)
    assert later[0] == first[1][1:]


def test_samples_follow_the_models_own_chances(subject: LanguageSubject) -> None:
    # shares of 400 first tokens against the softmax: a share of p has a standard error of at most 0.025
    actor = SubjectActor(subject, sampling=Sampling(max_tokens=1), batch_size=50)
    drawn = actor.samples(CONTEXTS[:1], n=400, seed=0)[0]
    chances = np.exp([by_hand(subject, CONTEXTS[0], w) for w in ("cat", "dog", "river", "moon")])
    for word, chance in zip(("cat", "dog", "river", "moon"), chances, strict=True):
        share = np.mean([s.message is not None and s.message.content == word for s in drawn])
        assert abs(share - chance) < 0.1


def test_greedy_draws_once(subject: LanguageSubject) -> None:
    actor = SubjectActor(subject, sampling=Sampling(temperature=0, max_tokens=3))
    (drawn,) = actor.samples(CONTEXTS[:1], n=4, seed=0)
    assert len(drawn) == 4 and len(set(map(repr, drawn))) == 1
    assert actor.spent.samples == 1


def test_a_transcript_that_does_not_fit_is_refused(subject: LanguageSubject) -> None:
    actor = SubjectActor(subject)
    with pytest.raises(TooLongError, match="takes 64"):
        actor.logprobs([says("cat " * 80)], "dog")
    with pytest.raises(TooLongError, match="longer context"):
        actor.samples(CONTEXTS[:1], n=1, seed=0, sampling=Sampling(max_tokens=60))


def test_a_template_that_knows_no_calls_still_shows_them() -> None:
    class Tokenizer:
        chat_template = "{{ m.role == 'user' }}"

        def apply_chat_template(self, messages: list[dict[str, str]], **more: object) -> str:
            assert all(set(m) == {"role", "content"} for m in messages)
            return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"

    context = (*says("go"), CALL, Message(role="tool", content="a.txt", tool_call_id="1", name="bash"))
    text = template_prompt(Tokenizer(), (*context, Message(role="assistant", content="So")))
    assert call_text(CALL.tool_calls[0]) in text
    assert "a.txt" in text and text.endswith("<assistant>So")


def test_calls_are_read_back_from_an_answer() -> None:
    again = parse_answer(message_text(CALL))
    assert again.content == "ok"
    assert [(c.name, c.arguments) for c in again.tool_calls] == [("bash", {"cmd": "ls"})]
    broken = '<tool_call>{"name": bash}</tool_call>'
    assert parse_answer(broken) == Message(role="assistant", content=broken)


def test_a_policy_is_an_actor_with_a_seed() -> None:
    def policy(context: Context, rng: np.random.Generator) -> str:
        if not context[0].content:
            raise ValueError("nothing to read")
        return "yes" if rng.random() < 0.5 else "no"

    actor: Actor = open_actor(policy)
    first = actor.samples([says("a"), says("b")], n=40, seed=1)
    assert first == open_actor(policy).samples([says("a"), says("b")], n=40, seed=1)
    assert first[0] != first[1] and first[0] != actor.samples([says("a")], n=40, seed=2)[0]
    (failed,) = actor.samples([says("")], n=1, seed=1)
    assert failed[0].message is None and failed[0].failed == "ValueError: nothing to read"
    assert actor.spent.samples == 121
    with pytest.raises(UsageError, match="black box"):
        actor.logprobs([says("a")], "yes")
    known = PolicyActor(policy, rate=lambda c: 0.25)
    assert known.logprobs([says("a")], "yes") == pytest.approx([np.log(0.25)])


def test_any_inspect_model_is_an_actor() -> None:
    def answers(messages: list, tools: list, config: object) -> Said | str:  # type: ignore[type-arg]
        if messages[-1].text == EMPTY:
            return Said(text="", stop="content_filter")
        return Said(text="sure", tool="bash", arguments={"cmd": "rm", "seed": config.seed}) if tools else "none"  # type: ignore[attr-defined]

    tools = ({"name": "bash", "description": "runs", "parameters": {"type": "object", "properties": {}}},)
    actor = ModelActor(script("actor", answers), tools=tools)
    (drawn,) = actor.samples([(*says("go"), CALL, Message(role="tool", content="x", tool_call_id="1"))], n=3, seed=5)
    messages = [s.message for s in drawn if s.message is not None]
    assert [m.tool_calls[0].arguments["seed"] for m in messages] == [5, 6, 7]
    ((refused,),) = actor.samples([says("")], n=1, seed=0)
    assert refused.failed == "refused"
    assert actor.spent.samples == 4


def _model(kind: str, **more: object):  # type: ignore[no-untyped-def]
    import transformers

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 32}
    heads = {} if kind == "Mamba" else {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16}
    config = getattr(transformers, f"{kind}Config")(**sizes, **heads, **more)
    return getattr(transformers, f"{kind}ForCausalLM")(config)


@pytest.mark.parametrize(
    ("kind", "more", "can"),
    [
        ("Llama", {}, True), ("Qwen2", {}, True), ("Mistral", {"sliding_window": 8}, False), ("Mamba", {}, False),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}, False),
    ],
)  # fmt: skip
def test_a_prefix_is_kept_only_where_it_may_be_cut(kind: str, more: dict[str, object], can: bool) -> None:
    assert _can_keep(_model(kind, **more)) is can


@pytest.mark.packaged
@pytest.mark.slow
def test_a_packaged_chat_model_acts_in_its_template() -> None:
    subject = mt.load_subject("smollm2-135m")
    kept, whole = open_actor(subject, batch_size=4), open_actor(subject, keep=False)
    assert isinstance(kept, SubjectActor) and kept.prompt(says("Hi")).startswith("<|im_start|>system")
    contexts = [says("What colour is the sky?"), says("What colour is the grass?"), says("Say something.")]
    values = kept.logprobs(contexts, "The sky is blue.")
    assert values == pytest.approx(whole.logprobs(contexts, "The sky is blue."), abs=0.01)
    assert max(range(3), key=values.__getitem__) == 0 and kept.spent.reused > 0
    ((answer,),) = kept.samples(contexts[:1], n=1, seed=0, sampling=Sampling(temperature=0, max_tokens=12))
    assert answer.message is not None and "blue" in answer.message.content


def test_what_cannot_act_is_refused() -> None:
    with pytest.raises(UsageError, match="int cannot act"):
        open_actor(3)
