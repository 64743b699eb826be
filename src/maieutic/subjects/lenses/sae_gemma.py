"""Gemma Scope's files: one JumpReLU SAE a folder, for Gemma 2 (``params.npz``) or Gemma 3 (``params.safetensors``).

``latent = v where v > threshold, else 0, v = W' x + b``: the decoder's bias is not subtracted, inputs are not scaled (Lieberum et
al. 2024, section 3; the releases' weights have the scale folded in). Where an SAE was trained is not in the weights:

* Gemma 2: the repository's name says what (``…-res``, ``-att``, ``-mlp``) and the folder which layer (``layer_20/width_16k/…``);
  keep both in the path of what was downloaded (``gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71``).
* Gemma 3: ``config.json`` beside the weights says it, and where it is missing the folder (``resid_post/layer_12_…``).

A path that says neither leaves the site to be named. What this module does not do: read transcoders and crosscoders, whose output
belongs to other sites than their input; know other releases for Gemma.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from maieutic.errors import UserError
from maieutic.subjects.lenses.sae_files import SaeFile, checked, read_json, read_tensors, sized

if TYPE_CHECKING:
    from torch import Tensor

    from maieutic.subjects.lenses.sae import Sae

CONFIG, WEIGHTS = "config.json", ("params.npz", "params.safetensors")
#: repositories of Gemma 2, as in ``gemma-scope-9b-it-res``
_SECOND = re.compile(r"gemma-scope-(\d+b)-(pt|it)-(\w+)")
_SECOND_HOOKS = {"res": "hook_resid_post", "att": "attn.hook_z", "mlp": "hook_mlp_out"}
#: folders of Gemma 3, as in ``resid_post_all/layer_12_width_16k_l0_small``
_THIRD_HOOKS = {
    "resid_post": "output", "attn_out": "self_attn.o_proj.input", "mlp_out": "post_feedforward_layernorm.output",
}  # fmt: skip
_ELSEWHERE = re.compile(r"transcoder|crosscoder|clt")


class _Config(BaseModel):
    """``config.json`` of the SAEs for Gemma 3; what we do not use is ignored."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    architecture: str = "jump_relu"
    hf_hook_point_in: str | None = None
    hf_hook_point_out: str | None = None
    model_name: str = ""
    affine_connection: bool = False
    apply_b_dec_to_input: bool = False


def read_gemma_scope(folder: Path, source: str) -> SaeFile:
    """Read an SAE of Gemma Scope.

    Args:
        folder: where the files lie. source: the folder or hub id that was asked for, whose words say what was trained where.

    Cost: the file is read whole, as float32.

    Raises:
        UserError: a transcoder, another architecture, damaged or missing tensors.
    """
    file = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    # a folder may be called by its own name alone, and a hub id lies in a cache under another
    path = f"{source}/{folder.absolute().as_posix()}"
    said = _Config()
    if (folder / CONFIG).is_file():
        said = checked(_Config, folder / CONFIG, read_json(folder / CONFIG))
    moved = said.hf_hook_point_out not in (None, said.hf_hook_point_in)
    tensors = {re.sub(r"^w_", "W_", name): t for name, t in read_tensors(file).items()}
    if moved or said.affine_connection or "affine_skip_connection" in tensors or _ELSEWHERE.search(_own(path)):
        raise UserError(
            f"{folder} is a transcoder: its output belongs to another site than its input; use an SAE of Gemma Scope"
        )
    if said.architecture not in ("jump_relu", "jumprelu"):
        raise UserError(f"{folder}: the architecture {said.architecture!r} is not supported: use a jump_relu SAE")
    hook, model = (said.hf_hook_point_in or "", said.model_name) if said.hf_hook_point_in else _told(path)
    return SaeFile(
        sae=_built(folder, tensors, centred=said.apply_b_dec_to_input), source=source, format="gemma-scope", hook=hook,
        model=model,
    )  # fmt: skip


def _own(path: str) -> str:
    """The part of a path that Gemma Scope named: what stands above may be called anything."""
    at = path.rfind("gemma-scope")
    return path[at:] if at >= 0 else "/".join(path.split("/")[-3:])


def _told(path: str) -> tuple[str, str]:
    """Hook and model by the words of a path; empty where it says neither."""
    own = _own(path)
    second, layer = _SECOND.search(own), re.search(r"layer_(\d+)", own)
    if second is not None:
        model = f"google/gemma-2-{second[1]}{'-it' if second[2] == 'it' else ''}"
        what = _SECOND_HOOKS.get(second[3])
        if what is None or layer is None:
            return ("hook_embed" if "embedding" in own else ""), model
        return f"blocks.{layer[1]}.{what}", model
    what = next((hook for name, hook in _THIRD_HOOKS.items() if name in own), None)
    return (f"model.layers.{layer[1]}.{what}" if what is not None and layer is not None else ""), ""


def _built(folder: Path, tensors: Mapping[str, Tensor], *, centred: bool) -> Sae:
    from maieutic.subjects.lenses.sae import Sae

    latents, hidden = sized(folder, tensors, "W_dec", (None, None)).shape
    return Sae(
        kind="jumprelu", centred=centred, decoder=tensors["W_dec"],
        encoder=sized(folder, tensors, "W_enc", (hidden, latents)),
        encoder_bias=sized(folder, tensors, "b_enc", (latents,)), decoder_bias=sized(folder, tensors, "b_dec", (hidden,)),
        threshold=sized(folder, tensors, "threshold", (latents,)),
    )  # fmt: skip
