"""What the outputs of a network are called, and which of them somebody asks about.

Names come from a tokenizer, from the configuration of a checkpoint (``id2label``), from a list that the user gives, or from
a corpus: an image network without names calls a class by what its pictures show, where most pictures that it puts into the
class show one thing. What this module does not do: guess. An output that nobody names is its number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from maieutic.errors import UsageError, did_you_mean
from maieutic.readings import FloatArray
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.subjects.base import Subject, Values

#: pictures that must fall into a class, and the share of them that must show one thing, before it is called after it
_PICTURES, _SHARE = 2, 0.5


@dataclass(frozen=True, kw_only=True)
class OutputNames:
    """Names of outputs by their number.

    Attributes:
        names: number to name; outputs without a name are missing.
        source: where they are from, in words.
        shares: of names from a corpus: how many pictures of a class showed the thing, and how many there were.
    """

    names: Mapping[int, str]
    source: str
    shares: Mapping[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])

    def __getitem__(self, index: int) -> str:
        return self.names.get(index, f"output {index}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An output that is asked about.

    ``against``: the output it is set against; ``None``: the mean of all outputs. ``note`` says how it was found.
    """

    kind: str
    index: int
    name: str
    against: int | None = None
    against_name: str = ""
    note: str = ""

    def value(self, outputs: FloatArray | Values) -> FloatArray:
        """``[stimulus, output]`` to ``[stimulus]``: the logit less that of ``against``, or less the mean logit."""
        out = np.asarray(outputs, dtype=np.float64)
        beside = out.mean(axis=1) if self.against is None else out[:, self.against]
        return out[:, self.index] - (beside if out.shape[1] > 1 else 0.0)

    def metric(self, outputs: Any) -> Any:
        """The same of the outputs ``[output]`` of one stimulus as a tensor."""
        if outputs.shape[0] == 1:
            return outputs[self.index]
        return outputs[self.index] - (outputs.mean() if self.against is None else outputs[self.against])


def output_names(
    subject: Subject, *, given: str | Path | Sequence[str] | None = None, corpus: Corpus | None = None
) -> OutputNames:
    """Names of a subject's outputs.

    Args:
        subject: whose.
        given: a file with a name a line, or the names; goes before all else.
        corpus: pictures that show named things, for an image network without names.

    Cost: none, or with a corpus one pass over its discover pictures.

    Raises:
        UsageError: the file cannot be read.
    """
    if given is not None:
        names = _lines(given) if isinstance(given, (str, Path)) else list(given)
        return OutputNames(names=dict(enumerate(names)), source="a list of names")
    tokenizer = cast("Any", getattr(subject, "tokenizer", None))
    if subject.modality == "text" and hasattr(tokenizer, "batch_decode"):
        texts: list[str] = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
        return OutputNames(names=dict(enumerate(texts)), source="the tokenizer")
    for holder in ("model", "module"):
        config = cast("Any", getattr(getattr(subject, holder, None), "config", None))
        found = cast("dict[Any, str]", getattr(config, "id2label", None) or {})
        # what transformers writes where nobody gave names
        named = {int(i): n for i, n in found.items() if n != f"LABEL_{i}"}
        if named:
            return OutputNames(names=named, source="the checkpoint")
    if corpus is not None and corpus.modality == "image" and subject.modality == "image":
        return _shown(subject, corpus.split("discover"))
    return OutputNames(names={}, source="nobody")


def find_target(
    subject: Subject,
    asked: str,
    *,
    names: OutputNames,
    corpus: Corpus | None = None,
    against: str | None = None,
) -> Target:
    """The output that ``class:tabby cat``, ``class:281``, ``token: Paris`` or ``output:0`` means.

    A token is written as it stands in text: ``token: Paris`` begins with a space, as words inside a sentence do.

    Args:
        subject: whose output.
        asked: ``KIND:NAME``.
        names: of its outputs.
        corpus: pictures that show named things: a class that has no name is found by what pictures of the thing get.
        against: another output, written the same way without its kind.

    Raises:
        UsageError: no such output; says what there is.
    """
    kind, colon, name = asked.partition(":")
    if not colon or kind not in ("class", "token", "output") or not name.strip():
        raise UsageError(
            f"{asked!r} names no output: write class:NAME, token:TEXT or output:NUMBER, as in  token: Paris"
        )
    index, note = _found(subject, kind, name, names, corpus)
    if against is None:
        return Target(kind=kind, index=index, name=names[index] if kind != "token" else name, note=note)
    beside, _ = _found(subject, kind, against, names, corpus)
    if beside == index:
        raise UsageError(f"{against!r} is the same output as {name!r}: set it against another one")
    return Target(
        kind=kind, index=index, name=names[index] if kind != "token" else name, against=beside,
        against_name=names[beside], note=note,
    )  # fmt: skip


def _found(subject: Subject, kind: str, name: str, names: OutputNames, corpus: Corpus | None) -> tuple[int, str]:
    if kind == "token":
        return _token(subject, name)
    wanted = name.strip()
    if wanted.isdecimal():
        return int(wanted), ""
    exact = [i for i, n in names.names.items() if n.lower() == wanted.lower()]
    # "tabby, tabby cat" is one class with two names
    exact = exact or [i for i, n in names.names.items() if wanted.lower() in [p.strip().lower() for p in n.split(",")]]
    if exact:
        share = names.shares.get(exact[0])
        return exact[0], f"named after {share[0]} of {share[1]} pictures in the class" if share else ""
    if corpus is not None and corpus.modality == "image" and subject.modality == "image":
        return _class_of(subject, wanted, corpus)
    near = did_you_mean(wanted, list(names.names.values()))
    raise UsageError(f"{subject.name} has no output called {wanted!r}{near}: give its number, as in  class:281")


def _token(subject: Subject, text: str) -> tuple[int, str]:
    tokenizer = cast("Any", getattr(subject, "tokenizer", None))
    if tokenizer is None or subject.modality != "text":
        raise UsageError(f"{subject.name} has no tokens to predict: ask about a class, as in  class:281")
    ids: list[int] = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    if not ids:
        raise UsageError("the token is empty: write it as it stands in text, as in  token: Paris")
    if len(ids) == 1:
        return ids[0], ""
    first = tokenizer.decode([ids[0]])
    return ids[0], f"{text!r} is {len(ids)} tokens: what is asked about is the first, {first!r}"


def _class_of(subject: Subject, name: str, corpus: Corpus) -> tuple[int, str]:
    """The class that most discover pictures of a thing fall into."""
    shown = [s for s in corpus.split("discover") if name.lower() in [w.lower() for w in said_of(s)]]
    if len(shown) < _PICTURES:
        known = sorted({w for s in corpus.split("discover") for w in said_of(s)})
        raise UsageError(
            f"{corpus.name} has {len(shown)} pictures of {name!r}{did_you_mean(name, known)}: name another thing, or give "
            f"the number of the class, as in  class:281"
        )
    votes = Counter(np.argmax(subject.outputs([s.content for s in shown]), axis=1).tolist())
    index, count = min(votes.items(), key=lambda kv: (-kv[1], kv[0]))
    if count < _SHARE * len(shown):
        raise UsageError(
            f"{subject.name} puts pictures of {name!r} into {len(votes)} classes, {count} of {len(shown)} at most into one: "
            f"give the number of the class you mean, as in  class:{index}"
        )
    return int(index), f"the answer of {subject.name} to {count} of {len(shown)} pictures of {name!r}"


def _shown(subject: Subject, pictures: Sequence[Stimulus]) -> OutputNames:
    """Each class by what most of the pictures show that fall into it."""
    named = [s for s in pictures if said_of(s)]
    best = np.argmax(subject.outputs([s.content for s in named]), axis=1).tolist() if named else []
    inside: dict[int, list[str]] = {}
    for index, s in zip(best, named, strict=True):
        inside.setdefault(int(index), []).append(said_of(s)[0])
    names: dict[int, str] = {}
    shares: dict[int, tuple[int, int]] = {}
    for index, words in sorted(inside.items()):
        word, count = min(Counter(words).items(), key=lambda kv: (-kv[1], kv[0]))
        if count >= _PICTURES and count > _SHARE * len(words):
            names[index], shares[index] = word, (count, len(words))
    return OutputNames(names=names, source="what pictures of the corpus in each class show", shares=shares)


def said_of(stimulus: Stimulus) -> tuple[str, ...]:
    """What a picture shows, as its corpus says: names of its only or first thing, else its first tag."""
    if stimulus.things:
        return (stimulus.things[0].name, *stimulus.things[0].concepts)
    return stimulus.tags[:1]


def _lines(file: str | Path) -> list[str]:
    try:
        return [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read names of classes from {file}: give a text file with a name a line") from error
