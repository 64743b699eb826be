"""Opening a model: any Inspect provider by its name, with waits and failures that suit long unattended runs.

What differs from Inspect's own: the wait before a retry is bounded and keeps to the server's Retry-After; a server on
this machine needs no key; a wrong key or a model that the server does not have is an error to put right, not one more
failed request. Nothing here asks a model anything.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from maieutic.errors import MissingExtraError, UsageError, UserError
from maieutic.llm import prices

if TYPE_CHECKING:
    from inspect_ai.model import CachePolicy, Model, ModelOutput

#: seconds; no retry waits longer
LONGEST_WAIT = 60.0
#: packages that the ``agents`` extra brings
_EXTRA = ("inspect_ai", "openai", "jsonschema")


@dataclass(slots=True)
class Sent:
    """Counts the requests that really went to the provider (none: the answer came from the cache)."""

    requests: int = 0


#: set by whoever wants to know
sent: ContextVar[Sent | None] = ContextVar("maieutic_sent", default=None)


class ModelError(Exception):
    """A request failed for good. The message is one line, without the request."""


class EmptyError(Exception):
    """An empty answer, raised past Inspect's cache so that it is not kept."""

    def __init__(self, output: ModelOutput) -> None:
        super().__init__("empty answer")
        self.output = output


class NoSchemaError(Exception):
    """The server turned the form of structured output down."""


def open_model(
    model: str,
    *,
    base_url: str | None = None,
    temperature: float | None = 0.0,
    max_tokens: int = 1024,
    seed: int | None = None,
    connections: int = 8,
    retries: int = 5,
    timeout: int | None = None,
    wait: float | None = None,
) -> Model:
    """The Inspect model behind a backbone, for code that runs inside an Inspect evaluation. Not shared between loops.

    Raises:
        MissingExtraError: Inspect or the provider's package is not installed.
        UsageError: the name is no model of a known provider, or no server answers at a ``base_url`` on this machine.
    """
    if not model.partition("/")[2]:
        raise UsageError(f"{model!r} is no model: write provider/model, as in  --model openai/gpt-5-mini")
    try:
        from inspect_ai.model import GenerateConfig, get_model
    except ImportError as error:
        raise MissingExtraError(package="inspect-ai", extra="agents", feature=f"the model {model}") from error
    from maieutic.llm import scripted

    scripted.register()
    here = on_this_machine(base_url)
    # a small computer may need minutes for one answer, and queues the others
    patience = timeout if timeout is not None else (600 if here else 120)
    config = GenerateConfig(
        temperature=temperature, max_tokens=max_tokens, seed=seed, max_connections=connections, max_retries=retries,
        attempt_timeout=patience, timeout=patience * (retries + 1),
    )  # fmt: skip
    # one loud line of httpx for every request would bury everything else
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    served = _served(base_url, model)
    try:
        opened = get_model(model, config=config, base_url=base_url, memoize=False, **_arguments(model, base_url))
    except UsageError:
        raise
    except Exception as error:
        raise _explained(model, error) from error
    first = wait if wait is not None else (0.2 if here else 2.0)
    _tame(opened, first=first)
    vars(opened.api)["maieutic_served"] = served
    prices.tell_inspect(model)
    return opened


def policy(model: Model) -> CachePolicy:
    """How answers of a model that ``open_model`` gave are kept: without expiry, and apart for every model that a local
    server may hold under the same name and address.
    """
    from inspect_ai.model import CachePolicy

    served = vars(model.api).get("maieutic_served")
    return CachePolicy(expiry=None, scopes={"served": served} if served else {})


def one_line(error: BaseException) -> str:
    """An error as one line: its kind and what it says, without the request that Inspect puts before it."""
    inner = error
    while type(inner).__name__ in ("RetryError", "ModelGenerateError") and inner.__cause__ is not None:
        inner = inner.__cause__
    return f"{type(inner).__name__}: {line(str(inner) or 'no message')}"


def line(text: str) -> str:
    """One line of at most 200 characters, without the colour marks that Inspect writes."""
    first = " ".join(re.sub(r"\[/?(?:bold|blue|red|dim)[^\]]*\]", "", text).split())
    return first if len(first) <= 200 else first[:197] + "…"


# --- servers of the user's own -----------------------------------------------------------------------------------------


def on_this_machine(base_url: str | None) -> bool:
    """Whether a server's address is on loopback."""
    host = urlsplit(base_url).hostname or "" if base_url else ""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _arguments(model: str, base_url: str | None) -> dict[str, Any]:
    """Arguments of the provider: no retries inside the client under ours, and a key for servers that check none."""
    provider, _, rest = model.partition("/")
    if provider != "openai-api":
        return {}
    variable = f"{rest.partition('/')[0].upper().replace('-', '_')}_API_KEY"
    key = {} if base_url is None or os.environ.get(variable) else {"api_key": "none"}
    return {"max_retries": 0, **key}


def _served(base_url: str | None, model: str) -> str:
    """What a server on this machine says it serves: the model by its name, or all that it has; empty: not said.

    Raises:
        UsageError: nothing listens there.
    """
    if base_url is None or not on_this_machine(base_url):
        return ""
    where = urlsplit(base_url)
    secure = where.scheme == "https"
    make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = make(where.hostname or "", where.port or (443 if secure else 80), timeout=5)
    try:
        connection.request("GET", f"{where.path.rstrip('/')}/models")
        listed = cast("dict[str, Any]", json.loads(connection.getresponse().read()))
        names = sorted(str(m["id"]) for m in listed["data"])
    except (TimeoutError, ConnectionResetError):
        return ""  # busy: requests have their own retries
    except OSError as error:
        raise UsageError(f"no server answers at {base_url}: start it, or correct --base-url") from error
    except (http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""  # it need not list its models
    finally:
        connection.close()
    name = model.rpartition("/")[2]
    return name if name in names else ",".join(names)


# --- errors and waits --------------------------------------------------------------------------------------------------


def _explained(model: str, error: Exception) -> UsageError | MissingExtraError:
    """Why a model could not be opened, with what to do."""
    text = str(error)
    missing = re.search(r"pip install[^\w]*([\w-]+)", re.sub(r"\[/?bold\]", "", text))
    if isinstance(error, ImportError) or missing:
        package = missing.group(1) if missing else getattr(error, "name", None) or "inspect-ai"
        if package.replace("-", "_") in _EXTRA:
            return MissingExtraError(package=package, extra="agents", feature=f"the model {model}")
        return UsageError(f"the model {model} needs the package {package!r}: run  pip install {package}")
    if "not recognized" in text:
        return UsageError(
            f"no provider {model.partition('/')[0]!r} (of the model {model!r}): write provider/model, as in  openai/gpt-5-mini"
            "  or  openai-api/local/NAME --base-url URL"
        )
    return UsageError(
        f"cannot use the model {model}: {line(text)}: check its name, its key and its server (--base-url)"
    )


def _tame(model: Model, *, first: float) -> None:
    """Bound the waits of a model's retries, ask once more after an empty answer, and say errors in one line.

    ``generate`` and ``retry_wait`` are what Inspect lets a provider define; they are replaced on this one model.
    """
    from inspect_ai.util import LimitExceededError

    own = vars(model.api)
    generate = cast("Callable[..., Awaitable[Any]]", model.api.generate)
    name = str(model)

    async def once(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if (counter := sent.get()) is not None:
            counter.requests += 1
        try:
            result = await generate(*args, **kwargs)
        except Exception as error:
            if (other := _sorted(error, name)) is error:
                raise
            raise other from error
        failed = result[0] if isinstance(result, tuple) else result
        if isinstance(failed, Exception) and (other := _sorted(failed, name)) is not failed:
            raise other from failed
        return result, failed

    async def asking(*args: Any, **kwargs: Any) -> Any:
        result, output = await once(*args, **kwargs)
        if not isinstance(output, Exception) and is_empty(output):  # most often a hiccup
            spent = output.usage
            result, output = await once(*args, **kwargs)
            if spent and not isinstance(output, Exception) and output.usage:
                output.usage += spent
        return result

    own["generate"] = asking
    own["retry_wait"] = lambda: _Wait(first)
    whole = model.generate

    async def plainly(*args: Any, **kwargs: Any) -> ModelOutput:
        try:
            return await whole(*args, **kwargs)
        except (UserError, NoSchemaError, EmptyError, LimitExceededError):
            raise
        except Exception as error:
            raise ModelError(one_line(error)) from error

    vars(model)["generate"] = plainly


def is_empty(output: ModelOutput) -> bool:
    """Whether the model said nothing at all: no text, no tool call, no refusal, no error."""
    if output.error or output.empty or output.stop_reason in ("content_filter", "model_length"):
        return False
    return not output.completion.strip() and not output.choices[0].message.tool_calls


def _sorted(error: Exception, model: str) -> Exception:
    """The error itself, or one of ours that says what it means."""
    status, text = getattr(error, "status_code", None), str(error)
    if status == 401:
        return UsageError(f"{model} does not accept the key: set the provider's API key ({line(text)})")
    if status == 404:
        return UsageError(f"the server has no {model}: check the model's name and --base-url ({line(text)})")
    if re.search(r"response_format|json_schema|json_object|output_format", text):
        return NoSchemaError(line(text))
    return error


class _Wait:
    """Seconds before the next attempt: what the server asked for, else doubling; never more than ``LONGEST_WAIT``."""

    def __init__(self, first: float) -> None:
        self.first = first
        self._random = random.Random()  # not the seeded one: it decides nothing but waits

    def __call__(self, retry_state: Any) -> float:
        asked = _asked(retry_state.outcome.exception() if retry_state.outcome else None)
        # up to a quarter more, so that what failed together does not come back together
        doubling = self.first * 2 ** min(retry_state.attempt_number - 1, 30) * (1 + self._random.random() / 4)
        return min(max(asked, 0.0) if asked is not None else doubling, LONGEST_WAIT)


def _asked(error: BaseException | None) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    try:
        return float(headers["retry-after"]) if headers is not None else None
    except (KeyError, TypeError, ValueError):
        return None  # absent, or a date, which is rare: doubling serves
