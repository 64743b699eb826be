"""Latents as units of a real (tiny) model: read, changed, untrained; and where an SAE belongs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from maieutic.errors import UserError
from maieutic.harvest import harvest
from maieutic.stimuli import Corpus
from maieutic.subjects import Intervention, LanguageSubject, Unit, load_subject
from maieutic.subjects.lenses.sae import Kind, Norm, Sae, SaeLens
from maieutic.subjects.lenses.sae_files import SaeFile
from maieutic.subjects.lenses.sae_formats import load_sae
from maieutic.subjects.lenses.sae_sites import lens_of, place, with_latents
from maieutic.subjects.lenses.sae_writing import write_sae

TEXT = "the old cat sat on a mat by the river ."


def random_sae(kind: Kind = "topk", *, hidden: int = 16, norm: Norm = "none", by_norm: bool = False) -> Sae:
    g = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    gated = kind == "gated"
    return Sae(
        kind=kind, k=5 if kind == "topk" else 0, encoder=drawn(hidden, 40) * 0.3, decoder=drawn(40, hidden),
        encoder_bias=drawn(40) * 0.1, decoder_bias=drawn(hidden) * 0.1, norm=norm, by_norm=by_norm,
        threshold=drawn(40).abs() * 0.1 if kind == "jumprelu" else None,
        magnitude_bias=drawn(40) * 0.1 if gated else None, magnitude_log=drawn(40) * 0.1 if gated else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def subject(model_folder: Path) -> LanguageSubject:
    found = load_subject(f"hf:{model_folder}")
    assert isinstance(found, LanguageSubject)
    return found


@pytest.mark.parametrize("kind", ["relu", "gated", "topk", "jumprelu"])
@pytest.mark.parametrize("norm", ["none", "layer_norm", "constant_norm"])
@pytest.mark.parametrize("by_norm", [False, True])
def test_a_changed_latent_keeps_the_error_and_all_other_latents(kind: Kind, norm: Norm, by_norm: bool) -> None:
    """What is added is exactly the difference of two reconstructions that differ in that latent alone."""
    sae = random_sae(kind, norm=norm, by_norm=by_norm and kind == "topk")
    lens, x = SaeLens(sae=sae), torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(1))
    where = torch.ones(2, 6, dtype=torch.bool)
    where[1, 3:] = False
    latents = sae.encode(x)
    unit = int(latents.sum(dim=(0, 1)).argmax())
    for wanted, value in (("ablate_zero", 0.0), ("set", 1.7), ("add", 0.9)):
        target = latents.clone()
        target[..., unit] = target[..., unit] + value if wanted == "add" else value
        expected = torch.where(where[..., None], x + sae.decode(target, x) - sae.decode(latents, x), x)
        change = Intervention(unit=Unit(site="s", index=unit), kind=wanted, value=value)  # type: ignore[arg-type]
        found = lens.change(x, change, where)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=2e-5)
        assert bool((found[1, 3:] == x[1, 3:]).all())


def test_a_direction_of_latents_is_changed_along_itself() -> None:
    sae = random_sae("relu")
    lens, x = SaeLens(sae=sae), torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(2))
    vector = np.zeros(40, np.float32)
    vector[[3, 9]] = [3.0, 4.0]
    change = Intervention(unit=Unit(site="s", vector=vector, name="v"), kind="add", value=2.0)
    moved = lens.change(x, change, torch.ones(1, 4, dtype=torch.bool)) - x
    expected = 2.0 * (3.0 * sae.decoder[3] + 4.0 * sae.decoder[9])
    np.testing.assert_allclose(moved.numpy(), expected.expand(1, 4, 16).numpy(), atol=1e-5)
    np.testing.assert_allclose(lens.along(Unit(site="s", index=7)).numpy(), sae.decoder[7].numpy())  # type: ignore[union-attr]
    assert SaeLens(sae=random_sae(norm="layer_norm")).along(Unit(site="s", index=7)) is None


def test_latents_are_units_of_a_site(subject: LanguageSubject) -> None:
    sae = random_sae()
    seen = with_latents(subject, sae, site="layers.1.resid")
    units = [seen.unit("layers.1.resid.sae", i) for i in range(40)]
    raw = subject.forward([TEXT], ["layers.1.resid"]).values["layers.1.resid"]
    (read,) = seen.read([TEXT], units)
    np.testing.assert_allclose(read, sae.encode(raw)[0].numpy(), atol=1e-5)
    assert read.shape[1] == 40 and int((read > 0).sum(axis=1).max()) <= 5
    assert seen.fingerprint != subject.fingerprint
    assert seen.site("layers.1.resid.sae").width == 40
    assert lens_of(seen, "layers.1.resid.sae").sae is sae
    with pytest.raises(UserError, match="has no SAE"):
        lens_of(seen, "layers.1.resid")


def test_ablating_a_latent_changes_what_the_model_says_as_its_row_does(subject: LanguageSubject) -> None:
    """The last residual stream goes through norm and LM head alone, so both can be done by hand."""
    sae = random_sae("relu")
    seen = with_latents(subject, sae, site="layers.1.resid")
    raw = subject.forward([TEXT], ["layers.1.resid"]).values["layers.1.resid"]
    last = raw[0, -1]
    unit = int(sae.encode(last).argmax())
    changed = last - sae.encode(last)[unit] * sae.decoder[unit]
    with torch.no_grad():
        expected = subject.model.lm_head(subject.model.model.norm(changed))
    ablate = Intervention(unit=seen.unit("layers.1.resid.sae", unit), kind="ablate_zero")
    np.testing.assert_allclose(seen.outputs([TEXT], interventions=[ablate])[0], expected.numpy(), atol=1e-4)


def test_the_untrained_copy_has_random_latents(subject: LanguageSubject) -> None:
    seen = with_latents(subject, random_sae(), site="layers.0.resid")
    copy = seen.untrained(3)
    lens = lens_of(copy, "layers.0.resid.sae")
    assert lens.width == 40 and lens.sae.k == 5
    assert lens.fingerprint == lens_of(seen.untrained(3), "layers.0.resid.sae").fingerprint
    assert lens.fingerprint != lens_of(seen.untrained(4), "layers.0.resid.sae").fingerprint
    old = lens_of(seen, "layers.0.resid.sae").sae
    np.testing.assert_allclose(lens.sae.row_norms.numpy(), old.row_norms.numpy(), rtol=1e-5)
    (values,) = copy.read([TEXT], [copy.unit("layers.0.resid.sae", i) for i in range(40)])
    assert int((values > 0).sum(axis=1).max()) <= 5


def test_latents_are_harvested_like_neurons(subject: LanguageSubject, texts: list[str]) -> None:
    seen = with_latents(subject, random_sae(), site="layers.1.resid")
    atlas = harvest(seen, Corpus.from_texts(texts[:40]), ["layers.1.resid.sae"])
    unit = seen.unit("layers.1.resid.sae", 4)
    values = np.concatenate([o.values for o in atlas.observed(unit, "discover")])
    assert atlas.moments(unit).mean == pytest.approx(float(values.mean()), abs=1e-4)


def test_a_written_sae_opens_by_name(subject: LanguageSubject, model_folder: Path, tmp_path: Path) -> None:
    sae = random_sae()
    write_sae(tmp_path / "mine", sae, site="layers.1.resid", model="tiny", more={"name": "mine"})
    again = load_sae(tmp_path / "mine")
    assert again.sae.digest == sae.digest
    assert (again.format, again.hook, again.site) == ("maieutic", "blocks.1.hook_resid_post", "layers.1.resid")
    seen = load_subject(f"hf:{model_folder}+sae:{tmp_path / 'mine'}")
    assert [s.name for s in seen.sites()][-1] == "layers.1.resid.mine"
    elsewhere = load_subject(f"hf:{model_folder}+sae:{tmp_path / 'mine'}@layers.0.attn")
    assert elsewhere.site("layers.0.attn.mine").width == 40
    assert elsewhere.name.endswith(f"+sae:{tmp_path / 'mine'}@layers.0.attn")
    assert elsewhere.fingerprint != seen.fingerprint
    assert subject.latents(tmp_path / "mine", name="x").site("layers.1.resid.x").width == 40


def test_what_the_mlp_gives_is_a_place_too(subject: LanguageSubject) -> None:
    """The output of the last projection, which is what the block adds: resid = before + attn + mlp.out."""
    seen = with_latents(subject, random_sae("relu"), site="layers.1.mlp.out")
    mlp = dict(subject.network.named_modules())["model.layers.1.mlp"]
    caught: list[Tensor] = []
    handle = mlp.register_forward_hook(lambda _m, _a, out: caught.append(out))
    (read,) = seen.read([TEXT], [seen.unit("layers.1.mlp.out.sae", i) for i in range(40)])
    handle.remove()
    out = place(subject, "layers.1.mlp.out")
    assert (out.io, out.width) == ("out", 16)
    subject.outputs([TEXT])
    if not caught:  # the pass may have ended at the projection, before the MLP returned
        handle = mlp.register_forward_hook(lambda _m, _a, out: caught.append(out))
        subject.outputs([TEXT])
        handle.remove()
    gave = caught[-1][:, len(subject.prefix) :]
    expected = lens_of(seen, "layers.1.mlp.out.sae").sae.encode(gave)[0]
    np.testing.assert_allclose(read, expected.numpy(), atol=1e-4)


def test_behind_the_norms_of_gemma(subject: LanguageSubject) -> None:
    """Hooks of TransformerLens stand behind the norm that Gemma 2 puts after its MLP; a site named by hand stands before it."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=19, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, head_dim=8,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    gemma = LanguageSubject(Gemma2ForCausalLM(config), subject.tokenizer, name="tiny-gemma")
    norm = gemma.network.get_submodule("model.layers.1.post_feedforward_layernorm")
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-0.5, 0.5, 16))
    caught: list[Tensor] = []
    handle = norm.register_forward_hook(lambda _m, _a, out: caught.append(out))
    gemma.outputs([TEXT])
    handle.remove()
    sae = random_sae("relu")
    seen = with_latents(gemma, SaeFile(sae=sae, source="x", format="saelens", hook="blocks.1.hook_mlp_out"))
    (read,) = seen.read([TEXT], [seen.unit("layers.1.mlp.out.normed.sae", i) for i in range(40)])
    np.testing.assert_allclose(read, sae.encode(caught[-1][0, len(gemma.prefix) :]).numpy(), atol=1e-4)
    assert place(gemma, "layers.1.mlp.out").module.endswith("mlp.down_proj")
    assert place(gemma, "layers.1.attn.normed").module.endswith("post_attention_layernorm")


@pytest.mark.parametrize("family", ["gemma2", "gpt2"])
def test_what_heads_give_before_they_are_projected(subject: LanguageSubject, family: str) -> None:
    """`hook_z`: caught by hand, latents of it; and a latent more there writes its row through the projection."""
    from maieutic.subjects.writes import write_of

    seen = _with_heads(subject, family)
    path = "model.layers.1.self_attn.o_proj" if family == "gemma2" else "transformer.h.1.attn.c_proj"
    projection = seen.network.get_submodule(path)
    caught: list[Tensor] = []
    handle = projection.register_forward_pre_hook(lambda _m, args: caught.append(args[0]))
    seen.outputs([TEXT])
    handle.remove()
    width = caught[0].shape[-1]
    sae = random_sae("relu", hidden=width)
    lensed = with_latents(seen, SaeFile(sae=sae, source="x", format="saelens", hook="blocks.1.attn.hook_z"))
    site = place(lensed, "layers.1.attn.z")
    assert (site.module, site.io, site.width) == (path, "in", 24 if family == "gemma2" else 16)
    (read,) = lensed.read([TEXT], [lensed.unit("layers.1.attn.z.sae", i) for i in range(40)])
    own = caught[0][0, len(seen.prefix) :]
    np.testing.assert_allclose(read, sae.encode(own).numpy(), atol=1e-5)
    matrix = projection.weight.detach() if family == "gemma2" else projection.weight.detach().T
    written = write_of(lensed, lensed.unit("layers.1.attn.z.sae", 3))
    np.testing.assert_allclose(written, (matrix @ sae.decoder[3]).numpy(), rtol=1e-4, atol=1e-6)
    # and in the model itself: what the projection gives moves by that much, bias or none
    unit = lensed.unit("layers.1.attn.z.sae", 3)
    given: list[Tensor] = []
    handle = projection.register_forward_hook(lambda _m, _a, out: given.append(out))
    lensed.outputs([TEXT])
    lensed.outputs([TEXT], interventions=[Intervention(unit=unit, kind="add", value=2.0)])
    handle.remove()
    moved = (given[1] - given[0])[0, len(seen.prefix) :]
    np.testing.assert_allclose(moved.detach().numpy(), np.tile(2.0 * written, (len(moved), 1)), atol=1e-5)


def _with_heads(subject: LanguageSubject, family: str) -> LanguageSubject:
    """A tiny model whose heads together are wider than its stream (Gemma 2, queries in groups), or whose map is transposed."""
    from transformers import Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    if family == "gpt2":
        plain = GPT2Config(vocab_size=19, n_embd=16, n_layer=2, n_head=2, n_positions=64)
        return LanguageSubject(GPT2LMHeadModel(plain), subject.tokenizer, name="tiny-gpt2")
    config = Gemma2Config(
        vocab_size=19, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, head_dim=6,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    return LanguageSubject(Gemma2ForCausalLM(config), subject.tokenizer, name="tiny-gemma")


def test_an_sae_of_what_heads_give_is_written_for_saelens(tmp_path: Path) -> None:
    write_sae(tmp_path, random_sae(), site="layers.1.attn.z", model="tiny", more={})
    config = json.loads((tmp_path / "cfg.json").read_text())
    assert config["metadata"]["hook_name"] == "blocks.1.attn.hook_z" and config["reshape_activations"] == "hook_z"
    assert load_sae(tmp_path).site == "layers.1.attn.z"


def test_a_norm_that_is_not_there_is_no_site(subject: LanguageSubject) -> None:
    with pytest.raises(UserError, match="mlp.out.normed"):
        place(subject, "layers.1.mlp.out.normed")
    with pytest.raises(UserError, match=r"layers\.7\.attn\.z"):
        place(subject, "layers.7.attn.z")


def test_an_sae_of_another_model_is_refused(subject: LanguageSubject) -> None:
    with pytest.raises(UserError, match=r"reads 12 values, layers\.1\.resid .* has 16"):
        with_latents(subject, random_sae(hidden=12), site="layers.1.resid")
    with pytest.raises(UserError, match="does not tell"):
        with_latents(subject, random_sae())
