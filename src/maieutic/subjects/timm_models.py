"""Image networks of the timm library, with the preprocessing their weights were trained with.

What this module does not do: it installs and caches nothing; timm fetches weights from its hub.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from maieutic.errors import MissingExtraError, UserError, did_you_mean
from maieutic.subjects.base import Subject
from maieutic.subjects.modules import module_subject
from maieutic.subjects.vision import scaled


def load_timm(name: str) -> Subject:
    """A pretrained timm model.

    Raises:
        MissingExtraError: timm is not installed.
        UserError: unknown name, or the weights cannot be fetched.
    """
    try:
        timm: Any = import_module("timm")
    except ImportError as error:
        raise MissingExtraError(package="timm", extra="timm", feature=f"timm:{name}") from error
    if name.split(".")[0] not in set(timm.list_models()):
        raise UserError(f"timm has no model {name!r}{did_you_mean(name, timm.list_models())}: see  timm.list_models()")
    try:
        model = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"timm cannot load {name} ({why}): check the network, or use a packaged model") from error
    config = import_module("timm.data").resolve_model_data_config(model)
    prepare = scaled(int(config["input_size"][-1]), mean=config["mean"], std=config["std"])
    return module_subject(model, prepare, name=f"timm:{name}")
