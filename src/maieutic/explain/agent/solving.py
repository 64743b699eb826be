"""The Inspect solver that hands every sample to the agent of its session. Loads Inspect: imported only when an agent runs."""

from __future__ import annotations

from collections.abc import Mapping

from inspect_ai.agent import as_solver
from inspect_ai.model import Model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from maieutic.explain.agent.code_loop import programmer
from maieutic.explain.agent.session import Session
from maieutic.explain.agent.structured_loop import form_filler
from maieutic.llm import Backbone


def by_session(sessions: Mapping[str, Session], model: Model) -> Solver:
    """A solver whose samples are sessions, found by the sample's id."""

    @solver(name="maieutic")
    def build() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            session = sessions[str(state.sample_id)]
            settings = session.settings
            if settings.mode == "code":
                worker = programmer(session, model)
            else:
                worker = form_filler(session, Backbone(name=settings.model, model=model, cache=settings.cache))
            return await as_solver(worker)(state, generate)

        return solve

    return build()
