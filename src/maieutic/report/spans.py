"""Texts as HTML: a span a token. A page has thousands of tokens, and a template's loop over them took most of the time.

Everything is escaped here, and invisible characters are made visible, as the templates do with every other string.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from markupsafe import Markup, escape

from maieutic.report.text import Piece, visible

#: activations below this share of the scale are left bare
_FAINT = 0.02
#: shades of heat: classes ``h1`` to ``h20`` of the style sheet, so that pages need no style of their own
STEPS = 20


def number(value: float | None, digits: int = 2) -> str:
    """A number of few digits with a real minus sign; a dash for none."""
    if value is None:
        return "–"
    written = f"{value:.{digits}f}" if value == 0 or 0.001 <= abs(value) < 1e5 else f"{value:.2g}"
    return written.replace("-", "−")


def stimulus(pieces: Iterable[Piece]) -> Markup:
    """A paragraph with the pieces of a text: highlighted, edited or left out."""
    # every part is escaped by _span
    return Markup(f'<p class="stimulus" dir="auto">{"".join(_span(p) for p in pieces)}</p>\n')  # noqa: S704


def _span(piece: Piece) -> str:
    lead, text = _safe(piece.lead) if piece.lead else "", _safe(piece.text)
    if piece.kind == "gap":
        return f'{lead}<span class="gap">{text}</span>'
    if piece.kind == "removed":
        return f"{lead}<del>{text}</del>"
    tag = "ins" if piece.kind == "added" else "span"
    shade = f"h{max(round(piece.heat * STEPS), 1)}"
    parts = (("t", piece.value is not None), ("focus", piece.focus), (shade, piece.heat >= _FAINT))
    names = " ".join(n for n, on in parts if on)
    if not names and tag == "span":
        return lead + text
    name = f' class="{names}"' if names else ""
    title = f' title="{number(piece.value, 3)}"' if piece.value is not None else ""
    return f"{lead}<{tag}{name}{title}>{text}</{tag}>"


@lru_cache(maxsize=1 << 16)
def _safe(text: str) -> str:
    return str(escape(visible(text)))
