import re

from hypothesis import given
from hypothesis import strategies as st

from maieutic.stimuli.windows import LENGTH, windows

TEXTS = st.text(alphabet=st.sampled_from("abc .,\n\té"), max_size=3000)


@given(TEXTS)
def test_no_word_is_lost_or_cut(text: str) -> None:
    words = [w for w in re.split(r"\s+", text) if w]
    if max(map(len, words), default=0) > LENGTH:
        return
    assert [w for piece in windows(text) for w in piece.text.split()] == words


@given(TEXTS)
def test_windows_stand_where_they_say(text: str) -> None:
    position = 0
    for piece in windows(text):
        assert text[piece.start : piece.start + len(piece.text)] == piece.text
        assert piece.start >= position
        position = piece.start + len(piece.text)


def test_lengths_stay_near_the_wanted_one() -> None:
    text = " ".join("word" for _ in range(3000))
    lengths = [len(w.text) for w in windows(text)]
    assert max(lengths) <= LENGTH * 1.35
    assert min(lengths) >= LENGTH * 0.35


def test_a_paragraph_end_is_preferred_to_a_sentence_end() -> None:
    text = "One sentence here. " * 22 + "\n\n" + "Another sentence. " * 40
    first = next(iter(windows(text)))
    # 22 sentences of 19 characters: 418, within 30 % of 480
    assert first.text == ("One sentence here. " * 22).rstrip()


def test_indentation_survives() -> None:
    code = "def f():\n" + "    x = 1\n" * 80
    pieces = list(windows(code))
    assert pieces[1].text.startswith("    x = 1")


def test_a_word_longer_than_a_window_is_cut() -> None:
    assert [len(w.text) for w in windows("x" * 3000)][0] == LENGTH
