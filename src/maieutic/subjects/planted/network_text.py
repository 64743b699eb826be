"""The planted text network: a two-layer Llama whose chosen MLP neurons carry known concepts and decide the next word.

It is a ``LanguageSubject`` like any other; see `network_training` for how it is trained. Neurons that are not planted are
ordinary. What this module does not do: it knows no corpora.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maieutic.subjects.language import LanguageSubject
from maieutic.subjects.planted.network_language import END, UNKNOWN, Language
from maieutic.subjects.planted.network_training import (
    DETECTORS,
    Swap,
    TensorLaw,
    cut_off,
    detector_loss,
    repeatable,
    settings,
    tensor,
    trained,
)

#: where the planted neurons are: what the last MLP gives to its output projection
SITE = "layers.1.mlp"
HIDDEN, NEURONS, HEADS, LAYERS = 48, 64, 4, 2
STEPS, BATCH, SAMPLED = 420, 32, 2048
RATE = 8e-3


def text_subject(language: Language, *, seed: int = 0) -> LanguageSubject:
    """Train the network of a language. Planted neuron ``i`` of ``SITE`` carries concept ``i``.

    Cost: about 11 s on one core the first time; then weights come from the cache. The same seed gives the
    same weights on one machine.
    """
    with repeatable(seed):
        model = _model(len(language.words))
        trained(model, f"text-{seed}", lambda: _train(model, language, np.random.default_rng([seed, 11])))
    model.eval()
    return LanguageSubject(model, _tokenizer(language), name="planted:text", batch_size=32)


def _model(words: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = cast("Any", LlamaConfig)(
        vocab_size=words, hidden_size=HIDDEN, intermediate_size=NEURONS, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=256, initializer_range=0.1,
        bos_token_id=0, eos_token_id=0, pad_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    return LlamaForCausalLM(config)


def _tokenizer(language: Language) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    table = {word: i for i, word in enumerate(language.words)}
    tokenizer = Tokenizer(models.WordLevel(table, unk_token=UNKNOWN))
    tokenizer.normalizer = cast("Any", normalizers.Lowercase())
    tokenizer.pre_tokenizer = cast("Any", pre_tokenizers.Whitespace())
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, unk_token=UNKNOWN, pad_token=END)


def _train(model: Any, language: Language, rng: np.random.Generator) -> None:
    ids = language.sample(SAMPLED, rng)
    truth, missed = tensor(language.strengths(ids)), tensor(language.near_misses(ids))
    count, law = len(language.concepts), TensorLaw(language.law)
    projection = cast(nn.Linear, model.model.layers[LAYERS - 1].mlp.down_proj)
    swap = Swap(count)

    def at_projection(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (swap(args[0]),)

    used = torch.cat([law.used, torch.ones(NEURONS - count, dtype=torch.bool)])
    hooks = [projection.register_forward_pre_hook(at_projection), cut_off(projection.weight, used)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    inputs = torch.from_numpy(np.pad(ids, ((0, 0), (1, 0))))  # the end token stands before every text
    model.train()
    for _ in range(STEPS):
        rows = torch.from_numpy(rng.choice(SAMPLED, size=BATCH, replace=False))
        swap.where, swap.set_to = settings(rng, (BATCH, inputs.shape[1], count))
        logits = model(input_ids=inputs[rows]).logits[:, 1:]
        wanted = law(torch.where(swap.where, swap.set_to, F.pad(truth[rows], (0, 0, 1, 0)))[:, 1:])
        outputs = -(wanted * F.log_softmax(logits, dim=-1)).sum(-1).mean()
        loss = outputs + DETECTORS * detector_loss(swap.values[:, 1:], truth[rows], missed[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    for hook in hooks:
        hook.remove()
