"""Logits as units: what the site gives is what the outputs are, and a change there shows in them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from maieutic.errors import UsageError, UserError
from maieutic.subjects import Intervention, Unit, module_subject
from maieutic.subjects.lenses.logits import LogitsLens, attach

TEXT = "a cat sat"


@pytest.mark.parametrize("argument", ["", "97,98,5"])
def test_logits_of_the_last_token_are_the_outputs(llama: Any, argument: str) -> None:
    seen = attach(llama, argument)
    chosen = [97, 98, 5] if argument else list(range(259))
    site = seen.site("logits")
    assert (site.width, site.positions, seen.sites()[-1]) == (len(chosen), "token", site)
    read = seen.forward([TEXT, "b"], ["logits", "layers.0.resid"]).values["logits"]
    assert read.shape == (2, len(TEXT), len(chosen))
    np.testing.assert_array_equal(read[0, -1].numpy(), llama.outputs([TEXT, "b"])[0][chosen])
    # one token earlier: what the shorter text says
    np.testing.assert_allclose(read[0, -2].numpy(), llama.outputs([TEXT[:-1]])[0][chosen], rtol=1e-4, atol=1e-5)


def test_a_changed_logit_shows_in_the_outputs_and_alone(llama: Any) -> None:
    seen = attach(llama, "98,97")
    change = Intervention(unit=seen.unit("logits", 1), kind="set", value=7.5)
    found, clean = seen.outputs([TEXT], interventions=[change])[0], llama.outputs([TEXT])[0]
    assert found[97] == 7.5
    np.testing.assert_array_equal(np.delete(found, 97), np.delete(clean, 97))
    zero = Intervention(unit=seen.unit("logits", 0, sign=-1), kind="ablate_zero")
    assert seen.outputs([TEXT], interventions=[zero])[0][98] == 0.0
    whole = attach(llama)
    more = Intervention(unit=whole.unit("logits", 97), kind="add", value=2.0)
    assert whole.outputs([TEXT], interventions=[more])[0][97] == pytest.approx(clean[97] + 2.0, abs=1e-5)
    read = whole.read([TEXT], [whole.unit("logits", 97)], interventions=[more])[0][-1, 0]
    assert read == pytest.approx(clean[97] + 2.0, abs=1e-5)


def test_tokens_are_named_by_what_they_say(llama: Any) -> None:
    a, b = llama.tokenizer.convert_tokens_to_ids(["a", "b"])
    site = attach(llama, f"a,{b}").site("logits")
    assert site.names == ("a", "b")
    assert cast(LogitsLens, site.lens).columns == (a, b)
    with pytest.raises(UsageError, match="no output called 'zz'"):
        attach(llama, "zz")
    with pytest.raises(UsageError, match="outputs 0 to 258, not 259"):
        attach(llama, "259")
    with pytest.raises(UsageError, match="twice"):
        attach(llama, "3,3")


def test_a_class_logit_is_a_unit(known_cnn: Any, plain: Any) -> None:
    seen = attach(known_cnn)
    # red 51 of 255 is 0.2, blue 102 is 0.4: 2 * 0.2 - 0.4 = 0; green 0
    assert seen.measure([plain((51, 0, 102)), plain((255, 0, 0))], seen.unit("logits", 0)) == pytest.approx([0.0, 2.0])
    change = Intervention(unit=seen.unit("logits", 0), kind="ablate_mean", value=-3.0)
    assert seen.outputs([plain((255, 0, 0))], interventions=[change]).tolist() == [[-3.0]]
    # a change further below reaches the site
    below = Intervention(unit=seen.unit("act", 1), kind="set", value=1.0)
    assert seen.read([plain((255, 0, 0))], [seen.unit("logits", 0)], interventions=[below])[0] == pytest.approx(1.0)
    assert seen.untrained(1).site("logits").width == 1


def test_a_text_classifier_has_no_logit_at_each_token() -> None:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Embedding(128, 4), nn.Linear(4, 2)

        def forward(self, ids: Tensor) -> Tensor:
            return cast(Tensor, self.out(self.embed(ids)).mean(dim=1))

    def encode(text: str) -> list[tuple[int, int, int]]:
        return [(ord(c), i, i + 1) for i, c in enumerate(text)]

    with pytest.raises(UserError, match=r"not a value per token|not for each token"):
        attach(module_subject(Classifier(), tokenizer=encode, name="bag"))


def test_black_boxes_have_no_site_of_logits() -> None:
    from maieutic.subjects import function_subject

    with pytest.raises(UserError, match="no network"):
        attach(function_subject(lambda texts: [float(len(t)) for t in texts]))


@settings(max_examples=40, deadline=None)
@given(
    value=st.floats(-1e3, 1e3, width=32),
    sign=st.sampled_from([1, -1]),
    columns=st.one_of(st.none(), st.permutations(range(5)).map(lambda p: p[:3])),
    index=st.integers(0, 2),
)
def test_a_logit_reads_what_it_was_set_to(value: float, sign: int, columns: list[int] | None, index: int) -> None:
    lens = LogitsLens(5, columns)
    raw = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    where = torch.tensor([[True, False, True], [True, True, True]])
    unit = Unit(site="s", index=index, sign=sign)
    new = lens.change(raw, Intervention(unit=unit, kind="set", value=value), where)
    assert (sign * lens.read(new)[where][:, index]).tolist() == [value] * 5
    assert torch.equal(new[0, 1], raw[0, 1])
    along = lens.along(unit)
    assert along is not None
    column = index if columns is None else columns[index]
    assert along.tolist() == [1.0 if i == column else 0.0 for i in range(5)]
    raised = lens.change(raw, Intervention(unit=unit, kind="add", value=value), where)
    torch.testing.assert_close(raised[0, 0], raw[0, 0] + sign * value * along)
