"""Image networks of transformers as subjects: whole models, and the towers for pictures of models of pictures and text.

What comes out: class logits (of a detector the largest of each class over its queries, of a segmenter the mean over the
map) or, of a network without a head, its pooled embedding: projected where the model does that, else pooled by the model,
else the mean of the last layer.

What this module does not do: it reads no sound and no video, and no towers that take packed patches for pictures.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn

from maieutic.errors import UserError
from maieutic.subjects.fresh import _calibrate
from maieutic.subjects.hooks import Tap, run_hooked
from maieutic.subjects.image_sites import PICTURES, image_sites, watch
from maieutic.subjects.vision import ImageSubject, Preprocess, noise_images

_EMBEDDINGS = ("image_embeds", "pooler_output", "last_hidden_state", "encoder_last_hidden_state")


class PictureNetwork(nn.Module):
    """A network of transformers called with pixels alone, giving one row for each picture."""

    def __init__(self, inner: nn.Module, *, pooled: bool = True) -> None:
        """Wrap a network.

        Args:
            inner: a ``PreTrainedModel`` that takes ``pixel_values``.
            pooled: whether its pooler was trained (``pooler_output`` may be used).
        """
        super().__init__()
        self.inner = inner
        self._pooled = pooled

    def forward(self, pixels: Tensor) -> Tensor:
        """``[picture, 3, height, width]`` to ``[picture, class]`` or ``[picture, feature]``."""
        result: Any = self.inner(pixel_values=pixels)
        logits = getattr(result, "logits", None)
        if isinstance(logits, Tensor):
            return logits.amax(dim=1) if logits.ndim == 3 else logits.flatten(2).mean(2) if logits.ndim == 4 else logits
        for name in _EMBEDDINGS:
            value = getattr(result, name, None)
            if isinstance(value, Tensor) and (self._pooled or name != "pooler_output"):
                if value.ndim == 4:
                    return value.mean(dim=(2, 3))
                return value.mean(dim=1) if value.ndim == 3 else value
        maps = getattr(result, "feature_maps", None)
        if maps:
            return maps[-1].mean(dim=(2, 3)) if maps[-1].ndim == 4 else maps[-1].mean(dim=1)
        kind = type(self.inner).__name__
        raise UserError(
            f"{kind} gives neither logits nor an embedding of a picture: study one of its backbones instead"
        )


class PretrainedImageSubject(ImageSubject):
    """An image network of transformers: its untrained copies are initialised as its own class does."""

    def untrained(self, seed: int = 0, *, images: Sequence[Image.Image] | None = None) -> ImageSubject:
        """The same architecture as its class draws it, BatchNorm statistics calibrated; see `ImageSubject.untrained`."""
        network = cast("PictureNetwork", self.module)
        inner: Any = network.inner
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            drawn = type(inner)._from_config(copy.deepcopy(inner.config), dtype=torch.float32)
        fresh = PictureNetwork(drawn.to(self._device), pooled=True)
        with torch.no_grad():
            _calibrate(fresh, torch.stack([self.preprocess(i) for i in (images or noise_images(8, seed=seed))]))
        copied = PretrainedImageSubject(
            fresh, self.preprocess, name=f"{self.name} (untrained)", sites=self._sites, batch_size=self.batch_size
        )
        return self._relensed(copied, seed)


def picture_subject(inner: nn.Module, preprocess: Preprocess, *, name: str, pooled: bool = True) -> ImageSubject:
    """A network of transformers, or a part of one, that reads pixels.

    Cost: three forward passes over three pictures, the first with every module's tensors kept.

    Raises:
        UserError: it cannot be called with pictures alone, gives other values each time, or has no site.
    """
    network = PictureNetwork(inner, pooled=pooled).eval().requires_grad_(False)
    pixels = torch.stack([preprocess(i) for i in noise_images(PICTURES, seed=0, size=64)])
    try:
        ran, result = watch(network, lambda: network(pixels))
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise UserError(
            f"{name} cannot be called with pictures alone ({why}): wrap it and use  module_subject(model, preprocess)"
        ) from error
    sites = image_sites(network, ran, result)
    blocks = [s for s in sites if s.io == "out" and s.positions == "spatial"]
    if not blocks:
        raise UserError(f"{name} has no blocks with one value for each picture: use  module_subject(..., sites=[...])")
    tap = Tap(site=blocks[-1].name, module=network.get_submodule(blocks[-1].module))

    def once() -> Tensor:
        seen = run_hooked(lambda: network(pixels), reads=[tap], keep=lambda _tap, value: value.clone())
        return seen.values[tap.site]

    if not torch.allclose(once(), once(), atol=1e-4, rtol=1e-4):
        raise UserError(f"{name} gives other values each time (it masks at random): choose a model that does not")
    return PretrainedImageSubject(network, preprocess, name=name, sites=sites)


def tower_inside(model: Any, config: Any, name: str) -> Any:
    """The outermost part of a model that has the configuration of its tower for pictures or for text.

    Raises:
        UserError: there is none.
    """
    for path, module in cast(nn.Module, model).named_modules():
        own = getattr(module, "config", None)
        if path and type(own) is type(config) and hasattr(module, "_from_config"):
            return module
    raise UserError(f"{name}: no part of {type(model).__name__} is this tower: load the tower's own model instead")
