"""The embedded describer: what a picture shows in words, blind to every hypothesis, with no language model.

A composed scene is described from its recipe and a photo from its annotations; a picture of which nothing is known is
named by a reader (a packaged network that compares it with the library), if one is there, and else only by its
colours and texture. What a picture was asked to be (a prompt, an instruction) is never read: a generator that missed
its prompt must show. What this module does not do: see relations or actions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from maieutic.errors import UsageError
from maieutic.stimuli.base import Corpus, Stimulus, Thing
from maieutic.stimuli.describe_colours import colours_of, looks_of
from maieutic.stimuli.imagine_patterns import is_pattern, pattern_name
from maieutic.stimuli.scenes import Placement, Scene

if TYPE_CHECKING:
    from PIL.Image import Image

#: names what a picture shows, most likely first; empty when it cannot tell
Names = Callable[["Image"], "list[str]"]
#: tags that say how a corpus was made, not what a picture shows
_MADE = re.compile(r"scene|alone|several|photo|background:.*")
_EFFECTS = {"grey": "without colour", "blur": "blurred", "mirror": "mirrored", "hue": "with its hues turned"}


def load_describer(corpus: Corpus, *, argument: str = "", seed: int = 0) -> EmbeddedDescriber:
    """The embedded describer.

    Args:
        corpus: gives the library that the reader compares with.
        argument: the packaged network that names unannotated pictures (``embedded:efficientnet-lite1``); choose
            another than the subject. Default: ``efficientnet-lite2``.
        seed: not used.
    """
    from maieutic.stimuli.describe_reader import NETWORK, NETWORKS, neighbour_names

    network = argument or NETWORK
    if network not in NETWORKS:
        raise UsageError(f"no network {network!r} names pictures: choose from {', '.join(NETWORKS)}")
    return EmbeddedDescriber(names=neighbour_names(corpus, network), name=f"embedded:{network}")


@dataclass
class EmbeddedDescriber:
    """Cost: 1 ms for an annotated picture; with the packaged reader 0.1 s for another (30 s once for the library).

    Attributes:
        names: names pictures without annotation; ``None``: their names stay unknown.
        name: of the tool.
    """

    names: Names | None = field(default=None, repr=False)
    name: str = "embedded"

    def __call__(self, stimuli: Sequence[Stimulus]) -> list[str]:
        """One or two sentences a picture. A picture that cannot be loaded is ``not described`` with the reason."""
        return [self._one(s) for s in stimuli]

    def _one(self, stimulus: Stimulus) -> str:
        if stimulus.modality != "image":
            return "not described: it is a text"
        try:
            image: Image = stimulus.content
        except (OSError, ValueError) as error:
            return f"not described: {error}"
        shown = self._shown(stimulus, image)
        colours = colours_of(image)
        looks = [f"mostly {' and '.join(colours[:3])}" if colours else "of mixed colours", *looks_of(image)]
        return f"{shown}. The picture is {', '.join(looks)}."

    def _shown(self, stimulus: Stimulus, image: Image) -> str:
        scene = stimulus.scene
        if isinstance(scene, Scene):
            return _upper(_scene_words(scene))
        if stimulus.things:
            return _upper(_listed([_thing_words(t) for t in stimulus.things]))
        tags = [t for t in stimulus.tags if not _MADE.fullmatch(t)]
        if tags:
            return f"Labelled {', '.join(tags)}"
        names = self.names(image) if self.names is not None else []
        if names:
            return f"Looks like {_article(names[0])}" + (f" (or {', '.join(names[1:])})" if names[1:] else "")
        return "What it shows could not be named"


# --- words -------------------------------------------------------------------------------------------------------


def _scene_words(scene: Scene) -> str:
    # colours are read where the objects are, so before the picture was turned or mirrored
    upright = replace(scene, effects=tuple(e for e in scene.effects if e[0] not in ("turn", "mirror")))
    image = upright.render()
    grey = any(name == "grey" for name, _ in scene.effects)
    parts = [
        _placed_words(scene, placement, _seen(thing, scene), [] if grey else colours_of(image, where=scene.mask(i))[:2])
        for i, (placement, thing) in enumerate(zip(scene.placements, scene.things(), strict=True))
    ]
    behind = _ground_words(scene, image)
    text = f"{_listed(parts)} on {behind}" if parts else f"{behind} with no object on it"
    text += f", partly covered by {len(scene.covers)} rectangle{'s' * (len(scene.covers) > 1)}" if scene.covers else ""
    done = [_EFFECTS[name] if name != "turn" else f"turned by {strength:g} degrees" for name, strength in scene.effects]
    return f"{text}; the whole picture is {' and '.join(done)}" if done else text


def _ground_words(scene: Scene, image: Image) -> str:
    ground = scene.background
    if ground.kind == "texture":
        return f"the {_texture_name(scene, ground.key)} texture"
    if ground.kind == "photo":
        return "an out-of-focus photo"
    colours = colours_of(image, where=~scene.mask())[:1]
    return f"a plain {colours[0]} ground" if colours else "a plain ground"


def _texture_name(scene: Scene, key: str) -> str:
    return pattern_name(key) if is_pattern(key) else scene.library.pictures[key].name


def _seen(thing: Thing, scene: Scene) -> Thing | None:
    """The thing where it lies after the picture was mirrored or turned by half; ``None`` after any other turn."""
    left, top, right, bottom = thing.box
    for name, strength in scene.effects:
        if name == "turn" and strength % 360 not in (0, 180):
            return None
        if name == "mirror" or (name == "turn" and strength % 360 == 180):
            left, right = 1 - right, 1 - left
        if name == "turn" and strength % 360 == 180:
            top, bottom = 1 - bottom, 1 - top
    return replace(thing, box=(left, top, right, bottom))


def _placed_words(scene: Scene, placement: Placement, thing: Thing | None, colours: list[str]) -> str:
    """``a red apple at the left (large)``; silhouettes, fillings and missing parts are said."""
    name = scene.library.pictures[placement.stamp].name
    if placement.fill.startswith("#"):
        name = f"flat {colours[0] if colours else 'grey'} silhouette of {_article(name)}"
    elif placement.fill:
        name = f"shape of {_article(name)} filled with {_texture_name(scene, placement.fill)}"
    elif colours and not any(c in name for c in colours):
        name = f"{' and '.join(colours)} {name}"
    if placement.hidden is not None:
        _, top, right, bottom = placement.hidden
        side = "top" if bottom <= 0.6 else "bottom" if top >= 0.4 else "left" if right <= 0.6 else "right"
        name += f" with its {side} cut away"
    return f"{_article(name)} {_where(thing)}" if thing is not None else _article(name)


def _thing_words(thing: Thing) -> str:
    whole = thing.box == (0.0, 0.0, 1.0, 1.0)
    kind = next((c for c in thing.concepts if c.lower() != thing.name.lower()), "")
    name = _article(thing.name) + (f" (a kind of {kind})" if kind else "")
    return f"a photo of {name}" if whole else f"{name} {_where(thing)}"


def _where(thing: Thing) -> str:
    """``at the top left (small)`` from the box: thirds of the frame, and its share."""
    left, top, right, bottom = thing.box
    x, y = (left + right) / 2, (top + bottom) / 2
    across = "left" if x < 0.38 else "right" if x > 0.62 else ""
    down = "top" if y < 0.38 else "bottom" if y > 0.62 else ""
    place = " ".join(w for w in (down, across) if w)
    share = (right - left) * (bottom - top)
    size = "small" if share < 0.08 else "large" if share > 0.4 else "middle-sized"
    return f"{'at the ' + place if place else 'in the centre'} ({size})"


def _article(name: str) -> str:
    if name.endswith("s") and not name.endswith(("ss", "us")):
        return name
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
