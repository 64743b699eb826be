"""The agent on picture units: what the model is shown arrives as pictures, over HTTP too, or as words where it cannot see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maieutic as mt
from maieutic.lab import Budget
from maieutic.lab.worker import backends
from maieutic.llm.loopback import Call, Loopback, Reply, Request

USABLE = [name for name, why in backends().items() if not why and name != "none"]
jailed = pytest.mark.skipif(not USABLE, reason=f"no jail works here: {backends()}")
PROGRAMS = (
    "top = lab.exemplars(4)\nlab.show((top[0].image, 'the strongest'))",
    "red = Image.new('RGB', (24, 24), (255, 0, 0))\nr = lab.measure([red, top[0].image], expect=[1, 0.9])\nlab.show(*r)",
    "lab.submit('red', predicate=P.colour(name='red', where='whole', low=0.0, high=1.0), confidence=0.9, evidence=r)",
)


def lab_of_reds() -> mt.Lab:
    """A box that gives the mean of the red channel above the others, 0 to 1, over 60 plain pictures."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (60, 3))
    pictures = [Image.new("RGB", (24, 24), tuple(int(v) for v in c)) for c in colours]

    def redness(images: list[Image.Image]) -> list[float]:
        arrays = [np.asarray(i, dtype=np.float64) for i in images]
        return [float(max(a[..., 0].mean() - a[..., 1:].mean(), 0.0)) / 255 for a in arrays]

    subject = mt.function_subject(redness, modality="image")
    atlas = mt.harvest(subject, mt.Corpus.from_images(pictures), [s.name for s in subject.sites()])
    return mt.Lab(subject, subject.unit(), atlas, budget=Budget(measurements=20))


def program(request: Request) -> Reply:
    done = sum(m["role"] == "assistant" for m in request.messages)
    return Reply(calls=(Call(name="python", arguments={"code": PROGRAMS[min(done, len(PROGRAMS) - 1)]}),))


def explained(lab: mt.Lab, server: Loopback, folder: Path, **options: Any) -> Any:
    return mt.explain(
        lab, "agent", model="openai-api/local/test", base_url=server.url, jail=USABLE[0], cache=False, transcripts=folder,
        write=None, **options,
    )  # fmt: skip


@jailed
def test_pictures_reach_the_model_the_transcript_and_the_ledger(tmp_path: Path) -> None:
    lab = lab_of_reds()
    with Loopback(program) as server:
        found = explained(lab, server, tmp_path)
        seen = server.requests[-1].images()
    # chat completions carry no pictures in tool messages: they come in user messages, in the order they were shown
    strongest = lab.exemplars(1)[0].stimulus.content
    assert [i.size for i in seen] == [(24, 24)] * 3
    assert np.array_equal(np.asarray(seen[0]), np.asarray(strongest))
    assert np.asarray(seen[1])[0, 0].tolist() == [255, 0, 0]
    assert found.label == "red" and len(lab.ledger) == 2
    # the pictures of the ledger are kept by content: one of the program's own, one that it was handed
    assert {e.stimulus for e in lab.ledger.entries} <= set(lab.shown)
    assert lab.shown[lab.ledger.entries[0].stimulus].content.getpixel((0, 0)) == (255, 0, 0)
    run = json.loads((tmp_path / "output_0.agent.json").read_text())["runs"][0]
    names = [p["image"] for m in run["messages"] for p in m["parts"] if "image" in p]
    assert len(names) == 3 and all((tmp_path / "pictures" / n).is_file() for n in names)


@jailed
def test_a_model_that_does_not_see_is_given_words(tmp_path: Path) -> None:
    with Loopback(program) as server:
        explained(lab_of_reds(), server, tmp_path, pictures=False)
        assert server.requests[-1].images() == []
        assert "[picture: " in server.requests[-1].text
