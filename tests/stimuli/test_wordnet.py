import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maieutic.stimuli import wordnet
from maieutic.stimuli.wordnet import Wordnet


def test_the_sense_fits_the_category_and_the_root(wordnet_folder: Path) -> None:
    words = Wordnet(wordnet_folder)
    assert [s.gloss for s in words.senses("seal")] == ["a stamp", "a marine mammal"]
    animal = words.sense("seal", lexnames=("noun.animal",))
    assert animal is not None and animal.gloss == "a marine mammal"
    assert words.sense("seal", under="mammal") == animal
    assert words.sense("seal", under="bird") is None
    assert words.sense("unicorn") is None


def test_concepts_go_from_specific_to_general_without_abstractions(wordnet_folder: Path) -> None:
    words = Wordnet(wordnet_folder)
    # seal -> mammal -> animal -> organism -> entity; the last two say nothing about a picture
    assert words.concepts("seal", lexnames=("noun.animal",)) == ("seal", "mammal", "animal")
    assert words.concepts("owl") == ("owl", "bird", "animal")
    assert words.concepts("unicorn") == ()


def test_inflected_forms_are_found(wordnet_folder: Path) -> None:
    words = Wordnet(wordnet_folder)
    assert words.base("geese") == "goose"
    assert words.base("Owls") == "owl"
    assert words.base("ran", "v") == "run"
    assert words.base("running", "v") is None  # doubled consonants are in no rule of morphy either
    assert words.base("s") is None


def test_categories_are_ordered_by_use(wordnet_folder: Path) -> None:
    words = Wordnet(wordnet_folder)
    # the stamp is the first sense, but the animal is tagged 5 times to 1
    assert words.lexnames("seal") == ("noun.animal", "noun.artifact")
    assert words.lexnames("ran") == ("verb.motion",)
    assert words.lexnames("the") == ()


def test_without_the_database_everything_answers_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordnet, "open_wordnet", lambda **_: None)
    wordnet.lexnames.cache_clear()
    wordnet.first_lexname.cache_clear()
    assert wordnet.lexnames("gorilla") == ()
    assert wordnet.first_lexname("gorilla") is None
    wordnet.lexnames.cache_clear()
    wordnet.first_lexname.cache_clear()


@pytest.mark.packaged
@pytest.mark.usefixtures("packaged_data")
def test_the_real_database_says_what_people_know() -> None:
    words = wordnet.open_wordnet()
    assert words is not None
    animal = ("noun.animal",)
    gorilla = words.concepts("gorilla", lexnames=animal)
    assert gorilla == ("gorilla", "great ape", "ape", "primate", "mammal", "animal")
    assert "mammal" in words.concepts("seal", lexnames=animal)
    assert "bird" in words.concepts("crane", lexnames=animal)
    assert "vehicle" in words.concepts("fire engine")
    assert wordnet.first_lexname("soup") == "noun.food"
    assert wordnet.first_lexname("ran") == "verb.motion"


def test_threads_never_count_by_half_of_the_file(tmp_path: Path) -> None:
    lines = [f"word{i}%1:00:00:: 1 {i}" for i in range(20_000)]
    (tmp_path / "cntlist.rev").write_text("\n".join(lines))
    database, interval = Wordnet(tmp_path), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(6) as threads:
            sizes = [f.result() for f in [threads.submit(lambda: len(database.counts())) for _ in range(6)]]
    finally:
        sys.setswitchinterval(interval)
    assert sizes == [20_000] * 6
