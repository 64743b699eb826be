"""Pictures from a label alone: claims, near misses and neutrals, edited from composed scenes of the test split.

Edits are proposed blindly (a thing taken out, a sibling in its place, the same thing on the other side or much
smaller, two things that change places, other colours, another ground) and the predicate says what each has become. A
positive is a held-out scene where the label claims something, as it is or on another ground. The predicate reads the
annotations and pixels of every scene anew, so labels about colour and texture are served alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.readings import FloatArray
from maieutic.score.image_sources import Gallery, as_stimulus, siblings, tags_of
from maieutic.score.made import MOST, Levels, Made, MadeSet, Sort, draws, in_turn
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.scenes import Background, Scene

#: sibling stamps tried in the place of a thing
_SIBLINGS = 6


@dataclass(frozen=True, slots=True)
class _Draft:
    """A scene before it is known what it has become, with the group of the held-out scene that it is made from."""

    scene: Scene
    group: str
    kind: str
    what: str


def make_images(found: Explanation, gallery: Gallery, *, seed: int = 0) -> MadeSet | str:
    """At most 52 pictures from a label, or why none can be made. Cost: 2 to 10 ms for each of a few hundred drafts.

    Args:
        found: the label, able to predict.
        gallery: held-out material.
        seed: of every draw.
    """
    return _Maker(found, gallery, seed).made()


class _Maker:
    def __init__(self, found: Explanation, gallery: Gallery, seed: int) -> None:
        self.found, self.gallery = found, gallery
        self.draw = draws(found, seed)
        self.levels = Levels(low=0.0, high=0.0)
        self.items: dict[str, Made] = {}

    def made(self) -> MadeSet | str:
        scores = np.asarray(self.found.predict(self.gallery.scenes), dtype=np.float64)
        levels = Levels.of(scores)
        if isinstance(levels, str):
            return levels
        self.levels = levels
        positives = self._positives(scores)
        self._near_misses(positives)
        self._neutrals(scores)
        return MadeSet(items=tuple(self.items.values()), levels=levels, failed=self.gallery.failed)

    # --- predicting ----------------------------------------------------------------------------------------------
    def _predicted(self, scene: Scene) -> float:
        """The label's prediction; the picture is rendered only if the predicate looks at pixels."""
        data = json.dumps(scene.to_json(), sort_keys=True)
        stimulus = Stimulus(
            id=f"draft {hashlib.sha256(data.encode()).hexdigest()}", modality="image", load=scene.render,
            tags=tags_of(scene), things=scene.things(), scene=scene,
        )  # fmt: skip
        return float(np.asarray(self.found.predict([stimulus]), dtype=np.float64)[0])

    def _keep(self, sort: Sort, draft: _Draft, known: Stimulus | None = None) -> bool:
        """Take the draft if the predicate says it is of that sort, also once it is rendered."""
        if not self._is(sort, self._predicted(draft.scene)):
            return False
        # also a picture whose only stamp was taken out belongs to the group of that stamp
        stimulus = known or replace(as_stimulus(draft.scene), group=draft.group, split="test")
        predicted = float(np.asarray(self.found.predict([stimulus]), dtype=np.float64)[0])
        if stimulus.id in self.items or not self._is(sort, predicted):
            return False
        self.items[stimulus.id] = Made(
            sort=sort, stimulus=stimulus, span=None, kind=draft.kind, what=draft.what, predicted=predicted
        )
        return True

    def _is(self, sort: Sort, predicted: float) -> bool:
        return predicted >= self.levels.high if sort == "positive" else predicted <= self.levels.low

    # --- positives -----------------------------------------------------------------------------------------------
    def _positives(self, scores: FloatArray) -> list[_Draft]:
        """Scenes that the label claims: in rounds over what they show, first as they are, then on other grounds."""
        claimed = [s for s, v in zip(self.gallery.scenes, scores, strict=True) if v >= self.levels.high]
        taken: list[_Draft] = []
        for turn in range(4):
            for stimulus in in_turn(claimed, lambda s: s.group, self.draw):
                if len(taken) >= MOST["positive"]:
                    return taken
                scene, known = stimulus.scene, stimulus if turn == 0 else None
                draft = _Draft(scene, stimulus.group, "as it stands", "") if turn == 0 else self._varied(stimulus, turn)
                if self._keep("positive", draft, known):
                    taken.append(draft)
        return taken

    def _varied(self, stimulus: Stimulus, turn: int) -> _Draft:
        scene: Scene = stimulus.scene
        if turn == 2 and scene.placements:
            return _Draft(scene.flipped(0), stimulus.group, "mirrored", f"{_name(scene, 0)} mirrored")
        ground = self._ground()
        return _Draft(scene.on(ground), stimulus.group, "on another ground", f"on {ground.name}")

    def _ground(self) -> Background:
        grounds = self.gallery.grounds
        return grounds[int(self.draw.integers(len(grounds)))]

    # --- near misses ---------------------------------------------------------------------------------------------
    def _near_misses(self, positives: list[_Draft]) -> None:
        """One edit of a positive after which the label denies it: at most one of each kind a positive, in rounds."""
        ways = [self._ways(p) for p in positives]
        for turn in range(6):
            for i, kinds in enumerate(ways):
                if sum(m.sort == "near miss" for m in self.items.values()) >= MOST["near miss"]:
                    return
                next((d for d in kinds[(turn + i) % len(kinds)] if self._keep("near miss", d)), None)

    def _ways(self, draft: _Draft) -> list[Iterator[_Draft]]:
        return [
            self._taken_out(draft), self._sibling(draft), self._moved(draft), self._swapped(draft),
            self._recoloured(draft), self._smaller(draft),
        ]  # fmt: skip

    def _taken_out(self, draft: _Draft) -> Iterator[_Draft]:
        scene, group = draft.scene, draft.group
        for i in range(len(scene.placements)):
            yield _Draft(scene.without(i), group, "taken out", f"{_name(scene, i)} taken out")

    def _sibling(self, draft: _Draft) -> Iterator[_Draft]:
        scene, group = draft.scene, draft.group
        for i, placement in enumerate(scene.placements):
            for other in siblings(self.gallery, placement, _SIBLINGS, self.draw):
                placements = (*scene.placements[:i], other, *scene.placements[i + 1 :])
                new = replace(scene, placements=placements)
                yield _Draft(new, group, "a sibling in its place", f"{_name(scene, i)} → {_name(new, i)}")

    def _moved(self, draft: _Draft) -> Iterator[_Draft]:
        scene, group = draft.scene, draft.group
        for i, p in enumerate(scene.placements):
            # a thing in the middle has no other side
            across, down = (1 - v if abs(v - 0.5) > 0.1 else 0.25 for v in (p.x, p.y))
            for x, y, where in ((across, p.y, "the other side"), (p.x, down, "the other half")):
                yield _Draft(scene.moved(x, y, i), group, "elsewhere in the picture", f"{_name(scene, i)} on {where}")

    def _swapped(self, draft: _Draft) -> Iterator[_Draft]:
        scene, group = draft.scene, draft.group
        for i in range(len(scene.placements) - 1):
            a, b = scene.placements[i], scene.placements[i + 1]
            yield _Draft(
                scene.moved(b.x, b.y, i).moved(a.x, a.y, i + 1), group, "places exchanged",
                f"{_name(scene, i)} and {_name(scene, i + 1)} exchanged",
            )  # fmt: skip

    def _recoloured(self, draft: _Draft) -> Iterator[_Draft]:
        scene, group = draft.scene, draft.group
        for i in range(len(scene.placements)):
            yield _Draft(scene.recoloured(150.0, i), group, "recoloured", f"{_name(scene, i)} recoloured")
        yield _Draft(scene.grey(), group, "without colour", "without colour")
        for _ in range(4):
            ground = self._ground()
            yield _Draft(scene.on(ground), group, "on another ground", f"on {ground.name}")

    def _smaller(self, draft: _Draft) -> Iterator[_Draft]:
        scene, group = draft.scene, draft.group
        for i in range(len(scene.placements)):
            yield _Draft(scene.scaled(0.4, i), group, "much smaller", f"{_name(scene, i)} much smaller")

    # --- neutrals ------------------------------------------------------------------------------------------------
    def _neutrals(self, scores: FloatArray) -> None:
        denied = [s for s, v in zip(self.gallery.scenes, scores, strict=True) if v <= self.levels.low]
        left = MOST["neutral"]
        for stimulus in in_turn(denied, lambda s: s.group, self.draw):
            if not left:
                return
            left -= self._keep("neutral", _Draft(stimulus.scene, stimulus.group, "as it stands", ""), stimulus)


def _name(scene: Scene, i: int) -> str:
    return scene.library.pictures[scene.placements[i].stamp].name
