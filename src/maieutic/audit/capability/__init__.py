"""The capability screen: what the model behind an interpreter could do if it schemed. See ``docs/audit.md``.

What this package does not do: show that a model has no such ability. A model may hide one, and what was not run is
``unmeasured``.
"""

from maieutic.audit.capability.ability import ABILITIES, MARGIN, Ability, Imported, Standing, no_model, screened
from maieutic.audit.capability.logs import import_logs
from maieutic.audit.capability.screening import screen

__all__ = [
    "ABILITIES", "MARGIN", "Ability", "Imported", "Standing", "import_logs", "no_model", "screen", "screened",
]  # fmt: skip
