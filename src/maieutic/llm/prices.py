"""What a model's tokens cost, from the user's own table. Inspect knows models but no prices; nothing here looks one up.

The table is a TOML file, ``prices.toml`` in maieutic's configuration folder or the file that MAIEUTIC_PRICES names::

    ["openai/gpt-5-mini"]        # the model as --model has it
    input = 0.25                 # dollars a million tokens
    output = 2.00
    cache_read = 0.025           # optional; as input when absent
    cache_write = 0.25           # optional; as input when absent

Local models that cost nothing may be written with zeros: then a budget in dollars accepts them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import platformdirs

from maieutic.errors import UsageError

_FIELDS = ("input", "output", "cache_read", "cache_write")


def prices_file() -> Path:
    """Where the table is looked for; it need not exist."""
    named = os.environ.get("MAIEUTIC_PRICES")
    return Path(named) if named else platformdirs.user_config_path("maieutic") / "prices.toml"


def price_of(model: str) -> Mapping[str, float] | None:
    """Dollars a million tokens by kind of token (``input``, ``output``, ``cache_read``, ``cache_write``), or ``None``.

    Raises:
        UsageError: the table cannot be read, or an entry is no price.
    """
    file = prices_file()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if os.environ.get("MAIEUTIC_PRICES"):
            raise UsageError(f"no price table {file}: correct or unset MAIEUTIC_PRICES") from None
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the price table {file}: {error}: correct it or remove it") from error
    entry = table.get(model)
    return None if entry is None else _checked(entry, model, file)


def dearest(model: str, tokens: int) -> float | None:
    """Dollars for so many tokens if all were of the dearest kind; ``None`` where the model has no price."""
    price = price_of(model)
    return None if price is None else max(price.values()) * tokens / 1e6


def _checked(entry: Any, model: str, file: Path) -> Mapping[str, float]:
    example = '["provider/model"] with  input = 0.25  and  output = 2.0  (dollars a million tokens)'
    if not isinstance(entry, dict):
        raise UsageError(f"{model!r} in {file} is no price: write {example}")
    given = cast("dict[str, Any]", entry)
    wrong = [
        k
        for k, v in given.items()
        if k not in _FIELDS or isinstance(v, bool) or not isinstance(v, int | float) or v < 0
    ]
    if wrong or not {"input", "output"} <= given.keys():
        what = f"{wrong[0]!r} cannot be used" if wrong else "input and output are both needed"
        raise UsageError(f"the price of {model!r} in {file}: {what}: write {example}")
    price = {k: float(v) for k, v in given.items()}
    return {"cache_read": price["input"], "cache_write": price["input"], **price}


def tell_inspect(model: str) -> bool:
    """Give Inspect the user's price of a model, so that usage, logs and limits have dollars. Whether there is one."""
    price = price_of(model)
    if price is None:
        return False
    from inspect_ai.model import ModelCost, ModelInfo, get_model_info, set_model_info

    cost = ModelCost(
        input=price["input"], output=price["output"],
        input_cache_read=price["cache_read"], input_cache_write=price["cache_write"],
    )  # fmt: skip
    known = get_model_info(model)
    set_model_info(model, (known or ModelInfo()).model_copy(update={"cost": cost}))
    return True
