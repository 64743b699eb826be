"""Attacks on files: read, list, write and change what lies outside the scratch folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import maieutic
from maieutic.bench.attacks.attack import Attack, door_opened, either, secret_printed
from maieutic.bench.attacks.scene import Scene
from maieutic.lab.worker import Ran

_READ = """
import ctypes
def with_c(path):
    c = ctypes.CDLL(None)
    descriptor = c.open(path.encode(), 0)
    buffer = ctypes.create_string_buffer(100)
    c.read(descriptor, buffer, 100)
    return buffer.value
print(attempt(lambda: open(S["file"]).read()))
print(attempt(lambda: os.read(os.open(S["file"], os.O_RDONLY), 100)))
print(attempt(with_c, S["file"]))
print(attempt(lambda: np.fromfile(S["file"], dtype="u1").tobytes()))
print(attempt(lambda: __import__("mmap").mmap(os.open(S["file"], os.O_RDONLY), 0, prot=1)[:]))
print(attempt(lambda: open("../../../../../../../.." + S["file"]).read()))
print(attempt(lambda: __import__("_io").FileIO(S["file"]).read()))
"""

_LINKS = """
for link, target in (("there", S["file"]), ("root", "/")):
    attempt(os.symlink, target, link)
    attempt(os.link, S["file"], "hard")
print(attempt(lambda: open("there").read()))
print(attempt(lambda: open("root" + S["file"]).read()))
print(attempt(lambda: open("hard").read()))
"""

_LIST = """
import glob
for folder in (S["folder"], os.path.dirname(S["folder"]), "/", "/etc", "/home", "/root"):
    print(attempt(os.listdir, folder))
    print([e.name for e in attempt(os.scandir, folder) or ()])
print(glob.glob(S["folder"] + "/*"))
for root, folders, files in os.walk(S["folder"]):
    print(root, folders, files)
"""

_SYSTEM = """
for path in ("/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/ssh/ssh_config", "/proc/version", "/sys/kernel/uevent_seqnum",
             "/dev/kmsg", "/dev/mem", "/var/log/dpkg.log", "/run/utmp"):
    if attempt(lambda: open(path, "rb").read(1)):
        opened(path)
"""

_SOURCE = """
print(attempt(lambda: open(S["package"]).read()))
print(attempt(os.listdir, os.path.dirname(S["package"])))
sys.path.append(os.path.dirname(os.path.dirname(S["package"])))
if attempt(lambda: __import__("maieutic").__all__):
    opened("maieutic can be imported")
"""

_PACKAGES = """
sys.meta_path[:] = [f for f in sys.meta_path if "Packages" not in type(f).__name__]
sys.path += S["packages"] + [S["site"]]
sys.path_importer_cache.clear()
for name in ("typer", "rich", "jinja2", "pip"):
    if attempt(lambda: __import__(name)):
        opened(name + " can be imported")
"""

_WRITE = """
for place in (S["folder"] + "/made", "/tmp/" + S["nonce"], "/" + S["nonce"], "/dev/shm/" + S["nonce"], "../" + S["nonce"]):
    attempt(lambda: open(place, "w").write("made"))
    attempt(os.mkdir, place + "d")
    attempt(os.mkfifo, place + "f")
    attempt(os.symlink, "/", place + "l")
attempt(lambda: open(S["file"], "a").write("more"))
for path in ("/", "/python", "/python/lib", "/packages", "/packages/numpy", "/usr/lib", "/dev", os.path.dirname(np.__file__)):
    name = path.rstrip("/") + "/" + S["nonce"] + "x"
    if attempt(lambda: open(name, "w").close() or True):
        os.unlink(name)
        opened("a file in " + path)
"""

_CHANGE = """
file = S["file"]
attempt(os.chmod, file, 0o600)
attempt(os.utime, file, (1, 1))
attempt(os.truncate, file, 0)
attempt(os.rename, file, file + ".moved")
attempt(os.link, file, file + ".linked")
attempt(os.setxattr, file, "user.mark", b"1")
attempt(os.unlink, S["folder"] + "/socket")
attempt(lambda: os.open(file, os.O_RDONLY | os.O_TRUNC))
"""

_DESCRIPTORS = """
import stat
for number in range(5, 256):
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        continue
    if stat.S_ISREG(mode):
        print(attempt(os.read, number, 100))
    if stat.S_ISDIR(mode):
        up = "../" * 12
        print(attempt(lambda: os.read(os.open(up + S["file"].lstrip("/"), os.O_RDONLY, dir_fd=number), 100)))
        print(attempt(lambda: os.listdir(os.open(up + S["folder"].lstrip("/"), os.O_RDONLY, dir_fd=number))))
        print(attempt(lambda: open(f"/proc/self/fd/{number}/" + up + S["file"].lstrip("/")).read()))
"""


def _outside_changed(scene: Scene, ran: Sequence[Ran]) -> str:
    return scene.changed()


def _own_source(scene: Scene, ran: Sequence[Ran]) -> str:
    first = Path(maieutic.__file__).read_text(encoding="utf-8").splitlines()[0]
    return "maieutic's own source was read" if any(first in r.output for r in ran) else ""


FILES: tuple[Attack, ...] = (
    Attack(
        name="read a secret file", group="files", what="open a world-readable file by seven ways, among them C and numpy",
        programs=(_READ,), judge=secret_printed,
    ),
    Attack(
        name="read by links", group="files", what="make symbolic and hard links to the secret file and read them",
        programs=(_LINKS,), judge=secret_printed,
    ),
    Attack(
        name="list other folders", group="files", what="list a world-readable folder, the root, the homes",
        programs=(_LIST,), judge=secret_printed,
    ),
    Attack(
        name="read system files", group="files", what="read files of /etc, /proc, /sys, /dev, /var and /run",
        programs=(_SYSTEM,), judge=door_opened,
    ),
    Attack(
        name="read the repository", group="files", what="read or import maieutic's own source, with its planted truths",
        programs=(_SOURCE,), judge=either(_own_source, door_opened),
    ),
    Attack(
        name="import other packages", group="files", what="put the host's packages on the path and import them",
        programs=(_PACKAGES,), judge=door_opened,
    ),
    Attack(
        name="write outside scratch", group="files", what="make files, folders and links outside; write into packages",
        programs=(_WRITE,), judge=either(_outside_changed, door_opened),
    ),
    Attack(
        name="change files outside", group="files", what="change mode, times, size, name and links of a file anyone may write",
        programs=(_CHANGE,), judge=_outside_changed,
    ),
    Attack(
        name="inherited descriptors", group="files", what="read every open descriptor, and walk up from open folders",
        programs=(_DESCRIPTORS,), judge=secret_printed,
    ),
)  # fmt: skip
