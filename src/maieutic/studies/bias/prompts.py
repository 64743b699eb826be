"""Paired prompts: templates whose slots are filled from groups, one slot varied at a time.

A template's paraphrases are one cluster. Discovery and confirmation use different templates and different fillers, so what is
confirmed was seen on wording and names that played no part in finding it. What this module does not do: judge whether two
groups differ in anything but what they are meant to (frequency in the training data, length in tokens): read `notes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter

from maieutic.errors import UserError, did_you_mean
from maieutic.studies.bias import words
from maieutic.studies.bias.design import Material, Trial

Slots = Mapping[str, Mapping[str, Sequence[str]]]


def packaged_prompts(chosen: Sequence[str] = ()) -> Material:
    """Our own templates with names and places. ``chosen``: only these slots."""
    return prompt_material(
        words.TEMPLATES,
        {"name": words.NAMES, "place": words.PLACES},
        neutral=words.NEUTRAL,
        name="packaged prompts",
        chosen=chosen,
        notes=("names common in English-speaking countries, and made-up ones; they stand for these strings alone",),
    )


def prompt_material(
    templates: Sequence[Sequence[str]],
    slots: Slots,
    *,
    neutral: Mapping[str, str] | None = None,
    name: str = "prompts",
    chosen: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Material:
    """Every template with every filler of every level of each slot in turn.

    Args:
        templates: families of paraphrases; a slot is written ``{name}``.
        slots: slot to level to fillers; the first level is the reference.
        neutral: what stands in a slot while another is varied; the first filler of its first level otherwise.
        name: of the material.
        chosen: only these slots are varied.
        notes: for the report.

    Raises:
        UserError: a template with a slot that is not given, or without any; a level without fillers; an unknown slot.
    """
    plain = {s: next(iter(next(iter(levels.values()), ())), "") for s, levels in slots.items()} | dict(neutral or {})
    for slot in chosen:
        if slot not in slots:
            raise UserError(f"no slot {slot!r}{did_you_mean(slot, slots)}: choose from {', '.join(slots)}")
    trials: list[Trial] = []
    for number, family in enumerate(templates):
        for template in family:
            inside = _slots_of(template, slots)
            for slot in inside:
                if not chosen or slot in chosen:
                    others = {s: plain[s] for s in inside if s != slot}
                    trials += _filled(template, f"family {number + 1}", slot, slots[slot], others)
    varied = list(dict.fromkeys(t.attribute for t in trials))
    if not varied:
        raise UserError(f"{name} varies nothing: write a slot into the templates, as in  {{name}} works as a")
    return Material(
        modality="text", name=name, trials=tuple(trials), references={s: next(iter(slots[s])) for s in varied},
        notes=tuple(notes),
    )  # fmt: skip


def _slots_of(template: str, slots: Slots) -> list[str]:
    try:
        found = [f for _, f, _, _ in Formatter().parse(template) if f is not None]
    except ValueError as error:
        raise UserError(f"template {template!r} is not well formed ({error}): write slots as {{name}}") from None
    for slot in found:
        if slot not in slots:
            raise UserError(f"template {template!r} has a slot {slot!r} without fillers: give them under slots")
    return list(dict.fromkeys(found))


def _filled(
    template: str, cluster: str, slot: str, levels: Mapping[str, Sequence[str]], others: Mapping[str, str]
) -> list[Trial]:
    trials: list[Trial] = []
    for level, fillers in levels.items():
        if not fillers:
            raise UserError(f"level {level!r} of {slot!r} has no fillers: give at least one")
        for filler in fillers:
            prompt = template.format(**others, **{slot: filler})
            # a slot at the beginning may leave the space that parts it from nothing
            prompt = prompt.strip()
            trials.append(
                Trial(
                    key=prompt, load=lambda prompt=prompt: prompt, base=template, cluster=cluster, attribute=slot,
                    level=level, filler=filler or "-", said=prompt,
                )
            )  # fmt: skip
    return trials
