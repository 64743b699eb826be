"""WordNet 3.0's database files, read: noun → hypernyms, and word → the categories it belongs to.

``concepts("gorilla", lexnames=("noun.animal",))`` is ``("gorilla", "anthropoid ape", "ape", "primate", ...)``;
``lexnames("run")`` is ``("verb.motion", ...)``. Only index and data files are read (format: the manual page wndb),
the indices once into memory, synsets one line at a time. Without the package everything answers "nothing". What this
module does not do: disambiguate words in context; a sense is chosen by category and root, else the first one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from maieutic.stimuli.kinds import ABSTRACT, PLAIN
from maieutic.stimuli.packages import PackageUnavailableError, Progress, ensure

#: lexicographer files in the order of their number (manual page lexnames)
# fmt: off
LEXNAMES: tuple[str, ...] = (
    "adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute",
    "noun.body", "noun.cognition", "noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group",
    "noun.location", "noun.motive", "noun.object", "noun.person", "noun.phenomenon", "noun.plant", "noun.possession",
    "noun.process", "noun.quantity", "noun.relation", "noun.shape", "noun.state", "noun.substance", "noun.time",
    "verb.body", "verb.change", "verb.cognition", "verb.communication", "verb.competition", "verb.consumption",
    "verb.contact", "verb.creation", "verb.emotion", "verb.motion", "verb.perception", "verb.possession",
    "verb.social", "verb.stative", "verb.weather", "adj.ppl",
)
# fmt: on
_PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
#: regular endings (manual page morphy), tried in this order
_ENDINGS = {
    "n": (("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
          ("ies", "y")),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Synset:
    """One meaning: its words, category and what it is a kind of (``@`` hypernym and ``@i`` instance pointers)."""

    offset: int
    lexname: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[int, ...]
    gloss: str


@dataclass(eq=False)
class Wordnet:
    """The database in one folder. Loading reads the four indices: about 0.5 s and 40 MB, once per process."""

    folder: Path
    _index: dict[str, dict[str, tuple[int, ...]]] = field(
        default_factory=dict[str, dict[str, tuple[int, ...]]], repr=False
    )
    _irregular: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]], repr=False)
    _counts: dict[tuple[str, str], list[tuple[int, int]]] = field(
        default_factory=dict[tuple[str, str], list[tuple[int, int]]], repr=False
    )

    @cached_property
    def _data(self) -> dict[str, Path]:
        return {part: self.folder / f"data.{name}" for part, name in _PARTS.items()}

    def index(self, part: str) -> dict[str, tuple[int, ...]]:
        """Lemma → synset offsets in the order of frequency, for a part of speech (``n v a r``)."""
        if part not in self._index:
            found: dict[str, tuple[int, ...]] = {}
            with (self.folder / f"index.{_PARTS[part]}").open(encoding="utf-8") as lines:
                for line in lines:
                    if line.startswith(" "):
                        continue  # the licence notice at the head of every file
                    cells = line.split()
                    # lemma pos synset_cnt p_cnt [ptr_symbol...] sense_cnt tagsense_cnt offset...
                    found[cells[0]] = tuple(int(c) for c in cells[-int(cells[2]) :])
            self._index[part] = found
        return self._index[part]

    def irregular(self, part: str) -> dict[str, str]:
        """Irregular forms → base form (``geese`` → ``goose``)."""
        if part not in self._irregular:
            path = self.folder / f"{_PARTS[part]}.exc"
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            self._irregular[part] = {cells[0]: cells[1] for cells in map(str.split, lines) if len(cells) > 1}
        return self._irregular[part]

    def base(self, word: str, part: str = "n") -> str | None:
        """The dictionary form of a word or a phrase (``Two gorillas`` → no; ``gorillas`` → ``gorilla``)."""
        word = word.strip().lower().replace(" ", "_")
        index = self.index(part)
        if word in index:
            return word
        if word in self.irregular(part):
            return self.irregular(part)[word]
        for ending, instead in _ENDINGS[part]:
            if word.endswith(ending) and len(word) > len(ending) + 1 and word[: -len(ending)] + instead in index:
                return word[: -len(ending)] + instead
        return None

    def synset(self, offset: int, part: str = "n") -> Synset:
        """The synset at a byte offset of its data file."""
        return _synset(self._data[part], offset)

    def senses(self, word: str, part: str = "n") -> tuple[Synset, ...]:
        """All meanings of a word, most frequent first; empty when the word is unknown."""
        base = self.base(word, part)
        return () if base is None else tuple(self.synset(o, part) for o in self.index(part).get(base, ()))

    def sense(self, word: str, *, lexnames: Sequence[str] = (), under: str = "") -> Synset | None:
        """The first noun sense of an allowed category that lies under the (first sense of the) noun ``under``."""
        roots = {s.offset for s in self.senses(under)} if under else set[int]()
        for sense in self.senses(word):
            if lexnames and sense.lexname not in lexnames:
                continue
            if roots and not roots & {sense.offset, *(h.offset for h in self.hypernyms(sense))}:
                continue
            return sense
        return None

    def hypernyms(self, sense: Synset) -> list[Synset]:
        """Everything a meaning is a kind of, nearest first (breadth first over several parents), without itself."""
        found: list[Synset] = []
        seen = {sense.offset}
        queue = list(sense.hypernyms)
        while queue:
            offset = queue.pop(0)
            if offset in seen:
                continue
            seen.add(offset)
            found.append(self.synset(offset))
            queue.extend(found[-1].hypernyms)
        return found

    def concepts(self, word: str, *, lexnames: Sequence[str] = (), under: str = "") -> tuple[str, ...]:
        """Names of what a noun names, specific to general, abstractions left out; empty when it is unknown."""
        sense = self.sense(word, lexnames=lexnames, under=under)
        if sense is None:
            return ()
        names = [spoken(self.base(word) or word), spoken(sense.lemmas[0])]
        names += [spoken(h.lemmas[0]) for h in self.hypernyms(sense)]
        # for WordNet a wheeled vehicle is a container; "sphenisciform seabird" and the like add nothing to "seabird"
        unsaid = {"container"} if "vehicle" in names else set[str]()
        kept = [n for n in names if n not in ABSTRACT and n not in unsaid and "iform " not in n]
        return tuple(dict.fromkeys(kept))

    def lexnames(self, word: str) -> tuple[str, ...]:
        """Every category the word belongs to (``noun.animal``, ``verb.motion``...), the most frequent in use first."""
        counted: dict[str, int] = {}
        for part in _PARTS:
            base = self.base(word, part)
            counts = dict(self.counts().get((base or "", part), ()))
            for rank, offset in enumerate(self.index(part).get(base, ()) if base else ()):
                name = _lexname(self._data[part], offset)
                counted[name] = counted.get(name, 0) + counts.get(rank + 1, 0)
        return tuple(sorted(counted, key=lambda name: -counted[name]))  # stable: nouns first among equals

    def counts(self) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """(lemma, part) → (sense number from 1, how often it was tagged in WordNet's corpora)."""
        if not self._counts:
            path = self.folder / "cntlist.rev"
            parts = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
            # filled at once when it is whole: another thread must not read half of it
            found: dict[tuple[str, str], list[tuple[int, int]]] = {}
            for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
                key, number, count = line.split()
                lemma, _, rest = key.rpartition("%")
                found.setdefault((lemma, parts[rest[0]]), []).append((int(number), int(count)))
            self._counts.update(found)
        return self._counts


def spoken(lemma: str) -> str:
    """A lemma as people write it: ``great_ape`` → ``great ape``; scholars' kinds in plain words."""
    name = lemma.replace("_", " ")
    return PLAIN.get(name, name)


@lru_cache(maxsize=4)
def _lines(path: Path) -> bytes:
    """A data file, 22 MB for all four: tens of thousands of lines are looked up by their offsets."""
    return path.read_bytes()


def _lexname(path: Path, offset: int) -> str:
    """The category of a synset: the second cell of its line, without the rest of it."""
    return LEXNAMES[int(_lines(path)[offset : offset + 16].split(maxsplit=2)[1])]


@lru_cache(maxsize=65536)
def _synset(path: Path, offset: int) -> Synset:
    data = _lines(path)
    head, _, gloss = data[offset : data.index(b"\n", offset)].decode("utf-8").partition(" | ")
    cells = head.split()
    # offset lex_filenum ss_type w_cnt word lex_id [word lex_id...] p_cnt [symbol offset pos source/target...]
    words = int(cells[3], 16)
    lemmas = tuple(c.partition("(")[0] for c in cells[4 : 4 + 2 * words : 2])
    start = 4 + 2 * words
    pointers = [cells[start + 1 + 4 * i : start + 5 + 4 * i] for i in range(int(cells[start]))]
    above = tuple(int(p[1]) for p in pointers if p[0] in ("@", "@i"))
    return Synset(offset=offset, lexname=LEXNAMES[int(cells[1])], lemmas=lemmas, hypernyms=above, gloss=gloss.strip())


@lru_cache(maxsize=4)
def _open(folder: Path) -> Wordnet:
    return Wordnet(folder)


def open_wordnet(*, fetch: bool = False, progress: Progress | None = None) -> Wordnet | None:
    """The database in the cache (or installed), ``None`` when it is not there and may not be fetched."""
    try:
        root = ensure("wordnet-base", fetch=fetch, progress=progress)
    except PackageUnavailableError:
        return None
    return _open(root / "usr/share/wordnet")


@lru_cache(maxsize=65536)
def lexnames(word: str) -> tuple[str, ...]:
    """Categories of a word over all its senses; empty when it is unknown or WordNet is not there."""
    database = opened_wordnet()
    return () if database is None else database.lexnames(word)


_OPENED: dict[str, Wordnet] = {}


def opened_wordnet() -> Wordnet | None:
    """The database as `open_wordnet` gives it, looked for until it is found, once a cache folder: for words by the thousand."""
    key = os.environ.get("MAIEUTIC_CACHE", "")
    if key not in _OPENED:
        found = open_wordnet()
        if found is None:
            return None
        _OPENED[key] = found
    return _OPENED[key]


@lru_cache(maxsize=65536)
def first_lexname(word: str) -> str | None:
    """The category a word most often has in use (``run`` → ``verb.motion``); ``None`` when it is unknown."""
    names = lexnames(word)
    return names[0] if names else None


#: lemmas looked at for ``frequent``
_COMMON = 5000


@lru_cache(maxsize=1)
def _by_category() -> dict[str, tuple[str, ...]]:
    database = opened_wordnet()
    counts = database.counts() if database else {}
    rows = sorted((-sum(n for _, n in c), lemma, part) for (lemma, part), c in counts.items())
    found: dict[str, list[str]] = {}
    for _, lemma, part in rows[:_COMMON]:
        if lemma.isalpha() and len(lemma) > 2 and (name := first_lexname(lemma)) and name[0] == part:
            found.setdefault(name, []).append(lemma)
    return {name: tuple(words) for name, words in found.items()}


def frequent(category: str, most: int = 30) -> tuple[str, ...]:
    """Words whose usual category it is (``noun.substance``), the most frequent first; none without WordNet.

    Cost: about a second for the first call.
    """
    return _by_category().get(category, ())[:most]
