"""Files of every format, written by hand, against the formulas in plain numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from maieutic.errors import UserError
from maieutic.subjects.lenses.sae_formats import SAELENS, SPARSIFY, load_sae
from maieutic.subjects.lenses.sae_sites import hook_site

HIDDEN, LATENTS = 16, 40


def weights(kind: str, seed: int = 0, *, hidden: int = HIDDEN, latents: int = LATENTS) -> dict[str, np.ndarray]:
    """Random tensors under the names of SAELens."""
    rng = np.random.default_rng(seed)
    found = {
        "W_enc": rng.normal(size=(hidden, latents)) * 0.4,
        "W_dec": rng.normal(size=(latents, hidden)) * rng.uniform(0.3, 2.0, size=(latents, 1)),
        "b_dec": rng.normal(size=hidden),
    }
    if kind == "gated":
        found |= {name: rng.normal(size=latents) * 0.3 for name in ("b_gate", "b_mag", "r_mag")}
    else:
        found["b_enc"] = rng.normal(size=latents) * 0.3
    if kind == "jumprelu":
        found["threshold"] = rng.uniform(0.0, 1.0, size=latents)
    return {name: value.astype(np.float32) for name, value in found.items()}


def activations(seed: int = 1, *, hidden: int = HIDDEN, shape: tuple[int, ...] = (3, 7)) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(*shape, hidden)) * 3 + 1).astype(np.float32)


def write(folder: Path, config: dict[str, Any], tensors: dict[str, np.ndarray], *, file: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(config))
    save_file(tensors, folder / file)
    return folder


def new_config(architecture: str, **more: Any) -> dict[str, Any]:
    """``cfg.json`` as SAELens 6 writes it."""
    metadata = {"sae_lens_version": "6.54.12", "model_name": "tiny", "hook_name": "blocks.1.hook_resid_post"}
    return {
        "d_in": HIDDEN, "d_sae": LATENTS, "dtype": "float32", "device": "cpu", "apply_b_dec_to_input": True,
        "normalize_activations": "none", "reshape_activations": "none", "metadata": metadata, "architecture": architecture,
        **more,
    }  # fmt: skip


def old_config(architecture: str | None, **more: Any) -> dict[str, Any]:
    """``cfg.json`` as SAELens 3 to 5 wrote it: one level."""
    named = {} if architecture is None else {"architecture": architecture}
    return {
        "d_in": HIDDEN, "d_sae": LATENTS, "dtype": "torch.float32", "device": "cuda", "model_name": "tiny",
        "hook_name": "blocks.1.hook_resid_post", "hook_layer": 1, "hook_head_index": None, "activation_fn_str": "relu",
        "activation_fn_kwargs": {}, "apply_b_dec_to_input": True, "finetuning_scaling_factor": False,
        "normalize_activations": "none", "prepend_bos": True, "context_size": 128, **named, **more,
    }  # fmt: skip


def plain(
    kind: str, w: dict[str, np.ndarray], x: np.ndarray, *, k: int = 0, centred: bool = True, by_norm: bool = False,
    norm: str = "none", scaling: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Latents and reconstruction, position by position, in double precision."""
    flat = x.reshape(-1, x.shape[-1]).astype(np.float64)
    rows, back = [], []
    lengths = np.array([np.sqrt(sum(v * v for v in row)) for row in w["W_dec"].astype(np.float64)])
    for row in flat:
        mean, gain, inside = 0.0, 1.0, row
        if norm == "constant_norm_rescale":
            gain = np.sqrt(sum(row * row)) / np.sqrt(len(row))
            inside = row / gain
        if norm == "layer_norm":
            mean = row.sum() / len(row)
            gain = np.sqrt(((row - mean) ** 2).sum() / (len(row) - 1))
            inside = (row - mean) / (gain + 1e-5)
        inside = inside - w["b_dec"] * centred
        seen = inside @ w["W_enc"].astype(np.float64)
        if kind == "gated":
            size = np.maximum(np.exp(w["r_mag"].astype(np.float64)) * seen + w["b_mag"], 0)
            latents = np.where(seen + w["b_gate"] > 0, size, 0.0)
        else:
            v = (seen + w["b_enc"]) * (lengths if by_norm else 1.0)
            latents = np.maximum(v, 0)
            if kind == "topk":
                kept = sorted(range(len(v)), key=lambda i: -v[i])[:k]
                latents = np.array([max(v[i], 0.0) if i in kept else 0.0 for i in range(len(v))])
            if kind == "jumprelu":
                latents = np.where(v > w["threshold"], latents, 0.0)
        written = latents * (1.0 if scaling is None else scaling) / (lengths if by_norm else 1.0)
        rows.append(latents)
        back.append((written @ w["W_dec"].astype(np.float64) + w["b_dec"]) * gain + mean)
    return np.array(rows).reshape(*x.shape[:-1], -1), np.array(back).reshape(x.shape)


# --- tests ----------------------------------------------------------------------------------------------------

CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    # kind, what is written, cfg.json beside the usual, how the formulas are told the same
    ("relu", "standard", {}, {}),
    ("relu", "standard", {"apply_b_dec_to_input": False}, {"centred": False}),
    ("relu", "standard", {"normalize_activations": "layer_norm"}, {"norm": "layer_norm"}),
    ("relu", "standard", {"normalize_activations": "constant_norm_rescale"}, {"norm": "constant_norm_rescale"}),
    ("gated", "gated", {}, {}),
    ("gated", "gated", {"apply_b_dec_to_input": False}, {"centred": False}),
    ("jumprelu", "jumprelu", {"apply_b_dec_to_input": False}, {"centred": False}),
    ("jumprelu", "jumprelu", {"normalize_activations": "layer_norm"}, {"norm": "layer_norm"}),
    ("jumprelu", "batchtopk", {"k": 5.5}, {}),
    ("topk", "topk", {"k": 5}, {"k": 5}),
    ("topk", "topk", {"k": 5, "rescale_acts_by_decoder_norm": True}, {"k": 5, "by_norm": True}),
    ("topk", "topk", {"k": 39, "normalize_activations": "layer_norm"}, {"k": 39, "norm": "layer_norm"}),
]


@pytest.mark.parametrize(("kind", "architecture", "more", "told"), CASES)
def test_reads_what_saelens_writes(
    tmp_path: Path, kind: str, architecture: str, more: dict[str, Any], told: dict[str, Any]
) -> None:
    w, x = weights(kind), activations()
    for number, config in enumerate((new_config(architecture, **more), old_config(architecture, **more))):
        folder = write(tmp_path / str(number), config, w, file=SAELENS)
        found = load_sae(folder)
        latents, back = plain(kind, w, x, **told)
        tensor = torch.from_numpy(x)
        np.testing.assert_allclose(found.sae.encode(tensor).numpy(), latents, atol=2e-5)
        np.testing.assert_allclose(found.sae.reconstruct(tensor).numpy(), back, atol=1e-4)
        assert (found.format, found.hook, found.model) == ("saelens", "blocks.1.hook_resid_post", "tiny")


def test_oldest_layout(tmp_path: Path) -> None:
    """Before version 3: ``hook_point``, no architecture, booleans for the norm, a factor of ones that means nothing."""
    w, x = weights("relu"), activations()
    config = {
        "d_in": HIDDEN,
        "hook_point": "blocks.1.hook_resid_pre",
        "normalize_activations": False,
        "expansion_factor": 2,
    }
    folder = write(tmp_path, config, {**w, "scaling_factor": np.ones(LATENTS, np.float32)}, file=SAELENS)
    found = load_sae(folder)
    np.testing.assert_allclose(found.sae.encode(torch.from_numpy(x)).numpy(), plain("relu", w, x)[0], atol=2e-5)
    assert found.hook == "blocks.1.hook_resid_pre" and found.sae.latent_scale is None


def test_old_topk_is_told_by_its_activation(tmp_path: Path) -> None:
    w, x = weights("topk"), activations()
    config = old_config("standard", activation_fn_str="topk", activation_fn_kwargs={"k": 4})
    sae = load_sae(write(tmp_path, config, w, file=SAELENS)).sae
    np.testing.assert_allclose(sae.encode(torch.from_numpy(x)).numpy(), plain("topk", w, x, k=4)[0], atol=2e-5)


def test_finetuning_factor_multiplies_what_is_decoded(tmp_path: Path) -> None:
    w, x = weights("relu"), activations()
    scaling = np.random.default_rng(5).uniform(0.5, 2.0, LATENTS).astype(np.float32)
    tensors = {**w, "scaling_factor": scaling}
    sae = load_sae(
        write(tmp_path / "a", old_config("standard", finetuning_scaling_factor=True), tensors, file=SAELENS)
    ).sae
    latents, back = plain("relu", w, x, scaling=scaling)
    np.testing.assert_allclose(sae.encode(torch.from_numpy(x)).numpy(), latents, atol=2e-5)
    np.testing.assert_allclose(sae.reconstruct(torch.from_numpy(x)).numpy(), back, atol=1e-4)
    with pytest.raises(UserError, match="finetuning scaling factor"):
        load_sae(write(tmp_path / "b", old_config("standard"), tensors, file=SAELENS))


@pytest.mark.parametrize("by_norm", [False, True])
def test_an_unfolded_scale_is_asked_for_and_folded(tmp_path: Path, by_norm: bool) -> None:
    """Scaled inputs: the SAE sees 0.25 x and gives 0.25 x' back, which is divided again."""
    w, x = weights("topk"), activations()
    more = {"k": 6, "normalize_activations": "expected_average_only_in", "rescale_acts_by_decoder_norm": by_norm}
    folder = write(tmp_path, new_config("topk", **more), w, file=SAELENS)
    with pytest.raises(UserError, match="input_scale"):
        load_sae(folder)
    sae = load_sae(folder, input_scale=0.25).sae
    latents, back = plain("topk", w, 0.25 * x, k=6, by_norm=by_norm)
    np.testing.assert_allclose(sae.reconstruct(torch.from_numpy(x)).numpy(), back / 0.25, atol=2e-4)
    # a row that is four times as long makes the latent of a normed decoder four times as large
    np.testing.assert_allclose(
        sae.encode(torch.from_numpy(x)).numpy(), latents * (4.0 if by_norm else 1.0), rtol=1e-4, atol=2e-4
    )


def test_reads_what_sparsify_writes(tmp_path: Path) -> None:
    w, x = weights("topk"), activations()
    tensors = {
        "encoder.weight": np.ascontiguousarray(w["W_enc"].T),
        "encoder.bias": w["b_enc"],
        "W_dec": w["W_dec"],
        "b_dec": w["b_dec"],
    }
    config = {
        "d_in": HIDDEN,
        "k": 7,
        "expansion_factor": 2,
        "normalize_decoder": True,
        "signed": False,
        "transcode": False,
    }
    folder = write(tmp_path / "layers.1", config, tensors, file=SPARSIFY)
    found = load_sae(folder)
    latents, back = plain("topk", w, x, k=7)
    np.testing.assert_allclose(found.sae.encode(torch.from_numpy(x)).numpy(), latents, atol=2e-5)
    np.testing.assert_allclose(found.sae.reconstruct(torch.from_numpy(x)).numpy(), back, atol=1e-4)
    assert (found.format, hook_site(found.hook)) == ("sparsify", "layers.1.resid")
    with pytest.raises(UserError, match="transcoder"):
        load_sae(write(tmp_path / "layers.2", {**config, "transcode": True}, tensors, file=SPARSIFY))
    with pytest.raises(UserError, match="groupmax"):
        load_sae(write(tmp_path / "layers.3", {**config, "activation": "groupmax"}, tensors, file=SPARSIFY))


def test_pickles_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "ae.pt").write_bytes(b"\x80\x04N.")
    (tmp_path / "cfg.json").write_text("{}")
    for inside in (True, False):
        if not inside:
            (tmp_path / "cfg.json").unlink()
        with pytest.raises(UserError, match="is a pickle, which can run code") as error:
            load_sae(tmp_path)
        assert "\n" not in str(error.value)


BAD: list[tuple[dict[str, Any], dict[str, np.ndarray], str]] = [
    (new_config("transcoder"), weights("relu"), "architecture 'transcoder' is not supported"),
    (new_config("batchtopk", k=4), weights("relu"), "depend on what passes beside them"),
    (new_config("topk"), weights("topk"), "needs a whole k"),
    (new_config("standard", normalize_activations="covariance_whitening"), weights("relu"), "covariance_whitening"),
    (old_config("standard", activation_fn_str="tanh-relu"), weights("relu"), "tanh-relu"),
    (new_config("standard", d_in="many"), weights("relu"), "cfg.json: d_in"),
    (new_config("jumprelu"), weights("relu"), "no tensor 'threshold'"),
    (new_config("gated"), weights("relu"), "no tensor 'b_gate'"),
    (new_config("standard"), {**weights("relu"), "b_enc": np.zeros(3, np.float32)}, r"b_enc in .* has shape \(3,\)"),
    (new_config("standard"), {**weights("relu"), "b_dec": np.full(HIDDEN, np.nan, np.float32)}, "not finite"),
]


@pytest.mark.parametrize(("config", "tensors", "why"), BAD)
def test_what_cannot_be_right_is_refused(
    tmp_path: Path, config: dict[str, Any], tensors: dict[str, np.ndarray], why: str
) -> None:
    with pytest.raises(UserError, match=why):
        load_sae(write(tmp_path, config, tensors, file=SAELENS))


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", new_config("standard"), weights("relu"), file=SAELENS)
    (folder / SAELENS).write_bytes((folder / SAELENS).read_bytes()[:200])
    with pytest.raises(UserError, match="cannot be read"):
        load_sae(folder)
    with pytest.raises(UserError, match="holds several SAEs: name one"):
        load_sae(tmp_path)
    with pytest.raises(UserError, match="there is no folder"):
        load_sae(tmp_path / "nowhere")
    (folder / "cfg.json").write_text("[1]")
    with pytest.raises(UserError, match="no JSON object"):
        load_sae(folder)


def test_the_hub_is_not_asked_offline() -> None:
    with pytest.raises(UserError, match="no folder here and cannot be fetched"):
        load_sae("nobody/no-such-saes/blocks.1.hook_resid_post")


@pytest.mark.parametrize(
    ("hook", "site"),
    [
        ("blocks.7.hook_resid_post", "layers.7.resid"),
        ("blocks.7.hook_resid_pre", "layers.6.resid"),
        ("blocks.0.hook_mlp_out", "layers.0.mlp.out"),
        ("blocks.3.mlp.hook_post", "layers.3.mlp"),
        ("blocks.3.hook_attn_out", "layers.3.attn"),
        ("layers.12", "layers.12.resid"),
        ("model.layers.12.mlp", "layers.12.mlp.out"),
        ("h.4.attn", "layers.4.attn"),
        ("blocks.3.attn.hook_z", "layers.3.attn.z"),
        ("model.layers.10.output", "layers.10.resid"),
        ("model.layers.11.self_attn.o_proj.input", "layers.11.attn.z"),
        ("model.language_model.layers.17.post_feedforward_layernorm.output", "layers.17.mlp.out.normed"),
    ],
)
def test_hooks_are_sites(hook: str, site: str) -> None:
    assert hook_site(hook) == site


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ("blocks.0.hook_resid_pre", "before the first block"),
        ("hook_embed", "token embeddings"),
        ("blocks.3.hook_resid_mid", "between attention and MLP"),
        ("blocks.3.ln2.hook_normalized", "behind a norm"),
        ("model.layers.5.pre_feedforward_layernorm.output", "behind a norm"),
        ("", "does not tell"),
    ],
)
def test_hooks_that_are_no_sites_say_why(hook: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        hook_site(hook)
