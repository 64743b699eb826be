"""``maieutic sae``: train a sparse autoencoder, measure one, and see whether its latents can be explained better than neurons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.agents import BaseUrl, Model, More, Size, given
from maieutic.cli.progress import reporter, say

if TYPE_CHECKING:
    from maieutic.stimuli import Corpus
    from maieutic.studies.sae.metrics import Metrics
    from maieutic.subjects import Subject
    from maieutic.subjects.lenses.sae_files import SaeFile

TRAIN = "Example:  maieutic sae train smollm2-135m --site layers.7.resid --corpus text --out saes/smollm2-7"
INFO = "Example:  maieutic sae info saes/smollm2-7 --subject smollm2-135m --corpus text"
COMPARE = "Example:  maieutic sae compare saes/smollm2-7 --subject smollm2-135m --corpus text --out runs/latents"
EXAMPLE = TRAIN

app = typer.Typer(
    name="sae",
    help="Sparse autoencoders: train one, measure one, and set its latents beside neurons and random directions.",
    epilog=EXAMPLE,
    no_args_is_help=True,
)
OnSubject = Annotated[str, typer.Option("--subject", help="The model: see  maieutic models.")]
OnCorpus = Annotated[
    str, typer.Option("--corpus", help="text, prose, python; a folder of texts; a .txt or .jsonl file.")
]
At = Annotated[
    str | None, typer.Option("--site", help="Where it stands, if its file does not say.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog=TRAIN)
def train(
    subject: Annotated[str, typer.Argument(help="The model: see  maieutic models.")],
    site: Annotated[str, typer.Option(help="Where, as in layers.7.resid: see  maieutic models NAME.")],
    out: Annotated[Path, typer.Option(help="Folder: new, or one to go on with.")],
    corpus: OnCorpus = "text",
    size: Size = None,
    latents: Annotated[int, typer.Option(min=2, help="How many.")] = 2048,
    k: Annotated[int, typer.Option(min=1, help="How many of them are active at a token.")] = 32,
    tokens: Annotated[int, typer.Option(min=1, help="Distinct tokens of the discover split to train on.")] = 400_000,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of the optimiser; else four passes over the tokens.", show_default=False)
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Tokens of a step.")] = 1024,
    lr: Annotated[
        float | None, typer.Option(min=0, help="Learning rate; else from the number of latents.", show_default=False)
    ] = None,
    centre: Annotated[str, typer.Option(help="First bias of the decoder: median or mean.")] = "median",
    name: Annotated[str, typer.Option(help="What the latents are called behind the site.")] = "sae",
    seed: Annotated[int, typer.Option(help="Of texts, batches and first weights.")] = 0,
    device: Annotated[str, typer.Option(help="Of the training: cpu, cuda, mps.")] = "cpu",
    bf16: Annotated[bool, typer.Option("--bf16", help="Encode in bfloat16 while training (GPUs).")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a top-k SAE on activations of a model. Interrupted, the same command goes on.

    Files are those of SAELens, so that others can load them; units are then SUBJECT+sae:FOLDER.
    """
    from maieutic.errors import UsageError
    from maieutic.studies.sae.making import corpus_for, make_sae
    from maieutic.studies.sae.settings import TrainSettings
    from maieutic.subjects import load_subject

    if centre not in ("median", "mean"):
        raise UsageError(f"no centre is called {centre!r}: choose median or mean")
    settings = TrainSettings(
        latents=latents, k=k, tokens=tokens, steps=steps, batch=batch, lr=lr, seed=seed,
        centre="mean" if centre == "mean" else "median", precision="bf16" if bf16 else "float32",
    )  # fmt: skip
    material = corpus_for(corpus, tokens=tokens, size=size)
    made = make_sae(
        load_subject(subject), material, site, out, settings=settings, name=name, device=device,
        report=reporter(quiet=as_json),
    )  # fmt: skip
    read = made.record.get("tokens", 0)
    if made.new and read < tokens:
        say(f"note: {material.name} has {read:,} tokens on its discover split, not {tokens:,}")
    if as_json:
        print(json.dumps({"out": str(out), "new": made.new, **made.record}))
        return
    last = made.record["history"][-1]
    print(f"{latents} latents of {site}, {k} active: {out}, {read:,} tokens, {made.record['steps']} steps")
    print(f"unexplained variance in the last batch: {last[1]:.3f}; dead latents: {last[2]:.1%}")
    print(f"next:  maieutic sae info {out} --subject {subject} --corpus {corpus}")


@app.command(epilog=INFO)
def info(
    folder: Annotated[str, typer.Argument(help="A folder, or owner/repository/folder on the Hugging Face hub.")],
    subject: Annotated[
        str | None, typer.Option(help="Its model, to measure it on held-out text.", show_default=False)
    ] = None,
    corpus: OnCorpus = "text",
    size: Size = None,
    site: At = None,
    split: Annotated[str, typer.Option(help="discover, select or test; choose among SAEs on select.")] = "select",
    tokens: Annotated[int, typer.Option(min=1, help="Tokens for the variance.")] = 32_768,
    loss_tokens: Annotated[int, typer.Option(min=1, help="Tokens for the losses: six whole passes.")] = 8192,
    seed: Annotated[int, typer.Option(help="Of the choice of texts and of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say what an SAE is; with --subject measure it on held-out text, beside PCA of the same size and random weights."""
    from maieutic.subjects.lenses.sae_formats import load_sae

    read = load_sae(folder)
    facts = _facts(read)
    measured = None
    if subject is not None:
        from maieutic.stimuli import load_corpus
        from maieutic.subjects import load_subject

        measured = _measured(
            load_subject(subject), load_corpus(corpus, size=size), read, site, split, tokens, loss_tokens, seed, as_json
        )
    if as_json:
        print(json.dumps(facts | ({} if measured is None else {"metrics": measured.to_json()})))
        return
    for name, value in facts.items():
        print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    for line in [] if measured is None else measured.lines():
        print(line)


def _facts(read: SaeFile) -> dict[str, Any]:
    from maieutic.errors import UserError
    from maieutic.subjects.lenses.sae_sites import hook_site

    try:
        site = read.site or hook_site(read.hook)
    except UserError as error:
        site = f"unknown ({error})"
    sae = read.sae
    facts = {"format": read.format, "kind": sae.kind, "latents": sae.latents, "hidden": sae.hidden, "hook": read.hook}
    more = {"k": sae.k} if sae.k else {}
    return {**facts, **more, "site": site, "model": read.model, "notes": list(read.notes), "digest": sae.digest}


def _measured(
    subject: Subject, corpus: Corpus, read: SaeFile, site: str | None, split: str, tokens: int, loss_tokens: int, seed: int,
    quiet: bool,
) -> Metrics:  # fmt: skip
    from typing import cast, get_args

    from maieutic.errors import UsageError
    from maieutic.stimuli import Split
    from maieutic.studies.sae.metrics import measure_sae
    from maieutic.subjects.lenses.sae_sites import with_latents

    if split not in get_args(Split):
        raise UsageError(f"no split is called {split!r}: choose discover, select or test")
    seen = with_latents(subject, read, site=site)
    base = _latents(seen, subject).rpartition(".")[0]
    return measure_sae(
        seen, read.sae, base, corpus, split=cast(Split, split), tokens=tokens, loss_tokens=loss_tokens, seed=seed,
        report=reporter(quiet=quiet),
    )  # fmt: skip


def _latents(seen: Subject, plain: Subject) -> str:
    """The site that an SAE has added."""
    known = {s.name for s in plain.sites()}
    return next(s.name for s in seen.sites() if s.name not in known and s.lens is not None)


@app.command(epilog=COMPARE)
def compare(
    folder: Annotated[str, typer.Argument(help="The SAE: a folder, or owner/repository/folder on the hub.")],
    subject: OnSubject,
    out: Annotated[Path, typer.Option(help="Folder: new, or one to go on with.")],
    corpus: OnCorpus = "text",
    size: Size = None,
    site: At = None,
    units: Annotated[int, typer.Option(min=2, help="Live units of each kind.")] = 20,
    explainer: Annotated[
        str, typer.Option(help="Who explains: search, lookup, agent, one-shot, a plug-in.")
    ] = "search",
    budget: Annotated[int, typer.Option(min=1, help="Measurements for each unit.")] = 100,
    metrics: Annotated[bool, typer.Option(help="Measure the SAE on held-out text too.")] = True,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    model: Model = None,
    base_url: BaseUrl = None,
    more: More = None,
    as_json: AsJson = False,
) -> None:
    """Explain latents, neurons, components, random directions and random latents alike, and compare how well it went.

    Writes sae.html, compare.json and a row a unit. Interrupted, the same command goes on.
    """
    from maieutic.explain import check_explainer
    from maieutic.report.sae import verdict, write_sae_page
    from maieutic.stimuli import load_corpus
    from maieutic.studies.sae.comparing import compare_bases
    from maieutic.subjects import load_subject
    from maieutic.subjects.lenses.sae_formats import load_sae
    from maieutic.subjects.lenses.sae_sites import with_latents

    options = given(more, model=model, base_url=base_url)
    check_explainer(explainer, **options)
    plain, material, read = load_subject(subject), load_corpus(corpus, size=size), load_sae(folder)
    seen = with_latents(plain, read, site=site)
    found = compare_bases(
        seen, material, _latents(seen, plain), out, n=units, explainer=explainer, options=options, budget=budget, seed=seed,
        report=reporter(quiet=as_json),
    )  # fmt: skip
    measured = None
    if metrics:
        measured = _measured(plain, material, read, site, "select", 32_768, 8192, seed, as_json)
    page = write_sae_page(found, out, metrics=measured)
    if as_json:
        print(json.dumps(found.to_json() | ({} if measured is None else {"metrics": measured.to_json()})))
        return
    for line in [*found.lines(), *([] if measured is None else measured.lines()), verdict(found)]:
        print(line)
    print(f"page: {page}")
