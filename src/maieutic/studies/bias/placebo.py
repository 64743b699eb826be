"""Placebo edits: a picture changed as much as by an edit, in the same places, but not in the attribute.

What an edit added is taken apart into waves; their phases and their colour axes are drawn anew, what results is kept to the
pixels that the edit changed, and scaled to the same mean square. A network that only minds being disturbed minds this as
much. Clipping to 0 to 255 may leave a little less; `amount` says how much of each there is. What this module does not do:
placebos of edits that move the object (`pictures` renders those again with a small jitter instead).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maieutic.errors import UserError
from maieutic.readings import FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image


def scrambled(before: Image, after: Image, *, seed: int) -> Image:
    """``before`` with a change as large as that to ``after``, where that change was, of no meaning.

    Args:
        before, after: RGB pictures of one size.
        seed: of phases and colour axes.

    Raises:
        UserError: the sizes differ.
    """
    from PIL import Image as Pictures

    old, change = _change(before, after)
    where = np.abs(change).max(axis=2, keepdims=True) > 0
    if not where.any():
        return before.copy()
    draw = np.random.default_rng(seed)
    # phases of white noise are uniform, and fit together so that the result is real
    noise = np.fft.fft2(draw.standard_normal(change.shape), axes=(0, 1))
    phases = noise / np.maximum(np.abs(noise), 1e-12)
    turned, _ = np.linalg.qr(draw.standard_normal((3, 3)))
    mixed = np.fft.ifft2(np.abs(np.fft.fft2(change, axes=(0, 1))) * phases, axes=(0, 1)).real @ turned
    mixed = np.where(where, mixed, 0.0)
    mixed *= np.sqrt((change**2).sum() / max((mixed**2).sum(), 1e-12))
    return Pictures.fromarray(np.clip(np.rint(old + mixed), 0, 255).astype(np.uint8))


def amount(before: Image, after: Image) -> float:
    """Root mean square change of a pixel's colours, 0 to 255."""
    _, change = _change(before, after)
    return float(np.sqrt((change**2).mean()))


def _change(before: Image, after: Image) -> tuple[FloatArray, FloatArray]:
    if before.size != after.size:
        raise UserError(f"an edit changed the size of a picture from {before.size} to {after.size}: keep the size")
    old = np.asarray(before.convert("RGB"), dtype=np.float64)
    return old, np.asarray(after.convert("RGB"), dtype=np.float64) - old
