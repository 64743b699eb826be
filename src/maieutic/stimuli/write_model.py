"""Writing texts with any language model that the language-model layer reaches.

The instruction is fenced as data, the answer is a JSON list, and what does not parse is counted, never patched up. A
model that gives fewer texts than asked is asked again, up to three times. What this module does not do: check that a
text follows the instruction; the measurement of it, and the reader of the ledger, see the text itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from maieutic.errors import UsageError, UserError
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.making import Made
from maieutic.stimuli.texts import text_id

if TYPE_CHECKING:
    from maieutic.llm import Answer, Backbone, Prompt

SYSTEM = (
    "You write short texts that are shown to a language model under study. Follow the instruction exactly: what it asks "
    "for has to be there, what it excludes must not. Vary topic, style and wording between the texts. No titles, no "
    "numbering, no comments."
)
_ROUNDS = 3
#: characters of a text that is used
_LONGEST = 4000


def load_writer(corpus: Corpus, *, argument: str = "", seed: int = 0) -> ModelWriter:
    """A writer by the model ``provider/model``; no request is made before the first text."""
    return ModelWriter(model=argument, seed=seed)


@dataclass
class ModelWriter:
    """Cost: one to three requests a call, cached by the language-model layer.

    Attributes:
        model: ``provider/model``.
        backbone: a ready one, with its own address and limits, in place of ``model``.
        seed: stands in every prompt, so that another seed gives other texts also where a provider takes none.
        failed: why requests of the last call gave nothing.
    """

    model: str = ""
    backbone: Backbone | None = field(default=None, repr=False)
    seed: int = 0
    failed: list[str] = field(default_factory=list[str])

    @property
    def name(self) -> str:
        return self.backbone.name if self.backbone is not None else self.model

    def __call__(self, instruction: str, *, n: int = 1, seed: int = 0) -> list[Stimulus]:
        """At most ``n`` different texts, fewer when the model gave fewer (``failed`` says why).

        Raises:
            UserError: not one usable text came; with the reasons.
        """
        from maieutic.llm import backbone

        if n < 1 or not instruction.strip():
            raise UsageError("nothing to write: give an instruction and a number of 1 or more")
        if self.backbone is None:
            self.backbone = backbone(self.model, temperature=1.0, max_tokens=2048, seed=self.seed)
        self.failed = []
        texts: dict[str, None] = {}
        for turn in range(_ROUNDS):
            prompt = _prompt(instruction, n - len(texts), self.seed + seed, turn, list(texts))
            texts.update(dict.fromkeys(self._texts(self.backbone.ask([prompt])[0])))
            if len(texts) >= n:
                break
        if not texts:
            raise UserError(
                f"{self.name} wrote nothing usable in {_ROUNDS} tries ({'; '.join(dict.fromkeys(self.failed))}): "
                "ask another model, or use --write corpus"
            )
        return [self._made(text, instruction, self.seed + seed) for text in list(texts)[:n]]

    def _texts(self, answer: Answer) -> list[str]:
        if answer.failed:
            self.failed.append(answer.failed)
            return []
        parsed = cast("dict[str, Any]", answer.parsed) if isinstance(answer.parsed, dict) else {}
        listed = parsed.get("texts")
        given = cast("list[Any]", listed) if isinstance(listed, list) else []
        found = [t.strip()[:_LONGEST] for t in given if isinstance(t, str) and t.strip()]
        if not found:
            self.failed.append("the answer holds no texts")
        return found

    def _made(self, text: str, instruction: str, seed: int) -> Made:
        digest = text_id(text)
        return Made(
            id=digest,
            modality="text",
            load=lambda: text,
            group=f"made {digest[:12]}",
            split="discover",
            understood=(instruction,),
            ignored=(f"{len(self.failed)} requests gave nothing",) if self.failed else (),
            made_by={"tool": self.name, "instruction": instruction, "seed": seed},
        )


def _prompt(instruction: str, n: int, seed: int, turn: int, have: list[str]) -> Prompt:
    from maieutic.llm import Prompt, Turn
    from maieutic.llm.fences import Fence

    fence = Fence.around([instruction, *have], seed=seed)
    parts = [
        f"Write {n} different texts (set {seed}-{turn}) for this instruction:",
        fence.put("instruction", instruction),
    ]
    if have:
        parts += ["These exist already; write others:", fence.put("texts", "\n".join(have))]
    parts.append('Answer with JSON: {"texts": ["...", ...]}')
    schema = {
        "type": "object",
        "properties": {"texts": {"type": "array", "items": {"type": "string"}}},
        "required": ["texts"],
        "additionalProperties": False,
    }
    return Prompt(turns=(Turn(text="\n\n".join(parts)),), system=SYSTEM, schema=schema)
