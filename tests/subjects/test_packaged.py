"""The packaged models: equal to maintained definitions, sane on real input, the same every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import maieutic as mt
from maieutic.subjects import noise_images
from maieutic.subjects.efficientnet_lite import VARIANTS, build, folded
from maieutic.subjects.fresh import fresh_copy

LITE = sorted(VARIANTS)


def reference(name: str, network: torch.nn.Module) -> torch.nn.Module:
    """The definition of another project, with the weights of ``network`` (same parameter names)."""
    why = "needs  pip install --no-deps efficientnet-lite-pytorch==0.1.0"
    other = pytest.importorskip("efficientnet_lite_pytorch", reason=why).EfficientNet.from_name(name)
    other.load_state_dict(network.state_dict())
    return other.eval()


@pytest.mark.parametrize("name", LITE)
def test_the_architecture_is_that_of_another_project(name: str) -> None:
    """Random weights, so that it needs nothing fetched: logits within 1e-5, also with BatchNorm folded."""
    size = VARIANTS[name].size
    pixels = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network = fresh_copy(build(name), seed=0, calibration=pixels)
    with torch.inference_mode():
        expected = reference(name, network)(pixels)
        assert expected.std() > 0.1
        torch.testing.assert_close(network(pixels), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(folded(network)(pixels), expected, atol=1e-5, rtol=0)


@pytest.mark.packaged
def test_the_packaged_weights_give_the_logits_of_another_project() -> None:
    subject: Any = mt.load_subject("efficientnet-lite0")
    images = noise_images(2, seed=1)
    with torch.inference_mode():
        expected = reference("efficientnet-lite0", subject.module)(subject.pixels(images).contiguous())
    np.testing.assert_allclose(subject.outputs(images), expected.numpy(), atol=1e-5)


@pytest.mark.packaged
def test_the_packaged_weights_give_the_logits_of_timm() -> None:
    timm = pytest.importorskip("timm", reason="needs  pip install timm torchvision")
    subject: Any = mt.load_subject("efficientnet-lite0")
    other = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    # the names differ, the order of the tensors does not
    other.load_state_dict(dict(zip(other.state_dict(), subject.module.state_dict().values(), strict=True)))
    images = noise_images(2, seed=1)
    with torch.inference_mode():
        expected = other(subject.pixels(images).contiguous())
    np.testing.assert_allclose(subject.outputs(images), expected.numpy(), atol=1e-5)


def test_sites_of_lite0() -> None:
    from maieutic.subjects.efficientnet_lite import network_sites

    network = build("efficientnet-lite0")
    sites = {s.name: s for s in network_sites(network)}
    assert network.stages == [0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 5, 6]
    assert sites["blocks.14.expand"].width == sites["blocks.14.expand_pre"].width == 1152
    assert sites["blocks.14.expand"].what == "stage 5, its last block: expansion units after ReLU6"
    assert [sites[n].width for n in ("stem", "blocks.0.out", "blocks.10.expand", "head", "logits")] == [
        32,
        16,
        672,
        1280,
        1000,
    ]
    assert "blocks.0.expand" not in sites  # the first block does not expand
    modules = dict(network.named_modules())
    assert all(s.module in modules for s in sites.values())


@pytest.mark.packaged
def test_relu6_sites_are_the_clamped_site_before_them() -> None:
    subject = mt.load_subject("efficientnet-lite0")
    images = noise_images(2, seed=2)
    batch = subject.forward(images, ["blocks.14.expand_pre", "blocks.14.expand"], maps=True)
    before, after = batch.values["blocks.14.expand_pre"], batch.values["blocks.14.expand"]
    assert before.shape == (2, 1152, 7, 7)
    assert float(before.min()) < 0
    torch.testing.assert_close(after, before.clamp(0, 6), atol=1e-6, rtol=0)


@pytest.mark.packaged
@pytest.mark.slow
def test_smollm2_knows_a_capital_and_reads_neurons() -> None:
    subject: Any = mt.load_subject("smollm2-135m")
    (logits,) = subject.outputs(["The capital of France is"])
    assert subject.tokenizer.decode(int(logits.argmax())) == " Paris"
    assert [t.text for t in subject.tokens("The cat sat.")] == ["The", " cat", " sat", "."]
    assert len(subject.sites()) == 90
    assert [subject.site(f"layers.7.{p}").width for p in ("attn", "mlp", "resid")] == [576, 1536, 576]
    # the attention sink is on the prefix: no first word has the residual norm of hundreds that it has
    batch = subject.forward(["Paris is large. It is"], ["layers.15.resid"])
    norms = batch.values["layers.15.resid"][0].norm(dim=-1)
    assert float(norms.max()) < 10 * float(norms.median())
