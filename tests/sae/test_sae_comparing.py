"""Latents beside other units: the draw, the differences by hand, the whole on a tiny model, its page and its commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from maieutic.cli import sae as command
from maieutic.errors import UserError
from maieutic.harvest import harvest
from maieutic.readings import RESAMPLES, Estimate
from maieutic.report.sae import sae_html, verdict, write_sae_page
from maieutic.stimuli import Corpus
from maieutic.studies.compare import UnitScore
from maieutic.studies.sae import comparing
from maieutic.studies.sae.bases import KINDS, LIVE, Kind, draw_bases, live_units
from maieutic.studies.sae.comparing import Compared, Scored, bootstrap_p, compare_bases, group_of
from maieutic.studies.sae.making import make_sae
from maieutic.studies.sae.settings import TrainSettings
from maieutic.subjects import Subject, function_subject, load_subject

SITE = "layers.0.resid"
SETTINGS = TrainSettings(latents=32, k=4, tokens=1200, steps=60, batch=64, chunk=512, dead_after=500, lr=3e-3)


@pytest.fixture(scope="module")
def corpus(texts: list[str]) -> Corpus:
    return Corpus.from_texts(texts[:120], name="tiny")


@pytest.fixture(scope="module")
def folder(model_folder: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sae") / "made"
    make_sae(load_subject(f"hf:{model_folder}"), corpus, SITE, out, settings=SETTINGS)
    return out


@pytest.fixture(scope="module")
def seen(model_folder: Path, folder: Path) -> Subject:
    return load_subject(f"hf:{model_folder}").latents(folder)


@pytest.fixture(scope="module")
def found(seen: Subject, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Compared, Path]:
    out = tmp_path_factory.mktemp("compare") / "out"
    return compare_bases(seen, corpus, f"{SITE}.sae", out, n=3, explainer="lookup", budget=10), out


def test_live_units_are_above_their_lowest_value_at_ten_texts() -> None:
    """Unit 0 counts a letter that ten texts hold, unit 1 one that nine do, unit 2 never changes."""
    texts = [("a" * (i < 10)) + ("b" * (i < 9)) + f" text {i}" for i in range(60)]
    corpus = Corpus.from_texts(texts, name="letters")
    corpus = replace(corpus, stimuli=[replace(s, split="discover") for s in corpus])

    live: list[bool] = []
    for count in (lambda t: t.count("a"), lambda t: t.count("b"), lambda _t: 1):
        subject = function_subject(lambda shown, count=count: [float(count(t)) for t in shown], modality="text")
        site = subject.sites()[0].name
        live.append(bool(live_units(harvest(subject, corpus, [site]).sites[site])[0]))
    assert LIVE == 10
    assert live == [True, False, False]


def test_every_kind_is_drawn_by_its_rule(seen: Subject, corpus: Corpus) -> None:
    bases = draw_bases(seen, corpus, f"{SITE}.sae", n=3, seed=0)
    assert [k.name for k in bases.kinds] == list(KINDS)
    again = draw_bases(seen, corpus, f"{SITE}.sae", n=3, seed=0)
    assert [u.key for u in bases.units] == [u.key for u in again.units]
    by = {k.name: k for k in bases.kinds}
    assert [u.key for u in by["components"].units] == [f"{SITE}/d:component-{i}" for i in range(3)]
    assert {u.site for u in by["neurons"].units} == {"layers.0.mlp"}
    for name in ("latents", "random latents", "neurons"):
        values = harvest(bases.subject, corpus, bases.sites, keep=by[name].units)
        for unit in by[name].units:
            rows = [o.values for o in values.observed(unit, "discover")]
            low = min(r.min() for r in rows)
            assert sum(r.max() > low for r in rows) >= LIVE


def scored(kind: str, values: list[float]) -> list[Scored]:
    """Units whose score is the same on every resample of documents."""
    return [
        Scored(
            kind=kind,
            score=UnitScore(
                key=f"{kind}/{i}", value=v, label="x", replicates=np.full(RESAMPLES, v), constant=np.full(RESAMPLES, 0.1),
                base_rate=0.1,
            ),
        )
        for i, v in enumerate(values)
    ]  # fmt: skip


def kind_of(name: str) -> Kind:
    return Kind(name=name, what=KINDS[name], site="s", units=(), live=9, of=10)


def test_differences_by_hand() -> None:
    """Means 0.7 and 0.3: latents lead neurons by 0.4; components are drawn with the same mean as latents."""
    groups = [
        group_of(kind_of("latents"), scored("latents", [0.5, 0.6, 0.7, 0.8, 0.9]), seed=0),
        group_of(kind_of("neurons"), scored("neurons", [0.1, 0.2, 0.3, 0.4, 0.5]), seed=0),
        group_of(kind_of("components"), scored("components", [0.5, 0.6, 0.7, 0.8, 0.9]), seed=0),
    ]
    first, second = list(comparing._contrasts(groups, 0))
    assert first.reading.value == pytest.approx(0.4)
    # a mean of five has the standard error sqrt(0.02 / 5) = 0.063, a difference of two 0.089: 0.4 +- 1.96 x 0.089 = 0.22 to 0.58
    assert first.reading.low == pytest.approx(0.22, abs=0.05) and first.reading.high == pytest.approx(0.58, abs=0.05)
    # no resample is at or below 0: p = 2 (0 + 1) / (1000 + 1), Holm over two doubles it
    assert first.p == pytest.approx(2 / 1001) and first.corrected == pytest.approx(4 / 1001)
    assert first.verdict == "better"
    assert second.reading.value == pytest.approx(0.0) and second.verdict == "no difference seen"
    assert groups[0].over_constant.value == pytest.approx(0.6)
    assert groups[1].half.value == pytest.approx(0.2) and groups[2].half.value == 1


def test_few_units_carry_no_difference() -> None:
    """Four that can be scored on a side are too few; what is measured keeps a correction over itself alone."""
    many, few = [0.5, 0.6, 0.7, 0.8, 0.9], [0.1, 0.2, 0.3, 0.4]
    dead = Scored(kind="neurons", score=UnitScore(key="n", value=None, reason="dead"))
    groups = [
        group_of(kind_of("latents"), scored("latents", many), seed=0),
        group_of(kind_of("neurons"), [*scored("neurons", few), dead], seed=0),
        group_of(kind_of("components"), scored("components", many), seed=0),
    ]
    missing, other = list(comparing._contrasts(groups, 0))
    assert missing.verdict == "unmeasured" and missing.corrected is None
    assert missing.reading.reason == f"4 {KINDS['neurons']} can be scored: at least 5 are needed"
    assert other.corrected == other.p
    assert groups[1].ap.value == pytest.approx(0.25)  # told all the same


def test_p_of_resamples() -> None:
    """Of 1000 resamples 10 are at or below zero: 2 (10 + 1) / 1001."""
    replicates = np.concatenate([np.full(10, -0.1), np.full(990, 0.2)])
    assert bootstrap_p(Estimate(value=0.2, replicates=replicates)) == pytest.approx(22 / 1001)
    assert bootstrap_p(Estimate(value=0.0, replicates=np.zeros(1000))) == 1.0


def test_the_whole_on_a_tiny_model(found: tuple[Compared, Path], seen: Subject, corpus: Corpus) -> None:
    result, out = found
    assert [g.kind.name for g in result.groups] == list(KINDS)
    assert all(len(g.scored) == 3 for g in result.groups)
    assert len(result.contrasts) == 4 and result.documents > 5
    assert {c.verdict for c in result.contrasts} == {"unmeasured"}  # three units of a kind are too few
    rows = [json.loads(line) for line in (out / "units.jsonl").read_text().splitlines()]
    assert len(rows) == 15
    stored = json.loads((out / "compare.json").read_text())
    assert stored["contrasts"][0]["other"] == "neurons"
    with pytest.raises(UserError, match="holds another comparison"):
        compare_bases(seen, corpus, f"{SITE}.sae", out, n=3, explainer="lookup", budget=11)


def test_a_cut_comparison_goes_on(
    found: tuple[Compared, Path], seen: Subject, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, out = found
    rows = (out / "units.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "units.jsonl").write_text("".join(rows[:11]))
    asked: list[str] = []
    real = comparing.explain

    def counted(lab: Any, *args: Any, **more: Any) -> Any:
        asked.append(lab.unit.key)
        return real(lab, *args, **more)

    monkeypatch.setattr(comparing, "explain", counted)
    again = compare_bases(seen, corpus, f"{SITE}.sae", tmp_path, n=3, explainer="lookup", budget=10)
    assert asked == [json.loads(r)["unit"] for r in rows[11:]]
    assert again.to_json() == result.to_json()


def test_a_unit_whose_explainer_fails_is_told(
    seen: Subject, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_args: Any, **_more: Any) -> Any:
        raise UserError("no answer: try again")

    monkeypatch.setattr(comparing, "explain", refuses)
    result = compare_bases(seen, corpus, f"{SITE}.sae", tmp_path / "f", n=2, explainer="lookup", budget=10)
    assert all(c.verdict == "unmeasured" for c in result.contrasts)
    assert result.groups[0].scored[0].score.reason == "no explanation: no answer: try again"
    assert result.groups[0].ap.value is None
    assert "could not be compared" in verdict(result)


def test_the_page_escapes_what_models_say(found: tuple[Compared, Path], tmp_path: Path) -> None:
    result, _ = found
    first = result.groups[0]
    bad = replace(first.scored[0], score=replace(first.scored[0].score, label="<script>alert(1)</script>"))
    result = replace(result, groups=(replace(first, scored=(bad, *first.scored[1:])), *result.groups[1:]))
    html = sae_html(result)
    assert "<script>" not in html and "&lt;script&gt;alert(1)" in html
    assert all(what in html for what in KINDS.values())
    assert "http" not in html.replace("http-equiv", "")
    assert write_sae_page(result, tmp_path / "p").read_text() == html


def test_commands(model_folder: Path, corpus: Corpus, tmp_path: Path) -> None:
    lines = [json.dumps({"text": s.content, "document": s.group}) for s in corpus]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    name, texts, out = f"hf:{model_folder}", str(tmp_path / "t.jsonl"), str(tmp_path / "sae")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(command.app, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    small = ["--latents", "32", "--k", "4", "--tokens", "900", "--steps", "20", "--batch", "64", "--lr", "0.003"]
    told = run("train", name, "--site", SITE, "--out", out, "--corpus", texts, *small)
    assert "32 latents of layers.0.resid, 4 active" in told and "next:  maieutic sae info" in told
    facts = json.loads(run("info", out, "--json"))
    assert (facts["site"], facts["latents"], facts["k"], facts["format"]) == (SITE, 32, 4, "maieutic")
    told = run("info", out, "--subject", name, "--corpus", texts, "--tokens", "200", "--loss-tokens", "40")
    assert "sae      fvu" in told and "random   fvu" in told
    compared = ["--units", "2", "--explainer", "lookup", "--budget", "5", "--no-metrics"]
    told = run("compare", out, "--subject", name, "--corpus", texts, "--out", str(tmp_path / "c"), *compared)
    assert "latents minus neurons" in told and (tmp_path / "c" / "sae.html").is_file()
