"""Image networks as subjects: any ``torch.nn.Module`` with a function from ``PIL.Image`` to a tensor.

The reading of a channel is the mean over its map, not the maximum: bounded activations (ReLU6) saturate, so maxima
tie. Convolutional values are ``[image, channel, height, width]``; token values (vision transformers)
``[image, token, channel]`` are averaged over tokens, class token included.

What this module does not do: it holds no network of its own (see `efficientnet_lite`), and knows no corpora.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from maieutic.errors import UsageError, UserError
from maieutic.subjects.base import Batch, Intervention, Site, Take, TokenSpan, Values, raw
from maieutic.subjects.fresh import fresh_copy, weights_digest
from maieutic.subjects.function import code_text
from maieutic.subjects.hooks import Pass, Tap, check_moved, on_cpu, run_hooked
from maieutic.subjects.networks import NetworkSubject

if TYPE_CHECKING:
    from maieutic.subjects.base import Raw

Preprocess = Callable[[Image.Image], Tensor]


def as_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB; transparent parts become white rather than whatever colour hides beneath them."""
    if image.mode == "RGB":
        return image
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def scaled(size: int, *, mean: Sequence[float] = (0.5, 0.5, 0.5), std: Sequence[float] = (0.5, 0.5, 0.5)) -> Preprocess:
    """A preprocessing function: short side to ``size`` (bicubic), centre crop, ``(x / 255 - mean) / std``.

    A square image is only resized, never cropped, so masks of composed scenes stay aligned with activation maps.
    """
    scale = torch.tensor([1 / (255 * s) for s in std], dtype=torch.float32).view(3, 1, 1)
    shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], dtype=torch.float32).view(3, 1, 1)

    def prepare(image: Image.Image) -> Tensor:
        image = as_rgb(image)
        width, height = image.size
        if (width, height) != (size, size):
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
            image = image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
        pixels = torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)
        return pixels * scale - shift

    prepare.__qualname__ = f"scaled({size}, mean={tuple(mean)}, std={tuple(std)})"
    return prepare


class ImageSubject(NetworkSubject):
    """An image network: readings are spatial means, maps on request. Built by `module_subject` or a packaged loader."""

    modality = "image"

    def __init__(
        self,
        module: nn.Module,
        preprocess: Preprocess,
        *,
        name: str,
        sites: Sequence[Site],
        batch_size: int = 8,
        channels_last: bool = False,
        prepare: Callable[[nn.Module], nn.Module] | None = None,
    ) -> None:
        """Take over a network.

        Args:
            module: called with float ``[image, 3, height, width]``; put into evaluation mode, on its own device.
            preprocess: from a PIL image to float ``[3, height, width]``.
            name: what people call it.
            sites: hook points in the order of the forward pass.
            batch_size: images of one forward pass.
            channels_last: memory layout of pixels and weights (faster for some convolutions, same values).
            prepare: from the network to the copy that runs, with the same module paths and values but faster.
        """
        super().__init__(name=name, sites=sites)
        self.batch_size = batch_size
        self.module = module.eval().requires_grad_(False)
        self.preprocess = preprocess
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._prepare = prepare
        running = self.module if prepare is None else prepare(self.module)
        self._running = _with_layout(running, self._layout) if channels_last else running

    @property
    def network(self) -> nn.Module:
        """The copy that runs."""
        return self._running

    def _own_digest(self) -> str:
        """Of weights and preprocessing."""
        what = getattr(self.preprocess, "__qualname__", type(self.preprocess).__qualname__)
        return weights_digest(self.module, what, code_text(self.preprocess))

    def tokens(self, text: str) -> list[TokenSpan]:
        """An image has no tokens.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.name} reads images, not text: use a text subject such as  smollm2-135m")

    def forward(
        self,
        stimuli: Sequence[Raw],
        sites: Sequence[str],
        *,
        interventions: Sequence[Intervention] = (),
        maps: bool = False,
    ) -> Batch:
        """One pass over the images as one batch; values ``[image, unit]``, or ``[image, unit, height, width]`` maps."""
        reads = [self._tap(site) for site in sites]
        keep = partial(_keep_map, behind=_tokens_behind(self.module)) if maps else _keep_mean
        seen = self._run(stimuli, reads, interventions, keep=keep, to_end=False)
        return Batch(values=seen.values, lengths=np.ones(len(stimuli), np.int64), moved=tuple(seen.moved))

    @property
    def per_pass(self) -> int:
        """One image on the CPU, ``batch_size`` on an accelerator."""
        return 1 if on_cpu(self._device) else self.batch_size

    def stream(self, stimuli: Sequence[Raw], sites: Sequence[str], take: Take) -> None:
        """One pass over the images as one batch, each with one position, its mean; see `Subject.stream`."""
        lengths = [1] * len(stimuli)

        def keep(tap: Tap, value: Tensor) -> None:
            take(tap.site, _mean(value)[:, None, :], range(len(lengths)), lengths)

        self._run(stimuli, [self._tap(s) for s in sites], (), keep=keep, to_end=False)

    def outputs(self, stimuli: Sequence[Raw], *, interventions: Sequence[Intervention] = ()) -> Values:
        """Logits ``[image, class]``, float32.

        Raises:
            InterventionDidNothing: an intervention changed no activation of any image.
        """
        rows: list[Values] = []
        moved = np.zeros(len(interventions))
        for start in range(0, len(stimuli), self.batch_size):
            seen = self._run(stimuli[start : start + self.batch_size], (), interventions, keep=_keep_mean, to_end=True)
            rows.append(logits_of(seen.result).flatten(1).float().cpu().numpy())
            moved = np.maximum(moved, seen.moved)
        if interventions and stimuli:
            check_moved(interventions, moved.tolist())
        return np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)

    def untrained(self, seed: int = 0, *, images: Sequence[Image.Image] | None = None) -> ImageSubject:
        """The same architecture with fresh weights, its BatchNorm statistics calibrated so that signals survive.

        Args:
            seed: of weights and, without ``images``, of the calibration noise.
            images: what to calibrate on (16 are plenty); seeded noise with structure at every scale otherwise.
        """
        calibration = torch.stack([self.preprocess(i) for i in (images or noise_images(8, seed=seed))])
        fresh = ImageSubject(
            fresh_copy(self.module, seed=seed, calibration=calibration),
            self.preprocess,
            name=f"{self.name} (untrained)",
            sites=self._sites,
            batch_size=self.batch_size,
            channels_last=self._layout is torch.channels_last,
            prepare=self._prepare,
        )
        return self._relensed(fresh, seed)

    def _run(
        self,
        stimuli: Sequence[Raw],
        reads: Sequence[Tap],
        interventions: Sequence[Intervention],
        *,
        keep: Callable[[Tap, Tensor], Tensor | None],
        to_end: bool,
    ) -> Pass:
        pixels = self.pixels(stimuli)
        changes = [(self._tap(i.unit.site), i) for i in interventions]
        return run_hooked(lambda: self._running(pixels), reads=reads, changes=changes, keep=keep, to_end=to_end)

    @property
    def _device(self) -> torch.device:
        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    def pixels(self, stimuli: Sequence[Raw]) -> Tensor:
        """The preprocessed batch ``[image, 3, height, width]`` on the network's device.

        Raises:
            UsageError: a stimulus is no PIL image.
        """
        images = [raw(s) for s in stimuli]
        wrong = next((i for i in images if not isinstance(i, Image.Image)), None)
        if wrong is not None:
            kind = type(wrong).__name__
            raise UsageError(f"{self.name} reads PIL images, not {kind}: open the file with PIL.Image.open")
        tensors = [self.preprocess(cast("Image.Image", i)) for i in images]
        if len({t.shape for t in tensors}) > 1:
            raise UserError(f"{self.name}: the preprocessing gives images of different sizes: resize to one size in it")
        return torch.stack(tensors).to(self._device).contiguous(memory_format=self._layout)


def _with_layout(module: nn.Module, layout: torch.memory_format) -> nn.Module:
    return cast("Any", module).to(memory_format=layout)


def _keep_mean(_tap: Tap, value: Tensor) -> Tensor:
    """``[image, unit]`` on the CPU: the mean over whatever stands between."""
    mean = _mean(value).cpu()
    return mean.clone() if value.ndim == 2 else mean


def _mean(value: Tensor) -> Tensor:
    if value.ndim == 2:
        return value.float()
    return value.float().mean(dim=(2, 3)) if value.ndim == 4 else value.float().mean(dim=1)


def _tokens_behind(module: nn.Module) -> int:
    """Tokens that stand behind those of the image: what a YOLOS finds its objects with."""
    return int(getattr(getattr(module, "config", None), "num_detection_tokens", 0) or 0)


def _keep_map(tap: Tap, value: Tensor, *, behind: int = 0) -> Tensor:
    """``[image, unit, height, width]``; tokens of a square image, less those before and behind it, become a square."""
    if value.ndim == 4:
        return value.float().cpu().clone()
    if value.ndim == 2:
        return value.float().cpu().clone()[:, :, None, None]
    tokens = value[:, : max(value.shape[1] - behind, 0)]
    side = math.isqrt(tokens.shape[1])
    if side == 0:
        raise UserError(f"{tap.site} has no map: choose a convolutional site")
    return (
        tokens[:, tokens.shape[1] - side * side :].float().cpu().unflatten(1, (side, side)).permute(0, 3, 1, 2).clone()
    )


def logits_of(result: Any) -> Tensor:
    """The tensor in what a network returned: itself, its ``logits``, or the first of a tuple."""
    found = getattr(result, "logits", result)
    found = cast("Sequence[Any]", found)[0] if isinstance(found, (tuple, list)) else found
    if not isinstance(found, Tensor):
        kind = type(found).__name__
        raise UserError(f"the network returns {kind}, not a tensor: wrap it in a module that returns logits")
    return found


def noise_images(count: int, *, seed: int, size: int = 256) -> list[Image.Image]:
    """Seeded RGB noise with structure at every scale (amplitude 1/frequency, like photographs)."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    frequency[0, 0] = 1.0 / size
    images: list[Image.Image] = []
    for _ in range(count):
        spectrum = np.fft.fft2(generator.standard_normal((3, size, size))) / frequency
        pixels = np.fft.ifft2(spectrum).real.transpose(1, 2, 0)
        pixels = (pixels - pixels.mean()) / pixels.std() * 64 + 128
        images.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    return images
