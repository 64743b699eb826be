"""What disks and other processes do to a harvest: a full disk, a lock; real processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harvest_net import SITES, make_corpus, make_subject

from maieutic.errors import StoreError
from maieutic.harvest import Sparse, SparseStore, harvest
from maieutic.harvest.plan import plan

HERE = Path(__file__).parent
#: a harvest in a process of its own; ``{}`` is what it does after every batch
SCRIPT = """
    import os, sys, time
    from pathlib import Path
    import maieutic.harvest.plan
    from maieutic.harvest import Sparse, harvest
    from maieutic.errors import UserError
    from harvest_net import SITES, make_corpus, make_subject

    sys.modules["maieutic.harvest.plan"].SHARD_TOKENS = 40
    folder = Path(sys.argv[1])

    def progress(done, total):
        {}

    subject = make_subject()
    try:
        harvest(subject, make_corpus(), SITES, run=folder, keep=[subject.unit("first", 2)], progress=progress,
                sparse=Sparse(sites=("second",)))
    except UserError as error:
        sys.exit(str(error))
"""


def child(folder: Path, after_each: str, *, limit: int | None = None) -> subprocess.Popen[str]:
    """Run `SCRIPT`; ``limit``: no file may grow beyond so many bytes."""

    def limited() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing gives an error and does not kill
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit or 0, limit or 0))

    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT).format(after_each), str(folder)],
        env={**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=None if limit is None else limited,
    )


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[plan.__module__], "SHARD_TOKENS", 40)


def same(folder: Path) -> dict[str, str]:
    """Digest of each file of a harvest."""
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def whole(folder: Path) -> dict[str, str]:
    """Files of a harvest that nothing disturbed."""
    subject = make_subject()
    unit = subject.unit("first", 2)
    harvest(subject, make_corpus(), SITES, run=folder, keep=[unit], sparse=Sparse(sites=("second",)))
    return same(folder)


@pytest.mark.usefixtures("small_shards")
def test_a_second_process_on_the_folder_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = child(run, "print('under way', flush=True); time.sleep(0 if done < 8 else 60)")
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "under way\n"
        second = child(run, "pass")
        _, said = second.communicate(timeout=60)
        assert second.returncode == 1
        folder = run / "harvest" / "net"
        assert said.strip() == f"another process is writing to {folder}: wait for it, or use another --run folder"
        with pytest.raises(StoreError, match="another process is writing"):
            harvest(make_subject(), make_corpus(), SITES, run=run, keep=())
    finally:
        first.kill()
        first.communicate()
    assert whole(run) == whole(tmp_path / "undisturbed")  # it goes on where the killed one was


@pytest.mark.usefixtures("small_shards")
def test_a_disk_that_takes_no_more_loses_nothing(tmp_path: Path) -> None:
    run, undisturbed = tmp_path / "run", whole(tmp_path / "undisturbed")
    largest = max(p.stat().st_size for p in (tmp_path / "undisturbed").rglob("*") if p.is_file())
    full = child(run, "pass", limit=largest // 2)  # parts fit, the merged harvest does not
    _, said = full.communicate(timeout=60)
    assert full.returncode == 1
    assert len(said.strip().splitlines()) == 1 and "cannot write" in said and "run the same command again" in said
    assert not [p for p in run.rglob("*.safetensors") if p.name.startswith(".")]  # nothing half written
    assert whole(run) == undisturbed


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A file system of that size in a folder; skips where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.usefixtures("small_shards")
def test_a_full_file_system_is_one_line_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    undisturbed = whole(tmp_path / "undisturbed")
    size = sum(p.stat().st_size for p in (tmp_path / "undisturbed").rglob("*") if p.is_file()) // 1024
    disk = tmp_path / "disk"
    with small_disk(disk, 3 * size):  # a part is about as large as the whole, and there are more than three
        full = child(disk / "run", "pass")
        _, said = full.communicate(timeout=60)
        assert full.returncode == 1
        assert said.startswith("no space left on the disk of ") and len(said.strip().splitlines()) == 1
        parts = len(list((disk / "run" / "harvest" / "net" / "parts").glob("*/part.json")))
        assert parts  # shards before it are kept
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert whole(disk / "run") == undisturbed


def test_a_site_that_never_fires_is_an_empty_sparse_store(tmp_path: Path) -> None:
    import maieutic as mt

    subject = mt.function_subject(lambda texts: [0.0 for _ in texts], modality="text", name="silent")
    site = subject.sites()[0].name
    harvest(subject, make_corpus(), [site], run=tmp_path, keep=(), sparse=Sparse(sites=(site,)))
    store = SparseStore.open(tmp_path / "harvest" / "silent" / "sparse")
    assert [int(o[-1]) for o in store.offsets] == [0]
    assert all(len(part) == 0 for part in store.read(subject.unit()))
