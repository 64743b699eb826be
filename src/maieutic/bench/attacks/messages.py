"""Attacks on the host through the wire: forged, oversized, malformed and badly timed messages.

Contained means that the worker was ended (or the call refused), that nothing was executed, and that no call was served which a
program could not have made.
"""

from __future__ import annotations

from collections.abc import Sequence

from maieutic.bench.attacks.attack import Attack, Judge
from maieutic.bench.attacks.scene import Scene
from maieutic.lab.worker import Ran

_FORGE = """
import json, stat, struct
pipes = [n for n in range(3, 16) if attempt(lambda: stat.S_ISFIFO(os.fstat(n).st_mode))]
def send(data):
    left = memoryview(data)
    while left:
        for number in pipes:
            try:
                left = left[os.write(number, left):]
                break
            except OSError:
                continue
        else:
            return
def frame(message, blob=b"", text=None, total=None):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    send(struct.pack(">II", len(body) if text is None else text, len(blob) if total is None else total) + body + blob)
def call(value, blobs=(), name="serve", id=1, **more):
    body = {"id": id, "name": name, "args": ["forged", value], "kwargs": {}, **more}
    frame(["call", body, [len(b) for b in blobs]], b"".join(blobs))
"""

#: what is sent after ``_FORGE``; then the program waits, so that it is the host that must end it
_FORGERIES = (
    "frame(b'this is no JSON')",
    "frame(b'')",
    "send(bytes(range(256)) * 64)",
    "frame(['out'])",
    "frame({'kind': 'out'})",
    "frame(['out', 5, []])",
    "frame(['ready', {}, []])",
    "frame(['return', 1, []])",
    "frame(['done', {'run': 99, 'error': None, 'dropped': 0}, []])",
    "frame(['done', {'run': 1, 'error': 7, 'dropped': 0}, []])",
    "frame(['done', {'run': 1, 'error': None, 'dropped': 'x'}, []])",
    "call('x', id=2)",
    "call('x', id=True)",
    "call('x', id='1')",
    "call('x', name=['serve'])",
    "call('x', extra=1)",
    "frame(['call', {'id': 1, 'name': 'serve', 'args': {}, 'kwargs': {}}, []])",
    "call({'$': ['pickle', 'x']})",
    "call({'$': ['array', 0, '|O', [1]]}, [b'12345678'])",
    "call({'$': ['array', 0, '<f8', [2]]}, [b'12345678'])",
    "call({'$': ['array', 0, '<f8', [-1]]}, [b'12345678'])",
    "call({'$': ['array', 0, '<f8', [1 << 62, 4]]}, [b''])",
    "call({'$': ['array', 7, '<f8', [1]]}, [b'12345678'])",
    "call([{'$': ['array', 0, '<f8', [1]]}, {'$': ['array', 0, '<f8', [1]]}], [b'12345678'])",
    "call({'$': ['array', 0, '<f8', [1] * 20]}, [b'12345678'])",
    "frame(['out', 'x', [-1, 1]])",
    "frame(['out', 'x', [5]], b'xx')",
)

_OVERSIZED = (
    "frame(b'[]', text=(1 << 32) - 1)",
    "frame(b'[]', total=(1 << 32) - 1)",
    "frame(['out', 'x' * (5 << 20), []])",
    "call(list(range(900_000)))",
    "call('x', [bytes(1 << 20)] * 65)",
    "while True: send(bytes(1 << 20))",
)

_DEEP = (
    "frame(b'[' * 200_000)",
    "frame(b'[' * 200_000 + b']' * 200_000)",
    "frame(b'{\"a\":' * 100_000 + b'1' + b'}' * 100_000)",
    "frame(b'[\"out\", \"' + b'\\\\\"' * 1_000_000)",
    "value = 1\nfor _ in range(60): value = [value]\ncall(value)",
    "frame(b'[\"out\", ' + b'1' * 1_000_000 + b', []]')",
    "value = {'$': ['dict', [['k', 1]]]}\nfor _ in range(60): value = {'$': ['dict', [['k', value]]]}\ncall(value)",
)

_IMAGES = (
    "call({'$': ['image', 0, 'RGB', [100_000, 100_000]]}, [b'x'])",
    "call({'$': ['image', 0, 'RGB', [0, 0]]}, [b''])",
    "call({'$': ['image', 0, 'L', [-4, -4]]}, [b'x' * 16])",
    "call({'$': ['image', 0, 'CMYK', [2, 2]]}, [b'x' * 16])",
    "call({'$': ['image', 0, 'RGBA', [2, 2]]}, [b'x' * 12])",
    "call({'$': ['image', 0, 'L', [1 << 40, 1 << 40]]}, [b''])",
    "import zlib\npng = b'\\x89PNG\\r\\n\\x1a\\n' + zlib.compress(bytes(10 << 20))\n"
    "call({'$': ['image', 0, 'RGB', [4000, 4000]]}, [png])",
    "import struct\ncall({'$': ['image', 0, 'L', [5000, 5000]]}, [bytes(25_000_000)])",
)

_PICKLE = """
import pickle
class Payload:
    def __reduce__(self):
        return (os.mkdir, (S["folder"] + "/executed",))
data = pickle.dumps(Payload())
"""
_PICKLES = (
    "send(data)",
    "frame(data)",
    "send(struct.pack('>II', 0, len(data)) + data)",
    "call({'$': ['array', 0, '|O', [1]]}, [data])",
    "call({'$': ['array', 0, '|V%d' % len(data), [1]]}, [data])",
)

_NAMES = """
import builtins
for name in ("os.system", "__class__", "__init__", "serve.__globals__", "eval", "", "serve ", "\\0", "x" * 10_000, "SERVE", "open"):
    try:
        print("OPEN:", name, __builtins__ and globals()["asked"](name, "os"))
    except BaseException as error:
        print(type(error).__name__)
"""

# says that it is done and goes on
_DONE = "frame(['done', {'run': 1, 'error': None, 'dropped': 0}, []])\n"
_LATE = (
    _DONE + "while True: pass",
    _DONE + "while True: frame(['out', 'later', []])",
    _DONE + "call('x')\ncall('x', id=2)",
    _DONE + "call('x')\n" + _DONE.replace("'run': 1", "'run': 2") + "while True: pass",
)
_AFTER = "print('fresh', 'pipes' in globals())"


def _all(*lines: str, before: str = "") -> tuple[str, ...]:
    return tuple(f"{_FORGE}{before}\n{line}\nimport time\ntime.sleep(1000)" for line in lines)


def _ended(scene: Scene, ran: Sequence[Ran]) -> str:
    """Each must have been ended, and not for its time alone; no forged call may have been served."""
    alive = [str(i) for i, r in enumerate(ran) if r.stopped is None or "out of time" in r.stopped]
    out = [f"taken for a message: number {', '.join(alive)}"] if alive else []
    out += ["a forged call was served"] if scene.served else []
    return "; ".join([*out, *([executed] if (executed := _executed(scene, ran)) else [])])


def _executed(scene: Scene, ran: Sequence[Ran]) -> str:
    return "a pickle was executed" if (scene.folder / "executed").exists() else ""


def _refused(scene: Scene, ran: Sequence[Ran]) -> str:
    served = [line for r in ran for line in r.output.splitlines() if line.startswith("OPEN:")]
    return "; ".join(served) or ("a call was served" if scene.served else "")


def _fresh_after(scene: Scene, ran: Sequence[Ran]) -> str:
    """Programs and what the next unit ran alternate; no call may have been served that came after the end."""
    wrong = [str(i) for i, r in enumerate(ran[1::2]) if r.output != "fresh False\n" or r.error or r.stopped]
    out = [f"number {', '.join(wrong)} reached the next unit"] if wrong else []
    return "; ".join([*out, *(["a call was served after the end"] if scene.served else [])])


def _attack(name: str, what: str, programs: tuple[str, ...], judge: Judge, *, seconds: float = 4.0) -> Attack:
    return Attack(name=name, group="messages", what=what, programs=programs, judge=judge, seconds=seconds)


MESSAGES: tuple[Attack, ...] = (
    _attack("forged messages", f"{len(_FORGERIES)} malformed or untimely messages", _all(*_FORGERIES), _ended),
    _attack("oversized messages", "lengths, texts and lists beyond the limits", _all(*_OVERSIZED), _ended),
    _attack("deep values", "nesting and numbers that hurt parsers", _all(*_DEEP), _ended),
    _attack("image bombs", "sizes that do not fit, compressed data", _all(*_IMAGES), _ended),
    _attack("pickles", "pickled code in messages, texts and arrays", _all(*_PICKLES, before=_PICKLE), _ended),
    _attack("names of calls", "reach beyond the calls that are served", (f"asked = call\n{_NAMES}",), _refused),
    Attack(
        name="go on after the end", group="messages", what="claim to be done and keep running, printing and calling",
        programs=_all(*_LATE), judge=_fresh_after, then=_AFTER, seconds=1.0,
    ),
)  # fmt: skip
