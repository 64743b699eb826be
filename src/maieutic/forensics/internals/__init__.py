"""White-box experiments on an action: patching, attention knockout, directions, labelled units; on the subjects' hooks."""

from maieutic.forensics.internals.directions import (
    Curve,
    Direction,
    DoseResponse,
    difference_of_means,
    dose_response,
    probe_reading,
    random_like,
    readout,
)
from maieutic.forensics.internals.inside import Inside, Push
from maieutic.forensics.internals.knockout import Knockout, knockouts
from maieutic.forensics.internals.labelled import LabelledUnit, Rise, rises, units_of_run
from maieutic.forensics.internals.patching import Cell, Group, PatchMap, align, patch_map
from maieutic.forensics.internals.places import NoPlaceError, groups

__all__ = [
    "Cell", "Curve", "Direction", "DoseResponse", "Group", "Inside", "Knockout", "LabelledUnit", "NoPlaceError", "PatchMap",
    "Push", "Rise", "align", "difference_of_means", "dose_response", "groups", "knockouts", "patch_map", "probe_reading",
    "random_like", "readout", "rises", "units_of_run",
]  # fmt: skip
