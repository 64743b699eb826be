"""Find the value that an edit ties to its key: what the output matrix should write so that the model gives the new answer.

As ROME does (Meng et al. 2022, section 3.1 and appendix E.5), for many edits at once: for each a vector ``delta`` is added to
what the layer's MLP writes at the site's token, and Adam lowers

    mean over ways of asking of -log P(new answer)
    + kl * mean over the subject's other questions of KL(before || with delta)
    + decay * |delta|^2 / |W k*|^2,

while ``|delta| <= clamp * |W k*|`` after every step. An edit stops once its answer's loss is below ``stop``. Then
``v* = W k* + delta``. Edits do not touch each other: Adam works element by element.

What this module does not do: change weights. Values that were not reached are counted by `Values.reached`, never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from maieutic.studies.regularization.asking import answers_of
from maieutic.studies.regularization.editing.keys import mean_keys
from maieutic.studies.regularization.editing.sites import Halfway, Site, down, finish, halfway_prompts
from maieutic.studies.regularization.facts import Prompt
from maieutic.studies.regularization.model import Gpt


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSettings:
    """How a value is looked for; chosen on development facts of the dense model (seeds from 100 on), the same for all arms.

    Attributes:
        steps: of Adam. rate: the longest step, as a share of the edit's ``|W k*|``.
        kl, decay, clamp, stop: see the header of the module. (ROME on GPT-2-XL: kl 0.0625, clamp 4, stop 0.05; in models this
        small, where subjects' questions share a token, a stronger kl keeps more at the same efficacy.)
    """

    steps: int = 25
    rate: float = 0.3
    kl: float = 0.5
    decay: float = 0.01
    clamp: float = 10.0
    stop: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Keys and values of edits.

    Attributes:
        keys: ``[edit, d_mlp]``. values: ``[edit, d_model]``.
        loss: mean -log P(new answer) in nats with the value in place, ``[edit]``.
        reached: whether the new answer was then the most likely one in every way of asking, bool ``[edit]``.
    """

    keys: Tensor
    values: Tensor
    loss: Tensor
    reached: Tensor

    def at(self, edits: Sequence[int]) -> Values:
        """Some edits."""
        chosen = torch.tensor(list(edits), dtype=torch.long)
        return Values(
            keys=self.keys[chosen], values=self.values[chosen], loss=self.loss[chosen], reached=self.reached[chosen]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Prompts of many edits, run up to the site."""

    before: Halfway
    edits: Tensor
    places: Tensor

    def of(self, active: Tensor) -> tuple[_Rows, Tensor]:
        """The rows of edits that still run, and where they were."""
        rows = active[self.edits].nonzero()[:, 0]
        return _Rows(before=self.before.at(rows), edits=self.edits[rows], places=self.places[rows]), rows

    def means(self, values: Tensor, edits: int) -> Tensor:
        """The mean over each edit's rows, ``[edit]``; 0 where an edit has none."""
        counts = torch.bincount(self.edits, minlength=edits).clamp_min(1)
        return torch.zeros(edits).index_add(0, self.edits, values) / counts

    def logits(self, model: Gpt, delta: Tensor) -> Tensor:
        """Behind each row's last token, with its edit's delta at the site's token."""
        placed = F.one_hot(self.places, self.before.keys.shape[1]).to(delta.dtype)
        return finish(model, self.before, placed.unsqueeze(-1) * delta[self.edits].unsqueeze(1))


def _rows(model: Gpt, prompts: Sequence[Sequence[Prompt]], site: Site) -> _Rows:
    flat = [p for group in prompts for p in group]
    return _Rows(
        before=halfway_prompts(model, flat, layer=site.layer),
        edits=torch.tensor([n for n, group in enumerate(prompts) for _ in group]),
        places=torch.tensor([site.place(p) for p in flat]),
    )


def find_values(
    model: Gpt,
    asked: Sequence[Sequence[Prompt]],
    kept: Sequence[Sequence[Prompt]],
    *,
    site: Site,
    settings: ValueSettings | None = None,
    soft: Tensor | None = None,
) -> Values:
    """Find the value of each edit.

    Args:
        model: not changed; inside `frozen`.
        asked: for each edit, the ways of asking that it is made on; their answers are the *new* ones.
        kept: for each edit, questions whose answers should stay: the subject's other facts.
        site: where. settings: how.
        soft: a distribution over tokens for each prompt of ``asked`` (in their order), ``[prompt, token]``, instead of its
            answer: losses are then KL divergences from it, and a value is reached where the most likely token has a part in it.

    Cost: about 60 milliseconds an edit for 3 layers of width 64 at the first layer.
    """
    settings = settings or ValueSettings()
    keys = mean_keys(model, asked, site=site)
    start = keys @ down(model, site.layer).weight.T
    size = start.norm(dim=1, keepdim=True).clamp_min(1e-6)
    rows, others = _rows(model, asked, site), _rows(model, kept, site)
    answers = answers_of([p for group in asked for p in group]) if soft is None else soft
    with torch.no_grad():
        unmoved = finish(model, others.before).log_softmax(dim=-1)
    search = _Search(size=size, settings=settings, width=start.shape[1])
    for _ in range(settings.steps):
        part, index = rows.of(search.active)
        calm, calm_index = others.of(search.active)
        delta = search.delta.clone().requires_grad_()
        told = part.means(_far(part.logits(model, delta), answers[index]), len(asked))
        after = calm.logits(model, delta).log_softmax(dim=-1)
        drift = calm.means(
            F.kl_div(after, unmoved[calm_index], log_target=True, reduction="none").sum(dim=-1), len(asked)
        )
        price = ((delta / size)[search.active] ** 2).sum()
        loss = told.sum() + settings.kl * drift.sum() + settings.decay * price
        (slope,) = torch.autograd.grad(loss, delta)
        search.stop(told.detach() <= settings.stop)
        if not search.active.any():
            break
        search.step(slope)
    return _values(model, rows, answers, keys, start, search.delta)


def _far(logits: Tensor, answers: Tensor) -> Tensor:
    """-log P(answer), or the KL divergence from a distribution over answers, ``[prompt]``."""
    crossed = F.cross_entropy(logits, answers, reduction="none")
    return crossed if answers.ndim == 1 else crossed + torch.special.entr(answers).sum(dim=-1).neg()


class _Search:
    """Adam on one vector for each edit; those that have stopped stay where they are.

    Attributes:
        delta: the vectors, ``[edit, d_model]``. active: edits that still run, bool ``[edit]``.
    """

    def __init__(self, *, size: Tensor, settings: ValueSettings, width: int) -> None:
        self._size, self._settings = size, settings
        self.delta = torch.zeros(len(size), width)
        self._mean, self._square = torch.zeros_like(self.delta), torch.zeros_like(self.delta)
        self._steps = 0
        self.active = torch.ones(len(size), dtype=torch.bool)

    def stop(self, done: Tensor) -> None:
        """Stop edits for good."""
        self.active = self.active & ~done

    def step(self, slope: Tensor) -> None:
        """One step along ``slope [edit, d_model]``, then back inside the clamp."""
        # all edits start together, so those that still run have all made the same number of steps
        self._steps += 1
        self._mean = 0.9 * self._mean + 0.1 * slope
        self._square = 0.999 * self._square + 0.001 * slope**2
        way = self._mean / (1 - 0.9**self._steps) / ((self._square / (1 - 0.999**self._steps)).sqrt() + 1e-8)
        moved = self.delta - self._settings.rate * self._size / slope.shape[1] ** 0.5 * way
        longest = self._settings.clamp * self._size / moved.norm(dim=1, keepdim=True).clamp_min(1e-12)
        self.delta = torch.where(self.active[:, None], moved * longest.clamp_max(1.0), self.delta)


@torch.no_grad()
def _values(model: Gpt, rows: _Rows, answers: Tensor, keys: Tensor, start: Tensor, delta: Tensor) -> Values:
    logits = rows.logits(model, delta)
    told = logits.argmax(dim=-1)
    wrong = told != answers if answers.ndim == 1 else answers.gather(1, told[:, None])[:, 0] <= 0
    return Values(
        keys=keys,
        values=start + delta,
        loss=rows.means(_far(logits, answers), len(keys)),
        reached=rows.means(wrong.float(), len(keys)) == 0,
    )
