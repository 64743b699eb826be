"""The study's model: a small GPT, the same code for every arm; arms differ in numbers only.

Pre-LayerNorm blocks, learned positions, untied embeddings. Module names are hook points:

- ``embed``: token and position together; ``blocks.N.attn``: what attention adds; ``blocks.N``: the residual stream after it;
- ``blocks.N.mlp.act``: hidden activations *before* any extra LayerNorm, which is what gets interpreted;
- ``blocks.N.mlp.norm``: the same behind the extra LayerNorm, or unchanged where the arm has none;
- ``blocks.N.mlp.down``: the output matrix that edits change; its input is the output of ``norm``.

What this module does not do: generate text, keep a cache, or load models of others (`maieutic.subjects` does).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from maieutic.errors import StoreError, UsageError
from maieutic.studies.regularization.activations import make_activation
from maieutic.studies.regularization.arms import Arm, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Everything that decides the architecture. ``top_k`` counts units; the other fields are as in `Arm` and `Shape`."""

    vocabulary: int
    layers: int = 3
    d_model: int = 64
    d_mlp: int = 256
    heads: int = 4
    context: int = 32
    activation: str = "gelu"
    temperature: float = 1.0
    top_k: int = 0
    mlp_norm: bool = False
    bias_init: float = 0.0
    dropout: float = 0.0


def model_config(arm: Arm, shape: Shape, *, vocabulary: int) -> ModelConfig:
    """The architecture of an arm at a shape, for a vocabulary of so many tokens."""
    d_mlp = shape.d_mlp * arm.width
    return ModelConfig(
        vocabulary=vocabulary,
        layers=shape.layers,
        d_model=shape.d_model * arm.width,
        d_mlp=d_mlp,
        heads=shape.heads * arm.width,
        context=shape.context,
        activation=arm.activation,
        temperature=arm.temperature,
        top_k=max(1, round(arm.top_k_share * d_mlp)) if arm.activation == "topk" else 0,
        mlp_norm=arm.mlp_norm,
        bias_init=arm.bias_init,
        dropout=arm.dropout,
    )


class Embed(nn.Module):
    """Token and position: ids ``[text, position]`` to ``[text, position, d_model]``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.d_model)
        self.position = nn.Embedding(config.context, config.d_model)

    def forward(self, ids: Tensor) -> Tensor:
        return self.token(ids) + self.position.weight[: ids.shape[1]]


class Attention(nn.Module):
    """Causal self-attention; its output is what it adds to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model)
        self.out = nn.Linear(config.d_model, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    """``down(norm(act(up(x))))``; ``norm`` is the identity in arms without an extra LayerNorm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_mlp)
        self.act = make_activation(config.activation, k=config.top_k, temperature=config.temperature)
        self.norm = nn.LayerNorm(config.d_mlp) if config.mlp_norm else nn.Identity()
        self.down = nn.Linear(config.d_mlp, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.norm(self.act(self.up(x))))


class Block(nn.Module):
    """Attention and MLP, each behind a LayerNorm; its output is the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm_attn = nn.LayerNorm(config.d_model)
        self.attn = Attention(config)
        self.norm_mlp = nn.LayerNorm(config.d_model)
        self.mlp = Mlp(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.attn(self.norm_attn(x)))
        return x + self.drop(self.mlp(self.norm_mlp(x)))


class Gpt(nn.Module):
    """The model. Called with ids ``[text, position]`` (int64), gives logits ``[text, position, token]``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Embed(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.vocabulary, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        if ids.shape[1] > self.config.context:
            raise UsageError(f"this model reads {self.config.context} tokens, not {ids.shape[1]}: give shorter texts")
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def mlps(self) -> list[Mlp]:
        """The MLPs, first layer first."""
        return [cast(Block, b).mlp for b in self.blocks]

    def matrices(self) -> dict[str, nn.Parameter]:
        """The matrices of the blocks by name: what weight rules shrink, and what the counts of nonzero weights count."""
        return {n: p for n, p in self.named_parameters() if n.startswith("blocks.") and p.ndim == 2}


def build_model(config: ModelConfig, *, seed: int) -> Gpt:
    """A fresh model; the same for the same seed. The global random state is put back.

    Matrices are N(0, 1 / (3 * inputs)), the variance of torch's own linear maps; those that write to the residual stream are
    divided by the root of twice the layers (GPT-2). Token embeddings are N(0, 0.25): well apart from the start, which facts
    about two-token names need, positions N(0, 0.01).
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = Gpt(config)
        for name, parameter in model.named_parameters():
            if name.startswith("embed."):
                nn.init.normal_(parameter, std=0.5 if "token" in name else 0.1)
            elif parameter.ndim == 2:
                writes = name.endswith(("attn.out.weight", "mlp.down.weight"))
                std = (3 * parameter.shape[1]) ** -0.5
                nn.init.normal_(parameter, std=std / (2 * config.layers) ** 0.5 if writes else std)
            elif name.endswith("mlp.up.bias"):
                parameter.fill_(config.bias_init)
            elif name.endswith("bias"):
                parameter.zero_()
    return model


def site_names(config: ModelConfig) -> dict[str, list[str]]:
    """Hook points by location, first layer first: ``embed``, ``attn``, ``act``, ``norm`` (where there is one), ``resid``."""
    layers = range(config.layers)
    named = {
        "embed": ["embed"],
        "attn": [f"blocks.{n}.attn" for n in layers],
        "act": [f"blocks.{n}.mlp.act" for n in layers],
        "resid": [f"blocks.{n}" for n in layers],
    }
    return named | ({"norm": [f"blocks.{n}.mlp.norm" for n in layers]} if config.mlp_norm else {})


def save_model(model: Gpt, path: Path) -> None:
    """One safetensors file with the architecture in its header; written under another name and renamed."""
    values = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file(values, unfinished, metadata={"model": json.dumps(asdict(model.config))})
    unfinished.replace(path)


def load_model(path: Path) -> Gpt:
    """A saved model in evaluation mode, on the CPU.

    Raises:
        StoreError: no such file, or it holds no model of this study.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as opened:
            header = cast("dict[str, str]", opened.metadata() or {})
        described: dict[str, Any] = json.loads(header["model"])
        config = ModelConfig(**{f.name: described[f.name] for f in fields(ModelConfig)})
        model = Gpt(config)
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise StoreError(f"{path} holds no model of this study ({error}): train it again") from None
    return model.eval()
