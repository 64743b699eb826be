"""Write an SAE as SAELens reads it: ``cfg.json`` and ``sae_weights.safetensors``.

What this module does not do: write pickles, or kinds that nobody here makes (all but ``topk``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maieutic.store import write_tensors, writing
from maieutic.subjects.lenses.sae import Sae
from maieutic.subjects.lenses.sae_files import CONFIG
from maieutic.subjects.lenses.sae_formats import SAELENS

#: the version of SAELens' format that is written; readers convert files that tell none, and lose ``metadata``
FORMAT = "6.0.0"
_HOOKS = {
    "resid": "hook_resid_post",
    "attn": "hook_attn_out",
    "mlp": "mlp.hook_post",
    "mlp.out": "hook_mlp_out",
    "attn.z": "attn.hook_z",
}


def write_sae(folder: Path, sae: Sae, *, site: str, model: str, more: Mapping[str, Any]) -> None:
    """Write both files, the configuration last, so that a folder with one is whole.

    Args:
        folder: where; made.
        sae: of the kind ``topk``.
        site: our name of the site; SAELens is told its own word for it where it has one.
        model: name of the model.
        more: further plain facts, kept under ``metadata.maieutic``.

    Raises:
        StoreError: the folder cannot be written.
    """
    assert sae.kind == "topk" and sae.latent_scale is None and sae.norm == "none"
    tensors = {"W_enc": sae.encoder, "b_enc": sae.encoder_bias, "W_dec": sae.decoder, "b_dec": sae.decoder_bias}
    write_tensors(folder / SAELENS, {name: t.detach().cpu().numpy() for name, t in tensors.items()})
    metadata = {
        "sae_lens_version": FORMAT, "sae_lens_training_version": FORMAT, "model_name": model,
        "hook_name": hook_name(site), "prepend_bos": True, "maieutic": {**more, "site": site},
    }  # fmt: skip
    config = {
        "architecture": "topk", "d_in": sae.hidden, "d_sae": sae.latents, "k": sae.k, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": sae.centred, "rescale_acts_by_decoder_norm": sae.by_norm, "normalize_activations": "none",
        "reshape_activations": "hook_z" if site.endswith(".attn.z") else "none", "metadata": metadata,
    }  # fmt: skip
    with writing(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def hook_name(site: str) -> str:
    """SAELens' word for a site; the site itself where it has none."""
    found = re.fullmatch(r"layers\.(\d+)\.(resid|attn|attn\.z|mlp|mlp\.out)", site)
    return f"blocks.{found[1]}.{_HOOKS[found[2]]}" if found else site
