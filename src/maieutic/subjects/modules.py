"""Any ``torch.nn.Module`` as a subject: image networks with a preprocessing function, text networks with a tokenizer.

Sites are found by one forward pass over a small example: every convolution, linear map and activation module, and
every numbered block, that runs exactly once and gives one tensor. A module that runs several times in a pass (one ReLU
shared by a whole block) has no single value and is left out.

What this module does not do: it finds no functional activations (``F.relu``), which are no modules; name the module
before or after them. Four-dimensional tensors with channels last are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from maieutic.errors import UsageError, UserError, did_you_mean
from maieutic.subjects.base import Batch, Intervention, Modality, Site, Subject, Take, TokenSpan, Values, raw
from maieutic.subjects.fresh import fresh_copy, weights_digest
from maieutic.subjects.hooks import Pass, Tap, check_moved, on_cpu, run_hooked
from maieutic.subjects.language import LanguageSubject
from maieutic.subjects.networks import NetworkSubject
from maieutic.subjects.vision import ImageSubject, Preprocess, logits_of, noise_images

if TYPE_CHECKING:
    from maieutic.subjects.base import Raw

Sites = Sequence[Site] | Sequence[str] | Mapping[str, str]
#: text to token ids with their character offsets
Encode = Callable[[str], Sequence[tuple[int, int, int]]]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
_EXAMPLE_TEXT = "a b"


def module_subject(
    module: nn.Module,
    preprocess: Preprocess | None = None,
    *,
    tokenizer: Any = None,
    name: str | None = None,
    sites: Sites | None = None,
    batch_size: int = 8,
) -> Subject:
    """A network of one's own as a subject.

    Args:
        module: an image network called with float ``[image, 3, height, width]``, or a text network called with token
            ids ``[text, position]``; put into evaluation mode.
        preprocess: image networks: from a PIL image to float ``[3, height, width]``, such as `scaled(224)`.
        tokenizer: text networks: a fast tokenizer of transformers, or a function from a text to
            ``(token id, start, end)`` triples.
        name: what people call it; the class name otherwise.
        sites: hook points: `Site` objects, module paths, or ``{name: module path}``. Found by a forward pass otherwise.
        batch_size: stimuli of one forward pass.

    Cost: one forward pass over one small stimulus.

    Raises:
        UsageError: both or neither of ``preprocess`` and ``tokenizer``, or an unknown module path.
    """
    if (preprocess is None) == (tokenizer is None):
        raise UsageError(
            "module_subject takes preprocess= for an image network or tokenizer= for text: give one of them"
        )
    title = name or type(module).__name__
    if preprocess is not None:
        found = ImageSubject(module, preprocess, name=title, sites=(), batch_size=batch_size)
        pixels = found.pixels(noise_images(1, seed=0, size=64))
        table = find_sites(module, lambda: module(pixels), modality="image", chosen=sites)
        return ImageSubject(module, preprocess, name=title, sites=table, batch_size=batch_size)
    if sites is None and getattr(tokenizer, "is_fast", False) and getattr(module, "base_model_prefix", ""):
        return LanguageSubject(module, tokenizer, name=title, batch_size=batch_size)
    encode = _encoder(tokenizer, title)
    text = TextModuleSubject(module, encode, name=title, sites=(), batch_size=batch_size)
    ids = torch.tensor([[t for t, _, _ in encode(_EXAMPLE_TEXT)]], device=text.device)
    table = find_sites(module, lambda: module(ids), modality="text", chosen=sites)
    return TextModuleSubject(module, encode, name=title, sites=table, batch_size=batch_size)


class TextModuleSubject(NetworkSubject):
    """A text network that is no transformers causal LM. Texts of one length go through together, so nothing is padded.

    Built by `module_subject`. No prefix token is added: what the tokenizer gives is what is measured.
    """

    modality = "text"

    def __init__(
        self, module: nn.Module, encode: Encode, *, name: str, sites: Sequence[Site], batch_size: int = 8
    ) -> None:
        super().__init__(name=name, sites=sites)
        self.batch_size = batch_size
        self.module = module.eval().requires_grad_(False)
        self._encode = encode

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    @property
    def network(self) -> nn.Module:
        """The module."""
        return self.module

    def _own_digest(self) -> str:
        """Of the weights and of how the tokenizer splits an example."""
        return weights_digest(self.module, repr(list(self._encode("The 3 cats' naïve plan, (v1.5)."))))

    def tokens(self, text: str) -> list[TokenSpan]:
        """One span per token of the tokenizer."""
        return [TokenSpan(text[start:end], start, end) for _, start, end in self._encode(text)] if text else []

    def forward(
        self,
        stimuli: Sequence[Raw],
        sites: Sequence[str],
        *,
        interventions: Sequence[Intervention] = (),
        maps: bool = False,
    ) -> Batch:
        """One pass for each length that occurs; values ``[text, position, unit]``, zero behind each text's end."""
        if maps:
            raise UsageError(f"{self.name} reads text: maps exist for image subjects; leave maps out")
        rows = self._rows(stimuli)
        lengths = np.array([len(r) for r in rows], np.int64)
        values: dict[str, Tensor] = {}
        moved = np.zeros(len(interventions))
        for length in sorted(set(lengths.tolist()) - {0}):
            chosen = np.flatnonzero(lengths == length).tolist()
            seen = self._run([rows[i] for i in chosen], [self._tap(s) for s in sites], interventions)
            moved = np.maximum(moved, seen.moved)
            for site, value in seen.values.items():
                if site not in values:
                    values[site] = torch.zeros(len(rows), int(lengths.max()), value.shape[-1])
                values[site][chosen, :length] = value
        for site in sites:
            values.setdefault(site, torch.zeros(len(rows), 0, self.site(site).width or 0))
        return Batch(values=values, lengths=lengths, moved=tuple(moved.tolist()))

    @property
    def per_pass(self) -> int:
        """One text on the CPU, ``batch_size`` on an accelerator."""
        return 1 if on_cpu(self.device) else self.batch_size

    def stream(self, stimuli: Sequence[Raw], sites: Sequence[str], take: Take) -> None:
        """One pass for each length that occurs; empty texts are not taken; see `Subject.stream`."""
        rows = self._rows(stimuli)
        taps = [self._tap(s) for s in sites]
        for length in sorted({len(r) for r in rows} - {0}):
            places = [i for i, r in enumerate(rows) if len(r) == length]

            def keep(tap: Tap, value: Tensor, places: Sequence[int] = places, length: int = length) -> None:
                take(tap.site, _per_token(tap, value, length), places, [length] * len(places))

            self._run([rows[i] for i in places], taps, (), keep=keep)

    def outputs(self, stimuli: Sequence[Raw], *, interventions: Sequence[Intervention] = ()) -> Values:
        """What the network says: ``[text, class]``, or of ``[text, position, class]`` the last position.

        Raises:
            UserError: an empty text.
        """
        found: list[Values] = []
        moved = np.zeros(len(interventions))
        for row in self._rows(stimuli):
            if not row:
                raise UserError(f"{self.name} has no output for an empty text: leave empty texts out")
            seen = self._run([row], (), interventions, to_end=True)
            result = logits_of(seen.result)
            found.append((result[0, -1] if result.ndim == 3 else result[0].flatten()).float().cpu().numpy())
            moved = np.maximum(moved, seen.moved)
        if interventions and found:
            check_moved(interventions, moved.tolist())
        return np.stack(found) if found else np.zeros((0, 0), np.float32)

    def untrained(self, seed: int = 0) -> TextModuleSubject:
        """The same architecture with every layer drawn again from ``seed``."""
        ids = torch.tensor([[t for t, _, _ in self._encode("the quick brown fox jumps over the lazy dog")]])
        fresh = fresh_copy(self.module, seed=seed, calibration=ids.to(self.device))
        copied = TextModuleSubject(
            fresh, self._encode, name=f"{self.name} (untrained)", sites=self._sites, batch_size=self.batch_size
        )
        return self._relensed(copied, seed)

    def _rows(self, stimuli: Sequence[Any]) -> list[list[int]]:
        texts = [raw(s) for s in stimuli]
        wrong = next((t for t in texts if not isinstance(t, str)), None)
        if wrong is not None:
            raise UsageError(f"{self.name} reads text, not {type(wrong).__name__}: give strings")
        return [[t for t, _, _ in self._encode(text)] if text else [] for text in cast("list[str]", texts)]

    def _run(
        self,
        rows: Sequence[Sequence[int]],
        reads: Sequence[Tap],
        interventions: Sequence[Intervention],
        *,
        to_end: bool = False,
        keep: Callable[[Tap, Tensor], Tensor | None] | None = None,
    ) -> Pass:
        ids = torch.tensor(rows, dtype=torch.long, device=self.device)
        return run_hooked(
            lambda: self.module(ids),
            reads=reads,
            changes=[(self._tap(i.unit.site), i) for i in interventions],
            keep=keep or (lambda tap, value: _per_token(tap, value, ids.shape[1]).float().cpu().clone()),
            to_end=to_end,
        )


def _per_token(tap: Tap, value: Tensor, length: int) -> Tensor:
    if value.ndim != 3 or value.shape[1] != length:
        raise UserError(f"{tap.site} has shape {tuple(value.shape)}, not a value per token: choose another site")
    return value


def _encoder(tokenizer: Any, name: str) -> Encode:
    """The tokenizer as a function from a text to ``(id, start, end)``."""
    if getattr(tokenizer, "is_fast", False):

        def encode(text: str) -> list[tuple[int, int, int]]:
            found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            pairs = zip(found["input_ids"], found["offset_mapping"], strict=True)
            return [(int(t), int(s), int(e)) for t, (s, e) in pairs]

        return encode
    if not callable(tokenizer):
        raise UsageError(f"{name}: tokenizer= takes a fast tokenizer, or a function from a text to (id, start, end)")
    return cast("Encode", tokenizer)


@dataclass(slots=True)
class _Seen:
    """How one module ran in the example pass."""

    shape: tuple[int, ...]
    calls: int = 1


def find_sites(
    module: nn.Module, call: Callable[[], Any], *, modality: Modality, chosen: Sites | None = None
) -> list[Site]:
    """Sites of a network in the order of its forward pass, with widths, from one pass over an example.

    Args:
        module: the network.
        call: runs it on the example.
        modality: what it reads.
        chosen: only these; all suitable modules otherwise.

    Raises:
        UsageError: a chosen path does not exist, or does not run exactly once, or gives no tensor.
    """
    seen = _example_pass(module, call)
    if chosen is not None:
        return [_chosen_site(s, module, seen, modality) for s in _as_sites(chosen)]
    modules = dict(module.named_modules())
    channels_last = {v.shape for p, v in seen.items() if isinstance(modules[p], nn.Linear) and len(v.shape) == 4}
    sites: list[Site] = []
    for path, found in seen.items():
        good = found.calls == 1 and _interesting(path, modules[path]) and found.shape not in channels_last
        if good and len(found.shape) in ((2, 3, 4) if modality == "image" else (3,)):
            sites.append(_described(Site(name=path, module=path, what=type(modules[path]).__name__), found, modality))
    if not sites:
        raise UsageError(f"{type(module).__name__}: no suitable sites found: name them, as in  sites=['features.0']")
    first = {s.name.split(".")[0] for s in sites}
    # a part that all share says nothing (``model.``), but a bare number would not be a name
    if len(first) == 1 and all("." in s.name and not s.name.split(".")[1][0].isdigit() for s in sites):
        sites = [replace(s, name=s.name.split(".", 1)[1]) for s in sites]
    return sites


def _interesting(path: str, module: nn.Module) -> bool:
    leaf = not any(True for _ in module.children())
    if not leaf:
        return path.rsplit(".", 1)[-1].isdigit()
    activation = type(module).__module__ == "torch.nn.modules.activation"
    activation = activation and not isinstance(module, nn.MultiheadAttention)
    return isinstance(module, (nn.Linear, *_CONVOLUTIONS)) or activation or type(module).__name__ == "Conv1D"


def _example_pass(module: nn.Module, call: Callable[[], Any]) -> dict[str, _Seen]:
    """What every module gave, in the order in which they finished."""
    seen: dict[str, _Seen] = {}
    handles: list[Any] = []

    def watch(path: str) -> Callable[..., None]:
        def note(_module: nn.Module, _args: Any, output: Any) -> None:
            first: Any = output[0] if isinstance(output, (tuple, list)) and output else output
            if path in seen:
                seen[path].calls += 1
            elif isinstance(first, Tensor):
                seen[path] = _Seen(tuple(first.shape))

        return note

    module.eval()
    try:
        for path, child in module.named_modules():
            if path:
                handles.append(child.register_forward_hook(watch(path)))
        with torch.inference_mode():
            call()
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _as_sites(chosen: Sites) -> list[Site]:
    if isinstance(chosen, Mapping):
        return [Site(name=n, module=m) for n, m in chosen.items()]
    return [s if isinstance(s, Site) else Site(name=s, module=s) for s in chosen]


def _chosen_site(site: Site, module: nn.Module, seen: Mapping[str, _Seen], modality: Modality) -> Site:
    if site.module not in dict(module.named_modules()):
        paths = [n for n, _ in module.named_modules()]
        near = did_you_mean(site.module, paths)
        raise UsageError(f"{type(module).__name__} has no module {site.module!r}{near}: name another")
    if site.io == "in":
        return site
    if site.module not in seen:
        raise UsageError(f"the forward pass gets no tensor from {site.module!r}: name another module")
    if seen[site.module].calls > 1:
        times = seen[site.module].calls
        raise UsageError(f"{site.module!r} runs {times} times in one forward pass: name a module that runs once")
    return _described(site, seen[site.module], modality)


def _described(site: Site, found: _Seen, modality: Modality) -> Site:
    """The site with the width and positions that the example showed, where they are not given."""
    positions: Literal["token", "spatial", "none"] = "none"
    if modality == "text":
        positions = "token"
    elif len(found.shape) > 2:
        positions = "spatial"
    width = found.shape[1] if len(found.shape) == 4 else [0, *found.shape][-1]
    return replace(site, width=site.width or width, positions=positions)
