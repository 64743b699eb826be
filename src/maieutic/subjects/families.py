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

_IMAGE_HEADS = (
    "ForImageClassification",
    "ForImageClassificationWithTeacher",
    "ForObjectDetection",
    "ForSemanticSegmentation",
    "WithProjection",
)
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
    if _towers(config):
        return _tower_plan(config, name, part)
    if part in ("vision", "text"):
        instead = "an encoder-decoder: write  {}#encoder" if _two_sided(config) else "one network: write  {}"
        raise UserError(f"{name} has no tower called {part!r}: it is {instead.format(name)}")
    arch = _architecture(config)
    reads = getattr(_class(arch), "main_input_name", "") if arch else ""
    kind = config.model_type
    if reads == "pixel_values" or (arch is None and kind in _types("image")):
        if part:
            raise UserError(f"{name} reads pictures with one network: write  {name}")
        kept = arch is not None and arch.endswith((*_IMAGE_HEADS, "Model", "Backbone"))
        return Plan(kind="image", model=arch if arch and kept else "AutoModel")
    if reads not in ("", "input_ids"):
        raise UserError(f"{name} ({kind}) reads {reads}, neither text nor pictures: choose another model")
    if _two_sided(config):
        if part != "encoder":
            raise UserError(f"{name} ({kind}) is an encoder-decoder: study its encoder with  {name}#encoder")
        return Plan(kind="encoder", model="AutoModel", part="encoder")
    if part:
        raise UserError(f"{name} ({kind}) is one network, not an encoder-decoder: write  {name}")
    return _text_plan(config, name, arch)


def _text_plan(config: Any, name: str, arch: str | None) -> Plan:
    """A language model in one piece: causal, or an encoder with the head it was saved with."""
    kind = config.model_type
    both_ways = kind in _types("masked") and not getattr(config, "is_decoder", False)
    ending = next((e for e in _TEXT_HEADS if arch is not None and arch.endswith(e)), None)
    if kind in _types("causal") and not both_ways and ending != "ForMaskedLM":
        return Plan(kind="causal", model="AutoModelForCausalLM")
    if not both_ways and kind not in _types("body"):
        raise UserError(f"{name} ({kind}) is no model of text or pictures that transformers loads: choose another")
    if kind == "bert" and arch == "BertForPreTraining":
        arch, ending = "BertForMaskedLM", "ForMaskedLM"
    if arch is None or ending is None:
        return Plan(kind="encoder", model="AutoModel")
    return Plan(kind="encoder", model=arch, head=_TEXT_HEADS[ending])


def _tower_plan(config: Any, name: str, part: str) -> Plan:
    if part not in ("vision", "text"):
        raise UserError(
            f"{name} ({config.model_type}) reads pictures and text: name a tower,  {name}#vision  or  {name}#text"
        )
    model = _architecture(config) or "AutoModel"
    if part == "vision":
        return Plan(kind="image", model=model, part=part)
    if config.model_type in _types("speaks"):
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


def _types(what: str) -> Any:
    """The model types that transformers can make something of: ``causal``, ``masked``, ``image``, ``speaks`` or ``body``."""
    from transformers.models.auto import modeling_auto as auto

    tables = {
        "causal": auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "masked": auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        "image": {**auto.MODEL_FOR_IMAGE_MAPPING_NAMES, **auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES},
        "speaks": auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        "body": auto.MODEL_MAPPING_NAMES,
    }
    return tables[what]
