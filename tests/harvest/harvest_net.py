"""A small text network, its tokenizer and a corpus, which worker processes can import as well."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from maieutic.stimuli import Corpus
from maieutic.subjects import Subject
from maieutic.subjects.modules import module_subject

WORDS = ["the", "a", "red", "green", "blue", "cat", "dog", "bird", "runs", "sleeps", "eats", "one", "two", "three"]


def encode(text: str) -> list[tuple[int, int, int]]:
    out, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        out.append((WORDS.index(word) if word in WORDS else len(WORDS), start, at))
    return out


class Net(nn.Module):
    """Two layers; more than ``rows`` texts at once run out of memory, as on a device; the word ``bad`` gives NaN."""

    def __init__(self, *, rows: int = 10**9, bad: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embed = nn.Embedding(len(WORDS) + 1, 6)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 5)
        self.rows, self.bad, self.largest = rows, bad, 0

    def forward(self, ids: Tensor) -> Tensor:
        if len(ids) > self.rows:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.largest = max(self.largest, len(ids))
        x = self.first(self.embed(ids)).relu()
        if self.bad:
            x = torch.where((ids == len(WORDS))[:, :, None], torch.nan, x)
        return self.second(x)


SITES = ["first", "second"]


def make_subject(*, rows: int = 10**9, bad: bool = False) -> Subject:
    return module_subject(Net(rows=rows, bad=bad), tokenizer=encode, name="net", sites=SITES, batch_size=4)


def make_corpus(n: int = 60) -> Corpus:
    rng = random.Random(1)
    return Corpus.from_texts([" ".join(rng.choices(WORDS, k=rng.randint(1, 12))) + f" {i}" for i in range(n)], name="w")
