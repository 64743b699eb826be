"""The lab over MCP: real clients, in this process and over stdio to a run folder; pictures by id, answers kept."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maieutic as mt
from maieutic.errors import UserError
from maieutic.lab import prelude
from maieutic.lab.workbench import Workbench
from maieutic.lab.worker import Worker, backends, start_worker
from maieutic.stimuli.making import Tools

pytest.importorskip("mcp", reason="needs the package mcp: pip install 'maieutic[mcp]'")

from maieutic.lab.mcp import LARGEST, Offered, build, decoded  # noqa: E402


def talk(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """The results of calls made by a client, in order."""
    from mcp.client.client import Client

    async def all_of_them() -> list[Any]:
        async with Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(all_of_them())


def told(result: Any) -> str:
    assert not result.is_error, result.content[0].text
    return "\n".join(c.text for c in result.content if c.type == "text")


def refused(result: Any) -> str:
    assert result.is_error
    return result.content[0].text


def pictures(result: Any) -> list[Image.Image]:
    found = [c for c in result.content if c.type == "image"]
    assert all(c.mime_type == "image/png" for c in found)
    return [Image.open(BytesIO(base64.b64decode(c.data))) for c in found]


def names(server: Any) -> set[str]:
    from mcp.client.client import Client

    async def listed() -> set[str]:
        async with Client(server) as client:
            return {t.name for t in (await client.list_tools()).tools}

    return asyncio.run(listed())


@pytest.fixture
def text_server(text_world: Any) -> Any:
    return build(Offered(text_world.bench), note="No programs.")


@pytest.fixture
def image_server(image_world: Any) -> Any:
    return build(Offered(image_world.bench))


# --- what is offered ---------------------------------------------------------------------------------------------------
def test_what_is_offered_fits_the_units_and_tools(text_server: Any, image_server: Any, text_lab: mt.Lab) -> None:
    everywhere = {"list_units", "exemplars", "measure", "ablate", "steer", "drives", "hypothesize", "judge", "hypotheses",
                  "python_page", "submit"}  # fmt: skip
    # the worlds of these tests have every tool
    assert names(text_server) - {"imagine", "edit", "describe"} == everywhere | {"edit_text", "write"}
    assert names(image_server) == everywhere | {"look", "imagine", "edit", "describe", "write"}
    assert names(build(Offered(Workbench([text_lab], tools=Tools())))) == everywhere | {"edit_text"}


def test_instructions_carry_the_fence_and_the_note(text_world: Any, text_server: Any) -> None:
    assert f"<text {text_world.bench.fence.stimulus}>" in text_server.instructions
    assert text_server.instructions.endswith("No programs.")


# --- texts -------------------------------------------------------------------------------------------------------------
def test_a_measurement_with_its_expectation(text_world: Any, text_server: Any) -> None:
    (found,) = talk(text_server, ("measure", {"stimuli": ["one dog", "two trees"], "expect": [0.5, 0]}))
    mark = text_world.bench.fence.stimulus
    lines = told(found).splitlines()
    assert (
        lines[0]
        == f"value=0.50 expected=0.50 {quantile(text_world, 1.0)} output/0#1 <text {mark}>one «dog»</text {mark}>"
    )
    assert lines[2] == "18 measurements left for output/0"
    assert [e.expect for e in text_world.ledger()] == [0.5, 0.0]
    assert "jail" not in text_world.ledger()[0].detail


def quantile(world: Any, raw: float) -> str:
    values = np.concatenate([o.values for o in next(iter(world.bench.labs.values())).discover])
    return f"quantile={np.mean(values < raw):.3f}"


def test_bad_input_is_an_error_and_the_server_goes_on(text_world: Any, text_server: Any) -> None:
    test = text_world.bench.labs["output/0"].corpus.split("test")[0].content
    results = talk(
        text_server,
        ("measure", {"stimuli": ["a cat"]}),
        ("measure", {"stimuli": ["a cat"], "expect": 2}),
        ("measure", {"stimuli": [test], "expect": 1}),
        ("measure", {"stimuli": "not a list", "expect": 1}),
        ("measure", {"stimuli": ["x"] * 21, "expect": 1}),
        ("exemplars", {"n": 1000}),
        ("exemplars", {"unit": "output/7"}),
        ("judge", {"hypothesis": "H1", "status": "supported", "evidence": ["output/0#1"]}),
        ("edit_text", {"text": "a cat", "how": "delete", "part": "dog"}),
        ("submit", {"label": "cats"}),
        ("submit", {}),
        ("no_such_tool", {}),
    )
    told_of = [refused(r) for r in results]
    for line, why in zip(
        told_of,
        ["expect", "0 (at rest) to 1", "test split", "stimuli", "21 measurements", "1 to 50", "did you mean", "no hypothesis",
         "does not occur", "confidence", "one of the two", "no_such_tool"],
        strict=True,
    ):  # fmt: skip
        assert why in line
    assert text_world.ledger() == []
    assert told(talk(text_server, ("measure", {"stimuli": ["a cat"], "expect": 1}))[0])


def test_a_session_from_hypothesis_to_answer(text_world: Any) -> None:
    kept: list[Any] = []

    def keep(submission: Any) -> str:
        kept.append(submission)
        return "kept"

    server = build(Offered(text_world.bench, submitted=keep))
    results = talk(
        server,
        ("hypothesize", {"text": "fires on cats"}),
        ("edit_text", {"text": "the old cat", "how": "replace", "part": "cat", "new": "[dog]"}),
        ("measure", {"stimuli": ["the old cat", "the old [dog]"], "expect": [1, 0], "hypothesis": "H1"}),
        ("judge", {"hypothesis": "H1", "status": "supported", "evidence": ["output/0#1", "output/0#2"]}),
        ("submit", {"label": '["cats"]', "confidence": 0.9, "evidence": ["output/0#1"],
                    "predicate": {"op": "word_in", "words": ["cat"]}}),
    )  # fmt: skip
    texts = [told(r) for r in results]
    assert texts[0] == "H1"
    assert "the old [dog]" in texts[1]
    assert texts[3] == "H1 supported [output/0#1, output/0#2]: fires on cats"
    assert texts[4].endswith("kept")
    (answer,) = kept
    # a label that happens to be JSON stays the text that it is
    assert (answer.label, answer.confidence, answer.evidence) == ('["cats"]', 0.9, ("output/0#1",))
    assert text_world.ledger()[1].kind == "substitute"


def test_an_answer_that_cannot_be_kept_is_an_error(text_world: Any) -> None:
    def locked(submission: Any) -> str:
        raise UserError("somebody else is writing to the run: try again")

    server = build(Offered(text_world.bench, submitted=locked))
    (result,) = talk(server, ("submit", {"unexplained": "noise"}))
    assert "somebody else is writing" in refused(result)


def test_calls_made_at_once_are_answered_one_after_another(text_world: Any, text_server: Any) -> None:
    from mcp.client.client import Client

    async def at_once() -> list[Any]:
        async with Client(text_server) as client:
            return await asyncio.gather(
                *(client.call_tool("measure", {"stimuli": [f"a cat {i}"], "expect": 1}) for i in range(8))
            )

    assert not any(r.is_error for r in asyncio.run(at_once()))
    assert [e.id for e in text_world.ledger()] == [f"output/0#{i}" for i in range(1, 9)]


# --- pictures ----------------------------------------------------------------------------------------------------------
def test_pictures_come_back_as_pictures_and_go_in_by_id(image_world: Any, image_server: Any) -> None:
    (found,) = talk(image_server, ("exemplars", {"n": 2, "where": "top", "lit": False}))
    items = image_world.lab.exemplars(2, "top")
    assert [np.asarray(p).tolist() for p in pictures(found)] == [np.asarray(i.image).tolist() for i in items]
    ids = [line.split()[0] for line in told(found).splitlines()]
    measured, looked = talk(
        image_server, ("measure", {"stimuli": ids, "expect": 1.0}), ("look", {"images": ids[:1], "lit": True})
    )
    assert [e.stimulus for e in image_world.ledger()] == [i.id for i in items]
    assert told(measured).count("expected=1.00") == 2
    assert len(pictures(looked)) == 1


def test_pictures_sent_along_are_measured_unless_they_are_of_the_test_split(
    image_world: Any, image_server: Any
) -> None:
    def uri(picture: Image.Image) -> str:
        data = BytesIO()
        picture.save(data, format="PNG")
        return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()

    test = image_world.bench.labs["units/0"].corpus.split("test")[0].content
    fine, hidden, unknown, broken = talk(
        image_server,
        ("measure", {"stimuli": [uri(Image.new("RGB", (12, 12), "red"))], "expect": 1}),
        ("measure", {"stimuli": [uri(test)], "expect": 1}),
        ("measure", {"stimuli": ["0123456789"], "expect": 1}),
        ("measure", {"stimuli": ["data:image/png;base64,AAAA"], "expect": 1}),
    )
    assert "value=1.00" in told(fine)
    assert "test split" in refused(hidden)
    assert "no picture has the id" in refused(unknown)
    assert "that is no picture" in refused(broken)
    assert len(image_world.ledger()) == 1


def test_which_units_drive_an_output(image_world: Any, image_server: Any) -> None:
    (shown,) = talk(image_server, ("exemplars", {"n": 4, "where": "top", "lit": False}))
    ids = [line.split()[0] for line in told(shown).splitlines()]
    asked = {"output": "class:0", "stimuli": ids, "expect": ["units/0"], "units": ["units/0"]}
    found, wrong = talk(image_server, ("drives", asked), ("drives", {**asked, "output": "class:zebra"}))
    assert "'output 0': it loses" in told(found) and "(expected to drive)" in told(found)
    assert "measurements left for units/0" in told(found)
    assert "class:281" in refused(wrong)
    assert [e.kind for e in image_world.ledger()] == ["look"] * 4 + ["ablate"] * 4


def test_made_and_described_pictures(image_world: Any, image_server: Any) -> None:
    (made,) = talk(image_server, ("imagine", {"prompt": "red", "n": 2}))
    name = told(made).split()[0]
    edited, described = talk(
        image_server, ("edit", {"image": name, "instruction": "blue"}), ("describe", {"images": [name]})
    )
    assert pictures(edited)[0].getpixel((0, 0)) == (0, 0, 255)
    mark = image_world.bench.fence.stimulus
    assert told(described) == f"{name}: <text {mark}>(255, 0, 0)</text {mark}>"


@pytest.mark.parametrize(
    "uri", ["data:", "data:image/png,AAAA", "data:image/png;base64,!", "data:;base64,R0lGODlhAQABAAAAACw="]
)
def test_what_is_no_picture_is_refused(uri: str) -> None:
    with pytest.raises(UserError, match="that is no picture"):
        decoded(uri)


def test_large_pictures_are_made_smaller_on_the_way_out(image_world: Any) -> None:
    server = build(Offered(image_world.bench))
    large = image_world.bench.desk.take(Image.new("RGB", (1000, 500), "green"), "image")
    (found,) = talk(server, ("look", {"images": [large.id[:10]]}))
    assert pictures(found)[0].size == (LARGEST, LARGEST // 2)


# --- programs ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def worker(text_world: Any) -> Any:
    jail = next(name for name in ("bwrap", "landlock", "none") if not backends()[name])
    with start_worker(jail, calls=text_world.bench.calls(), prelude=Path(prelude.__file__)) as started:
        yield started


@pytest.mark.filterwarnings("ignore:programs run without a jail")
def test_programs_run_in_the_jail_and_say_so(text_world: Any, worker: Worker) -> None:
    server = build(Offered(text_world.bench, worker=worker))
    first, second, wrong, outside = talk(
        server,
        (
            "run_python",
            {"code": "found = lab.measure(['a cat', 'a tree'], expect=[1, 0])\nlab.show('look')\nlen(found)"},
        ),
        ("run_python", {"code": "[f.value for f in found]"}),
        ("run_python", {"code": "lab.measure('a cat')"}),
        ("measure", {"stimuli": ["a dog"], "expect": 0.5}),
    )
    mark = text_world.bench.fence.output
    assert (
        told(first)
        == f"[jail: {worker.backend}]\n<output {mark}>\n2\n</output {mark}>\n<output {mark}>\nlook\n</output {mark}>"
    )
    assert "[1.0, 0.0]" in told(second)
    assert "expect" in told(wrong)
    assert not outside.is_error
    assert [e.detail.get("jail") for e in text_world.ledger()] == [worker.backend, worker.backend, None]


# --- over stdio --------------------------------------------------------------------------------------------------------
@pytest.fixture
def run_folder(tmp_path: Path, model_folder: Path, jsonl: Path) -> Path:
    from maieutic.campaign import RunPlan, create_run

    plan = RunPlan(
        subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), units=("layers.1.mlp/3",), nulls=0
    )
    create_run(tmp_path / "run", plan).close()
    return tmp_path / "run"


@pytest.mark.slow
def test_a_client_over_stdio_leaves_its_answer_in_the_run(run_folder: Path) -> None:
    from mcp.client.stdio import StdioServerParameters

    from maieutic.campaign import open_run, stored_explanation
    from maieutic.store import experiments
    from maieutic.store.check import problems

    jail = next((name for name in ("bwrap", "landlock") if not backends()[name]), None)
    arguments = ["-m", "maieutic", "mcp", str(run_folder), "--budget", "10", *(["--jail", jail] if jail else [])]
    server = StdioServerParameters(command=sys.executable, args=arguments, env={**os.environ, "OMP_NUM_THREADS": "1"})
    program = "for word in ('cat', 'dog'):\n    print(lab.measure('the ' + word, expect=0.5))"
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_units", {}),
        ("exemplars", {"n": 3}),
        ("measure", {"stimuli": ["the cat sat"], "expect": 0.2, "because": "a guess"}),
        ("measure", {"stimuli": ["the cat sat"]}),
        ("ablate", {"stimuli": ["the cat sat"], "expect": True}),
        *([("run_python", {"code": program})] if jail else []),
        ("submit", {"label": 'the word "cat"', "confidence": 0.4, "evidence": ["layers.1.mlp/3#1"]}),
    ]
    results = talk(server, *calls)
    assert told(results[0]).startswith("layers.1.mlp/3: text unit of hf:")
    assert told(results[1]).count("<text ") == 3
    assert "layers.1.mlp/3#1" in told(results[2])
    assert results[3].is_error
    assert "kept in" in told(results[-1])
    with open_run(run_folder) as run:
        found = stored_explanation(run, "main", run.units[0], explainer="mcp")
        rows = run.store.rows(experiments)
    assert found is not None
    assert (found.label, found.confidence, found.evidence) == ('the word "cat"', 0.4, ("layers.1.mlp/3#1",))
    assert '"cat"' in found.predicate.describe()
    assert [r["kind"] for r in rows] == ["own", "look", "ablate", *(["own", "own"] if jail else [])]
    assert (rows[0]["expect"], rows[0]["detail"]) == (0.2, {"because": "a guess"})
    assert [r["detail"].get("jail") for r in rows[3:]] == [jail, jail][: len(rows) - 3]
    assert problems(run_folder) == []
