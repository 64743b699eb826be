"""``maieutic study bias``: what an output depends on besides what it is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maieutic.cli.progress import reporter

if TYPE_CHECKING:
    from maieutic.stimuli.base import Corpus
    from maieutic.studies.bias import BiasStudy, Material, Output
    from maieutic.studies.bias.pictures import Attribute
    from maieutic.subjects import Subject

EXAMPLE = (
    "Examples:  maieutic study bias efficientnet-lite0 --output class:817 --objects vehicle   |   maieutic study bias "
    "smollm2-135m --output 'token: nurse' --output 'token: he vs she' --attributes name"
)


def bias(
    subject: Annotated[str, typer.Argument(help="A model: a packaged name, hf:, timm: or gguf:.")],
    output: Annotated[
        list[str],
        typer.Option(
            help="class:817, 'class:817 vs 468', class:top, 'token: nurse', 'token: he vs she', 'odds: nurse', prob:817, "
            "or a unit such as blocks.14.expand/495. More than once: adjusted together.",
            show_default=False,
        ),
    ],
    objects: Annotated[
        str | None,
        typer.Option(help="Pictures: which packaged objects, as in vehicle, bird, zebra.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Your own: prompts (.jsonl), templates (.toml, .json), a folder of photos.", show_default=False
        ),
    ] = None,
    attributes: Annotated[
        str | None, typer.Option(help="Only these, as in background,colour or name.", show_default=False)
    ] = None,
    instruct: Annotated[
        list[str] | None,
        typer.Option(help="An attribute that the editor makes: 'age=older: make the person old'.", show_default=False),
    ] = None,
    editor: Annotated[
        str | None,
        typer.Option(help="Who follows --instruct: diffusers:<id or folder>, a plug-in.", show_default=False),
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="Names of classes, a line each.", show_default=False)] = None,
    size: Annotated[int, typer.Option(min=6, help="Pictures: at most so many bases.")] = 24,
    control: Annotated[
        str, typer.Option(help="holm or bh: how the discovery half allows for many tests; confirmation takes Holm.")
    ] = "holm",
    alpha: Annotated[float, typer.Option(help="Chance of calling anything a bias when nothing is.")] = 0.05,
    untrained: Annotated[bool, typer.Option(help="Show the same of an untrained copy beside.")] = True,
    out: Annotated[Path, typer.Option(help="Folder of the page and its JSON.")] = Path("bias"),
    seed: Annotated[int, typer.Option(help="Of the choice of bases, the halves and the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Edit pictures or prompts in one attribute at a time and see what the output makes of it.

    A bias is what one half of the material suggests and the other half, with other objects or templates and names, confirms.
    Writes bias.html and bias.json. Exit code 0 whether or not there are biases.
    """
    from maieutic.errors import UsageError
    from maieutic.report.bias import write_bias
    from maieutic.studies.bias import run_bias
    from maieutic.subjects import load_subject

    if control not in ("holm", "bh"):
        raise UsageError(f"--control is holm or bh, not {control!r}: choose one of those")
    method: Literal["holm", "bh"] = "holm" if control == "holm" else "bh"
    found = load_subject(subject)
    wanted = [a.strip() for a in (attributes or "").split(",") if a.strip()]
    if found.modality == "text":
        if objects or instruct or editor or classes:
            raise UsageError(f"{subject} reads text: leave --objects, --instruct, --editor and --classes out")
        material = _prompts(data, wanted)
    else:
        material = _pictures(objects, data, wanted, size, seed, _orders(instruct), editor)
    outputs = _outputs(found, material, output, classes)
    study = run_bias(
        found,
        material,
        outputs,
        control=method,
        alpha=alpha,
        untrained=untrained,
        seed=seed,
        report=reporter(quiet=as_json),
    )
    page = write_bias(study, out)
    print(json.dumps(study.to_json())) if as_json else _print(study, page)


# --- material ------------------------------------------------------------------------------------------------------


def _prompts(data: Path | None, wanted: Sequence[str]) -> Material:
    from maieutic.studies.bias.files import prompts_from
    from maieutic.studies.bias.prompts import packaged_prompts

    return packaged_prompts(wanted) if data is None else prompts_from(data, chosen=wanted)


def _pictures(
    objects: str | None,
    data: Path | None,
    wanted: Sequence[str],
    size: int,
    seed: int,
    orders: dict[str, list[tuple[str, str]]],
    editor: str | None,
) -> Material:
    """Packaged objects, a folder of photos, or pairs of pictures.

    Raises:
        UsageError: two kinds of material, or instructions without an editor.
    """
    from maieutic.errors import UsageError
    from maieutic.stimuli.library import open_library
    from maieutic.studies.bias import files, pictures

    if objects is not None and data is not None:
        raise UsageError("--objects and --data are two materials: give one")
    if bool(orders) != bool(editor):
        raise UsageError("--instruct and --editor go together, as in  --editor diffusers:ID --instruct 'age=older: …'")
    if data is not None and (data.suffix == ".jsonl" or (data / files.PAIRS).is_file()):
        if orders:
            raise UsageError(f"{data} holds pairs that are edited already: leave --instruct out")
        return files.pictures_from(data if data.suffix == ".jsonl" else data / files.PAIRS, chosen=wanted)
    if data is not None:
        corpus = pictures.folder_corpus(data)
        own = _edited(corpus, orders, editor, seed)
        chosen = pictures.select([*pictures.attributes(None), *own], wanted)
        return pictures.picture_material(
            pictures.photos(corpus, size=size, seed=seed), chosen, name=data.name, seed=seed
        )
    if orders:
        raise UsageError("--instruct needs photos of yours: give a folder with --data")
    concept, library = objects or "animal", open_library()
    bases = pictures.objects(concept, size=size, seed=seed, library=library)
    chosen = pictures.select(pictures.attributes(library, avoid=concept), wanted)
    return pictures.picture_material(bases, chosen, name=f"packaged objects: {concept}", seed=seed, library=library)


def _edited(corpus: Corpus, orders: dict[str, list[tuple[str, str]]], editor: str | None, seed: int) -> list[Attribute]:
    """Attributes that an editor makes by instruction."""
    from maieutic.stimuli.making import load_tools
    from maieutic.studies.bias.pictures import instructed

    edit = load_tools(corpus, edit=editor, imagine="none", describe="none", seed=seed).edit if orders else None
    return [] if edit is None else [instructed(name, levels, edit, seed=seed) for name, levels in orders.items()]


def _orders(given: Sequence[str] | None) -> dict[str, list[tuple[str, str]]]:
    """``age=older: make the person old`` as attribute to (level, instruction)."""
    from maieutic.errors import UsageError

    found: dict[str, list[tuple[str, str]]] = {}
    for text in given or ():
        name, equals, rest = text.partition("=")
        level, colon, order = rest.partition(":")
        if not (equals and colon and name.strip() and level.strip() and order.strip()):
            raise UsageError(f"{text!r} is no edit: write  'age=older: make the person old'")
        found.setdefault(name.strip(), []).append((level.strip(), order.strip()))
    return found


def _outputs(subject: Subject, material: Material, asked: Sequence[str], classes: Path | None) -> list[Output]:
    import numpy as np

    from maieutic.lab.outputs import output_names
    from maieutic.studies.bias.outputs import parse_output

    names = output_names(subject, given=classes).names if subject.modality == "image" else {}

    def top() -> int:
        """The class with the largest mean logit over unchanged bases."""
        plain = {t.key: t for t in material.trials if t.role == "level" and t.level == material.references[t.attribute]}
        return int(np.argmax(subject.outputs([t.load() for t in plain.values()]).mean(axis=0)))

    return [parse_output(subject, text, names=names, top=top) for text in dict.fromkeys(asked)]


# --- telling -------------------------------------------------------------------------------------------------------


def _print(study: BiasStudy, page: Path) -> None:
    from maieutic.report.bias import summary_lines

    for line in summary_lines(study):
        print(line)
    print(f"page: {page}")
