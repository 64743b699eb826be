"""Pictures are prepared as transformers' own processors do it, and as the steps by hand give it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from maieutic.errors import UserError
from maieutic.subjects import noise_images
from maieutic.subjects.preparing import Recipe, known_recipe, read_recipe, shortest

SHORT, BOTH = {"shortest_edge": 40}, {"height": 40, "width": 44}
CROP = {"crop_size": {"height": 32, "width": 30}}
#: processor, settings: what differs from the class's own
PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    ("ViT", {"size": BOTH}),
    ("ViT", {"size": BOTH, "do_normalize": False, "resample": 3}),
    ("CLIP", {"size": SHORT, **CROP}),
    ("CLIP", {"size": {"shortest_edge": 24}, **CROP}),  # smaller than the crop: padded
    ("Siglip", {"size": BOTH}),
    ("DeiT", {"size": BOTH, **CROP}),
    ("Bit", {"size": SHORT, **CROP, "rescale_factor": 1 / 127.5}),
    ("Beit", {"size": BOTH, "do_center_crop": True, **CROP}),
    ("Segformer", {"size": BOTH}),
    ("Levit", {"size": SHORT, **CROP}),
    ("ConvNext", {"size": SHORT, "crop_pct": 0.8}),
    ("ConvNext", {"size": {"shortest_edge": 384}}),
    ("PoolFormer", {"size": SHORT, **CROP}),
    ("EfficientNet", {"size": BOTH}),
    ("EfficientNet", {"size": BOTH, "rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": False}),
    ("MobileNetV1", {"size": SHORT, **CROP}),
    ("MobileNetV2", {"size": SHORT, **CROP}),
    ("MobileViT", {"size": SHORT, **CROP}),
    ("Pvt", {"size": BOTH}),
    ("Blip", {"size": BOTH}),
    ("ChineseCLIP", {"size": SHORT, **CROP}),
    ("Llava", {"size": SHORT, **CROP}),
]


MODULES = {
    "MobileNetV1": "mobilenet_v1",
    "MobileNetV2": "mobilenet_v2",
    "ChineseCLIP": "chinese_clip",
    "Qwen2VL": "qwen2_vl",
}


def processor_of(kind: str, settings: dict[str, Any]) -> Any:
    name = MODULES.get(kind, kind.lower())
    module = import_module(f"transformers.models.{name}.image_processing_pil_{name}")
    return getattr(module, f"{kind}ImageProcessorPil")(**settings)


@pytest.mark.parametrize(("kind", "settings"), PROCESSORS)
def test_the_same_pixels_as_transformers(kind: str, settings: dict[str, Any]) -> None:
    processor = processor_of(kind, settings)
    recipe = known_recipe(processor)
    assert recipe is not None and not recipe.square
    prepare = read_recipe(processor)
    picture = noise_images(1, seed=1, size=90)[0]
    for size in ((90, 90), (61, 83), (97, 50), (20, 23)):
        shown = picture.resize(size)
        expected = processor(images=shown, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(prepare(shown), expected.float(), atol=1e-5, rtol=1e-5)


def test_the_steps_by_hand() -> None:
    # 8 x 4 of one colour: short side to 2 makes 4 x 2, of which columns 1 and 2 remain
    image = Image.new("RGB", (8, 4), (255, 0, 51))
    recipe = Recipe(resize=shortest(2), crop=(2, 2), mean=(0.5, 0.0, 0.2), std=(0.5, 1.0, 0.1))
    found = recipe.preprocess()(image)
    # (255/255 - 0.5) / 0.5 = 1; 0; (51/255 - 0.2) / 0.1 = 0
    np.testing.assert_allclose(found[:, 0, 0], [1.0, 0.0, 0.0], atol=1e-6)
    assert found.shape == (3, 2, 2)
    assert str(recipe) == (
        "RGB, resize short side to 2 (bilinear), centre crop 2 x 2, / 255, minus (0.5, 0, 0.2), by (0.5, 1, 0.1)"
    )
    assert recipe.preprocess().__qualname__ == str(recipe)


def test_where_a_crop_begins() -> None:
    image = Image.new("RGB", (5, 2))
    for column in range(5):
        image.paste((column * 10, 0, 0), (column, 0, column + 1, 2))
    plain = Recipe(crop=(2, 2), factor=None)
    # 3 columns are left over: they begin at 1 (half rounded down), and at 2 where 1.5 is rounded to even
    assert plain.preprocess()(image)[0, 0].tolist() == [10.0, 20.0]
    assert Recipe(crop=(2, 2), factor=None, rounds=True).preprocess()(image)[0, 0].tolist() == [20.0, 30.0]


def test_processors_of_their_own() -> None:
    detector = processor_of("Yolos", {"size": {"shortest_edge": 48, "longest_edge": 64}})
    assert known_recipe(detector) is None
    prepare = read_recipe(detector)
    picture = noise_images(1, seed=1, size=90)[0].resize((90, 60))
    expected = detector(images=picture.crop((15, 0, 75, 60)), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(prepare(picture), expected)
    assert "central square, then YolosImageProcessor" in prepare.__qualname__
    packs = processor_of("Qwen2VL", {})
    with pytest.raises(UserError, match="Qwen2VLImageProcessor makes .* not \\[3, height, width\\]"):
        read_recipe(packs)
    assert read_recipe(packs, side=28)(picture).shape == (3, 28, 28)
