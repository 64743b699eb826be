"""Metrics against values worked out by hand, on a tiny model whose last residual stream goes through norm and head alone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from maieutic.errors import UsageError, UserError
from maieutic.stimuli import Corpus
from maieutic.studies.sae.activations import gather, read_rows
from maieutic.studies.sae.loss import token_losses
from maieutic.studies.sae.making import make_sae, read_record
from maieutic.studies.sae.metrics import Metrics, measure_sae, principal
from maieutic.studies.sae.settings import TrainSettings
from maieutic.subjects import LanguageSubject, function_subject, load_subject
from maieutic.subjects.lenses.sae import Sae

SITE, WORDS = "layers.1.resid", 19
TEXT = "the old cat sat on a mat by the river ."


@pytest.fixture(scope="module")
def subject(model_folder: Path) -> LanguageSubject:
    found = load_subject(f"hf:{model_folder}")
    assert isinstance(found, LanguageSubject)
    return found


@pytest.fixture(scope="module")
def corpus(subject: LanguageSubject) -> Corpus:
    """Texts that the model itself says, so that it foretells them better than chance."""
    g = torch.Generator().manual_seed(0)
    ids = torch.tensor([list(subject.prefix)] * 150)
    with torch.no_grad():
        for _ in range(16):
            logits = subject.model(input_ids=ids).logits[:, -1] / 0.7
            logits[:, :2] = -torch.inf  # end of text, unknown word
            ids = torch.cat([ids, torch.multinomial(logits.softmax(dim=-1), 1, generator=g)], dim=1)
    words = subject.tokenizer.convert_ids_to_tokens
    return Corpus.from_texts([" ".join(words(row[1:].tolist())) for row in ids], name="tiny")


def both_signs(size: float = 1.0) -> Sae:
    """x' = size * x: a latent for each direction of each axis."""
    eye = torch.eye(16)
    return Sae(
        kind="relu", encoder=torch.cat([eye, -eye], dim=1), decoder=size * torch.cat([eye, -eye]),
        encoder_bias=torch.zeros(32), decoder_bias=torch.zeros(16), centred=False,
    )  # fmt: skip


def test_losses_are_the_models(subject: LanguageSubject) -> None:
    ids = torch.tensor([[*subject.prefix, *subject.tokenizer(TEXT, add_special_tokens=False)["input_ids"]]])
    with torch.no_grad():
        logits = subject.model(input_ids=ids).logits[0]
    expected = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction="none")
    clean = token_losses(subject, SITE, TEXT)
    np.testing.assert_allclose(clean, expected.numpy(), atol=1e-5)
    # the same activations put back change nothing
    np.testing.assert_allclose(token_losses(subject, SITE, TEXT, lambda x: x), clean, atol=1e-6)
    # a norm of zeros is zeros, so every word is as likely: ln 19. The prefix is never replaced, so the first word keeps its loss
    zero = token_losses(subject, SITE, TEXT, torch.zeros_like)
    np.testing.assert_allclose(zero[0], clean[0], atol=1e-6)
    np.testing.assert_allclose(zero[1:], math.log(WORDS), atol=1e-5)


def test_metrics_of_saes_that_are_known(subject: LanguageSubject, corpus: Corpus) -> None:
    """x' = x: no error, all recovered. x' = x / 2: (1 - 1/2)^2 of |x|^2 is left. x' = 0: nothing recovered."""

    def measured(size: float) -> Metrics:
        return measure_sae(subject, both_signs(size), SITE, corpus, tokens=300, loss_tokens=150)

    exact, half, nothing = measured(1.0), measured(0.5), measured(0.0)
    own = exact.readings["sae"]
    assert own["fvu"].value == pytest.approx(0, abs=1e-9)
    assert own["l0"].value == pytest.approx(16)  # of x and -x one is above zero in each of 16 directions
    assert own["recovered"].value == pytest.approx(1, abs=1e-5)
    held = gather(subject, corpus, SITE, tokens=300, chunk=5000, seed=1, split="select")
    x = held.rows(0).astype(np.float64)
    left = 0.25 * (x**2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    assert half.readings["sae"]["fvu"].value == pytest.approx(left, rel=1e-4)
    # the final norm divides the half away again, but for its epsilon
    assert half.readings["sae"]["recovered"].value == pytest.approx(1, abs=1e-3)
    assert nothing.readings["sae"]["recovered"].value == pytest.approx(0, abs=1e-9)
    zero, clean = nothing.loss["zero"].value, nothing.loss["untouched"].value
    assert zero is not None and clean is not None and zero > clean + 0.5
    assert nothing.readings["sae"]["loss"].value == pytest.approx(zero)
    assert exact.dead.value == 0 and nothing.dead.value == 0


def test_nothing_is_recovered_where_zero_does_no_harm(subject: LanguageSubject, texts: list[str]) -> None:
    """On words drawn evenly a model with opinions loses more than one that has none: there is no harm to undo."""
    found = measure_sae(subject, both_signs(), SITE, Corpus.from_texts(texts), tokens=300, loss_tokens=60)
    assert found.readings["sae"]["recovered"].reason == "setting the site to zero does no harm"


def test_dead_latents_are_counted(subject: LanguageSubject, corpus: Corpus) -> None:
    """A bias of -1e6 silences 8 of 32 latents: a quarter."""
    sae = both_signs()
    sae = replace(sae, encoder_bias=torch.where(torch.arange(32) < 8, -1e6, 0.0))
    found = measure_sae(subject, sae, SITE, corpus, tokens=300, loss_tokens=60)
    assert found.dead.value == pytest.approx(0.25)
    assert found.dead.low is not None and found.dead.low < 0.25


def test_pca_of_all_components_is_exact_and_of_fewer_is_the_best_plane(
    subject: LanguageSubject, corpus: Corpus
) -> None:
    """With all 16 numbers a position nothing is left; components agree with numpy's singular vectors."""
    found = measure_sae(subject, both_signs(), SITE, corpus, tokens=300, loss_tokens=60)
    assert found.k == 16
    for name in ("pca", "pca-top"):
        assert found.readings[name]["fvu"].value == pytest.approx(0, abs=1e-6)
    rows = np.random.default_rng(0).normal(size=(300, 5)) @ np.diag([5.0, 4, 3, 2, 1])
    mean, components = principal(rows.astype(np.float32))
    _, _, expected = np.linalg.svd(rows - mean)
    np.testing.assert_allclose(np.abs((components * expected).sum(axis=1)), 1, atol=1e-4)


def test_activations_stream_in_chunks(subject: LanguageSubject, corpus: Corpus, tmp_path: Path) -> None:
    data = gather(subject, corpus, SITE, tokens=500, chunk=120, seed=0, folder=tmp_path, cache=2 * 120 * 16 * 4)
    assert len(data.chunks) > 3 and max(data.sizes) <= 120 and 500 <= data.tokens < 530
    assert {t.split for own in data.chunks for t in own} == {"discover"}
    first = data.rows(0)
    text = data.chunks[0][0].content
    (values,) = subject.read([text], [subject.unit(SITE, i) for i in range(16)])
    np.testing.assert_allclose(first[: len(values)], values, atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == ["00000.npy"]
    again = data.rows(2)
    assert not (tmp_path / "00002.npy").exists()  # two chunks fit, the third is read again
    np.testing.assert_array_equal(again, data.rows(2))
    np.testing.assert_array_equal(first, read_rows(subject, SITE, data.chunks[0], data.lengths[0]))
    with pytest.raises(UsageError, match="test split"):
        gather(subject, Corpus.from_texts([TEXT]), SITE, tokens=9, chunk=9, seed=0, split="test").rows(0)


SETTINGS = TrainSettings(
    latents=32, k=4, tokens=1500, steps=60, batch=64, chunk=512, dead_after=500, lr=3e-3, save_every=20
)


def test_from_texts_to_a_folder_that_opens(
    subject: LanguageSubject, corpus: Corpus, model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sae"
    made = make_sae(subject, corpus, SITE, out, settings=SETTINGS)
    assert sorted(p.name for p in out.iterdir()) == ["cfg.json", "sae_weights.safetensors", "training.json"]
    assert made.new and made.file.site == SITE and made.record["steps"] == 60
    assert read_record(out)["history"][-1][0] == 60
    found = measure_sae(subject, made.file.sae, SITE, corpus, tokens=300, loss_tokens=60)
    fvu = {name: found.readings[name]["fvu"].value for name in ("sae", "random")}
    assert fvu["sae"] is not None and fvu["random"] is not None and fvu["sae"] < min(0.8, fvu["random"])
    # again: what is there is read; other settings are refused; a folder with other things is left alone
    assert not make_sae(subject, corpus, SITE, out, settings=SETTINGS).new
    with pytest.raises(UserError, match="other settings"):
        make_sae(subject, corpus, SITE, out, settings=replace(SETTINGS, seed=1))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        make_sae(subject, corpus, SITE, tmp_path / "full", settings=SETTINGS)
    assert load_subject(f"hf:{model_folder}+sae:{out}").site("layers.1.resid.sae").width == 32


def test_a_killed_run_of_the_whole_goes_on(
    subject: LanguageSubject, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from maieutic.studies.sae import making

    real = making.write_sae

    def full_disk(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    whole = make_sae(subject, corpus, SITE, tmp_path / "a", settings=SETTINGS)
    monkeypatch.setattr(making, "write_sae", full_disk)
    with pytest.raises(OSError, match="No space"):
        make_sae(subject, corpus, SITE, tmp_path / "b", settings=SETTINGS)
    monkeypatch.setattr(making, "write_sae", real)
    again = make_sae(subject, corpus, SITE, tmp_path / "b", settings=SETTINGS)
    assert again.file.sae.digest == whole.file.sae.digest


def test_what_the_mlp_gives_can_be_trained_on(subject: LanguageSubject, corpus: Corpus, tmp_path: Path) -> None:
    made = make_sae(subject, corpus, "layers.0.mlp.out", tmp_path / "m", settings=SETTINGS)
    assert made.file.hook == "blocks.0.hook_mlp_out"
    assert subject.latents(tmp_path / "m").site("layers.0.mlp.out.sae").width == 32


def test_subjects_without_tokens_have_no_loss(corpus: Corpus) -> None:
    black_box = function_subject(lambda texts: [float(len(t)) for t in texts], modality="text")
    with pytest.raises(UserError, match="says no tokens"):
        token_losses(black_box, black_box.sites()[0].name, TEXT)
