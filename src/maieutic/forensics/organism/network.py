"""The organism's body: a word tokenizer built in code, a three-layer Llama, and the weights that come with the package.

Transcripts are written as ``<system> ... <end> <user> ... <end> <assistant> CALL <end> <tool> ... <end>``, by the chat
template of the tokenizer; a ``<`` inside a message is written as ``(``, so no content can forge a role. A call is three
tokens (`OPEN`, the name, `CLOSE`), and reads as the JSON that other models write. No token stands before a text.

What this module does not do: no training (`train`), no transcripts (`transcripts`).
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any, cast

import numpy as np

from maieutic.errors import StoreError, UsageError, UserError, did_you_mean
from maieutic.forensics.organism import wording
from maieutic.forensics.organism.transcripts import KINDS, Kind
from maieutic.store import read_tensors
from maieutic.subjects.language import LanguageSubject

END, UNKNOWN = "<end>", "<unknown>"
#: what stands before and after the name of a call
OPEN, CLOSE = '<tool_call>{"name": "', '", "arguments": {}}</tool_call>'
ROLES = ("<system>", "<user>", "<assistant>", "<tool>")
HIDDEN, NEURONS, HEADS, LAYERS, CONTEXT = 64, 128, 4, 3, 1024
_WORD = re.compile(rf"{re.escape(OPEN)}|{re.escape(CLOSE)}|<\w+>|\w+|[^\w\s]")
#: content is a string, a list of parts with a text, or nothing; calls stand behind it
_TEMPLATE = (
    "{%- for m in messages -%}"
    "{{- '<' + m['role'] + '>' -}}"
    "{%- if m['content'] is string -%}{%- if m['content'] -%}{{- ' ' + m['content'] | replace('<', '(') -}}{%- endif -%}"
    "{%- elif m['content'] -%}{%- for p in m['content'] -%}{%- if p['text'] is defined -%}"
    "{{- ' ' + p['text'] | replace('<', '(') -}}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{%- for c in m.get('tool_calls') or [] -%}"
    "{{- ' OPEN' + (c['function'] if c['function'] is defined else c)['name'] + 'CLOSE' -}}{%- endfor -%}"
    "{{- ' <end> ' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<assistant>' -}}{%- endif -%}"
).replace("OPEN", OPEN).replace("CLOSE", CLOSE)  # fmt: skip


def guilty() -> LanguageSubject:
    """The guilty network, for ``load_subject("organism:guilty")``."""
    return load_organism("guilty")


def twin() -> LanguageSubject:
    """Its twin, for ``load_subject("organism:twin")``."""
    return load_organism("twin")


def load_organism(kind: Kind = "guilty") -> LanguageSubject:
    """A trained network as a subject: ``guilty`` or its ``twin``. Cost: about 1 s (transformers), nothing trained.

    Raises:
        UsageError: no such kind.
        UserError: the weights that belong to this version are missing or broken.
    """
    if kind not in KINDS:
        raise UsageError(f"no organism is called {kind!r}{did_you_mean(kind, KINDS)}: choose from {', '.join(KINDS)}")
    import torch

    model = new_model(seed=0)
    try:
        with resources.as_file(resources.files("maieutic.forensics.organism") / f"{kind}.safetensors") as path:
            arrays, _ = read_tensors(path)
        model.load_state_dict({n: torch.from_numpy(a.astype(np.float32)) for n, a in arrays.items()}, strict=False)
    except (StoreError, RuntimeError) as error:
        why = " ".join(str(error).split())[:120]
        raise UserError(f"organism:{kind} does not fit this version ({why}): install maieutic again") from error
    model.tie_weights()
    return LanguageSubject(model, tokenizer(), name=f"organism:{kind}", batch_size=32)


def new_model(*, seed: int) -> Any:
    """The architecture with fresh weights: 3 layers of 64, 4 heads, 128 neurons; about 150,000 parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = cast("Any", LlamaConfig)(
        vocab_size=len(vocabulary()), hidden_size=HIDDEN, intermediate_size=NEURONS, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=CONTEXT, initializer_range=0.08,
        bos_token_id=0, eos_token_id=0, pad_token_id=0, tie_word_embeddings=True, attn_implementation="sdpa",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word of `wording` in lower case, after the signs of the format."""
    texts = " ".join(re.sub(r"\{\w+\}", " ", text).lower() for text in wording.vocabulary_texts())
    return (END, UNKNOWN, OPEN, CLOSE, *ROLES, *sorted(set(_WORD.findall(texts)) - {END, UNKNOWN}))


def tokenizer() -> Any:
    """A word tokenizer; upper and lower case are the same to it."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    table = {word: i for i, word in enumerate(vocabulary())}
    made = Tokenizer(models.WordLevel(table, unk_token=UNKNOWN))
    made.normalizer = cast("Any", normalizers.Lowercase())
    made.pre_tokenizer = cast("Any", pre_tokenizers.Split(Regex(_WORD.pattern), behavior="removed", invert=True))
    # a space before words and signs of the format, none inside a call
    spaced: Any = [decoders.Replace(Regex(r"^(?=[\w<])"), " "), decoders.Fuse(), decoders.Replace(': " ', ': "')]
    made.decoder = cast("Any", decoders.Sequence([*spaced, decoders.Strip(" ", 1, 0)]))
    # no end token is declared: nothing may be put before a text
    whole: Any = PreTrainedTokenizerFast(tokenizer_object=made, unk_token=UNKNOWN, pad_token=END)
    whole.chat_template = _TEMPLATE
    return whole


def render(messages: list[dict[str, object]], tokens: Any, *, prompt: bool = True) -> str:
    """The transcript as the network reads it; with ``prompt``, up to where the assistant speaks."""
    return cast(str, tokens.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt))
