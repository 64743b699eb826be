"""Every attack against every jail that starts here; and the same attacks where nothing stops them, to show that they work."""

from __future__ import annotations

from functools import lru_cache

import pytest

from maieutic.bench.attacks import ATTACKS, Attack, Scene, tried
from maieutic.bench.attacks.attack import LIMITS, with_facts
from maieutic.bench.attacks.messages import _FORGE
from maieutic.bench.jail import Trial, _figure, run_jail
from maieutic.lab.worker import backends, start_worker

BY_NAME = {a.name: a for a in ATTACKS}
#: those that take more than two seconds
LONG = {
    "take 3 GiB",
    "endless loop",
    "huge output",
    "forged messages",
    "oversized messages",
    "deep values",
    "image bombs",
}
#: those that any user's plain process succeeds with
WORK = (
    "read a secret file", "read by links", "list other folders", "read system files", "read the repository",
    "import other packages", "write outside scratch", "change files outside", "read environments", "signal the parent",
    "limits of others", "fork bomb", "thread bomb", "start a program", "become a program", "outlive the unit",
    "leave things to the next unit", "TCP", "UDP", "unix sockets", "abstract sockets", "listen", "memory files",
    "fill the disk unseen",
)  # fmt: skip


@lru_cache(maxsize=1)
def reasons() -> dict[str, str]:
    return backends()


def cases() -> list[object]:
    return [pytest.param(a, marks=[pytest.mark.slow] if a.name in LONG else [], id=a.name) for a in ATTACKS]


@pytest.mark.parametrize("jail", ["bwrap", "landlock", "docker"])
@pytest.mark.parametrize("attack", cases())
def test_it_is_contained(attack: Attack, jail: str) -> None:
    if why := reasons()[jail]:
        pytest.skip(f"{jail}: {why}")
    assert tried(attack, jail) == ""


@pytest.mark.parametrize("name", WORK)
@pytest.mark.filterwarnings("ignore:programs run without a jail")
def test_it_works_where_nothing_stops_it(name: str) -> None:
    assert tried(BY_NAME[name], "none") != "", "an attack that never succeeds shows nothing"


@pytest.mark.filterwarnings("ignore:programs run without a jail")
def test_what_forgers_write_reaches_the_host() -> None:
    """Their malformed messages are refused; a well-formed one by the same means is served."""
    forged = f"{_FORGE}\ncall('by hand')\nos.read(3, 1 << 16)\nprint('answered')"
    with Scene() as scene, start_worker("none", calls={"serve": scene.serve}, limits=LIMITS) as worker:
        ran = worker.run(with_facts(forged, scene.facts()))
    assert scene.served == [("forged", "by hand")]
    assert ran.output.endswith("answered\n")


def test_names_are_told_apart_and_the_issues_list_is_covered() -> None:
    assert len(BY_NAME) == len(ATTACKS) >= 40
    assert {a.group for a in ATTACKS} == {"files", "processes", "network", "resources", "messages", "escape"}


def test_the_bench_counts_what_was_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"bwrap": "bubblewrap is not installed", "landlock": "no Landlock", "docker": "no daemon", "none": ""}
    monkeypatch.setattr("maieutic.bench.jail.backends", lambda image: here)
    attacks = (BY_NAME["TCP"], BY_NAME["one big file"])
    result = run_jail(attacks=attacks)
    # of the two, a plain process has its connection, and only the big file is held off, by the limit on sizes
    assert result.figures["contained.none"].reading.value == 0.5
    assert result.figures["contained.none"].target is None
    assert result.figures["contained.bwrap"].reading.reason == "bubblewrap is not installed"
    assert result.met, "a jail that is refused misses no target: nobody can use it"
    assert result.tables[0].rows == (
        ("TCP", "unmeasured", "unmeasured", "unmeasured", "ESCAPED"),
        ("one big file", "unmeasured", "unmeasured", "unmeasured", "contained"),
        ("contained", "unmeasured", "unmeasured", "unmeasured", "1 of 2"),
    )
    assert [r["verdict"] for r in result.rows] == ["ESCAPED", "contained"]


def test_one_escape_misses_the_target_and_a_missing_trial_is_no_success() -> None:
    held, escaped = (Trial(attack=ATTACKS[0], backend="bwrap", got=got) for got in ("", "the secret was read"))
    assert _figure("bwrap", [held, held], "").met is True
    assert _figure("bwrap", [held, escaped], "").met is False
    missing = Trial(attack=ATTACKS[0], backend="bwrap", unmeasured="it could not be started")
    assert _figure("bwrap", [held, missing], "").reading.value is None
    assert _figure("bwrap", [held, missing], "").met is False
