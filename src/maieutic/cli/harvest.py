"""``maieutic harvest``: pass a corpus through a model into a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from maieutic.cli.agents import sites_of
from maieutic.cli.progress import reporter, say

EXAMPLE = (
    "Example:  maieutic harvest hf:./my-model --corpus texts.jsonl --site layers.3.mlp --sample 10 --run runs/mine"
)


def harvest(
    subject: Annotated[str, typer.Argument(help="The model: see  maieutic models.")],
    corpus: Annotated[
        str,
        typer.Option(
            help="text, photos, prose, python; a folder of images or texts; a .txt or .jsonl file; hf-dataset:<path>."
        ),
    ],
    site: Annotated[str, typer.Option(help="Hook points, separated by commas: see  maieutic models NAME.")],
    run: Annotated[Path, typer.Option(help="The run folder: new, or one to go on with.")],
    units: Annotated[
        str, typer.Option(help="Units to study, SITE/INDEX separated by commas; else a sample is drawn.")
    ] = "",
    sample: Annotated[int, typer.Option(help="How many units of each to draw when none are named.")] = 24,
    size: Annotated[int | None, typer.Option(help="How many stimuli of a packaged corpus to use.")] = None,
    nulls: Annotated[
        int, typer.Option(help="Units of an untrained copy and random directions to study beside (each).")
    ] = 8,
    seed: Annotated[int, typer.Option(help="Of the draw, the untrained copy and the directions.")] = 0,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="Keep every non-zero of the sites too, sorted by unit (8 bytes each).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Pass a corpus through a model once: statistics and exemplars of every unit of a site, values of those studied.

    Interrupted, it goes on from its last checkpoint when the same command is run again.
    """
    from maieutic.campaign import RunPlan, create_run
    from maieutic.campaign.run import harvest_folder
    from maieutic.harvest import SparseStore

    named = tuple(key for key in (k.strip() for k in units.split(",")) if key)
    plan = RunPlan(
        subject=subject, corpus=corpus, sites=sites_of(site), units=named, sample=sample, size=size, nulls=nulls,
        seed=seed, sparse=sparse,
    )  # fmt: skip
    with create_run(run, plan, report=reporter()) as made:
        keys = [u.key for u in made.units]
        for note in made.corpus.notes:
            say(f"note: {note}")
        if made.atlas.failed:
            stimulus, why = next(iter(made.atlas.failed.items()))
            say(f"note: {len(made.atlas.failed)} stimuli left out, the first ({stimulus[:12]}) because {why}")
        non_zeros = harvest_folder(run, made.subject) / "sparse"
        stored = SparseStore.open(non_zeros) if sparse else None
        harvested = {s: made.atlas.sites[s] for s in made.sites}
        if as_json:
            positions = {s: summary.count for s, summary in harvested.items()}
            found = {"run": str(run), "sites": list(made.sites), "units": keys, "positions": positions}
            print(json.dumps(found | ({"sparse": str(non_zeros)} if sparse else {})))
            return
        splits = {s: len(made.corpus.split(s)) for s in ("discover", "select", "test")}
    for name, summary in harvested.items():
        print(f"{subject} at {name}: {summary.units} units over {summary.count} discover positions")
    for name, offsets in zip(stored.sites, stored.offsets, strict=True) if stored else ():
        print(f"kept {offsets[-1]:,} non-zeros of {name} in {non_zeros}")
    print(f"corpus {corpus}: {', '.join(f'{n} {s}' for s, n in splits.items())}")
    print(f"studying {len(keys)}: {', '.join(keys[:6])}{' …' if len(keys) > 6 else ''}")
    print(f"next:  maieutic explain {run}")
