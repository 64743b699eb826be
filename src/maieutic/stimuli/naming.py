"""From a picture's file name and caption to its name and the concepts it falls under.

Captions ("A male black rhino.") lose article and aside; the words for WordNet are the longest ending of the name that
it knows in a category fit for the folder (a seal among animals is the animal). A small table holds the names that no
rule gets right. What this module does not do: look at the picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.stimuli.wordnet import Wordnet

#: categories a thing may have, by the first folder it lies in
_CATEGORIES: dict[str, tuple[str, ...]] = {
    "animals": ("noun.animal",),
    "food": ("noun.food", "noun.plant"),
    "plants": ("noun.plant",),
    "space": ("noun.object", "noun.person", "noun.artifact"),
    "naturalforces": ("noun.event", "noun.phenomenon", "noun.process"),
    "people": ("noun.person", "noun.artifact"),
    "seasonal": ("noun.artifact", "noun.food", "noun.plant", "noun.animal", "noun.object"),
    "medical": ("noun.artifact", "noun.body"),
    "military": ("noun.artifact", "noun.person"),
    "monuments": ("noun.artifact", "noun.object"),
}
_THINGS = ("noun.artifact", "noun.object", "noun.substance", "noun.food")
#: file stem → (name, words to look up); an empty tuple of words keeps the folder's concepts only
_BY_STEM: dict[str, tuple[str, tuple[str, ...]]] = {
    "0_sun": ("sun", ("sun", "star")),
    "1_mercury": ("mercury (planet)", ("planet",)),
    "2_venus": ("venus", ("planet",)),
    "3_earth": ("earth", ("planet",)),
    "4_mars": ("mars", ("planet",)),
    "5_jupiter": ("jupiter", ("planet",)),
    "6_saturn": ("saturn", ("planet",)),
    "7_uranus": ("uranus", ("planet",)),
    "8_neptune": ("neptune", ("planet",)),
    "9_pluto": ("pluto", ("planet",)),
    "moon_3qt": ("moon", ("moon",)),
    "moon_crescent": ("crescent moon", ("moon",)),
    "moon_full": ("full moon", ("moon",)),
    "747": ("airplane", ("airliner",)),
    "7spoke256": ("wheel", ("wheel",)),
    "adelaide-rosella": ("rosella parrot", ("parrot",)),
    "albino_peahen": ("white peahen", ("peahen",)),
    "apollo_lander": ("lunar lander", ("spacecraft",)),
    "australian_rules_football": ("football", ("ball",)),
    "bayterek": ("Bayterek tower", ("tower",)),
    "bear": ("bear", ("bear",)),
    "beetle": ("Beetle car", ("car",)),
    "bluegroper": ("blue groper", ("wrasse",)),
    "bolsom": ("balsam flower", ("flower",)),
    "bradley": ("armoured vehicle", ("armored vehicle",)),
    "buffetset": ("cup and saucer", ("cup",)),
    "burj": ("skyscraper", ("skyscraper",)),
    "calf": ("calf", ("cow",)),
    "candy_cane_photo_1": ("candy cane", ("candy cane",)),
    "candy_cane_photo_2": ("candy cane", ("candy cane",)),
    "cep-2": ("ceps", ("mushroom",)),
    "cep": ("cep", ("mushroom",)),
    "cep-1": ("cep", ("mushroom",)),
    "chamaeleon": ("chameleon", ("chameleon", "lizard")),
    "chameleon": ("chameleon", ("chameleon", "lizard")),
    "chick": ("chick", ("chick",)),
    "chilepepper": ("chilli pepper", ("chili",)),
    "chinesejunk": ("junk (sailing ship)", ("sailing vessel", "ship")),
    "christmas_pudding": ("Christmas pudding", ("pudding",)),
    "christmas_tree_photo": ("Christmas tree", ("Christmas tree",)),
    "chuvanna_plastic_poo": ("plastic flower", ("flower",)),
    "clownfish": ("clownfish", ("anemone fish",)),
    "coraltrout": ("coral trout", ("grouper",)),
    "cuttingtool": ("cutter", ("cutter",)),
    "dead_end_sign": ("dead end sign", ("street sign",)),
    "dingo": ("dingo", ("dingo",)),
    "dragon": ("Komodo dragon", ("Komodo dragon",)),
    "drake": ("drake", ("duck",)),
    "drum_tomtom_floor": ("tom drum", ("drum",)),
    "drumkit": ("drum kit", ("drum",)),
    "dumper": ("dumper truck", ("truck",)),
    "edward_bear": ("teddy bear", ("teddy",)),
    "eggplant": ("eggplant", ("eggplant",)),
    "erasers": ("eraser", ("eraser",)),
    "european-bear": ("brown bear", ("brown bear",)),
    "explosion": ("explosion", ("explosion",)),
    "f22_raptor": ("fighter plane", ("airplane",)),
    "final-roll-call": ("soldier's memorial", ()),
    "fire": ("fire", ("fire",)),
    "fireman200b": ("fireman", ("firefighter",)),
    "fireman240a": ("fireman", ("firefighter",)),
    "flower4": ("purple flowers", ("flower",)),
    "flying_fox": ("flying fox", ("fruit bat",)),
    "gander": ("gander", ("goose",)),
    "garbagecan": ("garbage can", ("ashcan",)),
    "garlics": ("string of garlic", ("garlic",)),
    "gnu-baby": ("gnu calf", ("gnu",)),
    "gnu-baby-stand": ("gnu calf", ("gnu",)),
    "grave-*": ("gravestone", ("gravestone",)),
    "green_korean_bus": ("green bus", ("motor vehicle",)),
    "doe": ("doe", ("deer",)),
    "tomato": ("tomato", ("tomato",)),
    "geothermal": ("geothermal steam", ("geyser",)),
    "german_christmas_toy": ("wooden toy figure", ("toy",)),
    "gosling": ("gosling", ("goose",)),
    "grannysmith": ("rag doll", ("doll",)),
    "greatwall": ("Great Wall", ("rampart", "wall")),
    "hibiscus": ("hibiscus flower", ("flower",)),
    "holly_leaves": ("holly leaves", ("holly",)),
    "home_compost_bin": ("compost bin", ("bin",)),
    "hospital": ("hospital sign", ("street sign",)),
    "hoverfly": ("hoverfly", ("fly",)),
    "igloo": ("igloo", ("igloo",)),
    "infantry-stryker": ("armoured car", ("armored vehicle",)),
    "inukshuk-photo": ("inukshuk stone figure", ("monument",)),
    "kitten": ("kitten", ("cat",)),
    "lemur": ("lemurs", ("lemur",)),
    "lightbulb": ("light bulb", ("light bulb",)),
    "lobster": ("spiny lobster", ("lobster",)),
    "long_nosed_monkey": ("proboscis monkey", ("proboscis monkey",)),
    "meerkats": ("meerkats", ("meerkat",)),
    "mince_pie": ("mince pie", ("mince pie",)),
    "moonwrasse": ("moon wrasse", ("wrasse",)),
    "mountaingoat": ("mountain goat", ("goat",)),
    "multimeter": ("multimeter", ("voltmeter",)),
    "nailcutter": ("nail clipper", ("clipper",)),
    "no_entry_sign": ("no entry sign", ("street sign",)),
    "no_uturn": ("no U-turn sign", ("street sign",)),
    "northern_harrier": ("harrier hawk", ("hawk",)),
    "nubian_ibex": ("ibex", ("ibex",)),
    "old_naval_shell": ("naval shell", ("shell", "ammunition")),
    "pelican": ("pelican", ("pelican",)),
    "pizza": ("pizza", ("pizza",)),
    "blackslate": ("blackboard", ("blackboard",)),
    "dolphin": ("dolphin", ("toothed whale",)),
    "hedgehog": ("hedgehog", ("insectivore",)),
    "plate": ("plate", ("crockery",)),
    "plier": ("pliers", ("pliers",)),
    "polar_bear": ("polar bear", ("ice bear",)),
    "rainbow-lorikeet": ("rainbow lorikeet", ("lory", "parrot")),
    "rambutan": ("rambutan", ("rambutan",)),
    "roast_turkey": ("roast turkey", ("dish",)),
    "rubberduck": ("rubber duck", ("toy",)),
    "rules_football": ("football", ("ball",)),
    "scarlet_macaw": ("scarlet macaw", ("macaw", "parrot")),
    "school_sign": ("school sign", ("street sign",)),
    "screwdriver": ("screwdriver", ("screwdriver",)),
    "sidecutter": ("side cutter", ("pliers",)),
    "silver-gull": ("silver gull", ("gull",)),
    "solar": ("solar panels", ("solar array",)),
    "spacewalk": ("astronaut", ("astronaut",)),
    "spray": ("spray bottle", ("atomizer",)),
    "sheep_lamb": ("lamb", ("sheep",)),
    "stripedfish": ("striped fish", ("fish",)),
    "swans": ("swans", ("swan",)),
    "tamarin_emperor": ("emperor tamarin", ("tamarin",)),
    "toilet": ("toilet", ("flush toilet",)),
    "traffic_cone": ("traffic cone", ("marker",)),
    "trophy_cup": ("trophy cup", ("trophy",)),
    "truck": ("pickup truck", ("pickup truck",)),
    "uk_post_box": ("post box", ("mailbox",)),
    "usps_mailbox": ("mailbox", ("mailbox",)),
    "voyager2": ("space probe", ("spacecraft",)),
    "walnutboat": ("toy sailboat", ("sailboat",)),
    "weighingmachine": ("weighing scales", ("scale",)),
    "wheelie_bin": ("wheelie bin", ("bin",)),
    "wildboar": ("wild boars", ("wild boar",)),
    "ww2_german_gun": ("self-propelled gun", ("tank",)),
    "xing_school": ("school crossing sign", ("street sign",)),
    "xing_ped": ("pedestrian crossing sign", ("street sign",)),
    "give_way_sign": ("give way sign", ("street sign",)),
    "railroad_crossing": ("railroad crossing signal", ("semaphore",)),
    "zimnipalace": ("Winter Palace", ("palace",)),
}  # fmt: skip
#: parts of the names of monuments → what they are
_MONUMENTS: tuple[tuple[str, str], ...] = (
    ("pyramid", "pyramid"), ("chichen", "pyramid"), ("cathedral", "cathedral"), ("castle", "castle"),
    ("chateau", "castle"), ("carcassonne", "castle"), ("castillo", "fortress"), ("fort", "fortress"),
    ("palace", "palace"),
    ("palais", "palace"), ("mahal", "palace"), ("tower", "tower"), ("minar", "tower"), ("statue", "statue"),
    ("redeemer", "statue"), ("cabrillo", "statue"), ("temple", "temple"), ("parthenon", "temple"), ("gate", "arch"),
    ("arcde", "arch"), ("pontdu", "bridge"), ("amphitheater", "amphitheater"), ("colosseum", "amphitheater"),
    ("memorial", "memorial"), ("wall", "rampart"), ("stupa", "shrine"), ("birthplace", "house"),
    ("empire", "skyscraper"),
    ("capitol", "building"), ("opera", "theater"), ("musee", "museum"), ("baths", "building"), ("aula", "building"),
    ("rangghar", "building"), ("charminar", "tower"), ("machu", "ruin"), ("rushmore", "sculpture"), ("petra", "ruin"),
    ("stmichel", "abbey"),
)  # fmt: skip
_NOT_BUILDINGS = frozenset({"statue", "sculpture", "rampart", "bridge", "arch"})
_OPEN_AIR = ("canyon", "navajo", "ajanta", "rocamadour")
#: what everything in a folder is besides, whatever WordNet says (for it an apricot is a tree)
_ALSO: dict[str, tuple[str, ...]] = {
    "fruit": ("fruit", "food"),
    "vegetables": ("vegetable", "food"),
    "nuts": ("nut", "food"),
    "flowers": ("flower", "plant"),
    "trees": ("plant",),
    "planets": ("celestial body",),
    "roadsigns": ("street sign",),
}
_ARTICLE = re.compile(r"^(an?|the|some|two|our|half an?|pair of|a pair of|a bunch of|a head of)\s+", re.IGNORECASE)
_ASIDE = re.compile(
    r"[.,(—!?;:]| is | are | lets | used | resembles | at | in | with | for | from | covered | of the | to ",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A picture's name and its concepts, specific to general; ``known`` is false when WordNet had no word for it."""

    name: str
    concepts: tuple[str, ...]
    known: bool


def name_picture(stem: str, caption: str, folders: Sequence[str], wordnet: Wordnet | None) -> Named:
    """Name a picture.

    Args:
        stem: file name without extension (``heron_greatblue``).
        caption: first line of its description; may be empty.
        folders: the folders it lies in, outermost first (``animals, birds``).
        wordnet: the database, or ``None``.
    """
    plain = re.sub(r"(?<=[a-zA-Z])\d+$", "", stem).lower()
    fixed = _BY_STEM.get(stem.lower()) or _BY_STEM.get(plain) or _BY_STEM.get(plain.partition("-")[0] + "-*")
    if fixed is not None:
        name, words = fixed
    elif folders and folders[-1] == "monuments":
        return _monument(stem, wordnet)
    else:
        name = _from_caption(caption) or _from_stem(stem)
        words = _endings(name) + _endings(_from_stem(stem))
    categories = _CATEGORIES.get(folders[0], _THINGS) if folders else _THINGS
    kinds = [_singular(f) for f in reversed(folders)]
    concepts = _look_up(words, categories, wordnet, every=fixed is not None, kinds=kinds)
    all_of = (name, *(concepts or kinds), *_ALSO.get(folders[-1] if folders else "", ()))
    return Named(name=name, concepts=tuple(dict.fromkeys(all_of)), known=bool(concepts))


def _look_up(
    words: Sequence[str],
    categories: tuple[str, ...],
    wordnet: Wordnet | None,
    *,
    every: bool,
    kinds: Sequence[str] = (),
) -> tuple[str, ...]:
    """Concepts of the first word that is known, or of every word (merged in order) when they were chosen by hand.

    A sense under what the folder says (a peacock among birds is no butterfly) goes before the first of its category,
    and categories are tried in their order (an apricot is food before it is a tree).
    """
    if wordnet is None:
        return ()
    found: list[str] = []
    for word in words:
        tries = [((c,), kind) for kind in kinds for c in categories if wordnet.senses(kind)]
        tries += [((c,), "") for c in categories]
        # words chosen by hand may lie in an unusual folder (a toy among animals)
        tries += [(_THINGS, "")] if every else []
        concepts = next((c for names, kind in tries if (c := wordnet.concepts(word, lexnames=names, under=kind))), ())
        found += concepts
        if concepts and not every:
            break
    return tuple(dict.fromkeys(found))


def _monument(stem: str, wordnet: Wordnet | None) -> Named:
    name = _from_stem(stem)
    low = stem.lower()
    if any(part in low for part in _OPEN_AIR):
        concepts = (name, "cliff", "landscape")
    else:
        kind = next((kind for part, kind in _MONUMENTS if part in low), "monument")
        found = _look_up((kind,), ("noun.artifact",), wordnet, every=True)
        concepts: tuple[str, ...] = (name, kind, *found, "monument", *(() if kind in _NOT_BUILDINGS else ("building",)))
    return Named(name=name, concepts=tuple(dict.fromkeys(concepts)), known=True)


def _from_caption(caption: str) -> str:
    """``A great blue heron.`` → ``great blue heron``; empty when the caption is a sentence rather than a name."""
    caption = re.sub(r"[“”\"]|['‘’](?=root)|(?<=root)['’]", "", caption.strip())
    if not re.match(r"(an?|the|two|some)\s", caption, re.IGNORECASE):
        return ""
    name = re.sub(r"\b(very|male|poisonous|sitting|sleeping) ", "", _ASIDE.split(caption)[0].strip())
    while (shorter := _ARTICLE.sub("", name)) != name:
        name = shorter
    return name.lower() if 0 < len(name.split()) <= 4 else ""


def _from_stem(stem: str) -> str:
    """``heron_greatblue-2`` → ``heron greatblue``; ``leaningTowerOfPisa`` → ``leaning tower of pisa``."""
    words = re.sub(r"(?<=[a-z])(des|de|du|of)(?=[A-Z])", r" \1", stem)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words)
    return " ".join(re.sub(r"[_\-\d]+", " ", words).lower().split()) or stem


def _endings(name: str) -> tuple[str, ...]:
    """All endings of a name, longest first, then its first word: the noun of an English name comes last."""
    words = name.replace("'s", "").split()
    return (*(" ".join(words[i:]) for i in range(len(words))), *words[:1])


def _singular(folder: str) -> str:
    return folder[:-1] if folder.endswith("s") and not folder.endswith(("ss", "us", "lothes", "pes")) else folder
