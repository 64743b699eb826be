"""``maieutic directions``: components, probes and differences of means as units.

What this module does not do: anything but asking `maieutic.harvest.directions` and writing its file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, cast

import typer

from maieutic.cli.progress import reporter, say
from maieutic.errors import UsageError, UserError

EXAMPLE = (
    "Example:  maieutic directions smollm2-135m --corpus text --site layers.15.resid --kind pca --out pca.safetensors"
)


def directions(
    subject: Annotated[str, typer.Argument(help="Model: a packaged name, hf:…, timm:… or gguf:….")],
    out: Annotated[Path, typer.Option(help="File to write (.safetensors).")],
    site: Annotated[str, typer.Option(help="Where, such as layers.15.resid.")],
    kind: Annotated[
        str,
        typer.Option(help="pca, diff (of means, between tags: a steering vector), probe (between tags) or random."),
    ] = "pca",
    corpus: Annotated[str, typer.Option(help="text, photos, prose, python; a folder; a .txt or .jsonl file.")] = "text",
    positive: Annotated[str, typer.Option(help="Tag that a difference or probe points to.")] = "",
    negative: Annotated[str, typer.Option(help="Tag of the other side; all other stimuli when left out.")] = "",
    count: Annotated[int, typer.Option(help="How many components, or random directions.")] = 8,
    controls: Annotated[int, typer.Option(help="Random directions beside, as a set of their own.")] = 8,
    name: Annotated[str, typer.Option(help="Of the set: its units are at SITE.NAME; the kind when left out.")] = "",
    size: Annotated[int | None, typer.Option(help="How many stimuli of a packaged corpus to use.")] = None,
    stimuli: Annotated[int, typer.Option(help="Most stimuli to look at.")] = 2000,
    positions: Annotated[int, typer.Option(help="Most tokens of each text.")] = 16,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find directions in what stands at a site, from the discover split alone, and write them as units.

    Study them like neurons: MODEL+directions:FILE has a site SITE.NAME, and one of random directions beside it.
    """
    from maieutic.harvest.directions import DirectionPlan, Kind, make_directions
    from maieutic.stimuli import load_corpus
    from maieutic.subjects import load_subject
    from maieutic.subjects.lenses.directions import write_directions

    plan = DirectionPlan(
        kind=cast("Kind", kind), name=name, positive=positive, negative=negative, count=count, controls=controls,
        stimuli=stimuli, positions=positions, seed=seed,
    )  # fmt: skip
    if out.suffix != ".safetensors":
        raise UsageError(f"--out is a .safetensors file, not {out}: give it that ending")
    if out.exists():
        raise UserError(f"{out} exists: give another --out, or remove it")
    model, shown = load_subject(subject), load_corpus(corpus, size=size)
    for note in shown.notes:
        say(f"note: {note}")
    found, separation = make_directions(model, shown, site, plan, report=reporter())
    write_directions(out, found)
    if as_json:
        sets = [{"site": f"{f.site}.{f.name}", "names": list(f.names), "made": dict(f.made)} for f in found]
        print(
            json.dumps({"out": str(out), "sets": sets, "auroc": None if separation is None else separation.to_json()})
        )
        return
    for one in found:
        shares = one.made.get("variance")
        told = f", {sum(shares):.0%} of the variance" if shares else ""
        print(f"{one.site}.{one.name}: {len(one.vectors)} {one.made['what']}{told}")
    if separation is not None:
        print(f"telling {positive} from {negative or 'all others'} on the select split, AUROC {separation}")
    print(f"next:  maieutic harvest '{subject}+directions:{out}' --site {site}.{found[0].name}")
