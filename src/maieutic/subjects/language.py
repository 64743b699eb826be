"""Causal language models of the transformers library as subjects.

A prefix token (the tokenizer's BOS, else its EOS) stands before every text, is never reported and never intervened on:
the first position of a transformer is an attention sink with outlier activations whatever the token, and without a
prefix those outliers would land on the first word of every text. A model that has neither token gets no prefix.

Padding stands on the right, behind an attention mask; causal attention never looks there, so it changes no value.

Sites: ``layers.N.attn``, ``layers.N.mlp`` and ``layers.N.resid``; see `language_sites`.

What this module does not do: no generation, no encoders (see `encoders`), no pickled weights (loading them can run
code), no hub access for local folders.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from maieutic.errors import UsageError, UserError
from maieutic.subjects.base import Batch, Intervention, Take, TokenSpan, Values, raw
from maieutic.subjects.fresh import weights_digest
from maieutic.subjects.hooks import Pass, Tap, check_moved, on_cpu, run_hooked
from maieutic.subjects.language_sites import model_sites
from maieutic.subjects.networks import NetworkSubject
from maieutic.subjects.prefixes import alike, kept_of, repeated, rows_of

if TYPE_CHECKING:
    from maieutic.subjects.base import Raw

#: texts longer than this are cut even where the model would take more: attention memory grows with the square
LONGEST = 4096


class TruncationWarning(UserWarning):
    """A text was longer than the model's context and was cut at the end."""


class LanguageSubject(NetworkSubject):
    """A causal language model: one reading per token."""

    modality = "text"
    #: whether a token's values can depend on those before it only
    causal = True

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str, batch_size: int = 8, max_tokens: int | None = None
    ) -> None:
        """Take over a loaded model.

        Args:
            model: a ``transformers`` causal LM; put into evaluation mode.
            tokenizer: its fast tokenizer.
            name: what people call it.
            batch_size: texts of about 128 tokens in one pass.
            max_tokens: longest text in tokens; the model's context (at most `LONGEST`) otherwise.

        Raises:
            UserError: the tokenizer is not a fast one (no character offsets).
        """
        if not getattr(tokenizer, "is_fast", False):
            raise UserError(f"{name} has no fast tokenizer (no character offsets): add a tokenizer.json to the folder")
        super().__init__(name=name, sites=model_sites(model))
        self.batch_size = batch_size
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.prefix: tuple[int, ...] = tuple(int(t) for t in [bos if bos is not None else eos] if t is not None)
        self.padded = 1
        context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or LONGEST
        self.max_tokens = min(max_tokens or LONGEST, int(context) - len(self.prefix))
        # whether texts can be continued from what is kept of them; not known before the first one
        self._continuous: bool | None = None

    @property
    def network(self) -> nn.Module:
        """The model."""
        return self.model

    def _own_digest(self) -> str:
        """Of weights, tokenizer, prefix and length limit."""
        what = f"{self.prefix} {self.max_tokens}"
        return weights_digest(self.model, self.tokenizer.backend_tokenizer.to_str(), what)

    def tokens(self, text: str) -> list[TokenSpan]:
        """One span per measured position. White space belongs to the token after it; bytes of a character share it."""
        return [TokenSpan(text[start:end], start, end) for _, start, end in self._encode(text)[: self.max_tokens]]

    def is_truncated(self, text: str) -> bool:
        """Whether the end of this text is cut off because it passes the context."""
        return len(self._encoding(text).ids) > self.max_tokens

    def forward(
        self,
        stimuli: Sequence[Raw],
        sites: Sequence[str],
        *,
        interventions: Sequence[Intervention] = (),
        maps: bool = False,
    ) -> Batch:
        """One pass over the texts as one batch; values ``[text, position, unit]``, zero behind each text's end.

        Raises:
            UsageError: maps were asked for, or a stimulus is not a string.
        """
        if maps:
            raise UsageError(f"{self.name} reads text: maps exist for image subjects; leave maps out")
        return self._run(stimuli, [self._tap(s) for s in sites], interventions)[0]

    @property
    def per_pass(self) -> int:
        """One text on the CPU, ``batch_size`` on an accelerator."""
        return 1 if on_cpu(self.model.device) else self.batch_size

    def stream(self, stimuli: Sequence[Raw], sites: Sequence[str], take: Take) -> None:
        """One pass over the texts as one batch; see `Subject.stream`. Cost: no copies, no LM head."""
        self._run(stimuli, [self._tap(s) for s in sites], (), take=take)

    def outputs(self, stimuli: Sequence[Raw], *, interventions: Sequence[Intervention] = ()) -> Values:
        """Next-token logits after each text: ``[text, vocabulary]``, float32. Cost: a full pass with the LM head.

        Raises:
            InterventionDidNothing: an intervention changed no activation of any text.
        """
        from maieutic.subjects.reading import plan_batches

        lengths = [len(self._encoding(self._text(s)).ids) for s in stimuli]
        rows: dict[int, Values] = {}
        moved = np.zeros(len(interventions))
        for batch in plan_batches(lengths, self.batch_size):
            done, seen = self._run([stimuli[i] for i in batch], (), interventions, to_end=True)
            logits: Tensor = seen.result
            for row, i in enumerate(batch):
                rows[i] = self._said(logits, row, int(done.lengths[row])).float().cpu().numpy()
            moved = np.maximum(moved, done.moved)
        if interventions and stimuli:
            check_moved(interventions, moved.tolist())
        return np.stack([rows[i] for i in range(len(stimuli))]) if rows else np.zeros((0, 0), np.float32)

    def outputs_each(
        self, stimuli: Sequence[Raw], changes: Sequence[Sequence[Intervention | None]]
    ) -> Iterator[Values]:
        """See `Subject.outputs_each`. Changes at the last token share one reading of the tokens before it (`prefixes`)."""
        asked = {id(c): c for given in changes for c in given if c is not None}
        if not self.causal or any(c.at != -1 for c in asked.values()):
            yield from super().outputs_each(stimuli, changes)
            return
        moved = dict.fromkeys(asked, 0.0)
        for number, (own, given) in enumerate(zip(self._ids(stimuli), changes, strict=True)):
            *before, last = [*self.prefix, *own] or [self.tokenizer.pad_token_id or 0]
            cache = self._kept(before) if before else None
            if before and (cache is None or not self._continues(cache, before, last)):
                yield from super().outputs_each(stimuli[number:], changes[number:])
                return
            rows = rows_of(len(before))
            parts = [
                self._continued(cache, last, given[i : i + rows], bool(own), moved) for i in range(0, len(given), rows)
            ]
            yield np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
        check_moved(list(asked.values()), list(moved.values()))

    def _kept(self, before: Sequence[int]) -> Any:
        """What the model keeps of these tokens, or ``None``; see `prefixes`."""
        ids = torch.tensor([before], dtype=torch.long, device=self.model.device)
        read = run_hooked(lambda: self.model.base_model(input_ids=ids, use_cache=True), keep=_nothing, to_end=True)
        return kept_of(read.result, len(before))

    def _continues(self, cache: Any, before: Sequence[int], last: int) -> bool:
        """Whether one more token behind what is kept says the same as the whole text, and the token before it does not see it.

        Asked once a subject. Cost: two passes over a text.
        """
        other = next((t for t in before if t != last), None)
        if self._continuous is None and other is not None:
            whole, changed = (self._logits([*before, t]) for t in (last, other))
            behind = torch.from_numpy(self._continued(cache, last, [None], False, {})[0]).to(whole)
            self._continuous = alike(behind, whole[-1]) and alike(changed[-2], whole[-2])
        return bool(self._continuous)

    def _logits(self, ids: Sequence[int]) -> Tensor:
        """Of one text, ``[token, vocabulary]``."""
        given = torch.tensor([ids], dtype=torch.long, device=self.model.device)
        call = lambda: self._picked(self.model(input_ids=given, use_cache=False))  # noqa: E731
        return run_hooked(call, keep=_nothing, to_end=True).result[0]

    def _continued(
        self, cache: Any, token: int, given: Sequence[Intervention | None], real: bool, moved: dict[int, float]
    ) -> Values:
        """Logits behind one more token, one row for each change of it, ``[change, vocabulary]``; notes how far each moved."""
        rows = len(given)
        ids = torch.full((rows, 1), token, dtype=torch.long, device=self.model.device)
        made = [(i, c) for i, c in enumerate(given) if c is not None]
        row = torch.arange(rows, device=ids.device)[:, None]

        def call() -> Tensor:
            if cache is None:
                return self._picked(self.model(input_ids=ids, use_cache=False))
            return self._picked(self.model(input_ids=ids, past_key_values=repeated(cache, rows), use_cache=True))

        seen = run_hooked(
            call, changes=[(self._tap(c.unit.site), c) for _, c in made], keep=_nothing,
            mask=[(row == i) & real for i, _ in made], to_end=True,
        )  # fmt: skip
        for (_, c), far in zip(made, seen.moved, strict=True):
            moved[id(c)] = max(moved[id(c)], far)
        return seen.result[:, -1].float().cpu().numpy()

    def untrained(self, seed: int = 0) -> LanguageSubject:
        """The same architecture with the initialisation of its class, drawn from ``seed``. Cost: 2 s for 135 M."""
        import copy

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = type(self.model)._from_config(copy.deepcopy(self.model.config), dtype=torch.float32)
        fresh = LanguageSubject(
            model.to(self.model.device),
            self.tokenizer,
            name=f"{self.name} (untrained)",
            batch_size=self.batch_size,
            max_tokens=self.max_tokens,
        )
        return self._relensed(fresh, seed)

    def _text(self, stimulus: Any) -> str:
        text = raw(stimulus)
        if not isinstance(text, str):
            raise UsageError(f"{self.name} reads text, not {type(text).__name__}: give strings")
        return text

    def _encode(self, text: str) -> list[tuple[int, int, int]]:
        """Token id, start and end, uncut. A gap that the tokenizer leaves before a token belongs to the token."""
        spans: list[tuple[int, int, int]] = []
        last = 0
        found = self._encoding(text)
        for token, (start, end) in zip(found.ids, found.offsets, strict=True):
            spans.append((token, min(start, last), end))
            last = max(last, end)
        return [(t, s if s < e else max(e - 1, 0), e) for t, s, e in spans]

    def _encoding(self, text: str) -> Any:
        """What the tokenizer's Rust part makes of a text, uncut: half the time of the call of transformers around it."""
        backend = self.tokenizer.backend_tokenizer
        # a tokenizer.json, or another user of this tokenizer, may have set these
        if backend.truncation is not None:
            backend.no_truncation()
        if backend.padding is not None:
            backend.no_padding()
        return backend.encode(text, add_special_tokens=False)

    def _ids(self, stimuli: Sequence[Any]) -> list[list[int]]:
        """Token ids of texts without the prefix, cut at the context with a warning."""
        encoded: list[list[int]] = [self._encoding(self._text(s)).ids for s in stimuli]
        cut = sum(len(e) > self.max_tokens for e in encoded)
        if cut:
            warnings.warn(
                f"{cut} of {len(encoded)} texts are longer than {self.max_tokens} tokens: only their beginning is read",
                TruncationWarning,
                stacklevel=4,
            )
        return [e[: self.max_tokens] for e in encoded]

    def _run(
        self,
        stimuli: Sequence[Any],
        reads: Sequence[Tap],
        interventions: Sequence[Intervention],
        *,
        to_end: bool = False,
        take: Take | None = None,
    ) -> tuple[Batch, Pass]:
        behind = self._behind(to_end=to_end)
        rows = [[*self.prefix, *own, *behind] for own in self._ids(stimuli)]
        width = max([len(r) for r in rows] + [self.padded])
        padding = self.tokenizer.pad_token_id or 0
        device = self.model.device
        ids = torch.tensor([r + [padding] * (width - len(r)) for r in rows], dtype=torch.long, device=device)
        real = torch.arange(width, device=device)[None, :] < torch.tensor([[len(r)] for r in rows], device=device)
        start = len(self.prefix)
        lengths = np.array([len(r) - start - len(behind) for r in rows], np.int64)
        place = torch.arange(width, device=device)[None, :] - start
        measured = (place >= 0) & (place < torch.from_numpy(lengths).to(device)[:, None])
        end = start + max(lengths.tolist(), default=0)

        def keep(tap: Tap, value: Tensor) -> Tensor | None:
            measurable = value[:, start:end]
            if take is None:
                return measurable.float().cpu().clone()
            take(tap.site, measurable, range(len(rows)), lengths.tolist())
            return None

        changes = [(self._tap(i.unit.site), i) for i in interventions]
        # what the whole model returns (its logits) is a site too
        whole = to_end or any(tap.module is self.model for tap in [*reads, *(tap for tap, _ in changes)])
        seen = run_hooked(
            lambda: self._call(ids, real, whole=whole),
            reads=reads,
            changes=changes,
            keep=keep,
            mask=measured,
            to_end=to_end,
        )
        return Batch(values=seen.values, lengths=lengths, moved=tuple(seen.moved)), seen

    def _behind(self, *, to_end: bool) -> tuple[int, ...]:
        """Tokens behind every text, neither reported nor intervened on: none for a causal model."""
        return ()

    def _said(self, result: Tensor, row: int, length: int) -> Tensor:
        """The outputs of one text of so many tokens in what `_picked` gave for a batch."""
        return result[row, length + len(self.prefix) - 1]

    def _picked(self, result: Any) -> Tensor:
        """The tensor that holds the outputs, in what the whole network returned."""
        return result.logits

    def _call(self, ids: Tensor, real: Tensor, *, whole: bool) -> Any:
        # without padding no mask is given, which leaves attention its plain causal path
        mask = None if bool(real.all()) else real.long()
        if whole:
            return self._picked(self.model(input_ids=ids, attention_mask=mask, use_cache=False))
        return self.model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)


def _nothing(_tap: Tap, _value: Tensor) -> None:
    """Of a pass without readings."""
