"""Sparse autoencoders (SAEs) as units: what one computes, and the lens that makes its latents units of a site.

An SAE turns an activation x into latents a(x), few of them above zero, and back into x' = b_dec + sum of a_i d_i. The lens reads
a(x). To change latent i it adds (target - a_i) d_i to x itself, so what the SAE does not explain, x - x', stays as it is (the
*error term is kept*). Encoding what stands there afterwards need not give the target again: an encoder is no inverse of
its decoder.

Kinds, with W the encoder, b its bias and v = W' (x - b_dec) + b (without the subtraction where the SAE is not ``centred``):
``relu`` max(v, 0); ``topk`` the k largest v of a position, those below 0 set to 0; ``jumprelu`` v where v > threshold and 0
elsewhere (Rajamanoharan et al. 2024b); ``gated`` [W' x + b_gate > 0] max(exp(r) W' x + b_mag, 0) (Rajamanoharan et al. 2024a).

What this module does not do: read files (`sae_formats`), train (`maieutic.studies.sae`), or transcode one site into another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maieutic.subjects.base import Intervention, Unit
from maieutic.subjects.lenses.base import step

Kind = Literal["relu", "gated", "topk", "jumprelu"]
Norm = Literal["none", "layer_norm", "constant_norm"]
#: added to the standard deviation by which ``layer_norm`` divides (SAELens, ``sae_lens/saes/sae.py``)
LAYER_NORM_EPSILON = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sae:
    """The numbers of an SAE, float32.

    Attributes:
        kind: which activation; see above.
        encoder: ``[hidden, latent]``. decoder: ``[latent, hidden]``.
        encoder_bias: ``[latent]``; of a gated one the bias of the gate. decoder_bias: ``[hidden]``.
        k: latents of a position that may be active (``topk``), else 0.
        threshold: ``[latent]`` (``jumprelu``).
        magnitude_bias, magnitude_log: ``[latent]``: b_mag and r (``gated``).
        latent_scale: ``[latent]``: what latents are multiplied by before they are decoded (a "finetuning scaling factor").
        centred: whether the decoder's bias is subtracted before encoding.
        by_norm: whether v is multiplied, and a latent divided before decoding, by the norm of its decoder row.
        norm: what is done to x first and undone last: ``constant_norm`` gives it the norm sqrt(hidden), ``layer_norm``
            mean 0 and spread 1.
    """

    kind: Kind
    encoder: Tensor
    decoder: Tensor
    encoder_bias: Tensor
    decoder_bias: Tensor
    k: int = 0
    threshold: Tensor | None = None
    magnitude_bias: Tensor | None = None
    magnitude_log: Tensor | None = None
    latent_scale: Tensor | None = None
    centred: bool = True
    by_norm: bool = False
    norm: Norm = "none"

    @property
    def hidden(self) -> int:
        return self.decoder.shape[1]

    @property
    def latents(self) -> int:
        return self.decoder.shape[0]

    def encode(self, x: Tensor) -> Tensor:
        """Latents ``[..., latent]`` of activations ``[..., hidden]``; both float32, in raw model units."""
        normed, _, _ = self._normed(x)
        inside = normed - self.decoder_bias if self.centred else normed
        if self.kind == "gated":
            assert self.magnitude_bias is not None and self.magnitude_log is not None
            seen = inside @ self.encoder
            size = (seen * self.magnitude_log.exp() + self.magnitude_bias).relu()
            return torch.where(seen + self.encoder_bias > 0, size, torch.zeros_like(size))
        v = inside @ self.encoder + self.encoder_bias
        if self.by_norm:
            v = v * self.row_norms
        if self.kind == "topk":
            largest, places = v.topk(min(self.k, self.latents), dim=-1)
            return torch.zeros_like(v).scatter_(-1, places, largest.relu())
        if self.kind == "jumprelu":
            assert self.threshold is not None
            return torch.where(v > self.threshold, v.relu(), torch.zeros_like(v))
        return v.relu()

    def decode(self, latents: Tensor, x: Tensor) -> Tensor:
        """What latents stand for, ``[..., hidden]``; ``x``: the activations that they were read from (for its norm)."""
        _, mean, gain = self._normed(x)
        return ((latents * self.factor) @ self.decoder + self.decoder_bias) * gain + mean

    def reconstruct(self, x: Tensor) -> Tensor:
        """x', ``[..., hidden]``."""
        return self.decode(self.encode(x), x)

    def written(self, latents: Tensor, x: Tensor) -> Tensor:
        """What latents ``[latent]`` more at every position add to x, ``[..., hidden]`` (or what broadcasts to it)."""
        _, _, gain = self._normed(x)
        places = latents.nonzero()[:, 0]  # one, as a rule: all rows would be read otherwise
        return ((latents[places] * self.factor[places]) @ self.decoder[places]) * gain

    @property
    def row_norms(self) -> Tensor:
        """Norms of the decoder's rows, ``[latent]``."""
        return self.decoder.norm(dim=-1)

    @property
    def factor(self) -> Tensor:
        """What a latent is multiplied by before it is decoded, ``[latent]``."""
        scale = torch.ones_like(self.encoder_bias) if self.latent_scale is None else self.latent_scale
        return scale / self.row_norms.clamp_min(1e-30) if self.by_norm else scale

    def _normed(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Activations as the encoder wants them, and what gives x back: the mean to add and the gain to multiply by."""
        zero, one = torch.zeros_like(x[..., :1]), torch.ones_like(x[..., :1])
        if self.norm == "constant_norm":
            gain = x.norm(dim=-1, keepdim=True).clamp_min(1e-30) / self.hidden**0.5
            return x / gain, zero, gain
        if self.norm == "layer_norm":
            mean = x.mean(dim=-1, keepdim=True)
            # with n - 1 below, as torch has it and SAELens with it
            spread = (x - mean).std(dim=-1, keepdim=True)
            return (x - mean) / (spread + LAYER_NORM_EPSILON), mean, spread
        return x, zero, one

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are there, by the names above."""
        return {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}

    def settings(self) -> dict[str, Any]:
        """Everything else."""
        return {f.name: v for f in fields(self) if not isinstance(v := getattr(self, f.name), Tensor)}

    def to(self, device: torch.device) -> Sae:
        """On another device."""
        moved: dict[str, Any] = {name: t.to(device) for name, t in self.tensors().items()}
        return replace(self, **moved)

    @property
    def digest(self) -> str:
        """16 hex digits over all numbers."""
        found = hashlib.blake2b(digest_size=8)
        found.update(repr(sorted((k, v) for k, v in self.settings().items() if v is not None)).encode())
        for name, tensor in sorted(self.tensors().items()):
            found.update(f"{name}\t{tuple(tensor.shape)}\n".encode())
            found.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
        return found.hexdigest()

    def random(self, seed: int, *, centre: Tensor | None = None) -> Sae:
        """An SAE of this architecture with random weights.

        Decoder rows are drawn evenly from all directions with the norms of the trained ones; the decoder's bias becomes
        ``centre`` (zero where there is none). Of ``topk`` the encoder is the transpose with columns of norm 1 and no bias, so
        it is as sparse as the trained SAE and reads how far activations reach along each row. The other kinds keep the norms
        of the encoder, biases and thresholds, and are as sparse as those make them, which a harvest tells.

        Args:
            seed: of the draw. centre: ``[hidden]``, what stands for the mean of activations.
        """
        source = torch.Generator().manual_seed(seed)
        rows = torch.randn(self.decoder.shape, generator=source).to(self.decoder.device)
        rows = rows / rows.norm(dim=-1, keepdim=True)
        top = self.kind == "topk"
        return replace(
            self,
            decoder=rows * self.row_norms[:, None],
            encoder=rows.T.contiguous() * (1.0 if top else self.encoder.norm(dim=0)),
            encoder_bias=torch.zeros_like(self.encoder_bias) if top else self.encoder_bias,
            decoder_bias=torch.zeros_like(self.decoder_bias) if centre is None else centre.to(self.decoder_bias),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class SaeLens:
    """Latents of an SAE as units.

    Attributes:
        sae: its numbers.
        what: one line for people: where it is from.
    """

    sae: Sae
    what: str = ""
    _digest: str = field(default="", init=False, repr=False)
    _elsewhere: dict[torch.device, Sae] = field(default_factory=dict[torch.device, Sae], init=False, repr=False)

    @property
    def width(self) -> int:
        """How many latents there are."""
        return self.sae.latents

    @property
    def fingerprint(self) -> str:
        """Changes when any number of the SAE does."""
        self._digest = self._digest or self.sae.digest
        return self._digest

    def read(self, raw: Tensor) -> Tensor:
        """Latents ``[..., latent]``, float32, of activations ``[..., hidden]``."""
        return self._on(raw).encode(raw.float())

    def change(self, raw: Tensor, change: Intervention, where: Tensor) -> Tensor:
        """The activations with one latent set, added to or ablated at the positions ``where``; the error term is kept.

        A direction in the space of latents is changed along itself by the least that does it, as directions of a site are.
        """
        sae, x, unit = self._on(raw), raw.float(), change.unit
        more = step(change, sae.encode(x), where)
        return raw + (more[..., None] * sae.written(_vector(unit, sae), x)).to(raw.dtype)

    def along(self, unit: Unit) -> Tensor | None:
        """The latent's decoder row, as it is added to activations; ``None`` where the SAE norms what it reads."""
        if self.sae.norm != "none":
            return None
        return self.sae.written(
            _vector(unit, self.sae), torch.zeros(1, self.sae.hidden, device=self.sae.decoder.device)
        )[0]

    def fresh(self, seed: int, module: nn.Module | None = None) -> SaeLens:  # noqa: ARG002 (the protocol's)
        """What stands on an untrained copy of the subject: the same architecture with random weights (`Sae.random`).

        What this null means: scores of random directions of activations that nothing was learned in, made sparse the same way.
        It is no SAE that was trained on the untrained copy; such a one would find structure in token embeddings.
        """
        return SaeLens(sae=self.sae.random(seed), what=f"random weights, drawn with seed {seed}")

    def _on(self, raw: Tensor) -> Sae:
        if raw.device == self.sae.decoder.device:
            return self.sae
        if raw.device not in self._elsewhere:
            self._elsewhere[raw.device] = self.sae.to(raw.device)
        return self._elsewhere[raw.device]


def _vector(unit: Unit, sae: Sae) -> Tensor:
    """A unit in the space of latents, ``[latent]``."""
    if unit.index is not None:
        found = torch.zeros_like(sae.encoder_bias)
        found[unit.index] = 1.0
        return found
    return torch.as_tensor(unit.vector, dtype=torch.float32, device=sae.decoder.device)
