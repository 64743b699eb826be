"""The one-shot baseline for text: each token's mean activation, looked up. It asks no why and runs no experiment."""

from __future__ import annotations

import time

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Predicate, Scaled
from maieutic.explain.predicates.text import quoted, visible
from maieutic.explain.predicates.text_rules import Anywhere
from maieutic.explain.search.text_fit import Fitter
from maieutic.explain.search.text_setting import Setting, setting_of
from maieutic.explain.search.text_tables import ROWS, lookup
from maieutic.lab import Lab
from maieutic.readings import Cost

NAME = "lookup"


def lookup_text(lab: Lab, *, most: int = ROWS, name: str = NAME) -> Explanation:
    """The tokens that carry most of the activation over the discover split, and what each is worth.

    A token seen n times gets its mean shrunken towards the overall mean by one pseudo-count. Subjects with one value a
    text: the single condition on words that predicts best. Cost: no measurement.

    Args:
        lab: the unit with its atlas.
        most: tokens in the table; as many as the search explainer may use. 0 keeps all (thousands: no label, but the
            bound of what token identity alone can predict).
        name: signed by.
    """
    start = time.perf_counter()
    if constant(lab):
        return Explanation.unexplained(lab.unit.key, "the unit never changes on the discover split", explainer=name)
    setting = setting_of(lab)
    predicate, words = lookup_predicate(setting, most=most)
    return Explanation(
        unit=lab.unit.key,
        label="tokens such as " + quoted(words),
        predicate=predicate,
        explainer=name,
        confidence=0.5,
        cost=Cost(seconds=time.perf_counter() - start),
        viewer=setting.viewer,
    )


def constant(lab: Lab) -> bool:
    """Whether the unit has one value over the whole discover split."""
    values = np.concatenate([o.values for o in lab.discover]) if len(lab.discover) else np.zeros(1)
    return bool(values.max() == values.min())


def lookup_predicate(setting: Setting, *, most: int = ROWS) -> tuple[Predicate, tuple[str, ...]]:
    """The look-up table and its strongest tokens."""
    if setting.text_level:
        rules = Fitter(setting.data, setting.discover.target, longest=1).rules(1)[-1]
        if not rules.clauses:
            return Anywhere(part=lookup_nothing()), ("nothing",)
        clause = rules.clauses[0]
        strength = float(np.clip(rules.base + rules.weights[0], 0.0, 1.0))
        return Scaled(part=clause.predicate, strength=strength), (clause.predicate.describe(),)
    table = lookup(setting.data, setting.discover.target, most=most)
    return table, tuple(dict.fromkeys(visible(str(r[0])) for r in table.table))[:6]


def lookup_nothing() -> Predicate:
    """The prediction of a look-up that found nothing."""
    from maieutic.explain.predicates.base import Constant

    return Constant(value=0.0)
