"""Features that a process leaves to the next: the same values, never those of other pictures, and never needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maieutic.explain import views_image
from maieutic.explain.looks import LEAST, file_of, load_looks
from maieutic.explain.predicates.image import Colour
from maieutic.explain.views_image import ImageViewer
from maieutic.stimuli.base import Corpus, Stimulus, Thing
from maieutic.stimuli.scenes import image_id

RED = Colour(name="red", high=0.8)


def corpus(n: int) -> Corpus:
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8).astype(np.uint8)) for _ in range(n)]
    bird = Thing(name="bird", concepts=("bird",), box=(0.0, 0.0, 0.5, 0.5))
    stimuli = [Stimulus(id=image_id(p), modality="image", load=lambda p=p: p, things=(bird,)) for p in pictures]
    return Corpus(name="c", modality="image", stimuli=stimuli)


def nothing_to_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(views_image, "pixel_features", refuse)


def test_another_process_reads_what_one_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path))
    some = corpus(LEAST + 1)
    said = ImageViewer(corpus=some).predict(RED, some.stimuli)
    assert np.ptp(said) > 0.1
    nothing_to_compute(monkeypatch)
    assert ImageViewer(corpus=some).predict(RED, some.stimuli).tolist() == said.tolist()
    with pytest.raises(AssertionError, match="computed"):  # one thing stands elsewhere: other features
        moved = replace(some.stimuli[0], things=(replace(some.stimuli[0].things[0], box=(0.5, 0.5, 1.0, 1.0)),))
        other = replace(some, stimuli=[moved, *some.stimuli[1:]])
        ImageViewer(corpus=other).predict(RED, other.stimuli)


def test_a_damaged_file_and_a_folder_that_cannot_be_written_cost_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path))
    some = corpus(LEAST)
    said = ImageViewer(corpus=some).predict(RED, some.stimuli).tolist()
    file_of(some).write_bytes(file_of(some).read_bytes()[:500])
    assert load_looks(some) == {}
    assert ImageViewer(corpus=some).predict(RED, some.stimuli).tolist() == said
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path / "a file"))
    (tmp_path / "a file").write_text("in the way")
    assert ImageViewer(corpus=some).predict(RED, some.stimuli).tolist() == said


def test_few_pictures_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path))
    some = corpus(3)
    ImageViewer(corpus=some).predict(RED, some.stimuli)
    assert not list(tmp_path.rglob("*.safetensors"))
