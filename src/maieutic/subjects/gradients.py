"""Gradients of what a network says with respect to what stands at its sites, one stimulus and one backward pass at a time.

The pass is the subject's own (`Subject.outputs`): only the network's ``forward`` is wrapped, so that it runs with autograd
although everything else runs in inference mode. At each site a step of zeros is added; its gradient is that of the site.

What this module does not do: gradients by weights, several stimuli of one pass (batches are reordered by length), or black
boxes. It changes nothing that stays.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from maieutic.errors import UserError
from maieutic.subjects import hooks
from maieutic.subjects.base import Subject, Values
from maieutic.subjects.hooks import Tap, submodule
from maieutic.subjects.language import LanguageSubject
from maieutic.subjects.vision import logits_of

#: from the outputs of one stimulus, ``[output]`` (float32), to a scalar
Metric = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """One stimulus, differentiated.

    Attributes:
        metric: its value.
        outputs: ``[output]``, float32: what the network says after a text, or of an image.
        values, gradients: per site what stands there and the gradient of the metric, ``[position, channel]``, float32 on the
            CPU: texts without the prefix token, images a position a cell of the map. Raw channels of the module, whatever
            lens the site has.
    """

    metric: float
    outputs: Values
    values: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


def differentiate(subject: Subject, stimulus: Any, sites: Sequence[str], metric: Metric) -> Slope:
    """The metric of one stimulus with its gradients at some sites.

    Args:
        subject: a network.
        stimulus: a text or an image.
        sites: names.
        metric: from the outputs to what is differentiated.

    Cost: one forward and one backward pass, whatever the number of sites.

    Raises:
        UserError: the subject is no network, or the metric does not depend on any site.
    """
    root = network_of(subject)
    taps = [tap_of(subject, name) for name in dict.fromkeys(sites)]
    values: dict[str, Tensor] = {}
    steps: dict[str, Tensor] = {}
    found: dict[str, Any] = {}

    def visit(here: Sequence[Tap], value: Tensor) -> Tensor:
        tap = here[0]
        step = torch.zeros_like(value, requires_grad=True)
        values[tap.site], steps[tap.site] = value.detach(), step
        return value + step

    def read(result: Any) -> Any:
        scalar = metric(_outputs(subject, stimulus, result).float())
        missing = sorted({t.site for t in taps} - set(steps))
        if missing:
            raise UserError(f"a forward pass never reaches {', '.join(missing)}: choose another site")
        if not scalar.requires_grad:
            raise UserError(f"{subject.name} gives outputs without a gradient: use a network in plain torch")
        slopes = torch.autograd.grad(scalar, list(steps.values()), allow_unused=True)
        found["gradients"] = dict(zip(steps, slopes, strict=True))
        found["metric"] = float(scalar.detach())
        return _detached(result)

    with hooks._ONE_PASS, ExitStack() as stack:
        for tap in taps:
            stack.enter_context(hooks._hook([tap], visit))
        stack.enter_context(_with_autograd(root, read))
        outputs = subject.outputs([stimulus])[0]
    first = len(getattr(subject, "prefix", ()))
    zero = {s: torch.zeros_like(v) for s, v in values.items()}
    slopes = {s: g if g is not None else zero[s] for s, g in found["gradients"].items()}
    return Slope(
        metric=found["metric"],
        outputs=outputs,
        values={s: _rows(subject, stimulus, v, first) for s, v in values.items()},
        gradients={s: _rows(subject, stimulus, g, first) for s, g in slopes.items()},
    )


@contextmanager
def ablating(subject: Subject, changes: Mapping[str, tuple[Tensor, Tensor]]) -> Generator[None]:
    """While it is open, many channels of some sites stand at given values in every pass, however many they are.

    Args:
        subject: a network.
        changes: site to (channels ``[n]``, their values ``[n]``); raw channels, sites without a lens. The prefix token of
            texts stays as it is.

    Cost: one write a site and pass, where an `Intervention` a unit costs a copy each.
    """
    first = len(getattr(subject, "prefix", ()))

    def visit(here: Sequence[Tap], value: Tensor) -> Tensor:
        channels, fixed = (t.to(value.device) for t in changes[here[0].site])
        changed = value.clone()
        if value.ndim == 4:
            changed[:, channels] = fixed.to(value.dtype)[None, :, None, None]
        elif subject.modality == "text":
            changed[:, first:, channels] = fixed.to(value.dtype)
        else:
            changed[..., channels] = fixed.to(value.dtype)
        return changed

    network_of(subject)
    with hooks._ONE_PASS, ExitStack() as stack:
        for name in changes:
            stack.enter_context(hooks._hook([tap_of(subject, name)], visit))
        yield


def network_of(subject: Subject) -> nn.Module:
    """The network whose ``forward`` gives the subject's outputs.

    Raises:
        UserError: a black box.
    """
    for name in ("_running", "model", "module"):
        found = getattr(subject, name, None)
        if isinstance(found, nn.Module):
            return found
    raise UserError(f"{subject.name} is no network that can be looked into: use a model of torch")


def tap_of(subject: Subject, name: str) -> Tap:
    """The place of a site in the network, without its lens."""
    site = subject.site(name)
    module = submodule(network_of(subject), site.module, name)
    return Tap(site=name, module=module, io=site.io, channels_last=site.channels_last)


@contextmanager
def _with_autograd(root: nn.Module, read: Callable[[Any], Any]) -> Generator[None]:
    """While it is open the network runs with autograd, and ``read`` sees its result and says what to return instead."""
    before = root.__dict__.get("forward")
    plain = root.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode(False), torch.enable_grad():
            return read(plain(*args, **kwargs))

    object.__setattr__(root, "forward", forward)
    try:
        yield
    finally:
        object.__delattr__(root, "forward")
        if before is not None:
            object.__setattr__(root, "forward", before)


def _detached(result: Any) -> Any:
    """The result with its outputs cut from the graph."""
    if isinstance(result, Tensor):
        return result.detach()
    if isinstance(result, (tuple, list)):
        first, *rest = cast("Sequence[Any]", result)
        return type(result)((_detached(first), *rest))
    result.logits = result.logits.detach()
    return result


def _outputs(subject: Subject, stimulus: Any, result: Any) -> Tensor:
    """The outputs of the only stimulus in what the network returned."""
    if isinstance(subject, LanguageSubject):
        return subject._said(subject._picked(result), 0, len(subject.tokens(stimulus)))
    logits = logits_of(result)
    # of a text the outputs are those after its last token
    return logits[0, -1] if logits.ndim == 3 and subject.modality == "text" else logits[0].flatten()


def _rows(subject: Subject, stimulus: Any, value: Tensor, first: int) -> Tensor:
    """``[position, channel]`` of the only stimulus."""
    one = value[0].detach().float().cpu()
    if one.ndim == 3:
        return one.flatten(1).T.contiguous()
    if one.ndim == 1:
        return one[None]
    # tokens in front of a text, and behind it, are no positions
    return one[first : first + len(subject.tokens(stimulus))] if subject.modality == "text" else one
