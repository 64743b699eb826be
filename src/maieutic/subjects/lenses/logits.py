"""What a network finally says, as units: a class logit, or the logit of a next token, is a unit like any other.

The site ``logits`` stands at the whole network's output, so an intervention there shows in `Subject.outputs`. A language model
has a reading at every token: the logit that a certain token comes next. All logits of a vocabulary at every token are
much to harvest; ``+logits:281,282`` or ``+logits: dog, cat`` keeps those that matter.

What this module does not do: networks whose answer to a text is one row for the whole text (classifiers of texts): see
`Subject.outputs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from maieutic.errors import UsageError, UserError, did_you_mean
from maieutic.subjects.base import Intervention, Site, Subject, Unit
from maieutic.subjects.lenses.base import step
from maieutic.subjects.networks import NetworkSubject


class LogitsLens:
    """Some or all of the logits."""

    def __init__(self, total: int, columns: Sequence[int] | None = None) -> None:
        """Look at logits.

        Args:
            total: how many the network gives.
            columns: those that are units, in order; all otherwise.
        """
        self.total = total
        self.columns = None if columns is None else tuple(columns)

    @property
    def width(self) -> int:
        """Number of logits looked at."""
        return self.total if self.columns is None else len(self.columns)

    @property
    def fingerprint(self) -> str:
        """Which logits."""
        return f"logits/1:{'all' if self.columns is None else ','.join(map(str, self.columns))}"

    def read(self, raw: Tensor) -> Tensor:
        """The logits themselves."""
        return raw.float() if self.columns is None else raw[..., list(self.columns)].float()

    def change(self, raw: Tensor, change: Intervention, where: Tensor) -> Tensor:
        """Other logits stay as they are."""
        unit = change.unit
        if unit.index is not None and change.kind != "add":
            target = unit.sign * (0.0 if change.kind == "ablate_zero" else change.value)
            column = unit.index if self.columns is None else self.columns[unit.index]
            new = raw.clone()
            new[..., column] = torch.where(where, torch.full_like(new[..., column], target), new[..., column])
            return new
        moved = step(change, self.read(raw), where)
        return raw + (moved[..., None] * self._along(unit).to(raw.device)).to(raw.dtype)

    def along(self, unit: Unit) -> Tensor | None:
        """One for the unit's logit, else 0; a direction has its own parts."""
        return self._along(unit)

    def _along(self, unit: Unit) -> Tensor:
        if unit.index is not None:
            parts = torch.zeros(self.width)
            parts[unit.index] = 1.0
        else:
            parts = torch.as_tensor(unit.vector, dtype=torch.float32)
        if self.columns is None:
            return parts
        return torch.zeros(self.total).index_copy(0, torch.tensor(self.columns), parts)

    def fresh(self, seed: int, module: nn.Module) -> LogitsLens:
        """The same logits of the untrained copy."""
        del seed, module
        return self


def attach(subject: Subject, argument: str = "") -> Subject:
    """The subject with a site ``logits``: all of them, or the classes or tokens named.

    Args:
        subject: a network over texts or images.
        argument: classes or tokens by number or name, with commas between them (a comma itself: by number). A token with a
            space before it may be named without, where only that one exists.

    Cost: one forward pass over one small stimulus.

    Raises:
        UsageError: no such class or token.
        UserError: a black box, or a network that gives no logits at each position.
    """
    if not isinstance(subject, NetworkSubject):
        raise UserError(f"{subject.name} is no network: its only unit is what it returns")
    total = int(subject.outputs([_example(subject)]).shape[1])
    names = output_names(subject, total)
    columns = None if not argument else _chosen(subject, argument, total, names)
    lens = LogitsLens(total, columns)
    shown = (tuple(names[c] for c in columns) if columns is not None else tuple(names)) if names else ()
    what = "logit of each next token" if subject.modality == "text" else "class logits"
    site = Site(
        name="logits",
        module="",
        width=lens.width,
        positions="token" if subject.modality == "text" else "none",
        what=what if columns is None else f"{what}: {len(columns)} of {total}",
        lens=lens,
        names=shown,
    )
    found = subject.with_sites([site], called=f"logits:{argument}" if argument else "logits", instead=True)
    _check(found, total)
    return found


def _check(subject: Subject, total: int) -> None:
    """One forward pass: the site gives what the network says, at each position."""
    example = _example(subject)
    positions = (len(subject.tokens(example)),) if subject.modality == "text" else ()
    site = subject.site("logits")
    shape = tuple(subject.forward([example], ["logits"]).values["logits"].shape)
    if shape != (1, *positions, site.width):
        raise UserError(
            f"{subject.name} gives {total} numbers for a whole text, not for each token: measure them with  subject.outputs"
        )


def _example(subject: Subject) -> Any:
    if subject.modality == "text":
        return "a b c"
    from maieutic.subjects.vision import noise_images

    return noise_images(1, seed=0, size=64)[0]


def output_names(subject: Subject, total: int) -> list[str]:
    """Names of a network's outputs: tokens of its vocabulary, or classes of its configuration; empty where none are known.

    Args:
        subject: a network.
        total: number of its outputs.
    """
    tokenizer: Any = getattr(subject, "tokenizer", None)
    if tokenizer is not None:
        pieces = tokenizer.convert_ids_to_tokens(list(range(min(total, len(tokenizer)))))
        texts = [tokenizer.convert_tokens_to_string([p]) if p is not None else "" for p in pieces]
        return [*texts, *("" for _ in range(total - len(texts)))]
    network = cast("NetworkSubject", subject).network
    config: Any = next((c for m in network.modules() if (c := getattr(m, "config", None)) is not None), None)
    labels = cast("dict[Any, Any]", getattr(config, "id2label", None) or {})
    return [str(labels.get(i, labels.get(str(i), i))) for i in range(total)] if len(labels) == total else []


def _chosen(subject: Subject, argument: str, total: int, names: Sequence[str]) -> list[int]:
    columns = [_column(subject, part, total, names) for part in argument.split(",")]
    if len(set(columns)) < len(columns):
        raise UsageError(f"logits:{argument} names an output twice: name each once")
    return columns


def _column(subject: Subject, part: str, total: int, names: Sequence[str]) -> int:
    if part.strip().isdigit():
        if int(part) >= total:
            raise UsageError(f"{subject.name} has outputs 0 to {total - 1}, not {part.strip()}: choose one of those")
        return int(part)
    for wanted in (part, part.strip(), f" {part.strip()}"):
        if wanted and wanted in names:
            return names.index(wanted)
    low = part.strip().lower()
    alike = [i for i, name in enumerate(names) if low and low in name.lower().split(", ")]
    if len(alike) == 1:
        return alike[0]
    near = did_you_mean(part, [n for n in names if n])
    known = f" (numbers 0 to {total - 1})" if not names else ""
    raise UsageError(f"{subject.name} has no output called {part!r}{near}{known}: give its number or its exact name")
