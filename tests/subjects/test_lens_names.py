"""Subjects with lenses by name, old fingerprints, and sites that share a module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from maieutic.errors import UsageError, UserError
from maieutic.subjects import Intervention, Unit, function_subject, load_subject
from maieutic.subjects.lenses.base import step
from maieutic.subjects.lenses.names import LENSES, attach, split_lenses

TEXT = "a cat sat"


class Doubled:
    """Two units: twice the first value, and the sum of all."""

    width, fingerprint = 2, "doubled"

    def read(self, raw: Tensor) -> Tensor:
        return torch.stack([2 * raw[..., 0], raw.sum(-1)], dim=-1).float()

    def change(self, raw: Tensor, change: Intervention, where: Tensor) -> Tensor:
        if change.unit.index != 0:
            raise UserError("the sum cannot be changed")
        new = raw.clone()
        new[..., 0] += step(change, self.read(raw), where) / 2
        return new

    def along(self, unit: Unit) -> None:
        del unit

    def fresh(self, seed: int, module: nn.Module) -> Doubled:
        assert isinstance(module, nn.Module)
        self.seed = seed
        return self


def test_fingerprints_of_subjects_without_lenses_are_as_they_always_were(llama: Any, gpt2: Any, known_cnn: Any) -> None:
    # printed before there were lenses
    assert llama.fingerprint == "2113b6d5a244fae1"
    assert gpt2.fingerprint == "0e679b8f680dea34"
    assert known_cnn.fingerprint == "b4dd1751ced9987b"
    assert llama.untrained(3).fingerprint == "c3482c5a78b63cff"
    seen = attach(llama, [("logits", "1")])
    assert seen.fingerprint not in (llama.fingerprint, attach(llama, [("logits", "2")]).fingerprint)
    assert seen.fingerprint == attach(llama, [("logits", "1")]).fingerprint


def test_any_lens_is_a_site_with_integer_units(llama: Any) -> None:
    seen = llama.with_lens(site="layers.0.mlp", name="twice", lens=Doubled(), names=("double", "sum"))
    assert seen.name == "tiny-llama+twice"
    assert [s.name for s in seen.sites()][1:4] == ["layers.0.mlp", "layers.0.mlp.twice", "layers.0.resid"]
    assert [s.name for s in llama.sites()].count("layers.0.mlp.twice") == 0
    unit = seen.parse_unit("layers.0.mlp.twice/1-")
    assert (unit.index, unit.sign, unit.key) == (1, -1, "layers.0.mlp.twice/1-")
    with pytest.raises(UsageError, match="units 0 to 1, not 2"):
        seen.unit("layers.0.mlp.twice", 2)
    plain = llama.forward([TEXT], ["layers.0.mlp"]).values["layers.0.mlp"][0]
    read = seen.read([TEXT], [unit, seen.unit("layers.0.mlp.twice", 0)])[0]
    np.testing.assert_allclose(read, torch.stack([-plain.sum(-1), 2 * plain[:, 0]], 1).numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match="has a site layers.0.mlp.twice already"):
        seen.with_lens(site="layers.0.mlp", name="twice", lens=Doubled())


def test_sites_of_one_module_see_what_the_other_changed(llama: Any) -> None:
    seen = llama.with_lens(site="layers.0.mlp", name="twice", lens=Doubled())
    through = Intervention(unit=seen.unit("layers.0.mlp.twice", 0), kind="set", value=3.0)
    below = Intervention(unit=llama.unit("layers.0.mlp", 0), kind="set", value=1.5)
    units = [seen.unit("layers.0.mlp", 0), seen.unit("layers.0.mlp.twice", 0)]
    for change in (through, below):
        np.testing.assert_allclose(
            seen.read([TEXT], units, interventions=[change])[0], np.tile([1.5, 3.0], (len(TEXT), 1)), rtol=1e-6
        )
        moved = seen.forward([TEXT], ["layers.0.mlp"], interventions=[change]).moved
        assert len(moved) == 1
        assert moved[0] > 0
    np.testing.assert_allclose(
        seen.outputs([TEXT], interventions=[through]), llama.outputs([TEXT], interventions=[below]), rtol=1e-5
    )
    # in the order given: the last word counts
    both = seen.read([TEXT], units, interventions=[below, Intervention(unit=units[1], kind="add", value=1.0)])[0]
    np.testing.assert_allclose(both, np.tile([2.0, 4.0], (len(TEXT), 1)), rtol=1e-6)
    with pytest.raises(UserError, match="the sum cannot be changed"):
        seen.read([TEXT], units, interventions=[Intervention(unit=seen.unit("layers.0.mlp.twice", 1), kind="set")])


def test_one_position_changes_through_a_lens(llama: Any) -> None:
    seen = llama.with_lens(site="layers.0.mlp", name="twice", lens=Doubled())
    unit = seen.unit("layers.0.mlp.twice", 0)
    clean = seen.read([TEXT, "bb"], [unit])
    changed = seen.read([TEXT, "bb"], [unit], interventions=[Intervention(unit=unit, kind="set", value=9.0, at=-1)])
    for one, two in zip(clean, changed, strict=True):
        np.testing.assert_array_equal(one[:-1], two[:-1])
        assert two[-1, 0] == pytest.approx(9.0)


def test_untrained_copies_keep_their_lenses(llama: Any, known_cnn: Any) -> None:
    lens = Doubled()
    fresh = llama.with_lens(site="layers.1.resid", name="twice", lens=lens).untrained(7)
    assert lens.seed == 7
    assert fresh.site("layers.1.resid.twice").lens is lens
    assert known_cnn.with_lens(site="act", name="twice", lens=lens).untrained(8).site("act.twice").lens is lens


def test_black_boxes_have_nothing_to_look_at() -> None:
    box = function_subject(lambda texts: [float(len(t)) for t in texts])
    with pytest.raises(UserError, match="no inside"):
        box.with_lens(site="output", name="twice", lens=Doubled())


def test_names_are_split_at_lenses_alone(tmp_path: Path) -> None:
    assert split_lenses("smollm2-135m") == ("smollm2-135m", ())
    assert split_lenses("a+heads+logits:281, dog+sae:./x") == (
        "a", (("heads", ""), ("logits", "281, dog"), ("sae", "./x"))
    )  # fmt: skip
    odd = tmp_path / "gpt+heads"
    odd.mkdir()
    assert split_lenses(f"hf:{odd}+logits") == (f"hf:{odd}", (("logits", ""),))
    (tmp_path / "d+e.safetensors").touch()
    assert split_lenses(f"m+directions:{tmp_path}/d+e.safetensors+heads")[1] == (
        ("directions", f"{tmp_path}/d+e.safetensors"), ("heads", "")
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    model=st.from_regex(r"[a-z0-9-]{1,8}(:[a-z/.]{1,8})?", fullmatch=True),
    lenses=st.lists(
        st.tuples(st.sampled_from(sorted(LENSES)), st.from_regex(r"([a-z0-9, :@./-]{0,8}[a-z0-9])?", fullmatch=True)),
        max_size=4,
    ),
)
def test_names_round_trip(model: str, lenses: list[tuple[str, str]]) -> None:
    written = "+".join([model, *(f"{kind}:{argument}" if argument else kind for kind, argument in lenses)])
    assert split_lenses(written) == (model, tuple(lenses))


def test_an_unknown_lens_is_told_the_known_ones() -> None:
    for name in ("smollm2-135m+hedas", "hf:owner/model+hedas:3", "smollm2-135m+heads+hedas"):
        with pytest.raises(UsageError, match=r"no lens is called 'hedas' \(did you mean 'heads'\?\).*\+sae:FOLDER"):
            load_subject(name)


def test_a_folder_of_the_format_opens_with_lenses(llama: Any, tmp_path: Path) -> None:
    llama.model.save_pretrained(tmp_path)
    llama.tokenizer.save_pretrained(tmp_path)
    seen = load_subject(f"hf:{tmp_path}+heads+logits:97")
    assert [s.name for s in seen.sites()][0::8] == ["layers.0.heads", "logits"]
    again = load_subject(f"hf:{tmp_path}+heads+logits:97")
    assert seen.fingerprint == again.fingerprint != load_subject(f"hf:{tmp_path}").fingerprint
