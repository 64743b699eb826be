"""Spurious features: which units of a last layer follow the object when backgrounds are swapped, and what a head on them does.

A classifier is trained on pictures whose backgrounds go with their classes; an explainer gives its last layer's units their
meaning; units whose claim survives counterfactual backgrounds are kept, and a head is fitted on them without balanced data.
What this package does not do: edit weights, or promise that what holds of composites holds of photographs.
"""

from maieutic.studies.spurious.config import TARGET, Rule, SpuriousConfig, load_config, quick

__all__ = ["TARGET", "Rule", "SpuriousConfig", "load_config", "quick"]
