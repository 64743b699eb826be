"""A trained model of the study as a subject of the project, so that its harvest, explainers and scorers work unchanged.

Tokens are those of the corpus (words, for facts). No prefix token: what the text has is what is measured. Texts longer than the
model's context are an error, as the documents of a corpus fit.

What this module does not do: anything that other text subjects do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from maieutic.studies.regularization.documents import StudyCorpus
from maieutic.studies.regularization.model import Gpt, build_model, site_names
from maieutic.subjects.base import Site
from maieutic.subjects.modules import TextModuleSubject, find_sites

Encode = Callable[[str], Sequence[tuple[int, int, int]]]
_WHAT = {
    "embed": "token and position", "attn": "what attention adds", "act": "hidden activations of the MLP",
    "norm": "hidden activations behind the extra LayerNorm", "resid": "residual stream",
}  # fmt: skip


class StudySubject(TextModuleSubject):
    """A model of the study with the words of its corpus. Built by `study_subject`."""

    def __init__(self, model: Gpt, encode: Encode, *, name: str, sites: Sequence[Site], batch_size: int = 8) -> None:
        super().__init__(model, encode, name=name, sites=sites, batch_size=batch_size)
        self._gpt = model

    def untrained(self, seed: int = 0) -> StudySubject:
        """The same architecture as it starts training from ``seed``."""
        fresh = build_model(self._gpt.config, seed=seed)
        copied = StudySubject(
            fresh, self._encode, name=f"{self.name} (untrained)", sites=self._sites, batch_size=self.batch_size
        )
        return self._relensed(copied, seed)


def study_subject(model: Gpt, corpus: StudyCorpus, *, name: str, batch_size: int = 64) -> StudySubject:
    """A model as a subject. Its sites: ``embed``, and per layer ``attn``, ``mlp.act``, ``mlp.norm`` (where there is one) and
    the residual stream ``blocks.N``, in the order of the forward pass.

    Cost: one forward pass over two tokens.
    """
    found = {s: _WHAT[place] for place, names in site_names(model.config).items() for s in names}
    example = torch.zeros(1, 2, dtype=torch.long, device=next(model.parameters()).device)
    seen = find_sites(model, partial(model, example), modality="text", chosen=list(found))
    order = [n for n, _ in model.named_modules()]
    # a block is done after its parts, though it is named before them
    sites = sorted(seen, key=lambda s: (_layer(s.name), s.name.count(".") == 1, order.index(s.module)))
    described = [
        Site(name=s.name, module=s.module, io=s.io, width=s.width, positions="token", what=found[s.name]) for s in sites
    ]
    return StudySubject(model, corpus.encode, name=name, sites=described, batch_size=batch_size)


def _layer(name: str) -> int:
    return -1 if name == "embed" else int(name.split(".")[1])
