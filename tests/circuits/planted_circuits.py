"""Networks made by hand, in which it is known which unit writes what and which units drive which output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

ING = ["running", "singing", "walking", "reading", "swimming", "cooking"]
DIGITS = ["11", "22", "33", "44", "55", "66"]
_OTHER = (
    "tree lamp river moon bread glass stone cloud paper chair wolf boat salt window hill coin bell rope leaf drum gold fish "
    "road king milk star fire snow bird ship"
)
OTHER = _OTHER.split()
WORDS = ["dog", *ING, *DIGITS, *OTHER]
UNITS = 32
#: the unit that writes only "dog", by so much; those that write -ing words and digits; one that writes what it reads
DOG, WRITES, TO_ING, TO_DIGITS, RANDOM = 3, 2.0, 5, 7, 9


class WordNetwork(nn.Module):
    """Residual stream = one coordinate a word, unembedding = identity, no norm: what a unit writes is what the logits gain.

    Unit u is 1 where the word is in its input set, else 0.
    """

    def __init__(self, reads: Sequence[Sequence[str]], writes: Sequence[dict[str, float]]) -> None:
        super().__init__()
        size = len(WORDS)
        self.embed = nn.Embedding(size, size)
        self.blocks = nn.ModuleList([_Block(size, len(reads))])
        self.head = nn.Linear(size, size, bias=False)
        with torch.no_grad():
            self.embed.weight.copy_(torch.eye(size))
            self.head.weight.copy_(torch.eye(size))
            block: Any = self.blocks[0]
            block.up.weight.zero_()
            block.down.weight.zero_()
            for u, (inside, outside) in enumerate(zip(reads, writes, strict=True)):
                for word in inside:
                    block.up.weight[u, WORDS.index(word)] = 1.0
                for word, amount in outside.items():
                    block.down.weight[WORDS.index(word), u] = amount

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class _Block(nn.Module):
    def __init__(self, size: int, units: int) -> None:
        super().__init__()
        self.up = nn.Linear(size, units, bias=False)
        self.down = nn.Linear(units, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(self.up(x).relu())


def encode(text: str) -> list[tuple[int, int, int]]:
    known = {word: i for i, word in enumerate(WORDS)}
    return [(known.get(m.group(), 0), m.start(), m.end()) for m in re.finditer(r"\w+", text)]


def words_of_units() -> tuple[list[list[str]], list[dict[str, float]]]:
    """What each unit reads and writes: three planted ones, the others a draw of words each."""
    rng = np.random.default_rng(5)
    reads = [[str(w) for w in rng.choice(OTHER, size=6, replace=False)] for _ in range(UNITS)]
    writes = [{str(w): 1.0 for w in rng.choice(WORDS[1:], size=6, replace=False)} for _ in range(UNITS)]
    writes[DOG] = {"dog": WRITES}
    reads[TO_ING], writes[TO_ING] = list(DIGITS), dict.fromkeys(ING, 1.0)
    reads[TO_DIGITS], writes[TO_DIGITS] = list(DIGITS), dict.fromkeys(DIGITS, 1.0)
    writes[RANDOM] = dict.fromkeys(["lamp", "wolf", "gold", "bread", "king", "hill"], 1.0)
    return reads, writes


class DrivenNetwork(nn.Module):
    """Six units: the red, green and blue of an image, and three combinations. Class 2 is driven by units 1 and 4 alone.

    Logits: class 0 = 3 unit 0, class 1 = 2 unit 2, class 2 = 4 unit 1 + 2 unit 4, class 3 = unit 3 + unit 5.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(3, 6, bias=False)
        self.act = nn.ReLU()
        self.classify = nn.Linear(6, 4, bias=False)
        with torch.no_grad():
            rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0]]
            self.mix.weight.copy_(torch.tensor(rows, dtype=torch.float32))
            self.classify.weight.zero_()
            for row, column, weight in [(0, 0, 3.0), (1, 2, 2.0), (2, 1, 4.0), (2, 4, 2.0), (3, 3, 1.0), (3, 5, 1.0)]:
                self.classify.weight[row, column] = weight

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.act(self.mix(x.mean(dim=(2, 3)))))


def colours(image: Image.Image) -> Tensor:
    """RGB in 0 to 1, ``[3, 4, 4]``."""
    pixels = np.array(image.convert("RGB").resize((4, 4)), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)
