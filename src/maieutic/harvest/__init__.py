"""One pass of a corpus through a subject, and what it leaves: the Atlas."""

from maieutic.harvest.atlas import Atlas, Exemplar, Moments, Observed
from maieutic.harvest.readouts import Readouts, column
from maieutic.harvest.run import Progress, fingerprint, harvest, load_atlas, slug
from maieutic.harvest.sparse import Sparse, SparseStore
from maieutic.harvest.summary import SiteSummary

__all__ = [
    "Atlas",
    "Exemplar",
    "Moments",
    "Observed",
    "Progress",
    "Readouts",
    "SiteSummary",
    "Sparse",
    "SparseStore",
    "column",
    "fingerprint",
    "harvest",
    "load_atlas",
    "slug",
]
