"""Dollars, from a table of the user's own."""

from __future__ import annotations

import pytest

from maieutic.errors import UsageError
from maieutic.llm import Prompt
from maieutic.llm.loopback import Reply
from maieutic.llm.prices import price_of, prices_file

NAME = "openai-api/local/priced"


@pytest.fixture
def table(tmp_path, monkeypatch):
    def write(text):
        file = tmp_path / "prices.toml"
        file.write_text(text)
        monkeypatch.setenv("MAIEUTIC_PRICES", str(file))

    return write


def test_dollars_are_tokens_times_the_price(loopback, of, table):
    # 2000 read at 3 dollars a million and 500 written at 15: 0.006 + 0.0075 = 0.0135
    table(f'["{NAME}"]\ninput = 3\noutput = 15\n')
    server = loopback(lambda _: Reply(text="x", usage=(2000, 500)))
    model = of(server, "priced")
    answer = model.ask([Prompt.of("a")])[0]
    assert answer.cost.dollars == pytest.approx(0.0135) and model.spent.dollars == pytest.approx(0.0135)
    assert model.priced
    model.ask([Prompt.of("a")])
    assert model.spent.dollars == pytest.approx(0.0135), "an answer out of the cache was paid for"


def test_without_a_price_there_are_no_dollars(loopback, of):
    model = of(loopback(lambda _: "x"), "unpriced")
    assert not model.priced and model.ask([Prompt.of("a")])[0].cost.dollars == 0


def test_there_need_be_no_table(tmp_path):
    assert str(prices_file()).startswith(str(tmp_path)), "a test must not read the user's own table"
    assert price_of(NAME) is None


def test_kinds_of_tokens(table):
    table('[a]\ninput = 1\noutput = 2\n["b/c"]\ninput = 1\noutput = 2\ncache_read = 0.1\ncache_write = 1.25\n')
    assert price_of("a") == {"input": 1, "output": 2, "cache_read": 1, "cache_write": 1}
    assert price_of("b/c") == {"input": 1, "output": 2, "cache_read": 0.1, "cache_write": 1.25}
    assert price_of("d") is None


@pytest.mark.parametrize(
    "text",
    ["[a]\ninput = 1\n", "[a]\ninput = -1\noutput = 2\n", '[a]\ninput = "1"\noutput = 2\n', "a = 3\n",
     "[a]\ninput = 1\noutput = 2\nimages = 3\n", "[a\n", "[a]\ninput = true\noutput = 1\n"],
)  # fmt: skip
def test_a_wrong_table_is_one_line(table, text):
    table(text)
    with pytest.raises(UsageError) as raised:
        price_of("a")
    assert "prices.toml" in str(raised.value) and "\n" not in str(raised.value)


def test_a_table_that_is_named_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("MAIEUTIC_PRICES", str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match="MAIEUTIC_PRICES"):
        price_of("a")
