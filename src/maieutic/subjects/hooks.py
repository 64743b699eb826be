"""Read and intervene with plain forward hooks: the one substrate that CNNs, transformers and fresh modules share.

One pass of a network, with a hook at every site that is read or changed. At a site changes come first, then the
reading, so a reading shows what later layers see. A tap with a lens gives what the lens sees, and changes go through
it. The pass ends as soon as every site has been visited: layers after the last one, the LM head among them, cost
nothing.

What this module does not do: it knows no subject, no batching and no reductions; it never raises because an
intervention did nothing (one batch of many may hold only silent stimuli): it reports by how much the activation
moved, and `check_moved` raises once all batches are known.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from maieutic.errors import UserError
from maieutic.subjects.base import Intervention, Site
from maieutic.subjects.lenses.base import Lens, step

#: a hook sits on a module that all threads share and would see another thread's pass, so one pass runs at a time
_ONE_PASS = threading.RLock()


class InterventionDidNothing(UserError):
    """No activation changed: whatever was measured says nothing about the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A site found inside a network. Units are axis 1 of a four-dimensional tensor (a map), else the last axis.

    With ``channels_last`` a map is shown with its units at axis 1 to whoever reads or changes it, and put back.

    Attributes:
        site: its name.
        module: the module hooked.
        io: whether its output or its first input is taken.
        lens: what the values are seen through, if anything.
        channels_last: whether a map counts units along its last axis.
    """

    site: str
    module: nn.Module
    io: Literal["out", "in"] = "out"
    lens: Lens | None = None
    channels_last: bool = False


@dataclass(slots=True)
class Pass:
    """What one pass gave: values by site, the largest change of each intervention, the result if it ran to the end."""

    values: dict[str, Tensor] = field(default_factory=lambda: {})
    moved: list[float] = field(default_factory=lambda: [])
    result: Any = None


class _Stop(Exception):
    """Everything asked for has been seen."""


def run_hooked(
    call: Callable[[], Any],
    *,
    reads: Sequence[Tap] = (),
    changes: Sequence[tuple[Tap, Intervention]] = (),
    keep: Callable[[Tap, Tensor], Tensor | None],
    mask: Tensor | Sequence[Tensor] | None = None,
    to_end: bool = False,
) -> Pass:
    """Run ``call`` once with hooks at the taps.

    Args:
        call: runs the network.
        reads: sites to read; ``keep`` reduces or copies what is read there.
        changes: interventions in the order they apply.
        keep: from the tap and its raw tensor to what is kept, or ``None`` where it has taken what it needs. It must not
            return the tensor itself: later layers may write into it.
        mask: bool ``[stimulus, position]``: where text interventions act (not on padding or the prefix); or one for each change.
        to_end: run the whole network and give its result, rather than stopping after the last site.

    Raises:
        UserError: a site was never visited.
    """
    seen = Pass(moved=[0.0] * len(changes))
    taps = {tap.site: tap for tap in [*reads, *(tap for tap, _ in changes)]}
    wanted = {tap.site for tap in reads}
    pending = set(taps)
    # sites of one module (a layer and its latents) share a hook, or one of them would not see what the other changed
    shared: dict[tuple[int, str], list[Tap]] = {}
    for tap in taps.values():
        shared.setdefault((id(tap.module), tap.io), []).append(tap)

    def visit(here: Sequence[Tap], value: Tensor) -> Tensor:
        names = {tap.site for tap in here}
        for i, (target, intervention) in enumerate(changes):
            if target.site in names:
                where = mask if mask is None or isinstance(mask, Tensor) else mask[i]
                value, moved = intervene(value, intervention, axis=_axis(value), mask=where, lens=target.lens)
                seen.moved[i] = max(seen.moved[i], moved)
        for tap in here:
            if tap.site in wanted:
                kept = keep(tap, value if tap.lens is None else look(value, tap.lens, axis=_axis(value)))
                if kept is not None:
                    seen.values[tap.site] = kept
        pending.difference_update(names)
        if not pending and not to_end:
            raise _Stop
        return value

    with _ONE_PASS, ExitStack() as hooks:
        for group in shared.values():
            hooks.enter_context(_hook(group, visit))
        try:
            with torch.inference_mode():
                seen.result = call()
        except _Stop:
            pass
    if pending:
        raise UserError(f"a forward pass never reaches {', '.join(sorted(pending))}: choose another site")
    return seen


def _axis(value: Tensor) -> int:
    """The axis of units."""
    return 1 if value.ndim == 4 else -1


def look(raw: Tensor, lens: Lens, *, axis: int) -> Tensor:
    """What a lens sees: readings instead of what stands along ``axis``."""
    return lens.read(raw.movedim(axis, -1)).movedim(-1, axis)


def _hook(group: Sequence[Tap], visit: Callable[[Sequence[Tap], Tensor], Tensor]) -> torch.utils.hooks.RemovableHandle:
    tap = group[0]
    if tap.channels_last:
        visit = _turned(visit)

    def on_output(_module: nn.Module, _args: Any, output: Any) -> Any:
        value = _first_tensor(output, tap)
        new = visit(group, value)
        return None if new is value else _put(output, new)

    def on_input(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            value = _first_tensor(args, tap)
            new = visit(group, value)
            return None if new is value else ((new, *args[1:]), kwargs)
        name = next((k for k, v in kwargs.items() if isinstance(v, Tensor)), "")
        value = _first_tensor(kwargs.get(name), tap)
        new = visit(group, value)
        return None if new is value else (args, {**kwargs, name: new})

    if tap.io == "in":
        return tap.module.register_forward_pre_hook(on_input, with_kwargs=True)
    return tap.module.register_forward_hook(on_output)


def _turned(visit: Callable[[Sequence[Tap], Tensor], Tensor]) -> Callable[[Sequence[Tap], Tensor], Tensor]:
    """``visit``, which is shown maps with their units at axis 1 whatever stands there."""

    def turned(here: Sequence[Tap], stood: Tensor) -> Tensor:
        if stood.ndim != 4:
            return visit(here, stood)
        shown = stood.movedim(-1, 1)
        new = visit(here, shown)
        return stood if new is shown else new.movedim(1, -1)

    return turned


def _first_tensor(value: Any, tap: Tap) -> Tensor:
    logits: Any = getattr(value, "logits", None)  # whole models of transformers return a record
    first: Any = value if logits is None else logits
    first = cast("Sequence[Any]", first)[0] if isinstance(first, (tuple, list)) and first else first
    if not isinstance(first, Tensor):
        raise UserError(f"{tap.site} gives {type(first).__name__}, not a tensor: choose another site")
    return first


def _put(output: Any, new: Tensor) -> Any:
    """What the module gives, with another first tensor."""
    if isinstance(output, Tensor):
        return new
    if getattr(output, "logits", None) is not None:
        changed = copy.copy(output)
        changed.logits = new
        return changed
    return type(output)((new, *output[1:]))


def intervene(
    raw: Tensor, change: Intervention, *, axis: int, mask: Tensor | None = None, lens: Lens | None = None
) -> tuple[Tensor, float]:
    """The changed activations and the largest absolute change of the unit (through a lens: of any activation).

    ``ablate_zero``, ``ablate_mean`` and ``set`` give the unit's *reading* (with its sign and offset) the value 0 or
    ``value``. For a direction ``v`` that moves the activation along ``v`` by the least that does it:
    ``x + (target - (x @ v)) v / |v|^2``. ``add`` adds ``sign * value * v`` (for a neuron: ``sign * value``).

    Args:
        raw: activations of any shape; ``axis`` counts units.
        change: what to do.
        axis: the axis of units.
        mask: bool, shape of ``raw`` without its last axis: positions that change. ``None``: all.
        lens: what the unit is seen through.

    Raises:
        UserError: a unit of the lens that cannot be changed.
    """
    x = raw.movedim(axis, -1)
    unit = change.unit
    where = torch.ones(x.shape[:-1], dtype=torch.bool, device=x.device) if mask is None else mask
    if change.at is not None:
        where = _only(where, change.at)
    if lens is not None:
        new = lens.change(x, change, where)
        moved = new - x
        x = new
    elif unit.index is not None:
        target = unit.sign * (0.0 if change.kind == "ablate_zero" else change.value)
        old = x[..., unit.index]
        new = old + target if change.kind == "add" else torch.full_like(old, target)
        new = torch.where(where, new, old)
        x = x.clone()
        x[..., unit.index] = new
        moved = new - old
    else:
        vector = torch.as_tensor(unit.vector, dtype=x.dtype, device=x.device)
        moved = step(change, x, where)
        x = x + moved.unsqueeze(-1) * vector
        moved = moved * vector.abs().max()
    largest = float(moved.abs().max()) if moved.numel() else 0.0
    return x.movedim(-1, axis), largest


def _only(where: Tensor, at: int) -> Tensor:
    """Of the positions ``[stimulus, position]`` that may change, the ``at``-th of each stimulus (negative: from the end)."""
    if where.ndim != 2:
        raise UserError("a single position can be changed in texts only: leave  at  out for images")
    number = where.cumsum(dim=1) - 1
    wanted = number[:, -1:] + 1 + at if at < 0 else torch.full_like(number[:, -1:], at)
    return where & (number == wanted)


def check_moved(interventions: Sequence[Intervention], moved: Sequence[float]) -> None:
    """Raise unless every intervention changed an activation somewhere in the call.

    Raises:
        InterventionDidNothing: naming the unit and why.
    """
    for intervention, largest in zip(interventions, moved, strict=True):
        if largest == 0.0:
            kind, key = intervention.kind, intervention.unit.key
            adds_nothing = kind == "add" and intervention.value == 0
            why = "it adds 0" if adds_nothing else "the unit already has that value everywhere"
            raise InterventionDidNothing(
                f"{kind} on {key} changed nothing ({why}): show stimuli on which the unit is active"
            )


def tap_at(root: nn.Module, site: Site) -> Tap:
    """The hook point of a site inside a network, with all that it says: lens and layout.

    Raises:
        UserError: the network has no such module.
    """
    module = submodule(root, site.module, site.name)
    return Tap(site=site.name, module=module, io=site.io, channels_last=site.channels_last, lens=site.lens)


def submodule(root: nn.Module, path: str, site: str) -> nn.Module:
    """The module at a dotted path; ``UserError`` naming the site when there is none."""
    try:
        return root.get_submodule(path)
    except AttributeError as error:
        raise UserError(
            f"{site}: the network has no module {path!r}: list them with  dict(module.named_modules())"
        ) from error


def on_cpu(device: torch.device) -> bool:
    """Whether passes there cost least one stimulus at a time."""
    return device.type == "cpu"
