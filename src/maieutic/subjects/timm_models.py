"""Image networks of the timm library, with the preprocessing their weights were trained with.

A name of timm fetches its weights from timm's hub; ``NAME@FILE.safetensors`` and a folder as timm saves it (``config.json``
and ``model.safetensors``) need no network.

What this module does not do: it installs and caches nothing, and reads no pickled weights from disk.
"""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from maieutic.errors import MissingExtraError, UserError, did_you_mean
from maieutic.subjects.base import Subject
from maieutic.subjects.image_sites import PICTURES, image_sites, watch
from maieutic.subjects.modules import module_subject
from maieutic.subjects.preparing import Recipe, exactly, shortest
from maieutic.subjects.vision import ImageSubject, noise_images

_FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def load_timm(name: str) -> Subject:
    """A timm model.

    Args:
        name: as ``timm.list_models()`` has it (weights from timm's hub), ``NAME@FILE`` with a local safetensors file, or a
            folder that timm saved.

    Raises:
        MissingExtraError: timm is not installed.
        UserError: timm does not load, unknown name, or the weights cannot be had.
    """
    timm = _library(name)
    model = _folder(timm, name) if (Path(name).expanduser() / "config.json").is_file() else _named(timm, name)
    model.eval()
    recipe = data_recipe(import_module("timm.data").resolve_model_data_config(model))
    prepare = recipe.preprocess()
    pixels = torch.stack([prepare(i) for i in noise_images(PICTURES, seed=0, size=64)])
    sites = image_sites(model, *watch(model, lambda: model(pixels)))
    title = f"timm:{Path(name).name if '/' in name else name}"
    if not sites:
        return module_subject(model, prepare, name=title)
    return ImageSubject(model, prepare, name=title, sites=sites)


def data_recipe(config: dict[str, Any]) -> Recipe:
    """The preparation of pictures that timm's evaluation uses.

    Args:
        config: as ``timm.data.resolve_model_data_config`` gives it.
    """
    height, width = (int(n) for n in config["input_size"][-2:])
    share = float(config.get("crop_pct") or 0.875)
    squashed = config.get("crop_mode") == "squash" or height != width
    size = (math.floor(height / share), math.floor(width / share))
    return Recipe(
        resize=exactly(*size) if squashed else shortest(size[0]),
        resample=_FILTERS.get(str(config.get("interpolation", "bicubic")), 3),
        crop=(height, width),
        mean=tuple(float(m) for m in config["mean"]),
        std=tuple(float(d) for d in config["std"]),
        rounds=True,
    )


def _library(name: str) -> Any:
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        package = "torchvision" if error.name == "torchvision" else "timm"
        raise MissingExtraError(package=package, extra="timm", feature=f"timm:{name}") from error
    except (ImportError, RuntimeError, OSError) as error:
        why = _line(error)
        raise UserError(
            f"timm:{name}: timm needs torchvision, and the one installed does not load beside this torch ({why}): install "
            "the pair for your machine, as in  pip install torch torchvision "
            "--index-url https://download.pytorch.org/whl/cpu"
        ) from error


def _named(timm: Any, name: str) -> Any:
    """A model by its name, with weights of the hub or of a file."""
    called, at, file = name.partition("@")
    if called.split(".")[0] not in set(timm.list_models()):
        near = did_you_mean(called, timm.list_models())
        raise UserError(f"timm has no model {called!r}{near}: see  timm.list_models()")
    if at:
        return _with_file(timm, called, Path(file).expanduser())
    try:
        return timm.create_model(called, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"timm cannot load {called} ({_line(error)}): check the network, or give a file, as in  timm:{called}@FILE"
        ) from error


def _with_file(timm: Any, name: str, file: Path) -> Any:
    if file.suffix != ".safetensors":
        raise UserError(f"{file} is no .safetensors file (pickled weights can run code and are refused): convert it")
    if not file.is_file():
        raise UserError(f"no file {file}: give a safetensors file, as in  timm:{name}@FILE.safetensors")
    from safetensors.torch import load_file

    try:
        state = load_file(file)
        head = timm.create_model(name, pretrained=False).pretrained_cfg.get("classifier")
        rows = state.get(f"{head}.weight")
        model = timm.create_model(name, pretrained=False, **({} if rows is None else {"num_classes": len(rows)}))
        model.load_state_dict(state)
    except Exception as error:
        raise UserError(
            f"{file} has no weights of {name} ({_line(error)}): give the model it was saved from"
        ) from error
    return model


def _folder(timm: Any, name: str) -> Any:
    folder = Path(name).expanduser()
    if not (folder / "model.safetensors").is_file():
        raise UserError(
            f"{folder} has no model.safetensors (pickled weights can run code and are refused): "
            "save it with  timm.models.save_for_hf(model, folder, safe_serialization=True)"
        )
    try:
        return timm.create_model(f"local-dir:{folder}", pretrained=True)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"timm cannot load {folder} ({_line(error)}): save the model again") from error


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
