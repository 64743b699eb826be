"""Run by test_families_timm.py in a process of its own: a JSON object a line for every family of timm.

The torchvision of the package registry is built for CUDA; beside a CPU build of torch its operators are missing. Here, and
only here, they are declared (never called), so that timm can be imported.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import torch


def declare() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def helpers() -> Any:
    file = Path(__file__).with_name("conftest.py")
    spec = importlib.util.spec_from_file_location("family_helpers", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def saved(timm: Any, row: dict[str, Any], folder: Path) -> str:
    """The model of a row with random weights on disk; the name that opens it."""
    torch.manual_seed(0)
    model = timm.create_model(row["name"], pretrained=False, **row.get("args", {}))
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.normal_(std=min(0.5, (value[0].numel()) ** -0.5 * 1.5))
            elif float(value.abs().max()) < 1e-3:
                value.fill_(0.5)  # scales that begin at nearly nothing
    if row.get("file"):
        from safetensors.torch import save_file

        save_file(model.state_dict(), folder / "weights.safetensors")
        return f"timm:{row['name']}@{folder / 'weights.safetensors'}"
    data = {"input_size": [3, row["side"], row["side"]]} if "side" in row else None
    timm.models.save_for_hf(model, folder, model_args=row.get("args", {}), safe_serialization=True, data_config=data)
    return f"timm:{folder}"


def check(timm: Any, helped: Any, row: dict[str, Any], folder: Path) -> None:
    import timm.data

    from maieutic.subjects import load_subject, noise_images

    name = saved(timm, row, folder)
    subject: Any = load_subject(name)
    found = helped.pattern_of([s.name for s in subject.sites()])
    assert found == row["sites"], found
    if row.get("file"):
        from safetensors.torch import load_file

        model = timm.create_model(row["name"], pretrained=False, **row.get("args", {}))
        model.load_state_dict(load_file(folder / "weights.safetensors"))
    else:
        model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    model.eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    pictures = [p.resize((81, 64)) for p in noise_images(2, seed=7, size=81)]
    pixels = torch.stack([transform(p) for p in pictures])
    for picture, expected in zip(pictures, pixels, strict=True):
        torch.testing.assert_close(subject.preprocess(picture), expected, atol=1e-5, rtol=1e-5)
    helped.compare_pictures(subject, pictures, lambda: model(pixels), model, last=tuple(row.get("last", ())))
    helped.check_untrained(subject, pictures)


def main(table: str, folder: str) -> None:
    torch.set_num_threads(1)
    kept = declare()
    import timm

    helped = helpers()
    for family, row in json.loads(table).items():
        place = Path(folder) / family.replace(" ", "_")
        place.mkdir()
        why = ""
        try:
            check(timm, helped, row, place)
        except Exception as error:
            why = "".join(traceback.format_exception(error))[-3000:]
        print(json.dumps({"family": family, "why": why}), flush=True)
    del kept


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
