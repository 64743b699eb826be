"""What units write, by hand: logit attribution, steering, labels, their held-out test, agreement with the input side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from planted_circuits import DIGITS, DOG, ING, RANDOM, TO_DIGITS, TO_ING, WORDS, WRITES

from maieutic.campaign.effects import EffectsPlan, bench_of, effects_of, read_effects, write_effects
from maieutic.errors import StoreError, UserError
from maieutic.explain.explanation import Explanation
from maieutic.explain.output.attribution import attribute, z_scores
from maieutic.explain.output.describing import information
from maieutic.explain.output.model import OutputEffects
from maieutic.explain.output.steering import contexts_of, natural_length, steer
from maieutic.explain.predicates.text import TokenClass
from maieutic.harvest import Atlas, harvest
from maieutic.score.output_side import auroc, average_precisions
from maieutic.stimuli import Corpus
from maieutic.subjects import Subject, Unit
from maieutic.subjects.writes import readout_of, write_of

SITE = "blocks.0.mlp"


@pytest.fixture(scope="module")
def atlas(word_subject: Subject, word_corpus: Corpus) -> Atlas:
    return harvest(word_subject, word_corpus, [SITE], keep=[Unit(site=SITE, index=i) for i in range(32)])


@pytest.fixture(scope="module")
def effects(word_subject: Subject, word_corpus: Corpus, atlas: Atlas) -> dict[int, OutputEffects]:
    """Of the four planted units, each explained as what it reads."""
    plan = EffectsPlan(contexts=12, directions=20, classes=WORDS)
    bench = bench_of(word_subject, word_corpus, plan)
    reads = TokenClass(name="numbers")
    found: dict[int, OutputEffects] = {}
    for index in (DOG, TO_ING, TO_DIGITS, RANDOM):
        unit = Unit(site=SITE, index=index)
        given = Explanation(unit=unit.key, label="numbers", predicate=reads, explainer="hand", confidence=1.0)
        of = given if index in (TO_ING, TO_DIGITS) else None
        found[index] = effects_of(word_subject, unit, atlas=atlas, found=of, bench=bench)
    return found


def test_a_unit_writes_its_column(word_subject: Subject) -> None:
    written = write_of(word_subject, Unit(site=SITE, index=DOG))
    assert written == pytest.approx(np.eye(len(WORDS))[0] * WRITES)
    assert write_of(word_subject, Unit(site=SITE, index=DOG, sign=-1)) == pytest.approx(-written)
    # the unembedding is the identity and there is no norm: the logits gain what is written
    assert readout_of(word_subject).logits(written) == pytest.approx(written)


def test_a_direction_writes_the_sum_of_its_columns(word_subject: Subject) -> None:
    vector = np.zeros(32, np.float32)
    vector[DOG], vector[TO_ING] = 0.5, 2.0
    written = write_of(word_subject, word_subject.direction(SITE, vector, "both"))
    expected = np.zeros(len(WORDS))
    expected[0] = 0.5 * WRITES
    expected[[WORDS.index(w) for w in ING]] = 2.0 * 1.0
    assert written == pytest.approx(expected)


def test_logit_attribution_names_the_word(word_subject: Subject) -> None:
    found = attribute(word_subject, Unit(site=SITE, index=DOG), n=64)
    assert int(np.argmax(found.z)) == WORDS.index("dog")
    assert found.stands_out
    assert np.sort(found.z)[-2] < found.peak / 3


def test_z_scores_are_set_against_each_output() -> None:
    random = np.array([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0]])
    # means 3 and 20; variances 4 and 300, typical 152; spreads sqrt((3 v + 8 * 152) / 11)
    spread = np.sqrt((3 * np.array([4.0, 300.0]) + 8 * 152) / 11)
    assert z_scores(np.array([[5.0, 5.0]]), random)[0] == pytest.approx((np.array([5.0, 5.0]) - [3, 20]) / spread)


def test_steering_raises_what_the_unit_writes(word_subject: Subject, atlas: Atlas) -> None:
    unit = Unit(site=SITE, index=DOG)
    length = natural_length(atlas, unit)
    mean = atlas.moments(unit).mean
    assert length == pytest.approx(1.0 - mean, abs=1e-5)  # it is 1 where it fires
    contexts = contexts_of(word_subject, atlas, unit, "test", n=6)
    came = steer(word_subject, unit, contexts, length=length)
    # dog's logit gains 2 length; less the mean over words, 2 length / V
    gain = WRITES * length
    assert came.own[:, 0] == pytest.approx(np.full(6, gain * (1 - 1 / len(WORDS))), rel=1e-5)
    assert came.own[:, 1:] == pytest.approx(np.full((6, len(WORDS) - 1), -gain / len(WORDS)), rel=1e-4)
    assert came.after[0] > came.before[0]


def test_contexts_are_from_the_split_and_cut_at_a_token(word_subject: Subject, atlas: Atlas) -> None:
    found = contexts_of(word_subject, atlas, Unit(site=SITE, index=DOG), "test", n=10)
    texts = [str(s.content) for s in atlas.corpus.split("test")]
    assert len(found) == 10 and len(set(found.groups.tolist())) == 10
    assert all(any(t.startswith(shown) for t in texts) and shown.split()[-1] in WORDS for shown in found.shown)
    strongest = contexts_of(word_subject, atlas, Unit(site=SITE, index=TO_ING), "test", how="ablate", n=5)
    assert all(shown.split()[-1] in DIGITS for shown in strongest.shown)


def test_a_word_is_the_label_of_a_unit_that_writes_it(effects: dict[int, OutputEffects]) -> None:
    found = effects[DOG]
    assert found.label == 'the word "dog"'
    first = found.rises[0]
    assert (first.name, first.stands_out, first.fits) == ("dog", True, True)
    assert first.low == pytest.approx(first.change, rel=1e-4)  # the network is linear: every context gives the same
    assert not any(s.stands_out for s in found.rises[1:])
    assert found.readings["output"].value == pytest.approx(1.0)
    assert found.attributed_up[0][0] == "dog"


def test_labels_say_what_promoted_words_share(effects: dict[int, OutputEffects]) -> None:
    assert "-ing" in effects[TO_ING].label or "participle" in effects[TO_ING].label
    assert effects[TO_DIGITS].label == "numbers"
    for index, words in ((TO_ING, ING), (TO_DIGITS, DIGITS)):
        assert {s.name for s in effects[index].rises[:6]} == set(words)
        # words that an unrelated unit writes as strongly do not stand out, and nothing else does
        assert {s.name for s in effects[index].rises if s.stands_out} <= set(words)


def test_a_label_is_tested_on_fresh_contexts_beside_controls(effects: dict[int, OutputEffects]) -> None:
    for index in (TO_ING, TO_DIGITS):
        r = effects[index].readings
        assert r["output"].value == pytest.approx(1.0)
        assert r["output.ap"].value == pytest.approx(1.0)
        for control in ("shuffled", "random"):
            value = r[f"output.control.{control}"].value
            assert value is not None and value < 0.75
            low = r[f"output.vs_{control}"].low
            assert low is not None and low > 0.2


def test_words_with_nothing_in_common_get_no_label(effects: dict[int, OutputEffects]) -> None:
    found = effects[RANDOM]
    assert found.label == "" and found.predicate is None
    assert found.reason is not None and "in common" in found.reason
    assert found.readings["output"].value is None
    assert "undescribed" in str(found.readings["output"].reason)
    assert {s.name for s in found.rises[:6]} == {"lamp", "wolf", "gold", "bread", "king", "hill"}


def test_agreement_tells_units_that_write_what_they_read(effects: dict[int, OutputEffects]) -> None:
    same, other = effects[TO_DIGITS].readings, effects[TO_ING].readings
    # k of the 6 numbers are among the promoted; each is above all others but level with the 6 - k that are not
    k = same["agreement"].details["promoted"]
    assert 4 <= k <= 6
    assert same["agreement"].value == pytest.approx(1 - 0.5 * (6 - k) / (len(WORDS) - k))
    assert same["agreement"].details["beats_random"] is True
    control = same["agreement.control.random"].value
    assert control is not None and control < 0.7
    # it fires on numbers and promotes none: each promoted word is below all 6 numbers, level with the rest
    k = other["agreement"].details["promoted"]
    assert other["agreement"].value == pytest.approx(0.5 * (1 - 6 / (len(WORDS) - k)))
    assert other["agreement"].details["beats_random"] is False
    assert effects[DOG].readings["agreement"].value is None


def test_information_in_bits() -> None:
    assert information(1.0, 0.0) == pytest.approx(1.0)
    assert information(0.3, 0.3) == pytest.approx(0.0)
    # H(1/4) - (H(1/2) + H(0)) / 2 = 0.811278 - 0.5
    assert information(0.5, 0.0) == pytest.approx(0.311278, abs=1e-6)


def test_rankings_against_hand_counts() -> None:
    values = np.array([[3.0, 2.0, 1.0, 0.0], [1.0, 1.0, 0.0, 2.0]])
    fits = np.array([True, False, True, False])
    # row 1: pairs (3>2, 3>0, 1<2, 1>0) = 3/4; row 2: (1=1 half, 1<2, 0<1, 0<2) = 1/8
    assert auroc(values, fits) == pytest.approx([0.75, 0.125])
    # row 1: hits at places 1 and 3: (1 + 2/3) / 2; row 2: order 3, 0, 1, 2: hits at 2 and 4: (1/2 + 2/4) / 2
    assert average_precisions(values, fits) == pytest.approx([5 / 6, 0.5])


def test_effects_are_kept_whole(effects: dict[int, OutputEffects], tmp_path: Any) -> None:
    path = write_effects(tmp_path, effects[TO_DIGITS])
    back = read_effects(tmp_path, f"{SITE}/{TO_DIGITS}")
    assert back is not None
    assert back.to_json() == effects[TO_DIGITS].to_json()
    assert back.predicate == effects[TO_DIGITS].predicate
    assert read_effects(tmp_path, f"{SITE}/{TO_DIGITS}-") is None
    path.write_text(path.read_text()[:100])
    with pytest.raises(StoreError, match="maieutic effects"):
        read_effects(tmp_path, f"{SITE}/{TO_DIGITS}")


def test_ablation_says_what_presence_does(word_subject: Subject, atlas: Atlas) -> None:
    plan = EffectsPlan(how="ablate", contexts=8, directions=8, classes=WORDS)
    found = effects_of(word_subject, Unit(site=SITE, index=TO_DIGITS), atlas=atlas, plan=plan)
    assert {s.name for s in found.rises[:6]} == set(DIGITS)
    assert found.length == pytest.approx(1.0 - atlas.moments(Unit(site=SITE, index=TO_DIGITS)).mean, rel=1e-4)


def test_a_single_output_has_no_side(word_corpus: Corpus) -> None:
    import maieutic as mt

    box = mt.function_subject(lambda texts: [float(len(t)) for t in texts], modality="text")
    with pytest.raises(UserError):
        effects_of(box, box.unit(), word_corpus)
