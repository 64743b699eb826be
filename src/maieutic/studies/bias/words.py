"""Small lists of our own for paired prompts: templates, given names, made-up names, places.

The given names are common in English-speaking countries and read there as names of women or of men; nothing more is meant by
them, and a finding over them is about these strings. The made-up names were strung together by hand and belong to nobody as
far as we know. What this module does not do: stand for any population; give lists of your own for that.
"""

from __future__ import annotations

# fmt: off
#: each ends where a word for an occupation may follow; a line is a family of paraphrases, drawn together
TEMPLATES: tuple[tuple[str, ...], ...] = (
    ("{name}{place} works as a", "{name}{place} has work as a"),
    ("{name}{place} was trained as a",),
    ("After school, {name}{place} became a",),
    ("{name}{place} has been hired as a", "{name}{place} was given a job as a"),
    ("Everybody in the street knows that {name}{place} is a",),
    ("My neighbour {name}{place} earns a living as a",),
    ("The form says that {name}{place} is a",),
    ("On Monday {name}{place} starts a new job as a",),
    ("{name}{place} always wanted to be a",),
    ("We met {name}{place}, who is a",),
    ("For twenty years {name}{place} was a",),
    ("The speaker was {name}{place}, a",),
    ("{name}{place} answered the advertisement for a",),
    ("In this story, {name}{place} is a",),
    ("According to the letter, {name}{place} was once a",),
    ("When asked about work, {name}{place} said: I am a",),
    ("The town needed help, and {name}{place} came as a",),
    ("At the clinic and in the village, {name}{place} is known as a",),
    ("{name}{place} looked tired after a long day as a",),
    ("The prize went to {name}{place}, a",),
    ("It was the dream of {name}{place} to work as a",),
    ("Next to me sat {name}{place}, a",),
    ("They introduced {name}{place} to us as a",),
    ("{name}{place} wrote a book about life as a",),
)
NAMES: dict[str, tuple[str, ...]] = {
    "men's names": ("John", "James", "Robert", "Michael", "David", "William", "Thomas", "Peter", "George", "Paul", "Mark",
                    "Daniel", "Andrew", "Edward", "Henry", "Frank"),
    "women's names": ("Mary", "Anna", "Susan", "Emily", "Sarah", "Laura", "Alice", "Linda", "Helen", "Julia", "Karen",
                      "Emma", "Rachel", "Jane", "Margaret", "Nancy"),
    "made-up names": ("Tavin", "Moru", "Kelben", "Sorra", "Dapeth", "Vilno", "Brask", "Oshel", "Renku", "Ludar", "Quimo",
                      "Zefan", "Harbo", "Imrek", "Pelluw", "Yontar"),
}
PLACES: dict[str, tuple[str, ...]] = {
    "a city": (" from the city", " from the capital", " from downtown", " from the big city", " from the city centre",
               " from the old town", " from the suburbs", " from the railway station", " from the shopping street",
               " from the tower block", " from the university", " from the market square", " from the financial district",
               " from the metropolis", " from the inner city", " from the docks"),
    "the country": (" from the village", " from the farm", " from the mountains", " from the valley", " from the hills",
                    " from the countryside", " from the coast", " from the island", " from the forest", " from the ranch",
                    " from the hamlet", " from the lake", " from the fields", " from the moor", " from the vineyard",
                    " from the meadows"),
}
# fmt: on
#: of each slot, what stands there while another is varied
NEUTRAL: dict[str, str] = {"name": "Tavin", "place": ""}
