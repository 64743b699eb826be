"""The workbench from inside each jail that this machine has: the same calls, by value, with the same outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maieutic.lab import prelude
from maieutic.lab.worker import backends, start_worker

PROGRAM = """
top, low = lab.exemplars(2)
made = lab.imagine("red", n=2)
lab.measure(made[0], expect=np.float32(1.0))
painted = lab.edit(made[0], "blue")
pixels = np.asarray(painted.image)
both = lab.measure([painted, Image.fromarray(np.zeros((8, 8, 3), np.uint8))], expect=np.array([0.0, 0.25]))
lab.show(top, (painted, "painted"))
print(pixels[0, 0].tolist(), [m.value for m in both], top.highlighted.size == top.image.size)
print(lab.ablate(made[0], expect=True).__class__.__name__, lab.remaining())
try:
    lab.measure(made[0], expect=3)
except LabError as error:
    print(error)
"""
OUTPUT = """\
[0, 0, 255] [0.0, 0.0] True
Results 15
an expectation is a number from 0 (at rest) to 1 (strongly active): give such numbers
"""


@pytest.mark.filterwarnings("ignore:programs run without a jail")
@pytest.mark.parametrize("jail", ["bwrap", "landlock", "none"])
def test_a_program_in_the_jail_sees_the_same_lab(image_world: Any, jail: str) -> None:
    if why := backends()[jail]:
        pytest.skip(why)
    bench = image_world.bench
    with start_worker(jail, calls=bench.calls(), prelude=Path(prelude.__file__)) as worker:
        ran = worker.run(PROGRAM)
    assert (ran.error, ran.stopped) == (None, None)
    assert ran.output == OUTPUT
    # pictures crossed twice, there and back, and are still those that were imagined and edited
    assert [e.kind for e in image_world.ledger()] == ["imagine", "edit", "own", "look", "ablate"]
    assert image_world.ledger()[1].pair == "units/0#1"
    assert [s.text for s in bench.take_shown()][1] == "painted"
