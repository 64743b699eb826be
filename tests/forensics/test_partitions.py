"""Parts of transcripts: joined they are the transcript byte for byte, and removing them changes nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import UsageError
from maieutic.forensics.action import Context, Message, ToolCall
from maieutic.forensics.partition import LEVELS, Level, partition, transcript_text
from maieutic.forensics.removal import (
    Delete,
    Filler,
    Masker,
    NoRewriteError,
    Paraphrase,
    removal,
    remove_parts,
    replace_parts,
)
from maieutic.forensics.removal_rewriting import rewrite_by_model, rewrite_by_rules
from maieutic.llm import backbone
from maieutic.llm.scripted import script

TEXT = st.text(alphabet=st.sampled_from("ab. !?\n\t'\")é\u00a0\r1"), max_size=60)
JSON = st.recursive(
    TEXT | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["cmd", "to", "0"]), inner, max_size=3),
    max_leaves=5,
)
CALLS = st.lists(
    st.builds(
        ToolCall,
        id=st.just("c"),
        name=st.just("f"),
        arguments=st.dictionaries(st.sampled_from("xyz"), JSON, max_size=2),
    ),
    max_size=2,
).map(tuple)
MESSAGES = st.one_of(
    st.builds(Message, role=st.sampled_from(["system", "user", "tool"]), content=TEXT),
    st.builds(Message, role=st.just("assistant"), content=TEXT, tool_calls=CALLS),
)
CONTEXTS = st.lists(MESSAGES, max_size=4).map(tuple)

CALL = ToolCall(id="1", name="bash", arguments={"cmd": "ls /tmp; rm a", "n": 3, "more": ["x y", {"deep": "z"}]})
CONTEXT: Context = (
    Message(role="system", content="Be brief. Be kind.\n\nNever lie, e.g. to Dr. Wu. Stop."),
    Message(role="user", content="One line\nTwo lines"),
    Message(role="assistant", content="", tool_calls=(CALL,)),
    Message(role="tool", content="ok", tool_call_id="1", name="bash"),
)


@settings(max_examples=80, deadline=None)
@given(CONTEXTS, st.sampled_from(LEVELS[1:]))
def test_parts_join_to_the_transcript_byte_for_byte(context: Context, level: Level) -> None:
    parts = partition(context, level=level).at(level)
    assert "".join(p.text for p in parts) == transcript_text(context)
    assert all(p.text for p in parts)
    assert len({p.id for p in parts}) == len(parts)


@settings(max_examples=50, deadline=None)
@given(CONTEXTS, st.data())
def test_keeping_is_exact_and_removing_touches_nothing_else(context: Context, data: st.DataObject) -> None:
    tree = partition(context, level="token")
    parts = tree.at(data.draw(st.sampled_from(LEVELS)))
    masker = Masker(context, parts, Delete())
    everything = frozenset(range(len(parts)))
    assert masker(everything) == context
    kept = frozenset(i for i in everything if data.draw(st.booleans()))
    found = masker(kept)
    # what is left is the parts that are kept, in the order in which their spans stand
    assert len(transcript_text(found)) == sum(len(parts[i].text) for i in kept)
    assert found == remove_parts(context, [p for i, p in enumerate(parts) if i not in kept], Delete())
    frame = [(m.role, m.name, [(c.id, c.name, list(c.arguments)) for c in m.tool_calls]) for m in context]
    assert frame == [(m.role, m.name, [(c.id, c.name, list(c.arguments)) for c in m.tool_calls]) for m in found]


@settings(max_examples=50, deadline=None)
@given(CONTEXTS)
def test_filler_keeps_lengths_and_white_space_at_the_ends(context: Context) -> None:
    parts = partition(context).at("sentence")
    found = remove_parts(context, parts, Filler())
    assert len(transcript_text(found)) == len(transcript_text(context))
    again = partition(found, level="message").at("message")
    for before, after in zip(partition(context, level="message").at("message"), again, strict=True):
        assert (
            before.text[: len(before.text) - len(before.text.lstrip())]
            == after.text[: len(after.text) - len(after.text.lstrip())]
        )


def test_a_transcript_by_hand() -> None:
    tree = partition(CONTEXT)
    assert [(p.id, p.text) for p in tree.at("sentence")] == [
        ("m0/p0/s0", "Be brief. "), ("m0/p0/s1", "Be kind.\n\n"),
        ("m0/p1/s0", "Never lie, e.g. to Dr. Wu. "), ("m0/p1/s1", "Stop."),
        ("m1/s0", "One line\n"), ("m1/s1", "Two lines"),
        ("m2.cmd", "ls /tmp; rm a"), ("m2.more.0", "x y"), ("m2.more.1.deep", "z"), ("m3", "ok"),
    ]  # fmt: skip
    assert [p.id for p in tree.roles] == ["system", "user", "assistant", "tool"]
    assert [p.id for p in tree.at("paragraph")][:3] == ["m0/p0", "m0/p1", "m1"]
    (span,) = tree.part("m0/p1/s1").spans
    assert CONTEXT[span.message].content[span.start : span.end] == "Stop."
    assert [p.text for p in tree.leaves_of(tree.part("system"))] == [p.text for p in tree.at("sentence")[:4]]
    with pytest.raises(UsageError, match="no part 'm9'"):
        tree.part("m9")


def test_words_inside_calls_are_replaced_where_they_stand() -> None:
    tree = partition(CONTEXT)
    changed = replace_parts(CONTEXT, [(tree.part("m2.more.1.deep"), "w"), (tree.part("m0/p0/s0"), "Be long. ")])
    assert changed[2].tool_calls[0].arguments == {"cmd": "ls /tmp; rm a", "n": 3, "more": ["x y", {"deep": "w"}]}
    assert changed[0].content.startswith("Be long. Be kind.")
    with pytest.raises(UsageError, match="overlap"):
        replace_parts(CONTEXT, [(tree.part("m1"), "a"), (tree.part("m1/s0"), "b")])
    # a part and another inside it are removed once
    assert remove_parts(CONTEXT, [tree.part("m1"), tree.part("m1/s0")], Delete())[1].content == ""
    with pytest.raises(UsageError, match="overlap"):
        Masker(CONTEXT, [tree.part("m1"), tree.part("m1/s0")], Delete())


def test_words_are_put_into_the_place_of_a_removed_part() -> None:
    parts = partition(CONTEXT).at("sentence")
    masker = Masker(CONTEXT, parts, Delete())
    assert masker(frozenset({1}), {4: "Two lines"})[1].content == "Two lines\n"


def test_a_paraphrase_changes_words_and_keeps_numbers_and_quotes() -> None:
    said = rewrite_by_rules('Please do not use the "old key" before 10:30, because it is broken.')
    assert '"old key"' in said and "10:30" in said and said != "Please do not use"
    assert "don't" in said
    with pytest.raises(NoRewriteError, match="no other words"):
        Paraphrase(rewrite_by_rules)("xyz 12")
    assert removal("paraphrase", rewrite=str.upper)(" abc\n") == " ABC\n"
    with pytest.raises(UsageError, match="did you mean 'delete'"):
        removal("delet")


def test_a_models_paraphrase_must_keep_the_numbers() -> None:
    good = rewrite_by_model(backbone(script("rewords", lambda *a: "Give him 40 coins.")))
    assert good("Hand over 40 coins.") == "Give him 40 coins."
    bad = rewrite_by_model(backbone(script("loses", lambda *a: "Give him some coins.")))
    with pytest.raises(NoRewriteError, match="changed a number"):
        bad("Hand over 40 coins.")
