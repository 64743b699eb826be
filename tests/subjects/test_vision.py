"""Image subjects: hand-computed values, maps, preprocessing, untrained copies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from maieutic.errors import UsageError, UserError
from maieutic.subjects import (
    Intervention,
    InterventionDidNothing,
    Site,
    activation_maps,
    module_subject,
    noise_images,
    scaled,
)
from maieutic.subjects.vision import as_rgb

RED, PURPLE, GREEN = (255, 0, 0), (255, 0, 51), (0, 255, 0)


def test_sites_are_found_with_widths_in_order(known_cnn: Any) -> None:
    assert [(s.name, s.width, s.positions) for s in known_cnn.sites()] == [
        ("mix", 3, "spatial"),
        ("act", 3, "spatial"),
        ("classify", 1, "none"),
    ]


def test_values_by_hand(known_cnn: Any, plain: Any) -> None:
    units = [known_cnn.unit("mix", 0), known_cnn.unit("act", 1), known_cnn.unit("mix", 2), known_cnn.unit("act", 2)]
    purple, green = known_cnn.read([plain(PURPLE), plain(GREEN)], units)
    # purple: red - green = 1, blue = 51/255 = 0.2, -(1 + 0 + 0.2) = -1.2 before and 0 after the ReLU. The ReLU works in
    # place, so this also shows that the reading before it was copied.
    np.testing.assert_allclose(purple, [[1.0, 0.2, -1.2, 0.0]], atol=1e-6)
    np.testing.assert_allclose(green, [[-1.0, 0.0, -1.0, 0.0]], atol=1e-6)


def test_a_reading_is_the_mean_of_its_map(known_cnn: Any) -> None:
    image = Image.new("RGB", (4, 2), GREEN)
    image.putpixel((3, 1), PURPLE)
    unit = known_cnn.unit("act", 1)
    (found,) = activation_maps(known_cnn, [image], unit)
    expected = np.zeros((2, 4), np.float32)
    expected[1, 3] = 0.2
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(known_cnn.measure([image], unit), [0.2 / 8], atol=1e-6)


def test_outputs_and_interventions_by_hand(known_cnn: Any, plain: Any) -> None:
    purple = [plain(PURPLE)]
    # class = 2 * c0 - c1 + 5 * c2 = 2 * 1 - 0.2 + 0
    np.testing.assert_allclose(known_cnn.outputs(purple), [[1.8]], atol=1e-6)

    def changed(index: int, kind: Any, value: float = 0.0, sign: int = 1) -> float:
        change = Intervention(unit=known_cnn.unit("act", index, sign=sign), kind=kind, value=value)
        return float(known_cnn.outputs(purple, interventions=[change])[0, 0])

    assert changed(0, "ablate_zero") == pytest.approx(-0.2)  # 2 * 0 - 0.2
    assert changed(1, "ablate_mean", 0.5) == pytest.approx(1.5)  # 2 - 0.5
    assert changed(2, "set", 1.0) == pytest.approx(6.8)  # 1.8 + 5 * 1
    assert changed(0, "add", 0.25) == pytest.approx(2.3)  # 1.8 + 2 * 0.25
    assert changed(0, "add", 0.25, sign=-1) == pytest.approx(1.3)  # the unit is minus the channel
    both = [
        Intervention(unit=known_cnn.unit("act", 0), kind="ablate_zero"),
        Intervention(unit=known_cnn.direction("act", [1, 1, 0], "sum"), kind="add", value=3),
    ]
    # in the order given: c0 = 0 + 3, c1 = 0.2 + 3, so 6 - 3.2
    assert float(known_cnn.outputs(purple, interventions=both)[0, 0]) == pytest.approx(2.8)


def test_silence_in_one_batch_is_fine_and_in_all_is_an_error(known_cnn: Any, plain: Any) -> None:
    known_cnn.batch_size = 1
    blue = known_cnn.unit("act", 1)
    off = Intervention(unit=blue, kind="ablate_zero")
    found = known_cnn.measure([plain(GREEN), plain(PURPLE)], blue, interventions=[off])
    np.testing.assert_array_equal(found, [0, 0])
    with pytest.raises(InterventionDidNothing, match="act/1 changed nothing"):
        known_cnn.measure([plain(GREEN), plain(RED)], blue, interventions=[off])
    with pytest.raises(InterventionDidNothing):
        known_cnn.outputs([plain(GREEN)], interventions=[off])


def test_an_intervention_after_the_site_that_is_read_still_acts(known_cnn: Any, plain: Any) -> None:
    late = Intervention(unit=known_cnn.unit("classify", 0), kind="set", value=7.0)
    assert known_cnn.measure([plain(RED)], known_cnn.unit("mix", 0), interventions=[late]) == pytest.approx(1.0)


def test_batches_do_not_change_values(known_cnn: Any) -> None:
    images = noise_images(7, seed=3, size=16)
    units = [known_cnn.unit("act", i) for i in range(3)]
    known_cnn.batch_size = 3
    batched = np.concatenate(known_cnn.read(images, units))
    known_cnn.batch_size = 7
    np.testing.assert_allclose(batched, np.concatenate(known_cnn.read(images, units)), atol=1e-6)


def test_preprocessing_by_hand() -> None:
    image = Image.new("RGB", (40, 20), (255, 127, 0))
    image.paste((0, 0, 0), (0, 0, 10, 20))  # left of the central square: cropped away
    found = scaled(10, mean=(0.5, 0.5, 0.25), std=(0.5, 0.5, 0.5))(image)
    assert found.shape == (3, 10, 10)
    # (255/255 - 0.5) / 0.5 = 1; (127/255 - 0.5) / 0.5 = -1/255; (0 - 0.25) / 0.5 = -0.5
    expected = torch.tensor([1.0, -1 / 255, -0.5])[:, None, None].expand(3, 10, 10)
    torch.testing.assert_close(found[:, :, 2:], expected[:, :, 2:], atol=1e-6, rtol=0)


def test_transparency_becomes_white() -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    assert [as_rgb(image).getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (10, 20, 30)]
    assert as_rgb(Image.new("L", (1, 1), 7)).getpixel((0, 0)) == (7, 7, 7)


class DeepCNN(nn.Module):
    """Eight layers with BatchNorm: with uncalibrated statistics its signal would die out."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(8):
            layers += [nn.Conv2d(3 if i == 0 else 8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.token = nn.Parameter(torch.full((1, 8, 1, 1), 5.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.features(x) + self.token).mean(dim=(2, 3))


def test_untrained_copies_are_fresh_alive_and_repeatable() -> None:
    torch.manual_seed(5)
    subject = module_subject(DeepCNN(), scaled(16), name="deep")
    assert subject.sites()[-1].name == "features.23"
    images = noise_images(4, seed=9, size=32)
    units = [subject.unit("features.23", i) for i in range(8)]
    first, again, other = (subject.untrained(s) for s in (0, 0, 1))
    a, b, c = (np.concatenate(s.read(images, units)) for s in (first, again, other))
    np.testing.assert_array_equal(a, b)
    assert first.fingerprint == again.fingerprint != other.fingerprint != subject.fingerprint
    assert np.abs(a - c).max() > 1e-2
    assert (a.std(axis=0) > 1e-4).all()  # every unit still answers to the image
    assert float(first.module.token.detach().abs().max()) < 0.2  # a parameter of no layer is drawn again too
    assert subject.name == "deep"


def test_a_module_used_twice_is_no_site() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.relu = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(self.conv(self.relu(x)))

    assert [s.name for s in module_subject(Twice(), scaled(8)).sites()] == ["conv"]
    with pytest.raises(UsageError, match="'relu' runs 2 times"):
        module_subject(Twice(), scaled(8), sites=["relu"])


def test_chosen_sites() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.GELU(), nn.Flatten(), nn.Linear(6 * 6 * 6, 5))
    subject = module_subject(network, scaled(8), sites={"conv": "0", "class": "3"})
    assert [(s.name, s.width) for s in subject.sites()] == [("conv", 6), ("class", 5)]
    into = module_subject(network, scaled(8), sites=[Site(name="features", module="3", io="in", width=216)])
    (found,) = into.read(noise_images(1, seed=0), [into.unit("features", 215)])
    assert found.shape == (1, 1)
    with pytest.raises(UsageError, match=r"no module 'Conv'"):
        module_subject(network, scaled(8), sites=["Conv"])
    with pytest.raises(UsageError, match="give one of them"):
        module_subject(network)


def test_a_first_part_that_all_share_is_left_out_of_names() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential()
            self.model.add_module("conv", nn.Conv2d(3, 2, 1))
            self.model.add_module("act", nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x)

    sites = module_subject(Wrapped(), scaled(8)).sites()
    assert [(s.name, s.module) for s in sites] == [("conv", "model.conv"), ("act", "model.act")]


def test_wrong_stimuli(known_cnn: Any) -> None:
    with pytest.raises(UsageError, match=r"reads PIL images, not str: open the file with PIL.Image.open"):
        known_cnn.read(["cat.png"], [known_cnn.unit("act", 0)])
    with pytest.raises(UsageError, match="reads images, not text"):
        known_cnn.tokens("cat")


def test_images_of_different_sizes_after_preprocessing() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    subject = module_subject(network, lambda i: torch.zeros(3, i.size[1], i.size[0]), name="ragged")
    with pytest.raises(UserError, match="different sizes: resize to one size"):
        subject.read([Image.new("RGB", (4, 4)), Image.new("RGB", (5, 4))], [subject.unit("0", 0)])


class TinyViT(nn.Module):
    """Patches of 4 x 4 as tokens, a class token in front."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 4, 4)
        self.cls = nn.Parameter(torch.ones(1, 1, 6))
        self.mlp = nn.Linear(6, 10)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), tokens], dim=1)
        return self.act(self.mlp(tokens))[:, 0]


class TinyDetector(TinyViT):
    """Two more tokens stand behind those of the image, as in a YOLOS."""

    config = SimpleNamespace(num_detection_tokens=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        aside = self.cls.expand(len(x), -1, -1)
        return self.act(self.mlp(torch.cat([aside, tokens, aside, aside], dim=1)))[:, 0]


def test_maps_leave_out_tokens_behind_the_image() -> None:
    torch.manual_seed(0)
    subject = module_subject(TinyDetector(), scaled(12), name="detector")
    images = noise_images(1, seed=0, size=12)
    (seen,) = activation_maps(subject, images, subject.unit("act", 7))
    network: Any = subject.module  # type: ignore[attr-defined]
    with torch.no_grad():
        patches = network.patch(scaled(12)(images[0])[None]).flatten(2).transpose(1, 2)
        expected = network.act(network.mlp(patches))[0, :, 7]
    np.testing.assert_allclose(seen, expected.unflatten(0, (3, 3)).numpy(), atol=1e-6)


def test_vision_transformers_have_maps_without_the_class_token() -> None:
    torch.manual_seed(0)
    subject = module_subject(TinyViT(), scaled(12), name="vit")
    assert subject.site("act").width == 10
    unit = subject.unit("act", 7)
    images = noise_images(2, seed=0, size=12)
    maps = activation_maps(subject, images, unit)
    assert [m.shape for m in maps] == [(3, 3), (3, 3)]
    network: Any = subject.module  # type: ignore[attr-defined]
    with torch.no_grad():
        x = torch.stack([scaled(12)(i) for i in images])
        patches = network.patch(x).flatten(2).transpose(1, 2)
        expected = network.act(network.mlp(patches))[..., 7]
        with_class = network.act(network.mlp(torch.cat([network.cls.expand(2, -1, -1), patches], dim=1)))[..., 7]
    np.testing.assert_allclose(np.stack(maps), expected.unflatten(1, (3, 3)).numpy(), atol=1e-6)
    np.testing.assert_allclose(subject.measure(images, unit), with_class.mean(dim=1).numpy(), atol=1e-6)
    off = Intervention(unit=unit, kind="ablate_zero")
    assert float(subject.outputs(images, interventions=[off])[0, 7]) == 0.0
