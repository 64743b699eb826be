"""A whole run on tiny models: resumed, stopped half-way, with parts that fail, and by other executors."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import StoreError, UsageError
from maieutic.executors import Broken, Done, Work, open_executor
from maieutic.executors.in_process import InProcess
from maieutic.readings import Reading
from maieutic.studies.regularization import measuring
from maieutic.studies.regularization.config import StudyConfig, load_config, narrowed
from maieutic.studies.regularization.keeping import Kept, all_kept
from maieutic.studies.regularization.measuring import (
    Asked,
    Task,
    common_of,
    measures_file,
    partners,
    read_part,
    tasks_of,
)
from maieutic.studies.regularization.parts import behaviour
from maieutic.studies.regularization.rows import Row
from maieutic.studies.regularization.run import Study, conclude, run_study

TINY: dict[str, Any] = {
    "arms": ["gelu", "topk"], "seeds": [0, 1], "gold_arms": [], "null_seeds": [2],
    "shape": {"layers": 1, "d_model": 16, "d_mlp": 24, "heads": 2},
    "training": {"steps": 20, "batch": 8, "checkpoints": [0.5]},
    "corpus": {"training": 160, "measured": 60, "subjects": 12, "first_names": 6, "last_names": 4, "towns": 8, "jobs": 6},
    "measuring": {
        kind: {"behaviour": "full", "editing": "interference", "interpretability": ""}
        for kind in ("main", "null", "checkpoint")
    },
}  # fmt: skip


def tiny(**changes: Any) -> StudyConfig:
    return load_config("quick", **{**TINY, **changes})


def ran(folder: Path, settings: StudyConfig | None = None) -> Study:
    with open_executor("in-process") as executor:
        return run_study(settings or tiny(), folder, executor)


def told(folder: Path) -> dict[str, Any]:
    """Results without how long they took, and the speeds."""
    found = json.loads((folder / "results.json").read_text())
    return {k: v for k, v in found.items() if k != "seconds"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "run"
    assert ran(folder).complete
    return folder


def test_a_run_leaves_tables_that_agree(done: Path) -> None:
    import pyarrow.parquet as pq

    with (done / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(done / "measures.parquet").to_pylist()
    assert len(rows) == len(table) and {r["arm"] for r in rows} == {"gelu", "topk"}
    # 4 headline models, 1 of the null, 2 checkpoints
    assert len({(r["model"], r["step"]) for r in rows}) == 7
    for a, b in zip(rows, table, strict=True):
        assert a["measure"] == b["measure"] and (a["value"] == "") == (b["value"] is None) == (b["reason"] is not None)
    losses = {(r["model"], r["step"]): r["value"] for r in table if r["measure"] == "loss"}
    record = json.loads((done / "models/main/gelu/seed-0/record.json").read_text())
    assert losses["main/gelu/seed-0", None] == pytest.approx(record["loss"])
    assert losses["main/gelu/seed-0", 10] == pytest.approx(record["checkpoints"]["10"]["loss"])
    assert not list(done.rglob("*.part"))


def test_a_finished_run_is_not_done_again_and_says_the_same(done: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.glob("models/**/*.*")}
    first = told(done)
    ran(done)
    assert {p: p.stat().st_mtime_ns for p in done.glob("models/**/*.*")} == before
    assert told(done) == first


class Stopped(InProcess):
    """Ctrl-C after so many jobs."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def run(self, work: Work, jobs: Sequence[Any]) -> Iterator[Done | Broken]:
        for ending in super().run(work, jobs):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            yield ending


@pytest.mark.slow
@pytest.mark.parametrize("after", [3, 7, 12])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(done: Path, tmp_path: Path, after: int) -> None:
    with pytest.raises(KeyboardInterrupt), Stopped(after) as executor:
        run_study(tiny(), tmp_path / "run", executor)
    half = conclude(tiny(), tmp_path / "run")
    assert half.table.missing
    ran(tmp_path / "run")
    speeds = "tokens-per-second"  # a clock's, the only thing that may differ
    own, other = (_values(p) for p in (tmp_path / "run", done))
    assert {k: v for k, v in own.items() if speeds not in k} == {k: v for k, v in other.items() if speeds not in k}


def _values(folder: Path) -> dict[tuple[str, ...], str]:
    with (folder / "measures.csv").open(newline="") as file:
        return {(r["model"], r["step"], r["measure"], r["where"]): r["value"] for r in csv.DictReader(file)}


def broken(model: Any, corpus: Any, asked: Asked) -> Sequence[Row]:
    """A part that fails for one arm."""
    if model.config.top_k:
        raise RuntimeError("the measure broke")
    return behaviour(model, corpus, asked)


def test_a_part_that_raises_is_unmeasured_with_its_reason_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny(seeds=[0], null_seeds=[])
    monkeypatch.setitem(measuring.PARTS, "behaviour", f"{__name__}:broken")
    study = ran(tmp_path, settings)
    assert not study.complete and [n for n, _ in study.table.missing] == ["main/topk@0.125/seed-0, behaviour"]
    (top,) = study.table.of("topk").values()
    assert top.value("recall.held-out") is None and "the measure broke" in top.reason("recall.held-out")
    assert top.value("interference.rms") is not None  # the other parts are there
    (c,) = [c for c in study.findings.families["recall.held-out at equal tokens"]]
    assert c.verdict == "unmeasured" and "the measure broke" in str(c.reading.reason)
    monkeypatch.undo()
    assert ran(tmp_path, settings).complete


def test_a_model_that_cannot_be_trained_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maieutic.studies.regularization import keeping

    real = keeping.train

    def train(arm: Any, **more: Any) -> Any:
        if arm.name == "topk":
            raise RuntimeError("the loss is not finite")
        return real(arm, **more)

    monkeypatch.setattr(keeping, "train", train)
    study = ran(tmp_path, tiny(seeds=[0], null_seeds=[]))
    assert ("main/topk@0.125/seed-0", "the loss is not finite") in [
        (n, w.split(": ")[-1]) for n, w in study.table.missing
    ]
    (c,) = [c for c in study.findings.families["recall.held-out at equal tokens"]]
    assert "not finite" in str(c.reading.reason)
    # concluded again from the folder alone, the arm is still missing and still named
    assert conclude(tiny(seeds=[0], null_seeds=[]), tmp_path).table.missing == study.table.missing


def test_another_plan_is_measured_anew_and_another_model_refused(done: Path) -> None:
    kept = [m for m in all_kept(tiny(), done) if isinstance(m, Kept)]
    one = Task(kept=kept[0], part="editing", plan="interference", seed=0)
    assert one.settings != Task(kept=kept[0], part="editing", plan="quick", seed=0).settings
    assert one.settings != Task(kept=kept[0], part="editing", plan="interference", seed=0, common=(1, 2)).settings
    with pytest.raises(StoreError, match="another configuration"):
        ran(done, tiny(training={**TINY["training"], "steps": 21}))


def test_only_facts_that_every_arm_knows_are_common(done: Path, tmp_path: Path) -> None:
    settings = tiny()
    kept = [m for m in all_kept(settings, done) if isinstance(m, Kept)]
    lists = {"main/gelu/seed-0": [*range(0, 30)], "main/topk@0.125/seed-0": [*range(5, 40)], "main/gelu/seed-1": [1, 2]}
    made: list[Kept] = []
    for k in kept:
        if k.variant.name in lists:
            own = Kept(variant=k.variant, folder=tmp_path / k.variant.name, record=k.record)
            own.folder.mkdir(parents=True)
            rows = {"known": {"settings": "", "rows": lists[k.variant.name]}}
            measures_file(own).write_text(json.dumps(rows))
            made.append(own)
    found = common_of(settings, made)
    # 48 facts: a model that knows fewer than half of them leaves nothing to the others and is left out
    assert found[0] == tuple(range(5, 30)) and found[1] == ()


def test_the_null_is_asked_what_the_baseline_beside_it_is_asked(done: Path) -> None:
    settings = tiny()
    assert partners(settings) == {0: 0, 1: 1, 2: 0}
    kept = [m for m in all_kept(settings, done) if isinstance(m, Kept)]
    tasks = tasks_of(settings, kept, {0: (1, 2), 1: (3,)})
    null = next(t for t in tasks if t.kept.variant.purpose == "null" and t.part == "editing")
    base = next(
        t for t in tasks if t.kept.variant.name == "main/gelu/seed-0" and t.part == "editing" and t.step is None
    )
    assert (null.seed, null.common) == (base.seed, base.common) == (0, (1, 2))


def test_rows_come_back_as_they_were(done: Path) -> None:
    kept = next(m for m in all_kept(tiny(), done) if isinstance(m, Kept))
    told = read_part(kept, "editing")
    assert told is not None and told["rows"]
    row = Row(
        about="editability", measure="m", where="w", reading=Reading(name="m", value=0.5, n=3, details={"a": [1]})
    )
    from maieutic.studies.regularization.gathering import _row  # pyright: ignore[reportPrivateUsage]

    assert _row(json.loads(json.dumps(row.to_json()))) == row


@pytest.mark.slow
def test_processes_measure_the_same(done: Path, tmp_path: Path) -> None:
    settings = tiny(seeds=[0], null_seeds=[])
    with open_executor("processes", workers=2) as executor:
        run_study(settings, tmp_path / "run", executor)
    own, other = _values(tmp_path / "run"), _values(done)
    assert own and all(other[k] == v for k, v in own.items() if "tokens-per-second" not in k)


def test_arms_and_seeds_can_be_narrowed() -> None:
    full = load_config("full")
    found = narrowed(full, arms=["solu"], seeds=2)
    assert found.arms == ("gelu", "solu") and found.seeds == (0, 1) and found.null_seeds == (2, 3)
    assert found.sweep_arms == ("solu",) and found.gold_arms == ("gelu",) and found.capacity_seeds == (0, 1)
    assert narrowed(load_config("quick"), seeds=4).null_seeds == (4, 5, 6, 7)
    with pytest.raises(UsageError, match="did you mean 'solu'"):
        narrowed(full, arms=["sollu"])


def test_a_plan_that_there_is_not_is_refused_before_training() -> None:
    with pytest.raises(UsageError, match="no plan 'fulll' of editing"):
        load_config("quick", measuring={"main": {"editing": "fulll"}})
    assert load_config("quick", measuring={"main": {"interpretability": "full:neurons"}}).parts("main")


def test_the_file_of_the_documentation_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "study-regularization.md").read_text()
    file = tmp_path / "study.toml"
    file.write_text(page.split("```toml\n")[1].split("```")[0])
    found = load_config(file)
    assert found.shape.d_model == 128 and found.parts("main")["interpretability"].startswith("quick:")
    assert found.parts("main").keys() == {"behaviour", "interpretability", "editing"}
    assert found.parts("capacity") == {} and found.parts("sweep")["editing"] == "quick"
