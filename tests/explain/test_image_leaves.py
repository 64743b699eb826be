"""Predictions of many pictures at once: the same to the bit as one picture at a time, whatever was kept before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maieutic.errors import UserError
from maieutic.explain.leaves_image import Leaves, predicted
from maieutic.explain.predicates.base import And, Not, Or, Predicate
from maieutic.explain.predicates.image import Blend, Colour, Count, Formed, Placed, Relation, Shows, Texture
from maieutic.explain.views_image import ImageViewer
from maieutic.stimuli.base import Corpus, Stimulus, Thing
from maieutic.stimuli.scenes import image_id


def stimulus(picture: Image.Image, names: list[tuple[str, ...]], number: int) -> Stimulus:
    """Things side by side, each a name with a kind."""
    things = tuple(
        Thing(name=n[0], concepts=n, box=(0.1 * j, 0.05 * number, 0.1 * j + 0.3, 0.5 + 0.04 * number))
        for j, n in enumerate(names)
    )
    tags = ("several",) if len(names) > 1 else ("scene",)
    return Stimulus(id=image_id(picture), modality="image", load=lambda: picture, things=things, tags=tags)


OWL, COW, BUS = ("owl", "bird"), ("cow", "mammal"), ("bus",)
SCENES = tuple(
    stimulus(Image.new("RGB", (48, 48), (37 * i, 90, 11 * i)), names, i)
    for i, names in enumerate([[OWL], [COW, OWL], [COW], [BUS, OWL], []])
)
_LEAVES = st.one_of(
    st.builds(Shows, concept=st.sampled_from(["bird", "cow", "several", "no such thing"]), full=st.sampled_from([0.0, 0.2])),
    st.builds(Colour, name=st.sampled_from(["red", "green"]), low=st.just(0.1), high=st.sampled_from([0.03, 0.9])),
    st.builds(Texture, feature=st.sampled_from(["size", "brightness"]), low=st.just(0.05), high=st.just(0.7)),
    st.builds(Placed, concept=st.just("bird"), where=st.sampled_from(["left", "top"])),
    st.builds(Formed, concept=st.sampled_from(["", "bird"]), form=st.just("tall")),
    st.builds(Count, concept=st.sampled_from(["", "bird"]), full=st.integers(1, 3)),
    st.builds(Relation, a=st.just("cow"), relation=st.just("left of"), b=st.just("bird")),
)  # fmt: skip
_PREDICATES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda p: And(parts=tuple(p))),
        st.lists(inner, min_size=1, max_size=3).map(lambda p: Or(parts=tuple(p))),
        inner.map(lambda p: Not(part=p)),
        st.lists(st.tuples(inner, st.floats(-1, 1)), min_size=1, max_size=3).map(
            lambda rows: Blend(parts=tuple(p for p, _ in rows), strengths=tuple(s for _, s in rows), base=0.137)
        ),
    ),
    max_leaves=6,
)


@given(predicate=_PREDICATES)
def test_pictures_together_get_what_each_gets_alone(predicate: Predicate) -> None:
    viewer = ImageViewer(corpus=Corpus(name="c", modality="image", stimuli=SCENES))
    alone = [float(predicate.evaluate(viewer(s))[0]) for s in SCENES]
    assert viewer.predict(predicate, SCENES).tolist() == alone
    assert viewer.predict(predicate, SCENES).tolist() == alone  # columns that were kept
    assert viewer.predict(predicate, SCENES[::-1]).tolist() == alone[::-1]
    assert viewer.predict(predicate, [SCENES[1].content]).tolist() == [alone[1]]


def test_pictures_that_say_otherwise_than_the_corpus_are_read_themselves() -> None:
    viewer = ImageViewer(corpus=Corpus(name="c", modality="image", stimuli=SCENES))
    bird = Shows(concept="bird")
    assert viewer.predict(bird, SCENES[:1]).tolist() == [1.0]
    assert viewer.predict(bird, [replace(SCENES[0], things=(), tags=("bus",))]).tolist() == [0.0]
    with pytest.raises(UserError, match="nothing is known"):
        viewer.predict(bird, [replace(SCENES[0], things=(), tags=())])


def test_only_so_many_columns_are_kept() -> None:
    viewer = ImageViewer()
    leaves = Leaves([viewer(s) for s in SCENES], dtype=np.float64, keep=3)
    asked = [Count(concept="", full=k) for k in (1, 2, 3, 4, 5, 1)]
    assert [predicted(c, leaves).tolist() for c in asked] == [
        [float(c.evaluate(viewer(s))[0]) for s in SCENES] for c in asked
    ]
    assert len(leaves._columns) == 3
