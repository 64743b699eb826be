"""Where an SAE belongs: the hook names of its file as sites of a subject, and the subject with latents at that site.

==================================  =====================================================================================
in the file                         here
==================================  =====================================================================================
``blocks.N.hook_resid_post``        ``layers.N.resid``
``blocks.N.hook_resid_pre``         ``layers.(N-1).resid``: what enters a block is what the one before gave; not for N = 0
``blocks.N.hook_attn_out``          ``layers.N.attn``
``blocks.N.mlp.hook_post``          ``layers.N.mlp``: the MLP's neurons
``blocks.N.hook_mlp_out``           ``layers.N.mlp.out``: what the MLP gives to the residual stream
``blocks.N.attn.hook_z``            ``layers.N.attn.z``: what the heads give, one behind the other, before it is projected
``layers.N.output`` and the like    the same places in the words of Gemma Scope 2
``layers.N``, ``h.N`` (sparsify)    ``layers.N.resid``: the output of the block
``layers.N.mlp``, ``….attn``        ``layers.N.mlp.out``, ``layers.N.attn``: the output of that module
==================================  =====================================================================================

Gemma 2 and 3 norm what attention and MLP give before it is added; TransformerLens' hooks stand behind that norm, and so do
``layers.N.attn.normed`` and ``layers.N.mlp.out.normed``. What this module does not do: read files (`sae_formats`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from maieutic.errors import UserError
from maieutic.subjects.base import Site, Subject
from maieutic.subjects.language_sites import linear_shape
from maieutic.subjects.lenses.heads import projections
from maieutic.subjects.lenses.sae import Sae, SaeLens
from maieutic.subjects.lenses.sae_files import SaeFile
from maieutic.subjects.lenses.sae_formats import load_sae

if TYPE_CHECKING:
    from torch import nn

_LENS = re.compile(
    r"blocks\.(\d+)\.(hook_resid_post|hook_resid_pre|hook_attn_out|hook_mlp_out|mlp\.hook_post|attn\.hook_z)"
)
_POINT = re.compile(r"(?:.*\.)?layers\.(\d+)\.(output|self_attn\.o_proj\.input|post_feedforward_layernorm\.output)")
_MODULE = re.compile(r"(?:.*\.)?(?:layers|layer|blocks|h)\.(\d+)(?:\.(mlp|attn|self_attn|attention))?")
#: our sites of hooks, with what is taken there
_WHAT = {
    "hook_resid_post": "resid", "hook_resid_pre": "resid", "hook_attn_out": "attn", "hook_mlp_out": "mlp.out",
    "mlp.hook_post": "mlp", "attn.hook_z": "attn.z", "output": "resid", "self_attn.o_proj.input": "attn.z",
    "post_feedforward_layernorm.output": "mlp.out.normed", None: "resid", "mlp": "mlp.out", "attn": "attn",
    "self_attn": "attn", "attention": "attn",
}  # fmt: skip
_WHY_NOT = {
    "hook_embed": "it reads token embeddings, and no site is before the first block",
    "embed_tokens": "it reads token embeddings, and no site is before the first block",
    "hook_resid_mid": "it reads the residual stream between attention and MLP, and no site is there",
    "ln": "it reads behind a norm, and no site is there",
    "norm": "it reads behind a norm, and no site is there",
}


def hook_site(hook: str) -> str:
    """The name of our site for a hook name.

    Raises:
        UserError: there is none, and why.
    """
    found = _LENS.fullmatch(hook) or _POINT.fullmatch(hook) or _MODULE.fullmatch(hook)
    if found is None:
        why = next((w for part, w in _WHY_NOT.items() if part in hook.replace("layer", "")), "no site is called so")
        raise UserError(
            f"the SAE was trained at {hook or 'a place that its file does not tell'}: {why}; name a site yourself"
        )
    block = int(found[1]) - (found[2] == "hook_resid_pre")
    if block < 0:
        raise UserError(f"the SAE was trained at {hook}: {_WHY_NOT['hook_embed']}; name a site yourself")
    return f"layers.{block}.{_WHAT[found[2]]}"


def place(subject: Subject, name: str, *, behind_norm: bool = False) -> Site:
    """The site of that name, or one that is made from the model's own.

    ``layers.N.mlp.out`` is made from ``layers.N.mlp``, which reads what enters the last projection; ``layers.N.attn.z`` is what
    enters the output projection of attention.

    Args:
        subject: the model.
        name: of a site.
        behind_norm: take what attention and MLP give behind the norm that follows them, in models that have one.

    Raises:
        UsageError: the subject has no such site.
    """
    plain = name.removesuffix(".normed")
    block, _, what = plain.removeprefix("layers.").partition(".")
    normed = _behind_norm(subject, block, what) if behind_norm or plain != name else None
    if normed is not None:
        return normed
    if plain != name:
        return subject.site(name)  # which says that there is none
    if what == "mlp.out" and all(s.name != name for s in subject.sites()):
        neurons, stream = subject.site(f"layers.{block}.mlp"), subject.site(f"layers.{block}.resid")
        if neurons.io == "in":
            return replace(
                neurons, name=name, io="out", width=stream.width, what="what the MLP adds to the residual stream"
            )
    if what == "attn.z" and all(s.name != name for s in subject.sites()):
        heads = _before_projection(subject, block)
        if heads is not None:
            return replace(heads, name=name)
    return subject.site(name)


def _before_projection(subject: Subject, block: str) -> Site | None:
    """What enters the output projection of a block's attention; ``None`` where there is none, or more than one."""
    stream = next((s for s in subject.sites() if s.name == f"layers.{block}.resid"), None)
    network = cast("nn.Module | None", getattr(subject, "network", None))
    if stream is None or network is None:
        return None
    inside = [(path, module) for path, module, _ in projections(network) if path.startswith(f"{stream.module}.")]
    shape = linear_shape(inside[0][1]) if len(inside) == 1 else None
    if shape is None:
        return None
    what = "what the heads give, one behind the other, before it is projected"
    return replace(stream, module=inside[0][0], io="in", width=shape[0], what=what)


def _behind_norm(subject: Subject, block: str, what: str) -> Site | None:
    """Of models with a norm behind attention and MLP: what it gives."""
    stream = next((s for s in subject.sites() if s.name == f"layers.{block}.resid"), None)
    network = cast("nn.Module | None", getattr(subject, "network", None))
    if stream is None or network is None or what not in ("attn", "mlp.out"):
        return None
    inside = dict(network.get_submodule(stream.module).named_children())
    if "post_feedforward_layernorm" not in inside:
        return None
    norm = "post_attention_layernorm" if what == "attn" else "post_feedforward_layernorm"
    name = f"layers.{block}.{what}.normed"
    return replace(stream, name=name, module=f"{stream.module}.{norm}", what=f"{what}, behind the norm that follows it")


def with_latents(
    subject: Subject,
    sae: str | Path | SaeFile | Sae,
    *,
    site: str | None = None,
    name: str | None = None,
    input_scale: float | None = None,
) -> Subject:
    """A subject whose latents of an SAE are units of a site of their own, ``SITE.sae``.

    Args:
        subject: the model that the SAE was trained on.
        sae: a folder, a hub id (`load_sae`), or what was read or made already.
        site: where it stands; what its file says otherwise.
        name: of its units behind the site; what its file says, else ``sae``.
        input_scale: see `load_sae`.

    Returns:
        The subject with the site; its name ends in ``+sae:FOLDER``, which ``load_subject`` takes.

    Raises:
        UserError: the SAE cannot be read, does not say where it belongs, or belongs to a model of another width.
    """
    read = sae if isinstance(sae, SaeFile) else _as_file(sae, input_scale)
    said = site or read.site
    at = place(subject, said or hook_site(read.hook), behind_norm=not said and _LENS.fullmatch(read.hook) is not None)
    if at.width is not None and at.width != read.sae.hidden:
        model = f" (its file says {read.model})" if read.model else ""
        raise UserError(
            f"the SAE reads {read.sae.hidden} values, {at.name} of {subject.name} has {at.width}: use the model that it was "
            f"trained on{model}"
        )
    lens = SaeLens(sae=read.sae, what=f"latents of {read.source}")
    seen = replace(
        at, name=f"{at.name}.{name or read.name or 'sae'}", width=lens.width, lens=lens, names=(),
        what=f"{lens.width} SAE latents of {at.name} ({read.sae.kind}{f', k = {read.sae.k}' if read.sae.k else ''})",
    )  # fmt: skip
    called = f"sae:{read.source}{'' if site is None else f'@{site}'}"
    known = any(s.name == at.name for s in subject.sites())
    return subject.with_sites([seen] if known else [at, seen], called=called)


def open_latents(subject: Subject, spec: str) -> Subject:
    """What ``+sae:FOLDER`` or ``+sae:FOLDER@SITE`` adds to a subject."""
    folder, at, site = spec.rpartition("@")
    return with_latents(subject, folder, site=site) if at and folder else with_latents(subject, spec)


def _as_file(sae: str | Path | Sae, input_scale: float | None) -> SaeFile:
    if isinstance(sae, Sae):
        return SaeFile(sae=sae, source=sae.digest, format="memory")
    return load_sae(sae, input_scale=input_scale)


def lens_of(subject: Subject, site: str) -> SaeLens:
    """The SAE at a site.

    Raises:
        UserError: there is none.
    """
    found: Any = subject.site(site).lens
    if not isinstance(found, SaeLens):
        raise UserError(f"{site} of {subject.name} has no SAE: add one, as in  {subject.name}+sae:FOLDER")
    return found
