"""What a jailed worker may use, and what one run of a program gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one worker. Each is enforced outside the program's reach: by the kernel or by the host.

    Attributes:
        seconds: wall time of one run, without the time that host calls take.
        start_seconds: wall time until the worker is ready.
        memory: bytes of address space of the only process.
        processor_seconds: processor time over the worker's whole life.
        scratch: bytes in the scratch folder, and in any one file.
        files: entries in the scratch folder.
        output: characters of printed text that one run keeps.
        message: bytes of arrays and images in one message to the host.
        text: bytes of everything else in one message to the host.
        values: values (numbers, texts, lists...) in one message.
        depth: nesting of values.
        pixels: pixels of one image.
        packages: packages that the program may import beside the standard library.
    """

    seconds: float = 30.0
    start_seconds: float = 20.0
    memory: int = 2 << 30
    processor_seconds: int = 3600
    scratch: int = 64 << 20
    files: int = 1000
    output: int = 20_000
    message: int = 64 << 20
    text: int = 4 << 20
    values: int = 200_000
    depth: int = 32
    pixels: int = 16_000_000
    packages: tuple[str, ...] = ("numpy", "PIL", "scipy")

    def __post_init__(self) -> None:
        assert self.seconds > 0 and self.start_seconds > 0, "a limit of time is positive"
        assert self.memory >= 256 << 20, "Python and numpy need 256 MiB of address space"


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """What lies in a worker when its first program starts, and after every reset.

    Attributes:
        files: name in the scratch folder -> text. Names only, no paths.
        environment: variables beside those that every worker has.
    """

    files: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        assert all("/" not in n and n not in ("", ".", "..") for n in self.files), (
            "files are laid into the scratch folder"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one program did.

    Attributes:
        output: what it printed, and its last expression; cut to ``Limits.output``.
        error: its own exception with a short traceback, or ``None``.
        stopped: why the host ended the worker (a limit, a forged message, a dead process), or ``None``. Variables and
            files are lost then; the next run starts afresh.
        seconds: wall time without host calls.
    """

    output: str
    error: str | None = None
    stopped: str | None = None
    seconds: float = 0.0
