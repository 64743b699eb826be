"""A label of a unit of either kind, read into its executable form (see ``reading_labels`` and ``reading_image_labels``)."""

from __future__ import annotations

from dataclasses import replace

from maieutic.explain.explanation import Viewer
from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text_rules import Anywhere
from maieutic.explain.reading_labels import LabelReading, read_label
from maieutic.lab import Lab


def read_for(label: str, lab: Lab, viewer: Viewer) -> LabelReading:
    """What can be read of a label for the lab's unit; its predicate gives one value at each measured position."""
    if lab.subject.modality == "image":
        from maieutic.explain.reading_image_labels import read_image_label

        return read_image_label(label, lab.corpus)
    reading = read_label(label)
    return reading if reading.predicate is None else replace(reading, predicate=whole(reading.predicate, viewer))


def whole(predicate: Predicate, viewer: Viewer) -> Predicate:
    """The predicate for a subject with one value a text: the label holds somewhere in it. Others keep theirs."""
    if getattr(viewer, "text_level", False) and not isinstance(predicate, Anywhere):
        return Anywhere(part=predicate)
    return predicate


def viewer_for(lab: Lab) -> Viewer:
    """The viewer that all units of a corpus share, so that each stimulus is looked at once."""
    if lab.subject.modality == "image":
        from maieutic.explain.views_image import shared_viewer

        return shared_viewer(lab.subject, lab.corpus)
    from maieutic.explain.viewer_text import text_viewer

    return text_viewer(lab.subject)
