"""Subjects over the networks of ``planted_circuits``, and stimuli for them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maieutic.stimuli import Corpus
from maieutic.subjects import Site, Subject, module_subject

sys.path.insert(0, str(Path(__file__).parent))
from planted_circuits import UNITS, WORDS, DrivenNetwork, WordNetwork, colours, encode, words_of_units  # noqa: E402


@pytest.fixture(scope="session")
def word_subject() -> Subject:
    reads, writes = words_of_units()
    site = Site(name="blocks.0.mlp", module="blocks.0.down", io="in", width=UNITS, positions="token")
    return module_subject(WordNetwork(reads, writes), tokenizer=encode, name="words", sites=[site])


@pytest.fixture(scope="session")
def word_corpus() -> Corpus:
    rng = np.random.default_rng(1)
    return Corpus.from_texts([" ".join(rng.choice(WORDS, size=24)) for _ in range(150)], name="words")


@pytest.fixture(scope="session")
def driven() -> Subject:
    return module_subject(DrivenNetwork(), colours, name="driven", sites=["act"])


@pytest.fixture(scope="session")
def colour_corpus() -> Corpus:
    rng = np.random.default_rng(2)
    drawn = [Image.new("RGB", (8, 8), tuple(int(c) for c in rng.integers(0, 256, 3))) for _ in range(120)]
    return Corpus.from_images(drawn, name="colours")
