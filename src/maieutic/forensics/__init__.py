"""What made a model do what it did: actions, the parts of their context, experiments on both, and the evidence in rungs.

It speaks of the cause of an action, never of a motive. Importing this loads no model and no provider.
"""

from maieutic.forensics.act import ActTest, Verdict
from maieutic.forensics.action import (
    Act,
    Action,
    Context,
    Message,
    Sampling,
    ToolCall,
    action_from_json,
    read_action,
    write_action,
)
from maieutic.forensics.actor import Actor, Sample, Spent, TooLongError, open_actor
from maieutic.forensics.attribution import Cause, Settings, find_cause
from maieutic.forensics.partition import Part, Partition, partition
from maieutic.forensics.removal import remove_parts, replace_parts

__all__ = [
    "Act",
    "ActTest",
    "Action",
    "Actor",
    "Cause",
    "Context",
    "Message",
    "Part",
    "Partition",
    "Sample",
    "Sampling",
    "Settings",
    "Spent",
    "TooLongError",
    "ToolCall",
    "Verdict",
    "action_from_json",
    "find_cause",
    "open_actor",
    "partition",
    "read_action",
    "remove_parts",
    "replace_parts",
    "write_action",
]
