"""Gemma Scope's files, written by hand under the names of its releases, against the formulas in plain numpy."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from maieutic.errors import UserError
from maieutic.subjects.lenses.sae_formats import load_sae
from maieutic.subjects.lenses.sae_sites import hook_site

HIDDEN, LATENTS = 6, 9
RES = "gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71"


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "W_enc": rng.normal(size=(HIDDEN, LATENTS)).astype(np.float32),
        "W_dec": rng.normal(size=(LATENTS, HIDDEN)).astype(np.float32),
        "b_enc": rng.normal(size=LATENTS).astype(np.float32),
        "b_dec": rng.normal(size=HIDDEN).astype(np.float32),
        "threshold": rng.uniform(0, 1, size=LATENTS).astype(np.float32),
    }


def second(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    """As for Gemma 2."""
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", **tensors)  # type: ignore[arg-type]
    return folder


def third(folder: Path, tensors: dict[str, np.ndarray], config: dict[str, Any] | None) -> Path:
    """As for Gemma 3: other letters, and a configuration."""
    folder.mkdir(parents=True)
    save_file({name.replace("W_", "w_"): t for name, t in tensors.items()}, folder / "params.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def config(**more: Any) -> dict[str, Any]:
    point = "model.layers.12.output"
    told = {"hf_hook_point_in": point, "hf_hook_point_out": point, "width": LATENTS, "l0": 60, "type": "sae"}
    return {
        **told,
        "model_name": "google/gemma-3-1b-pt",
        "architecture": "jump_relu",
        "affine_connection": False,
        **more,
    }


@pytest.mark.parametrize("release", ["second", "third"])
def test_latents_are_those_of_the_formula(tmp_path: Path, release: str) -> None:
    w = weights()
    folder = second(tmp_path / RES, w) if release == "second" else third(tmp_path / "any", w, config())
    found = load_sae(folder)
    x = np.random.default_rng(1).normal(size=(2, 5, HIDDEN)).astype(np.float32) * 2
    v = x.astype(np.float64) @ w["W_enc"] + w["b_enc"]  # the decoder's bias is not subtracted
    latents = np.where(v > w["threshold"], v, 0.0)
    np.testing.assert_allclose(found.sae.encode(torch.from_numpy(x)).numpy(), latents, atol=1e-5)
    back = latents @ w["W_dec"] + w["b_dec"]
    np.testing.assert_allclose(found.sae.reconstruct(torch.from_numpy(x)).numpy(), back, atol=1e-4)
    assert 0 < (latents > 0).mean() < 1
    assert found.format == "gemma-scope"


#: as the hub's cache keeps it
CACHED = "models--google--gemma-scope-2b-pt-res/snapshots/0123abcd/layer_5/width_65k/average_l0_7"


@pytest.mark.parametrize(
    ("path", "site", "model"),
    [
        (RES, "layers.20.resid", "google/gemma-2-2b"),
        ("gemma-scope-9b-it-res/layer_9/width_131k/average_l0_121", "layers.9.resid", "google/gemma-2-9b-it"),
        ("gemma-scope-2b-pt-att/layer_0/width_16k/average_l0_104", "layers.0.attn.z", "google/gemma-2-2b"),
        ("gemma-scope-2b-pt-mlp/layer_3/width_16k/average_l0_10", "layers.3.mlp.out", "google/gemma-2-2b"),
        (CACHED, "layers.5.resid", "google/gemma-2-2b"),
    ],
)
def test_the_path_says_where_one_of_gemma_2_belongs(tmp_path: Path, path: str, site: str, model: str) -> None:
    found = load_sae(second(tmp_path / path, weights()))
    assert (hook_site(found.hook), found.model) == (site, model)


@pytest.mark.parametrize(
    ("folder", "told", "site"),
    [
        ("a", config(), "layers.12.resid"),
        (
            "b",
            config(hf_hook_point_in="model.layers.3.self_attn.o_proj.input", hf_hook_point_out=None),
            "layers.3.attn.z",
        ),
        ("gemma-scope-2-1b-pt/resid_post_all/layer_10_width_262k_l0_small", None, "layers.10.resid"),
        ("gemma-scope-2-1b-pt/attn_out_all/layer_11_width_16k_l0_small", None, "layers.11.attn.z"),
        ("gemma-scope-2-27b-it/mlp_out/layer_17_width_16k_l0_big", None, "layers.17.mlp.out.normed"),
    ],
)
def test_configuration_or_path_say_where_one_of_gemma_3_belongs(
    tmp_path: Path, folder: str, told: dict[str, Any] | None, site: str
) -> None:
    assert hook_site(load_sae(third(tmp_path / folder, weights(), told)).hook) == site


def test_a_path_that_says_nothing_leaves_the_site_to_be_named(tmp_path: Path) -> None:
    for hook in (
        load_sae(second(tmp_path / "renamed", weights())).hook,
        load_sae(third(tmp_path / "x", weights(), None)).hook,
    ):
        with pytest.raises(UserError, match="name a site yourself"):
            hook_site(hook)
    embedding = tmp_path / "gemma-scope-2b-pt-res" / "embedding" / "width_4k" / "average_l0_6"
    with pytest.raises(UserError, match="token embeddings"):
        hook_site(load_sae(second(embedding, weights())).hook)


def test_a_folder_above_may_be_called_anything(tmp_path: Path) -> None:
    """Words of folders above the release mean nothing: this is no transcoder, and its layer is 20."""
    assert hook_site(load_sae(second(tmp_path / "transcoders" / "layer_3" / RES, weights())).hook) == "layers.20.resid"


def test_transcoders_are_refused(tmp_path: Path) -> None:
    w = weights()
    skip = {**w, "affine_skip_connection": np.zeros((HIDDEN, HIDDEN), np.float32)}
    for folder in (
        second(tmp_path / "gemma-scope-2b-pt-transcoders/layer_3/width_16k/average_l0_54", w),
        third(tmp_path / "gemma-scope-2-1b-pt/transcoder_all/layer_10_width_262k_l0_small_affine", w, None),
        third(tmp_path / "a", w, config(hf_hook_point_out="model.layers.12.post_feedforward_layernorm.output")),
        third(tmp_path / "b", w, config(affine_connection=True)),
        third(tmp_path / "c", skip, config()),
    ):
        with pytest.raises(UserError, match="is a transcoder"):
            load_sae(folder)


def test_what_cannot_be_right_is_refused(tmp_path: Path) -> None:
    w = weights()
    with pytest.raises(UserError, match="no tensor 'threshold'"):
        load_sae(second(tmp_path / "a", {k: v for k, v in w.items() if k != "threshold"}))
    with pytest.raises(UserError, match=r"b_enc in .* has shape \(3,\)"):
        load_sae(second(tmp_path / "b", {**w, "b_enc": np.zeros(3, np.float32)}))
    with pytest.raises(UserError, match="not finite"):
        load_sae(second(tmp_path / "c", {**w, "b_dec": np.full(HIDDEN, np.inf, np.float32)}))
    with pytest.raises(UserError, match="'gated' is not supported"):
        load_sae(third(tmp_path / "d", w, config(architecture="gated")))
    with pytest.raises(UserError, match="affine_connection"):
        load_sae(third(tmp_path / "e", w, config(affine_connection="many")))
    with pytest.raises(UserError, match="leave it out"):
        load_sae(second(tmp_path / "f", w), input_scale=2.0)
    whole = second(tmp_path / "g", w) / "params.npz"
    whole.write_bytes(whole.read_bytes()[:300])
    with pytest.raises(UserError, match=r"params\.npz cannot be read"):
        load_sae(whole.parent)
    second(tmp_path / "several" / "average_l0_71", w)
    with pytest.raises(UserError, match=r"holds several SAEs: name one, as in .*average_l0_71"):
        load_sae(tmp_path / "several")


def test_a_pickle_inside_an_archive_is_not_opened(tmp_path: Path) -> None:
    """An array of objects is a pickle: whoever opens it runs what it says."""
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (ran,))

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    folder = second(tmp_path / "one", weights())
    with zipfile.ZipFile(folder / "params.npz", "a") as archive:
        archive.writestr("more.npy", buffer.getvalue())
    with pytest.raises(UserError, match="cannot be read"):
        load_sae(folder)
    assert not ran.exists()
