"""The workbench: what is handed out and what is not, the expectation first, units side by side, the answer checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import maieutic as mt
from maieutic.errors import UsageError, UserError
from maieutic.explain import viewer_of
from maieutic.explain.submitted import explanation_of
from maieutic.lab.workbench import Workbench
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.making import Tools
from maieutic.stimuli.scenes import image_id


# --- looking -----------------------------------------------------------------------------------------------------------
def test_exemplars_are_of_the_discover_split_with_their_tokens(text_world: Any) -> None:
    discover = {s.id for s in text_world.bench.labs["output/0"].corpus.split("discover")}
    found = text_world.lab.exemplars(20)
    assert {e.id for e in found} <= discover
    assert found[0].value == 1.0
    for item in found:
        words = item.text.split()
        # 2 -> 1.0 and 1 -> 0.5 on the scale from 0 to 2
        assert item.tokens == [[w, {"cat": 1.0, "dog": 0.5}.get(w, 0.0)] for w in words]
    assert text_world.ledger() == []


def test_exemplars_print_as_data_with_active_tokens_marked(text_world: Any) -> None:
    (item,) = text_world.lab.exemplars(1, where="top")
    mark = text_world.bench.fence.stimulus
    printed = repr(item)
    assert f"<text {mark}>" in printed
    assert printed.endswith(f"</text {mark}>")
    assert "«cat»" in printed
    assert "«the»" not in printed


def test_results_print_one_a_line_and_so_do_parts_of_them(text_world: Any) -> None:
    found = text_world.lab.exemplars(4)
    assert repr(found[1:3]).splitlines() == [repr(found[1]), repr(found[2])]
    assert repr(found[4:]) == "nothing"
    assert repr(text_world.lab.units()).startswith(
        "output/0: text unit of cats at output, a value a token; raw 0 counts as 0 "
    )


@pytest.mark.parametrize("n", [1, 2, 3, 6, 11])
def test_as_many_exemplars_come_as_were_asked(text_world: Any, image_world: Any, n: int) -> None:
    for world in (text_world, image_world):
        spread, top = world.lab.exemplars(n), world.lab.exemplars(n, "top")
        assert len({e.id for e in spread}) == len(spread) == len(top) == n
        assert spread[0].id == top[0].id
        assert [e.value for e in top] == sorted((e.value for e in top), reverse=True)
        assert n < 3 or spread[-1].value < 0.05


@pytest.mark.parametrize("n", [0, 51, -1])
def test_exemplars_are_bounded(text_world: Any, n: int) -> None:
    with pytest.raises(UserError, match="1 to 50"):
        text_world.lab.exemplars(n)


def test_a_highlight_lights_what_drives_the_unit(image_world: Any) -> None:
    half = np.zeros((12, 12, 3), dtype=np.uint8)
    half[:, :6, 0] = 200
    half[:, :, 1] = 100
    (item,) = image_world.lab.measure([Image.fromarray(half)], expect=0.5, unit="units/0")
    lit = np.asarray(item.highlighted)
    # red 200 on the left: kept. The right is dimmed to a quarter: green 100 -> 25
    assert lit[5, 1].tolist() == [200, 100, 0]
    assert lit[5, 10].tolist() == [0, 25, 0]


def test_only_what_was_shown_is_highlighted(image_world: Any) -> None:
    with pytest.raises(UserError, match="measure it first"):
        image_world.call("highlight", Image.new("RGB", (12, 12), "red"))
    (item,) = image_world.lab.exemplars(1, where="top")
    assert item.highlighted.size == item.image.size


def test_units_say_what_their_scale_means(image_world: Any) -> None:
    rows = image_world.lab.units()
    assert [r["name"] for r in rows] == ["units/0", "units/1", "units/2"]
    assert [r["per"] for r in rows] == ["region"] * 3
    low, high = image_world.bench.labs["units/0"].scale
    assert (rows[0]["zero"], rows[0]["one"], rows[0]["left"]) == (low, high, 20)


# --- measuring ---------------------------------------------------------------------------------------------------------
def test_a_measurement_keeps_its_expectation_beside_the_value(text_world: Any) -> None:
    name = text_world.lab.hypothesize("fires on cats")
    first, second = text_world.lab.measure(
        ["one dog ran", "no pets here"], expect=[0.5, 0.25], because="dogs are half cats", hypothesis=name
    )
    assert (first.value, first.raw, first.expect, first.entry) == (0.5, 1.0, 0.5, "output/0#1")
    assert first.tokens == [["one", 0.0], ["dog", 0.5], ["ran", 0.0]]
    assert second.value == 0.0
    entries = text_world.ledger()
    assert [(e.expect, e.scaled, e.kind, e.hypothesis) for e in entries] == [
        (0.5, 0.5, "own", "fires on cats"), (0.25, 0.0, "own", "fires on cats"),
    ]  # fmt: skip
    assert entries[0].detail == {"because": "dogs are half cats", "hypothesis": "H1"}
    assert text_world.lab.remaining() == 18


@pytest.mark.parametrize("expect", [None, "high", 1.5, -0.1, float("nan"), [0.5], [0.5, 2.0], {"other": 0.5}])
def test_without_a_usable_expectation_nothing_is_measured(text_world: Any, expect: Any) -> None:
    with pytest.raises(UserError):
        text_world.bench.calls()["measure"](["a cat", "a dog"], expect=expect)
    with pytest.raises(UserError, match="expect is missing"):
        text_world.bench.calls()["measure"](["a cat", "a dog"])
    assert text_world.ledger() == []


def test_the_budget_holds_for_all_or_nothing(text_world: Any) -> None:
    text_world.lab.measure([f"word {i}" for i in range(19)], expect=0)
    with pytest.raises(UserError, match="2 measurements of output/0 asked, 1 left of 20"):
        text_world.lab.measure(["x", "y"], expect=0)
    assert text_world.lab.remaining() == 1


def test_the_jail_is_marked_in_every_entry(text_lab: mt.Lab) -> None:
    bench = Workbench([text_lab], tools=Tools(), mark={"jail": "none"})
    bench.calls()["measure"](["a cat"], expect=1.0)
    assert text_lab.ledger.entries[0].detail["jail"] == "none"


def test_test_stimuli_are_refused_by_content(text_world: Any) -> None:
    test = text_world.bench.labs["output/0"].corpus.split("test")[0].content
    for disguise in (test, test.upper(), "  " + test.replace(" ", "\n")):
        with pytest.raises(UserError, match="test split"):
            text_world.lab.measure(disguise, expect=0.5)
    (item,) = text_world.lab.measure(test + " and more", expect=0.5)
    assert item.entry == "output/0#1"


def test_test_pictures_are_refused_by_content(image_world: Any) -> None:
    test: Stimulus = image_world.bench.labs["units/0"].corpus.split("test")[0]
    for call in (
        lambda: image_world.lab.measure(test.content, expect=0.5),
        lambda: image_world.lab.edit(test.content, "red"),
        lambda: image_world.lab.describe(test.content),
        lambda: image_world.lab.ablate(test.content, expect=True),
    ):
        with pytest.raises(UserError, match="test split"):
            call()
    assert image_world.ledger() == []


def test_a_tool_that_hands_out_test_stimuli_is_refused(text_lab: mt.Lab) -> None:
    leak = text_lab.corpus.split("test")[0]
    bench = Workbench([text_lab], tools=Tools(write=lambda instruction, n, seed: [leak]))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="test split"):
        bench.calls()["write"]("anything")


def test_several_units_are_measured_in_one_call_each_against_its_expectation(image_world: Any) -> None:
    red = Image.new("RGB", (12, 12), (255, 0, 0))
    found = image_world.lab.measure(red, expect={"units/0": 1, "units/2": [0]}, unit=["units/0", "units/2"])
    assert list(found) == ["units/0", "units/2"]
    ((first,), (other,)) = found.values()
    assert (first.raw, other.raw) == (1.0, 0.0)
    assert (first.expect, other.expect) == (1.0, 0.0)
    assert (len(image_world.ledger(0)), len(image_world.ledger(1)), len(image_world.ledger(2))) == (1, 0, 1)


def test_units_of_one_subject_share_a_pass(image_labs: list[mt.Lab]) -> None:
    passes: list[int] = []
    subject = image_labs[0].subject
    read = subject.read
    subject.read = lambda s, u, **k: (passes.append(len(u)), read(s, u, **k))[1]  # type: ignore[method-assign]
    Workbench(image_labs, tools=Tools()).calls()["measure"](
        [Image.new("RGB", (12, 12), "red")], expect=0.5, unit=["units/0", "units/1", "units/2"]
    )
    assert passes == [3]


def test_two_models_stand_side_by_side(text_lab: mt.Lab, texts: list[str]) -> None:
    other = mt.function_subject(
        lambda ts: [[float(w == "dog") for w in t.split()] for t in ts], modality="text", name="dogs"
    )
    atlas = mt.harvest(other, text_lab.corpus, sites=["output"])
    bench = Workbench([text_lab, mt.Lab(other, other.unit(), atlas)], tools=Tools())
    found = bench.calls()["measure"](["a dog"], expect=0.5, unit=["cats:output/0", "dogs:output/0"])
    assert {k: v[0]["value"] for k, v in found.items()} == {"cats:output/0": 0.5, "dogs:output/0": 1.0}
    # entries of units of one key are told apart, and only those of the unit itself become its evidence
    entries = [v[0]["entry"] for v in found.values()]
    assert entries == ["cats:output/0#1", "dogs:output/0#1"]
    with pytest.raises(UserError, match="no measurement"):
        bench.calls()["submit"]("dogs", confidence=0.5, evidence=["output/0#1"])
    bench.calls()["submit"](unexplained="both", evidence=entries, unit="dogs:output/0")
    lab, answer = bench.labs["dogs:output/0"], bench.submissions["dogs:output/0"]
    assert explanation_of(answer, lab, viewer_of(other), explainer="test").evidence == ("dogs:output/0#1",)


def test_a_unit_stands_on_the_workbench_once(text_lab: mt.Lab) -> None:
    with pytest.raises(UsageError, match="twice"):
        Workbench([text_lab, text_lab], tools=Tools())
    with pytest.raises(UsageError, match="at least one"):
        Workbench([], tools=Tools())


def test_unknown_units_and_wrong_stimuli(text_world: Any, image_world: Any) -> None:
    with pytest.raises(UserError, match="did you mean 'output/0'"):
        text_world.lab.measure("x", expect=0, unit="output/1")
    with pytest.raises(UserError, match="reads texts"):
        text_world.lab.measure(Image.new("RGB", (3, 3)), expect=0)
    with pytest.raises(UserError, match="looks at pictures"):
        image_world.lab.measure("x", expect=0)
    with pytest.raises(UserError, match="1 to 20,000 characters"):
        text_world.lab.measure("", expect=0)
    with pytest.raises(UserError, match="1 to 64"):
        text_world.lab.measure([], expect=0)
    with pytest.raises(UserError, match="1 to 1024 pixels"):
        image_world.lab.measure(Image.new("RGB", (5000, 2)), expect=0)


# --- making ------------------------------------------------------------------------------------------------------------
def test_an_edit_is_paired_with_what_it_was_made_from(text_world: Any) -> None:
    (original,) = text_world.lab.measure("the old cat sat", expect=1)
    edited = text_world.lab.replace(original, "cat", "tree")
    assert (edited.text, edited.note) == ("the old tree sat", "'cat' → 'tree'")
    (after,) = text_world.lab.measure(edited, expect=0)
    assert after.value == 0.0
    entry = text_world.ledger()[1]
    assert (entry.kind, entry.pair) == ("substitute", original.entry)


def test_text_edits_by_string_and_by_token(text_world: Any) -> None:
    lab, text = text_world.lab, "a cat and a cat"
    assert lab.replace(text, "cat", "dog", nth=1).text == "a cat and a dog"
    assert lab.replace(text, 1, "dog").text == "a dog and a cat"
    assert lab.delete(text, -1).text == "a cat and a"
    assert lab.insert(text, "big ", before="cat").text == "a big cat and a cat"
    assert lab.insert(text, "!", after=4).text == "a cat and a cat!"
    assert lab.tokens(text)[1] == ["cat", 2, 5]
    for wrong in (
        lambda: lab.replace(text, "cow", "x"), lambda: lab.replace(text, "cat", "x", nth=2), lambda: lab.delete(text, 5),
        lambda: lab.replace(text, "cat", "cat"), lambda: lab.delete("cat", "cat"), lambda: lab.replace(text, "", "x"),
        lambda: lab.replace(text, "cat", "x", nth=-1),
    ):  # fmt: skip
        with pytest.raises(UserError):
            wrong()


def test_pictures_are_recognised_by_their_pixels(image_world: Any) -> None:
    made = image_world.lab.imagine("red", n=2)
    assert [m.image.size for m in made] == [(8, 8), (9, 8)]
    painted = image_world.lab.edit(made[0], "blue")
    assert painted.note == "painted blue"
    image_world.lab.measure([made[0], painted], expect=[1, 0])
    first, second = image_world.ledger()
    # sent out, brought back and sent in again by value: still the picture that was imagined, and its edit
    assert (first.stimulus, first.kind) == (image_id(Image.new("RGB", (8, 8), "red")), "imagine")
    assert (second.kind, second.pair) == ("edit", None)  # both were shown in one call: nothing stood before
    image_world.lab.measure(painted, expect=0)
    assert image_world.ledger()[2].pair == "units/0#1"


def test_every_draw_has_a_seed_of_its_own_and_sessions_repeat(text_lab: mt.Lab, text_world: Any, build: Any) -> None:
    text_world.lab.write("about cats", n=2)
    text_world.lab.write("about cats", n=2)
    first, second = text_world.words.seeds
    assert first != second
    again = build([text_lab])
    again.lab.write("about cats")
    assert again.words.seeds == [first]


def test_the_describer_sees_pictures_only(image_world: Any) -> None:
    image_world.lab.hypothesize("red things")
    assert list(image_world.lab.describe([Image.new("RGB", (4, 4), "red")])) == ["(255, 0, 0)"]


def test_a_tool_that_is_not_there_is_named(text_lab: mt.Lab) -> None:
    calls = Workbench([text_lab], tools=Tools()).calls()
    with pytest.raises(UserError, match="nothing to write with here"):
        calls["write"]("x")


def test_what_is_free_is_bounded_too(image_world: Any, text_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maieutic.lab.workbench.making.SESSION", 20)
    for _ in range(2):
        text_world.lab.write("x", n=8)
    with pytest.raises(UserError, match="20 stimuli were made"):
        text_world.lab.write("x", n=8)
    with pytest.raises(UserError, match="1 to 1000 characters"):
        text_world.lab.write("x" * 1001)
    # 100 x 100 x 3 bytes each: the third is over 75,000
    monkeypatch.setattr("maieutic.lab.workbench.material.ROOM", 75_000)
    for shade in (1, 2):
        image_world.lab.measure(Image.new("RGB", (100, 100), (shade, 0, 0)), expect=0)
    with pytest.raises(UserError, match="submit what you know"):
        image_world.lab.measure(Image.new("RGB", (100, 100), (3, 0, 0)), expect=0)
    # what was shown before takes no more room
    image_world.lab.measure(Image.new("RGB", (100, 100), (2, 0, 0)), expect=0)
    assert len(image_world.ledger()) == 3


def test_arrays_of_bytes_are_pictures(image_world: Any) -> None:
    array = np.zeros((12, 12, 3), dtype=np.uint8)
    array[..., 0] = 255
    (found,) = image_world.bench.calls()["measure"]([array], expect=1)["units/0"]
    assert found["raw"] == 1.0
    with pytest.raises(UserError, match="not ndarray"):
        image_world.bench.calls()["measure"]([array.astype(float)], expect=1)


# --- hypotheses, showing, answering ------------------------------------------------------------------------------------
def test_a_verdict_needs_evidence_that_exists(text_world: Any) -> None:
    lab = text_world.lab
    name = lab.hypothesize("fires on cats")
    for evidence in ((), "output/0#1", "output/9#1", "output/0#0", "nothing"):
        with pytest.raises(UserError):
            lab.judge(name, "supported", evidence)
    items = lab.measure(["a cat", "a tree"], expect=[1, 0])
    (found,) = lab.judge(name, "supported", items, because="as foretold")
    assert found == {
        "id": "H1", "text": "fires on cats", "status": "supported", "evidence": ["output/0#1", "output/0#2"],
        "because": "as foretold",
    }  # fmt: skip
    with pytest.raises(UserError, match="judge"):
        lab.judge(name, "certain", items)


def test_shown_things_are_drained_in_order(image_world: Any) -> None:
    lab = image_world.lab
    (item,) = lab.exemplars(1, where="top")
    lab.show("look:", item, (Image.new("RGB", (2, 2)), "black"), [item, item])
    shown = image_world.bench.take_shown()
    assert [s.image is not None for s in shown] == [False, True, True, True, True]
    assert (shown[0].text, shown[2].text) == ("look:", "black")
    assert shown[1].text.startswith("value=")
    assert image_world.bench.take_shown() == []
    with pytest.raises(UserError, match="cannot be shown"):
        image_world.call("show", [3])
    with pytest.raises(UserError, match="at most 24"):
        image_world.call("show", ["x"] * 25)
    # what a program puts on show is bounded, however often it calls
    lab.show(*["x"] * 20)
    with pytest.raises(UserError, match="at most 24"):
        lab.show(*["x"] * 5)
    image_world.bench.take_shown()
    lab.show("y" * 7000, Image.new("RGB", (2000, 100)))
    text, picture = image_world.bench.take_shown()
    assert text.text == "y" * 6000 + "\n[1000 more characters were cut]"
    assert picture.image.size == (1024, 51)


def test_an_answer_is_checked_and_kept(text_lab: mt.Lab, build: Any) -> None:
    def reads(label: str, predicate: Any) -> str:
        if predicate and predicate["op"] == "broken":
            raise UserError("nobody can read that: use another")
        return f"Scored as {predicate}."

    world = build([text_lab], reads=reads, kinds={"word_in": "", "broken": ""})
    lab, P = world.lab, world.P
    items = lab.measure(["a cat"], expect=1)
    for wrong in (
        lambda: lab.submit(), lambda: lab.submit("cats"), lambda: lab.submit("cats", confidence=1.2),
        lambda: lab.submit("cats", confidence=0.5, unexplained="both"), lambda: lab.submit("", confidence=0.5),
        lambda: lab.submit("cats", P.broken(), 0.5), lambda: lab.submit("cats", confidence=0.5, evidence="output/0#7"),
        lambda: lab.submit("c" * 1201, confidence=0.5),
    ):  # fmt: skip
        with pytest.raises(UserError):
            wrong()
    assert world.bench.submission is None
    told = lab.submit(" the word\ncat ", P.word_in(words=("cat",)), 0.8, evidence=items)
    assert told == "Submitted for output/0. Scored as {'op': 'word_in', 'words': ['cat']}."
    kept = world.bench.submission
    assert kept is not None
    assert (kept.label, kept.confidence, kept.unit) == ("the word cat", 0.8, "output/0")
    assert (kept.predicate, kept.evidence) == ({"op": "word_in", "words": ["cat"]}, ("output/0#1",))
    assert "replaces" in lab.submit(unexplained="it never fires twice")
    assert world.bench.submission is not None
    assert (world.bench.submission.label, world.bench.submission.unexplained) == (None, "it never fires twice")


def test_a_predicate_nobody_has_heard_of(text_world: Any) -> None:
    with pytest.raises(AttributeError, match="no predicate 'flies'"):
        text_world.P.flies(high=True)
    assert text_world.P.and_(parts=[text_world.P.word_in(words=["a"])]) == {
        "op": "and", "parts": [{"op": "word_in", "words": ["a"]}],
    }  # fmt: skip


def test_arguments_of_the_wrong_kind_are_one_line(text_world: Any) -> None:
    calls = text_world.bench.calls()
    for name, args, kwargs in (
        ("exemplars", ("many",), {}), ("exemplars", (5,), {"where": "bottom"}), ("measure", ("text",), {"expect": 1}),
        ("hypothesize", (3,), {}), ("submit", (), {"label": ["x"]}), ("exemplars", (), {"nope": 1}), ("judge", (), {}),
        ("judge", ("H1", "open"), {"evidence": "output/0#1"}), ("write", ("x",), {"n": 0}), ("show", ("x",), {}),
    ):  # fmt: skip
        with pytest.raises(UserError) as error:
            calls[name](*args, **kwargs)
        assert "\n" not in str(error.value)
