"""``maieutic sae train``: from a subject, a site and a corpus to a folder that holds an SAE and how it came about.

    OUT/cfg.json, sae_weights.safetensors   the SAE, as SAELens reads it
    OUT/training.json                       settings, model, corpus, loss on the way
    OUT/unfinished/                         checkpoint and activations while it trains; removed at the end

What this module does not do: measure (`metrics`).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.errors import UserError
from maieutic.progress import Report, silent
from maieutic.stimuli import NAMES, Corpus, load_corpus
from maieutic.store import writing
from maieutic.studies.sae.activations import gather
from maieutic.studies.sae.settings import TrainSettings
from maieutic.studies.sae.training import total_steps, train
from maieutic.subjects import Subject
from maieutic.subjects.lenses.sae_files import CONFIG, SaeFile
from maieutic.subjects.lenses.sae_formats import SAELENS, load_sae
from maieutic.subjects.lenses.sae_sites import place
from maieutic.subjects.lenses.sae_writing import write_sae

RECORD, WORK = "training.json", "unfinished"
#: tokens of a window of a packaged corpus, about, and the share of windows on the discover split
_WINDOW, _SHARE = 100, 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A trained SAE on disk.

    Attributes:
        folder: where. file: what is in it. record: ``training.json``. new: whether it was trained just now.
    """

    folder: Path
    file: SaeFile
    record: dict[str, Any]
    new: bool


def corpus_for(name: str, *, tokens: int, size: int | None) -> Corpus:
    """A corpus with enough windows for so many tokens of the discover split, where it is a packaged one of texts."""
    if size is None and name in NAMES:
        size = -(-tokens // round(_WINDOW * _SHARE))
    return load_corpus(name, size=size)


def make_sae(
    subject: Subject,
    corpus: Corpus,
    site: str,
    out: Path,
    *,
    settings: TrainSettings | None = None,
    name: str = "sae",
    device: str = "cpu",
    report: Report = silent,
) -> Made:
    """Train an SAE into a folder, or go on where an earlier run stopped; a finished one is read.

    Args:
        subject: the model. corpus: texts; only the discover split is read. site: where.
        out: the folder. settings: how. name: of its units behind the site.
        device: of the training; the model runs where it is.
        report: called with progress.

    Cost: the texts pass through the model once, up to the site; then the training (`training.train`).

    Raises:
        UserError: the folder holds something else, pictures, too few tokens, or training diverged.
    """
    settings = settings or TrainSettings()
    about = {
        "subject": subject.name, "subject_fingerprint": subject.fingerprint, "site": site, "corpus": corpus.name,
        "corpus_fingerprint": corpus.fingerprint, "settings": settings.to_json(), "name": name,
    }  # fmt: skip
    if (out / CONFIG).is_file():
        return _finished(out, about)
    if out.is_dir() and any(p.name not in (WORK, RECORD, SAELENS) for p in out.iterdir()):
        raise UserError(f"{out} holds other files: give a new folder with --out")
    seen = subject if any(s.name == site for s in subject.sites()) else _with_place(subject, site)
    data = gather(
        seen, corpus, site, tokens=settings.tokens, chunk=settings.chunk, seed=settings.seed, folder=out / WORK,
        cache=settings.cache,
    )  # fmt: skip
    total_steps(data.sizes, settings)  # before the model runs
    data.fetch(report=report)
    key = json.dumps({k: v for k, v in about.items() if k != "settings"}, sort_keys=True)
    trained = train(data, settings, folder=out / WORK, device=device, about=key, report=report)
    record = {
        **about, "tokens": data.tokens, "texts": sum(map(len, data.chunks)), "steps": trained.steps,
        "history": [list(h) for h in trained.history],
    }  # fmt: skip
    with writing(out / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    more = {"name": name, "tokens": data.tokens, "steps": trained.steps, "corpus": corpus.name}
    write_sae(out, trained.sae, site=site, model=subject.name, more=more)
    shutil.rmtree(out / WORK, ignore_errors=True)
    return Made(folder=out, file=load_sae(out), record=record, new=True)


def _with_place(subject: Subject, site: str) -> Subject:
    """The subject with a site that is not on its list but can be made (what an MLP gives)."""
    return subject.with_sites([place(subject, site)], called=site)


def read_record(folder: Path) -> dict[str, Any]:
    """How an SAE was trained; empty where that is not written down."""
    file = folder / RECORD
    if not file.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}): train again into another folder") from error
    return found


def _finished(out: Path, about: dict[str, Any]) -> Made:
    record = read_record(out)
    same = {k: record.get(k) for k in about} == json.loads(json.dumps(about))
    if not same:
        raise UserError(f"{out} holds another SAE, or one with other settings: give a new folder with --out")
    return Made(folder=out, file=load_sae(out), record=record, new=False)
