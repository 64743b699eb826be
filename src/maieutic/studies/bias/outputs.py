"""Which output is studied: a class, words that follow, differences of either, a probability, or any unit.

Written ``KIND:WHAT`` or as a unit's key. Several things joined by ``|`` count together; ``vs`` sets two against each other.

| written | value, all in nats |
| --- | --- |
| ``class:817`` | the logit; of ``817|511`` the log of summed exponentials |
| ``class:817 vs 468`` | difference of the two |
| ``token: nurse`` | log-probability that the text goes on so |
| ``token: he vs she`` | difference of log-probabilities, which are log-odds between the two |
| ``odds:WHAT`` | log-odds: log p − log(1 − p), the probability on the logit scale |
| ``prob:WHAT`` | the probability itself, 0 to 1 |
| ``layers.15.mlp/812`` | a unit: of texts at the last token, of pictures the mean over the map |

``WHAT`` of an image subject is classes, of a text subject continuations, as they stand after the colon (a leading space
belongs to the word). ``class:top`` is the class that a network gives its bases most. What this module does not do: change
the stimuli, or name ImageNet's classes (`--classes` takes a file with a name a line).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.special import logsumexp

from maieutic.errors import UsageError, UserError, did_you_mean
from maieutic.readings import FloatArray
from maieutic.subjects import Subject, Unit

Kind = Literal["class", "token", "odds", "prob", "unit"]
_KINDS: tuple[Kind, ...] = ("class", "token", "odds", "prob")
#: other outputs of the same kind that an effect is compared with
OTHERS = 200
TOP = "top"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One class or continuation: its place among the logits (of the first token), and its text."""

    index: int
    text: str
    tokens: int = 1


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is read of a subject. ``minus`` is empty but for differences; ``unit`` stands alone."""

    name: str
    kind: Kind
    plus: tuple[Choice, ...] = ()
    minus: tuple[Choice, ...] = ()
    unit: Unit | None = None


@dataclass(kw_only=True)
class Read:
    """Values of one output.

    Attributes:
        values: stimulus key to value.
        apart: the same less the mean over ``others``; empty where there are none.
        others: names of other outputs of the same kind, and their values by stimulus key, ``[other]``.
    """

    values: dict[str, float] = field(default_factory=dict[str, float])
    apart: dict[str, float] = field(default_factory=dict[str, float])
    others: tuple[str, ...] = ()
    beside: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])


# --- asking --------------------------------------------------------------------------------------------------------


def parse_output(
    subject: Subject, text: str, *, names: Mapping[int, str] | None = None, top: Callable[[], int] | None = None
) -> Output:
    """The output of a description.

    Args:
        subject: whose.
        text: see the table above.
        names: of classes by their number, see ``lab.outputs.output_names``.
        top: gives the class for ``class:top``.

    Raises:
        UsageError: an unknown kind, class, token or unit.
    """
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _KINDS or "/" in kind:
        return Output(name=text, kind="unit", unit=_unit(subject, text))
    if kind in ("class", "token") and (kind == "class") != (subject.modality == "image"):
        wanted = "class:INDEX" if subject.modality == "image" else "token: WORD"
        raise UsageError(f"{text!r}: {subject.name} reads {subject.modality}s: write  --output '{wanted}'")
    sides = rest.split(" vs ")
    if len(sides) > 2 or not all(s.strip() for s in sides):
        raise UsageError(f"{text!r} is no output: write  {kind}:A  or  {kind}:A|B vs C")
    if len(sides) == 2 and kind in ("odds", "prob"):
        raise UsageError(f"{text!r}: {kind} takes one set: write  class:A vs B  or  token:A vs B  for a difference")
    choices = [_choices(subject, side, rest, names or {}, top) for side in sides]
    if len(choices) == 2 and {c.text for c in choices[0]} & {c.text for c in choices[1]}:
        raise UsageError(f"{text!r} has the same on both sides: give two different sets")
    first, *second = ("|".join(c.text for c in side) for side in choices)
    joined = " vs ".join([first, *(s.strip() for s in second)])
    return Output(name=f"{kind}:{joined}", kind=kind, plus=choices[0], minus=choices[1] if len(choices) > 1 else ())


def _unit(subject: Subject, key: str) -> Unit:
    try:
        return subject.parse_unit(key)
    except UsageError as error:
        forms = "class:INDEX" if subject.modality == "image" else "'token: WORD'"
        raise UsageError(f"{error}; or an output:  --output {forms}") from None


def _choices(
    subject: Subject, side: str, rest: str, names: Mapping[int, str], top: Callable[[], int] | None
) -> tuple[Choice, ...]:
    # one space before the first word holds for all of them: "token: he|him vs she"
    space = " " if subject.modality == "text" and rest.startswith(" ") else ""
    words = [space + w.strip() for w in side.split("|") if w.strip()]
    if subject.modality == "image":
        return tuple(_class(w, names, top) for w in words)
    return tuple(_token(subject, w) for w in words)


def _class(word: str, names: Mapping[int, str], top: Callable[[], int] | None) -> Choice:
    if word == TOP and top is not None:
        index = top()
        return Choice(index=index, text=f"{index} {names.get(index, f'({TOP})')}")
    if word.isdecimal():
        return Choice(index=int(word), text=f"{word} {names.get(int(word), '')}".strip())
    known = {s.strip().lower(): i for i, n in names.items() for s in (*n.split(","), n)}
    if word.lower() not in known:
        how = "its index, as in  class:817, or a file of names with --classes" if not names else "a name or an index"
        raise UsageError(f"no class {word!r}{did_you_mean(word.lower(), known)}: give {how}")
    return Choice(index=known[word.lower()], text=names[known[word.lower()]])


def _token(subject: Subject, word: str) -> Choice:
    ids = token_ids(subject, word)
    if not ids:
        raise UsageError(f"{subject.name} has no token in {word!r}: give a word")
    return Choice(index=ids[0], text=word, tokens=len(ids))


def token_ids(subject: Subject, text: str) -> list[int]:
    """Token numbers of a text by itself.

    Raises:
        UsageError: a subject without a vocabulary.
    """
    from maieutic.subjects.language import LanguageSubject
    from maieutic.subjects.modules import TextModuleSubject

    if isinstance(subject, LanguageSubject):
        return [int(i) for i in subject.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]
    if isinstance(subject, TextModuleSubject):
        return [i for i, _, _ in subject._encode(text)]
    raise UsageError(f"{subject.name} has no vocabulary: study its unit, as in  --output {subject.sites()[0].name}/0")


# --- reading -------------------------------------------------------------------------------------------------------


@dataclass
class Reader:
    """Reads several outputs of one subject, a batch of stimuli at a time; logits are made once for all of them."""

    subject: Subject
    outputs: Sequence[Output]

    def __post_init__(self) -> None:
        self.found = [Read() for _ in self.outputs]
        self._panel: list[NDArrayInt] = [np.zeros(0, np.int64) for _ in self.outputs]
        self._neighbours: list[list[Unit]] = [self._beside(o) for o in self.outputs]

    def read(self, keys: Sequence[str], contents: Sequence[Any]) -> None:
        """One batch. Cost: a pass for the logits, one for units, one for each continuation of several tokens.

        Raises:
            UserError: an output is no finite number, or a class that the subject does not have.
        """
        logits: FloatArray | None = None
        for i, output in enumerate(self.outputs):
            if output.unit is not None:
                columns = self._units(i, output.unit, contents)
            else:
                if logits is None:
                    logits = self.subject.outputs(contents).astype(np.float64)
                columns = self._said(i, output, logits, contents)
            if not np.isfinite(columns[:, 0]).all():
                raise UserError(
                    f"{output.name} of {self.subject.name} is not finite on {keys[0]}: choose another output"
                )
            for key, row in zip(keys, columns, strict=True):
                self._keep(self.found[i], key, row)

    @staticmethod
    def _keep(found: Read, key: str, row: FloatArray) -> None:
        found.values[key] = float(row[0])
        if len(row) > 1:
            found.apart[key] = float(row[0] - row[1:].mean())
            found.beside[key] = row[1:]

    def _beside(self, output: Output) -> list[Unit]:
        unit = output.unit
        width = None if unit is None else self.subject.site(unit.site).width
        if unit is None or unit.index is None or not width or width < 2:
            return []
        step = max(1, width // OTHERS)
        return [Unit(site=unit.site, index=k) for k in range(0, width, step) if k != unit.index][:OTHERS]

    def _units(self, i: int, unit: Unit, contents: Sequence[Any]) -> FloatArray:
        self.found[i].others = tuple(u.key for u in self._neighbours[i])
        rows = self.subject.read(contents, [unit, *self._neighbours[i]])
        return np.stack([r[-1] for r in rows]).astype(np.float64)

    def _said(self, i: int, output: Output, logits: FloatArray, contents: Sequence[Any]) -> FloatArray:
        width = logits.shape[1]
        wrong = next((c for c in (*output.plus, *output.minus) if c.index >= width), None)
        if wrong is not None:
            raise UserError(f"{self.subject.name} has outputs 0 to {width - 1}, not {wrong.text}: choose one of those")
        value = self._side(output, output.plus, logits, contents)
        if output.minus:
            return (value - self._side(output, output.minus, logits, contents))[:, None]
        if width < 2:
            return value[:, None]
        if not len(self._panel[i]):
            own = {c.index for c in output.plus}
            self._panel[i] = _panel(logits, own, text=self.subject.modality == "text")
            self.found[i].others = tuple(str(k) for k in self._panel[i])
        others = _scaled(output.kind, logits, self._panel[i])
        return np.concatenate([value[:, None], others], axis=1)

    def _side(
        self, output: Output, choices: Sequence[Choice], logits: FloatArray, contents: Sequence[Any]
    ) -> FloatArray:
        """A set's value: raw logits of classes, probabilities on the scale that the output asks for."""
        if output.kind == "class":
            return _summed(logits[:, [c.index for c in choices]], axis=1)
        if all(c.tokens == 1 for c in choices):
            return _of_set(output.kind, logits, [c.index for c in choices])
        parts = [self._logprob(c, logits, contents) for c in choices]
        # rounding must not make a probability of several tokens one
        return _on_scale(output.kind, np.minimum(_summed(np.stack(parts), axis=0), -1e-12))

    def _logprob(self, choice: Choice, logits: FloatArray, contents: Sequence[Any]) -> FloatArray:
        if choice.tokens == 1:
            return logits[:, choice.index] - _summed(logits, axis=1)
        from maieutic.subjects.language import LanguageSubject
        from maieutic.subjects.likelihood import token_logprobs

        if not isinstance(self.subject, LanguageSubject):
            raise UserError(
                f"{choice.text!r} has {choice.tokens} tokens, {self.subject.name} is read one at a time: give a single token"
            )
        return np.array([float(t.sum()) for t in token_logprobs(self.subject, [(c, choice.text) for c in contents])])


NDArrayInt = np.ndarray[Any, np.dtype[np.int64]]


def _summed(values: FloatArray, axis: int) -> FloatArray:
    """Logarithm of the sum of exponentials along an axis."""
    return np.asarray(logsumexp(values, axis=axis), dtype=np.float64)


def _panel(logits: FloatArray, own: set[int], *, text: bool) -> NDArrayInt:
    """Other outputs: of classes all or evenly many, of words those that are likeliest on the first batch."""
    width = logits.shape[1]
    ranked = np.argsort(-logits.mean(axis=0), kind="stable") if text else np.arange(0, width, max(1, width // 1000))
    chosen = [int(k) for k in ranked if int(k) not in own]
    return np.array(chosen[: OTHERS if text else 1000], dtype=np.int64)


def _scaled(kind: Kind, logits: FloatArray, index: NDArrayInt) -> FloatArray:
    """Chosen outputs on a kind's scale, ``[stimulus, chosen]``."""
    if kind == "class":
        return logits[:, index]
    logprob = logits[:, index] - _summed(logits, axis=1)[:, None]
    if kind != "odds":
        return _on_scale(kind, logprob)
    found = _on_scale(kind, np.minimum(logprob, -1e-12))
    # at most one output of a stimulus has more than half; there 1 - p would lose its digits
    for row, column in zip(*np.nonzero(logprob > np.log(0.5)), strict=True):
        found[row, column] = _of_set(kind, logits[row : row + 1], [int(index[column])])[0]
    return found


def _of_set(kind: Kind, logits: FloatArray, index: Sequence[int]) -> FloatArray:
    """Outputs that count together on a kind's scale, ``[stimulus]``; log-odds from the sum over all others."""
    own = _summed(logits[:, list(index)], axis=1)
    if kind == "odds":
        return own - _summed(np.delete(logits, list(index), axis=1), axis=1)
    return _on_scale(kind, own - _summed(logits, axis=1))


def _on_scale(kind: Kind, logprob: FloatArray) -> FloatArray:
    if kind == "prob":
        return np.exp(logprob)
    return logprob - np.log1p(-np.exp(logprob)) if kind == "odds" else logprob
