"""Pictures from diffusion pipelines: ``imagine`` by any text-to-image one, ``edit`` by any instruction-edit one.

A pipeline is a hub id or a folder, with settings behind it: ``diffusers:ID@REVISION?steps=20&size=512``. Weights are
read as safetensors only and no code of a repository runs. Every picture has a generator of its own on the CPU, seeded
by (seed, number), so n variations are n pictures and the noise does not depend on the device. What this module does
not do: check that a picture shows what was asked for (``describe`` and measurements do).
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from maieutic.errors import MissingExtraError, UsageError, UserError, did_you_mean
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.making import Made, made_picture
from maieutic.stimuli.studio import rng

if TYPE_CHECKING:
    from PIL.Image import Image

_KINDS = {"imagine": "text-to-image", "edit": "instruction-edit"}
#: libraries that components of a pipeline may come from; anything else is code of the repository
_LIBRARIES = frozenset(("diffusers", "transformers"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which pipeline, and how it is called. What is ``None`` is left to the pipeline.

    Attributes:
        model: hub id or folder.
        revision: branch, tag or commit of a hub id; give a commit for runs that can be repeated.
        variant: of the weight files (``fp16``).
        device: ``auto`` (CUDA, else Apple's MPS, else CPU), ``cpu``, ``cuda`` ..., or ``offload`` (parts go to CUDA
            as they are needed: a third of the memory, slower).
        dtype: ``float32``, ``float16``, ``bfloat16``; ``auto``: bfloat16 on CUDA, else float32.
        steps: denoising steps.
        guidance: how closely it follows the words.
        image_guidance: how closely an edit keeps to the picture (InstructPix2Pix).
        size: side of the picture in pixels.
        negative: what is not wanted.
    """

    model: str
    revision: str | None = None
    variant: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    steps: int | None = None
    guidance: float | None = None
    image_guidance: float | None = None
    size: int | None = None
    negative: str | None = None

    @property
    def text(self) -> str:
        """As one writes it; ``read_settings`` reads it back."""
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name not in ("model", "revision")]
        pairs = [f"{name}={value}" for name, value in given if value is not None and value != "auto"]
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.model}{revision}{'?' * bool(pairs)}{'&'.join(pairs)}"

    @property
    def local(self) -> bool:
        return Path(self.model).expanduser().is_dir()


def read_settings(text: str) -> Settings:
    """``ID_OR_FOLDER[@REVISION][?name=value&...]`` as settings.

    Raises:
        UsageError: no id, an unknown setting, or a value of the wrong kind.
    """
    model, _, rest = text.partition("?")
    # a folder may have an @ in its name
    revision = ""
    if not Path(model).expanduser().is_dir():
        model, _, revision = model.partition("@")
    if not model:
        raise UsageError("no pipeline is named: write  diffusers:<hub id or folder>")
    kinds = {f.name: str(f.type) for f in fields(Settings) if f.name not in ("model", "revision")}
    values: dict[str, Any] = {}
    for pair in filter(None, rest.split("&")):
        name, _, value = pair.partition("=")
        if name not in kinds:
            raise UsageError(f"no setting {name!r}{did_you_mean(name, kinds)}: choose from {', '.join(kinds)}")
        try:
            values[name] = int(value) if "int" in kinds[name] else float(value) if "float" in kinds[name] else value
        except ValueError as error:
            raise UsageError(f"the setting {name} is a number, not {value!r}: write  {name}=20") from error
    return Settings(model=model, revision=revision or None, **values)


def load_imaginer(corpus: Corpus, *, argument: str = "", seed: int = 0) -> DiffusionImaginer:
    """A text-to-image pipeline; its weights are loaded at the first call."""
    return DiffusionImaginer(read_settings(argument), seed=seed)


def load_editor(corpus: Corpus, *, argument: str = "", seed: int = 0) -> DiffusionEditor:
    """An instruction-edit pipeline; its weights are loaded at the first call."""
    return DiffusionEditor(read_settings(argument), seed=seed)


# --- tools -------------------------------------------------------------------------------------------------------


@dataclass
class DiffusionImaginer:
    """Words → pictures.

    Attributes:
        settings: of the pipeline.
        seed: added to a call's own.
        failed: why pictures of the last call did not come (a safety filter, overflow), in order.
    """

    settings: Settings
    seed: int = 0
    failed: list[str] = field(default_factory=list[str])
    _pipeline: Pipeline | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"diffusers:{self.settings.text}"

    def __call__(self, prompt: str, *, n: int = 1, seed: int = 0) -> list[Stimulus]:
        """``n`` pictures, each of its own noise; fewer where some failed (see ``failed`` and ``Made.ignored``).

        Raises:
            MissingExtraError: diffusers is not installed.
            UserError: the pipeline cannot be loaded or called, or every picture failed.
        """
        if n < 1 or not prompt.strip():
            raise UsageError("nothing to imagine: give a prompt and a number of pictures of 1 or more")
        if self._pipeline is None:
            self._pipeline = Pipeline.load(self.settings, "imagine")
        self.failed = []
        made: list[Made] = []
        for i in range(n):
            picture, why = self._pipeline.run(prompt, noise_seed(self.seed + seed, i))
            if picture is None:
                self.failed.append(why)
                continue
            made_by = {**self._pipeline.provenance, "prompt": prompt, "seed": self.seed + seed, "variation": i}
            made.append(made_picture(picture, made_by=made_by, understood=(f"asked for: {prompt}",)))
        if not made:
            raise UserError(
                f"{self.name} made no picture of {prompt!r} ({self.failed[0]}): word the prompt differently"
            )
        missing = (f"{len(self.failed)} of {n} pictures: {self.failed[0]}",) if self.failed else ()
        return [replace(m, ignored=missing) for m in made]


@dataclass
class DiffusionEditor:
    """A picture and an instruction → a picture. Attributes as of ``DiffusionImaginer``."""

    settings: Settings
    seed: int = 0
    _pipeline: Pipeline | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"diffusers:{self.settings.text}"

    def __call__(self, stimulus: Stimulus, instruction: str, *, seed: int = 0) -> Stimulus:
        """The edited picture; of what it shows nothing is known, not even what the original showed.

        Raises:
            UsageError: a text, an empty instruction, or a picture of the test split.
            UserError: the pipeline cannot be loaded or called, or its picture failed.
        """
        if stimulus.modality != "image":
            raise UsageError("only pictures can be edited by instruction: use replace, delete or insert for texts")
        if stimulus.split == "test":
            raise UsageError("this picture belongs to the test split, which no experiment may use: choose another")
        if not instruction.strip():
            raise UsageError("there is no instruction: say what to change, as in  make it snow")
        if self._pipeline is None:
            self._pipeline = Pipeline.load(self.settings, "edit")
        picture, why = self._pipeline.run(instruction, noise_seed(self.seed + seed, 0), image=stimulus.content)
        if picture is None:
            raise UserError(f"{self.name} made no edit {instruction!r} ({why}): word the instruction differently")
        made_by = {**self._pipeline.provenance, "instruction": instruction, "seed": self.seed + seed, "of": stimulus.id}
        return made_picture(picture, made_by=made_by, like=stimulus, understood=(f"asked for: {instruction}",))


def noise_seed(seed: int, number: int) -> int:
    """The seed of one picture's generator, below 2⁶³: (0, 1) and (1, 0) share no noise."""
    return int(rng(seed, "diffusion", str(number)).integers(2**63 - 1))


# --- pipelines ---------------------------------------------------------------------------------------------------


@dataclass
class Pipeline:
    """A loaded pipeline with what its call accepts."""

    settings: Settings
    call: Any
    accepts: frozenset[str]
    device: str
    dtype: str

    @classmethod
    def load(cls, settings: Settings, task: str) -> Pipeline:
        """Load it and check that it does the task. Cost: reading the weights; a hub id is downloaded once."""
        diffusers = _diffusers()
        import torch

        device = _device(settings.device)
        dtype = (
            settings.dtype if settings.dtype != "auto" else "bfloat16" if device in ("cuda", "offload") else "float32"
        )
        if dtype not in ("float32", "float16", "bfloat16"):
            raise UsageError(f"no number type {dtype!r}: choose float32, float16 or bfloat16")
        call = _loaded(diffusers, settings, task, getattr(torch, dtype))
        parameters = inspect.signature(type(call).__call__).parameters
        accepts = frozenset(parameters)
        needs = {"imagine": {"prompt"}, "edit": {"prompt", "image"}}[task]
        asks = {n for n, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
        if not needs <= accepts or asks - needs - {"self"}:
            raise UserError(
                f"{settings.model} is a {type(call).__name__}, which is no {_KINDS[task]} pipeline: choose another model"
            )
        loaded = cls(settings=settings, call=call, accepts=accepts, device=device, dtype=dtype)
        loaded._check_settings()
        call.set_progress_bar_config(disable=True)
        if device == "offload":
            call.enable_model_cpu_offload()
        else:
            call.to(device)
        return loaded

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """What is needed to make the same picture again, beside prompt and seed."""
        s = self.settings
        versions = {"pipeline": type(self.call).__name__, "diffusers": _diffusers().__version__}
        # the hub's cache keeps every commit in a folder of its name
        commit = re.search(r"snapshots[/\\]([0-9a-f]{40})", str(self.call.config.get("_name_or_path", "")))
        revision = commit.group(1) if commit else s.revision
        known = {"tool": "diffusers", "model": s.model, "revision": revision, "device": self.device,
                 "dtype": self.dtype, "steps": s.steps, "guidance": s.guidance, "image_guidance": s.image_guidance,
                 "size": s.size, "negative": s.negative, "variant": s.variant, **versions}  # fmt: skip
        return {k: v for k, v in known.items() if v is not None}

    def run(self, prompt: str, seed: int, *, image: Image | None = None) -> tuple[Image | None, str]:
        """One picture, or why there is none.

        Raises:
            UserError: the pipeline raised; with its reason in one line.
        """
        import torch

        given = self._arguments(image)
        generator = torch.Generator(device="cpu").manual_seed(seed)
        try:
            result = self.call(prompt=prompt, generator=generator, **given)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{self.settings.model} needs more GPU memory than there is: add  ?device=offload  or a smaller size"
            ) from error
        except (ValueError, RuntimeError, TypeError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise UserError(
                f"{self.settings.model} cannot be run ({reason}): change its settings or the prompt"
            ) from error
        picture: Image = (result.images if hasattr(result, "images") else result[0])[0].convert("RGB")
        flags: Any = getattr(result, "nsfw_content_detected", None)
        if flags and any(cast("list[bool]", flags)):
            return None, "flagged by the pipeline's safety checker"
        if not np.asarray(picture).any():
            return None, "the picture is black all over (a filter, or numbers overflowed: try dtype=float32)"
        return picture, ""

    # --- inside --------------------------------------------------------------------------------------------------
    def _arguments(self, image: Image | None) -> dict[str, Any]:
        s = self.settings
        wanted: dict[str, Any] = {
            "num_inference_steps": s.steps, "guidance_scale": s.guidance, "image_guidance_scale": s.image_guidance,
            "negative_prompt": s.negative, "height": s.size if image is None else None,
            "width": s.size if image is None else None,
        }  # fmt: skip
        given = {k: v for k, v in wanted.items() if v is not None}
        if image is not None:
            given["image"] = self._sized(image)
        return given

    def _sized(self, image: Image) -> Image:
        """A picture as large as the pipeline works at: the setting, else the size it was trained at where it says so."""
        from PIL import Image as Pictures

        side = self.settings.size
        if side is None:
            network = getattr(self.call, "unet", None)
            trained = getattr(getattr(network, "config", None), "sample_size", None)
            side = trained * int(self.call.vae_scale_factor) if isinstance(trained, int) else None
        image = image.convert("RGB")
        return image if side is None else image.resize((side, side), Pictures.Resampling.BICUBIC)

    def _check_settings(self) -> None:
        """A setting that the pipeline would not read is refused, not dropped."""
        names = {"steps": "num_inference_steps", "guidance": "guidance_scale", "negative": "negative_prompt",
                 "image_guidance": "image_guidance_scale"}  # fmt: skip
        for setting, argument in names.items():
            if getattr(self.settings, setting) is not None and argument not in self.accepts:
                raise UsageError(f"{type(self.call).__name__} takes no {argument}: leave the setting {setting} out")


def _diffusers() -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise MissingExtraError(package="diffusers", extra="generate", feature="making pictures from words") from error
    return diffusers


def _device(wanted: str) -> str:
    import torch

    cuda = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if cuda else "mps" if torch.backends.mps.is_available() else "cpu"
    if (wanted.startswith("cuda") or wanted == "offload") and not cuda:
        raise UserError(f"there is no CUDA GPU for device={wanted}: leave the setting out to run on the CPU")
    return wanted


def _loaded(diffusers: Any, settings: Settings, task: str, dtype: Any) -> Any:
    """The pipeline object: safetensors only, no code of the repository, no network for a folder (or offline)."""
    where = str(Path(settings.model).expanduser()) if settings.local else settings.model
    if settings.local:
        _check_folder(Path(where), settings.model)
    offline = settings.local or os.environ.get("MAIEUTIC_OFFLINE", "") not in ("", "0")
    options: dict[str, Any] = {
        "dtype": dtype, "use_safetensors": True, "trust_remote_code": False, "local_files_only": offline,
        "variant": settings.variant,
    }  # fmt: skip
    if settings.revision is not None and not settings.local:
        options["revision"] = settings.revision
    kinds = [diffusers.DiffusionPipeline]
    if task == "imagine":
        # joins what some families keep in two repositories (Kandinsky); knows no pipeline outside its list
        kinds.insert(0, diffusers.AutoPipelineForText2Image)
    reason = ""
    for kind in kinds:
        try:
            return kind.from_pretrained(where, **options)
        except (OSError, ValueError, ImportError, AttributeError, TypeError, KeyError) as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    advice = "check that it holds a pipeline with safetensors weights" if settings.local else (
        "check the id and the network, log in for gated models with  hf auth login, or give a folder"
    )  # fmt: skip
    raise UserError(f"cannot load the pipeline {settings.model} ({reason}): {advice}")


def _check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that is no pipeline or that would bring code of its own."""
    try:
        index: Mapping[str, Any] = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{name} holds no diffusers pipeline (no readable model_index.json): give its folder"
        ) from error
    parts = {k: v for k, v in index.items() if not k.startswith("_") and isinstance(v, list)}
    foreign = sorted({str(v[0]) for v in parts.values() if v and v[0] is not None and not _known_library(str(v[0]))})
    if not isinstance(index.get("_class_name"), str) or foreign:
        what = ", ".join(foreign) or str(index.get("_class_name"))
        raise UserError(f"{name} needs code of its own ({what}), which is never run: use a pipeline of diffusers")


def _known_library(name: str) -> bool:
    """Whether components of that library come with diffusers or transformers (some lie in a module of diffusers)."""
    if name in _LIBRARIES:
        return True
    return name.isidentifier() and importlib.util.find_spec(f"diffusers.pipelines.{name}") is not None
