"""SIGKILL at random moments of a sweep, resume each time: is the store in the end that of a sweep nobody killed?

    python benchmarks/kills.py --kills 20 --seed 0

A sweep of some channels of the packaged vision model (harvest, two stages, scores, by two worker processes) runs once in
peace. Then it is started again and again in another folder; each time the driver, or one of its workers, is killed at a
random moment, until it ends; and anew from nothing until so many kills have been made. Every finished folder is compared with
the first by the store's own digest (all rows but times and costs) and by the bytes of the harvest's summaries. It
prints one JSON object and exits with 1 when anything differs or a process is left over. It does not kill machines
(see tests/executors) nor cut power.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from maieutic.store import Store


def command(folder: Path, units: int) -> list[str]:
    """The sweep."""
    return [
        sys.executable, "-m", "maieutic", "sweep", "efficientnet-lite0", "--corpus", "photos", "--size", "300", "--site",
        "head", "--sample", str(units), "--nulls", "2", "--run", str(folder), "--workers", "2",
        "--cascade", "search-no-experiments,search:20", "--json",
    ]  # fmt: skip


def digest(folder: Path) -> dict[str, str]:
    """Of the store's tables, and of the summaries."""
    with Store.open(folder) as store:
        found = dict(store.digest())
    for file in sorted((folder / "harvest").rglob("summary.*.safetensors")):
        found[str(file.relative_to(folder))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(entry.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.parent.name))
    return found


def stopped(folder: Path, units: int, after: float, *, worker: bool) -> tuple[int | None, str | None, list[int]]:
    """Run the sweep and kill its driver, or a worker of it, after so many seconds.

    Returns:
        The exit status when it ended by itself, else ``None``; what was killed; the workers of a driver that was killed.
    """
    with (folder.parent / "err").open("w") as errors:
        child = subprocess.Popen(command(folder, units), stdout=subprocess.DEVNULL, stderr=errors)
        try:
            return child.wait(timeout=after), None, []
        except subprocess.TimeoutExpired:
            pass
        workers = children(child.pid)
        if worker and workers:
            os.kill(random.choice(workers), signal.SIGKILL)
            return child.wait(), "worker", []
        child.kill()
        child.wait()
        return None, "driver", workers


def left_over(workers: list[int]) -> int:
    """Workers that still live some seconds after their driver was killed."""
    deadline = time.monotonic() + 15
    while (alive := [w for w in workers if Path(f"/proc/{w}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return len(alive)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--units", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    random.seed(given.seed)
    killed = {"driver": 0, "worker": 0}
    finished, same, orphans, differences = 0, 0, 0, list[str]()
    with tempfile.TemporaryDirectory() as root:
        begun = time.monotonic()
        subprocess.run(command(Path(root) / "whole", given.units), check=True, stdout=subprocess.DEVNULL)
        whole, seconds = digest(Path(root) / "whole"), time.monotonic() - begun
        while sum(killed.values()) < given.kills:
            folder = Path(root) / f"killed-{finished}"
            status: int | None = None
            while status is None:
                enough = sum(killed.values()) >= given.kills
                worker = random.random() < 0.25
                after = 1e9 if enough else random.uniform(0.05, 0.6) * seconds
                status, what, workers = stopped(folder, given.units, after, worker=worker)
                if what is not None:
                    killed[what] += 1
                orphans += left_over(workers)
                print(f"{sum(killed.values())} kills, after {after:.1f} s: {status}", file=sys.stderr, flush=True)
            if status != 0:
                differences.append(f"exit status {status}: {(folder.parent / 'err').read_text().strip()[-300:]}")
                break
            found = digest(folder)
            finished += 1
            same += found == whole
            differences += [name for name in sorted({*found, *whole}) if found.get(name) != whole.get(name)]
    result: dict[str, Any] = {
        "kills": killed, "seed": given.seed, "units": given.units, "uninterrupted_seconds": round(seconds, 1),
        "finished": finished, "same": same, "left_over": orphans, "differences": differences,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", "python": platform.python_version(),
    }  # fmt: skip
    print(json.dumps(result))
    return 0 if same == finished and not orphans and not differences else 1


if __name__ == "__main__":
    sys.exit(main())
