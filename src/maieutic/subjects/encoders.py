"""Text encoders of the transformers library as subjects: BERT and its kin, encoders of encoder-decoders, text towers.

The tokenizer's own special tokens stand around every text (``[CLS] ... [SEP]``); like the prefix of a causal model they
are never reported and never intervened on. Attention looks both ways, so padding is masked in every batch.

Outputs, by head: a masked LM says what it would put into a mask token after the text (``[text, vocabulary]``); a classifier
of texts its logits; a classifier of tokens the mean of its logits over the text; a body without a head the mean of its last
layer over the text, and a text tower its pooled embedding.

What this module does not do: no decoders, no pairs of texts.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from maieutic.errors import UserError
from maieutic.subjects.language import LONGEST, LanguageSubject


class EncoderSubject(LanguageSubject):
    """A text encoder: one reading per token, special tokens left out."""

    causal = False

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        head: str = "embedding",
        batch_size: int = 8,
        max_tokens: int | None = None,
        padded: int = 1,
    ) -> None:
        """Take over a loaded model.

        Args:
            model: a ``transformers`` encoder; put into evaluation mode.
            tokenizer: its fast tokenizer.
            name: what people call it.
            head: what the outputs are: ``mask``, ``class``, ``token``, ``pooled`` or ``embedding``.
            batch_size: texts of about 128 tokens in one pass.
            max_tokens: longest text in tokens, special tokens left out; the model's context otherwise.
            padded: every text is filled up with padding to this many tokens, which the model sees (SigLIP was trained so).

        Raises:
            UserError: the tokenizer is not a fast one, or a masked LM has no mask token.
        """
        prefix, suffix = special_tokens(tokenizer)
        room = _context(model.config) - len(prefix) - len(suffix) - (1 if head == "mask" else 0)
        super().__init__(
            model, tokenizer, name=name, batch_size=batch_size, max_tokens=min(max_tokens or LONGEST, room)
        )
        self.prefix, self.suffix, self.padded, self.head = prefix, suffix, padded, head
        self.max_tokens = min(max_tokens or LONGEST, room)
        if head == "mask" and tokenizer.mask_token_id is None:
            raise UserError(f"{name} has a masked LM but no mask token: add it to the tokenizer")

    def _own_digest(self) -> str:
        """Of all that a causal model's digest has, and of what stands behind a text."""
        from maieutic.subjects.fresh import weights_digest

        what = f"{self.prefix} {self.suffix} {self.max_tokens} {self.padded} {self.head}"
        return weights_digest(self.model, self.tokenizer.backend_tokenizer.to_str(), what)

    def untrained(self, seed: int = 0) -> EncoderSubject:
        """The same architecture with the initialisation of its class, drawn from ``seed``."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = type(self.model)._from_config(copy.deepcopy(self.model.config), dtype=torch.float32)
        fresh = EncoderSubject(
            model.to(self.model.device),
            self.tokenizer,
            name=f"{self.name} (untrained)",
            head=self.head,
            batch_size=self.batch_size,
            max_tokens=self.max_tokens,
            padded=self.padded,
        )
        return self._relensed(fresh, seed)

    def _behind(self, *, to_end: bool) -> tuple[int, ...]:
        """A masked LM is asked for what comes after the text; readings do without the mask token."""
        if to_end and self.head == "mask":
            return (int(self.tokenizer.mask_token_id), *self.suffix)
        return self.suffix

    def _call(self, ids: Tensor, real: Tensor, *, whole: bool) -> Any:
        mask = None if self.padded > 1 or bool(real.all()) else real.long()
        network = self.model if whole else self.model.base_model
        result = network(input_ids=ids, attention_mask=mask)
        return self._picked(result) if whole else result

    def _picked(self, result: Any) -> Tensor:
        if self.head == "pooled":
            return result.pooler_output
        return result.last_hidden_state if self.head == "embedding" else result.logits

    def _said(self, result: Tensor, row: int, length: int) -> Tensor:
        start = len(self.prefix)
        if self.head in ("class", "pooled"):
            return result[row]
        if self.head == "mask":
            return result[row, start + length]
        # of an empty text only the special tokens are there
        return (result[row, start : start + length] if length else result[row]).mean(dim=0)


def special_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that a tokenizer puts before and behind a text."""
    plain = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("a")["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return tuple(whole[:start]), tuple(whole[start + len(plain) :])
    return (), ()


def _context(config: Any) -> int:
    """Positions the model has; families of RoBERTa count from behind their padding id."""
    text = config.get_text_config()
    positions = getattr(text, "max_position_embeddings", None) or LONGEST
    shifted = text.model_type in ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "data2vec-text")
    return int(positions) - (int(text.pad_token_id or 0) + 1 if shifted else 0)
