"""Sites of any image network, found by its structure and one forward pass over three pictures.

Names, in the order of the forward pass:

- ``stem``: what enters the first block.
- Networks in stages (ResNet, ConvNeXt, Swin): ``stages.I.blocks.J``; flat ones: ``blocks.N``, and ``layers.N`` for plain
  transformers, as in language models.
- In a block with attention: ``.attn`` (what attention gives), ``.mlp`` (the MLP's neurons: the input of the projection
  back to the block's width, found by shape) and ``.resid`` (the block's output). In a block without: the block's output
  under the block's own name, ``.mlp`` where the projection is unique, ``.act1``, ``.act2`` ... (after each activation).
- ``pooled`` (what enters the classifier) and ``logits``.

A block is a numbered composite module that runs once and gives one tensor whose first axis counts pictures; a stage is a
numbered module with blocks inside. What runs several times, mixes pictures (attention in windows), or is an activation
by function call has no module with one value for each picture, and is no site.

What this module does not do: it knows no names of networks. Decoders and heads of detectors are left out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from maieutic.subjects.base import Site
from maieutic.subjects.language_sites import linear_shape

#: pictures of the example pass: an odd number that is no usual width, so that an axis of this size counts pictures
PICTURES = 3
_NUMBERED = re.compile(r"\D*\d+")
_SHORTCUT = re.compile(r"shortcut|downsample|residual", re.IGNORECASE)
#: words in the path of a list that is no part of the trunk
# fmt: off
_NOT_TRUNK = frozenset(
    {"embed", "embeds", "embedder", "embedding", "embeddings", "decoder", "decode", "neck", "head", "heads",
     "norm", "norms", "downsample", "downsamples", "downsampling", "transition", "pooler", "classifier", "stem", "query",
     "position", "projector", "projection"}
)
# fmt: on
#: a list of blocks with fewer of the parameters than this is a detail
_SHARE = 0.05


@dataclass(slots=True)
class Ran:
    """How one module ran in the example pass: calls, when it began and ended, its first input and first output."""

    calls: int = 0
    began: int = 0
    ended: int = 0
    put: Tensor | None = None
    out: Tensor | None = None

    @property
    def given(self) -> tuple[int, ...]:
        """Shape of the input."""
        return () if self.put is None else tuple(self.put.shape)

    @property
    def gave(self) -> tuple[int, ...]:
        """Shape of the output."""
        return () if self.out is None else tuple(self.out.shape)


@dataclass(frozen=True, slots=True)
class _Block:
    """A numbered composite module: its path and the name its sites begin with."""

    path: str
    name: str
    attention: str | None


def image_sites(root: nn.Module, ran: dict[str, Ran], result: Tensor | None) -> tuple[Site, ...]:
    """Sites of an image network.

    Args:
        root: the network.
        ran: how its modules ran on `PICTURES` pictures that are square and differ, as `watch` gives it.
        result: what the network returned.

    Returns:
        Sites in the order of the forward pass; empty where no blocks were found.
    """
    modules = dict(root.named_modules())
    blocks = _blocks(modules, ran)
    if not blocks:
        return ()
    found: list[tuple[int, Site]] = []

    def add(name: str, path: str, what: str, *, io: Literal["out", "in"] = "out") -> None:
        seen = ran[path]
        shape = seen.given if io == "in" else seen.gave
        laid = _layout(shape, modules[path], io)
        if laid is not None:
            positions: Literal["spatial", "none"] = "spatial" if len(shape) > 2 else "none"
            width = shape[laid]
            last = len(shape) == 4 and laid == 3
            site = Site(name=name, module=path, io=io, width=width, positions=positions, what=what, channels_last=last)
            found.append((seen.began if io == "in" else seen.ended, site))

    add("stem", blocks[0].path, "what enters the first block", io="in")
    for block in blocks:
        _inside(block, modules, ran, add)
    _ending(modules, ran, result, add)
    return tuple(_unlike([site for _, site in sorted(found, key=lambda pair: pair[0])]))


def _unlike(sites: Sequence[Site]) -> list[Site]:
    """Sites whose names differ: the first of each name."""
    kept: dict[str, Site] = {}
    for site in sites:
        kept.setdefault(site.name, site)
    return list(kept.values())


def _inside(block: _Block, modules: dict[str, nn.Module], ran: dict[str, Ran], add: Callable[..., None]) -> None:
    """The sites of one block."""
    output = ran[block.path]
    inner = [p for p in modules if p.startswith(f"{block.path}.")]
    once = [p for p in inner if p in ran and ran[p].calls == 1]
    if block.attention is not None and block.attention in once:
        add(f"{block.name}.attn", block.attention, "attention output")
    laid = _layout(output.gave, modules[block.path], "out")
    width = output.gave[laid] if laid is not None else 0
    outside = [p for p in once if block.attention is None or not f"{p}.".startswith(f"{block.attention}.")]
    projections = [p for p in outside if _projects(modules[p], width) and not _of_attention(p, block.path, modules)]
    # a shortcut from the block's input is no way out of an MLP
    projections = [
        p for p in projections if not _SHORTCUT.search(p[len(block.path) :]) and not _same(ran[p].put, output.put)
    ]
    mlp = projections[0] if len(projections) == 1 else None
    if mlp is not None:
        add(f"{block.name}.mlp", mlp, "MLP neurons", io="in")
    if block.attention is None:
        taken = [output.out] + ([ran[mlp].put] if mlp is not None else [])
        # what weighs channels (squeeze and excitation) has lost its map
        acts = [p for p in once if is_activation(modules[p]) and not any(_same(ran[p].out, t) for t in taken)]
        acts = [p for p in acts if ran[p].gave[2:] != (1, 1) or output.gave[2:] == (1, 1)]
        for number, path in enumerate(sorted(acts, key=lambda p: ran[p].ended), start=1):
            add(f"{block.name}.act{number}", path, f"after {type(modules[path]).__name__}")
        add(block.name, block.path, "block output")
    else:
        add(f"{block.name}.resid", block.path, "residual stream after the block")


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether two tensors are the same place in memory."""
    return one is not None and other is not None and one.data_ptr() == other.data_ptr()


def _ending(
    modules: dict[str, nn.Module], ran: dict[str, Ran], result: Tensor | None, add: Callable[..., None]
) -> None:
    """The classifier: the linear map whose output is what the network returns."""
    for path, module in modules.items():
        if isinstance(module, nn.Linear) and path in ran and ran[path].calls == 1 and _same(ran[path].out, result):
            if len(ran[path].gave) == 2:
                add("pooled", path, "what enters the classifier", io="in")
                add("logits", path, "class logits")
            return


def is_activation(module: nn.Module) -> bool:
    """Whether a module is a nonlinearity: without children, in a module of that name (torch, transformers, timm)."""
    leaf = not any(True for _ in module.children())
    return leaf and "activation" in type(module).__module__ and not isinstance(module, nn.MultiheadAttention)


def _projects(module: nn.Module, width: int) -> bool:
    """Whether this is a linear map or 1 x 1 convolution from another width, at least as large, to this one."""
    shape = linear_shape(module)
    if shape is None and isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
        shape = (module.in_channels, module.out_channels)
    return shape is not None and shape[1] == width and shape[0] > width


def _of_attention(path: str, block: str, modules: dict[str, nn.Module]) -> bool:
    """Whether a module stands in one of an attention's class, up to the block itself."""
    parts = path.split(".")
    above = [".".join(parts[:n]) for n in range(len(block.split(".")), len(parts))]
    return any("attention" in type(modules[p]).__name__.lower() for p in above)


def _layout(shape: tuple[int, ...], module: nn.Module, io: str) -> int | None:
    """The axis of units; ``None`` for a tensor that has no value of each unit for each picture, or that may be either."""
    if len(shape) not in (2, 3, 4) or shape[0] != PICTURES:
        return None
    if len(shape) < 4:
        return len(shape) - 1
    linear = isinstance(module, (nn.Linear, nn.LayerNorm)) and (io == "in" or isinstance(module, nn.Linear))
    if linear:
        return 3
    if isinstance(module, (nn.Conv2d, nn.modules.batchnorm._BatchNorm)):
        return 1
    _, a, b, c = shape
    if a == b == c:
        kinds = {nn.Conv2d if isinstance(m, nn.Conv2d) else nn.Linear for m in module.modules() if _linear(m)}
        return 1 if kinds == {nn.Conv2d} else 3 if kinds == {nn.Linear} else None
    return 1 if b == c else 3 if a == b else None


def _linear(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, nn.Conv2d))


# --- structure -------------------------------------------------------------------------------------------------------
def _blocks(modules: dict[str, nn.Module], ran: dict[str, Ran]) -> list[_Block]:
    """The blocks of the trunk in the order of the forward pass."""
    composite = [p for p in modules if p and _numbered(p, modules) and any(True for _ in modules[p].children())]
    outer = [p for p in composite if not any(p.startswith(f"{q}.") for q in composite)]
    lists: dict[str, list[str]] = {}
    for path in outer:
        lists.setdefault(re.sub(r"\d+$", "", path), []).append(path)
    whole = {key: sum(_size(modules[p]) for p in paths) for key, paths in lists.items()}
    total = sum(whole.values())
    trunks = [k for k in lists if whole[k] >= _SHARE * total and not _NOT_TRUNK & set(re.split(r"[._]", k))]
    if not trunks:
        trunks = [k for k in lists if whole[k] == max(whole.values())]
    named = _trunk_names(trunks)
    blocks: list[_Block] = []
    for key in trunks:
        blocks += _trunk(named[key], lists[key], composite, modules, ran)
    return sorted(blocks, key=lambda b: ran[b.path].ended)


def _numbered(path: str, modules: dict[str, nn.Module]) -> bool:
    """Whether the last part is a number, or a word with a number that has siblings (``layer1``, ``layer2``)."""
    above, _, last = path.rpartition(".")
    if last.isdigit():
        return True
    if _NUMBERED.fullmatch(last) is None:
        return False
    word = re.sub(r"\d+$", "", last)
    start = f"{above}." if above else ""
    others = (p[len(start) :] for p in modules if p.startswith(start + word) and p != path)
    return any(o[len(word) :].isdigit() for o in others)


def _trunk(
    prefix: str, paths: Sequence[str], composite: Sequence[str], modules: dict[str, nn.Module], ran: dict[str, Ran]
) -> list[_Block]:
    """The blocks of one list: its members, or what they hold where they are stages."""
    inner = {p: _next_level(p, composite) for p in paths}
    inner = {p: [q for q in found if _good(q, ran)] for p, found in inner.items()}
    share = {p: sum(_size(modules[q]) for q in found) / max(_size(modules[p]), 1) for p, found in inner.items()}
    staged = [p for p in paths if inner[p] and share[p] > 0.5]
    flat = [p for p in paths if _good(p, ran)]
    deep = any(_blocklike(modules[q]) for p in staged for q in inner[p])
    blocks: list[_Block] = []
    if staged and deep and len(staged) * 2 >= len(paths):
        for i, path in enumerate(paths):
            for j, block in enumerate(inner[path] or ([path] if path in flat else [])):
                blocks.append(_Block(block, f"{prefix}stages.{i}.blocks.{j}", _attention_of(block, modules)))
        return blocks
    attentions = {p: _attention_of(p, modules) for p in flat}
    word = "layers" if all(attentions.values()) else "blocks"
    return [_Block(p, f"{prefix}{word}.{n}", attentions[p]) for n, p in enumerate(paths) if p in attentions]


def _next_level(path: str, composite: Sequence[str]) -> list[str]:
    """Numbered composite modules below, those with no other between."""
    below = [q for q in composite if q.startswith(f"{path}.")]
    return [q for q in below if not any(q.startswith(f"{r}.") for r in below)]


def _good(path: str, ran: dict[str, Ran]) -> bool:
    seen = ran.get(path)
    return seen is not None and seen.calls == 1 and len(seen.gave) in (3, 4) and seen.gave[0] == PICTURES


def _blocklike(module: nn.Module) -> bool:
    """Whether a module has more than one linear map or convolution, so that it is more than a layer of a block."""
    return sum(_linear(m) for m in module.modules()) > 1


def _attention_of(path: str, modules: dict[str, nn.Module]) -> str | None:
    """The outermost module of a block that is named for attention."""
    for name in modules:
        last = name.rsplit(".", 1)[-1].lower()
        named = ("attn" in last or "attention" in last) and "norm" not in last
        if named and name.startswith(f"{path}.") and any(True for _ in modules[name].children()):
            return None if _gates(modules[name]) else name
    return None


def _gates(module: nn.Module) -> bool:
    """Whether this weighs channels (squeeze and excitation) rather than positions."""
    return any("sigmoid" in type(m).__name__.lower() or isinstance(m, nn.AdaptiveAvgPool2d) for m in module.modules())


def _trunk_names(keys: Sequence[str]) -> dict[str, str]:
    """What the names of each list's blocks begin with: nothing, or the part of its path that tells it from the others."""
    if len(keys) < 2:
        return dict.fromkeys(keys, "")
    named: dict[str, str] = {}
    inside = {k: k.strip(".").split(".")[:-1] for k in keys}
    for key, parts in inside.items():
        others = {q for k, found in inside.items() if k != key for q in found}
        own = [p for p in parts if p not in others] or parts[-1:] or [key.strip(".")]
        named[key] = f"{own[0]}."
    if len(set(named.values())) < len(keys):
        return {k: f"{k.strip('.').replace('.', '_')}." for k in keys}
    return named


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# --- the example pass ------------------------------------------------------------------------------------------------
def watch(root: nn.Module, call: Callable[[], Any]) -> tuple[dict[str, Ran], Tensor | None]:
    """How every module ran, by path, and the tensor that came out.

    Cost: one forward pass, with every module's tensors kept.
    """
    ran: dict[str, Ran] = {}
    handles: list[Any] = []
    clock = itertools.count()

    def before(path: str) -> Callable[..., None]:
        def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen = ran.setdefault(path, Ran(began=next(clock)))
            seen.calls += 1
            first = args[0] if args else next((v for v in kwargs.values() if isinstance(v, Tensor)), None)
            # a list of tensors (DenseNet's) is no input that could be read
            seen.put = first if isinstance(first, Tensor) else None

        return note

    def after(path: str) -> Callable[..., None]:
        def note(_module: nn.Module, _args: Any, output: Any) -> None:
            ran[path].ended, ran[path].out = next(clock), _first(output)

        return note

    try:
        for path, module in root.named_modules():
            if path:
                handles.append(module.register_forward_pre_hook(before(path), with_kwargs=True))
                handles.append(module.register_forward_hook(after(path)))
        with torch.inference_mode():
            result = _first(call())
    finally:
        for handle in handles:
            handle.remove()
    return ran, result


def _first(value: Any) -> Tensor | None:
    found: Any = cast("Sequence[Any]", value)[0] if isinstance(value, (tuple, list)) and value else value
    return found if isinstance(found, Tensor) else None
