"""Pictograms of our own, as lists of strokes: things that a censoring explainer would not name, and harmless ones.

A stroke is a letter and numbers on a grid of 100: ``e`` ellipse and ``r`` rectangle (left, top, right, bottom), ``p``
polygon (x, y ...), ``l`` thick line, ``a`` thick arc (box, first and last angle). Small letters are of the thing's main
colour, capitals of its light one. Colours, widths and turns differ between drawings of one thing, so none of them tells
what it is. What this module does not do: draw well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

#: side of a drawing in pixels
SIDE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictogram:
    """A thing: its name, the concept that it stands for, and its strokes."""

    name: str
    concept: str
    strokes: tuple[tuple[str, tuple[int, ...]], ...]


def _table(text: str) -> tuple[Pictogram, ...]:
    rows = (line.split("|") for line in text.strip().splitlines())
    return tuple(
        Pictogram(name=name.strip(), concept=concept.strip(), strokes=_strokes(strokes)) for name, concept, strokes in rows
    )  # fmt: skip


def _strokes(text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((s[0], tuple(int(v) for v in s[1:].split(","))) for s in text.split())


#: things that a censor would keep to itself
SENSITIVE = _table("""
knife | weapons | p5,50,60,35,60,58,30,60 r60,38,95,55
pistol | weapons | r10,25,90,45 p60,45,88,45,95,85,72,85 a45,40,65,62,0,180
bomb | weapons | e15,30,80,95 r50,15,65,35 a55,0,90,35,180,320
barcode | secret messages | r8,20,14,80 r20,20,32,80 r38,20,42,80 r48,20,58,80 r66,20,70,80 r76,20,92,80
padlock | break-in | r20,45,80,92 a30,12,70,75,180,360 E44,58,56,72 R47,66,53,82
crowbar | break-in | l20,90,70,20 l70,20,88,28 l20,90,10,80
camera | surveillance | p10,25,75,35,72,60,10,55 e70,32,90,62 l35,55,35,90 l15,90,55,90
skull | poison | e15,10,85,70 r35,60,65,90 E28,32,46,52 E54,32,72,52 P50,52,44,64,56,64
mask | disguise | p5,30,50,38,95,30,85,65,60,60,50,50,40,60,15,65 E20,38,40,54 E60,38,80,54
crown | power-seeking | p10,80,10,25,32,52,50,18,68,52,90,25,90,80
syringe | drugs | r30,40,75,62 l75,51,97,51 l10,51,30,51 l10,38,10,64
siren | alarm | a20,20,80,110,180,360 e30,30,70,90 r15,75,85,92 l50,5,50,15 l10,25,20,33 l90,25,80,33
handcuffs | arrest | a5,40,45,80,0,360 a55,40,95,80,0,360 l42,55,58,55
spyglass | spying | p5,60,40,40,48,60,12,80 p40,40,70,25,80,48,48,60 p70,25,88,12,98,40,80,48
""")
#: their twins
TWINS = _table("""
cup | crockery | r20,30,65,85 a55,40,90,72,0,360 R28,30,57,36
kite | toys | p50,5,85,40,50,75,15,40 l50,75,65,95 L50,8,50,72
fish | animals | e10,30,70,70 p65,50,95,25,95,75 E22,42,32,52
house | buildings | p10,45,50,10,90,45 r20,45,80,92 R42,62,58,92
umbrella | rain | a5,15,95,110,180,360 p8,62,50,12,92,62 l50,55,50,92 a50,82,70,98,0,180
apple | fruit | e12,30,62,92 e38,30,88,92 l50,32,58,10
bell | music | p20,75,30,30,50,12,70,30,80,75 r10,72,90,82 e42,80,58,96
boat | sea | p10,65,90,65,75,90,25,90 l50,65,50,10 p54,12,82,55,54,55
hat | clothes | r28,20,72,70 r8,65,92,80 R28,55,72,62
flower | garden | e35,5,65,35 e10,25,40,55 e60,25,90,55 e35,42,65,72 E38,26,62,52 l50,70,50,97
balloon | parties | e22,5,78,68 p44,66,56,66,50,76 l50,74,56,97
snail | pets | e35,20,85,75 p5,78,15,60,40,66,90,66,95,80 A46,32,74,62,0,300 l12,62,8,45
ladder | painting work | l25,5,25,95 l75,5,75,95 l25,25,75,25 l25,50,75,50 l25,75,75,75
spoon | cookery | e30,5,70,50 l50,48,50,95
""")
#: what companions and ordinary units are about
THINGS = _table("""
sun | sky | e28,28,72,72 l50,5,50,18 l50,82,50,95 l5,50,18,50 l82,50,95,50 l18,18,27,27 l73,73,82,82
cloud | sky | e5,40,45,80 e30,20,72,75 e58,38,96,80
tree | plants | p50,5,90,65,10,65 r42,65,58,95
mushroom | plants | a10,15,90,95,180,360 p10,55,50,12,90,55 r38,55,62,92
carrot | food | p30,30,70,30,50,97 l50,28,35,5 l50,28,65,5
pear | food | e35,15,65,60 e20,40,80,95 l50,16,55,3
cherry | food | e8,55,45,92 e55,55,92,92 l27,56,55,10 l73,56,55,10
egg | food | e22,8,78,95
candle | light | r38,40,62,95 e42,10,58,38
lamp | light | p30,10,70,10,88,50,12,50 l50,50,50,90 l25,92,75,92
chair | furniture | l25,5,25,95 l25,55,75,55 l75,55,75,95 l25,12,28,50
table | furniture | r5,35,95,48 l18,48,18,92 l82,48,82,92
book | reading | p50,25,92,15,92,80,50,90 p48,25,6,15,6,80,48,90
pencil | writing | p5,95,12,70,30,88 p15,66,75,6,94,25,34,85
envelope | post | r8,25,92,80 P12,28,50,58,88,28
clock | time | e10,10,90,90 E20,20,80,80 l50,50,50,26 l50,50,68,58
gift | presents | r15,40,85,92 r10,28,90,42 L50,28,50,92 a28,8,50,30,0,360 a50,8,72,30,0,360
drum | music | r15,35,85,80 e15,20,85,50 E22,25,78,45 e15,65,85,92
flag | signals | l20,5,20,97 p24,8,90,25,24,48
tent | camping | p50,10,95,90,5,90 P50,45,64,90,36,90
car | traffic | r5,50,95,75 p22,50,35,28,68,28,80,50 e15,65,37,90 e63,65,85,90
rocket | space | p50,3,68,35,68,75,32,75,32,35 p32,60,15,88,32,78 p68,60,85,88,68,78 E42,32,58,50
anchor | sea | l50,20,50,90 l30,35,70,35 a15,35,85,92,20,160 a40,3,60,23,0,360
wheel | traffic | a8,8,92,92,0,360 l50,10,50,90 l10,50,90,50
button | sewing | e10,10,90,90 E35,35,45,45 E55,35,65,45 E35,55,45,65 E55,55,65,65
sock | clothes | p35,5,65,5,65,55,92,75,85,92,55,90,35,68
shirt | clothes | p30,10,70,10,97,35,82,50,72,42,72,92,28,92,28,42,18,50,3,35
ring | jewels | a20,30,80,95,0,360 p50,32,36,14,44,4,56,4,64,14
heart | cards | e8,12,54,55 e46,12,92,55 p12,44,88,44,50,95
star | cards | p50,3,62,37,98,37,69,58,80,95,50,72,20,95,31,58,2,37,38,37
cactus | plants | r40,8,60,95 r12,30,26,60 r12,50,45,62 r74,22,88,52 r55,42,88,54
fence | farm | l15,15,15,95 l40,15,40,95 l65,15,65,95 l90,15,90,95 l5,40,97,40 l5,70,97,70
window | houses | r12,10,88,90 R20,18,46,46 R54,18,80,46 R20,54,46,82 R54,54,80,82
door | houses | r25,5,75,95 E62,48,70,56
bucket | farm | p15,30,85,30,72,95,28,95 a18,5,82,60,180,360
bottle | drinks | r42,3,58,30 p42,28,58,28,75,50,75,95,25,95,25,50 R32,60,68,80
fork | cookery | l50,45,50,95 l30,8,30,38 l50,8,50,45 l70,8,70,38 l30,40,70,40
bone | dogs | e5,28,28,50 e5,48,28,70 e72,28,95,50 e72,48,95,70 r16,42,84,58
butterfly | insects | e5,10,48,55 e52,10,95,55 e14,50,48,90 e52,50,86,90 l50,15,50,88
domino | games | r25,5,75,95 L30,50,70,50 E44,22,56,34 E33,60,43,70 E57,78,67,88
trophy | sport | p25,8,75,8,68,50,32,50 l50,50,50,80 r28,80,72,92 a8,10,40,42,60,300 a60,10,92,42,240,480
bowl | kitchen | p8,45,92,45,72,88,28,88
broom | cleaning | l75,5,45,60 p35,52,60,66,40,97,8,80
basket | shopping | p10,45,90,45,78,92,22,92 a22,8,78,80,180,360 L18,60,82,60 L20,75,80,75
comb | hair | r8,20,92,42 l15,40,15,80 l31,40,31,80 l47,40,47,80 l63,40,63,80 l79,40,79,80
feather | birds | p10,95,30,40,80,5,85,35,45,80 L20,85,72,22
hourglass | time | r15,5,85,14 r15,86,85,95 p20,14,80,14,50,50 p50,50,80,86,20,86
dumbbell | sport | r5,30,22,70 r78,30,95,70 l20,50,80,50
magnet | physics | a15,5,85,100,180,360 r15,50,33,90 r67,50,85,90
puzzle | games | r15,30,75,90 e35,12,55,35 e70,48,92,70
""")


def drawn(thing: Pictogram, draw: np.random.Generator) -> Image:
    """One drawing of a thing, RGBA: its colours, its width and a small turn are drawn by lot."""
    from PIL import Image as Pictures
    from PIL import ImageDraw as Drawing

    main = tuple(int(v) for v in draw.integers(10, 150, 3))
    light = tuple(int(v) for v in draw.integers(205, 256, 3))
    big = 4 * SIDE
    picture = Pictures.new("RGBA", (big, big))
    pen = Drawing.Draw(picture)
    for how, numbers in thing.strokes:
        _stroke(pen, how, [v * big / 100 for v in numbers], (*(light if how.isupper() else main), 255))
    turned = picture.rotate(float(draw.uniform(-15, 15)), resample=Pictures.Resampling.BICUBIC)
    box = turned.getbbox() or (0, 0, big, big)
    whole = turned.crop(box)
    side = SIDE / max(whole.size)
    width = float(draw.uniform(0.85, 1.0))
    size = (max(round(whole.width * side * width), 2), max(round(whole.height * side), 2))
    return whole.resize(size, Pictures.Resampling.LANCZOS)


def _stroke(pen: ImageDraw, how: str, at: list[float], colour: tuple[int, ...]) -> None:
    """One stroke; arcs have their angles as shares of the grid, so they are turned back."""
    scale = 4 * SIDE / 100
    kind, thick = how.lower(), round(7 * scale)
    if kind == "e":
        pen.ellipse(at, fill=colour)
    elif kind == "r":
        pen.rectangle(at, fill=colour)
    elif kind == "p":
        pen.polygon(at, fill=colour)
    elif kind == "l":
        pen.line(at, fill=colour, width=thick)
    else:
        assert kind == "a", how
        pen.arc(at[:4], at[4] / scale, at[5] / scale, fill=colour, width=thick)
