"""Arms, configurations and job lists say what they should, and refuse what they cannot do."""

from __future__ import annotations

import json

import pytest

from maieutic.errors import UsageError
from maieutic.studies.regularization.arms import ARMS, Shape, arm
from maieutic.studies.regularization.config import BASELINE, HYPOTHESES, PRESETS, load_config
from maieutic.studies.regularization.model import model_config
from maieutic.studies.regularization.variants import variants_of

ASKED_FOR = {
    "gelu", "relu", "relu-l1", "topk", "solu", "solu-ln", "gelu-ln", "weight-l1", "pruning", "weight-sparse", "bias-init",
    "dropout", "untrained",
}  # fmt: skip


def test_every_arm_of_the_issue_is_there() -> None:
    assert set(ARMS) == ASKED_FOR


@pytest.mark.parametrize("name", sorted(ASKED_FOR))
def test_an_arms_headline_strength_is_one_of_its_sweep(name: str) -> None:
    one = ARMS[name]
    assert (one.strength is None) == (one.strengths == ())
    assert one.value is None or one.value in one.strengths
    # one strength changes one field
    for value in one.strengths:
        assert getattr(one.at(value), str(one.strength)) == value
        assert one.at(value).at(one.value) == one


def test_the_weight_sparse_arm_has_as_many_nonzero_weights_as_the_dense_one() -> None:
    wide = ARMS["weight-sparse"]
    # each matrix is width**2 = 4 times as large, and a quarter of it stays
    assert wide.width**2 * wide.keep == 1.0
    config = model_config(wide, Shape(), vocabulary=10)
    assert (config.d_model, config.d_mlp, config.heads) == (128, 512, 8)


def test_arms_differ_in_what_they_say_and_in_nothing_else() -> None:
    dense = model_config(ARMS["gelu"], Shape(), vocabulary=10)
    normed = model_config(ARMS["gelu-ln"], Shape(), vocabulary=10)
    assert {k for k in dense.__slots__ if getattr(dense, k) != getattr(normed, k)} == {"mlp_norm"}
    assert model_config(ARMS["topk"], Shape(), vocabulary=10).top_k == 32  # an eighth of 256


def test_an_unknown_arm_or_strength_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="did you mean 'relu'"):
        arm("rlu")
    with pytest.raises(UsageError, match="has no strength"):
        arm("gelu", 0.5)
    with pytest.raises(UsageError, match="multiple of heads"):
        Shape(d_model=10, heads=4)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_preset_compares_every_arm_and_states_every_claim(preset: str) -> None:
    config = load_config(preset)
    assert set(config.arms) == ASKED_FOR
    assert set(config.hypotheses) == {"H1", "H2", "H3", "H4", "H5"} and config.hypotheses == HYPOTHESES
    assert len(config.seeds) >= (3 if preset == "quick" else 5)
    assert all(seed < 100 for seed in (*config.seeds, *config.null_seeds, *config.sweep_seeds))


def test_a_file_changes_its_preset_field_by_field(tmp_path) -> None:
    toml, js = tmp_path / "a.toml", tmp_path / "a.json"
    toml.write_text('preset = "quick"\nseeds = [1, 2]\n[training]\nbatch = 7\n')
    js.write_text(json.dumps({"preset": "quick", "seeds": [1, 2], "training": {"batch": 7}}))
    config = load_config(toml)
    assert config == load_config(js)
    assert config.seeds == (1, 2) and config.training.batch == 7
    assert config.training.steps == load_config("quick").training.steps
    assert load_config("quick", seeds=[9]).seeds == (9,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('arms = ["gelu", "sulo"]', "did you mean 'solu'"),
        ("stepz = 3", "stepz"),
        ('arms = ["relu"]', "compared with gelu"),
        ("[training]\nsteps = 0", "training.steps"),
        ('sweep_arms = ["gelu"]', "has no strength"),
        ('preset = "quik"', "did you mean 'quick'"),
        ("null_seeds = [0]", "other seeds"),
        ('gold_arms = ["gelu"]\n[corpus]\nname = "source"', "only the facts corpus"),
        ("= 3", "cannot be read"),
    ],
)
def test_a_wrong_file_ends_in_one_line(tmp_path, text: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_no_file_is_an_error() -> None:
    with pytest.raises(UsageError, match="no preset"):
        load_config("nowhere.toml")


def test_jobs_are_every_replicate_once_and_whole_seeds_first() -> None:
    config = load_config(
        "quick", arms=["gelu", "relu-l1"], seeds=[0, 1], sweep_arms=["relu-l1"], sweep_seeds=[0],
        strengths={"relu-l1": 3e-3}, capacity=[32], capacity_arms=["gelu"], capacity_seeds=[0], gold_arms=["gelu"],
        null_seeds=[9],
    )  # fmt: skip
    # the sweep leaves out the headline strength, which is trained already
    assert [v.name for v in variants_of(config)] == [
        "main/gelu/seed-0", "main/relu-l1@0.003/seed-0", "main/gelu/seed-1", "main/relu-l1@0.003/seed-1",
        "gold/gelu/seed-0", "null/gelu/seed-9", "sweep/relu-l1@0.0003/seed-0", "sweep/relu-l1@0.001/seed-0",
        "capacity-32/gelu/seed-0",
    ]  # fmt: skip


@pytest.mark.parametrize("preset", list(PRESETS))
def test_names_of_jobs_are_unique(preset: str) -> None:
    names = [v.name for v in variants_of(load_config(preset))]
    assert len(set(names)) == len(names)
    assert {v.arm for v in variants_of(load_config(preset))} == ASKED_FOR and BASELINE in ASKED_FOR
