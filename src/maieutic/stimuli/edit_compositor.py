"""Edits by instruction: exact ones on composed scenes, whole-picture ones on any photo, with no weights.

``SceneEditor()(stimulus, "remove the gorilla")`` changes the scene's recipe, so nothing else in the picture changes.
Where a picture has no recipe only effects over the whole of it are possible. An instruction of which a part cannot be
followed is refused with what can be asked for: half an edit would be measured as if it were the whole. What this
module does not do: paint, inpaint, or find objects in photos.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from maieutic.errors import UsageError
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.edit_clauses import BODY, FORMS, PARTS, WHOLE_FORMS, Step, read_edit
from maieutic.stimuli.effects import Effect, edited
from maieutic.stimuli.imagine_find import Finder, hue_shift, tint_of
from maieutic.stimuli.imagine_patterns import is_pattern
from maieutic.stimuli.imagine_phrase import Ground, Wish, read_ground, read_phrase, words_of
from maieutic.stimuli.imagine_words import COLOURS, PLACES
from maieutic.stimuli.library import Library
from maieutic.stimuli.making import Made, check_length, made_scene
from maieutic.stimuli.scenes import Background, Placement, Scene
from maieutic.stimuli.studio import Studio, background_of, normal, place, rng

#: words for whatever the picture shows
_IT = frozenset(("", "it", "them", "object", "objects", "thing", "things", "everything", "all", "image", "scene",
                 "foreground", "subject", "itself", "this"))  # fmt: skip
_STEP = 0.25
_SOME_GROUNDS = ("grass", "beach", "sky", "water", "forest", "snow", "city")
_SIZES: Mapping[str, float] = {"smaller": 0.5, "shrink": 0.5, "small": 0.5, "tiny": 0.25, "larger": 1.6, "bigger": 1.6,
                               "enlarge": 1.6, "large": 1.6, "big": 1.6, "huge": 2.4}  # fmt: skip


def load_editor(corpus: Corpus, *, argument: str = "", seed: int = 0) -> SceneEditor:
    """The compositor's editor for a corpus."""
    if argument:
        raise UsageError(f"the compositor takes no argument, {argument!r} was given: write  --edit compositor")
    return SceneEditor(corpus=corpus, seed=seed)


@lru_cache(maxsize=4)
def _finder(library: Library) -> Finder:
    return Finder(Studio(split="discover", library=library))


@dataclass
class SceneEditor:
    """Edits. Cost: about 5 ms."""

    corpus: Corpus | None = field(default=None, repr=False)
    seed: int = 0
    name: str = "compositor"

    def __call__(self, stimulus: Stimulus, instruction: str, *, seed: int = 0) -> Stimulus:
        """The edited picture; says on itself what was done.

        Raises:
            UsageError: a part of the instruction is not understood or cannot be done on this picture.
        """
        if stimulus.modality != "image":
            raise UsageError("only pictures can be edited by instruction: use replace, delete or insert for texts")
        if stimulus.split == "test":
            raise UsageError("this picture belongs to the test split, which no experiment may use: choose another")
        check_length(instruction, "the instruction")
        steps, unknown = read_edit(instruction)
        whole = not isinstance(stimulus.scene, Scene)
        if unknown or not steps:
            raise _refusal(f"{(unknown or [instruction])[0]!r} is not understood", whole=whole)
        made_by: dict[str, str | int | float] = {
            "tool": self.name, "instruction": instruction, "seed": self.seed + seed, "of": stimulus.id,
        }  # fmt: skip
        if whole:
            return _whole(stimulus, steps, made_by)
        scene: Scene = stimulus.scene
        editor = _Steps(_finder(scene.library), self.seed + seed, instruction)
        crop: tuple[float, float, float, float] | None = None
        for step in steps:
            if step.verb in ("zoom", "crop"):
                crop = editor.crop(scene, step)
            else:
                scene = editor.apply(scene, step)
        made = made_scene(scene, made_by=made_by, like=stimulus, understood=editor.done)
        if crop is not None:
            cut = edited(made, crop=crop)
            made = replace(made, id=cut.id, load=cut.load, things=(), scene=None)
        return _noted(made, stimulus)


def _noted(made: Made, original: Stimulus) -> Made:
    return replace(made, ignored=("it changes nothing in this picture",)) if made.id == original.id else made


def _refusal(why: str, *, whole: bool) -> UsageError:
    forms = WHOLE_FORMS if whole else FORMS
    photo = " (a photo without a recipe takes edits of the whole picture only)" if whole else ""
    return UsageError(f"{why}{photo}: ask for  {' | '.join(forms)}")


# --- whole pictures ----------------------------------------------------------------------------------------------


def _whole(stimulus: Stimulus, steps: list[Step], made_by: Mapping[str, str | int | float]) -> Made:
    """Effects over a picture whose parts are not known."""
    current = stimulus
    for step in steps:
        effect = _effect(step)
        if effect is not None:
            current = edited(current, effect)
        elif step.verb in ("hide", "cover") and step.x in _IT_PHRASES:
            current = edited(current, cover=PARTS[step.part])
        elif step.verb == "crop":
            current = edited(current, crop=PARTS[step.part])
        elif step.verb == "zoom" and not step.x:
            current = edited(current, crop=(0.2, 0.2, 0.8, 0.8))
        elif step.verb == "flip" and step.x in _IT_PHRASES:
            current = edited(current, ("mirror", 0.0))
        else:
            raise _refusal(f"{step.clause!r} cannot be done on this picture", whole=True)
    made = Made(
        id=current.id, modality="image", load=current.load, group=stimulus.group, split=stimulus.split,
        tags=current.tags, things=current.things, source=stimulus.source,
        understood=tuple(s.clause for s in steps), made_by=dict(made_by),
    )  # fmt: skip
    return _noted(made, stimulus)


_IT_PHRASES = frozenset(("", "it", "the image", "image", "the object", "the scene"))


def _effect(step: Step) -> Effect | None:
    """The effect over the whole picture that a step is, if it is one."""
    if step.verb == "hue" and step.x in _IT_PHRASES:
        return ("hue", float(step.n or 120))
    if step.verb == "rotate":
        return ("turn", float(step.n))
    fixed: dict[str, Effect] = {
        "grey": ("grey", 0.0),
        "blur": ("blur", 4.0),
        "over": ("turn", 180.0),
        "sideways": ("turn", 90.0),
        "mirror": ("mirror", 0.0),
    }
    return fixed.get(step.verb)


# --- scenes ------------------------------------------------------------------------------------------------------


class _Steps:
    """Applies steps to scenes of one library and keeps what was done in words."""

    def __init__(self, finder: Finder, seed: int, instruction: str) -> None:
        self.finder, self.draw = finder, rng(seed, "edit", instruction)
        self.done: list[str] = []
        #: objects that the step before was about: what "it" means
        self.last: list[int] = []

    def apply(self, scene: Scene, step: Step) -> Scene:
        effect = None if step.verb == "hue" and scene.placements else _effect(step)
        if effect is not None:
            self.done.append(step.clause)
            return replace(scene, effects=(*scene.effects, effect))
        ways: dict[str, Callable[[Scene, Step], Scene]] = {
            "remove": self._remove, "plain": self._plain, "blur_ground": self._blur_ground, "ground": self._ground,
            "colour": self._colour, "replace": self._replace, "flip": self._each(lambda s, i: s.flipped(i)),
            "hue": self._each(lambda s, i: s.recoloured(float(step.n or 120), i)), "hide": self._hide,
            "cover": self._hide, "only": self._only,
            "keep": self._keep, "exchange": self._exchange, "add": self._add, "move": self._move, "place": self._place,
            "fill": self._fill, "silhouette": self._each(lambda s, i: s.silhouette(i)), "scale": self._scale,
            "resize": self._scale,
        }  # fmt: skip
        if step.verb not in ways:
            raise UsageError(
                f"{step.clause!r}: one object alone cannot be turned: turn the image upside down, or mirror it"
            )
        return ways[step.verb](scene, step)

    def crop(self, scene: Scene, step: Step) -> tuple[float, float, float, float]:
        """The box that a crop or zoom keeps: a part, an object with a margin, or the middle."""
        self.done.append(step.clause)
        if step.part:
            return PARTS[step.part]
        if not step.x or not scene.placements:
            return (0.2, 0.2, 0.8, 0.8)
        left, top, right, bottom = scene.things()[self._targets(scene, step)[0]].box
        # a square around it, so that nothing is stretched
        side = min(1.0, 1.1 * max(right - left, bottom - top))
        x, y = (min(max((a + b) / 2, side / 2), 1 - side / 2) for a, b in ((left, right), (top, bottom)))
        return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)

    # --- which object --------------------------------------------------------------------------------------------
    def _targets(self, scene: Scene, step: Step) -> list[int]:
        """Positions of the objects that a step is about; "it" is what the step before was about, else everything."""
        every = list(range(len(scene.placements)))
        if not every:
            raise UsageError(f"{step.clause!r}: the picture shows no object: add one first, as in  add a dog")
        named = [self._named(scene, part, step) for part in re.split(r" and | , ", step.x)]
        if named == [None]:
            it = step.x in ("", "it", "them") and all(i < len(every) for i in self.last)
            return (self.last if it else []) or every
        self.last = sorted({i for found in named for i in (every if found is None else found)})
        return self.last

    def _named(self, scene: Scene, words: str, step: Step) -> list[int] | None:
        """Positions of the objects of a name or concept; ``None`` for "it" and the like."""
        name = normal(" ".join(w for w in words_of(words) if w not in ("the", "a", "an", "all", "of", "every", "both")))
        if name in _IT:
            return None
        for wanted in self._names(name):
            found = [i for i, t in enumerate(scene.things())
                     if any(normal(c) == wanted for c in (t.name, *t.concepts))]  # fmt: skip
            if found:
                return found
        shown = ", ".join(t.name for t in scene.things())
        raise UsageError(f"{step.clause!r}: no {name} is in the picture: it shows {shown}")

    def _names(self, name: str) -> list[str]:
        resolved = self.finder.resolve(name)
        return [name, *([normal(resolved.concept)] if resolved is not None and resolved.exact else [])]

    def _each(self, change: Callable[[Scene, int], Scene]) -> Callable[[Scene, Step], Scene]:
        def apply(scene: Scene, step: Step) -> Scene:
            for i in self._targets(scene, step):
                scene = change(scene, i)
            self.done.append(step.clause)
            return scene

        return apply

    # --- objects -------------------------------------------------------------------------------------------------
    def _remove(self, scene: Scene, step: Step) -> Scene:
        return self._without(scene, set(self._targets(scene, step)))

    def _keep(self, scene: Scene, step: Step) -> Scene:
        kept = self._targets(scene, step)
        return self._without(scene, {i for i in range(len(scene.placements)) if i not in kept})

    def _without(self, scene: Scene, gone: set[int]) -> Scene:
        self.last = []
        self.done.append(f"removed {', '.join(t.name for i, t in enumerate(scene.things()) if i in gone) or 'nothing'}")
        return replace(scene, placements=tuple(p for i, p in enumerate(scene.placements) if i not in gone))

    def _exchange(self, scene: Scene, step: Step) -> Scene:
        """Two objects change places."""
        first = self._targets(scene, replace(step, x=step.x))[0]
        second = self._targets(scene, replace(step, x=step.y))[0]
        a, b = scene.placements[first], scene.placements[second]
        self.done.append(step.clause)
        return scene.moved(b.x, b.y, first).moved(a.x, a.y, second)

    def _only(self, scene: Scene, step: Step) -> Scene:
        kept = self._targets(scene, step)
        self.done.append(f"only {', '.join(scene.things()[i].name for i in kept)} on a plain ground")
        placements = tuple(scene.placements[i] for i in kept)
        return replace(scene, background=Background(kind="plain", key="#808080"), placements=placements, covers=())

    def _replace(self, scene: Scene, step: Step) -> Scene:
        words = [w for w in words_of(step.x) if w not in ("the", "its")]
        if words == ["background"]:
            return self._ground(scene, step)
        wish = self._wish(step)
        placements = list(scene.placements)
        names: list[str] = []
        for k, i in enumerate(self._targets(scene, step)):
            old = placements[i]
            stamps = wish.found.stamps
            picture = stamps[(k + int(self.draw.integers(len(stamps)))) % len(stamps)]
            new = place(picture, x=old.x, y=old.y, scale=old.scale * (wish.scale or 0.74) / 0.74, flip=old.flip)
            names.append(f"{scene.things()[i].name} → {picture.name}")
            placements[i] = self._dressed(new, wish)
        self.done.append(", ".join(names))
        return replace(scene, placements=tuple(placements))

    def _add(self, scene: Scene, step: Step) -> Scene:
        phrase = read_phrase(step.y, self.finder)
        if phrase.ground is not None:
            raise UsageError(
                f"{step.clause!r}: adding an object does not change the ground: say where, as in  at the top, and "
                "change the ground by itself, as in  put it on grass"
            )
        # "add a ball next to the gorilla": the second object is one that is there
        anchor = None
        if len(phrase.wishes) == 2 and phrase.wishes[1].count == 1:
            there = self._named(scene, phrase.wishes[1].found.concept, step)
            anchor = (scene.placements[there[0]], phrase.wishes[1].relation) if there else None
        wish = self._wish(step, among=1 if anchor is not None else None)
        scale = 0.35 if wish.scale is None else min(0.6, 0.5 * wish.scale)
        first = len(scene.placements)
        for _ in range(wish.count):
            picture = wish.found.stamps[int(self.draw.integers(len(wish.found.stamps)))]
            x, y = self._free(scene) if anchor is None else _beside(*anchor)
            new = place(picture, x=x if wish.x is None else wish.x, y=y if wish.y is None else wish.y, scale=scale)
            scene = scene.plus(self._dressed(new, wish))
            self.done.append(f"added {picture.name}")
        self.last = list(range(first, len(scene.placements)))
        return scene

    def _wish(self, step: Step, *, among: int | None = None) -> Wish:
        """The object that a step brings in: the only one of the phrase, or of the first ``among``."""
        phrase = read_phrase(step.y, self.finder)
        usable = [w for w in phrase.wishes[:among] if w.found.stamps]
        if len(usable) != 1 or phrase.ignored:
            missing = ", ".join(phrase.ignored) or step.y
            some = ", ".join(list(self.finder.studio.concepts(at_least=2))[:10])
            why = "name one object" if len(usable) > 1 else f"no cut-out shows {missing}"
            raise UsageError(f"{step.clause!r}: {why}: take one of the library's concepts ({some} ...)")
        return usable[0]

    def _dressed(self, placement: Placement, wish: Wish) -> Placement:
        if wish.fill:
            return replace(placement, fill=wish.fill)
        return self._turned(placement, wish.colour) if wish.colour else placement

    def _turned(self, placement: Placement, colour: str) -> Placement:
        picture = self.finder.studio.library.pictures[placement.stamp]
        shift = hue_shift(tint_of(self.finder.studio, picture), colour)
        if shift is None:
            raise UsageError(
                f"turning hues cannot make the {picture.name} {colour}: ask for a silhouette, fill it with a texture, "
                "or make the image grey"
            )
        return replace(placement, hue=shift)

    def _colour(self, scene: Scene, step: Step) -> Scene:
        if [w for w in words_of(step.x) if w != "the"] == ["background"]:
            return self._ground(scene, step)
        placements = list(scene.placements)
        for i in self._targets(scene, step):
            placements[i] = self._turned(placements[i], step.y)
        self.done.append(step.clause)
        return replace(scene, placements=tuple(placements))

    def _fill(self, scene: Scene, step: Step) -> Scene:
        ground = read_ground(words_of(step.y), self.finder)
        material = ground is not None and (ground[0].key or ground[0].said.startswith("plain"))
        if ground is None or not material or ground[1] < len(words_of(step.y)):
            known = ", ".join(self.finder.texture_names()[:12])
            raise UsageError(f"{step.clause!r}: {step.y!r} fills no shape: choose a colour, stripes, dots, or {known}")
        if words_of(step.x)[-1:] == ["background"]:
            return self._ground(scene, step)
        placements = list(scene.placements)
        for i in self._targets(scene, step):
            placements[i] = replace(placements[i], fill=ground[0].key or ground[0].colour)
        self.done.append(f"filled with {ground[0].said}")
        return replace(scene, placements=tuple(placements))

    def _hide(self, scene: Scene, step: Step) -> Scene:
        colour = None if step.verb == "hide" else COLOURS.get(step.y, "#808080")
        box = PARTS[step.part] if step.part else (0.0, 0.0, 1.0, 1.0)
        if step.part in BODY:
            self.done.append(f"its {step.part} taken to be its {BODY[step.part]}")
        if re.sub(r"^the ", "", step.x) in ("image", "scene"):
            self.done.append(step.clause)
            return replace(scene, covers=(*scene.covers, (box, colour or "#808080")))
        return self._each(lambda s, i: s.occluded(box, i, colour=colour))(scene, step)

    # --- places and sizes ----------------------------------------------------------------------------------------
    def _move(self, scene: Scene, step: Step) -> Scene:
        dx, dy = {"l": (-_STEP, 0.0), "r": (_STEP, 0.0), "u": (0.0, -_STEP), "d": (0.0, _STEP)}[step.y[0]]
        return self._shifted(scene, step, lambda p: (p.x + dx, p.y + dy))

    def _place(self, scene: Scene, step: Step) -> Scene:
        x, y = PLACES[step.y]
        return self._shifted(scene, step, lambda p: (p.x if x is None else x, p.y if y is None else y))

    def _shifted(self, scene: Scene, step: Step, to: Callable[[Placement], tuple[float, float]]) -> Scene:
        placements = list(scene.placements)
        for i in self._targets(scene, step):
            old = placements[i]
            x, y = to(old)
            # kept whole inside the frame, so that moving does not also cut
            new = place(self.finder.studio.library.pictures[old.stamp], x=x, y=y, scale=old.scale, flip=old.flip)
            placements[i] = replace(old, x=new.x, y=new.y)
        self.done.append(step.clause)
        return replace(scene, placements=tuple(placements))

    def _scale(self, scene: Scene, step: Step) -> Scene:
        if step.verb == "scale":
            factor = {"twice": 2.0, "half": 0.5, "three times": 3.0}.get(step.n) or float(step.n.split()[0])
            factor = 1 / factor if "small" in step.clause and factor > 1 else factor
        else:
            factor = _SIZES[step.y]
            factor = factor**2 if step.n in ("much", "a lot") else factor**0.5 if step.n else factor
        placements = list(scene.placements)
        for i in self._targets(scene, step):
            old = placements[i]
            new = place(
                self.finder.studio.library.pictures[old.stamp],
                x=old.x,
                y=old.y,
                scale=old.scale * factor,
                flip=old.flip,
            )
            placements[i] = replace(old, x=new.x, y=new.y, scale=new.scale)
        self.done.append(step.clause)
        return replace(scene, placements=tuple(placements))

    def _free(self, scene: Scene) -> tuple[float, float]:
        """The one of nine places that is farthest from every object."""
        spots = [(x, y) for y in (0.75, 0.5, 0.25) for x in (0.22, 0.78, 0.5)]
        taken = [(p.x, p.y) for p in scene.placements] or [(0.5, 0.2)]
        return max(spots, key=lambda s: min((s[0] - x) ** 2 + (s[1] - y) ** 2 for x, y in taken))

    # --- grounds -------------------------------------------------------------------------------------------------
    def _plain(self, scene: Scene, step: Step) -> Scene:
        self.done.append("a plain grey ground")
        return scene.on("#808080")

    def _blur_ground(self, scene: Scene, step: Step) -> Scene:
        self.done.append(step.clause)
        return replace(scene, background=replace(scene.background, blur=scene.background.blur + 6.0))

    def _ground(self, scene: Scene, step: Step) -> Scene:
        words = [w for w in words_of(step.y) if w not in ("one", "instead")]
        found = read_ground(words, self.finder)
        if found is None or found[1] < len(words):
            known = ", ".join([*self.finder.texture_names()[:8], *_SOME_GROUNDS])
            raise UsageError(
                f"{step.clause!r}: there is no ground {step.y!r}: choose a colour, stripes, or one of {known}"
            )
        if normal(step.x.removeprefix("the ")) not in (*_IT, "background"):
            self._targets(scene, step)  # that what is put there is in the picture
        self.done.append(f"on {found[0].said}")
        return scene.on(self._background(found[0]))

    def _background(self, ground: Ground) -> Background:
        studio = self.finder.studio
        if ground.colour:
            return Background(kind="plain", key=ground.colour)
        if ground.photo:
            found = self.finder.resolve(ground.photo)
            assert found is not None
            return background_of(found.photos[int(self.draw.integers(len(found.photos)))], self.draw)
        if is_pattern(ground.key):
            return Background(kind="texture", key=ground.key, zoom=0.4)
        return background_of(studio.library.pictures[ground.key], self.draw)


def _beside(anchor: Placement, relation: str) -> tuple[float, float]:
    """A place left, right, above, below or in front of an object; beside it: on the side with more room."""
    side = -0.4 if anchor.x > 0.5 else 0.4
    away = {"left": (-0.4, 0.0), "right": (0.4, 0.0), "above": (0.0, -0.38), "below": (0.0, 0.38),
            "front": (0.1, 0.15)}.get(relation, (side, 0.0))  # fmt: skip
    return anchor.x + away[0], anchor.y + away[1]
