"""Material from files: what is right is read, what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from maieutic.errors import UserError
from maieutic.studies.bias.files import pictures_from, prompts_from
from maieutic.studies.bias.prompts import packaged_prompts, prompt_material


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
    return path


def row(**more: object) -> dict[str, object]:
    return {"prompt": "He said", "base": "b1", "attribute": "who", "level": "he", **more}


def test_pairs_of_prompts(tmp_path):
    path = lines(
        tmp_path / "p.jsonl",
        [row(), row(prompt="She said", level="she"), row(prompt="They said", level="they", reference=True)],
    )
    made = prompts_from(path)
    assert made.references == {"who": "they"} and made.contrasts() == [("who", "he"), ("who", "she")]
    assert [t.load() for t in made.trials] == ["He said", "She said", "They said"]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([row(level=3)], "row 1 of .*level"),
        ([row(), row(colour="red")], "row 2 of .*colour"),
        ([{"prompt": "x"}], "base: field required"),
        ([], "is empty"),
        ([row(), row(level="she", cluster="other")], "give it one"),
        ([row()], "at least one more"),
    ],
)
def test_wrong_lines_are_named(tmp_path, rows, why):
    with pytest.raises(UserError, match=why):
        prompts_from(lines(tmp_path / "p.jsonl", rows))


def test_an_unknown_attribute_is_refused(tmp_path):
    with pytest.raises(UserError, match="choose from who"):
        prompts_from(lines(tmp_path / "p.jsonl", [row(), row(level="she")]), chosen=["age"])


def test_templates_in_toml(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(
        'templates = ["{name} is a", ["{name} of {town} works", "works {name}"]]\n'
        "[slots.name]\nA = ['Ann', 'Abe']\nB = ['Bob']\n[slots.town]\nx = ['Xi']\ny = ['Yo']\n",
        encoding="utf-8",
    )
    made = prompts_from(path)
    prompts = [t.load() for t in made.trials]
    # three templates with a name, one with a town, whose name is the first of A
    assert prompts == [
        "Ann is a", "Abe is a", "Bob is a", "Ann of Xi works", "Abe of Xi works", "Bob of Xi works", "Ann of Xi works",
        "Ann of Yo works", "works Ann", "works Abe", "works Bob",
    ]  # fmt: skip
    assert {t.cluster for t in made.trials if t.base in ("{name} of {town} works", "works {name}")} == {"family 2"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("templates = []\n[slots.a]\nx=['1']\ny=['2']", "templates"),
        ("templates = ['{b} x']\n[slots.a]\nx=['1']\ny=['2']", "slot 'b' without fillers"),
        ("templates = ['plain']\n[slots.a]\nx=['1']\ny=['2']", "varies nothing"),
        ("templates = ['{a']\n[slots.a]\nx=['1']\ny=['2']", "not well formed"),
        ("templates = ['{a} x']\n[slots.a]\nx=['1']\ny=[]", "no fillers"),
        ("not toml", "cannot be read"),
    ],
)
def test_wrong_plans_are_named(tmp_path, text, why):
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=why):
        prompts_from(tmp_path / "plan.toml")


def test_the_packaged_prompts_have_enough_of_everything():
    made = packaged_prompts()
    assert made.references == {"name": "men's names", "place": "a city"}
    assert len({t.cluster for t in made.trials}) == 24
    prompts = [t.load() for t in made.trials]
    assert not any("{" in p or "  " in p or p != p.strip() for p in prompts)
    sizes = {(t.attribute, t.level): set[str]() for t in made.trials}
    for t in made.trials:
        sizes[t.attribute, t.level].add(t.filler)
    assert {len(v) for v in sizes.values()} == {16}


def test_an_unknown_slot_is_refused():
    with pytest.raises(UserError, match="choose from name"):
        prompt_material([["{name} x"]], {"name": {"a": ["1"], "b": ["2"]}}, chosen=["nmae"])


def test_pairs_of_pictures_come_with_placebos(tmp_path):
    for name, colour in (("a.png", "grey"), ("b.png", "green")):
        Image.new("RGB", (16, 16), colour).save(tmp_path / name)
    rows = [
        {"image": "a.png", "base": "x", "attribute": "ground", "level": "grey"},
        {"image": "b.png", "base": "x", "attribute": "ground", "level": "green"},
    ]
    made = pictures_from(lines(tmp_path / "pairs.jsonl", rows))
    assert [t.role for t in made.trials] == ["level", "level", "placebo"]
    assert made.trials[1].load().getpixel((0, 0)) == (0, 128, 0) and made.trials[2].load().size == (16, 16)


def test_a_missing_picture_is_named(tmp_path):
    rows = [{"image": "gone.png", "base": "x", "attribute": "ground", "level": "grey"}]
    with pytest.raises(UserError, match="gone.png, which is not there"):
        pictures_from(lines(tmp_path / "pairs.jsonl", rows))
