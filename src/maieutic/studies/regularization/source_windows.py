"""Files of text with labels by character, as documents of a byte-pair tokenizer: what source and plays have in common.

A file is either trained on or measured on, by the hash of its name, and the windows of a file share a split. What this module
does not do: know what labels mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from maieutic.errors import UserError
from maieutic.studies.regularization.documents import Documents, Ids, Label
from maieutic.studies.regularization.source_bpe import Bpe, learn

#: labels of every character of a text; ``None``: it cannot be labelled
Labelling = Callable[[str], "dict[str, Ids] | None"]
#: characters that the tokenizer learns from
_LEARN = 300_000


class WindowsCorpus:
    """Windows of files. Built by `source` and `plays`.

    Args:
        root: what the names of files are relative to. files: ASCII files, sorted.
        label: see `Labelling`; names: what its values mean.
        context: tokens that a model reads. vocabulary: tokens. seed: of the order of files.
        one_in: one file in so many is measured on; per_file: windows that it gives.
    """

    name = "windows"

    def __init__(
        self,
        root: Path,
        files: Sequence[Path],
        *,
        label: Labelling,
        names: Mapping[str, tuple[str, ...]],
        context: int,
        vocabulary: int,
        seed: int,
        one_in: int,
        per_file: int,
    ) -> None:
        self.context, self.seed, self.root = context, seed, root
        self._label, self._names, self._vocabulary, self._per_file = label, names, vocabulary, per_file
        order = np.random.default_rng([seed, 1]).permutation(len(files)).tolist()
        self._measured = [files[n] for n in order if self._share(files[n], one_in) == 0]
        self._trained = [files[n] for n in order if self._share(files[n], one_in) != 0]
        if not self._measured or not self._trained:
            raise UserError(f"{root} holds too few files to train on and to measure on: give a complete folder")

    @cached_property
    def bpe(self) -> Bpe:
        """The tokenizer, learnt from files that are trained on."""
        return learn(list(self._some(self._trained, _LEARN)), vocabulary=self._vocabulary)

    @property
    def words(self) -> tuple[str, ...]:
        """The text of every token by id."""
        return self.bpe.words

    @property
    def fingerprint(self) -> str:
        """Digest of the settings, and the names and sizes of all files."""
        said = [f"{self.name} {self.context} {self._vocabulary} {self.seed}"]
        said += [f"{self._name(p)} {p.stat().st_size}" for p in (*self._trained, *self._measured)]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]

    def encode(self, text: str) -> list[tuple[int, int, int]]:
        """``(token id, start, end)`` of each token of a text."""
        return self.bpe.encode(text)

    def training(self, documents: int, *, without: frozenset[int] = frozenset()) -> Ids:
        """Windows of files in a random order, ``[document, context + 1]``; fewer than asked for when there is no more text.

        Raises:
            UserError: something is to be left out.
        """
        if without:
            raise UserError(f"{self.name} has no facts to leave out: use the facts corpus")
        rows: list[Ids] = []
        count = 0
        for text in self._some(self._trained, None):
            rows.append(self._windows(self.bpe.ids(text)))
            count += len(rows[-1])
            if count >= documents:
                break
        return np.concatenate(rows)[:documents]

    def documents(self, count: int) -> Documents:
        """Labelled windows of files that are not trained on, a few of each."""
        ids: list[Ids] = []
        labels: dict[str, list[Ids]] = {name: [] for name in self._names}
        groups: list[str] = []
        for path in self._measured:
            if sum(map(len, ids)) >= count:
                break
            made = self._labelled(path)
            if made is None:
                continue
            rows, by_name = made
            ids.append(rows)
            groups += [f"{self.name}-{self._name(path)}"] * len(rows)
            for name, values in by_name.items():
                labels[name].append(values)
        whole = np.concatenate(ids)[:count]
        return Documents(
            ids=whole,
            labels={
                "token": Label(values=whole[:, :-1], names=self.words),
                **{n: Label(values=np.concatenate(v)[:count], names=self._names[n]) for n, v in labels.items()},
            },
            groups=tuple(groups[:count]),
            texts=tuple("".join(self.words[i] for i in row[:-1]) for row in whole.tolist()),
        )

    def _labelled(self, path: Path) -> tuple[Ids, dict[str, Ids]] | None:
        """Windows spread over a file with the labels of their tokens (that of a token's last character)."""
        text = path.read_text(encoding="ascii")
        by_character = self._label(text)
        if by_character is None:
            return None
        encoded = np.array(self.bpe.encode(text), np.int64).reshape(-1, 3)
        windows = self._windows(encoded[:, 0])
        if not len(windows):
            return None
        last = self._windows(encoded[:, 2] - 1)[:, :-1]
        chosen = np.unique(np.linspace(0, len(windows) - 1, min(self._per_file, len(windows))).astype(int))
        return windows[chosen], {name: values[last[chosen]] for name, values in by_character.items()}

    def _windows(self, ids: Sequence[int] | Ids) -> Ids:
        size = self.context + 1
        whole = len(ids) // size
        return np.asarray(ids[: whole * size], np.int64).reshape(whole, size)

    def _some(self, files: Sequence[Path], characters: int | None) -> Iterator[str]:
        """Texts of files, until there are so many characters."""
        count = 0
        for path in files:
            text = path.read_text(encoding="ascii")
            yield text
            count += len(text)
            if characters is not None and count >= characters:
                return

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _share(self, path: Path, parts: int) -> int:
        """Which of the equal parts a file is in, by the hash of its name."""
        said = f"{self.name}:{self._name(path)}".encode()
        return int.from_bytes(hashlib.sha256(said).digest()[:4], "big") % parts


def ascii_files(root: Path, pattern: str, *, left_out: frozenset[str] = frozenset(), most: int = 200_000) -> list[Path]:
    """Files of ASCII text below a folder, sorted by name, of 1 000 characters or more.

    Args:
        root: the folder. pattern: of the files' names. left_out: parts of paths that are not wanted.
        most: characters of the largest file that is wanted.
    """
    found: list[Path] = []
    for path in sorted(root.rglob(pattern)):
        wanted = not left_out & set(path.relative_to(root).parts) and 1_000 <= path.stat().st_size <= most
        if wanted and path.read_bytes().isascii():
            found.append(path)
    return found
