"""Tools that make and read stimuli: imagine a picture, edit one, describe pictures, write texts; found by name.

The embedded ones need no weights, no key and no network (``compositor``, ``embedded``, ``corpus``); the same calls
reach diffusion pipelines (``diffusers:ID``) and language models (``provider/model``). Whatever is made belongs to the
discover split and says how it was made. What this module does not do: measure anything, or run a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from maieutic import plugins
from maieutic.errors import UsageError
from maieutic.stimuli.base import Corpus, Stimulus

if TYPE_CHECKING:
    from PIL.Image import Image

    from maieutic.stimuli.scenes import Scene

#: kind of tool → (entry-point group, built-in factories). A factory is called as ``make(corpus, argument="", seed=0)``.
GROUPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "imagine": (
        "maieutic.imaginers",
        {
            "compositor": "maieutic.stimuli.imagine:load_imaginer",
            "diffusers": "maieutic.stimuli.diffusion:load_imaginer",
        },
    ),
    "edit": (
        "maieutic.editors",
        {
            "compositor": "maieutic.stimuli.edit_compositor:load_editor",
            "diffusers": "maieutic.stimuli.diffusion:load_editor",
        },
    ),
    "describe": (
        "maieutic.describers",
        {
            "embedded": "maieutic.stimuli.describe:load_describer",
            "model": "maieutic.stimuli.describe_model:load_describer",
        },
    ),
    "write": (
        "maieutic.writers",
        {
            "corpus": "maieutic.stimuli.write:load_writer",
            "model": "maieutic.stimuli.write_model:load_writer",
        },
    ),
}
DEFAULTS: Mapping[str, str] = {
    "imagine": "compositor",
    "edit": "compositor",
    "describe": "embedded",
    "write": "corpus",
}
#: characters of a phrase or instruction that the embedded tools read: they come from models and are matched on the host
LONGEST = 400
#: what each kind of tool is for
MODALITY: Mapping[str, str] = {"imagine": "image", "edit": "image", "describe": "image", "write": "text"}


# --- what is made ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Made(Stimulus):
    """A stimulus that a tool made, with what the tool took the request to mean.

    Attributes:
        understood: parts of the request that were done, in the tool's words.
        ignored: parts of the request that were not done, and why.
        made_by: name of the tool, its settings and seed: enough to make the same again.
    """

    understood: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    made_by: Mapping[str, str | int | float] = field(default_factory=dict[str, str | int | float], compare=False)

    @property
    def note(self) -> str:
        """One line for whoever asked: what was done and what was not."""
        parts = [", ".join(self.understood) or "made"]
        if self.ignored:
            parts.append(f"ignored: {', '.join(self.ignored)}")
        return "; ".join(parts)


def check_length(request: str, what: str) -> None:
    """Refuse a phrase or instruction that is too long to be one."""
    if len(request) > LONGEST:
        raise UsageError(f"{what} has {len(request)} characters: say it in at most {LONGEST}")


def note_of(stimulus: Stimulus) -> str:
    """How a stimulus was made, in one line; empty for one that no tool made."""
    return stimulus.note if isinstance(stimulus, Made) else ""


def made_picture(
    picture: Image,
    *,
    made_by: Mapping[str, str | int | float],
    like: Stimulus | None = None,
    understood: Sequence[str] = (),
    ignored: Sequence[str] = (),
) -> Made:
    """A picture of which nothing is known but its pixels: no things, no scene. ``like``: what it was edited from."""
    from maieutic.stimuli.scenes import image_id

    digest = image_id(picture)
    return Made(
        id=digest,
        modality="image",
        load=lambda: picture,
        group=like.group if like is not None else f"made {digest[:12]}",
        split=like.split if like is not None else "discover",
        understood=tuple(understood),
        ignored=tuple(ignored),
        made_by=dict(made_by),
    )


def made_scene(
    scene: Scene,
    *,
    made_by: Mapping[str, str | int | float],
    like: Stimulus | None = None,
    understood: Sequence[str] = (),
    ignored: Sequence[str] = (),
) -> Made:
    """A composed scene, rendered and tagged as the packaged corpora tag theirs; its things and masks are exact."""
    plain = scene.stimulus()
    return Made(
        id=plain.id,
        modality="image",
        load=plain.load,
        group=like.group if like is not None else plain.group,
        split=like.split if like is not None else "discover",
        tags=scene_tags(scene),
        things=plain.things,
        scene=scene,
        source=plain.source,
        understood=tuple(understood),
        ignored=tuple(ignored),
        made_by=dict(made_by),
    )


def scene_tags(scene: Scene) -> tuple[str, ...]:
    """How a scene was made, in the words of the packaged corpora."""
    number = ("several",) if len(scene.placements) > 1 else ("scene",)
    return (*number, f"background:{scene.background.kind}", f"background:{scene.background.name}")


# --- tools -------------------------------------------------------------------------------------------------------


@runtime_checkable
class Imagines(Protocol):
    """Words → pictures."""

    @property
    def name(self) -> str: ...

    def __call__(self, prompt: str, *, n: int = 1, seed: int = 0) -> list[Stimulus]:
        """At most ``n`` different pictures of the prompt, the same for the same seed.

        Raises:
            UserError: nothing could be made; says why and what to do.
        """
        ...


@runtime_checkable
class Edits(Protocol):
    """A picture and an instruction → a picture."""

    @property
    def name(self) -> str: ...

    def __call__(self, stimulus: Stimulus, instruction: str, *, seed: int = 0) -> Stimulus:
        """The edited picture, with the group and split of the one it was made from.

        Raises:
            UserError: the instruction cannot be followed; says what can.
        """
        ...


@runtime_checkable
class Describes(Protocol):
    """Pictures → words, by something that knows no hypotheses."""

    @property
    def name(self) -> str: ...

    def __call__(self, stimuli: Sequence[Stimulus]) -> list[str]:
        """A description of each picture, in order; one that failed begins with ``not described:`` and a reason.

        Raises:
            UserError: none could be described.
        """
        ...


@runtime_checkable
class Writes(Protocol):
    """An instruction → texts."""

    @property
    def name(self) -> str: ...

    def __call__(self, instruction: str, *, n: int = 1, seed: int = 0) -> list[Stimulus]:
        """At most ``n`` different texts, the same for the same seed (as far as a model keeps to its seed).

        Raises:
            UserError: nothing could be written; says why and what to do.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a lab offers to make stimuli with; ``None``: not offered."""

    imagine: Imagines | None = None
    edit: Edits | None = None
    describe: Describes | None = None
    write: Writes | None = None

    @property
    def names(self) -> dict[str, str]:
        """Kind → name of the tool that is offered; enough to load the same again."""
        every = {"imagine": self.imagine, "edit": self.edit, "describe": self.describe, "write": self.write}
        return {kind: tool.name for kind, tool in every.items() if tool is not None}


def load_tools(
    corpus: Corpus | Sequence[Corpus],
    *,
    imagine: str | Imagines | None = None,
    edit: str | Edits | None = None,
    describe: str | Describes | None = None,
    write: str | Writes | None = None,
    seed: int = 0,
) -> Tools:
    """Tools for a corpus by name (or ready-made). Cheap: pictures, weights and models are loaded at the first call.

    Args:
        corpus: what the lab's subjects are shown, one or several; of texts ``write`` is offered, of pictures the others
            (each over the first corpus of its kind).
        imagine, edit: ``compositor`` (default), ``diffusers:<hub id or folder>``, a plug-in's name, or ``none``.
        describe: ``embedded`` (default), a language model's name (``provider/model``), a plug-in's name, or ``none``.
        write: ``corpus`` (default), a language model's name, a plug-in's name, or ``none``.
        seed: of choices that a call's own seed leaves open.

    Raises:
        UsageError: an unknown name, or a tool named for a corpus of the other modality.
    """
    asked: dict[str, Any] = {"imagine": imagine, "edit": edit, "describe": describe, "write": write}
    corpora = [corpus] if isinstance(corpus, Corpus) else list(corpus)
    made = {kind: _tool(kind, choice, corpora, seed) for kind, choice in asked.items()}
    return Tools(imagine=made["imagine"], edit=made["edit"], describe=made["describe"], write=made["write"])


def tool_names(kind: str) -> tuple[str, ...]:
    """Names that ``load_tools`` knows for a kind of tool, plug-ins included."""
    group, built_in = GROUPS[kind]
    return plugins.names(built_in, group)


def _tool(kind: str, choice: Any, corpora: Sequence[Corpus], seed: int) -> Any:
    corpus = next((c for c in corpora if c.modality == MODALITY[kind]), None)
    if choice is None:
        choice = DEFAULTS[kind] if corpus is not None else "none"
    if choice == "none":
        return None
    if corpus is None:
        named = choice if isinstance(choice, str) else choice.name
        held = ", ".join(f"{c.name} holds {c.modality}s" for c in corpora)
        raise UsageError(f"{kind} {named!r} is for {MODALITY[kind]} units, {held}: leave --{kind} out")
    if not isinstance(choice, str):
        return choice
    group, built_in = GROUPS[kind]
    name, _, argument = choice.partition(":")
    if "/" in name:
        # the name of a language model, which may hold colons of its own
        name, argument = "model", choice
    factory = plugins.find(name, built_in, group)
    if factory is None or (name == "model" and not argument):
        raise plugins.unknown(f"{kind} tool", choice, _spelt(kind))
    return factory(corpus, argument=argument, seed=seed)


def _spelt(kind: str) -> list[str]:
    """Names as one writes them."""
    forms = {"diffusers": "diffusers:<hub id or folder>", "model": "<provider>/<model>"}
    return [*(forms.get(name, name) for name in tool_names(kind)), "none"]
