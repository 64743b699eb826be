"""Bench `local-model` with a server whose model knows everything, and with one that knows nothing."""

from __future__ import annotations

import json
import re

import pytest

from maieutic.bench.local_model import TOPICS, run_local_model
from maieutic.llm.loopback import Reply

pytestmark = [pytest.mark.packaged, pytest.mark.slow]
MODEL = "openai-api/local/test"


def topic_in(text):
    """The topic most of whose words stand in a text."""
    return max(TOPICS, key=lambda t: sum(len(re.findall(rf"\b{w}\b", text, re.IGNORECASE)) for w in t.words.split()))


def holds(text, topic):
    return any(re.search(rf"\b{w}\b", text, re.IGNORECASE) for w in topic.words.split())


def knowing(request):
    """Names the topic of what is strongest, and judges by the words of the topic that the description names."""
    form = request.body["response_format"]["json_schema"]["schema"]["properties"]
    if "action" in form:
        label = topic_in(" ".join(re.findall(r"strongest: (.*)", request.last))).label
        blank = {"hypothesis": label, "of": 0, "label": label, "stimuli": [], "expect": []}
        measured = "you expected" in request.last
        return json.dumps(
            {**blank, "action": "submit"}
            if measured
            else {**blank, "action": "measure", "stimuli": ["a"], "expect": [0]}
        )
    if "description" in form:
        return json.dumps({"description": topic_in(request.text).label, "confidence": 1, "unexplained": ""})
    label, *examples = re.findall(r"\[\w+ (?:description|example)[^\]]*\]\n(.*?)\n\[/", request.last, re.DOTALL)
    topic = next(t for t in TOPICS if t.label == label.strip())
    return json.dumps({letter: int(holds(text, topic)) for letter, text in zip(form, examples, strict=True)})


def values(result):
    return {name: figure.reading.value for name, figure in result.figures.items()}


def test_a_model_that_knows_everything_gets_everything(loopback):
    server = loopback(knowing, without=["logprobs"])
    result = run_local_model(model=MODEL, base_url=server.url, quick=True)
    found = values(result)
    assert found["agent.valid"] == found["agent.submitted"] == found["agent.named"] == found["one-shot.named"] == 1
    # the true label holds for every active window and no calm one; the other topic's for few or none of either
    assert found["judge.true"] == 1 and found["judge.other"] <= 0.7 and found["judge.answered"] == 1
    assert [row["agent"] for row in result.rows] == [t.label for t in TOPICS[:2]]
    assert all(f.target is None for f in result.figures.values())


def test_a_model_that_talks_gets_nothing_and_ends(loopback):
    result = run_local_model(
        model=MODEL, base_url=loopback(lambda _: Reply(text="Well, well.")).url, quick=True, units=1
    )
    found = values(result)
    assert found["agent.valid"] == found["agent.submitted"] == found["agent.named"] == found["judge.answered"] == 0
    assert found["judge.true"] is None, "no verdict is no score, not a low one"
    assert all(row["agent"].startswith("[") for row in result.rows)
