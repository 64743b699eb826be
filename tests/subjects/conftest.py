"""Tiny real models: a two-layer Llama and GPT-2 with a byte tokenizer, and a CNN whose every number is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from maieutic.subjects.language import LanguageSubject
from maieutic.subjects.modules import module_subject

BOS, EOS, PAD = 256, 257, 258


@pytest.fixture(scope="session")
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte; ids 256 to 258 are BOS, EOS and padding."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {c: i for i, c in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    split = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    assert (fast.bos_token_id, fast.eos_token_id, fast.pad_token_id) == (BOS, EOS, PAD)
    return fast


def tiny_llama(*, context: int = 64) -> LlamaForCausalLM:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=259,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        initializer_range=0.3,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    return LlamaForCausalLM(config)


@pytest.fixture
def llama(byte_tokenizer: Any) -> LanguageSubject:
    return LanguageSubject(tiny_llama(), byte_tokenizer, name="tiny-llama", batch_size=4)


@pytest.fixture
def short_llama(byte_tokenizer: Any) -> LanguageSubject:
    """Nine positions of context: a prefix and eight tokens."""
    return LanguageSubject(tiny_llama(context=9), byte_tokenizer, name="short-llama")


@pytest.fixture
def gpt2(byte_tokenizer: Any) -> LanguageSubject:
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=259, n_positions=64, n_embd=16, n_layer=2, n_head=4, n_inner=40, bos_token_id=BOS, eos_token_id=EOS
    )
    return LanguageSubject(GPT2LMHeadModel(config), byte_tokenizer, name="tiny-gpt2", batch_size=4)


class KnownCNN(nn.Module):
    """Three channels of colour arithmetic, a ReLU and a sum: every value can be computed by hand.

    Channel 0 is red - green, channel 1 is blue, channel 2 is never above zero; the class is 2 * c0 - c1 (means).
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.classify = nn.Linear(3, 1, bias=False)
        with torch.no_grad():
            self.mix.weight.copy_(torch.tensor([[1.0, -1, 0], [0, 0, 1], [-1, -1, -1]])[:, :, None, None])
            self.classify.weight.copy_(torch.tensor([[2.0, -1, 5]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.act(self.mix(x)).mean(dim=(2, 3)))


def pixels(image: Image.Image) -> Tensor:
    """RGB in 0 to 1, ``[3, height, width]``."""
    return (
        torch.tensor(list(image.convert("RGB").tobytes()), dtype=torch.float32)
        .view(*image.size[::-1], 3)
        .permute(2, 0, 1)
        / 255
    )


@pytest.fixture
def known_cnn() -> Any:
    """A subject over `KnownCNN`; sites ``mix``, ``act``, ``classify``."""
    return module_subject(KnownCNN(), lambda image: pixels(image.resize((4, 2))), name="known-cnn")


@pytest.fixture
def plain() -> Callable[[tuple[int, int, int]], Image.Image]:
    """Makes a 4 x 2 image of one colour."""
    return lambda colour: Image.new("RGB", (4, 2), colour)
