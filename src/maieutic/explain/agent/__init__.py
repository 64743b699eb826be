"""The agent: a (vision-)language model that designs experiments on a unit, in a jail, with any backbone.

Needs the ``agents`` extra; nothing here loads Inspect before an agent is asked for.
"""

from maieutic.explain.agent.asking import Answered, Asked, ask
from maieutic.explain.agent.explaining import explain_with_agent
from maieutic.explain.agent.settings import AgentSettings

__all__ = ["AgentSettings", "Answered", "Asked", "ask", "explain_with_agent"]
