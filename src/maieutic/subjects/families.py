"""Which class of transformers a checkpoint needs, and whether its texts or its pictures are studied.

Read from ``config.json`` alone, before any weight:

- pictures: the class reads ``pixel_values``. Heads of classifiers, detectors and segmenters are kept; of all others (masked
  pictures, depth, key points) only the body.
- text: a causal LM; an encoder (model types that have a masked LM, unless ``is_decoder``), with its head where it is a masked
  LM or a classifier of texts or tokens; or the encoder of an encoder-decoder, asked for by ``#encoder``.
- both: a model with a tower for pictures and one for text is asked for by ``#vision`` or ``#text``.

What this module does not do: it loads nothing and runs no code that comes with a model. Sound and video are not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from maieutic.errors import UserError

Kind = Literal["causal", "encoder", "image"]
PARTS = ("vision", "text", "encoder")

_IMAGE_HEADS = ("ForImageClassification", "ForImageClassificationWithTeacher", "ForObjectDetection")
_IMAGE_HEADS += ("ForSemanticSegmentation", "WithProjection")
_TEXT_HEADS = {"ForMaskedLM": "mask", "ForSequenceClassification": "class", "ForTokenClassification": "token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a checkpoint is loaded.

    Attributes:
        kind: what the subject is.
        model: name of the class in transformers.
        part: of the model that is studied; empty for all of it.
        head: encoders: what the outputs are (``mask``, ``class``, ``token`` or ``embedding``).
    """

    kind: Kind
    model: str
    part: str = ""
    head: str = "embedding"


def plan_for(config: Any, name: str, part: str) -> Plan:
    """What to load for a configuration.

    Args:
        config: of transformers.
        name: as the user wrote it, for messages.
        part: of `PARTS`, or empty.

    Raises:
        UserError: a part must be named or does not exist, or the model reads neither text nor pictures.
    """
    towers = _towers(config)
    if towers:
        return _tower_plan(config, name, part)
    if part in ("vision", "text"):
        what = "encoder-decoder: write  {name}#encoder" if _two_sided(config) else "one network: write  {name}"
        raise UserError(f"{name} has no tower called {part!r}: it is an {what.format(name=name)}")
    arch = _architecture(config)
    reads = getattr(_class(arch), "main_input_name", "") if arch else ""
    auto = _auto_classes()
    kind = config.model_type
    if reads == "pixel_values" or (not arch and kind in auto["image"]):
        if part:
            raise UserError(f"{name} reads pictures with one network: write  {name}")
        head = arch if arch and arch.endswith((*_IMAGE_HEADS, "Model", "Backbone")) else "AutoModel"
        return Plan(kind="image", model=head)
    if reads not in ("", "input_ids"):
        raise UserError(f"{name} ({kind}) reads {reads}, neither text nor pictures: choose another model")
    if _two_sided(config):
        if part != "encoder":
            raise UserError(f"{name} ({kind}) is an encoder-decoder: study its encoder with  {name}#encoder")
        return Plan(kind="encoder", model="AutoModel", part="encoder")
    if part:
        raise UserError(f"{name} ({kind}) is one network, not an encoder-decoder: write  {name}")
    decodes = bool(getattr(config, "is_decoder", False))
    if (
        kind in auto["causal"]
        and (decodes or kind not in auto["masked"])
        and not getattr(arch, "endswith", _no)("ForMaskedLM")
    ):
        return Plan(kind="causal", model="AutoModelForCausalLM")
    if kind in auto["masked"] or kind in auto["body"]:
        ending = next((e for e in _TEXT_HEADS if arch and arch.endswith(e)), None)
        if ending is None and arch and arch.endswith("ForPreTraining") and kind in auto["masked"]:
            ending, arch = "ForMaskedLM", auto["masked"][kind] if kind == "bert" else None
        if ending is None or arch is None:
            return Plan(kind="encoder", model="AutoModel")
        return Plan(kind="encoder", model=arch, head=_TEXT_HEADS[ending])
    raise UserError(f"{name} ({kind}) is no model of text or pictures that transformers loads: choose another")


def _no(_ending: str) -> bool:
    return False


def _tower_plan(config: Any, name: str, part: str) -> Plan:
    if part not in ("vision", "text"):
        raise UserError(
            f"{name} ({config.model_type}) reads pictures and text: name a tower,  {name}#vision  or  {name}#text"
        )
    auto = _auto_classes()
    arch = _architecture(config)
    model = arch if arch and _class(arch) is not None else "AutoModel"
    if part == "vision":
        return Plan(kind="image", model=model, part=part)
    if config.model_type in auto["speaks"]:
        return Plan(kind="causal", model=model if model != "AutoModel" else "AutoModelForImageTextToText", part=part)
    return Plan(kind="encoder", model=model, part=part)


def _towers(config: Any) -> bool:
    """Whether a configuration has one part for pictures and one for text."""
    return hasattr(config, "vision_config") and config.get_text_config() is not config


def _two_sided(config: Any) -> bool:
    return bool(getattr(config, "is_encoder_decoder", False))


def _architecture(config: Any) -> str | None:
    """The class the checkpoint was saved from, where transformers has it."""
    named = (getattr(config, "architectures", None) or [None])[0]
    return named if named and _class(named) is not None else None


def _class(name: str) -> Any:
    import transformers

    return getattr(transformers, name, None)


def _auto_classes() -> dict[str, Any]:
    """Model types by what transformers can make of them."""
    from transformers.models.auto import modeling_auto as auto

    return {
        "causal": auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "masked": auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        "image": {**auto.MODEL_FOR_IMAGE_MAPPING_NAMES, **auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES},
        "speaks": auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        "body": auto.MODEL_MAPPING_NAMES,
    }
