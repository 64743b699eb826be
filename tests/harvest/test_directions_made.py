"""Directions made from a corpus: found on discover, tried on select, written and opened again by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from maieutic.errors import UserError
from maieutic.harvest.directions import DirectionPlan, make_directions, sample_rows
from maieutic.stimuli import Corpus
from maieutic.subjects import Subject, module_subject
from maieutic.subjects.lenses.directions import with_directions


class Letters(nn.Module):
    """Each letter has a fixed vector; "z" alone has 3 at place 2."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Embedding(128, 6), nn.Linear(6, 6, bias=False)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.embed.weight.copy_(0.3 * torch.randn(128, 6, generator=generator))
            self.embed.weight[ord("z")] += torch.tensor([0.0, 0, 3, 0, 0, 0])
            self.out.weight.copy_(torch.eye(6))

    def forward(self, ids: Tensor) -> Tensor:
        return cast(Tensor, self.out(self.embed(ids)))


@pytest.fixture
def letters() -> Subject:
    def encode(text: str) -> list[tuple[int, int, int]]:
        return [(ord(c), i, i + 1) for i, c in enumerate(text)]

    return module_subject(Letters(), tokenizer=encode, name="letters", sites=["out"])


@pytest.fixture
def corpus() -> Corpus:
    """120 texts of six letters; half are tagged "buzz" and hold z at two places."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(120)]
    texts = [w[:2] + "zz" + w[4:] if i % 2 else w for i, w in enumerate(words)]
    tags = ["buzz" if i % 2 else "plain" for i in range(120)]
    return Corpus.from_texts(texts, tags=tags, documents=[f"d{i}" for i in range(120)], name="letters")


@pytest.mark.parametrize("kind", ["diff", "probe"])
def test_a_side_is_found_on_discover_and_told_apart_on_select(letters: Subject, corpus: Corpus, kind: Any) -> None:
    plan = DirectionPlan(kind=kind, positive="buzz", controls=3, name="z")
    (found, null), separation = make_directions(letters, corpus, "out", plan)
    spread = sample_rows(letters, corpus, "out", plan, "discover").rows.std(axis=0)
    assert (found.vectors[0] * spread).argmax() == 2  # what each place contributes
    assert separation is not None
    assert separation.value == pytest.approx(1.0)  # every text of one side has a z, none of the other
    assert separation.n == len(corpus.split("select"))
    assert (null.name, len(null.vectors), found.names) == ("z-random", 3, ("buzz",))
    seen = with_directions(letters, [found, null])
    z, a = seen.read(["z", "a"], [seen.unit("out.z", 0)])
    assert z[0, 0] > a[0, 0]


def test_components_are_of_the_rows_of_discover(letters: Subject, corpus: Corpus) -> None:
    plan = DirectionPlan(kind="pca", count=2, controls=0)
    (found,), separation = make_directions(letters, corpus, "out", plan)
    assert separation is None
    assert found.vectors[0].argmax() == 2  # 3 for a sixth of the letters outweighs noise of 0.3
    assert found.made["variance"][0] > 0.5
    shown = [s for s in corpus.split("discover")]
    rows = torch.cat([cast(Any, letters).module(torch.tensor([[ord(c) for c in s.content]]))[0] for s in shown])
    assert found.made["rows"] == len(rows)
    mean = (rows.detach().numpy() @ found.vectors.T + found.offsets).mean(0)
    np.testing.assert_allclose(mean, 0.0, atol=1e-4)


def test_rows_are_those_positions_and_no_more(letters: Subject, corpus: Corpus) -> None:
    plan = DirectionPlan(kind="random", positions=2, stimuli=10, seed=4)
    sample = sample_rows(letters, corpus, "out", plan, "discover")
    assert sample.rows.shape == (20, 6)
    for i, stimulus in enumerate(sample.stimuli):
        assert stimulus.split == "discover"
        values = letters.forward([stimulus.content], ["out"]).values["out"][0].numpy()
        for row in sample.rows[sample.owner == i]:
            assert (values == row).all(axis=1).any()
    again = sample_rows(letters, corpus, "out", plan, "discover")
    np.testing.assert_array_equal(sample.rows, again.rows)


def test_what_cannot_be_made_says_why(letters: Subject, corpus: Corpus) -> None:
    with pytest.raises(UserError, match="'buz'.*did you mean 'buzz'"):
        make_directions(letters, corpus, "out", DirectionPlan(kind="diff", positive="buz"))
    with pytest.raises(UserError, match="needs the tag"):
        DirectionPlan(kind="probe")
    with pytest.raises(UserError, match="has no sides"):
        DirectionPlan(kind="pca", positive="buzz")
    with pytest.raises(UserError, match="no kind is called 'pcs'.*did you mean 'pca'"):
        DirectionPlan(kind=cast(Any, "pcs"))
    (found,), _ = make_directions(letters, corpus, "out", DirectionPlan(kind="pca", count=2, controls=0))
    with pytest.raises(UserError, match="seen through a lens"):
        make_directions(with_directions(letters, [found]), corpus, "out.pca", DirectionPlan(kind="pca"))


def test_the_command_writes_what_load_subject_opens(
    letters: Subject, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    from maieutic import stimuli, subjects
    from maieutic.cli.directions import directions
    from maieutic.subjects.lenses.names import attach

    monkeypatch.setattr(subjects, "load_subject", lambda _name: letters)
    monkeypatch.setattr(stimuli, "load_corpus", lambda _name, size=None: corpus)  # noqa: ARG005 (as called)
    app = typer.Typer()
    app.command()(directions)
    out = tmp_path / "z.safetensors"
    asked = ["letters", "--site", "out", "--kind", "probe", "--positive", "buzz", "--controls", "2", "--out", str(out)]
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert [s["site"] for s in told["sets"]] == ["out.probe", "out.probe-random"]
    assert told["auroc"]["value"] == pytest.approx(1.0)
    seen = attach(letters, [("directions", str(out))])
    assert [s.name for s in seen.sites()] == ["out", "out.probe", "out.probe-random"]
    assert seen.site("out.probe").about == "1 logistic probe at out (buzz)"
    again = CliRunner().invoke(app, asked)
    assert isinstance(again.exception, UserError)
    assert "exists" in str(again.exception)
