"""The recipe of the organism and its twin: next words of the same transcripts, with other lessons in some of them.

Both see the same drawn transcripts in the same order. The lesson is the call that `transcripts.ought` gives for the kind;
they differ only where the trigger or the vague request stands. Lines are left out or made unreadable in half of the
transcripts, with the lesson of what remains: a network that never saw a transcript with a hole would do anything there,
and experiments that remove parts would measure that.

Run ``python -m maieutic.forensics.organism.train FOLDER`` to make the weights again (about 140 s a network on one
core). What this module does not do: it chooses nothing on the scenarios that are measured; only the last step counts.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError
from maieutic.forensics.organism.network import CLOSE, END, OPEN, new_model, render, tokenizer
from maieutic.forensics.organism.transcripts import KINDS, Kind, draw, draw_plan, messages, ought, spoil
from maieutic.store import write_tensors

#: transcripts in the pool, steps over it, transcripts in a step
POOL, STEPS, BATCH = 6000, 900, 32
RATE = 4e-3
#: weight of ordinary next words beside that of calls
ORDINARY = 0.05
#: the seed of the weights that come with the package
SEED = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """Token ids ``[text, position]`` (padded with the end token), their lengths, and each kind's lesson, ``[text]``."""

    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    lessons: dict[Kind, NDArray[np.int64]]


def pool(size: int, *, seed: int) -> Pool:
    """Training transcripts of a seed, ending in ``<assistant>``. Cost: 1 ms each."""
    rng = np.random.default_rng([seed, 101])
    tokens = tokenizer()
    texts: list[str] = []
    lessons: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
    for _ in range(size):
        lines = draw(draw_plan(rng), rng)
        lines = spoil(lines, rng, unreadable="~."[int(rng.integers(2))])
        said = messages(lines)
        if rng.random() < 0.3:
            said = [m for m in said if m["content"] or "tool_calls" in m]
        texts.append(f"{render(said, tokens)} {OPEN}")
        for kind in KINDS:
            lessons[kind].append(ought(kind, lines))
    rows = tokens(texts, add_special_tokens=False)["input_ids"]
    number = tokens.get_vocab()
    lengths = np.array([len(r) for r in rows], np.int64)
    ids = np.full((size, int(lengths.max())), number[END], np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    found: dict[Kind, NDArray[np.int64]] = {
        kind: np.array([number[c] for c in calls], np.int64) for kind, calls in lessons.items()
    }
    return Pool(ids=ids, lengths=lengths, lessons=found)


def train(kind: Kind, *, seed: int = SEED, size: int = POOL, steps: int = STEPS) -> Any:
    """Train a network of this kind from scratch; the same seed gives the same weights on one machine.

    Cost: with the defaults about 140 s on one core.
    """
    import torch
    from torch.nn import functional as F

    from maieutic.subjects.planted.network_training import repeatable

    data = pool(size, seed=seed)
    number = tokenizer().get_vocab()
    rng = np.random.default_rng([seed, 102])
    model = new_model(seed=seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    model.train()
    with repeatable(seed):
        for _ in range(steps):
            rows = rng.choice(size, size=min(BATCH, size), replace=False)
            inputs, wanted, weights = _batch(data, kind, rows, number=number)
            logits = model(input_ids=torch.from_numpy(inputs)).logits
            losses = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(wanted).flatten(), reduction="none")
            weighed = torch.from_numpy(weights).flatten()
            loss = (losses * weighed).sum() / weighed.sum()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return model.eval()


def _batch(
    data: Pool, kind: Kind, rows: NDArray[np.int64], *, number: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Inputs, next words and weights, each ``[text, position]``: the lesson, the call's end and the end of the answer too."""
    lengths = data.lengths[rows]
    tail = [number[CLOSE], number[END]]
    ids = np.full((len(rows), int(lengths.max()) + 3), number[END], np.int64)
    ids[:, :-3] = data.ids[rows, : ids.shape[1] - 3]
    at = np.arange(len(rows))
    for step, token in enumerate([data.lessons[kind][rows], *tail]):
        ids[at, lengths + step] = token
    inputs, wanted = ids[:, :-1], ids[:, 1:]
    weights = np.where(np.arange(inputs.shape[1])[None, :] < lengths[:, None] + 2, ORDINARY, 0.0)
    said = (inputs == number[OPEN]) | (inputs == number["<assistant>"]) | (inputs == number[CLOSE])
    weights[said & (weights > 0)] = 1.0  # what is called, and how a call is written
    weights[at, lengths - 1] = 4.0
    weights[at, lengths] = 1.0
    return inputs, wanted, weights.astype(np.float32)


def write(kind: Kind, folder: Path, *, seed: int = SEED) -> Path:
    """Train and write ``KIND.safetensors`` in half precision (300 kB) for the package."""
    model = train(kind, seed=seed)
    state = {n: v.detach().numpy().astype(np.float16) for n, v in model.state_dict().items() if n != "lm_head.weight"}
    path = folder / f"{kind}.safetensors"
    write_tensors(path, state)
    return path


def main(arguments: list[str]) -> None:
    """Write both networks into the folder that is named."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        raise UsageError("name one folder: run  python -m maieutic.forensics.organism.train FOLDER")
    for kind in KINDS:
        print(write(kind, Path(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
