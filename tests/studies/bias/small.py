"""Small material and networks whose outputs are known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maieutic.studies.bias.design import Material, Trial
from maieutic.subjects import Subject, module_subject


class Table(nn.Module):
    """Logits after each token are a row of a table."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(rows)
        self.last = nn.Identity()

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(self.table(ids))


def table_subject(rows: list[list[float]]) -> Subject:
    """A network over the letters a, b, c ...: after letter k its logits are row k."""

    def encode(text: str) -> list[tuple[int, int, int]]:
        return [(ord(c) - ord("a"), i, i + 1) for i, c in enumerate(text) if c.isalpha()]

    return module_subject(Table(torch.tensor(rows)), tokenizer=encode, name="table", sites=["last"])


def trial(base: str, level: str, *, filler: str = "-", cluster: str = "", attribute: str = "a") -> Trial:
    text = f"{base} {attribute} {level} {filler}"
    return Trial(
        key=text,
        load=lambda: text,
        base=base,
        cluster=cluster or base,
        attribute=attribute,
        level=level,
        filler=filler,
        said=text,
    )


def material(
    bases: int = 12, *, fillers: tuple[str, ...] = ("-",), levels: tuple[str, ...] = ("no", "yes")
) -> Material:
    """Bases at some levels of one attribute."""
    trials = [trial(f"base{k}", level, filler=f) for k in range(bases) for level in levels for f in fillers]
    return Material(modality="text", name="small", trials=tuple(trials), references={"a": levels[0]})
