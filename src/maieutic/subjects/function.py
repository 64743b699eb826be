"""Any Python function as a subject: a black box with one unit, ``output/0``.

A text function takes ``list[str]`` and gives one float per string, or one float per token of each string; an image
function takes a list of PIL images and gives one float or one ``[height, width]`` map per image. Which it is, and how
a per-token function splits its text, is found out by calling it once with a few short texts (or a small image).

What this module does not do: it cannot intervene, has no gradient and no untrained twin, and its fingerprint covers
the function's code and name but not what the code reads elsewhere (a model it closes over, a file, a service).
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from types import CodeType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from maieutic.errors import UsageError, UserError
from maieutic.subjects.base import Batch, Intervention, Modality, Site, Subject, TokenSpan, Values, raw

if TYPE_CHECKING:
    from maieutic.subjects.base import Raw, Unit

Tokenize = Callable[[str], Sequence[Any]]

#: texts on which the candidate tokenisations differ in their number of tokens
_PROBES = ("Two red cats sat.", "It's 3.5 km, isn't it? (Yes!)", "one  two\nthree")
_WORDS = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[TokenSpan]:
    """Words and single punctuation marks, without white space."""
    return [TokenSpan(m.group(), m.start(), m.end()) for m in _WORDS.finditer(text)]


def chunks(text: str) -> list[TokenSpan]:
    """What ``str.split()`` gives: anything between white space."""
    return [TokenSpan(m.group(), m.start(), m.end()) for m in re.finditer(r"\S+", text)]


def characters(text: str) -> list[TokenSpan]:
    """Single characters."""
    return [TokenSpan(c, i, i + 1) for i, c in enumerate(text)]


def whole(text: str) -> list[TokenSpan]:
    """The text as one token: the positions of a function that gives one value per string."""
    return [TokenSpan(text, 0, len(text))]


_CANDIDATES: tuple[tuple[str, Callable[[str], list[TokenSpan]]], ...] = (
    ("words and punctuation marks", words),
    ("white-space chunks", chunks),
    ("characters", characters),
)


class FunctionSubject(Subject):
    """A black box with one unit. Built by `function_subject`."""

    batch_size = 32

    def __init__(
        self, fn: Callable[[list[Any]], Any], *, modality: Modality, name: str, tokenizer: Tokenize | None
    ) -> None:
        self.name = name
        self.modality = modality
        self._fn = fn
        self._tokenizer = tokenizer
        self._split: Callable[[str], list[TokenSpan]] | None = None
        self._per_position: bool | None = None

    def sites(self) -> tuple[Site, ...]:
        """The one site, ``output``. Cost: the first call runs the function once to see its kind."""
        per_position = self._probe()
        positions = "none" if not per_position else "token" if self.modality == "text" else "spatial"
        return (Site(name="output", width=1, positions=positions, what=f"what {self.name} returns"),)

    @property
    def fingerprint(self) -> str:
        """Digest of name, modality and the function's own code."""
        return blake2b(f"{self.name}\0{self.modality}\0{code_text(self._fn)}".encode(), digest_size=8).hexdigest()

    def tokens(self, text: str) -> list[TokenSpan]:
        """One span per measured position; the whole text when the function gives one value per string."""
        if self.modality == "image":
            raise UsageError(f"{self.name} reads images, not text: give modality='text' for a text function")
        self._probe()
        assert self._split is not None
        return self._split(text)

    def forward(
        self,
        stimuli: Sequence[Raw],
        sites: Sequence[str],
        *,
        interventions: Sequence[Intervention] = (),
        maps: bool = False,
    ) -> Batch:
        """One call of the function. Values ``[stimulus, position, 1]``; images ``[image, 1]`` or maps.

        Raises:
            UserError: interventions were asked for, or the function's result has the wrong length or is not finite.
        """
        import torch

        for site in sites:
            self.site(site)
        self._refuse(interventions)
        found = self._call(stimuli)
        lengths = np.array([len(v) for v in found] if self.modality == "text" else [1] * len(found), np.int64)
        if self.modality == "text":
            values = np.zeros((len(found), max([int(n) for n in lengths] + [0]), 1), np.float32)
            for row, value in zip(values, found, strict=True):
                row[: len(value), 0] = value
        elif maps:
            if len({v.shape for v in found}) > 1:
                raise UserError(f"{self.name} gives maps of different sizes: show the images one at a time")
            values = np.stack([np.atleast_2d(v)[None] for v in found])
        else:
            values = np.array([[v.mean()] for v in found], np.float32)
        return Batch(values={s: torch.from_numpy(values) for s in sites}, lengths=lengths)

    def read(
        self, stimuli: Sequence[Any], units: Sequence[Unit], *, interventions: Sequence[Intervention] = ()
    ) -> list[Values]:
        """As `Subject.read`, in the order given and without torch. Cost: one call for every 32 stimuli."""
        for unit in units:
            self.site(unit.site)
        self._refuse(interventions)
        if not units:
            raise UsageError("there is no unit to read: give at least one, as in  subject.unit()")
        contents, results = [raw(s) for s in stimuli], list[Values]()
        gains = np.array([u.sign * (1.0 if u.vector is None else float(u.vector[0])) for u in units], np.float32)
        shifts = np.array([u.sign * u.offset for u in units], np.float32)
        for start in range(0, len(contents), self.batch_size):
            for value in self._call(contents[start : start + self.batch_size]):
                column = value if self.modality == "text" else value.mean(keepdims=True).reshape(1)
                results.append(column[:, None] * gains + shifts)
        return results

    def outputs(self, stimuli: Sequence[Raw], *, interventions: Sequence[Intervention] = ()) -> Values:
        """``[stimulus, 1]``: the mean of the values of each stimulus (0 for an empty text)."""
        self._refuse(interventions)
        step = self.batch_size
        found = [v for at in range(0, len(stimuli), step) for v in self._call(stimuli[at : at + step])]
        return np.array([[v.mean() if v.size else 0.0] for v in found], np.float32).reshape(-1, 1)

    def untrained(self, seed: int = 0) -> Subject:
        """A function has no weights to draw again.

        Raises:
            UserError: always.
        """
        raise UserError(f"{self.name} is a Python function: it has no untrained copy; use the other controls")

    def _refuse(self, interventions: Sequence[Intervention]) -> None:
        if interventions:
            raise UserError(f"{self.name} is a Python function: its inside cannot be changed; edit the stimuli instead")

    def _probe(self) -> bool:
        """Whether the function gives a value per position; finds the tokenisation of a text function. Runs it once."""
        if self._per_position is None:
            if self.modality == "image":
                from PIL import Image

                (value,) = self._raw_call([Image.new("RGB", (32, 24), (200, 120, 40))])
                self._per_position = value.ndim == 2
            else:
                found = self._raw_call(list(_PROBES))
                self._per_position, self._split = self._tokenisation([v.size for v in found])
        return self._per_position

    def _tokenisation(self, sizes: list[int]) -> tuple[bool, Callable[[str], list[TokenSpan]]]:
        if self._tokenizer is not None:
            own = self._tokenizer
            split = lambda text: spans(text, own(text), name=self.name)  # noqa: E731
            expected = [len(split(t)) for t in _PROBES]
            if sizes != expected:
                raise UserError(
                    f"{self.name} gives {sizes} values for texts that its tokenizer splits into {expected} tokens: "
                    "return one float per token of tokenizer(text)"
                )
            return True, split
        if all(size == 1 for size in sizes):
            return False, whole
        for _, split in _CANDIDATES:
            if sizes == [len(split(t)) for t in _PROBES]:
                return True, split
        tried = ", ".join(label for label, _ in _CANDIDATES)
        raise UserError(
            f"{self.name} gives {sizes} values for {list(_PROBES)}, neither one per string nor one per token "
            f"({tried}): pass tokenizer=, a function from a text to its tokens"
        )

    def _call(self, stimuli: Sequence[Any]) -> list[Values]:
        """Checked values of each stimulus: text ``[position]``; image a number ``[]`` or a map ``[height, width]``."""
        per_position = self._probe()
        contents = [raw(s) for s in stimuli]
        wrong = next((c for c in contents if isinstance(c, str) != (self.modality == "text")), None)
        if wrong is not None:
            raise UsageError(f"{self.name} reads {self.modality}, not {type(wrong).__name__}: give another corpus")
        if not contents:
            return []
        values = self._raw_call(contents)
        if self.modality == "image":
            for content, value in zip(contents, values, strict=True):
                if value.ndim != (2 if per_position else 0):
                    shown = f"shape {value.shape} for {_show(content)}"
                    raise UserError(
                        f"{self.name} gave {shown}: return a float for every image, or a map for every image"
                    )
            return values
        for content, value in zip(contents, values, strict=True):
            expected = len(self.tokens(cast(str, content)))
            if value.size != expected:
                shown = f"{value.size} values for {_show(content)}, which has {expected} tokens"
                raise UserError(f"{self.name} gave {shown}: return one float per token, or pass tokenizer=")
        return [v.reshape(-1) for v in values]

    def _raw_call(self, contents: list[Any]) -> list[Values]:
        """Run the function; one float32 array per stimulus, finite."""
        try:
            found = self._fn(list(contents))
        except Exception as error:
            raise UserError(
                f"{self.name} raised {type(error).__name__} ({error}) on {len(contents)} stimuli, the first "
                f"{_show(contents[0])}: make the function take any stimulus"
            ) from error
        try:
            values = [_array(v) for v in cast("Sequence[Any]", found)]
        except (TypeError, ValueError) as error:
            kind = type(found).__name__
            raise UserError(f"{self.name} gave {kind}, not floats ({error}): return a list of floats") from error
        if len(values) != len(contents):
            raise UserError(f"{self.name} gave {len(values)} results for {len(contents)} stimuli: return one for each")
        for content, value in zip(contents, values, strict=True):
            if not np.isfinite(value).all():
                raise UserError(f"{self.name} gave NaN or infinity for {_show(content)}: return finite floats")
        return values


def function_subject(
    fn: Callable[[list[Any]], Any],
    modality: Modality = "text",
    *,
    name: str | None = None,
    tokenizer: Tokenize | None = None,
) -> FunctionSubject:
    """A Python function as a subject with one unit, ``subject.unit()``.

    Args:
        fn: ``list[str]`` to one float per string or one float per token of each string; or a list of PIL images to
            one float or one ``[height, width]`` map per image. Lists, NumPy arrays and tensors are understood.
        modality: ``text`` or ``image``.
        name: what people call it; the function's own name otherwise.
        tokenizer: for per-token functions that split text their own way: a text to its tokens, in order, as strings
            or as ``(start, end)`` pairs.

    Raises:
        UsageError: the modality is neither, or ``fn`` is not callable.
    """
    if modality not in ("text", "image"):
        raise UsageError(f"modality is 'text' or 'image', not {modality!r}: choose one of those")
    if not callable(fn):
        raise UsageError(f"function_subject takes a function, not {type(fn).__name__}: pass the function itself")
    own = getattr(fn, "__name__", type(fn).__name__)
    title = name or ("function" if own == "<lambda>" else own)
    return FunctionSubject(fn, modality=modality, name=title, tokenizer=tokenizer)


def spans(text: str, tokens: Sequence[Any], *, name: str) -> list[TokenSpan]:
    """Character offsets of tokens given as strings in order, as ``(start, end)`` pairs, or as spans.

    Raises:
        UserError: a token is not found in the text after the one before it.
    """
    out: list[TokenSpan] = []
    at = 0
    for token in tokens:
        if isinstance(token, TokenSpan):
            out.append(token)
            continue
        if isinstance(token, str):
            start = text.find(token, at)
            if start < 0:
                shown = f"token {token!r} is not in {_show(text)}"
                raise UserError(f"{name}: {shown}: let the tokenizer give (start, end) pairs")
            end = start + len(token)
        else:
            start, end = int(token[0]), int(token[1])
        out.append(TokenSpan(text[start:end], start, end))
        at = end
    return out


def _array(value: Any) -> Values:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype=np.float32)


def _show(content: Any) -> str:
    if isinstance(content, str):
        return repr(content if len(content) <= 60 else content[:57] + "...")
    return f"an image of {getattr(content, 'size', '?')}"


def code_text(fn: Any) -> str:
    """The instructions and constants of a function, of its nested functions, and its defaults."""
    own: Any = inspect.unwrap(fn) if inspect.isfunction(fn) or inspect.ismethod(fn) else type(fn).__call__
    code = getattr(own, "__code__", None)
    if not isinstance(code, CodeType):
        return f"{type(fn).__module__}.{type(fn).__qualname__}"

    def parts(c: CodeType) -> list[str]:
        nested = [parts(k) for k in c.co_consts if isinstance(k, CodeType)]
        plain = [repr(k) for k in c.co_consts if isinstance(k, (str, int, float, bytes, bool, tuple))]
        return [c.co_code.hex(), *plain, *c.co_names, *itertools.chain.from_iterable(nested)]

    return "\0".join(parts(code))
