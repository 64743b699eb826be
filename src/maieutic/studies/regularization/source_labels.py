"""Exact labels of Python source, by character: Python's own ``tokenize`` and ``ast`` say them.

Labels: ``kind`` (string, docstring, comment, keyword, name, operator, number, space), ``quote`` of a string (single, double,
triple), ``keyword`` (which), ``depth`` of brackets, ``indent`` in levels, ``scope`` (module, class, def: the innermost one),
``statement`` (the innermost one on the line).

What this module does not do: read files that do not parse.
"""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

KINDS = ("space", "name", "keyword", "operator", "number", "string", "docstring", "comment")
QUOTES = ("none", "single", "double", "triple")
KEYWORDS = ("none", *sorted(keyword.kwlist))
SCOPES = ("module", "class", "def")
MOST = 6
LEVELS = tuple(map(str, range(MOST + 1)))
STATEMENTS = ("none", *sorted(
    c.__name__ for c in ast.stmt.__subclasses__() if not c.__name__.startswith("_")
))  # fmt: skip
NAMES = {
    "kind": KINDS, "quote": QUOTES, "keyword": KEYWORDS, "depth": LEVELS, "indent": LEVELS, "scope": SCOPES,
    "statement": STATEMENTS,
}  # fmt: skip
_SIMPLE = {tokenize.NUMBER: "number", tokenize.OP: "operator", tokenize.COMMENT: "comment", tokenize.STRING: "string"}
#: the parts of f-strings that later Pythons have as tokens of their own
_FSTRING = frozenset(n for n, name in tokenize.tok_name.items() if name.startswith(("FSTRING", "TSTRING")))


def label_source(text: str) -> dict[str, NDArray[np.int64]]:
    """Labels of every character, each an index into ``NAMES[label]``, ``[character]``.

    Raises:
        SyntaxError: the text is no Python. (``tokenize.TokenError`` and ``IndentationError`` too.)
    """
    # not splitlines: that also breaks at form feeds, which Python's own line numbers do not count
    starts = np.array([0, *(n + 1 for n, c in enumerate(text) if c == "\n"), len(text)])
    found = {name: np.zeros(len(text), np.int64) for name in NAMES}
    _tree_labels(ast.parse(text), text, starts, found)
    docstrings = _docstrings(ast.parse(text))
    depth = indent = 0
    place = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start = int(starts[token.start[0] - 1]) + token.start[1] if token.start[0] <= len(starts) else len(text)
        end = int(starts[token.end[0] - 1]) + token.end[1] if token.end[0] <= len(starts) else len(text)
        indent += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        opens, closes = (
            token.type == tokenize.OP and token.string in "([{",
            token.type == tokenize.OP and token.string in ")]}",
        )
        depth += opens
        found["depth"][place:end] = min(depth, MOST)
        found["indent"][place:end] = min(indent, MOST)
        depth -= closes
        place = max(place, end)
        _token_labels(token, slice(start, end), found, docstring=token.start in docstrings)
    return found


def _token_labels(
    token: tokenize.TokenInfo, at: slice, found: dict[str, NDArray[np.int64]], *, docstring: bool
) -> None:
    kind = _SIMPLE.get(token.type)
    if token.type == tokenize.NAME:
        kind = "keyword" if keyword.iskeyword(token.string) else "name"
    elif token.type in _FSTRING:
        kind = "string"
    if kind is None:
        return
    if kind == "keyword":
        found["keyword"][at] = KEYWORDS.index(token.string)
    if kind == "string":
        body = token.string.lstrip("rRbBuUfFtT")
        quote = "triple" if body[:3] in ('"""', "'''") else "single" if body[:1] == "'" else "double"
        found["quote"][at] = QUOTES.index(quote)
        kind = "docstring" if docstring else kind
    found["kind"][at] = KINDS.index(kind)


def _docstrings(tree: ast.Module) -> set[tuple[int, int]]:
    """Where docstrings start: line from 1, column in characters (the text is ASCII)."""
    places: set[tuple[int, int]] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                places.add((first.value.lineno, first.value.col_offset))
    return places


def _tree_labels(tree: ast.Module, text: str, starts: NDArray[np.int64], found: dict[str, NDArray[np.int64]]) -> None:
    """Scopes and statements of whole lines; inner ones are written over outer ones."""
    for node in _outer_first(tree):
        assert node.end_lineno is not None
        at = slice(int(starts[node.lineno - 1]), int(starts[min(node.end_lineno, len(starts) - 1)]))
        found["statement"][at] = STATEMENTS.index(type(node).__name__)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found["scope"][at] = SCOPES.index("class" if isinstance(node, ast.ClassDef) else "def")


def _outer_first(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        yield from _outer_first(child)
