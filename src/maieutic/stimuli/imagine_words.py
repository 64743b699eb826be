"""What the compositor's English means: numbers, colours, sizes, places, grounds and effects, as tables by hand.

What this module does not do: name objects (those come from the picture library and WordNet), or parse.
"""

from __future__ import annotations

from collections.abc import Mapping

#: the most objects of one scene
MOST = 9
# fmt: off
NUMBERS: Mapping[str, int] = {
    "a": 1, "an": 1, "one": 1, "single": 1, "lone": 1, "two": 2, "both": 2, "couple": 2, "pair": 2, "three": 3,
    "few": 3, "trio": 3, "four": 4, "several": 4, "some": 3, "five": 5, "group": 5, "flock": 5, "herd": 5, "bunch": 5,
    "pack": 5, "six": 6, "many": 6, "lots": 6, "crowd": 6, "seven": 7, "eight": 8, "nine": 9, "dozen": 9,
}
#: colour words → RGB; hue, saturation and light of a recoloured object or a plain ground
COLOURS: Mapping[str, str] = {
    "black": "#101010", "white": "#ffffff", "grey": "#808080", "red": "#c8281e", "orange": "#e8801e",
    "yellow": "#e8d21e", "green": "#3c9a3c", "blue": "#285ac8", "purple": "#7d3cb4", "violet": "#7d3cb4",
    "pink": "#f08cb4", "brown": "#7d5a3c", "cyan": "#28c8c8", "turquoise": "#28c8b4", "teal": "#148080",
    "beige": "#d9cbb0", "magenta": "#c828a0", "gold": "#d4a82a", "golden": "#d4a82a", "silver": "#c0c0c4",
    "navy": "#14285a", "tan": "#c8aa78", "crimson": "#b4142d", "maroon": "#6e1423", "lime": "#8cd228",
    "turquois": "#28c8b4", "cream": "#f5eedc",
}
SPELLINGS: Mapping[str, str] = {
    "gray": "grey", "greyish": "grey", "grayish": "grey", "reddish": "red", "bluish": "blue", "greenish": "green",
    "yellowish": "yellow", "brownish": "brown", "colored": "coloured", "color": "colour", "center": "centre",
    "centered": "centred", "grayscale": "greyscale", "blurry": "blurred", "upsidedown": "upside down",
    "picture": "image", "photo": "image", "photograph": "image", "painting": "image", "drawing": "image",
    "monochrome": "greyscale", "flipped": "mirrored", "inverted": "upside down", "backdrop": "background",
}
#: longest side of an object as a fraction of the frame
SIZES: Mapping[str, float] = {
    "tiny": 0.18, "very small": 0.18, "small": 0.32, "little": 0.32, "mini": 0.25, "miniature": 0.25, "distant": 0.22,
    "far": 0.22, "big": 0.9, "large": 0.9, "huge": 1.0, "giant": 1.0, "enormous": 1.0, "close-up": 1.0, "closeup": 1.0,
    "close": 0.95, "medium": 0.6,
}
#: centre of an object in fractions of the frame; ``None``: left open
PLACES: Mapping[str, tuple[float | None, float | None]] = {
    "top left": (0.22, 0.22), "upper left": (0.22, 0.22), "top right": (0.78, 0.22), "upper right": (0.78, 0.22),
    "bottom left": (0.22, 0.78), "lower left": (0.22, 0.78), "bottom right": (0.78, 0.78),
    "lower right": (0.78, 0.78), "left": (0.22, None), "right": (0.78, None), "top": (None, 0.22),
    "upper": (None, 0.22), "bottom": (None, 0.78), "lower": (None, 0.78), "centre": (0.5, 0.5), "middle": (0.5, 0.5),
    "centred": (0.5, 0.5), "corner": (0.2, 0.2),
}
#: how two objects stand to each other: from the first to the second, in words that follow the first
RELATIONS: Mapping[str, str] = {
    "to the left of": "left", "left of": "left", "on the left of": "left", "to the right of": "right",
    "right of": "right", "on the right of": "right", "above": "above", "over": "above", "on top of": "above",
    "below": "below", "under": "below", "beneath": "below", "underneath": "below", "in front of": "front",
    "before": "front", "behind": "behind", "beside": "beside", "next to": "beside", "near": "beside", "by": "beside",
    "with": "beside", "and": "beside", "alongside": "beside", "around": "beside", "facing": "beside", "plus": "beside",
}
#: effects over the whole picture
EFFECTS: Mapping[str, tuple[str, float]] = {
    "black and white": ("grey", 0.0), "in black and white": ("grey", 0.0), "greyscale": ("grey", 0.0),
    "without colour": ("grey", 0.0),
    "without colours": ("grey", 0.0), "in grey": ("grey", 0.0), "no colour": ("grey", 0.0),
    "desaturated": ("grey", 0.0), "blurred": ("blur", 4.0), "out of focus": ("blur", 4.0),
    "very blurred": ("blur", 8.0), "upside down": ("turn", 180.0), "upside-down": ("turn", 180.0),
    "rotated": ("turn", 90.0), "sideways": ("turn", 90.0), "tilted": ("turn", 25.0), "mirrored": ("mirror", 0.0),
    "in false colours": ("hue", 180.0),
}
#: places of the world → textures of the library, then photo concepts, then a plain colour with some shade
GROUNDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "grass": (("grass",), (), "#5c8f3a"), "lawn": (("grass",), (), "#5c8f3a"), "meadow": (("grass",), (), "#6d9a45"),
    "field": (("grass",), (), "#8a9a4a"), "park": (("grass",), (), "#5c8f3a"), "garden": (("leaves",), (), "#4f7f3a"),
    "forest": (("leaves",), ("forest",), "#2f5a30"), "woods": (("leaves",), ("forest",), "#2f5a30"),
    "jungle": (("leaves",), ("forest",), "#2a6430"), "foliage": (("leaves",), (), "#3c6a34"),
    "beach": (("sand",), ("beach", "coast", "seashore"), "#d8c494"), "sand": (("sand",), ("beach",), "#d8c494"),
    "desert": (("sand", "terra"), ("desert",), "#d2ae78"), "savanna": (("terra",), (), "#c2a45e"),
    "soil": (("ground", "terra"), (), "#6e4f35"), "earth": (("ground", "terra"), (), "#6e4f35"),
    "ground": (("ground", "terra"), (), "#8a7658"), "dirt": (("ground", "terra"), (), "#6e4f35"),
    "mud": (("ground", "terra"), (), "#5a4030"), "sky": (("sky",), (), "#8fbde6"),
    "air": (("sky",), (), "#8fbde6"), "clouds": (("sky",), (), "#b8cfe0"), "night sky": (("starfield",), (), "#0c1024"),
    "space": (("starfield",), (), "#08080f"), "night": (("starfield",), (), "#0c1024"),
    "water": (("pool",), (), "#2f78a8"), "sea": (("pool",), ("sea",), "#246a9c"),
    "ocean": (("pool",), ("sea",), "#1f5f92"), "lake": (("pool",), ("lake",), "#3a7c9c"),
    "river": (("pool",), ("river",), "#3f7f94"), "pool": (("pool",), (), "#4aa8c8"),
    "snow": (("ice",), (), "#eef3f8"), "ice": (("ice",), (), "#cfe4f0"), "road": (("slate",), ("road",), "#6a6a6c"),
    "street": (("slate",), ("street", "building"), "#707074"), "city": ((), ("building",), "#8c8c90"),
    "town": ((), ("building",), "#9a948c"), "building": ((), ("building",), "#a09888"),
    "house": ((), ("house", "building"), "#b09c84"), "castle": ((), ("castle", "palace"), "#a09080"),
    "mountain": (("rock",), ("cliff", "landscape"), "#8a8f94"), "mountains": (("rock",), ("landscape",), "#8a8f94"),
    "rocks": (("rock", "stone"), ("cliff",), "#86807a"), "cliff": (("rock", "stone"), ("cliff",), "#86807a"),
    "landscape": ((), ("landscape", "monument"), "#94a284"), "wall": (("brick", "stone"), (), "#b0a498"),
    "bricks": (("brick",), (), "#a4553c"), "brick": (("brick",), (), "#a4553c"),
    "rock": (("rock", "stone"), (), "#86807a"), "leaf": (("leaves",), (), "#3c6a34"), "floor": (("parque", "wood"), (), "#a07c54"),
    "table": (("wood",), (), "#8a6440"), "plate": ((), (), "#f2f2f0"), "studio": ((), (), "#d9d9d9"),
    "cloth": (("burlap",), (), "#bfae94"), "fabric": (("burlap",), (), "#bfae94"),
    "chocolate": (("choc swirl",), (), "#4a2c1c"), "coffee": (("java",), (), "#3c2a1e"),
    "storm": (("lightning",), (), "#3a4050"),
}
#: adjectives → the texture they speak of
MATERIALS: Mapping[str, str] = {
    "wooden": "wood", "stony": "stone", "icy": "ice", "rocky": "rock", "leafy": "leaves", "woven": "burlap",
    "marbled": "marble", "leathery": "leather",
}
#: words that carry nothing here
EMPTY: frozenset[str] = frozenset((
    "image", "of", "the", "that", "is", "are", "it", "there", "showing", "shows", "show", "please", "very", "realistic",
    "photorealistic", "professional", "quality", "high", "detailed", "view", "scene", "object", "standing", "sitting",
    "lying", "placed", "which", "being", "seen", "its", "their", "just", "only", "depicting", "containing", "filled",
    "looking", "at", "front", "side", "isolated", "full", "whole", "entire", "frame", "from", "for", "to", "background",
    "coloured", "colour", "plain", "simple", "natural", "animal-free", "one's", "has", "have", "as", "in", "on",
    "against", "inside", "into", "onto", "part", "kind", "type", "typical", "random",
))
#: words of a picture without any object
BARE: frozenset[str] = frozenset((
    "texture", "pattern", "surface", "background", "image", "colour", "ground", "field", "canvas",
))
# fmt: on
