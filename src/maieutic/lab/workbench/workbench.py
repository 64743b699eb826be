"""The workbench: the lab that models, MCP clients and people are given, made of validated calls over one or more labs.

Everything that comes in is checked here (types by pydantic, meaning in the parts), because whoever asks may run any code on
the other side. It hands out discover stimuli only, and refuses test stimuli. What this does not do: run programs (see
``lab/worker``), or score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from maieutic.errors import UserError
from maieutic.lab.lab import Lab
from maieutic.lab.workbench.causal import Causal
from maieutic.lab.workbench.desk import Desk, Shown
from maieutic.lab.workbench.driving import Driving
from maieutic.lab.workbench.fence import Fence
from maieutic.lab.workbench.looking import Looking
from maieutic.lab.workbench.making import Making
from maieutic.lab.workbench.measuring import Measuring
from maieutic.lab.workbench.page import page
from maieutic.lab.workbench.record import Hypothesis, Reads, Record, Submission
from maieutic.stimuli.making import Tools

_CONFIG = ConfigDict(arbitrary_types_allowed=True)


class Workbench:
    """Units to question, and the calls to do it with.

    Attributes:
        desk, record: the state of the session.
        looking, measuring, making, causal, driving: the parts that answer calls.
    """

    def __init__(
        self,
        labs: Sequence[Lab],
        *,
        tools: Tools,
        reads: Reads | Mapping[str, Reads] | None = None,
        kinds: Mapping[str, str] | None = None,
        seed: int = 0,
        mark: Mapping[str, Any] | None = None,
        nonce: str = "",
    ) -> None:
        """Put units on the workbench.

        Args:
            labs: one a unit; the first is meant where no unit is named.
            tools: what makes and describes stimuli.
            reads: from a label and a predicate (plain data or ``None``) to how they will be scored, in words; raises
                ``UserError`` when they cannot be. One for all units, or one by the name of each.
            kinds: predicates that may be submitted, name to one line.
            seed: of every draw, and of the fence.
            mark: plain JSON kept with every experiment (``{"jail": "bwrap"}``).
            nonce: random characters for a fence that differs from session to session.

        Raises:
            UsageError: no labs, or a unit twice.
        """
        self.kinds = dict(kinds or {})
        self.desk = Desk.of(labs, tools=tools, seed=seed, nonce=nonce)
        self.desk.mark.update(mark or {})
        self.record = Record(desk=self.desk, reads=reads)
        self.looking, self.making = Looking(self.desk), Making(self.desk)
        self.measuring, self.causal = Measuring(self.desk, self.record), Causal(self.desk, self.record)
        self.driving = Driving(self.desk, self.record)

    # --- what callers use ----------------------------------------------------------------------------------------
    def calls(self) -> dict[str, Callable[..., Any]]:
        """Every call by name, checked: wrong arguments raise ``UserError`` in one line."""
        record = self.record
        functions: dict[str, Callable[..., Any]] = {
            "session": self.session, "hypotheses": record.listed, "units": self.looking.units,
            "exemplars": self.looking.exemplars, "highlight": self.looking.highlight, "tokens": self.looking.tokens,
            "measure": self.measuring.measure, "imagine": self.making.imagine, "edit": self.making.edit,
            "write": self.making.write, "describe": self.making.describe, "change": self.making.change,
            "ablate": self.causal.ablate, "steer": self.causal.steer,
            "drives": self.driving.drives, "show": record.show,
            "hypothesize": record.hypothesize, "judge": record.judge, "remaining": record.remaining,
            "submit": record.submit,
        }  # fmt: skip
        return {name: checked(name, function) for name, function in functions.items()}

    def session(self) -> dict[str, Any]:
        """What the other side needs to know at its start."""
        return {"marks": list(self.fence.marks), "kinds": list(self.kinds)}

    def page(self) -> str:
        """The page that says what can be done here."""
        return page(self.desk, self.kinds)

    def take_shown(self) -> list[Shown]:
        """What was put on show since the last time."""
        shown, self.desk.shown = self.desk.shown, []
        return shown

    # --- what the session came to --------------------------------------------------------------------------------
    @property
    def shown(self) -> list[Shown]:
        """What was put on show and not taken yet."""
        return self.desk.shown

    @property
    def fence(self) -> Fence:
        """The delimiters of stimulus text and of printed output."""
        return self.desk.fence

    @property
    def labs(self) -> dict[str, Lab]:
        """The labs by the names of their units."""
        return {name: place.lab for name, place in self.desk.places.items()}

    @property
    def hypotheses(self) -> list[Hypothesis]:
        """Hypotheses with their status and evidence."""
        return self.record.hypotheses

    @property
    def submissions(self) -> dict[str, Submission]:
        """The newest submission of each unit, by its name."""
        return self.record.submissions

    @property
    def submission(self) -> Submission | None:
        """The submission for the first unit."""
        return self.record.submissions.get(self.desk.place().name)


def checked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its arguments checked against its annotations; ``UserError`` in one line otherwise."""
    validated = validate_call(config=_CONFIG)(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return validated(*args, **kwargs)
        except ValidationError as error:
            raise UserError(f"{name}: {_reasons(error)}") from None

    return call


def _reasons(error: ValidationError) -> str:
    """What is wrong with the arguments, each thing once, without the values given."""
    reasons: list[str] = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = next((str(part) for part in problem["loc"] if isinstance(part, str)), "")
        if problem["type"].startswith("missing"):
            reasons.append(f"{where} is missing: give it")
        else:
            reasons.append(f"{where or 'argument'}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
    return "; ".join(dict.fromkeys(reasons))[:400]
