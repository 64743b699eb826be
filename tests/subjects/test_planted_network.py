"""Planted networks: what the units carry, what they decide, and that it is all seen through ordinary hooks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maieutic.errors import UsageError, UserError
from maieutic.harvest import harvest
from maieutic.lab import Budget, Lab
from maieutic.stimuli.planted import planted_corpus
from maieutic.subjects import Intervention, InterventionDidNothing, load_subject
from maieutic.subjects.planted.network import NetworkUnit, PlantedNetwork, planted_network
from maieutic.subjects.planted.network_image import image_subject
from maieutic.subjects.planted.network_language import Concept, Language, language
from maieutic.subjects.planted.network_law import PULL, Law
from maieutic.subjects.planted.network_pictures import Drawn, PictureConcept, gallery
from maieutic.subjects.planted.network_training import TensorLaw, tensor

BOTH = pytest.mark.parametrize("modality", ["text", "image"])


@pytest.fixture(scope="session")
def networks() -> dict[str, PlantedNetwork]:
    return {m: planted_network(m) for m in ("text", "image")}  # type: ignore[arg-type]


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@cache
def drawn(modality: str, size: int, seed: int) -> tuple[Any, ...]:
    """Fresh stimuli of a default network."""
    return tuple(planted_corpus(planted_network(modality), size=size, seed=seed))  # type: ignore[arg-type]


def shown(network: PlantedNetwork, unit: NetworkUnit, n: int = 6) -> list[object]:
    """Fresh stimuli at whose last position the unit's concept is fully active."""
    found: list[object] = []
    for stimulus in drawn(network.modality, 900, 9):
        truth = unit.truth([stimulus])[0]
        if network.modality == "image":
            found += [stimulus] if truth[0] >= 1 else []
        elif (truth >= 1).any():
            at = int(np.argmax(truth >= 1))
            found.append(" ".join(stimulus.content.split(" ")[: at + 1]))
    assert len(found) >= n
    return found[:n]


# --- truth and law, without a network ------------------------------------------------------------------------------
def test_conditions_on_words_by_hand() -> None:
    number = {"<end>": 0, "<unknown>": 1, "a": 2, "b": 3, "c": 4}
    ids = np.array([[2, 4, 4, 4, 3, 3, 1]])  # a c c c b b ?
    near = Concept(name="", kind="", about="", words=(("b", 1.0),), before="a", within=4)
    assert near.strengths(ids, number).tolist() == [[0, 0, 0, 0, 1, 0, 0]]  # the second b: a is 5 words before
    lone = Concept(name="", kind="", about="", words=(("b", 1.0),), before="a", within=4, absent=True)
    assert lone.strengths(ids, number).tolist() == [[0, 0, 0, 0, 0, 1, 0]]
    after = Concept(name="", kind="", about="", before="c", within=1)
    assert after.strengths(ids, number).tolist() == [[0, 0, 1, 1, 1, 0, 0]]
    graded = Concept(name="", kind="", about="", words=(("a", 1.0), ("c", 0.3)))
    assert graded.strengths(ids, number).tolist() == [[1, 0.3, 0.3, 0.3, 0, 0, 0]]


def test_the_law_mixes_background_and_what_concepts_raise() -> None:
    law = Law.of(np.array([0.25, 0.75, 0.0]), ((0,), (1, 2), ()))
    assert law(np.array([0.0, 0.0, 1.0])).tolist() == [0.25, 0.75, 0.0]  # an idle concept changes nothing
    # half strength: (1 - 0.8 x 0.5) background + 0.8 x 0.5 on output 0
    np.testing.assert_allclose(law(np.array([0.5, 0.0, 0.0])), [0.6 * 0.25 + 0.4, 0.6 * 0.75, 0.0])
    # two at once: 0.2 background, and 0.8 shared evenly between {0} and {1, 2}
    np.testing.assert_allclose(law(np.array([1.0, 1.0, 0.0])), [0.05 + 0.4, 0.15 + 0.2, 0.2])
    strengths = np.random.default_rng(0).random((50, 3))
    np.testing.assert_allclose(TensorLaw(law)(tensor(strengths)).numpy(), law(strengths), atol=1e-6)
    assert PULL == 0.8


def test_texts_follow_the_law() -> None:
    words = language(3)
    ids = words.sample(4000, np.random.default_rng(1))
    strengths = words.strengths(ids)
    for k, concept in enumerate(words.concepts):
        rate = float((strengths[..., k] > 0).mean())
        assert 0.004 < rate < 0.02, f"{concept.name} is active at {rate:.4f} of positions"
    on = strengths[:, :-1, 0] == 1
    followed = np.isin(ids[:, 1:][on], words.followers[0]).mean()
    assert abs(followed - PULL) < 0.06  # 80 % plus a little background, some 1,000 cases


def test_truth_on_any_text_is_that_of_the_ids() -> None:
    words = language(0)
    ids = words.sample(40, np.random.default_rng(2))
    for row, text in zip(ids, words.texts(ids), strict=True):
        np.testing.assert_array_equal(words.truth(text), words.strengths(row[None])[0])
    assert words.truth("").shape == (0, len(words.concepts))
    assert len(words.truth("Wörter, unknown ones!")) == 5  # Wörter | , | unknown | ones | !


def test_seeds_give_other_words_and_shapes() -> None:
    assert language(1).concepts == language(1).concepts
    assert {c.about for c in language(1).concepts} & {c.about for c in language(2).concepts} <= {"numbers"}
    assert gallery(1).concepts == gallery(1).concepts
    assert gallery(1).concepts != gallery(2).concepts


def test_conditions_on_pictures_by_hand() -> None:
    ring = Drawn(shape="ring", colour="red", y=0.3)
    bar = Drawn(shape="bar", colour="black", striped=True, y=0.7)
    assert ring.concepts == ("red ring", "ring", "red")
    assert bar.concepts == ("striped black bar", "bar", "black", "striped")
    either = PictureConcept(name="", kind="", about="", any_of=("blue", "red"))
    assert (either.truth([ring, bar]), either.truth([bar]), either.truth([])) == (1.0, 0.0, 0.0)
    lone = PictureConcept(name="", kind="", about="", any_of=("ring",), unless="bar")
    assert (lone.truth([ring]), lone.truth([ring, bar])) == (1.0, 0.0)
    high = PictureConcept(name="", kind="", about="", any_of=("ring", "bar"), top=True)
    assert (high.truth([ring]), high.truth([bar])) == (1.0, 0.0)


# --- the trained networks ------------------------------------------------------------------------------------------
@BOTH
def test_planted_units_carry_their_concepts(networks: dict[str, PlantedNetwork], modality: str) -> None:
    network = networks[modality]
    corpus = drawn(modality, 500, 5)
    rows = np.concatenate(network.subject.read(corpus, [u.unit for u in network.units]))
    for i, unit in enumerate(network.units):
        truth = np.concatenate(unit.truth(corpus))
        assert np.corrcoef(truth, rows[:, i])[0, 1] > 0.85, f"{unit.name}: {unit.about}"


@BOTH
def test_outputs_follow_the_law(networks: dict[str, PlantedNetwork], modality: str) -> None:
    network = networks[modality]
    for unit in network.units:
        p = softmax(network.subject.outputs(shown(network, unit)))
        for row in p:
            raised = float(row[list(unit.raises)].sum())
            assert raised > 0.5 if unit.raises else raised == 0, f"{unit.name}: {unit.raised} got {raised:.2f}"


@BOTH
def test_ablation_takes_the_outputs_away_and_steering_brings_them(
    networks: dict[str, PlantedNetwork], modality: str
) -> None:
    network = networks[modality]
    neutral = [s for s in drawn(modality, 300, 7) if not any(u.truth([s])[0].any() for u in network.units)]
    for unit in (u for u in network.units if u.raises):
        active, raises = shown(network, unit), list(unit.raises)
        off = Intervention(unit=unit.unit, kind="ablate_zero")
        assert (network.subject.measure(active, unit.unit, interventions=[off])[0] == 0).all()  # seen to act
        before, after = (softmax(network.subject.outputs(active, interventions=c)) for c in ([], [off]))
        assert (after[:, raises].sum(axis=1) < 0.5 * before[:, raises].sum(axis=1)).all(), unit.name
        up = Intervention(unit=unit.unit, kind="add", value=1.0)
        before, after = (softmax(network.subject.outputs(neutral[:6], interventions=c)) for c in ([], [up]))
        assert (after[:, raises].sum(axis=1) > 0.5).all(), unit.name
        assert (before[:, raises].sum(axis=1) < 0.3).all(), unit.name


@BOTH
def test_an_idle_unit_is_carried_and_reaches_nothing(networks: dict[str, PlantedNetwork], modality: str) -> None:
    network = networks[modality]
    idle = network.named("idle-0")
    active = shown(network, idle)
    off = Intervention(unit=idle.unit, kind="ablate_zero")
    moved = network.subject.measure(active, idle.unit), network.subject.measure(active, idle.unit, interventions=[off])
    assert all(np.ravel(a)[-1] > 0.6 and np.ravel(b)[-1] == 0 for a, b in zip(*moved, strict=True))
    before, after = (network.subject.outputs(active, interventions=c) for c in ([], [off]))
    np.testing.assert_array_equal(before, after)


@BOTH
def test_harvest_reads_what_a_direct_forward_gives(networks: dict[str, PlantedNetwork], modality: str) -> None:
    network = networks[modality]
    corpus = planted_corpus(network, size=60)
    unit = network.units[0].unit
    atlas = harvest(network.subject, corpus, [network.site], keep=[unit])
    for observed in atlas.observed(unit, "test")[:5]:
        direct = _direct_text if modality == "text" else _direct_image
        np.testing.assert_allclose(observed.values, direct(network, observed.stimulus.content)[unit.index], atol=1e-5)


def _direct_text(network: PlantedNetwork, text: str) -> np.ndarray:
    """What the planted MLP gives to its output projection, computed from its parts: ``[neuron, position]``."""
    subject: Any = network.subject
    ids = [0, *subject.tokenizer.convert_tokens_to_ids(text.split(" "))]
    seen: list[torch.Tensor] = []
    mlp = subject.model.model.layers[1].mlp
    handle = mlp.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    with torch.no_grad():
        subject.model(torch.tensor([ids]))
        handle.remove()
        return (mlp.act_fn(mlp.gate_proj(seen[0])) * mlp.up_proj(seen[0]))[0, 1:].T.numpy()


def _direct_image(network: PlantedNetwork, image: Any) -> np.ndarray:
    """The mean of each channel of the planted map: ``[channel, 1]``."""
    subject: Any = network.subject
    seen: list[torch.Tensor] = []
    handle = subject.module.mixed.register_forward_hook(lambda _module, _args, out: seen.append(out))
    with torch.no_grad():
        subject.module(subject.preprocess(image)[None])
        handle.remove()
        return torch.relu(seen[0])[0].mean(dim=(1, 2))[:, None].numpy()


@BOTH
def test_an_untrained_copy_carries_nothing(networks: dict[str, PlantedNetwork], modality: str) -> None:
    network = networks[modality]
    corpus = drawn(modality, 300, 5)
    copy = network.subject.untrained(0)
    rows = np.concatenate(copy.read(corpus, [u.unit for u in network.units]))
    truth = np.stack([np.concatenate(u.truth(corpus)) for u in network.units], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = [np.corrcoef(truth[:, i], rows[:, i])[0, 1] for i in range(truth.shape[1])]
    assert np.nanmax(np.abs(r)) < 0.8
    assert np.nanmedian(np.abs(r)) < 0.4


def test_names_load(networks: dict[str, PlantedNetwork]) -> None:
    assert load_subject("planted:image") is networks["image"].subject
    assert load_subject("planted:text-0") is networks["text"].subject
    for wrong in ("planted:", "planted:sound", "planted:text-x"):
        with pytest.raises(UsageError, match="planted"):
            load_subject(wrong)


def test_splits_of_drawn_pictures_share_no_stamp(networks: dict[str, PlantedNetwork]) -> None:
    corpus = planted_corpus(networks["image"], size=300)
    split_of: dict[str, str] = {}
    for stimulus in corpus:
        for placement in stimulus.scene.placements:
            assert split_of.setdefault(placement.stamp, stimulus.split) == stimulus.split


@pytest.mark.slow
def test_a_seed_gives_the_same_network_with_and_without_a_cache(
    networks: dict[str, PlantedNetwork], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path))
    fresh = image_subject(gallery(0)).fingerprint
    (kept,) = (tmp_path / "planted").iterdir()
    assert fresh == image_subject(gallery(0)).fingerprint == networks["image"].subject.fingerprint
    kept.write_bytes(b"damaged")
    assert image_subject(gallery(0)).fingerprint == fresh


@pytest.mark.slow
@pytest.mark.parametrize(("modality", "names"), [("text", ("word-1", "and_not-0", "number-0", "context-0")),
                                                 ("image", ("shape-0", "and_not-0", "place-0"))])  # fmt: skip
def test_search_recovers_what_was_planted(
    networks: dict[str, PlantedNetwork], modality: str, names: tuple[str, ...]
) -> None:
    from sklearn.metrics import average_precision_score

    from maieutic.explain import explain

    network = networks[modality]
    corpus, fresh = planted_corpus(network), list(planted_corpus(network, size=300, seed=1))
    atlas = harvest(network.subject, corpus, [network.site], keep=[u.unit for u in network.units])
    for unit in (network.named(n) for n in names):
        found = explain(Lab(network.subject, unit.unit, atlas), budget=Budget(measurements=150))
        assert not found.abstained, f"{unit.name} ({unit.about}): {found.reason}"
        predicted = np.concatenate([np.atleast_1d(p) for p in found.predict(fresh)])
        truth = np.concatenate(unit.truth(fresh)) >= 0.5
        assert average_precision_score(truth, predicted) >= 0.95, f"{unit.name} ({unit.about}): {found.label}"


# --- interventions at one position of a text -----------------------------------------------------------------------
def test_an_intervention_at_a_position_changes_that_one_only(networks: dict[str, PlantedNetwork]) -> None:
    subject, site = networks["text"].subject, "layers.0.mlp"
    texts = ["river milk snow", "gate river milk snow lamp"]
    unit = subject.unit(site, 3)
    clean = subject.read(texts, [unit])
    for at, places in ((-1, (2, 4)), (0, (0, 0)), (3, (None, 3)), (-4, (None, 1))):
        change = Intervention(unit=unit, kind="set", value=5.0, at=at)
        changed = subject.read(texts, [unit], interventions=[change])
        for before, after, place in zip(clean, changed, places, strict=True):
            expected = before.copy()
            if place is not None:  # a text without such a position stays as it is
                expected[place] = 5.0
            np.testing.assert_allclose(after, expected, atol=1e-5)


def test_a_position_that_no_text_has_is_told(networks: dict[str, PlantedNetwork]) -> None:
    text, image = networks["text"].subject, networks["image"].subject
    change = Intervention(unit=text.unit("layers.0.mlp", 3), kind="set", value=5.0, at=40)
    with pytest.raises(InterventionDidNothing):
        text.outputs(["river milk"], interventions=[change])
    picture = next(iter(planted_corpus(networks["image"], size=1)))
    change = Intervention(unit=image.unit("units", 0), kind="set", value=5.0, at=0)
    with pytest.raises(UserError, match="texts only"):
        image.outputs([picture], interventions=[change])


def test_language_of_material(networks: dict[str, PlantedNetwork]) -> None:
    assert isinstance(networks["text"].material, Language)
    assert len(networks["text"].ordinary) == 64 - len(networks["text"].units)
    with pytest.raises(UsageError, match="planted networks read"):
        planted_network("sound")  # type: ignore[arg-type]
