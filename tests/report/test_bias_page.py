"""The page of a study of bias: what it shows, and that nothing shown can become part of the page."""

from __future__ import annotations

import json
import re

import numpy as np

from maieutic.report.bias import bias_html, forest, limits, sentence, summary_lines, write_bias
from maieutic.studies.bias import Material, Trial, parse_output, run_bias
from maieutic.subjects import function_subject

SCRIPT = "<script>alert(1)</script>"


def study(effect: float, *, level: str = "yes", image: bool = False):
    """Twelve bases; the output is the effect at the level, and a small accident."""

    def accident(key: str) -> float:
        return float(np.random.default_rng(list(key.encode())).uniform(-0.1, 0.1))

    def picture(key: str, on: bool):
        from PIL import Image

        return Image.new("RGB", (32, 32), (200 if on else 100, 0, int(100 * (accident(key) + 0.1))))

    trials: list[Trial] = []
    for k in range(14):
        for value in ("no", level):
            key = f"base{k} {value}"
            load = (lambda key=key, on=value != "no": picture(key, on)) if image else (lambda key=key: key)
            trials.append(
                Trial(key=key, load=load, base=f"b{k}", cluster=f"b{k}", attribute="ground", level=value, said=key)
            )
    material = Material(
        modality="image" if image else "text", name="small", trials=tuple(trials), references={"ground": "no"}
    )
    if image:
        subject = function_subject(
            lambda ps: [np.asarray(p)[..., 0].mean() / 100 * effect for p in ps], "image", name="red"
        )
    else:
        subject = function_subject(lambda ts: [effect * ("no" not in t) + accident(t) for t in ts], name="rule")
    return run_bias(subject, material, [parse_output(subject, "output/0")])


def test_a_bias_is_said_with_its_size_and_limits():
    found = study(2.0)
    said = list(summary_lines(found))
    assert said[0] == "rule: 1 of 1 contrasts were confirmed as a bias."
    assert re.search(r"ground 'yes' for 'no' raises output/0 by (1\.9|2\.0)\d ", said[1])
    assert said[1] == sentence(found.biases[0])
    assert any("no statement about people" in line for line in limits(found))


def test_where_nothing_is_found_that_is_said():
    assert list(summary_lines(study(0.0)))[0].startswith("rule: none of 1 contrasts was confirmed")


def test_the_page_and_its_data(tmp_path):
    found = study(2.0)
    page = write_bias(found, tmp_path / "out")
    assert page.name == "bias.html" and sorted(p.name for p in page.parent.iterdir()) == ["bias.html", "bias.json"]
    html = page.read_text(encoding="utf-8")
    assert "Pairs" in html and "base" in html and "unmeasured" in html
    assert "http://" not in html and "https://" not in html and "<script" not in html
    assert json.loads((page.parent / "bias.json").read_text())["findings"][0]["verdict"] == "bias"


def test_pictures_stand_in_the_page():
    html = bias_html(study(1.0, image=True))
    assert html.count('src="data:image/webp;base64,') >= 2 and 'alt="base' in html


def test_what_is_shown_is_escaped():
    assert SCRIPT not in bias_html(study(2.0, level=SCRIPT)) and "&lt;script&gt;" in bias_html(study(2.0, level=SCRIPT))


def test_a_forest_stands_in_units_of_the_spread():
    found = study(2.0)
    spread = found.spreads["output/0"]
    scale, groups = forest(found, "output/0")
    assert spread is not None and groups[0][0] == "ground, beside 'no'"
    own = groups[0][1][0]
    assert (
        own.tone == "own"
        and own.bar is not None
        and own.said.startswith(f"{found.findings[0].effect.value / spread:+.2f}")
    )
    assert scale.low < 0 < scale.high
