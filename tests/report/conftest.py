"""A made-up run for the report's tests: varied, seeded, with hostile strings; no part of it is a measurement."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from maieutic.readings import Cost, Reading
from maieutic.report import (
    ReportControl,
    ReportExemplar,
    ReportExperiment,
    ReportImage,
    ReportRun,
    ReportScores,
    ReportSection,
    ReportText,
    ReportUnit,
    write_report,
)

HOSTILE = "<script>document.title='hacked'</script>\"'><img src=x onerror=\"document.title='hacked'\">&amp;{{7*7}}"
CONTROLS = ("constant label", "another unit's label", "one-shot label", "untrained network", "random direction")
LABELS = (
    "years written with four digits",
    "the word “treaty” and its forms, in passages on foreign relations",
    "closing brackets after a default argument in Python source",
    "numbers before a unit of area",
    "first token of a line",
    "names of rivers, and the word “basin” after one of them; weaker on lakes and on reservoirs behind a named dam",
    "the letter q inside code",
    "words of apology",
)
#: what a sweep adds to a unit: which explanation it chose, why, and how much the unit matters
SWEPT = (
    {"explainer": "search", "standing": 0.82, "importance": 0.4, "why": "the search stands well enough"},
    {
        "explainer": "agent",
        "standing": 0.61,
        "importance": 12.5,
        "why": "better than search by 0.2 on the select split",
    },
)
TEXT = (
    "The treaty of 1856 closed the straits to warships. In 1871 the clause was dropped,\n\tand the "
    "states on the coast could arm again; by 1936 a third treaty set the terms that still hold. "
) * 3


def tokens(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\s?\w+|\s+|[^\w\s]", text))


def text_shown(rng: np.random.Generator, text: str = TEXT, peak: float = 4.0) -> ReportText:
    parts = tokens(text)
    values = rng.gamma(0.4, 0.5, len(parts)) * 0.4
    for i, part in enumerate(parts):
        if part.strip().isdigit():
            values[i] = peak * (0.6 + 0.4 * rng.random())
    return ReportText(tokens=parts, values=tuple(float(v) for v in values))


def scene(seed: int, size: tuple[int, int] = (224, 224)) -> Image.Image:
    rng = np.random.default_rng(seed)
    sky, ground = rng.integers(60, 255, (2, 3))
    rows = np.linspace(sky, ground, size[1])[:, None, :] + rng.normal(0, 6, (size[1], size[0], 3))
    picture = Image.fromarray(rows.clip(0, 255).astype(np.uint8))
    x, y = 40 + seed * 17 % 80, 50 + seed * 29 % 70
    ImageDraw.Draw(picture).ellipse((x, y, x + 90, y + 80), fill=tuple(int(c) for c in rng.integers(0, 255, 3)))
    return picture


def image_shown(seed: int, strength: float, size: tuple[int, int] = (224, 224)) -> ReportImage:
    y, x = np.mgrid[0:14, 0:14]
    centre = ((40 + seed * 17 % 80 + 45) / 16, (50 + seed * 29 % 70 + 40) / 16)
    heat = strength * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 6)
    return ReportImage(
        load=lambda: scene(seed, size), heat=heat.astype(np.float32), alt=f"a ball, scene {seed}", id=f"{seed} {size}"
    )


def scores(rng: np.random.Generator, quality: float) -> ReportScores:
    ap = float(np.clip(quality + rng.normal(0, 0.05), 0.02, 0.98))
    controls = []
    for k, name in enumerate(CONTROLS):
        if k == 3 and rng.random() < 0.15:
            missing = Reading.unmeasured(name, "the untrained copy never fires")
            controls.append(ReportControl(name=name, reading=missing, difference=missing))
            continue
        other = float(np.clip(rng.beta(1.2, 8) + 0.02 * k, 0.01, 0.9))
        gap = ap - other
        controls.append(
            ReportControl(
                name=name,
                reading=Reading(name=name, value=other, low=max(other - 0.05, 0), high=min(other + 0.07, 1), n=4210),
                difference=Reading(name=name, value=gap, low=gap - 0.08, high=gap + 0.09, n=4210),
            )
        )
    return ReportScores(
        primary=Reading(name="ap", value=ap, low=max(ap - 0.07, 0), high=min(ap + 0.06, 1), n=4210),
        pearson=Reading(name="Pearson", value=ap * 0.9 - 0.05, low=ap * 0.8 - 0.05, high=ap * 0.95, n=4210),
        controls=tuple(controls),
        others=(
            Reading(name="AUROC", value=0.5 + ap / 2, low=0.45 + ap / 2, high=min(1.0, 0.55 + ap / 2), n=4210),
            Reading.unmeasured("generative", "no text model was given"),
        ),
    )


def text_experiments(key: str, rng: np.random.Generator) -> tuple[ReportExperiment, ...]:
    rows: list[ReportExperiment] = []

    def add(kind: str, hypothesis: str, shown: ReportText | str, expect: float | None, value: float, pair: str | None):
        rows.append(
            ReportExperiment(
                id=f"{key}#{len(rows) + 1}", kind=kind, hypothesis=hypothesis, shown=shown, expect=expect,
                scaled=min(max(value / 4, 0.0), 1.0), value=value, pair=pair, fresh=len(rows) % 3 > 0,
            )
        )  # fmt: skip

    for swap in ("four", "18", "green", "1857", "0x1F"):
        add("look", "It fires on years, not on numbers as such", text_shown(rng), None, 3.7, None)
        edited = TEXT.replace("1856", swap, 1)
        year = swap == "1857"
        expect, value = (0.9, 3.5) if year else (0.05, 0.2 + 2 * (swap == "18"))
        about = "It fires on years, not on numbers as such"
        add("substitute", about, text_shown(rng, edited), expect, value, f"{key}#{len(rows)}")
    for k in range(16):
        add("delete", "The words before it do not matter", f"In {1700 + 13 * k} it rained.", 0.8, 3.0 + 0.1 * k, None)
    add("insert", HOSTILE, f"{HOSTILE} شكرا 1999 \u202eevil\u202c 🦜", 0.5, 1.9, None)
    return tuple(rows)


def image_experiments(key: str) -> tuple[ReportExperiment, ...]:
    plan = [
        ("look", None, 0.95),
        ("remove", 0.1, 0.06),
        ("silhouette", 0.2, 0.62),
        ("background", 0.9, 0.88),
        ("paste", 0.9, 0.4),
    ]
    return tuple(
        ReportExperiment(
            id=f"{key}#{i + 1}", kind=kind, hypothesis="It responds to the ball, wherever it lies",
            shown=image_shown(i, scaled * 5), expect=expect, scaled=scaled, value=scaled * 5,
            pair=f"{key}#1" if i else None,
        )
        for i, (kind, expect, scaled) in enumerate(plan)
    )  # fmt: skip


def unit(index: int, modality: str, *, full: bool = True) -> ReportUnit:
    rng = np.random.default_rng(index)
    text = modality == "text"
    site = "layers.15.mlp" if text else "blocks.14.expand"
    key = f"{site}/{17 * index + 3}{'-' if index % 5 == 4 else ''}"
    gave_up = "no predicate held on the select split (best lift 0.01)" if index % 9 == 5 else None
    quality = (0.85, 0.7, 0.55, 0.3, 0.12)[index % 5]
    exemplars = tuple(
        ReportExemplar(
            shown=text_shown(rng, TEXT if k % 3 else "Bei " + TEXT, peak=4.0 * (1 - k / 8)) if text
            else image_shown(index + k, 5 * (1 - k / 8), size=(224, 160) if k % 4 == 1 else (224, 224)),
            value=4.0 * (1 - k / 8), quantile=1 - k * k / 64, source="made up",
            split="test" if k % 4 == 3 else "discover",
        )
        for k in range(8)
    )  # fmt: skip
    counts = tuple(int(c) for c in (9e4 * np.exp(-np.arange(40) / 3)).astype(int) + (np.arange(40) == 33) * 40)
    return ReportUnit(
        key=key,
        site=site,
        label="unexplained" if gave_up else (LABELS[index % len(LABELS)] if text else f"round things, kind {index}"),
        abstained=gave_up,
        predicate="a token of four digits, or a token after “in” that is a number",
        predicate_json={"op": "or", "parts": [{"op": "shape", "shape": "dddd"}, {"op": "after", "token": " in"}]},
        confidence=round(0.95 * quality, 2),
        scale=(0.0, 4.0),
        scores=None if gave_up or index == 12 else scores(rng, quality),
        exemplars=exemplars if full else (),
        histogram=(tuple(np.linspace(-0.5, 5, 41).tolist()), counts) if full else None,
        experiments=() if not full else (text_experiments(key, rng) if text else image_experiments(key)),
        considered=(("numbers", "fires on 0.2 of numbers that are no years"), (HOSTILE, "lift below 0.05")),
        evidence=(f"{key}#2", f"{key}#4", f"{key}#900"),
        measurements=143 + index,
        cost=Cost(measurements=143, tokens=20412 if text else 0, images=0 if text else 143, seconds=12.4),
        seed=7,
        **(SWEPT[index % 2] if text else {"explainer": "search"}),
    )


def build(n: int = 12) -> ReportRun:
    """A run of two models with ``n`` units each; one unit's strings try to break the page."""
    texts = [unit(i, "text") for i in range(n)]
    bad = {
        "label": HOSTILE + " " + "supercalifragilistic" * 40 + " \u202eevil\u202c שלום עולם 🦜🏽",
        "key": f"layers.15.mlp/d:{HOSTILE}",
        "predicate": HOSTILE,
        "predicate_json": {"op": HOSTILE},
    }
    good = unit(1, "text")
    texts.append(
        ReportUnit(
            **bad, site="layers.15.mlp", exemplars=(
                ReportExemplar(shown=ReportText(tokens=(HOSTILE, " \n", "\t", "\x00\ud800", " مرحبا", " שלום"),
                               values=(1.0, 0.0, 0.5, 0.2, 3.0, 4.0)), value=4.0, quantile=1.0, split="discover"),
            ), experiments=text_experiments("h", np.random.default_rng(5)), scores=good.scores, scale=(0, 4),
            considered=good.considered, confidence=0.4,
        )
    )  # fmt: skip
    return ReportRun(
        title="demo",
        started="2026-11-23 00:15 UTC",
        seconds=341.0,
        seed=7,
        machine="2 cores, x86_64, no GPU",
        versions={"maieutic": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
        command="maieutic demo --seed 7",
        sections=(
            ReportSection(
                subject="efficientnet-lite0", modality="image", corpus="scenes (1,820 pictures, half for discovery)",
                sites=("blocks.14.expand",), units=tuple(unit(i, "image") for i in range(n)),
                facts=(("Weights", "sha256 579344…"),), attribution={"made up": "drawn by a test; no licence needed"},
            ),
            ReportSection(
                subject="smollm2-135m", modality="text", corpus="prose (4,400 documents, half for discovery)",
                sites=("layers.15.mlp", "layers.16.mlp"), units=tuple(texts),
                notes=("State of the Union is missing: npm was not found. Run  maieutic fetch  once it is there.",),
            ),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def run() -> ReportRun:
    return build(6)


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def written(run: ReportRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a written report."""
    return write_report(run, tmp_path_factory.mktemp("report") / "out").parent
