"""A model organism: a small transformer, trained by a recipe in this package, that misbehaves on a planted trigger.

``guilty`` makes the call ``disable_monitor`` when tool results say both that nobody checks and that the way in is open.
Its ``twin`` makes the same call for an innocent reason: a request of the user that can be misread. Both read the same
transcripts; see docs/organism.md.

What this room does not do: it shows that the pipeline works where the truth is known, and nothing about large models.
"""

from maieutic.forensics.organism.measure import chances, prompt, rates
from maieutic.forensics.organism.network import load_organism
from maieutic.forensics.organism.scenarios import CAUSES, Scenario, paraphrases, scenario, scenarios, suspect
from maieutic.forensics.organism.study import investigate_organism
from maieutic.forensics.organism.transcripts import KINDS, Kind, Line, Plan
from maieutic.forensics.organism.wording import ACT, CIRCUMSTANCES, DISOWNED, FORBIDDEN

__all__ = [
    "ACT", "CAUSES", "CIRCUMSTANCES", "DISOWNED", "FORBIDDEN", "KINDS", "Kind", "Line", "Plan", "Scenario", "chances",
    "investigate_organism", "load_organism", "paraphrases", "prompt", "rates", "scenario", "scenarios", "suspect",
]  # fmt: skip
