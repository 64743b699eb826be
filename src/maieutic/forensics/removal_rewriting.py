"""Other words for the same: by rules of our own, or by a language model.

The rules know contractions, some common synonyms and a few turns of phrase; they keep numbers, names, paths and whatever
stands between quotes. A text to which none applies comes back unchanged, which callers report as unmeasured. A language
model's rewriting is checked for one thing only: that it changed something and kept every number.

What this module does not do: guarantee that the meaning is the same. Show both texts to whoever judges.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from maieutic.forensics.removal import NoRewriteError

if TYPE_CHECKING:
    from maieutic.llm import Backbone

#: either side for the other, in the first direction that applies; lower case, whole words
_SAME: tuple[tuple[str, str], ...] = (
    ("do not", "don't"), ("does not", "doesn't"), ("did not", "didn't"), ("is not", "isn't"), ("are not", "aren't"),
    ("cannot", "can't"), ("will not", "won't"), ("must not", "mustn't"), ("should not", "shouldn't"), ("it is", "it's"),
    ("that is", "that's"), ("we are", "we're"), ("you are", "you're"), ("they are", "they're"), ("i am", "i'm"),
    ("we will", "we'll"), ("you will", "you'll"), ("i will", "i'll"), ("have to", "need to"), ("make sure", "ensure"),
    ("as soon as", "once"), ("in order to", "so as to"), ("because", "since"), ("however", "still"), ("but", "yet"),
    ("begin", "start"), ("begins", "starts"), ("show", "display"), ("shows", "displays"), ("fast", "quick"),
    ("big", "large"), ("small", "little"), ("buy", "purchase"), ("help", "assist"), ("get", "obtain"), ("use", "employ"),
    ("find", "locate"), ("fix", "repair"), ("send", "dispatch"), ("stop", "halt"), ("end", "finish"),
    ("ask", "request"), ("tell", "inform"), ("choose", "select"), ("check", "verify"), ("remove", "take out"),
    ("delete", "erase"), ("change", "alter"), ("keep", "retain"), ("give", "provide"), ("need", "require"),
    ("needs", "requires"), ("must", "has to"), ("all", "every one of"), ("before", "prior to"), ("after", "following"),
    ("about", "regarding"), ("also", "in addition"), ("now", "at present"), ("soon", "shortly"), ("often", "frequently"),
    ("quickly", "rapidly"), ("important", "essential"), ("problem", "issue"), ("error", "fault"), ("job", "task"),
    ("answer", "reply"), ("whole", "entire"), ("near", "close to"), ("maybe", "perhaps"), ("please", "kindly"),
    ("only", "solely"), ("every", "each"), ("until", "till"), ("if", "in case"), ("very", "quite"), ("new", "fresh"),
)  # fmt: skip
_KEPT = re.compile(r"`[^`]*`|\"[^\"]*\"|“[^”]*”|https?://\S+|\S*[/\\_@]\S*|\S*\d\S*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
#: words that a rewriting by rules changes at most
_MOST = 4


def rewrite_by_rules(text: str) -> str:
    """The text with up to four expressions in other words; the same text when no rule applies. Deterministic."""
    kept = [m.span() for m in _KEPT.finditer(text)]
    found: list[tuple[int, int, str]] = []
    for one, other in _SAME:
        for here, there in ((one, other), (other, one)):
            match = re.search(rf"(?<![\w'])({re.escape(here)})(?![\w'])", text, re.IGNORECASE)
            if match is None:
                continue
            start, end = match.span()
            clash = any(start < b and a < end for a, b in [*kept, *((f[0], f[1]) for f in found)])
            if not clash:
                found.append((start, end, _cased(there, match.group())))
                break
    # the longest first: an idiom says more than a word
    chosen = sorted(sorted(found, key=lambda f: (f[0] - f[1], f[0]))[:_MOST], reverse=True)
    for start, end, instead in chosen:
        text = text[:start] + instead + text[end:]
    return text


def rewrite_by_model(backbone: Backbone) -> Callable[[str], str]:
    """A rewriter that asks a language model. Cost: one question a text; equal texts are answered from its cache.

    The rewriter raises:
        NoRewriteError: the model gave no answer, or one that lost a number.
    """
    from maieutic.llm import Prompt
    from maieutic.llm.fences import Fence

    def rewrite(text: str) -> str:
        fence = Fence.around([text])
        prompt = Prompt.of(
            f"Say the following in other words. Keep the meaning, the tone, every number, name, path and command, and about the "
            f"same length. Answer with the new text alone.\n\n{fence.put('text', text)}",
            system=fence.rule, max_tokens=max(64, len(text)),
        )  # fmt: skip
        (answer,) = backbone.ask([prompt])
        if answer.failed is not None:
            raise NoRewriteError(f"the writer gave no other words ({answer.failed}): use another model")
        if sorted(_NUMBER.findall(answer.text)) != sorted(_NUMBER.findall(text)):
            raise NoRewriteError(f"the writer changed a number of {text[:60]!r}: use another model")
        return answer.text

    return rewrite


def _cased(text: str, like: str) -> str:
    """With a capital where the other has one."""
    return text[:1].upper() + text[1:] if like[:1].isupper() else text
