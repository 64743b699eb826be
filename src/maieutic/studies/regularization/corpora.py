"""The corpora of the study by name.

What this module does not do: make or read text (`facts`, `source`, `plays` do).
"""

from __future__ import annotations

from maieutic.studies.regularization.config import StudyConfig
from maieutic.studies.regularization.documents import StudyCorpus
from maieutic.studies.regularization.facts import FactsCorpus


def load_study_corpus(config: StudyConfig) -> StudyCorpus:
    """The corpus that a study trains on and measures on; nothing is written.

    Raises:
        MissingExtraError: the plays are asked for and their package is not installed.
    """
    wanted, context = config.corpus, config.shape.context
    if wanted.name == "facts":
        return FactsCorpus(wanted.facts_shape(), context=context, seed=wanted.seed)
    if wanted.name == "source":
        from maieutic.studies.regularization.source import SourceCorpus

        return SourceCorpus(context=context, vocabulary=wanted.vocabulary, seed=wanted.seed)
    from maieutic.studies.regularization.plays import PlaysCorpus

    return PlaysCorpus(context=context, vocabulary=wanted.vocabulary, seed=wanted.seed)


def facts_corpus(config: StudyConfig) -> FactsCorpus:
    """The facts corpus of a study on facts; editing and alignment are measured on nothing else."""
    found = load_study_corpus(config)
    assert isinstance(found, FactsCorpus), "only the facts corpus has facts"
    return found


def forgotten(corpus: FactsCorpus, *, subjects: int) -> frozenset[int]:
    """Indices of the facts that gold models never see: all those of so many subjects, spread evenly over the list."""
    count = len(corpus.world.subjects)
    chosen = {n * count // max(subjects, 1) for n in range(min(subjects, count))}
    return frozenset(f.index for f in corpus.facts if f.subject in chosen)
