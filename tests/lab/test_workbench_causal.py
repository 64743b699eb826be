"""Ablating and steering: effects worked out by hand, steps of matched length, both readings in the ledger."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maieutic as mt
from maieutic.errors import UserError
from maieutic.lab.effects import STEPS, directions
from maieutic.lab.workbench import Workbench
from maieutic.stimuli.making import Tools


def bernoulli_kl(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def red_mean(lab: mt.Lab) -> float:
    return float(np.mean([o.values[0] for o in lab.discover]))


def plain(red: int, green: int = 0, blue: int = 0) -> Image.Image:
    return Image.new("RGB", (12, 12), (red, green, blue))


def test_an_ablation_has_the_effect_worked_out_by_hand(image_world: Any) -> None:
    (found,) = image_world.lab.ablate(plain(255), expect=True, because="only red matters")
    mean = red_mean(image_world.bench.labs["units/0"])
    # logits are (4 red, 0); red goes from 1 to its mean
    assert found.effect == pytest.approx(bernoulli_kl(sigmoid(4.0), sigmoid(4.0 * mean)), rel=1e-4)
    assert found.rose == [
        ["output 1", pytest.approx(sigmoid(-4.0), abs=1e-4), pytest.approx(sigmoid(-4 * mean), abs=1e-4)]
    ]
    assert found.fell[0][0] == "output 0"
    zero, one = image_world.bench.labs["units/0"].scale
    assert (found.before, found.after) == (
        pytest.approx((1.0 - zero) / (one - zero), abs=1e-3), pytest.approx((mean - zero) / (one - zero), abs=1e-3),
    )  # fmt: skip


def test_both_readings_and_the_expectation_are_in_the_ledger(image_world: Any) -> None:
    (found,) = image_world.lab.ablate(plain(255), expect=False, because="why not")
    before, after = image_world.ledger()
    assert (before.kind, after.kind, after.pair, found.entry) == ("look", "ablate", before.id, after.id)
    assert before.value == pytest.approx(1.0)
    assert after.value == pytest.approx(red_mean(image_world.bench.labs["units/0"]), rel=1e-5)
    assert after.detail["expect_effect"] is False
    assert (after.detail["effect"], after.detail["because"]) == (found.effect, "why not")


def test_random_steps_move_exactly_as_far(image_world: Any) -> None:
    """Their effects are those of adding the same length along the same directions, by plain arithmetic on the logits."""
    lab = image_world.bench.labs["units/0"]
    (found,) = image_world.lab.ablate(plain(255, 100, 50), expect=True)
    length = 1.0 - red_mean(lab)
    beside = directions(lab.unit, lab.atlas, seed=0)
    assert not isinstance(beside, str)
    foretold = [
        bernoulli_kl(sigmoid(4.0), sigmoid(4.0 * (1.0 + length * float(way.vector[0]))))  # type: ignore[index]
        for way in beside[0][:STEPS]
    ]
    assert found.random == pytest.approx(foretold, rel=1e-3, abs=1e-7)
    assert found.stands_out == (found.effect > max(foretold))


def test_a_unit_that_says_nothing_never_stands_out(image_world: Any) -> None:
    """Blue has no way to the outputs: its effect is 0, that of random steps is not."""
    (found,) = image_world.lab.ablate(plain(100, 100, 255), expect=True, unit="units/2")
    assert found.effect == pytest.approx(0.0, abs=1e-9)
    assert not found.stands_out
    assert max(found.random) > 0


def test_an_intervention_that_moves_nothing_is_no_evidence(image_world: Any) -> None:
    lab = image_world.bench.labs["units/0"]
    entries = len(image_world.ledger())
    # a picture at the mean of red, as near as eight bits allow: it moves by less than the others, but it moves
    near = plain(round(255 * red_mean(lab)), 10, 10)
    (found,) = image_world.lab.ablate(near, expect=True)
    assert found.effect < 1e-4
    with pytest.raises(UserError, match="neither"):
        image_world.lab.steer(near, 0.0, expect=True)
    assert len(image_world.ledger()) == entries + 2


def test_steering_raises_the_unit_by_a_share_of_its_scale(image_world: Any) -> None:
    lab = image_world.bench.labs["units/0"]
    zero, one = lab.scale
    (found,) = image_world.lab.steer(plain(0, 50, 50), 0.5, expect=True)
    raised = 0.5 * (one - zero)
    assert found.after - found.before == pytest.approx(0.5, abs=1e-3)
    # logits go from (0, 0) to (4 raised, 0)
    assert found.effect == pytest.approx(bernoulli_kl(0.5, sigmoid(4 * raised)), rel=1e-4)
    (lowered,) = image_world.lab.steer(plain(0, 50, 50), -0.5, expect=True)
    assert lowered.effect == pytest.approx(bernoulli_kl(0.5, sigmoid(-4 * raised)), rel=1e-4)


def test_a_direction_is_steered_by_its_reading(image_labs: list[mt.Lab]) -> None:
    """Red twice as long: raising the reading 2 red by a raises red by a/2, whatever the length of the vector."""
    first = image_labs[0]
    way = first.subject.direction("units", [2.0, 0.0, 0.0], "twice red")
    lab = mt.Lab(first.subject, way, first.atlas)
    (found,) = Workbench([lab], tools=Tools()).calls()["steer"]([plain(0)], 1.0, expect=True)
    zero, one = lab.scale
    assert found["effect"] == pytest.approx(bernoulli_kl(0.5, sigmoid(4 * (one - zero) / 2)), rel=1e-4)
    assert found["after"] - found["before"] == pytest.approx(1.0, abs=1e-3)


def test_an_expectation_is_needed_and_is_yes_or_no(image_world: Any) -> None:
    calls = image_world.bench.calls()
    with pytest.raises(UserError, match="expect is missing"):
        calls["ablate"]([plain(255)])
    with pytest.raises(UserError, match="expect"):
        calls["ablate"]([plain(255)], expect=0.7)
    with pytest.raises(UserError, match="1 to 16"):
        calls["ablate"]([plain(255)] * 17, expect=True)
    image_world.lab.measure([plain(i) for i in range(19)], expect=0.5)
    with pytest.raises(UserError, match="2 measurements of units/0 asked, 1 left"):
        calls["ablate"]([plain(255)], expect=True)
    assert len(image_world.ledger()) == 19


def test_a_black_box_cannot_be_changed_inside(text_world: Any) -> None:
    with pytest.raises(UserError):
        text_world.lab.ablate("a cat", expect=True)
    assert text_world.ledger() == []


@pytest.fixture
def language(model_folder: Any, texts: list[str]) -> Workbench:
    subject = mt.load_subject(f"hf:{model_folder}")
    atlas = mt.harvest(subject, mt.Corpus.from_texts(texts[:40]), sites=["layers.1.mlp"])
    return Workbench([mt.Lab(subject, subject.unit("layers.1.mlp", 3), atlas)], tools=Tools())


def test_a_text_ends_at_the_token_that_is_changed(language: Workbench) -> None:
    (lab,) = language.labs.values()
    text = "the cat sat on the mat and saw a dog"
    (chosen,) = language.calls()["ablate"]([text], expect=True, at=2)
    assert chosen["text"] == "the cat sat"
    values = lab.subject.measure([text], lab.unit)[0]
    (strongest,) = language.calls()["ablate"]([text], expect=True)
    end = lab.subject.tokens(text)[int(np.argmax(values))].end
    assert strongest["text"] == text[:end]
    assert lab.ledger.entries[2].value == pytest.approx(float(values.max()), rel=1e-4)
    with pytest.raises(UserError, match="tokens 0 to 9"):
        language.calls()["ablate"]([text], expect=True, at=10)


def test_outputs_of_a_language_model_are_tokens_and_match_a_plain_run(language: Workbench) -> None:
    """The probabilities named are those of the model's own head, before and after the same change made by hand."""
    import torch

    (lab,) = language.labs.values()
    subject: Any = lab.subject
    (found,) = language.calls()["ablate"](["the cat sat on the mat"], expect=True, at=-1)
    mean = float(np.concatenate([o.values for o in lab.discover]).mean())

    def change(module: Any, args: Any) -> Any:
        x = args[0].clone()
        x[:, -1, 3] = mean
        return (x,)

    ids = torch.tensor([subject.tokenizer("the cat sat on the mat")["input_ids"]])
    ids = torch.cat([torch.tensor([list(subject.prefix)], dtype=torch.long), ids], dim=1)
    clean = subject.model(ids).logits[0, -1].softmax(0)
    hook = subject.model.model.layers[1].mlp.down_proj.register_forward_pre_hook(change)
    changed = subject.model(ids).logits[0, -1].softmax(0)
    hook.remove()
    effect = float((clean * (clean / changed).log()).sum())
    assert found["effect"] == pytest.approx(effect, rel=1e-3, abs=1e-7)
    best = int((changed - clean).argmax())
    assert found["rose"][0][0] == subject.tokenizer.decode([best])
    assert found["rose"][0][1:] == pytest.approx([float(clean[best]), float(changed[best])], abs=1e-4)
