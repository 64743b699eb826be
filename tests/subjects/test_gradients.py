"""Gradients at sites against finite differences and hand-worked networks; many ablations at once against one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from maieutic.errors import UserError
from maieutic.subjects import function_subject
from maieutic.subjects.base import Intervention, Unit
from maieutic.subjects.gradients import ablating, differentiate
from maieutic.subjects.language import LanguageSubject

SITES = ["layers.0.mlp", "layers.0.resid", "layers.1.attn", "layers.1.mlp"]


def test_the_gradient_of_a_known_network_is_its_weights(
    known_cnn: Any, plain: Callable[[tuple[int, int, int]], Image.Image]
) -> None:
    found = differentiate(known_cnn, plain((255, 0, 51)), ["act", "mix"], lambda out: out[0])
    # class = 2 c0 - c1 + 5 c2, each c the mean over 8 cells; a cell of c0 counts 2/8; channel 2 is cut by the ReLU
    assert found.metric == pytest.approx(2 * 1.0 - 0.2)
    assert found.gradients["act"].shape == (8, 3)
    assert torch.allclose(found.gradients["act"], torch.tensor([2.0, -1.0, 5.0]) / 8)
    assert torch.allclose(found.gradients["mix"], torch.tensor([2.0, -1.0, 0.0]) / 8)
    assert torch.allclose(found.values["mix"][0], torch.tensor([1.0, 0.2, -1.2]))


@pytest.mark.parametrize("which", ["llama", "gpt2"])
def test_a_gradient_is_what_a_small_change_does(which: str, request: pytest.FixtureRequest) -> None:
    subject: LanguageSubject = request.getfixturevalue(which)
    text = "a moon by the sea"
    found = differentiate(subject, text, SITES, lambda out: out[97] - out.mean())
    assert found.outputs == pytest.approx(subject.outputs([text])[0])
    for site in SITES:
        for index in (0, 7):
            reading = subject.measure([text], Unit(site=site, index=index))[0]
            assert found.values[site][:, index].numpy() == pytest.approx(reading, abs=1e-6)
            moved: list[float] = []
            for step in (1e-2, -1e-2):
                change = Intervention(unit=Unit(site=site, index=index), kind="add", value=step)
                out = subject.outputs([text], interventions=[change])[0].astype(np.float64)
                moved.append(float(out[97] - out.mean()))
            assert float(found.gradients[site][:, index].sum()) == pytest.approx(
                (moved[0] - moved[1]) / 2e-2, rel=2e-2, abs=2e-4
            )


def test_nothing_stays_behind(llama: LanguageSubject) -> None:
    before = llama.outputs(["some words"])
    differentiate(llama, "some words", SITES, lambda out: out[3])
    assert "forward" not in llama.model.__dict__
    assert np.array_equal(llama.outputs(["some words"]), before)
    assert not any(p.requires_grad or p.grad is not None for p in llama.model.parameters())


def test_a_failing_metric_leaves_the_network_as_it_was(llama: LanguageSubject) -> None:
    def broken(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        differentiate(llama, "some words", SITES, broken)
    assert "forward" not in llama.model.__dict__
    assert not llama.model.model.layers[0]._forward_hooks
    assert not torch.is_inference_mode_enabled()


def test_many_ablations_are_those_made_one_by_one(llama: LanguageSubject) -> None:
    texts = ["ab", "a longer text", "the end"]
    chosen = {"layers.0.mlp": ([1, 5, 9], [0.5, -1.0, 0.0]), "layers.1.mlp": ([2], [3.0])}
    changes = [
        Intervention(unit=Unit(site=site, index=i), kind="set", value=v)
        for site, (indices, values) in chosen.items()
        for i, v in zip(indices, values, strict=True)
    ]
    with ablating(llama, {s: (torch.tensor(i), torch.tensor(v)) for s, (i, v) in chosen.items()}):
        together = llama.outputs(texts)
    assert together == pytest.approx(llama.outputs(texts, interventions=changes), abs=1e-6)
    assert not np.allclose(together, llama.outputs(texts))


def test_channels_of_maps_are_ablated_everywhere(
    known_cnn: Any, plain: Callable[[tuple[int, int, int]], Image.Image]
) -> None:
    with ablating(known_cnn, {"act": (torch.tensor([0, 2]), torch.tensor([0.5, 0.1]))}):
        found = known_cnn.outputs([plain((255, 0, 51))])
    assert found[0, 0] == pytest.approx(2 * 0.5 - 0.2 + 5 * 0.1)


def test_a_black_box_cannot_be_differentiated() -> None:
    box = function_subject(lambda texts: [float(len(t)) for t in texts], modality="text")
    with pytest.raises(UserError, match="no network"):
        differentiate(box, "a", ["output"], lambda out: out[0])
