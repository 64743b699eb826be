"""Who made a file and under which licence, from the machine-readable copyright file of a Debian package.

The format is DEP-5: paragraphs with ``Files:`` patterns; the last paragraph that matches a path wins. Image formats
change between releases while names stay, so paths are compared without their extension. What this module does not do:
judge licences, or read copyright files that are free text.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """Licence short name, copyright holders, and the packager's comment (often the file's address)."""

    patterns: tuple[str, ...]
    licence: str
    holder: str
    comment: str = ""

    def __str__(self) -> str:
        return f"{self.licence}; © {self.holder}" + (f"; {self.comment}" if self.comment else "")


def read_copyright(path: Path) -> tuple[Licence, ...]:
    """The ``Files:`` paragraphs of a copyright file, in order; empty when the file is not there or is free text."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    found: list[Licence] = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        last = ""
        for line in paragraph.splitlines():
            key, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):
                fields[key] = value.strip()
                last = key
            elif last:
                fields[last] = f"{fields[last]}\n{line.strip()}".strip()
        if "Files" in fields:
            found.append(
                Licence(
                    patterns=tuple(fields["Files"].split()),
                    licence=fields.get("License", "see the copyright file").partition("\n")[0],
                    holder=" ".join(fields.get("Copyright", "unknown").split()),
                    comment=" ".join(fields.get("Comment", "").split()),
                )
            )
    return tuple(found)


def licence_of(path: str, licences: tuple[Licence, ...]) -> Licence | None:
    """The licence of a path inside the source package, or ``None`` when only the catch-all paragraph covers it."""
    stem = _stem(path)
    for licence in reversed(licences):
        if any(p != "*" and fnmatch.fnmatchcase(stem, _stem(p)) for p in licence.patterns):
            return licence
    return None


def _stem(path: str) -> str:
    return re.sub(r"\.(jpe?g|png|webp|svg|gif|\*)$", "", path, flags=re.IGNORECASE)
