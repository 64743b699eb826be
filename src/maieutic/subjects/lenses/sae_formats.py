"""SAEs from disk or hub: the files of SAELens (old and new), of sparsify (delphi), and of ``maieutic sae train``.

* SAELens: ``cfg.json`` and ``sae_weights.safetensors``. Before version 6 everything stood on one level (``hook_name`` or
  ``hook_point``, ``activation_fn_str``, ``activation_fn_kwargs``); since then what is about the model is in ``metadata``.
  ``maieutic sae train`` writes this format too, and says its site in ``metadata.maieutic``.
* sparsify: ``cfg.json`` and ``sae.safetensors``, in a folder named after the module whose *output* was read (``layers.7.mlp`` is
  what the MLP gives, not its neurons).
* Gemma Scope: ``params.npz`` or ``params.safetensors`` (`sae_gemma`).

What is not in the file is not guessed. An SAE whose inputs were scaled by a factor that the file does not hold is refused unless
the factor is given. What this module does not do: read pickles (``.pt``, ``.bin``), which can run code when they are opened;
transcoders, whose output belongs to another site than their input; run code of a repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from maieutic.errors import UserError
from maieutic.subjects.lenses.sae_files import CONFIG, SaeFile, checked, read_json, read_tensors, sized
from maieutic.subjects.lenses.sae_gemma import CONFIG as GEMMA_CONFIG
from maieutic.subjects.lenses.sae_gemma import WEIGHTS as GEMMA
from maieutic.subjects.lenses.sae_gemma import read_gemma_scope

if TYPE_CHECKING:
    from torch import Tensor

    from maieutic.subjects.lenses.sae import Norm, Sae

SAELENS, SPARSIFY = "sae_weights.safetensors", "sae.safetensors"
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".ckpt")
_NORMS: dict[str, str] = {
    "none": "none",
    "layer_norm": "layer_norm",
    "constant_norm_rescale": "constant_norm",
}
_SCALED = "expected_average_only_in"


class _Config(BaseModel):
    """``cfg.json`` of SAELens on one level; what we do not use is ignored."""

    model_config = ConfigDict(extra="ignore")

    architecture: str = "standard"
    d_in: int = Field(gt=0)
    apply_b_dec_to_input: bool = True
    normalize_activations: str | bool | None = "none"
    reshape_activations: str = "none"
    rescale_acts_by_decoder_norm: bool = False
    finetuning_scaling_factor: bool = False
    k: float | None = None
    activation_fn: str | None = Field(default=None, validation_alias=AliasChoices("activation_fn", "activation_fn_str"))
    activation_fn_kwargs: dict[str, Any] | None = None
    hook_name: str | None = Field(default=None, validation_alias=AliasChoices("hook_name", "hook_point"))
    hook_head_index: int | None = Field(
        default=None, validation_alias=AliasChoices("hook_head_index", "hook_point_head_index")
    )
    model_name: str | None = None
    model_from_pretrained_kwargs: dict[str, Any] | None = None
    maieutic: dict[str, Any] | None = None


class _Sparsify(BaseModel):
    """``cfg.json`` of sparsify."""

    model_config = ConfigDict(extra="ignore")

    d_in: int = Field(gt=0)
    k: int = Field(default=32, gt=0)
    activation: str = "topk"
    transcode: bool = False
    skip_connection: bool = False


def load_sae(source: str | Path, *, input_scale: float | None = None) -> SaeFile:
    """Read an SAE.

    Args:
        source: a folder with one of the formats above, or ``owner/repository[/folder]`` on the Hugging Face hub.
        input_scale: what activations were multiplied by before they went in, where the file only says that they were
            (``normalize_activations: expected_average_only_in``).

    Cost: the file is read whole, as float32. Nothing is run.

    Raises:
        UserError: no such folder, pickled weights, an architecture that is not supported, damaged or missing tensors.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        folder = _from_hub(str(source))
    gemma = any((folder / file).is_file() for file in GEMMA)
    if not gemma and not (folder / CONFIG).is_file():
        raise UserError(_no_config(folder))
    raw = {} if gemma else read_json(folder / CONFIG)
    if not gemma and (folder / SAELENS).is_file():
        return _saelens(folder, str(source), raw, input_scale)
    if input_scale is not None:
        raise UserError(f"{folder}: an input_scale was given, but files of this format need none: leave it out")
    if gemma:
        return read_gemma_scope(folder, str(source))
    if (folder / SPARSIFY).is_file():
        return _sparsify(folder, str(source), raw)
    raise UserError(_no_weights(folder))


def _no_config(folder: Path) -> str:
    inside = sorted({p.parent.name for file in (CONFIG, *GEMMA) for p in folder.glob(f"*/{file}")})
    if inside:
        return f"{folder} holds several SAEs: name one, as in  {folder / inside[0]}"
    return (
        _no_weights(folder)
        if _pickled(folder)
        else f"{folder} has no {CONFIG}: give a folder of SAELens, sparsify or Gemma Scope"
    )


def _no_weights(folder: Path) -> str:
    pickled = _pickled(folder)
    if pickled:
        return (
            f"{folder / pickled} is a pickle, which can run code when it is opened: save it with SAELens as {SAELENS} "
            "and give that folder"
        )
    return f"{folder} has neither {SAELENS} nor {SPARSIFY}: give a folder of SAELens, sparsify or Gemma Scope"


def _pickled(folder: Path) -> str:
    return next((p.name for p in sorted(folder.iterdir()) if p.suffix in _PICKLES), "")


def _from_hub(name: str) -> Path:
    """The folder of a hub id in the hub's own cache; only configuration and safetensors are fetched."""
    parts = [p for p in name.split("/") if p]
    local = name.startswith(("/", ".", "~"))
    if local or len(parts) < 2 or not all(re.fullmatch(r"[\w.-]+", p) and p not in (".", "..") for p in parts):
        raise UserError(f"there is no folder {name}: give one with {CONFIG}, or owner/repository/folder on the hub")
    from huggingface_hub import snapshot_download

    repository, below = "/".join(parts[:2]), "/".join(parts[2:])
    inside = f"{below}/" if below else ""
    wanted = [inside + file for file in (CONFIG, SAELENS, SPARSIFY, GEMMA_CONFIG, *GEMMA)]
    try:
        folder = Path(snapshot_download(repository, allow_patterns=wanted)) / below
    except (OSError, ValueError) as error:  # what the hub's client raises, network errors among them
        why = str(error).splitlines()[0]
        raise UserError(
            f"{name} is no folder here and cannot be fetched ({why}): check the name, or download it and give its folder"
        ) from error
    if not folder.is_dir():
        raise UserError(f"{repository} has no folder {below!r} with an SAE: look at its files on the hub")
    return folder


# --- SAELens -----------------------------------------------------------------------------------------------------------


def _saelens(folder: Path, source: str, raw: Mapping[str, Any], input_scale: float | None) -> SaeFile:
    inside: object = raw.get("metadata")
    metadata = cast("dict[str, Any]", inside) if isinstance(inside, dict) else {}
    config = checked(
        _Config, folder / CONFIG, {**raw, **{k: v for k, v in metadata.items() if k not in raw or raw[k] is None}}
    )
    tensors = read_tensors(folder / SAELENS)
    kind, k = _kind(folder, config, tensors)
    norm, scale = _norm(folder, config, input_scale)
    if config.reshape_activations not in ("none", "hook_z"):
        raise UserError(
            f"{folder}: reshape_activations {config.reshape_activations!r} is not supported: use another SAE"
        )
    sae = _built(
        folder, tensors, kind=kind, k=k, norm=norm, hidden=config.d_in, centred=config.apply_b_dec_to_input,
        by_norm=config.rescale_acts_by_decoder_norm and kind in ("topk", "jumprelu"),
        scaled=config.finetuning_scaling_factor,
    )  # fmt: skip
    more = config.maieutic or {}
    return SaeFile(
        sae=sae if scale is None else _folded(sae, scale), source=source, format="maieutic" if more else "saelens",
        hook=config.hook_name or "", site=str(more.get("site", "")), name=str(more.get("name", "")),
        model=config.model_name or "", notes=tuple(_notes(config, scale)), more=more,
    )  # fmt: skip


def _kind(folder: Path, config: _Config, tensors: Mapping[str, Tensor]) -> tuple[str, int]:
    """Which activation, and k."""
    k = config.k or (config.activation_fn_kwargs or {}).get("k")
    name = "topk" if config.activation_fn == "topk" else config.architecture
    if name in ("batchtopk", "matryoshka_batchtopk"):
        if not {"threshold", "topk_threshold"} & tensors.keys():
            raise UserError(
                f"{folder}: the latents of a {name} SAE without a threshold depend on what passes beside them: save it "
                "with SAELens' save_inference_model"
            )
        name = "jumprelu"
    if name == "topk":
        if not isinstance(k, int | float) or k < 1 or k != int(k):
            raise UserError(f"{folder / CONFIG}: a topk SAE needs a whole k of at least 1, not {k}: download it again")
        return "topk", int(k)
    if config.activation_fn not in (None, "relu"):
        raise UserError(f"{folder}: the activation {config.activation_fn!r} is not supported: use a relu or topk SAE")
    if name not in ("standard", "gated", "jumprelu"):
        raise UserError(
            f"{folder}: the architecture {name!r} is not supported: use standard, gated, topk, batchtopk or jumprelu"
        )
    return {"standard": "relu"}.get(name, name), 0


def _norm(folder: Path, config: _Config, input_scale: float | None) -> tuple[str, float | None]:
    """What is done to activations, and the factor to fold into the weights."""
    said = config.normalize_activations
    if isinstance(said, bool):  # before SAELens 3
        said = _SCALED if said else "none"
    said = said or "none"
    if said == _SCALED:
        if input_scale is None:
            raise UserError(
                f"{folder}: activations were scaled by a factor that is not in the file: give it as  input_scale=…, or save "
                "the SAE again with the factor folded in"
            )
        return "none", input_scale
    if input_scale is not None:
        raise UserError(
            f"{folder}: an input_scale was given, but cfg.json says normalize_activations {said!r}: leave it out"
        )
    if said not in _NORMS:
        raise UserError(f"{folder}: normalize_activations {said!r} is not supported: use an SAE with it folded in")
    return _NORMS[said], None


def _notes(config: _Config, scale: float | None) -> list[str]:
    notes: list[str] = []
    if scale is not None:
        notes.append(f"activations are multiplied by {scale:g} before they are encoded, as was given")
    changed = {k: v for k, v in (config.model_from_pretrained_kwargs or {}).items() if "center" in k or "fold" in k}
    if any(changed.values()):
        notes.append(
            f"it was trained on a model whose weights TransformerLens had rewritten ({', '.join(changed)}): activations of "
            "the plain model differ from those"
        )
    if config.hook_head_index is not None:
        notes.append(f"it was trained on head {config.hook_head_index} alone")
    return notes


def _built(
    folder: Path, tensors: Mapping[str, Tensor], *, kind: str, k: int, norm: str, hidden: int, centred: bool, by_norm: bool,
    scaled: bool,
) -> Sae:  # fmt: skip
    from maieutic.subjects.lenses.sae import Kind, Sae

    latents = sized(folder, tensors, "W_dec", (None, hidden)).shape[0]
    wide = (latents,)

    def vector(name: str) -> Tensor:
        return sized(folder, tensors, name, wide)

    gated, cut = kind == "gated", None
    if kind == "jumprelu":
        given = tensors.get("threshold", tensors.get("topk_threshold"))
        if given is None:
            raise UserError(f"{folder / SAELENS} has no tensor 'threshold': download it again")
        cut = given.expand(latents).clone() if given.ndim == 0 or given.shape == (1,) else vector("threshold")
    return Sae(
        kind=cast("Kind", kind), k=k, norm=cast("Norm", norm), centred=centred, by_norm=by_norm,
        encoder=sized(folder, tensors, "W_enc", (hidden, latents)), decoder=sized(folder, tensors, "W_dec", (latents, hidden)),
        encoder_bias=vector("b_gate" if gated else "b_enc"), decoder_bias=sized(folder, tensors, "b_dec", (hidden,)),
        threshold=cut, magnitude_bias=vector("b_mag") if gated else None, magnitude_log=vector("r_mag") if gated else None,
        latent_scale=_latent_scale(folder, tensors, wide, scaled),
    )  # fmt: skip


def _latent_scale(folder: Path, tensors: Mapping[str, Tensor], shape: tuple[int], said: bool) -> Tensor | None:
    """The factor that latents get before they are decoded; files of one time hold ones that mean nothing."""
    name = next((n for n in ("scaling_factor", "finetuning_scaling_factor") if n in tensors), None)
    if name is None:
        return None
    scale = sized(folder, tensors, name, shape)
    if bool((scale == 1).all()):
        return None
    if not said:
        raise UserError(
            f"{folder}: the weights hold a finetuning scaling factor, and cfg.json says that there is none: download it again"
        )
    return scale


def _folded(sae: Sae, scale: float) -> Sae:
    """The SAE of unscaled activations: ``E' (s x - b) = (s E)' (x - b / s)``, and what comes out is divided by s."""
    from dataclasses import replace

    return replace(
        sae, encoder=sae.encoder * scale, decoder=sae.decoder / scale, decoder_bias=sae.decoder_bias / scale,
        # v was multiplied by norms of rows that are now s times shorter
        threshold=None if sae.threshold is None else sae.threshold / (scale if sae.by_norm else 1.0),
    )  # fmt: skip


# --- sparsify ----------------------------------------------------------------------------------------------------------


def _sparsify(folder: Path, source: str, raw: Mapping[str, Any]) -> SaeFile:
    from maieutic.subjects.lenses.sae import Sae

    config = checked(_Sparsify, folder / CONFIG, raw)
    if config.transcode or config.skip_connection:
        raise UserError(
            f"{folder} is a transcoder: its output belongs to another site than its input; use an SAE (transcode: false)"
        )
    if config.activation != "topk":
        raise UserError(f"{folder}: the activation {config.activation!r} is not supported: use a topk SAE")
    tensors = read_tensors(folder / SPARSIFY)
    decoder = sized(folder, tensors, "W_dec", (None, config.d_in))
    latents = decoder.shape[0]
    sae = Sae(
        kind="topk", k=config.k, decoder=decoder, decoder_bias=sized(folder, tensors, "b_dec", (config.d_in,)),
        encoder=sized(folder, tensors, "encoder.weight", (latents, config.d_in)).T.contiguous(),
        encoder_bias=sized(folder, tensors, "encoder.bias", (latents,)),
    )  # fmt: skip
    return SaeFile(sae=sae, source=source, format="sparsify", hook=Path(source).name)
