"""How pictures become pixels for pretrained image networks, as each model's ``preprocessor_config.json`` says.

Steps, in this order, each optional: RGB, resize, centre crop (padded with black where the picture is smaller), rescale,
normalise, BGR. They give what the PIL processors of transformers give, bit for bit up to the rounding of floats, and
need no torchvision. Processors with steps of their own (patches with padding, tiles) are called as they are, as long as
they give one picture of three channels.

What this module does not do: no augmentation, and no annotations of detectors. Where a processor keeps the proportions
of a picture (detectors do), pixels of several pictures would not fit into one batch: the central square is taken first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from maieutic.errors import UserError
from maieutic.subjects.vision import Preprocess, as_rgb

_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
#: below this side ConvNeXt's processor resizes to more and crops; from it on it warps
_CONVNEXT_WARPS = 384

#: from (height, width) of a picture to the size it is resized to
Resize = Callable[[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The steps from a picture to pixels.

    Attributes:
        resize: how large it becomes, and in words.
        resample: number of Pillow's filter.
        crop: height and width of the centre crop.
        square: whether the central square of the picture is taken before everything else.
        factor: pixels in 0 to 255 are multiplied by it, and ``offset`` is added.
        mean, std: per channel, applied after the factor; twice for ``again`` (std only), as EfficientNet's processor does.
        bgr: whether channels are turned round at the end.
        rounds: whether the crop begins at the rounded half of what is left over (torchvision), not the half rounded down.
    """

    resize: tuple[Resize, str] | None = None
    resample: int = 2
    crop: tuple[int, int] | None = None
    square: bool = False
    factor: float | None = 1 / 255
    offset: float = 0.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    again: bool = False
    bgr: bool = False
    rounds: bool = False

    def __str__(self) -> str:
        """One line for people; also what a fingerprint is made of."""
        steps = ["central square"] if self.square else []
        steps += [f"resize {self.resize[1]} ({_FILTERS.get(self.resample, self.resample)})"] if self.resize else []
        steps += [f"centre crop {_size(self.crop)}"] if self.crop else []
        if self.factor is not None:
            steps.append("/ 255" if abs(self.factor * 255 - 1) < 1e-6 else f"* {self.factor:.6g}")
        steps += [f"{self.offset:+g}"] if self.offset else []
        steps += [f"minus {_numbers(self.mean)}, by {_numbers(self.std)}"] if self.mean and self.std else []
        steps += ["by the deviations again"] if self.again else []
        steps += ["BGR"] if self.bgr else []
        return ", ".join(["RGB", *steps])

    def preprocess(self) -> Preprocess:
        """The recipe as a function from a picture to float32 ``[3, height, width]``."""

        def prepare(image: Image.Image) -> Tensor:
            image = as_rgb(image)
            if self.square:
                image = _central_square(image)
            if self.resize is not None:
                height, width = self.resize[0](image.height, image.width)
                image = image.resize((width, height), resample=Image.Resampling(self.resample))
            pixels: NDArray[Any] = np.moveaxis(np.asarray(image), -1, 0)
            if self.crop is not None:
                pixels = _centre_crop(pixels, *self.crop, rounds=self.rounds)
            pixels = pixels if self.factor is None else (pixels.astype(np.float64) * self.factor).astype(np.float32)
            pixels = pixels.astype(np.float32) + np.float32(self.offset)
            for times in range(1 + self.again):
                if self.mean is not None and self.std is not None:
                    mean = np.zeros(3, np.float32) if times else np.array(self.mean, np.float32)
                    pixels = (pixels - mean[:, None, None]) / np.array(self.std, np.float32)[:, None, None]
            pixels = pixels[::-1] if self.bgr else pixels
            return torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))

        prepare.__qualname__ = str(self)
        return prepare


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{v:.6g}" for v in values) + ")"


def _central_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _centre_crop(pixels: NDArray[Any], height: int, width: int, *, rounds: bool = False) -> NDArray[Any]:
    """``[channel, height, width]``; black is added evenly where the picture is smaller, the odd pixel above and left."""
    rows, columns = pixels.shape[1:]
    taller, wider = max(rows, height), max(columns, width)
    if (taller, wider) != (rows, columns):
        padded = np.zeros((pixels.shape[0], taller, wider), pixels.dtype)
        above, left = -((rows - taller) // 2), -((columns - wider) // 2)
        padded[:, above : above + rows, left : left + columns] = pixels
        pixels = padded
    if rounds:
        top, left = round((taller - height) / 2), round((wider - width) / 2)
    else:
        top, left = (taller - height) // 2, (wider - width) // 2
    return pixels[:, top : top + height, left : left + width]


def exactly(height: int, width: int) -> tuple[Resize, str]:
    """To this size, whatever the proportions."""
    return (lambda _h, _w: (height, width)), f"to {_size((height, width))}"


def shortest(side: int) -> tuple[Resize, str]:
    """The shorter side to ``side``, proportions kept, the longer rounded down."""

    def resize(height: int, width: int) -> tuple[int, int]:
        longer = int(side * max(height, width) / min(height, width))
        return (longer, side) if width <= height else (side, longer)

    return resize, f"short side to {side}"


#: processors that override steps of the base class in ways that the recipe knows, or only for labels
_KNOWN = frozenset(
    {
        "BeitImageProcessor",
        "ConvNextImageProcessor",
        "EfficientNetImageProcessor",
        "LevitImageProcessor",
        "LlavaImageProcessor",
        "MobileNetV2ImageProcessor",
        "MobileViTImageProcessor",
        "PoolFormerImageProcessor",
        "SegformerImageProcessor",
    }
)


def read_recipe(processor: Any, *, side: int | None = None) -> Preprocess:
    """The preprocessing of an image processor of transformers.

    Args:
        processor: as ``AutoImageProcessor`` gives it, without torchvision.
        side: of the pictures that the network reads, in pixels: taken where the processor cuts a picture into tiles or
            makes pictures of several sizes.

    Cost: a processor with steps of its own is tried on two small pictures.

    Raises:
        UserError: it does not make one picture of three channels, and ``side`` is not known.
    """
    kind = type(processor).__name__.removesuffix("Pil").removesuffix("Fast")
    recipe = known_recipe(processor)
    if recipe is not None:
        return recipe.preprocess()
    prepare = _as_it_is(kind, processor)
    shapes = {tuple(prepare(Image.new("RGB", (n, n))).shape) for n in (64, 300)}
    shape = next(iter(shapes))
    if len(shapes) == 1 and len(shape) == 3 and shape[0] == 3:
        return prepare
    if side is None:
        made = " or ".join(str(s) for s in sorted(shapes))
        raise UserError(
            f"{kind} makes {made} of a picture, not [3, height, width] of one size: "
            "write the preparation as a function and use  module_subject(model, preprocess)"
        )
    mean, std = (getattr(processor, n, None) for n in ("image_mean", "image_std"))
    one = Recipe(
        resize=exactly(side, side), resample=3, mean=_triple(mean or 0.0), std=_triple(std or 1.0), square=True
    )
    return one.preprocess()


def known_recipe(processor: Any) -> Recipe | None:
    """The steps of a processor that we know; ``None`` for one with steps of its own."""
    kind = type(processor).__name__.removesuffix("Pil").removesuffix("Fast")
    told = _settings(processor)
    if kind not in _KNOWN and not _plain(processor):
        return None
    resize, crop = None, None
    if told["do_resize"]:
        resize = _resize(kind, processor, told["size"])
        if resize is None:
            return None
    if told["do_center_crop"] and told["crop_size"]:
        crop = (int(told["crop_size"]["height"]), int(told["crop_size"]["width"]))
    side = int((told["size"] or {}).get("shortest_edge") or 0)
    if kind == "ConvNextImageProcessor" and told["do_resize"] and side < _CONVNEXT_WARPS:
        crop = crop or (side, side)
    if told["do_pad"]:
        return None
    efficient = kind == "EfficientNetImageProcessor"
    return Recipe(
        resize=resize,
        resample=2 if told["resample"] is None else int(told["resample"]),
        crop=crop,
        square=bool(resize and crop is None and "side" in resize[1]),
        factor=float(told["rescale_factor"]) if told["do_rescale"] else None,
        offset=-1.0 if efficient and processor.rescale_offset else 0.0,
        mean=_triple(told["image_mean"]) if told["do_normalize"] else None,
        std=_triple(told["image_std"]) if told["do_normalize"] else None,
        again=efficient and bool(processor.include_top),
        bgr=bool(getattr(processor, "do_flip_channel_order", False)),
    )


def _settings(processor: Any) -> Mapping[str, Any]:
    names = ("do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor")
    names += ("do_normalize", "image_mean", "image_std", "do_pad")
    found: dict[str, Any] = {n: getattr(processor, n, None) for n in names}
    for name in ("size", "crop_size"):
        given: Any = found[name] or {}
        found[name] = {k: v for k, v in dict(given).items() if v is not None}
    return found


def _plain(processor: Any) -> bool:
    """Whether a processor takes its steps from the base class of transformers' PIL processors alone."""
    from transformers.image_processing_backends import PilBackend

    steps = ("_preprocess", "resize", "center_crop", "rescale", "normalize", "process_image")
    kinds = type(processor)
    return isinstance(processor, PilBackend) and all(getattr(kinds, s) is getattr(PilBackend, s) for s in steps)


def _resize(kind: str, processor: Any, size: Mapping[str, Any]) -> tuple[Resize, str] | None:
    side = int(size.get("shortest_edge") or 0)
    share: Any = getattr(processor, "crop_pct", None)
    if kind == "ConvNextImageProcessor":
        return shortest(int(side / share)) if side < _CONVNEXT_WARPS else exactly(side, side)
    if kind == "LevitImageProcessor" and side:
        return shortest(int((256 / 224) * side))
    if kind == "PoolFormerImageProcessor" and share is not None:
        side = side or (int(size["height"]) if size.get("height") == size.get("width") else 0)
        return shortest(int(side / share)) if side else None
    if side and not size.get("longest_edge"):
        return shortest(side)
    if size.get("height") and size.get("width"):
        return exactly(int(size["height"]), int(size["width"]))
    return None


def _triple(values: Any) -> tuple[float, ...]:
    numbers = [float(values)] * 3 if isinstance(values, (int, float)) else [float(v) for v in values]
    return tuple(numbers)


def _as_it_is(kind: str, processor: Any) -> Preprocess:
    """A processor with steps of its own, called on the central square of a picture."""

    def prepare(image: Image.Image) -> Tensor:
        given = processor(images=_central_square(as_rgb(image)), return_tensors="pt")
        pixels = given["pixel_values"].float()
        while pixels.ndim > 3 and pixels.shape[0] == 1:
            pixels = pixels[0]
        return pixels

    prepare.__qualname__ = f"central square, then {kind} {_stable(processor)}"
    return prepare


def _stable(processor: Any) -> str:
    told = {k: v for k, v in processor.to_dict().items() if k not in ("image_processor_type", "processor_class")}
    return ", ".join(f"{k}={told[k]}" for k in sorted(told) if not isinstance(told[k], np.ndarray))
