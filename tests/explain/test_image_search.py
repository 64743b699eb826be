"""The image search on drawn scenes with planted units: what it finds, what it refutes, and when it stays silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.metrics import average_precision_score

from maieutic.explain.lookup_image import lookup_image
from maieutic.explain.predicates.base import And, Constant, Not, Or
from maieutic.explain.predicates.image import Blend, Count, Formed, Placed, Relation, Shows, Texture
from maieutic.explain.search.image import explain_image
from maieutic.explain.search.image_columns import Columns
from maieutic.explain.search.image_confidence import Evidence, confidence_of
from maieutic.explain.search.image_fit import search_rules
from maieutic.explain.search.image_pairs import Pairs
from maieutic.explain.search.image_quality import average_precision, correlation
from maieutic.explain.search.image_rules import levels_of, solve, target_of
from maieutic.explain.search.image_table import SUPPORT, build_table, folds_of
from maieutic.explain.search.image_words import concepts_in
from maieutic.explain.views_image import ImageViewer
from maieutic.harvest.run import harvest
from maieutic.lab.lab import Budget, Lab
from maieutic.stimuli.base import Corpus, Stimulus, split_of
from maieutic.stimuli.library import Library, Picture
from maieutic.stimuli.scenes import Background, Scene
from maieutic.stimuli.studio import place
from maieutic.subjects.planted import Planted, PlantedSubject, Rule, Seen, annotated
from maieutic.subjects.planted import Shows as Fires
from maieutic.subjects.planted import ShowsAt as FiresAt

KINDS = {
    "owl": ("owl", "bird", "animal"), "gull": ("gull", "bird", "animal"), "robin": ("robin", "bird", "animal"),
    "cow": ("cow", "mammal", "animal"), "lion": ("lion", "mammal", "animal"), "fox": ("fox", "mammal", "animal"),
    "bus": ("bus", "vehicle"), "van": ("van", "vehicle"), "truck": ("truck", "vehicle"),
}  # fmt: skip
COLOURS = ("#c81818", "#2040d0", "#f0dc20", "#784620")


@dataclass(frozen=True)
class Pixels(Rule):
    """Fires with the share of pixels of one exact hue: it does not care what is shown."""

    share: Callable[[Image.Image], float]

    def truth(self, view: Seen) -> np.ndarray:
        return np.array([self.share(view.picture())])


def greenness(picture: Image.Image) -> float:
    rgb = np.asarray(picture.resize((32, 32))).astype(float)
    return float(((rgb[..., 1] > 1.3 * rgb[..., 0]) & (rgb[..., 1] > 1.3 * rgb[..., 2])).mean())


def _names(split: str, stem: str, n: int) -> list[str]:
    """Group names that fall into a split."""
    return [k for k in (f"{stem}-{i}" for i in range(200)) if split_of(k) == split][:n]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Stamps of nine kinds (four in each split) in four colours, and two textures in each split, one of them green."""
    folder = tmp_path_factory.mktemp("pictures")
    pictures: dict[str, Picture] = {}

    def keep(key: str, kind: str, concepts: tuple[str, ...], group: str, image: Image.Image) -> None:
        file = key.replace(":", "-").replace("/", "-") + ".png"
        image.save(folder / file)
        pictures[key] = Picture(
            key=key, kind=kind, name=concepts[0], concepts=concepts, folders=(), group=group, source="drawn",  # pyright: ignore[reportArgumentType]
            file=file, size=image.size, hash=key,
        )  # fmt: skip

    rng = np.random.default_rng(0)
    for number, (name, concepts) in enumerate(sorted(KINDS.items())):
        for split in ("discover", "select", "test"):
            for i, group in enumerate(_names(split, name, 4)):
                image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
                draw = ImageDraw.Draw(image)
                shape = (draw.ellipse, draw.rectangle)[number % 2]
                shape((4, 4 + 3 * (number % 5), 60, 60), fill=COLOURS[i])
                keep(f"stamp:{name}/{group}", "stamp", concepts, group, image)
    for split in ("discover", "select", "test"):
        for i, group in enumerate(_names(split, "ground", 2)):
            base = np.array([(60, 150, 60), (150, 140, 130)][i])
            grain = np.clip(base + rng.integers(-20, 20, (32, 32, 1)), 0, 255).astype(np.uint8)
            keep(f"texture:ground/{group}", "texture", (f"ground{i}",), group, Image.fromarray(grain))
    return Library(folder=folder, pictures=dict(sorted(pictures.items())), fingerprint="drawn")


@pytest.fixture(scope="module")
def corpus(library: Library) -> Corpus:
    """Every stamp on its split's grounds; birds stand on green four times in five, others rarely."""
    rng = np.random.default_rng(1)
    stimuli: list[Stimulus] = []
    for stamp in library.of("stamp"):
        grounds = [t.key for t in library.of("texture", stamp.split)]
        for _ in range(4):
            green = rng.random() < (0.8 if "bird" in stamp.concepts else 0.1)
            where = place(
                stamp,
                x=float(rng.uniform(0.3, 0.7)),
                y=float(rng.uniform(0.3, 0.7)),
                scale=float(rng.uniform(0.4, 0.7)),
            )
            ground = Background(kind="texture", key=grounds[0 if green else 1], zoom=0.4, x=float(rng.random()))
            scene = Scene(background=ground, placements=(where,), size=96, library=library)
            stimuli.append(scene.stimulus(tags=("scene", "background:texture")))
    return Corpus(name="drawn", modality="image", stimuli=stimuli)


def lab_of(corpus: Corpus, rule: Rule, *, noise: float = 0.05, measurements: int = 200) -> Lab:
    subject = PlantedSubject([Planted(name="u", kind="single", rule=rule, about="", noise=noise)], modality="image")
    unit = subject.unit()
    atlas = harvest(subject, annotated(corpus), [unit.site])
    return Lab(subject, unit, atlas, budget=Budget(measurements=measurements))


def test_average_precision_equals_scikit_learn_also_with_ties() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        scores, high = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.3
        high[0] = True
        assert average_precision(scores, high) == pytest.approx(average_precision_score(high, scores))
    # ranked +, -, +: (1/1 + 2/3) / 2
    assert average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.ones(4), np.zeros(4, dtype=bool)) == 0.0


def test_high_images_of_graded_and_of_on_off_units() -> None:
    graded = np.arange(100.0)
    assert levels_of(graded, graded).sum(axis=1).tolist() == [20, 10, 5]
    # 70 at rest, 15 at 0.6, 15 at 1: half of full scale is 0.5, the 80th percentile 0.6, the others the maximum
    parts = np.repeat([0.0, 0.6, 1.0], [70, 15, 15])
    assert levels_of(parts, parts).sum(axis=1).tolist() == [30, 15, 15, 15]
    on_off = np.repeat([0.0, 1.0], [85, 15])  # on in 15 %: the 90th and 95th percentiles are the maximum itself
    assert levels_of(on_off, on_off).sum(axis=1).tolist() == [15, 15, 15, 15]


def test_solve_recovers_strengths() -> None:
    x = (np.random.default_rng(0).random((400, 2)) < 0.4).astype(float)
    y = 0.1 + 0.7 * x[:, 0] - 0.2 * x[:, 1]
    assert solve(x, y, np.ones(400)) == pytest.approx([0.1, 0.7, -0.2], abs=0.02)
    assert correlation(np.ones(3), np.arange(3.0)) == 0.0


def test_the_table_says_what_its_predicates_say(corpus: Corpus) -> None:
    table = build_table(corpus.split("discover"), ImageViewer())
    for clause in table.clauses[::17]:
        said = [clause.predicate.evaluate(v)[0] for v in table.views]
        assert clause.column == pytest.approx(said, abs=1e-5)
    shown = {c for clause in table.clauses[: table.named] for c in concepts_in(clause.predicate)}
    assert {"bird", "owl", "vehicle", "animal"} <= shown
    joined = table.clauses[0].joined(table.clauses[1]).joined(table.clauses[-1], without=True)
    assert joined.column == pytest.approx([joined.predicate.evaluate(v)[0] for v in table.views], abs=1e-5)
    assert joined.atoms == 3


def test_folds_keep_groups_whole_and_even() -> None:
    groups = np.repeat(np.arange(20), np.arange(1, 21))
    folds = folds_of(groups, 4)
    assert all(len(set(folds[groups == g])) == 1 for g in range(20))
    assert np.ptp(np.bincount(folds)) <= 4  # 210 images over 4 folds
    assert (folds_of(groups, 4) == folds).all()


def test_a_concept_needs_several_groups(corpus: Corpus) -> None:
    few = [s for s in corpus.split("discover") if s.things[0].name != "owl" or s.group in _names("discover", "owl", 2)]
    table = build_table(few, ImageViewer())
    assert SUPPORT == 3
    assert Shows(concept="owl") not in {c.predicate for c in table.clauses}


def test_a_kind_is_found_named_and_confirmed_by_experiments(corpus: Corpus) -> None:
    lab = lab_of(corpus, Fires(("vehicle",)))
    found = explain_image(lab)
    assert found.label.startswith("vehicles")
    assert found.confidence > 0.7
    assert found.evidence and all(lab.ledger[i].expect is not None for i in found.evidence)
    assert {"paste", "remove"} <= {e.kind for e in lab.ledger.entries}
    test = corpus.split("test")
    measured = lab.subject.measure(test, lab.unit)
    assert correlation(np.asarray(found.predict(test)), measured.astype(float)) > 0.9


def test_what_no_rule_describes_well_is_asked_how_it_acts(corpus: Corpus) -> None:
    lab = lab_of(corpus, Fires(("vehicle",)), noise=0.5)
    found = explain_image(lab)
    assert found.label.startswith("vehicles")
    kinds = {e.kind for e in lab.ledger.entries}
    assert {"paste", "near miss", "look", "remove", "background", "silhouette", "grey"} <= kinds
    assert "taking vehicles out keeps" in " ".join(why for _, why in found.considered)


def test_an_on_off_unit_without_noise_is_found(corpus: Corpus) -> None:
    found = explain_image(lab_of(corpus, Fires(("bird",)), noise=0.0), experiments=False)
    assert found.label.startswith("birds")
    test = corpus.split("test")
    truth = np.array([float("bird" in s.things[0].concepts) for s in test])
    assert average_precision(np.asarray(found.predict(test)), truth > 0) == 1.0


def test_either_of_two_kinds_is_found(corpus: Corpus) -> None:
    found = explain_image(lab_of(corpus, Fires(("vehicle", "owl"))), experiments=False)
    assert "vehicles" in found.label and "owls" in found.label


def test_a_kind_without_a_part_of_it_is_predicted(corpus: Corpus) -> None:
    lab = lab_of(corpus, Fires(("animal",), and_not=("bird",)))
    found = explain_image(lab, experiments=False)
    assert "mammals" in found.label  # the animals that are not birds here
    test = corpus.split("test")
    assert correlation(np.asarray(found.predict(test)), lab.subject.measure(test, lab.unit).astype(float)) > 0.9


def test_a_background_is_not_mistaken_for_the_birds_on_it(corpus: Corpus) -> None:
    lab = lab_of(corpus, Pixels(greenness), noise=0.02)
    assert lookup_image(lab).label in ("birds", "robins", "gulls", "owls")  # what a glance at the top says
    found = explain_image(lab)
    assert "bird" not in found.label
    assert "green" in found.label or "background" in found.label
    test = corpus.split("test")
    assert correlation(np.asarray(found.predict(test)), lab.subject.measure(test, lab.unit).astype(float)) > 0.8


def test_noise_and_silence_are_not_explained(corpus: Corpus) -> None:
    noise = explain_image(lab_of(corpus, Fires(("nothing",)), noise=1.0), experiments=False)
    assert noise.abstained and "shuffled" in (noise.reason or "")
    dead = explain_image(lab_of(corpus, Fires(("nothing",)), noise=0.0))
    assert dead.abstained and "dead" in (dead.reason or "")
    assert dead.predict(corpus.split("test")[:3]) == pytest.approx(np.zeros(3))


def test_the_budget_is_kept_and_the_same_seed_gives_the_same_answer(corpus: Corpus) -> None:
    first, second = (explain_image(lab_of(corpus, Fires(("bird",)), measurements=30)) for _ in range(2))
    assert first.cost.measurements <= 30
    assert (first.label, first.predicate, first.considered) == (second.label, second.predicate, second.considered)
    assert explain_image(lab_of(corpus, Fires(("bird",))), experiments=False).cost.measurements == 0


def test_rules_are_priced_by_their_conditions(corpus: Corpus) -> None:
    lab = lab_of(corpus, Fires(("vehicle",)))
    table = build_table([o.stimulus for o in lab.discover], ImageViewer())
    raw = np.array([float(o.values[0]) for o in lab.discover])
    rules = search_rules(table, target_of(table, np.asarray(lab.scaled(raw)), raw))
    assert rules[0].clauses[0].predicate == Shows(concept="vehicle")
    assert rules == sorted(rules, key=lambda r: -r.score)
    banned = search_rules(
        table,
        target_of(table, np.asarray(lab.scaled(raw)), raw),
        allowed=lambda c: "vehicle" not in concepts_in(c.predicate),
    )
    assert all("vehicle" not in concepts_in(c.predicate) for r in banned for c in r.clauses)


@pytest.fixture(scope="module")
def bound(library: Library) -> Corpus:
    """A bus comes only beside an owl, and a van stands only on the left; other things are free."""
    rng = np.random.default_rng(2)
    stimuli: list[Stimulus] = []
    for split in ("discover", "select", "test"):
        stamps = library.of("stamp", split)
        grounds = [t.key for t in library.of("texture", split)]
        kinds = {n: [s for s in stamps if s.name == n] for n in KINDS}
        free = [s for s in stamps if s.name not in ("bus", "owl", "van")]
        for k in range({"discover": 150, "select": 60, "test": 10}[split]):
            chosen = [free[int(i)] for i in rng.choice(len(free), 2, replace=False)]
            if k % 5 == 0:
                chosen[:1] = [kinds["bus"][k % 4], kinds["owl"][k // 5 % 4]]
            if k % 5 == 1:
                chosen[0] = kinds["van"][k % 4]
            at = rng.permutation(len(chosen))
            things = [
                place(s, x=(i + 0.5) / len(chosen), y=float(rng.uniform(0.3, 0.7)), scale=0.3)
                for s, i in zip(chosen, at, strict=True)
            ]
            if k % 5 == 1:
                things[0] = place(chosen[0], x=0.25, y=float(rng.uniform(0.3, 0.7)), scale=0.3)
            ground = Background(kind="texture", key=grounds[k % 2], zoom=0.4, x=float(rng.random()))
            scene = Scene(background=ground, placements=tuple(things), size=96, library=library)
            stimuli.append(scene.stimulus(tags=("several", "background:texture")))
    return Corpus(name="bound", modality="image", stimuli=stimuli)


def shown(library: Library, *things: tuple[str, float]) -> Stimulus:
    """Test stamps at places from left to right."""
    placed = tuple(
        place(next(s for s in library.of("stamp", "test") if s.name == name), x=x, y=0.5, scale=0.3)
        for name, x in things
    )
    ground = Background(kind="plain", key="#808080")
    return Scene(background=ground, placements=placed, size=96, library=library).stimulus(tags=("scene",))


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        # bus alone, owl alone, both; van on the left, van on the right
        (Fires(("bus",)), (1, 0, 1, 0, 0)),
        (Fires(("owl",)), (0, 1, 1, 0, 0)),
        (Fires(("bus",), and_also=("owl",)), (0, 0, 1, 0, 0)),
        (Fires(("bus", "owl")), (1, 1, 1, 0, 0)),
        (FiresAt("van", "left"), (0, 0, 0, 1, 0)),
        (Fires(("van",)), (0, 0, 0, 1, 1)),
    ],
)
def test_experiments_tell_a_cause_from_what_always_comes_with_it(
    library: Library, bound: Corpus, rule: Rule, values: tuple[int, ...]
) -> None:
    lab = lab_of(bound, rule, noise=0.0)
    found = explain_image(lab)
    cases = [
        shown(library, ("bus", 0.3)), shown(library, ("owl", 0.3)), shown(library, ("bus", 0.3), ("owl", 0.7)),
        shown(library, ("van", 0.3)), shown(library, ("van", 0.7)),
    ]  # fmt: skip
    assert [round(v) for v in found.predict(cases)] == list(values)
    assert 0 < len(lab.ledger) <= 40
    assert len(found.evidence) == len(lab.ledger)  # nothing was asked for the sake of asking
    assert any("where it foretells" in why for _, why in found.considered)
    assert found.confidence > explain_image(lab_of(bound, rule, noise=0.0), experiments=False).confidence


def test_columns_are_what_predicates_say(bound: Corpus) -> None:
    viewer = ImageViewer()
    views = [viewer(s) for s in bound.split("select")]
    columns = Columns(views)
    bus, green = Shows(concept="bus", full=0.1), Texture(feature="greenish", where="ground", low=0.2, high=0.6)
    for predicate in (
        bus, green, Placed(concept="owl", where="left"), Relation(a="bus", relation="left of", b="owl"),
        Formed(concept="", form="wide"), Count(concept="vehicle", full=2), Constant(value=0.4),
        And(parts=(bus, Not(part=green))), Or(parts=(bus, green)), Shows(concept="nobody"),
        Blend(parts=(bus, green), strengths=(0.6, -0.3), base=0.2),
    ):  # fmt: skip
        assert columns.of(predicate) == pytest.approx([predicate.evaluate(v)[0] for v in views], abs=1e-6)


def test_pairs_are_found_where_neither_part_stands_out(bound: Corpus) -> None:
    lab = lab_of(bound, Fires(("fox",), and_also=("gull",)), noise=0.0)
    table = build_table([o.stimulus for o in lab.discover], ImageViewer())
    y = np.array([float(o.values[0]) for o in lab.discover])
    pairs = Pairs(table, np.ones(len(y)), table.distinct).best(y - y.mean())
    assert max(correlation(c.column.astype(float), y) for c in pairs) == pytest.approx(1.0)
    assert max(correlation(c.column.astype(float), y) for c in table.clauses[: table.named]) < 0.9


def test_confidence_rises_with_each_reading() -> None:
    low = Evidence(fit=0.6, select=0.6, belief=0.4, foretold=0.5, support=3)
    for better in ({"fit": 0.9}, {"select": 0.9}, {"belief": 0.9}, {"foretold": 0.9}, {"support": 9}):
        assert confidence_of(replace(low, **better)) >= confidence_of(low)
    assert confidence_of(replace(low, foretold=None)) <= confidence_of(replace(low, foretold=1.0))


def test_too_few_images_is_said(library: Library, tmp_path: Path) -> None:
    few = [
        Scene(
            background=Background(kind="plain", key="#808080"), placements=(place(p, x=0.5, y=0.5, scale=0.5),),
            size=64, library=library,
        ).stimulus()
        for p in library.of("stamp")[:30]
    ]  # fmt: skip
    found = explain_image(lab_of(Corpus(name="few", modality="image", stimuli=few), Fires(("bird",))))
    assert found.abstained and "harvest a corpus" in (found.reason or "")
