"""Sites of transformers over text: for every block N ``layers.N.attn``, ``layers.N.mlp`` and ``layers.N.resid``.

``attn``: what attention adds to the residual stream. ``mlp``: the MLP's neurons, that is the input of the linear map back
to the residual stream, found by shape; a block where it is not unique (mixture of experts) has none. ``resid``: the
block's output. Found in the network's modules, whatever they are called, without a forward pass.

What this module does not do: networks that run one block several times (ALBERT) have no site that stands for one layer.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from maieutic.errors import UserError
from maieutic.subjects.base import Site


def model_sites(model: Any) -> tuple[Site, ...]:
    """Sites of a language model, from the shapes of its modules alone.

    Raises:
        UserError: no stack of blocks was found.
    """
    config = model.config.get_text_config()
    count, hidden = int(config.num_hidden_layers), int(config.hidden_size)
    inside, root = _text_part(model, config)
    stacks = [(n, m) for n, m in root.named_modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    stacks = [(n, m) for n, m in stacks if any(True for _ in m[0].children())]
    if not stacks:
        kind = type(model).__name__
        raise UserError(f"{kind} has no list of {count} blocks: use  module_subject(model, tokenizer=..., sites=[...])")
    path, blocks = stacks[0]
    path = inside + path
    sites: list[Site] = []
    for n, block in enumerate(blocks):
        attention = _attention(block)
        if attention is not None:
            sites.append(_site(f"layers.{n}.attn", f"{path}.{n}.{attention}", hidden, "attention output"))
        projection = _mlp_projection(block, hidden, attention)
        if projection is not None:
            name, width = projection
            sites.append(_site(f"layers.{n}.mlp", f"{path}.{n}.{name}", width, "MLP neurons", io="in"))
        sites.append(_site(f"layers.{n}.resid", f"{path}.{n}", hidden, "residual stream after the block"))
    return tuple(sites)


def _text_part(model: Any, config: Any) -> tuple[str, nn.Module]:
    """Path (with a dot at its end) and module of the language model inside a model of text and pictures."""
    root = cast(nn.Module, model)
    if config is model.config:
        return "", root
    for name, module in root.named_modules():
        if name and type(getattr(module, "config", None)) is type(config):
            return f"{name}.", module
    return "", root


def _site(name: str, module: str, width: int, what: str, *, io: Any = "out") -> Site:
    return Site(name=name, module=module, width=width, positions="token", io=io, what=what)


def _attention(block: nn.Module) -> str | None:
    """Path of the block's attention module: one of its children, or the first deeper one."""
    named = [(n, c) for n, c in block.named_children()] + [(n, c) for n, c in block.named_modules() if "." in n]
    for path, child in named:
        name = path.rsplit(".", 1)[-1].lower()
        named = ("attn" in name or "attention" in name) and "norm" not in name and "ln" not in name
        if named and ("." not in path or any(True for _ in child.children())):
            return path
    return None


def _mlp_projection(block: nn.Module, hidden: int, attention: str | None) -> tuple[str, int] | None:
    """Path and input width of the linear map from the MLP's neurons back to the residual stream, when it is unique."""
    found: list[tuple[str, int]] = []
    for name, child in block.named_modules():
        if attention is not None and f"{name}.".startswith(f"{attention}."):
            continue
        shape = linear_shape(child)
        if shape is not None and shape[1] == hidden and shape[0] != hidden:
            found.append((name, shape[0]))
    return found[0] if len(found) == 1 else None


def linear_shape(module: nn.Module) -> tuple[int, int] | None:
    """Inputs and outputs of a linear map (torch's, or the transposed one of GPT-2)."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if type(module).__name__ == "Conv1D":
        rows, columns = cast(Tensor, module.weight).shape
        return int(rows), int(columns)
    return None
