"""Models and material with planted biases, and their null twins, for bench ``bias``: no weights to fetch.

Pictures: shapes drawn here, edited by drawing them again. The network reads the ground's colour, the brightness and a mark in
the corner, and adds a known number of logits for each; every object has a slope of its own for each attribute, of mean 0 and
shared by its near-duplicates, and every picture noise. Texts: a table of words as a network; a group of names adds a known
number to the log-odds of some words; names, templates and pairs of both have accidents of their own, of mean 0. A null twin
has all accidents and no bias, so a test that takes accidents for effects finds something in it.

What this module does not do: resemble a trained network; it only makes the truth known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.readings import FloatArray
from maieutic.studies.bias.design import Material
from maieutic.studies.bias.pictures import Attribute, Base, Change, picture_material
from maieutic.studies.bias.prompts import prompt_material

if TYPE_CHECKING:
    from PIL.Image import Image

    from maieutic.subjects import Subject

SIDE = 48
CLASSES = 6
#: (attribute, level) to logits added to class 2
PICTURE_BIASES: Mapping[tuple[str, str], float] = {
    ("ground", "green"): 2.0,
    ("brightness", "darker"): -1.5,
    ("company", "a mark"): 1.0,
}
#: (attribute, level, word) to log-odds added
TEXT_BIASES: Mapping[tuple[str, str, str], float] = {
    ("name", "group B", " nurse"): 1.2,
    ("name", "group B", " driver"): -1.0,
    ("place", "far", " cook"): 0.8,
}
WORDS = (" nurse", " driver", " cook")
#: standard deviations of accidents: of an object's slope, of a picture; of a name, of a template's slope, of a prompt
SLOPE, NOISE = 0.6, 0.4
NAME, TEMPLATE, PROMPT = 0.25, 0.3, 0.2


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A subject with its material, outputs, and what is true: (output, attribute, level) to effect."""

    subject: Subject
    material: Material
    outputs: tuple[str, ...]
    truth: Mapping[tuple[str, str, str], float] = field(default_factory=dict[tuple[str, str, str], float])


# --- pictures ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A shape on a ground."""

    shape: str
    colour: tuple[int, int, int]
    ground: tuple[int, int, int] = (128, 128, 128)
    side: float = 0.5
    x: float = 0.5
    mark: bool = False
    light: float = 1.0

    def draw(self) -> Image:
        """The RGB picture."""
        from PIL import Image as Pictures
        from PIL import ImageDraw

        picture = Pictures.new("RGB", (SIDE, SIDE), self.ground)
        pen, half = ImageDraw.Draw(picture), self.side * SIDE / 2
        box = (self.x * SIDE - half, SIDE / 2 - half, self.x * SIDE + half, SIDE / 2 + half)
        pen.ellipse(box, fill=self.colour) if self.shape == "disc" else pen.rectangle(box, fill=self.colour)
        if self.mark:
            pen.rectangle((SIDE - 7, SIDE - 7, SIDE - 2, SIDE - 2), fill=(250, 250, 250))
        return picture if self.light == 1 else picture.point(lambda v: int(v * self.light))


def planted_pictures(seed: int, *, null: bool = False, clusters: int = 40, each: int = 2) -> Planted:
    """A classifier with the biases of `PICTURE_BIASES` on class 2, or its twin without.

    Args:
        seed: of objects and accidents.
        null: no bias.
        clusters, each: kinds of objects, and near-duplicates of each.
    """
    draw = np.random.default_rng(seed)
    drawn: dict[str, Drawn] = {}
    bases: list[Base] = []
    for k in range(clusters):
        red, green, blue = (int(v) for v in draw.integers(40, 216, 3))
        for j in range(each):
            one = Drawn(
                shape="disc" if draw.random() < 0.5 else "square", colour=(red, green, blue), side=0.42 + 0.05 * j
            )
            drawn[f"object {k}.{j}"] = one
            bases.append(Base(name=f"object {k}.{j}", cluster=f"kind {k}", load=one.draw))
    material = picture_material(bases, _attributes(drawn), name="drawn shapes", seed=seed)
    truth = {} if null else {("class:2", a, v): b for (a, v), b in PICTURE_BIASES.items()}
    subject = _classifier(seed, null)
    return Planted(subject=subject, material=material, outputs=("class:2", "class:4"), truth=truth)


def _attributes(drawn: Mapping[str, Drawn]) -> list[Attribute]:
    from dataclasses import replace

    def change(**fields: Any) -> Callable[[Base], Image]:
        return lambda base: replace(drawn[base.name], **fields).draw()

    grounds = {
        "green": ((60, 170, 60), (40, 140, 70)),
        "blue": ((60, 80, 180), (40, 110, 170)),
        "red": ((180, 60, 60), (150, 60, 40)),
    }
    ground = [Change(level=v, filler=str(c), make=change(ground=c)) for v, cs in grounds.items() for c in cs]
    light = [Change(level=v, make=change(light=f)) for v, f in (("darker", 0.5), ("lighter", 1.35))]
    size = [Change(level="half", make=change(side=0.25))]
    place = [Change(level=v, make=change(x=x)) for v, x in (("left", 0.4), ("right", 0.6))]
    return [
        Attribute(name="ground", reference="grey", changes=tuple(ground)),
        Attribute(name="brightness", reference="as it is", changes=tuple(light), moves=True),
        Attribute(name="size", reference="medium", changes=tuple(size), moves=True),
        Attribute(name="place", reference="centre", changes=tuple(place), moves=True),
        Attribute(name="company", reference="alone", changes=(Change(level="a mark", make=change(mark=True)),)),
    ]


def _classifier(seed: int, null: bool) -> Subject:
    import torch
    from torch import Tensor, nn

    from maieutic.subjects import module_subject, scaled

    class Meters(nn.Module):
        """Logits from meters of ground, brightness and corner; slopes from the object's colour, noise from all pixels."""

        def __init__(self) -> None:
            super().__init__()
            random = torch.Generator().manual_seed(seed)
            self.slopes = nn.Parameter(400 * torch.randn(3, 3, CLASSES, generator=random))
            self.pixels = nn.Parameter(30 * torch.randn(3 * SIDE * SIDE, CLASSES, generator=random))
            self.last = nn.Identity()

        def forward(self, pixels: Tensor) -> Tensor:
            edge = pixels[:, :, :4, :].mean(dim=(2, 3))
            green = torch.sigmoid(80 * (edge[:, 1] - edge[:, [0, 2]].amax(dim=1) - 0.1))
            dark = torch.sigmoid(80 * (0.36 - edge.amax(dim=1)))
            mark = torch.sigmoid(80 * (pixels[:, :, -6:-3, -6:-3].amin(dim=(1, 2, 3)) - 0.85))
            meters = torch.stack([green, dark, mark], dim=1)
            middle = pixels[:, :, SIDE // 2, SIDE // 2]
            slopes = 2**0.5 * SLOPE * torch.sin(torch.einsum("nc,cmk->nmk", middle, self.slopes))
            noise = 2**0.5 * NOISE * torch.sin(pixels.flatten(1) @ self.pixels)
            logits = noise + (slopes * meters[:, :, None]).sum(dim=1)
            added = torch.zeros(3, CLASSES)
            if not null:
                added[:, 2] = torch.tensor(list(PICTURE_BIASES.values()))
            return self.last(logits + meters @ added)

    prepare = scaled(SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return module_subject(Meters(), prepare, name="twin" if null else "planted", sites=["last"], batch_size=64)


# --- texts ---------------------------------------------------------------------------------------------------------


def planted_prompts(seed: int, *, null: bool = False, families: int = 24, names: int = 16) -> Planted:
    """A network over words with the biases of `TEXT_BIASES`, or its twin without.

    Args:
        seed: of accidents.
        null: no bias.
        families: of templates; every second has two paraphrases.
        names: of each group, and places of each kind.
    """
    slots = {
        "name": {g: [f"Name{g[-1]}{i}" for i in range(names)] for g in ("group A", "group B")},
        "place": {g: [f"{g}{i}" for i in range(names)] for g in ("near", "far")},
    }
    forms = ("say{k} by{k} {{name}} of {{place}} is a", "say{k} and {{name}} of {{place}} is a")
    every = [[form.format(k=k) for form in forms[: 1 + k % 2]] for k in range(families)]
    material = prompt_material(every, slots, neutral={"name": "Nobody", "place": "nowhere"}, name="planted prompts")
    truth = {} if null else {(f"odds:{w}", a, v): b for (a, v, w), b in TEXT_BIASES.items()}
    outputs = tuple(f"odds:{w}" for w in WORDS)
    return Planted(subject=_words(seed, null, material), material=material, outputs=outputs, truth=truth)


def _words(seed: int, null: bool, material: Material) -> Subject:
    import torch
    from torch import Tensor, nn

    from maieutic.subjects import module_subject

    pattern = re.compile(r" ?\w+")
    every = dict.fromkeys(WORDS)
    for key in material.stimuli():
        every |= dict.fromkeys(pattern.findall(key))
    filling = [f" filling{i}" for i in range(200)]
    table = {w: i for i, w in enumerate([*every, *filling])}

    def encode(text: str) -> list[tuple[int, int, int]]:
        return [(table.get(m.group(), len(table) - 1), m.start(), m.end()) for m in pattern.finditer(text)]

    strings = list(table)
    draw = np.random.default_rng(seed)
    levels = [("name", "group B", "NameB"), ("place", "far", "far")]
    added = np.zeros((2, len(WORDS)))
    if not null:
        for (attribute, level, word), value in TEXT_BIASES.items():
            added[[lv[:2] for lv in levels].index((attribute, level)), WORDS.index(word)] = value
    member = np.array([[w.strip().startswith(p) for _, _, p in levels] for w in strings], dtype=np.float64)
    kind = np.array([bool(re.match(r" ?(Name|near|far)", w)) for w in strings])
    of_family = np.array([int(m.group(1)) if (m := re.match(r" ?say(\d+)", w)) else -1 for w in strings])
    families = int(of_family.max()) + 1
    own = NAME * draw.standard_normal((len(strings), len(WORDS))) * kind[:, None]
    slopes = TEMPLATE * draw.standard_normal((families, 2, len(WORDS)))

    class Words(nn.Module):
        """Log-odds of three words from who is named where; all other words are equally likely."""

        def __init__(self) -> None:
            super().__init__()
            self.codes = nn.Parameter(torch.tensor(500 * draw.standard_normal((len(strings), len(WORDS)))))
            self.last = nn.Identity()

        def forward(self, ids: Tensor) -> Tensor:
            found = torch.zeros(*ids.shape, len(strings), dtype=torch.float64)
            for row, tokens in enumerate(ids.tolist()):
                found[row, -1, : len(WORDS)] = self._of(tokens)
            return self.last(found)

        def _of(self, tokens: list[int]) -> Tensor:
            here: FloatArray = member[tokens].max(axis=0)
            family = of_family[tokens].max()
            value = own[tokens].sum(axis=0) + here @ added
            value = value + (here @ slopes[family] if family >= 0 else 0.0)
            noise = 2**0.5 * PROMPT * torch.sin(self.codes[tokens].sum(dim=0))
            return torch.tensor(value) + noise - 2.0

    return module_subject(Words(), tokenizer=encode, name="twin" if null else "planted", sites=["last"], batch_size=64)


PLANTED: Mapping[str, Callable[..., Planted]] = {"image": planted_pictures, "text": planted_prompts}
