"""A checkpoint in the Hugging Face format becomes a subject: its class, its weights, and how its stimuli are prepared.

Whatever is in the way is said in one line: code of its own, missing weights (they would be random), no preprocessor, no
fast tokenizer.

What this module does not do: it looks for no folders (see `checkpoints`), reads no pickles and runs no code of a model.
"""

from __future__ import annotations

from typing import Any

from maieutic.errors import UserError
from maieutic.subjects.base import Site, Subject
from maieutic.subjects.families import Plan, plan_for

#: what transformers raises over files that are missing, foreign or of a version it does not know
_LOADING = (OSError, ValueError, KeyError, ImportError, NotImplementedError, AttributeError)


def open_checkpoint(source: str, name: str, *, part: str, local: bool) -> Subject:
    """The subject of a folder or hub id.

    Args:
        source: folder or id.
        name: what people call it.
        part: of `maieutic.subjects.families.PARTS`, or empty.
        local: no network.

    Raises:
        UserError: it cannot be loaded or studied, with the reason.
    """
    options: dict[str, Any] = {"local_files_only": local, "trust_remote_code": False}
    config = _config(source, name, options)
    whole = name if not part else f"{name}#{part}"
    plan = plan_for(config, name, part)
    if plan.kind == "image":
        return _image(source, whole, plan, config, options)
    return _text(source, whole, plan, config, options)


def first_line(error: Exception) -> str:
    """The first line of an error, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _config(source: str, name: str, options: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source, **options)
    except _LOADING as error:
        if "trust_remote_code" in str(error) or "custom code" in str(error):
            raise UserError(
                f"{name} needs code that comes with the model, which is not run: "
                "load it yourself and use  module_subject(model, ...)"
            ) from error
        why = first_line(error)
        raise UserError(f"{name} cannot be loaded ({why}): check the id or folder, and the network") from error


def _weights(source: str, name: str, model: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
    """The model, and the names of parameters that the checkpoint lacks."""
    import torch
    import transformers

    kind: Any = getattr(transformers, model)
    try:
        found, told = kind.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **options
        )
    except (*_LOADING, RuntimeError) as error:
        why = first_line(error)
        raise UserError(f"{name} cannot be loaded ({why}): check the id or folder, and the network") from error
    return found, sorted(told["missing_keys"])


def _insist(name: str, missing: list[str]) -> None:
    if missing:
        some = ", ".join(missing[:2]) + (f" and {len(missing) - 2} more" if len(missing) > 2 else "")
        raise UserError(f"{name} lacks weights ({some}), which would be random: save the whole model again")


def _is_pooler(key: str) -> bool:
    return "pooler" in key


def _image(source: str, name: str, plan: Plan, config: Any, options: dict[str, Any]) -> Subject:
    from maieutic.subjects.preparing import read_recipe
    from maieutic.subjects.towers import picture_subject, tower_inside

    processor = _processor(source, name, options)
    model, missing = _weights(source, name, plan.model, options)
    _insist(name, [k for k in missing if not _is_pooler(k)])
    inner = tower_inside(model, config.vision_config, name) if plan.part == "vision" else model
    prepare = read_recipe(processor, side=_side(inner.config))
    return picture_subject(inner, prepare, name=name, pooled=not missing)


def _side(config: Any) -> int | None:
    size = getattr(config, "image_size", None)
    return size if isinstance(size, int) else None


def _processor(source: str, name: str, options: dict[str, Any]) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(source, backend="pil", **options)
    except _LOADING as error:
        raise UserError(
            f"{name} has no preprocessor_config.json that can be read ({first_line(error)}), so it is not known how pictures "
            "are prepared: copy the file from the model's page, or use  module_subject(model, preprocess)"
        ) from error


def _text(source: str, name: str, plan: Plan, config: Any, options: dict[str, Any]) -> Subject:
    from transformers import AutoTokenizer

    from maieutic.subjects.language import LanguageSubject

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, **options)
    except _LOADING as error:
        why = first_line(error)
        raise UserError(f"{name} cannot be loaded ({why}): check the id or folder, and the network") from error
    model, missing = _weights(source, name, plan.model, options)
    _insist(name, [k for k in missing if not _is_pooler(k)])
    if plan.kind == "causal":
        subject = LanguageSubject(model, tokenizer, name=name)
    else:
        subject = _encoder(model, tokenizer, name, plan, config)
    _keep_measurable(subject)
    return subject


def _encoder(model: Any, tokenizer: Any, name: str, plan: Plan, config: Any) -> Any:
    from maieutic.subjects.encoders import EncoderSubject
    from maieutic.subjects.towers import tower_inside

    if plan.part == "encoder":
        return EncoderSubject(model.get_encoder(), tokenizer, name=name)
    if plan.part == "text":
        tower = tower_inside(model, config.get_text_config(), name)
        # SigLIP was trained on texts filled up to the end, without a mask
        full = tower.config.model_type.startswith("siglip")
        padded = int(tower.config.max_position_embeddings) if full else 1
        return EncoderSubject(tower, tokenizer, name=name, head="pooled", padded=padded)
    return EncoderSubject(model, tokenizer, name=name, head=plan.head)


def _keep_measurable(subject: Any) -> None:
    """Leave out sites that a pass does not reach once with one value for each token; go without batches if it must be.

    Cost: two forward passes over texts of a few tokens.
    """
    import torch

    from maieutic.subjects.image_sites import watch

    length = max(subject.padded, len(subject.prefix) + 6)
    drawn = torch.Generator().manual_seed(0)
    ids = torch.randint(subject.model.get_input_embeddings().num_embeddings, (2, length), generator=drawn)
    ids = ids.to(subject.model.device)
    real = torch.ones_like(ids, dtype=torch.bool)
    real[1, length - 2 :] = subject.padded > 1
    ran, _ = watch(subject.model, lambda: subject._call(ids, real, whole=False))

    def measurable(site: Site) -> bool:
        seen = ran.get(site.module)
        shape = () if seen is None or seen.calls != 1 else seen.given if site.io == "in" else seen.gave
        return shape == (2, length, site.width)

    kept = tuple(s for s in subject.sites() if measurable(s))
    if not kept:
        raise UserError(f"{subject.name} has no layer with one value for each token: choose another model")
    subject._sites = kept
    alone, _ = watch(
        subject.model, lambda: subject._call(ids[1:, : int(real[1].sum())], real[1:, real[1]], whole=False)
    )
    last = [s.module for s in kept if s.io == "out"][-1:]
    for path in last:
        beside, own = ran[path].out, alone[path].out
        assert beside is not None and own is not None
        far = (beside[1, : own.shape[1]] - own[0]).norm(dim=-1) / own[0].norm(dim=-1).clamp_min(1e-6)
        if float(far.max()) > 1e-3:
            # padding reaches what stands before it (prefixes that look both ways do that): texts go alone
            subject.batch_size = 1
