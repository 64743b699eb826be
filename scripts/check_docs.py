"""Check the documentation: relative links and anchors resolve, and every `maieutic` command line uses real options.

Run it from anywhere; it prints one line for each problem and exits 1 when there is any. It reads Markdown files of the
repository only and opens no address on the web.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)
_SHELLS = ("bash", "sh", "console", "shell")


def pages() -> list[Path]:
    """All Markdown files that belong to the documentation."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of every fenced block."""
    return [(m.group(1), m.group(2)) for m in _FENCE.finditer(text)]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, spelt as GitHub spells them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", h) for h in _HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in plain}


def broken_links(page: Path) -> Iterator[str]:
    """One line for each relative link that leads nowhere."""
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            yield f"{page.relative_to(ROOT)}: no file {target}"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{page.relative_to(ROOT)}: no heading for {target}"


def commands(page: Path) -> list[str]:
    """Command lines of shell blocks that call maieutic, continuation lines joined, prompts removed."""
    found: list[str] = []
    for language, content in blocks(page.read_text(encoding="utf-8")):
        if language not in _SHELLS:
            continue
        for line in content.replace("\\\n", " ").splitlines():
            line = re.sub(r"^\s*\$\s+", "", line).strip()
            if line.startswith("maieutic"):
                found.append(line)
    return found


@cache
def help_text(verbs: tuple[str, ...]) -> str | None:
    """What ``maieutic VERBS --help`` prints; ``None`` when there is no such command."""
    code = "import sys; from maieutic.cli import main; sys.argv[0] = 'maieutic'; sys.exit(main())"
    wide = {**os.environ, "COLUMNS": "240", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *verbs, "--help"],
        capture_output=True, text=True, env=wide, cwd=ROOT, check=False, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else None


def wrong_command(line: str) -> str | None:
    """Why a documented command line cannot be run, or ``None``."""
    words = shlex.split(line, comments=True)[1:]
    end = next((i for i, w in enumerate(words) if w in ("|", ">", "&&", ";", "||")), len(words))
    words = words[:end]
    verbs = tuple(words[:1]) if words and not words[0].startswith("-") else ()
    described = help_text(verbs)
    if described is None:
        return f"there is no  maieutic {' '.join(verbs)}"
    known = set(re.findall(r"(?<![\w-])(--?[A-Za-z][\w-]*)", described))
    if len(words) > 1 and words[1].isalpha() and re.search(rf"^\W*{re.escape(words[1])}\s\s", described, re.MULTILINE):
        known |= set(re.findall(r"(?<![\w-])(--?[A-Za-z][\w-]*)", help_text((*verbs, words[1])) or ""))
    for word in words[1:]:
        option = word.split("=")[0]
        if re.match(r"--?[A-Za-z]", option) and option not in known:
            return f"maieutic {' '.join(verbs)} has no option {option}"
    absent = set(re.findall(r"\*\s+(--[\w-]+)", described)) - {word.split("=")[0] for word in words}
    if absent and words[1:] != ["--help"]:
        return f"maieutic {' '.join(verbs)} needs {', '.join(sorted(absent))}"
    return None


def problems() -> list[str]:
    """Everything wrong with the documentation, one line each."""
    found = [line for page in pages() for line in broken_links(page)]
    for page in pages():
        for line in commands(page):
            why = wrong_command(line)
            if why is not None:
                found.append(f"{page.relative_to(ROOT)}: `{line}`: {why}")
    return found


def main() -> int:
    """Print the problems; 1 when there are any."""
    found = problems()
    for line in found:
        print(line)
    print(f"documentation: {len(pages())} pages, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
