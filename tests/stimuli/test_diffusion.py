"""Diffusion pipelines: tiny ones with random weights, built and saved here, loaded through the real path, offline."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maieutic.errors import UsageError, UserError
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.diffusion import (
    DiffusionEditor,
    DiffusionImaginer,
    Pipeline,
    Settings,
    noise_seed,
    read_settings,
)
from maieutic.stimuli.making import Made, load_tools, note_of
from maieutic.stimuli.user import from_images

pytest.importorskip("diffusers")

WORDS = ["a", "dog", "cat", "red", "make", "it", "snow"]


def _parts(channels: int) -> dict[str, object]:
    """U-Net of two levels, VAE of two levels, text model of two layers, a vocabulary of characters and seven words."""
    from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*letters, *(f"{c}</w>" for c in letters), *(f"{w}</w>" for w in WORDS)]
    vocabulary = {p: i for i, p in enumerate(dict.fromkeys([*pieces, "<|startoftext|>", "<|endoftext|>"]))}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16)
    text = CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, projection_dim=16, bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"], pad_token_id=vocabulary["<|endoftext|>"],
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=channels, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16, attention_head_dim=4, norm_num_groups=4,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8), in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    return {
        "unet": unet, "vae": vae, "text_encoder": CLIPTextModel(text), "tokenizer": tokenizer,
        "scheduler": PNDMScheduler(skip_prk_steps=True, steps_offset=1), "safety_checker": None, "feature_extractor": None,
        "requires_safety_checker": False,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionPipeline

    root = tmp_path_factory.mktemp("pipelines")
    StableDiffusionPipeline(**_parts(4)).save_pretrained(root / "imagine", safe_serialization=True)
    StableDiffusionInstructPix2PixPipeline(**_parts(8)).save_pretrained(root / "edit", safe_serialization=True)
    return {"imagine": root / "imagine", "edit": root / "edit"}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    from diffusers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    yield
    logging.set_verbosity(level)


def settings(folder: Path, **more: object) -> Settings:
    return Settings(model=str(folder), device="cpu", steps=2, **more)  # pyright: ignore[reportArgumentType]


def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    return from_images([rng.integers(0, 255, (40, 40, 3)).astype(np.uint8) for _ in range(12)])


def test_variations_differ_and_repeat(folders: dict[str, Path]) -> None:
    imagine = DiffusionImaginer(settings(folders["imagine"]))
    three = imagine("a red dog", n=3, seed=5)
    assert len({s.id for s in three}) == 3
    assert [s.id for s in imagine("a red dog", n=3, seed=5)] == [s.id for s in three]
    assert not {s.id for s in imagine("a red dog", n=3, seed=6)} & {s.id for s in three}
    # a longer series begins with the same pictures: each has noise of its own
    assert [s.id for s in imagine("a red dog", n=1, seed=5)] == [three[0].id]
    assert imagine("a cat", n=1, seed=5)[0].id != three[0].id
    # sixteen latent cells a side, doubled once by the VAE of two levels
    assert three[0].content.size == (32, 32)


def test_made_pictures_say_what_made_them_and_nothing_of_what_they_show(folders: dict[str, Path]) -> None:
    made = DiffusionImaginer(settings(folders["imagine"], guidance=2.5))("a dog", n=1, seed=1)[0]
    assert isinstance(made, Made) and made.split == "discover" and made.things == () and made.tags == ()
    assert made.made_by["pipeline"] == "StableDiffusionPipeline" and made.made_by["steps"] == 2
    assert made.made_by["guidance"] == 2.5 and made.made_by["seed"] == 1 and made.made_by["dtype"] == "float32"
    assert "a dog" in note_of(made)


def test_the_commit_of_a_hub_id_is_kept(folders: dict[str, Path], tmp_path: Path) -> None:
    # the folder that the hub's cache gives for a commit
    folder = tmp_path / "models--org--name" / "snapshots" / ("0a" * 20)
    shutil.copytree(folders["imagine"], folder)
    made = DiffusionImaginer(settings(folder))("a dog")[0]
    assert isinstance(made, Made) and made.made_by["revision"] == "0a" * 20


def test_sizes_are_asked_for(folders: dict[str, Path]) -> None:
    made = DiffusionImaginer(settings(folders["imagine"], size=64))("a dog")[0]
    assert made.content.size == (64, 64)


def test_weights_are_read_in_the_number_type_that_is_asked_for(folders: dict[str, Path]) -> None:
    imagine = DiffusionImaginer(settings(folders["imagine"], dtype="bfloat16"))
    made = imagine("a dog")[0]
    assert imagine._pipeline is not None and imagine._pipeline.call.unet.dtype is torch.bfloat16
    assert isinstance(made, Made) and made.made_by["dtype"] == "bfloat16" and np.asarray(made.content).any()
    with pytest.raises(UsageError, match="no number type 'int4'"):
        DiffusionImaginer(settings(folders["imagine"], dtype="int4"))("a dog")


def test_edits_depend_on_picture_instruction_and_seed(folders: dict[str, Path]) -> None:
    edit = DiffusionEditor(settings(folders["edit"], image_guidance=1.2))
    one, other = corpus().split("discover")[:2]
    made = edit(one, "make it snow", seed=0)
    assert isinstance(made, Made) and made.group == one.group and made.split == one.split
    assert made.made_by["of"] == one.id and made.made_by["image_guidance"] == 1.2
    assert edit(one, "make it snow", seed=0).id == made.id
    assert (
        len({made.id, edit(other, "make it snow").id, edit(one, "a cat").id, edit(one, "make it snow", seed=1).id}) == 4
    )


def test_tools_load_by_name_without_reading_weights(folders: dict[str, Path]) -> None:
    tools = load_tools(
        corpus(), imagine=f"diffusers:{folders['imagine']}?steps=2", edit=f"diffusers:{folders['edit']}?steps=2"
    )
    assert tools.imagine is not None and tools.imagine.name == f"diffusers:{folders['imagine']}?steps=2"
    assert tools.imagine("a dog", n=2, seed=0)[1].content.mode == "RGB"
    missing = load_tools(corpus(), imagine="diffusers:nobody/nothing")
    assert missing.imagine is not None and missing.names["imagine"] == "diffusers:nobody/nothing"


def test_the_test_split_is_not_edited(folders: dict[str, Path]) -> None:
    held = Stimulus(id="x", modality="image", split="test", load=lambda: Image.new("RGB", (8, 8)))
    with pytest.raises(UsageError, match="test split"):
        DiffusionEditor(settings(folders["edit"]))(held, "make it snow")


def test_a_pipeline_of_another_kind_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="no instruction-edit pipeline"):
        DiffusionEditor(settings(folders["imagine"]))(corpus().split("discover")[0], "make it snow")


def test_settings_that_the_pipeline_does_not_take_are_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="takes no image_guidance_scale"):
        DiffusionImaginer(settings(folders["imagine"], image_guidance=1.0))("a dog")


def test_filtered_and_black_pictures_are_failures(folders: dict[str, Path]) -> None:
    imagine = DiffusionImaginer(settings(folders["imagine"]))
    imagine("a dog")
    loaded = imagine._pipeline
    assert isinstance(loaded, Pipeline)
    real, calls = loaded.call, []

    class Filtered:
        """The real pipeline with a safety checker that flags every second picture."""

        images: list[Image.Image]
        nsfw_content_detected: list[bool]

        def __call__(self, **given: object) -> "Filtered":
            calls.append(given)
            self.images = real(**given).images
            self.nsfw_content_detected = [len(calls) % 2 == 0]
            return self

        config = real.config

    loaded.call = Filtered()
    made = imagine("a dog", n=4)
    assert len(made) == 2 and len(imagine.failed) == 2
    assert "2 of 4 pictures: flagged by the pipeline's safety checker" in note_of(made[0])

    class Black:
        config = real.config

        def __call__(self, **given: object) -> tuple[list[Image.Image]]:
            return ([Image.new("RGB", (8, 8))],)

    loaded.call = Black()
    with pytest.raises(UserError, match="made no picture .* black all over"):
        imagine("a dog", n=2)


@pytest.mark.parametrize(("part", "safe", "pickled"), [
    ("unet", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    ("text_encoder", "model.safetensors", "pytorch_model.bin"),
])  # fmt: skip
def test_weights_that_could_run_code_are_not_read(
    folders: dict[str, Path], tmp_path: Path, part: str, safe: str, pickled: str
) -> None:
    from safetensors.torch import load_file

    copy = tmp_path / "pickled"
    shutil.copytree(folders["imagine"], copy)
    weights = load_file(copy / part / safe)
    (copy / part / safe).unlink()
    torch.save(weights, copy / part / pickled)
    with pytest.raises(UserError, match=f"no file named {safe}"):
        DiffusionImaginer(settings(copy))("a dog")


def test_code_of_a_folder_is_not_run(folders: dict[str, Path], tmp_path: Path) -> None:
    copy, mark = tmp_path / "code", tmp_path / "ran"
    shutil.copytree(folders["imagine"], copy)
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "pipeline.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (copy / "unet" / "my_unet.py").write_text(f"open({str(mark)!r}, 'w')\n")
    for change in ({"_class_name": ["pipeline", "Mine"]}, {"unet": ["my_unet", "Mine"]}):
        (copy / "model_index.json").write_text(json.dumps({**index, **change}))
        with pytest.raises(UserError, match="needs code of its own"):
            DiffusionImaginer(settings(copy))("a dog")
    assert not mark.exists()


def test_folders_and_ids_that_are_no_pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="model_index.json"):
        DiffusionImaginer(settings(tmp_path))("a dog")
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")
    with pytest.raises(UserError, match="cannot load the pipeline nobody/nothing .*: check the id and the network"):
        DiffusionImaginer(Settings(model="nobody/nothing"))("a dog")


def test_settings_are_read_from_a_name(tmp_path: Path) -> None:
    found = read_settings("org/model@abc123?steps=20&guidance=5.5&size=512&device=cpu&negative=blurry")
    assert found == Settings(
        model="org/model", revision="abc123", steps=20, guidance=5.5, size=512, device="cpu", negative="blurry"
    )
    assert read_settings(found.text) == found and read_settings("org/model").text == "org/model"
    folder = tmp_path / "me@home"
    folder.mkdir()
    assert read_settings(str(folder)) == Settings(model=str(folder))
    with pytest.raises(UsageError, match=r"no setting 'step' \(did you mean 'steps'\?\)"):
        read_settings("org/model?step=2")
    with pytest.raises(UsageError, match="steps is a number, not 'many'"):
        read_settings("org/model?steps=many")
    with pytest.raises(UsageError, match="no pipeline is named"):
        read_settings("?steps=2")


def test_noise_seeds_do_not_collide() -> None:
    seeds = {noise_seed(seed, i) for seed in range(40) for i in range(40)}
    assert len(seeds) == 1600 and all(0 <= s < 2**63 for s in seeds)


def test_a_gpu_that_is_not_there_is_said(folders: dict[str, Path]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="no CUDA GPU for device=cuda"):
        DiffusionImaginer(Settings(model=str(folders["imagine"]), device="cuda"))("a dog")
