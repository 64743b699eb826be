"""A checkpoint in the Hugging Face format becomes a subject: its class, its weights, and how its stimuli are prepared.

Whatever is in the way is said in one line: code of its own, missing weights (they would be random), no preprocessor, no
fast tokenizer.

What this module does not do: it looks for no folders (see `checkpoints`), reads no pickles and runs no code of a model.
"""

from __future__ import annotations

from typing import Any

from maieutic.errors import UserError
from maieutic.subjects.base import Subject
from maieutic.subjects.families import Plan, plan_for

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

    from maieutic.subjects.encoders import EncoderSubject
    from maieutic.subjects.language import LanguageSubject
    from maieutic.subjects.towers import tower_inside

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, **options)
    except _LOADING as error:
        why = first_line(error)
        raise UserError(f"{name} cannot be loaded ({why}): check the id or folder, and the network") from error
    model, missing = _weights(source, name, plan.model, options)
    _insist(name, [k for k in missing if not _is_pooler(k)])
    if plan.kind == "causal":
        return LanguageSubject(model, tokenizer, name=name)
    if plan.part == "encoder":
        return EncoderSubject(model.get_encoder(), tokenizer, name=name)
    if plan.part == "text":
        tower = tower_inside(model, config.get_text_config(), name)
        full = tower.config.model_type.startswith("siglip")
        padded = int(tower.config.max_position_embeddings) if full else 1
        return EncoderSubject(tower, tokenizer, name=name, head="pooled", padded=padded)
    return EncoderSubject(model, tokenizer, name=name, head=plan.head)
