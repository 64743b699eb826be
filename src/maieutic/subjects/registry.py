"""Names to subjects: packaged models, ``hf:``, ``timm:``, ``gguf:``, and plug-ins.

A plug-in is an entry point in the group ``maieutic.subjects`` whose name is the subject's and whose object is a
function without arguments that gives a `Subject`. What this module does not do: it imports no torch until a subject
is loaded, so listing is instant.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from maieutic.errors import UsageError, UserError, did_you_mean
from maieutic.subjects.base import Modality, Subject
from maieutic.subjects.lenses.names import attach as attach_lenses
from maieutic.subjects.lenses.names import split_lenses
from maieutic.subjects.packages import PACKAGES, package_file

GROUP = "maieutic.subjects"
PREFIXES = ("hf:", "timm:", "gguf:", "planted:")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedSubject:
    """A model that needs nothing but installation."""

    name: str
    modality: Modality
    what: str
    licence: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Whether a packaged file is in the cache: its name, size in bytes, and why not."""

    name: str
    ok: bool
    bytes: int
    message: str


_PACKAGED = (
    PackagedSubject(
        name="efficientnet-lite0",
        modality="image",
        what="EfficientNet-Lite0, ImageNet, 4.7 M parameters, 224 px; study blocks.14.expand",
        licence="Apache-2.0",
    ),
    PackagedSubject(
        name="efficientnet-lite1",
        modality="image",
        what="EfficientNet-Lite1, ImageNet, 5.4 M parameters, 240 px",
        licence="Apache-2.0",
    ),
    PackagedSubject(
        name="efficientnet-lite2",
        modality="image",
        what="EfficientNet-Lite2, ImageNet, 6.1 M parameters, 260 px",
        licence="Apache-2.0",
    ),
    PackagedSubject(
        name="smollm2-135m",
        modality="text",
        what="SmolLM2-135M-Instruct, 30 layers of 1,536 MLP neurons; study layers.7.mlp to layers.15.mlp",
        licence="Apache-2.0",
    ),
)


def packaged_subjects() -> tuple[PackagedSubject, ...]:
    """What can be loaded by name after installation, plug-ins excepted."""
    return _PACKAGED


def load_subject(name: str) -> Subject:
    """The subject of a name.

    Args:
        name: a packaged name (`packaged_subjects`), ``hf:<id or folder>``, ``timm:<model>``, ``gguf:<file>``,
            ``planted:text`` or ``planted:image`` (trained at first use, about 10 s), or the name of a plug-in; behind it
            any lenses, as in ``smollm2-135m+heads+logits:281,282`` (`maieutic.subjects.lenses.names`).

    Raises:
        UsageError: unknown name of a model or lens, with the nearest known one.
        MissingExtraError: ``timm:`` without timm.
        UserError: the model cannot be fetched or read.
    """
    model, lenses = split_lenses(name)
    loader = _loader(model)
    if loader is None:
        known = [s.name for s in _PACKAGED] + sorted(e.name for e in _plugins())
        raise UsageError(
            f"no model is called {model!r}{did_you_mean(model, known)}: run  maieutic models  "
            "or give hf:<id or folder>, timm:<name> or gguf:<file>"
        )
    return attach_lenses(loader(), lenses)


def _loader(name: str) -> Callable[[], Subject] | None:
    prefix, _, rest = name.partition(":")
    if f"{prefix}:" in PREFIXES and not rest:
        raise UsageError(f"{name!r} names no model: write  {prefix}:<{'file' if prefix == 'gguf' else 'name'}>")
    if prefix == "hf" and rest:
        return partial(_call, "checkpoints", "load_hf", rest)
    if prefix == "gguf" and rest:
        return partial(_call, "checkpoints", "load_gguf", rest)
    if prefix == "timm" and rest:
        return partial(_call, "timm_models", "load_timm", rest)
    if prefix == "planted" and rest:
        return partial(_call, "planted.network", "load", rest)
    if name == "smollm2-135m":
        return partial(_call, "checkpoints", "load_smollm2")
    if name in {s.name for s in _PACKAGED}:
        return partial(_call, "efficientnet_lite", "load", name)
    entry = next((e for e in _plugins() if e.name == name), None)
    return None if entry is None else partial(_plugin, entry)


def _call(module: str, function: str, *arguments: str) -> Subject:
    return getattr(import_module(f"maieutic.subjects.{module}"), function)(*arguments)


def _plugins() -> list[importlib.metadata.EntryPoint]:
    return list(importlib.metadata.entry_points(group=GROUP))


def _plugin(entry: importlib.metadata.EntryPoint) -> Subject:
    subject = entry.load()()
    if not isinstance(subject, Subject):
        kind = type(subject).__name__
        raise UserError(f"the plug-in {entry.name} ({entry.value}) gave {kind}: it must give a Subject")
    return subject


def fetch_all(progress: Callable[[str], None] | None = None) -> list[Fetched]:
    """Fetch the weights of every packaged subject into the cache; what cannot be had is told, not raised.

    Args:
        progress: called with one line before each package.
    """
    done: list[Fetched] = []
    for package, spec in PACKAGES.items():
        for file in () if spec.on_demand else spec.files:
            if progress is not None:
                progress(f"{package} {spec.version}")
            try:
                path = package_file(package, file)
                done.append(Fetched(package, True, path.stat().st_size, ""))
            except UserError as error:
                done.append(Fetched(package, False, 0, str(error)))
    return done
