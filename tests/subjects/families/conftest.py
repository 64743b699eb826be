"""Builders of tiny checkpoints and the manual forward passes that subjects are compared with, at every listed site.

The manual side shares nothing with the package but the paths of the modules: it loads the folder with transformers, hooks
with plain hooks of its own, prepares pictures with transformers' processor and texts with its tokenizer, one at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from maieutic.subjects import Intervention, load_subject, noise_images

STEP = 1.5  # what steering adds
#: processors that crop the short side; others resize to height and width
SHORT = ("ConvNext", "Bit", "Levit", "MobileViT", "PoolFormer", "MobileNetV1", "MobileNetV2", "CLIP")


def save_model(row: dict[str, Any], folder: Path) -> None:
    """A model with random weights in the Hugging Face format: its class and configuration as the row says."""
    import transformers

    cls = getattr(transformers, row["model"])
    torch.manual_seed(0)
    model = cls(cls.config_class(**row["config"]))
    with torch.no_grad():
        for name, value in model.named_parameters():
            # far from 0, so that what is read and what changes is no rounding; scales of normalisation stay near 1
            if value.is_floating_point() and value.ndim > 1:
                value.normal_(std=min(0.5, max(value[0].numel(), 1) ** -0.5 * 1.5))
            elif "layer_scale" in name or "gamma" in name or "lambda" in name:
                value.fill_(0.8)
    model.eval().save_pretrained(folder)


def save_processor(kind: str, side: int, folder: Path) -> None:
    """A ``preprocessor_config.json`` of a processor whose pictures have this side."""
    short = kind.removesuffix("ImageProcessor") in SHORT
    size = {"shortest_edge": side} if short else {"height": side, "width": side}
    told = {"image_processor_type": kind, "size": size, "crop_size": {"height": side, "width": side}}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))


@contextmanager
def hooked(root: nn.Module, path: str, io: str, visit: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """A plain hook on a module's output or first input; a tensor that ``visit`` gives takes its place."""
    module = root.get_submodule(path)

    def on_output(_m: Any, _a: Any, out: Any) -> Any:
        first = out[0] if isinstance(out, tuple) else out
        new = visit(first)
        return None if new is None else ((new, *out[1:]) if isinstance(out, tuple) else new)

    def on_input(_m: Any, args: Any, kwargs: Any) -> Any:
        key = None if args else next(k for k, v in kwargs.items() if isinstance(v, Tensor))
        new = visit(args[0] if key is None else kwargs[key])
        if new is None:
            return None
        return ((new, *args[1:]), kwargs) if key is None else (args, {**kwargs, key: new})

    handle = (
        module.register_forward_hook(on_output)
        if io == "out"
        else module.register_forward_pre_hook(on_input, with_kwargs=True)
    )
    try:
        yield
    finally:
        handle.remove()


def pattern_of(names: list[str]) -> str:
    """Names of sites with letters for numbers, each once: ``layers.N.{attn,mlp,resid}, pooled``."""
    general: dict[str, list[str]] = {}
    for name in names:
        name = re.sub(r"stages\.\d+\.blocks\.\d+", "stages.I.blocks.J", name)
        name = re.sub(r"(layers|blocks)\.\d+", r"\1.N", name)
        name = re.sub(r"\.act\d+", ".actK", name)
        found = re.fullmatch(r"(.*\.(?:N|J))\.(\w+)", name)
        head, tail = (found[1], found[2]) if found else (name, "")
        tails = general.setdefault(head, [])
        if tail not in tails:
            tails.append(tail)
    order = {"": "~", "attn": "a", "actK": "b", "mlp": "c", "resid": "d"}
    parts: list[str] = []
    for head, tails in general.items():
        inner = sorted((t for t in tails if t), key=lambda t: order.get(t, t))
        if "" in tails:
            parts.append(head)
        if inner:
            parts.append(f"{head}.{inner[0]}" if len(inner) == 1 else f"{head}.{{{','.join(inner)}}}")
    return ", ".join(parts)


def close(found: Any, expected: Any, what: str) -> None:
    """Equal up to rounding, which grows with the largest number on the way."""
    wanted = np.asarray(expected)
    near = 2e-4 * max(1.0, float(np.abs(wanted).max(initial=0.0)))
    np.testing.assert_allclose(np.asarray(found), wanted, atol=near, rtol=2e-4, err_msg=what)


def check_untrained(subject: Any, stimuli: list[Any]) -> None:
    """Another network, the same every time, with the same sites."""
    first, again = subject.untrained(3), subject.untrained(3)
    assert first.sites() == subject.sites()
    assert first.fingerprint == again.fingerprint != subject.fingerprint
    names = [s.name for s in subject.sites()]
    one, two, trained = (s.forward(stimuli[:1], names).values for s in (first, again, subject))
    for name in names:
        assert torch.isfinite(one[name]).all(), name
        assert torch.equal(one[name], two[name]), name
    assert any(not torch.allclose(one[n], trained[n], atol=1e-3) for n in names)


# --- pictures --------------------------------------------------------------------------------------------------------
def picture_output(result: Any, how: str) -> Tensor:
    if how == "logits":
        return result.logits
    if how == "detected":
        return result.logits.max(dim=1).values
    if how == "map":
        return result.logits.mean(dim=(-2, -1))
    if how == "tokens":
        return result.last_hidden_state.mean(dim=1)
    return getattr(result, how).flatten(1)


@pytest.fixture
def check_pictures(tmp_path: Path) -> Callable[[dict[str, Any]], None]:
    """Saves a row's model, opens it, and compares it with a manual forward at every site."""

    def check(row: dict[str, Any]) -> None:
        import transformers

        save_model(row, tmp_path)
        save_processor(row["processor"], row.get("side", 32), tmp_path)
        part = row.get("part", "")
        subject = load_subject(f"hf:{tmp_path}" + (f"#{part}" if part else ""))
        assert subject.modality == "image"
        assert pattern_of([s.name for s in subject.sites()]) == row["sites"]
        model = getattr(transformers, row["model"]).from_pretrained(tmp_path).eval()
        inner = row["inner"](model) if "inner" in row else model
        processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
        pictures = [p.resize((48, 40)) for p in noise_images(2, seed=7, size=48)]
        pixels = processor(images=pictures, return_tensors="pt")["pixel_values"]
        compare_pictures(
            subject,
            pictures,
            lambda: picture_output(inner(pixel_values=pixels), row.get("output", "logits")),
            inner,
            last=row.get("last", ()),
            prefix="inner.",
        )
        check_untrained(subject, pictures)

    return check


def compare_pictures(
    subject: Any,
    pictures: list[Any],
    call: Callable[[], Tensor],
    network: nn.Module,
    *,
    last: tuple[str, ...],
    prefix: str = "",
) -> None:
    """Readings, zero ablation and steering at every site against a manual forward.

    ``last``: ends of the names of sites whose maps have channels last; all other maps have them at axis 1.
    """
    sites = subject.sites()
    read = subject.forward(pictures, [s.name for s in sites]).values
    with torch.no_grad():
        close(subject.outputs(pictures), call(), "outputs")
    for site in sites:
        path = site.module.removeprefix(prefix)
        seen: list[Tensor] = []
        with torch.no_grad(), hooked(network, path, site.io, lambda v, seen=seen: seen.append(v.clone())):
            call()
        (value,) = seen
        axis = 1 if value.ndim == 4 and not site.name.endswith(last or ("?",)) else value.ndim - 1
        expected = value.mean(dim=[d for d in range(1, value.ndim) if d != axis]) if value.ndim > 2 else value
        close(read[site.name], expected, f"reading at {site.name}")
        assert site.width == value.shape[axis]
        index = int(expected[0].abs().argmax())
        unit = subject.unit(site.name, index)

        def edit(stood: Tensor, axis: int = axis, index: int = index) -> Tensor:
            # the first picture without the unit, the second with more of it
            new = stood.clone()
            new[0].select(axis - 1, index).zero_()
            new[1].select(axis - 1, index).add_(STEP)
            return new

        with torch.no_grad(), hooked(network, path, site.io, edit):
            expected_output = call()
        changes = [Intervention(unit=unit, kind=k, value=STEP) for k in ("ablate_zero", "add")]
        for which, change in enumerate(changes):
            found = subject.outputs(pictures[which : which + 1], interventions=[change])
            close(found[0], expected_output[which], f"{change.kind} at {site.name}")


# --- texts -----------------------------------------------------------------------------------------------------------
CLS, SEP, MASK = 259, 260, 261
TEXTS = ["red cat", "a", "the moon (v1)"]


def text_tokenizer(style: str) -> Any:
    """One token a byte. ``causal``: BOS in front is the subject's prefix; ``encoder``: ``[CLS] text [SEP]``."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    split = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", cls_token="<cls>",
        sep_token="<sep>", mask_token="<mask>",
    )  # fmt: skip
    ids = fast.convert_tokens_to_ids(["<bos>", "<eos>", "<pad>", "<cls>", "<sep>", "<mask>"])
    around = {"encoder": ("<cls>", "<sep>"), "clip": ("<bos>", "<eos>"), "t5": (None, "<eos>"), "causal": (None, None)}
    front, back = around[style]
    named = dict(zip(["<bos>", "<eos>", "<pad>", "<cls>", "<sep>", "<mask>"], ids, strict=True))
    parts = [p for p in (front, "$A", back) if p]
    if front or back:
        fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=" ".join(parts), special_tokens=[(p, named[p]) for p in parts if p != "$A"]
        )
    return fast


@pytest.fixture
def check_texts(tmp_path: Path) -> Callable[[dict[str, Any]], None]:
    """Saves a row's model, opens it, and compares it with a manual forward at every site."""

    def check(row: dict[str, Any]) -> None:
        import transformers

        save_model(row, tmp_path)
        style = row.get("style", "causal")
        text_tokenizer(style).save_pretrained(tmp_path)
        part = row.get("part", "")
        subject = load_subject(f"hf:{tmp_path}" + (f"#{part}" if part else ""))
        assert subject.modality == "text"
        assert pattern_of([s.name for s in subject.sites()]) == row["sites"]
        model = getattr(transformers, row["model"]).from_pretrained(tmp_path).eval()
        inner = row["inner"](model) if "inner" in row else model
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
        compare_with_texts(subject, inner, tokenizer, how=row.get("output", "next"), fill=row.get("fill", 0))
        check_untrained(subject, TEXTS)

    return check


def compare_with_texts(subject: Any, network: Any, tokenizer: Any, *, how: str, fill: int = 0) -> None:
    """Readings, zero ablation and steering at every site against one manual forward a text."""
    sites = subject.sites()
    read = subject.read(TEXTS, [subject.unit(s.name, i) for s in sites for i in (0, 3)])
    plain = [list(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in TEXTS]
    if how == "next":
        rows, front = [[tokenizer.bos_token_id, *p] for p in plain], 1
    else:
        rows = [list(tokenizer(t)["input_ids"]) for t in TEXTS]
        front = next(i for i in range(4) if rows[0][i : i + len(plain[0])] == plain[0])
    asked = [
        [*r[: front + len(p)], tokenizer.mask_token_id, *r[front + len(p) :]] for r, p in zip(rows, plain, strict=True)
    ]

    def call(which: int, *, out: bool = True) -> np.ndarray:
        ids = (asked if out and how == "mask" else rows)[which]
        ids = ids + [tokenizer.pad_token_id] * (fill - len(ids))
        with torch.no_grad():
            result = network(input_ids=torch.tensor([ids]))
        n = len(plain[which])
        if how == "next":
            return result.logits[0, n].numpy()
        if how == "mask":
            return result.logits[0, front + n].numpy()
        if how == "token":
            return result.logits[0, front : front + n].mean(0).numpy()
        if how == "embedding":
            return result.last_hidden_state[0, front : front + n].mean(0).numpy()
        return (result.logits if how == "class" else result.pooler_output)[0].numpy()

    close(subject.outputs(TEXTS), np.stack([call(i) for i in range(len(TEXTS))]), "outputs")
    for number, site in enumerate(sites):
        index = 3
        for i in range(len(TEXTS)):
            seen: list[Tensor] = []
            with hooked(network, site.module, site.io, lambda v, seen=seen: seen.append(v.clone())):
                call(i, out=False)
            expected = seen[0][0, front : front + len(plain[i])]
            assert expected.shape == (len(plain[i]), site.width)
            close(read[i][:, 2 * number : 2 * number + 2], expected[:, [0, 3]], f"reading at {site.name}")
        for kind in ("ablate_zero", "add"):
            change = Intervention(unit=subject.unit(site.name, index), kind=kind, value=STEP)
            found = subject.outputs(TEXTS, interventions=[change])
            for i in (0, 2):

                def edit(stood: Tensor, kind: str = kind, i: int = i, index: int = index) -> Tensor:
                    new = stood.clone()
                    place = new[0, front : front + len(plain[i]), index]
                    place.copy_(torch.zeros_like(place) if kind == "ablate_zero" else place + STEP)
                    return new

                with hooked(network, site.module, site.io, edit):
                    close(found[i], call(i), f"{kind} at {site.name}")
    check_each(subject)


def check_each(subject: Any) -> None:
    """Many changes of each text at once, against one change of one text at a time read as a whole."""
    texts = [*TEXTS, "red cat"]
    units = [subject.unit(s.name, 3) for s in subject.sites()]
    made = [Intervention(unit=u, kind=k, value=STEP, at=-1) for u in units for k in ("set", "add")]
    changes: list[list[Intervention | None]] = [[None, *made], [], [made[1], None], made[::-1]]
    found = list(subject.outputs_each(texts, changes))
    assert [len(f) for f in found] == [1 + len(made), 0, 2, len(made)]
    for text, given, rows in zip(texts, changes, found, strict=True):
        for change, row in zip(given, rows, strict=True):
            whole = subject.outputs([text], interventions=[] if change is None else [change])[0]
            close(row, whole, f"{change} in {text!r}")


@pytest.fixture
def compare_texts() -> Callable[..., None]:
    return compare_with_texts


@pytest.fixture
def pattern() -> Callable[[list[str]], str]:
    return pattern_of


@pytest.fixture(name="save_model")
def _save_model() -> Callable[[dict[str, Any], Path], None]:
    return save_model


@pytest.fixture(name="save_processor")
def _save_processor() -> Callable[[str, int, Path], None]:
    return save_processor


@pytest.fixture(name="text_tokenizer")
def _text_tokenizer() -> Callable[[str], Any]:
    return text_tokenizer
