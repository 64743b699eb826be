"""What a backbone sends and gives back, seen from both ends: a server of our own stands at the other."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image

from maieutic.llm import Prompt, Turn
from maieutic.llm.answers import json_in
from maieutic.llm.loopback import Reply

COLOUR = {
    "type": "object",
    "properties": {"colour": {"type": "string"}, "sure": {"type": "number", "minimum": 0, "maximum": 1}},
    "required": ["colour", "sure"],
}


def test_answers_keep_the_order_of_prompts_though_they_come_in_another(loopback, of):
    # the later a prompt stands, the sooner its answer comes
    def slow_first(request):
        time.sleep(0.02 * (8 - int(request.last)))
        return f"answer {request.last}"

    server = loopback(slow_first)
    answers = of(server, connections=8).ask([Prompt.of(str(i)) for i in range(8)])
    assert [a.text for a in answers] == [f"answer {i}" for i in range(8)]
    assert server.busiest > 1, "nothing ran side by side, so the order was never at stake"


@pytest.mark.parametrize("connections", [1, 3])
def test_no_more_requests_at_once_than_connections(loopback, of, connections):
    def hold(_):
        time.sleep(0.03)
        return "yes"

    server = loopback(hold)
    of(server, connections=connections).ask([Prompt.of(str(i)) for i in range(9)])
    assert server.busiest == connections


def test_what_is_asked_arrives_as_it_was_asked(loopback, of):
    server = loopback(lambda _: "blue")
    turns = (Turn(text="first"), Turn(text="then", role="assistant"), Turn(text="last"))
    of(server, temperature=0.5, seed=7, max_tokens=33).ask([Prompt(system="be brief", turns=turns)])
    body = server.requests[0].body
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("system", "be brief"), ("user", "first"), ("assistant", "then"), ("user", "last"),
    ]  # fmt: skip
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"]) == ("test", 0.5, 7, 33)
    assert "response_format" not in body and "logprobs" not in body


def test_pictures_arrive_without_loss(loopback, of):
    pixels = np.random.default_rng(0).integers(0, 256, size=(5, 7, 3), dtype=np.uint8)
    server = loopback(lambda _: "seen")
    of(server).ask([Prompt.of("what is this?", Image.fromarray(pixels), Image.new("RGBA", (2, 2), (255, 0, 0, 255)))])
    first, second = server.requests[0].images()
    assert first.format == second.format == "PNG"
    np.testing.assert_array_equal(np.asarray(first), pixels)
    assert second.getpixel((0, 0)) == (255, 0, 0)


def test_usage_is_counted_once_for_what_was_sent(loopback, of):
    # 100 read and 20 written each: 2 prompts are 240 tokens, whatever is asked again out of the cache
    server = loopback(lambda _: Reply(text="x", usage=(100, 20)))
    model = of(server)
    first = model.ask([Prompt.of("a"), Prompt.of("b")])
    again = model.ask([Prompt.of("a"), Prompt.of("b")])
    assert [a.cost.llm_tokens for a in (*first, *again)] == [120] * 4
    assert model.spent.llm_tokens == 240 and model.spent.dollars == 0
    assert [a.cached for a in (*first, *again)] == [False, False, True, True]


# --- the cache -------------------------------------------------------------------------------------------------------


def test_a_question_is_sent_once(loopback, of):
    server = loopback(lambda r: f"answer {r.number}")
    first = of(server).ask([Prompt.of("a")])
    again = of(server).ask([Prompt.of("a")])  # another backbone, as in another run
    assert first[0].text == again[0].text == "answer 0"
    assert len(server.requests) == 1


def test_equal_prompts_beside_each_other_are_sent_once(loopback, of):
    """Else the first run could show two answers where a repeated run shows one."""
    server = loopback(lambda r: f"answer {r.number}")
    answers = of(server).ask([Prompt.of("a"), Prompt.of("b"), Prompt.of("a")])
    assert len(server.requests) == 2
    assert answers[0].text == answers[2].text != answers[1].text
    assert [a.cached for a in answers] == [False, False, True]


def test_prompts_that_differ_in_anything_are_both_sent(loopback, of):
    red, blue = (Image.new("RGB", (2, 2), c) for c in ("red", "blue"))
    wide = Image.new("RGB", (4, 1), "red")
    prompts = [
        Prompt.of("a"), Prompt.of("a", system="s"), Prompt.of("a", max_tokens=5), Prompt.of("a", logprobs=1),
        Prompt.of("a", red), Prompt.of("a", blue), Prompt.of("a", wide), Prompt.of("a", schema={}),
    ]  # fmt: skip
    server = loopback(lambda r: Reply(text="1"))
    of(server).ask(prompts)
    assert len(server.requests) == len(prompts)


def test_without_the_cache_everything_is_sent(loopback, of):
    server = loopback(lambda r: f"answer {r.number}")
    model = of(server, cache=False)
    texts = [a.text for a in model.ask([Prompt.of("a"), Prompt.of("a")]) + model.ask([Prompt.of("a")])]
    assert sorted(texts) == ["answer 0", "answer 1", "answer 2"]


def test_another_model_behind_the_same_name_is_asked_anew(loopback, of):
    """A local server answers to any name; its answers belong to the file that it says it serves."""
    before = loopback(lambda _: "before", models=["one.gguf"])
    port = int(before.url.split(":")[2].split("/")[0])
    assert of(before, "local").ask([Prompt.of("a")])[0].text == "before"
    before.close()
    after = loopback(lambda _: "after", models=["two.gguf"], port=port)
    assert after.url == before.url
    assert of(after, "local").ask([Prompt.of("a")])[0].text == "after"


# --- structured answers ----------------------------------------------------------------------------------------------


def test_a_schema_goes_to_the_server_and_into_words(loopback, of):
    server = loopback(lambda _: '{"colour": "red", "sure": 1}')
    answer = of(server).ask([Prompt.of("which?", system="be brief", schema=COLOUR)])[0]
    assert answer.parsed == {"colour": "red", "sure": 1} and answer.failed is None
    form = server.requests[0].body["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["schema"]["required"] == ["colour", "sure"]
    system = server.requests[0].messages[0]["content"]
    assert system.startswith("be brief") and '"required": ["colour", "sure"]' in system


@pytest.mark.parametrize(
    "text",
    ['{"colour": "red"}', '{"colour": "red", "sure": 3}', '["red"]', "red", '{"colour": "red", "sure": 0.5'],
    ids=["missing", "out-of-range", "list", "prose", "cut"],
)
def test_an_answer_that_breaks_its_schema_is_a_failure_with_its_text(loopback, of, text):
    answer = of(loopback(lambda _: text)).ask([Prompt.of("which?", schema=COLOUR)])[0]
    assert answer.failed is not None and "\n" not in answer.failed
    assert answer.parsed is None and answer.text == text


def test_an_answer_cut_at_the_limit_says_so(loopback, of):
    server = loopback(lambda _: Reply(text='{"colour": "re', finish="length"))
    plain, formed = of(server).ask([Prompt.of("a"), Prompt.of("a", schema=COLOUR)])
    assert plain.failed is None and plain.cut
    assert formed.cut and "max_tokens" in formed.failed


def test_a_server_without_schemas_is_asked_for_json(loopback, of):
    # a first request is turned down (500, as llama-cpp-python does) and is not tried again as it is; its replacement and
    # all later ones go in the older form
    server = loopback(lambda _: '{"colour": "red", "sure": 1}', without=["json_schema"])
    model = of(server)
    assert [a.parsed["colour"] for a in model.ask([Prompt.of("a", schema=COLOUR)])] == ["red"]
    assert [a.parsed["colour"] for a in model.ask([Prompt.of("b", schema=COLOUR)])] == ["red"]
    forms = [r.body["response_format"]["type"] for r in server.requests]
    assert forms == ["json_schema", "json_object", "json_object"]
    assert server.requests[1].body["response_format"]["schema"] == COLOUR


def test_a_server_without_any_constraint_is_asked_in_words(loopback, of):
    server = loopback(
        lambda _: 'Sure!\n```json\n{"colour": "red", "sure": 1}\n```', without=["json_schema", "json_object"]
    )
    answers = of(server).ask([Prompt.of(t, schema=COLOUR) for t in "abc"])
    assert [a.parsed for a in answers] == [{"colour": "red", "sure": 1}] * 3
    assert "response_format" not in server.requests[-1].body


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (' {"a": 1} ', {"a": 1}),
        ("Here:\n```json\n[1, 2]\n```\nDone {not json}.", [1, 2]),
        ('I think {"a": {"b": [1]}} fits, or {"a": 2}.', {"a": {"b": [1]}}),
        ("Say {oops}, then [3]", [3]),
        ('{"a": "two\nlines\tand a tab"}', {"a": "two\nlines\tand a tab"}),
    ],
)
def test_json_is_found_in_talk(text, value):
    assert json_in(text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing here", "no JSON"),
        ("braces {as in sets} are none", "no JSON"),
        # an inner list of a cut object is not the answer
        ('{"stimuli": ["a", "b"], "expect": [1, 0', "does not end"),
        ('{"stimuli": ["a", "b"], "label": "cut in a wo', "does not end"),
        ('Here: {"stimuli": [1], "label": "cut', "does not end"),
        ('{"stimuli": [1] "label": 3}', "broken JSON"),
    ],
)
def test_talk_and_pieces_are_no_json(text, says):
    with pytest.raises(ValueError, match=says):
        json_in(text)


# --- log-probabilities -----------------------------------------------------------------------------------------------


def test_log_probabilities_come_per_token(loopback, of):
    tops = ({"yes": -0.1, "no": -2.5, "maybe": -4.0}, {".": -0.01})
    server = loopback(lambda _: Reply(text="yes.", logprobs=tops))
    answer = of(server).ask([Prompt.of("true?", logprobs=2)])[0]
    assert [dict(t) for t in answer.logprobs] == [{"yes": -0.1, "no": -2.5}, {".": -0.01}]  # two were asked for
    assert server.requests[0].body["top_logprobs"] == 2


def test_a_server_without_log_probabilities_gives_none(loopback, of):
    server = loopback(lambda _: Reply(text="yes", logprobs=({"yes": -0.1},)), without=["logprobs"])
    answer = of(server).ask([Prompt.of("true?", logprobs=2)])[0]
    assert answer.text == "yes" and answer.logprobs == ()


# --- stopping --------------------------------------------------------------------------------------------------------


def test_an_interrupt_ends_the_waiting_and_what_was_asked(loopback, of, monkeypatch):
    """Ctrl-C while answers are out: the call ends at once, nothing more is sent, and the backbone can be used again."""
    asked = threading.Event()

    def hold(request):
        if request.last == "again":
            return "here"
        asked.set()
        time.sleep(0.5)
        return "late"

    server = loopback(hold)
    model = of(server, connections=2)
    main = threading.main_thread().ident
    assert main is not None
    threading.Thread(target=lambda: asked.wait(10) and signal.pthread_kill(main, signal.SIGINT), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        model.ask([Prompt.of(str(i)) for i in range(20)])
    assert server.busy > 0, "it waited for the answers that were out"
    assert model.ask([Prompt.of("again")])[0].text == "here"
    time.sleep(0.1)
    assert len(server.requests) <= 4, "the 18 prompts that waited for a connection were sent all the same"
