"""Which of WordNet's kinds people would say, and in what words: two tables by hand.

What this module does not do: look anything up.
"""

from __future__ import annotations

#: hypernyms nobody would say when asked what a picture shows
# fmt: off
ABSTRACT: frozenset[str] = frozenset((
    "Pyramid", "abstract entity", "abstraction", "access", "act", "action", "adult", "animal tissue", "area", "art",
    "article", "artifact", "ass", "assets", "attribute", "balcony", "bar", "being", "binary compound", "body",
    "body part", "causal agency", "causal agent", "cause", "chamber", "change", "chemical", "chordate", "collection",
    "commodity", "communication", "compound", "compound lever", "cone", "connective tissue", "consumer goods",
    "conveyance", "covering", "creating from raw materials", "creation", "definite quantity", "depository", "device",
    "diapsid", "discharge", "domestic animal", "domestic ass", "enclosure", "entity", "equipment", "eutherian",
    "event", "facility", "figure", "fluid", "foodstuff", "fundamental quantity", "gallery", "game",
    "geological formation", "goods", "gramineous plant", "group", "happening", "home plate", "implement",
    "instrumentality", "instrumentation", "larid", "leader", "lever", "line", "living thing", "location", "matter",
    "measure", "mechanical device", "mechanism", "metatherian", "military installation", "mound",
    "natural elevation", "natural object", "natural phenomenon", "nutriment", "object", "organism", "part",
    "partition", "phasianid", "phenomenon", "physical entity", "physical phenomenon", "piece", "placental",
    "plant organ", "plant part", "plant structure", "plastic art", "point", "possession", "process", "product",
    "prototherian", "psychological feature", "region", "relation", "reproductive structure", "restraint", "saurian",
    "scorpaenoid", "seed plant", "shape", "signal", "solid", "solid figure", "someone", "spermatophyte", "state",
    "strip", "structure", "substance", "surface", "thing", "tissue", "topographic point", "unit", "vascular plant",
    "vertebrate", "visual signal", "ware", "way", "whole", "work", "worker", "young", "young bird", "young mammal",
))
# fmt: on
#: kinds that WordNet names as a scholar would → people's words for the same synsets
PLAIN: dict[str, str] = {
    "passerine": "songbird",
    "oscine": "songbird",
    "gallinaceous bird": "fowl-like bird",
    "equine": "horse-like animal",
    "anthropoid ape": "ape",
    "pongid": "great ape",
    "teleost fish": "bony fish",
    "percoid fish": "perch-like fish",
    "odontocete": "toothed whale",
    "automotive vehicle": "motor vehicle",
    "self-propelled vehicle": "motorised vehicle",
    "edible fruit": "fruit",
    "human": "person",
    "angiosperm": "flowering plant",
    "lepidopterous insect": "moth or butterfly",
    "dipterous insect": "two-winged insect",
    "hymenopterous insect": "bee or wasp",
    "anseriform bird": "duck-like bird",
    "coraciiform bird": "kingfisher-like bird",
    "columbiform bird": "pigeon-like bird",
    "piciform bird": "woodpecker-like bird",
    "cuculiform bird": "cuckoo-like bird",
    "apodiform bird": "swift-like bird",
    "ratite": "flightless bird",
}
