"""What a policy hands in about a unit: a label in words and, where it likes, the label's executable form.

It comes as a call of ``submit`` with ``label`` and ``predicate`` (JSON as text), as a JSON object, or as plain text, which
is all label. Nothing in it is believed: a predicate is only ever data of registered kinds, bounded in size.

What this module does not do: say how good a submission is (``outcome.py``).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from maieutic.control.seen import Seen, Transcript
from maieutic.errors import UserError
from maieutic.explain.predicates import Predicate, from_json
from maieutic.explain.reading_labels import read_label
from maieutic.forensics.action import Message, ToolCall

#: name of the tool
SUBMIT = "submit"
#: how a label that lists words begins
LEAD = "words such as "
#: characters of a label and of a predicate's JSON at most
LABEL, PREDICATE = 1200, 60_000
_UNIT = re.compile(r"^Unit: (unit-\d+)$", re.MULTILINE)
#: letters of other scripts that look like Latin ones
_ALIKE = str.maketrans("аеорсухіјѕԁɡһкмтвнαορτυνικ", "aeopcyxijsdghkmtbhaoptuvik")
_SPACED = re.compile(r"\b(?:\w[ .\-_·]){2,}\w\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A label.

    Attributes:
        label: what people read.
        predicate: its executable form; ``None``: the label is read.
    """

    label: str
    predicate: Predicate | None = None

    @property
    def words(self) -> Predicate | None:
        """What the label's words alone predict, normalised; ``None`` where nothing of them can be read."""
        return read_label(normal(self.label)).predicate

    @property
    def scored(self) -> Predicate | None:
        """What is scored: the predicate, else the words."""
        return self.predicate if self.predicate is not None else self.words

    def to_json(self) -> dict[str, Any]:
        return {"label": self.label, "predicate": None if self.predicate is None else self.predicate.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Submission:
        """Of ``{"label": …, "predicate": … or null or JSON as text}``.

        Raises:
            UserError: no label, too long, or a predicate that is none.
        """
        label, given = data.get("label"), data.get("predicate")
        if not isinstance(label, str) or not label.strip():
            raise UserError("the submission has no label: give {'label': '…'}")
        if len(label) > LABEL:
            raise UserError(f"the label has {len(label)} characters: give at most {LABEL}")
        if given in (None, ""):
            return cls(label=label)
        if len(given if isinstance(given, str) else json.dumps(given)) > PREDICATE:
            raise UserError(f"the predicate is too long: give at most {PREDICATE} characters of JSON")
        try:
            data_of: Any = json.loads(given) if isinstance(given, str) else given
        except (ValueError, RecursionError) as error:
            raise UserError(f"the predicate is no JSON ({error}): give one, or leave it out") from error
        if not isinstance(data_of, Mapping):
            raise UserError("the predicate is no JSON object: give one, or leave it out")
        return cls(label=label, predicate=from_json(cast(Mapping[str, Any], data_of)))

    def message(self) -> Message:
        """The act of handing it in."""
        told = "" if self.predicate is None else json.dumps(self.predicate.to_json())
        call = ToolCall(id="submit", name=SUBMIT, arguments={"label": self.label, "predicate": told})
        return Message(role="assistant", tool_calls=(call,))


def submission_of(act: Message) -> Submission:
    """What an act hands in.

    Raises:
        UserError: nothing, more than one thing, or what cannot be read.
    """
    calls = [c for c in act.tool_calls if c.name == SUBMIT]
    if len(calls) > 1:
        raise UserError(f"the act submits {len(calls)} labels: submit one")
    if calls:
        return Submission.from_json(calls[0].arguments)
    text = act.content.strip()
    if text.startswith("{"):
        try:
            return Submission.from_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"the answer is no JSON object ({error}): submit a label") from error
    return Submission.from_json({"label": text})


def submitted(seen: Seen) -> tuple[str, Submission]:
    """The id of the unit that a transcript is about, and what its act hands in.

    Raises:
        UserError: activations, a transcript without an act, one that names no unit or several, or what hands nothing in.
    """
    if not isinstance(seen, Transcript) or seen.act is None:
        raise UserError("there is no act to read: give a transcript with the submission at its end")
    return named_unit(seen), submission_of(seen.act)


def named_unit(seen: Transcript) -> str:
    """The id of the unit that the task is about: said by system or user, never by the policy.

    Raises:
        UserError: none is named, or several.
    """
    asked = [m.content for m in seen.messages if m.role in ("system", "user")]
    named = sorted({n for text in asked for n in _UNIT.findall(text)})
    if len(named) != 1:
        raise UserError(f"the transcript names {len(named)} units of the setting: give one of this setting")
    return named[0]


def normal(text: str) -> str:
    """A text without what only hides: compatibility forms, marks, invisible characters, look-alike letters, spaced words."""
    flat = unicodedata.normalize("NFKD", text)
    kept = "".join(c for c in flat if unicodedata.category(c) not in ("Cf", "Mn", "Cc") or c in "\n\t")
    latin = unicodedata.normalize("NFKC", kept).translate(_ALIKE)
    return _SPACED.sub(lambda m: re.sub(r"[ .\-_·]", "", m.group()), latin)


def words_in(label: str) -> frozenset[str]:
    """The words of a label, normalised, in lower case, each also without a plural or verbal ending."""
    found = re.findall(r"[^\W_]+", normal(label).casefold())
    return frozenset({*found, *(stem(w) for w in found)})


def stem(word: str) -> str:
    """The word without ``s``, ``es``, ``ed``, ``ing`` or ``ly``, where three letters are left."""
    for ending in ("ing", "es", "ed", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def listed(words: Sequence[str]) -> str:
    """A label that lists words."""
    return LEAD + ", ".join(f'"{w}"' for w in words)
