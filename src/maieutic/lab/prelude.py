"""The lab as programs see it. This file runs inside the jail, before any program, and needs nothing but Python.

It builds ``lab`` and ``P`` out of ``call(name, ...)``, which reaches the host; the docstrings of ``Lab`` are the page that
models and people are shown. It protects nothing: whoever runs programs here can rewrite all of it, so every check is made
on the host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
#: characters of a long text that are printed before and after its strongest token
_BEFORE, _AFTER = 220, 120
_MARK = "<text {0}>{1}</text {0}>"


# --- texts as data ---------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    r"""A text on one line: newline, tab and backslash as ``\n``, ``\t``, ``\\``; what cannot be seen as ``‹U+202E›``."""
    text = text.replace("\\", "\\\\").replace("\r\n", "\n").replace("\n", "\\n").replace("\t", "\\t")
    return visible(text)


def visible(text: str) -> str:
    """A text with controls, lone surrogates and marks that reorder or hide what follows written as ``‹U+202E›``."""
    return _UNSEEN.sub(lambda m: f"‹U+{ord(m.group()):04X}›", text)


def broken(text: str, marks: Iterable[str]) -> str:
    """A text in which none of the marks stands any more."""
    for mark in marks:
        text = re.sub(re.escape(mark), f"{mark[:6]}·{mark[6:]}", text, flags=re.IGNORECASE)
    return text


def fenced(text: str, marks: Sequence[str]) -> str:
    """A text as data, between delimiters that carry the first of the marks."""
    return _MARK.format(marks[0], broken(plain(text), marks))


def marked(text: str, tokens: Sequence[Sequence[Any]], marks: Sequence[str], *, position: int | None = None) -> str:
    """A text as data: its active tokens in «», cut around the token at ``position`` (else the strongest) when it is long."""
    values = [float(v) for _, v in tokens]
    peak = max(values, default=0.0)
    wanted = position if position is not None else values.index(peak) if values else 0
    level, at, focus, spans = max(0.25, 0.5 * peak), 0, 0, list[tuple[int, int]]()
    for number, (token, value) in enumerate(tokens):
        start = text.find(token, at)
        at = at if start < 0 else start + len(token)
        if start >= 0 and float(value) >= level:
            spans.append((start, at))
        if start >= 0 and number == wanted:
            focus = start
    first = max(0, focus - _BEFORE)
    last = min(len(text), max(focus + _AFTER, first + _BEFORE + _AFTER))
    out, at = "…" if first else "", first
    for start, end in [s for s in spans if first <= s[0] and s[1] <= last]:
        out += _escaped(text[at:start]) + "«" + _escaped(text[start:end]) + "»"
        at = end
    out += _escaped(text[at:last]) + ("…" if last < len(text) else "")
    return _MARK.format(marks[0], broken(out, marks))


def _escaped(text: str) -> str:
    return plain(text).replace("«", "‹U+00AB›").replace("»", "‹U+00BB›")


# --- what comes back -------------------------------------------------------------------------------------------------


class Results(list[Any]):
    """A list that prints one item a line."""

    def __repr__(self) -> str:
        return "\n".join(repr(item) for item in self) or "nothing"

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return Results(found) if isinstance(key, slice) else found


class Item:
    """A stimulus: ``.text`` or ``.image``, and what is known of it as attributes.

    Seen by a unit: ``.value`` (0-1), ``.raw``, ``.quantile``, ``.unit``, ``.tokens`` [(token, value)]; of an exemplar text
    ``.value`` is that of the token at ``.position``. Measured: ``.expect`` and ``.entry`` (its id in the ledger). Made:
    ``.note`` says what was understood.
    """

    text: str | None = None
    image: Any = None
    value: float | None = None
    entry: str | None = None
    note: str = ""

    def __init__(self, lab: Lab, data: dict[str, Any]) -> None:
        self._lab, self._data = lab, data
        self.__dict__.update(data)

    @property
    def content(self) -> Any:
        """The text or the image."""
        return self.text if self.text is not None else self.image

    @property
    def highlighted(self) -> Any:
        """The image with the region that drives the unit lit and the rest dimmed."""
        return self._lab._call("highlight", self.image, unit=self._data.get("unit"))  # pyright: ignore[reportPrivateUsage]

    def caption(self) -> str:
        """What stands beside it: the value, the expectation, the ledger id."""
        known = self._data
        parts = [f"value={self.value:.2f}"] if self.value is not None else []
        if known.get("position") is not None:
            parts.append(f"at token {known['position']}")
        parts += [f"expected={known['expect']:.2f}"] if known.get("expect") is not None else []
        parts += [f"quantile={known['quantile']:.3f}"] if "quantile" in known else []
        parts += [known["entry"]] if known.get("entry") else []
        return " ".join([*parts, *([f"note={fenced(self.note, self._lab.marks)}"] if self.note else [])])

    def __repr__(self) -> str:
        if self.text is not None:
            known = self._data
            shown = marked(self.text, known.get("tokens", ()), self._lab.marks, position=known.get("position"))
            return f"{self.caption()} {shown}".strip()
        return f"{self.caption()} image {'x'.join(map(str, self.image.size))} {self._data['id'][:8]}".strip()


class Row(dict[str, Any]):
    """A unit or a hypothesis: a dict that prints as a line."""

    def __repr__(self) -> str:
        if "status" in self:
            on = f" [{', '.join(self['evidence'])}]" if self["evidence"] else ""
            return f"{self['id']} {self['status']}{on}: {self['text']}" + (
                f" ({self['because']})" * bool(self["because"])
            )
        return (
            f"{self['name']}: {self['modality']} unit of {self['model']} at {self['site']}, a value a {self['per']}; raw "
            f"{self['zero']:.4g} counts as 0 and {self['one']:.4g} as 1; {self['left']} measurements left"
        )


class Words(str):
    """Words about a stimulus, which print as data."""

    marks: Sequence[str] = ()

    def __repr__(self) -> str:
        return fenced(self, self.marks)


class Effect:
    """What an intervention did: ``.before``, ``.after`` (the unit, 0-1), ``.effect`` (KL of the outputs in nats),
    ``.random`` (the same for random steps of equal length), ``.stands_out``, ``.rose``, ``.fell`` [(output, p before,
    p after)], ``.expect``, ``.entry``.
    """

    entry: str

    def __init__(self, lab: Lab, data: dict[str, Any]) -> None:
        self._marks = lab.marks
        self.__dict__.update(data)

    def __repr__(self) -> str:
        d = self.__dict__
        what = fenced(d["text"][-80:], self._marks) if "text" in d else f"image {d['id'][:8]}"
        rose, fell = (
            ", ".join(f"{visible(name)!r} {p:.3f}→{q:.3f}" for name, p, q in d[side]) or "none"
            for side in ("rose", "fell")
        )
        stands = "stands out" if d["stands_out"] else "does not stand out"
        return (
            f"{d['entry']} unit {d['before']:.2f}→{d['after']:.2f} effect={d['effect']:.4g} random="
            f"{[float(f'{r:.3g}') for r in d['random']]} {stands} (expected {d['expect']}) at {what}; rose: {rose}; "
            f"fell: {fell}"
        )


class Driven(dict[str, Any]):
    """What an output loses without a unit: ["effect"] with ["low"], ["high"]; ["random"], ["drives"], ["expect"], .entry."""

    @property
    def entry(self) -> str:
        """Id in the ledger."""
        return self["entry"]

    def __repr__(self) -> str:
        bounds = "" if self["low"] is None else f" [{self['low']:.4g}, {self['high']:.4g}]"
        what = "drives" if self["drives"] else "does not drive"
        return (
            f"{self['entry']} {self['unit']} {what} {visible(self['output'])!r}: it loses {self['effect']:.4g}{bounds} over "
            f"{self['n']} stimuli, random={[float(f'{r:.3g}') for r in self['random']]} (expected "
            f"{'to drive' if self['expect'] else 'not to drive'})"
        )


class Predicate(dict[str, Any]):
    """An executable label as plain data."""


class Predicates:
    """``P.<kind>(field=...)`` builds a predicate: ``P.and_(parts=[P.word_in(words=["cat"]), P.not_(part=...)])``."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = tuple(kinds)

    def __getattr__(self, name: str) -> Callable[..., Predicate]:
        op = name.rstrip("_")
        if op not in self._kinds:
            raise AttributeError(f"no predicate {op!r}: there are {', '.join(self._kinds)}")
        return lambda **fields: Predicate(op=op, **fields)


# --- the lab ---------------------------------------------------------------------------------------------------------


class Lab:
    """What programs work with. Stimuli are given as texts, PIL images, or items that the lab handed out."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        about = call("session")
        self.marks: tuple[str, ...] = tuple(about["marks"])
        self.kinds: tuple[str, ...] = tuple(about["kinds"])

    # --- looking
    def units(self) -> Any:
        """Every unit here: name, model, modality, site, the raw values that count as 0 and as 1, measurements left."""
        return Results(Row(d) for d in self._call("units"))

    def exemplars(self, n: int = 10, where: str = "spectrum", unit: str | None = None) -> Any:
        """Stimuli of the corpus with the unit's values, strongest first. where="top": the strongest only; "spectrum": half
        of them from the top, half over the whole range: look at both. Free. Text: item.tokens has a value a token, printed
        with active tokens in «»; images: item.highlighted is the picture with the active region lit.
        """
        return Results(Item(self, d) for d in self._call("exemplars", n, where=where, unit=unit))

    def tokens(self, text: Any, unit: str | None = None) -> Any:
        """The tokens of a text as the model splits it: [token, start, end]."""
        return self._call("tokens", _content(text), unit=unit)

    # --- measuring
    def measure(
        self, stimuli: Any, *, expect: Any, because: str = "", hypothesis: str | None = None, unit: Any = None
    ) -> Any:
        """Show stimuli to the unit. expect comes first: the value you foretell, 0 (at rest) to 1 (strongly active), one for
        all or a list with one each; it is kept beside the value. because: why; hypothesis: the id it tests ("H1").
        unit: a name, or a list of names to show the same stimuli to several units (then expect may be a dict by unit, and a
        dict of results by unit comes back). Text: the value is the largest over tokens; item.tokens has all. Costs one
        measurement a stimulus and unit.
        """
        several = None if isinstance(unit, str) or unit is None else list(unit)
        items = [stimuli] if isinstance(stimuli, (str, Item)) or hasattr(stimuli, "convert") else list(stimuli)
        contents = [_content(s) for s in items]
        found = self._call(
            "measure", contents, expect=_numbers(expect), because=because, hypothesis=hypothesis,
            unit=unit if several is None else several,
        )  # fmt: skip
        shown = {
            name: Results(self._seen(c, d) for c, d in zip(contents, rows, strict=True)) for name, rows in found.items()
        }
        return shown if several is not None else next(iter(shown.values()))

    def _seen(self, content: Any, data: dict[str, Any]) -> Item:
        return Item(self, {**data, "text" if isinstance(content, str) else "image": content})

    # --- making stimuli
    def imagine(self, prompt: str, n: int = 1) -> Any:
        """Pictures of what the words say; item.note says what was understood and what was not."""
        return Results(Item(self, d) for d in self._call("imagine", prompt, n=n))

    def edit(self, image: Any, instruction: str) -> Any:
        """The picture with an instruction carried out ("remove the dog", "put it on grass", "make it grey"): change one
        thing and measure both.
        """
        return Item(self, self._call("edit", _content(image), instruction))

    def describe(self, images: Any) -> Any:
        """What pictures show, in the words of a describer that sees neither values nor hypotheses."""
        items = [images] if isinstance(images, Item) or hasattr(images, "convert") else list(images)
        return Results(self._words(told) for told in self._call("describe", [_content(i) for i in items]))

    def _words(self, told: str) -> Words:
        words = Words(told)
        words.marks = self.marks
        return words

    def write(self, instruction: str, n: int = 4) -> Any:
        """Texts that follow an instruction (such as: sentences with "river")."""
        return Results(Item(self, d) for d in self._call("write", instruction, n=n))

    def replace(self, text: Any, old: str | int, new: str, nth: int = 0) -> Any:
        """The text with its nth `old` (a part of the text, or the number of a token) replaced by `new`."""
        return Item(self, self._call("change", _content(text), "replace", old, new, nth=nth))

    def delete(self, text: Any, old: str | int, nth: int = 0) -> Any:
        """The text without its nth `old`."""
        return Item(self, self._call("change", _content(text), "delete", old, nth=nth))

    def insert(self, text: Any, new: str, *, before: Any = None, after: Any = None, nth: int = 0) -> Any:
        """The text with `new` put before or after a part or token (give one of the two)."""
        if (before is None) == (after is None):
            raise ValueError("insert needs one of before= and after=")
        how, old = ("insert_before", before) if after is None else ("insert_after", after)
        return Item(self, self._call("change", _content(text), how, old, new, nth=nth))

    # --- changing the unit inside the model
    def ablate(
        self, stimuli: Any, *, expect: bool, because: str = "", hypothesis: str | None = None, at: int | None = None,
        unit: str | None = None,
    ) -> Any:  # fmt: skip
        """Set the unit to its mean and see what the model then says. expect: whether the effect will stand out from random
        changes of equal length. Texts end at the changed token: `at`, or where the unit is strongest. Costs two
        measurements a stimulus.
        """
        return self._changed("ablate", stimuli, expect=expect, because=because, hypothesis=hypothesis, at=at, unit=unit)

    def steer(
        self, stimuli: Any, amount: float, *, expect: bool, because: str = "", hypothesis: str | None = None,
        unit: str | None = None,
    ) -> Any:  # fmt: skip
        """Raise the unit everywhere by `amount` of its 0-1 scale (negative: lower it) and see what the model then says.
        Costs two measurements a stimulus.
        """
        return self._changed("steer", stimuli, amount, expect=expect, because=because, hypothesis=hypothesis, unit=unit)

    def drives(
        self, output: str, stimuli: Any, *, expect: Any, because: str = "", hypothesis: str | None = None,
        units: Any = None,
    ) -> Any:  # fmt: skip
        """Which units drive an output: each is set to its mean everywhere, and what the output's logit then loses stands
        beside random changes of equal length. output: "class:zebra", "class:340", "token: Paris". expect: the name or names
        of the units that will drive it, or []. units: names; otherwise all. Strongest first. Give several stimuli: texts that
        the token follows, or pictures of the class. Costs two measurements a stimulus and unit.
        """
        items = [stimuli] if isinstance(stimuli, (str, Item)) or hasattr(stimuli, "convert") else list(stimuli)
        found = self._call(
            "drives", output, [_content(s) for s in items], expect=[expect] if isinstance(expect, str) else list(expect),
            because=because, hypothesis=hypothesis, units=[units] if isinstance(units, str) else units,
        )  # fmt: skip
        return Results(Driven(d) for d in found)

    def _changed(self, kind: str, stimuli: Any, *rest: Any, **named: Any) -> Any:
        items = [stimuli] if isinstance(stimuli, (str, Item)) or hasattr(stimuli, "convert") else list(stimuli)
        return Results(Effect(self, d) for d in self._call(kind, [_content(s) for s in items], *rest, **named))

    # --- thinking aloud
    def show(self, *things: Any) -> None:
        """Put texts, pictures, items, or (image, caption) into the conversation. Pictures are seen only when shown."""
        self._call("show", [part for thing in things for part in self._parts(thing)])

    def _parts(self, thing: Any) -> list[Any]:
        if isinstance(thing, Item) and thing.text is None:
            seen = "quantile" in thing._data  # pyright: ignore[reportPrivateUsage]
            return [[thing.highlighted if seen else thing.image, thing.caption()]]
        if isinstance(thing, tuple) and len(thing) == 2 and hasattr(_content(thing[0]), "convert"):
            return [[_content(thing[0]), str(thing[1])]]
        if isinstance(thing, list) and not isinstance(thing, Results):
            return [part for each in thing for part in self._parts(each)]
        if isinstance(thing, Results) and any(isinstance(i, Item) and i.text is None for i in thing):
            return [part for each in thing for part in self._parts(each)]
        return [thing if hasattr(thing, "convert") or isinstance(thing, str) else repr(thing)]

    def hypothesize(self, text: str) -> Any:
        """Set up a hypothesis; gives its id ("H1")."""
        return self._call("hypothesize", text)["id"]

    def judge(self, hypothesis: str, status: str, evidence: Any = (), because: str = "") -> Any:
        """Say where a hypothesis stands: "supported", "rejected" (both with evidence: items or ledger ids) or "open"."""
        self._call("judge", hypothesis, status, evidence=_entries(evidence), because=because)
        return self.hypotheses

    @property
    def hypotheses(self) -> Any:
        """All hypotheses with their status and evidence."""
        return Results(Row(d) for d in self._call("hypotheses"))

    def remaining(self, unit: str | None = None) -> int:
        """Measurements left."""
        return self._call("remaining", unit=unit)

    def submit(
        self, label: str | None = None, predicate: Any = None, confidence: float | None = None, *,
        unexplained: str | None = None, evidence: Any = (), unit: str | None = None,
    ) -> str:  # fmt: skip
        """Give your answer: a short label, its executable form (see Predicates) if you can, and the probability that it is
        right; or submit(unexplained="why"), which beats a wrong label. Says how the label will be scored.
        """
        return self._call(
            "submit", label, predicate=_data(predicate), confidence=confidence, unexplained=unexplained,
            evidence=_entries(evidence), unit=unit,
        )  # fmt: skip


def _content(thing: Any) -> Any:
    return thing.content if isinstance(thing, Item) else thing


def _entries(evidence: Any) -> list[str]:
    """Ledger ids of items, effects and ids."""
    several = [evidence] if isinstance(evidence, (str, Item, Effect, Driven)) else list(evidence)
    return [e if isinstance(e, str) else str(e.entry) for e in several]


def _numbers(expect: Any) -> Any:
    if isinstance(expect, dict):
        return {str(k): _numbers(v) for k, v in expect.items()}
    if hasattr(expect, "tolist"):  # numpy's numbers and arrays
        return _numbers(expect.tolist())
    return [float(v) for v in expect] if isinstance(expect, (list, tuple)) else expect


def _data(value: Any) -> Any:
    """A predicate as plain lists and dicts."""
    if isinstance(value, dict):
        return {str(k): _data(v) for k, v in value.items()}
    return [_data(v) for v in value] if isinstance(value, (list, tuple, set, frozenset)) else value


if "call" in globals():
    lab = Lab(globals()["call"])
    P = Predicates(lab.kinds)
    __all__ = ["P", "lab"]
