"""A harvest beside the cache of latents of eai-delphi 0.1.3: same model, hook point and tokens; time, memory, bytes.

    python benchmarks/delphi.py --cache FOLDER [--windows 128] [--layers 7,29] [--rounds 3] [--json]

The first run sets up, in ``--cache``, a virtual environment with eai-delphi (without vLLM and others that its cache does not
import; torch and transformers are those of this environment) and a copy of the packaged language model as a transformers folder.

*Tokens.* Texts of the packaged corpus joined and cut into windows of 127 tokens; with the prefix token that makes rows of 128.
delphi is given the rows as numbers, maieutic the texts, which it tokenises. *Hook point.* The MLP neurons of a layer, before the
output projection (delphi: ``transcode``). *Latents.* Neurons above a threshold in size, others 0; the threshold lets 32 of a
token's 1,536 pass on average. delphi gets that as its function of a sparse coder; the harvest as ``Sparse(threshold=…)``.

What each did:

- ``delphi``: passes of 32 rows through all layers (no LM head), every non-zero with its row, position and latent; firing counts;
  five safetensors splits written at the end (float16 values). The prefix token's latents are among them.
- ``sparse``: the harvest with every non-zero in float16, sorted by unit and mapped; beside them, of each unit, moments, histogram,
  extremes, reservoirs and a Parquet file of exemplars. One row a pass, stopped at the hooked layer.
- ``summary``: the same without non-zeros, which is what explaining needs; delphi has no such mode. It reads discover alone when
  nothing else is kept, so here all windows are discover.

The non-zeros of both are compared: same count, same places, same values but for rounding. Each is a process of its own on one
thread, in turn within a round. ``cpu`` is processor time without imports and loading; ``memory`` the peak of the resident set
above what it was once the model was loaded; ``disk`` what lies in the folder at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "0.1.3"
#: what its cache imports; eai-delphi itself comes without its own requirements, among them vLLM
NEEDED = (
    "eai-sparsify",
    "simple_parsing",
    "orjson",
    "blobfile",
    "faiss-cpu",
    "asyncer",
    "sentence_transformers",
    "aiofiles",
)
LENGTH, ACTIVE, BATCH = 127, 32, 32
KINDS = ("delphi", "sparse", "summary")


# --- setting up ----------------------------------------------------------------------------------------------------
def environment(cache: Path) -> Path:
    """A Python that can import delphi; made when it is not there."""
    python = cache / "env" / "bin" / "python"
    probe = [str(python), "-c", "import delphi.latents.cache"]
    if python.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return python
    import sysconfig

    subprocess.run([sys.executable, "-m", "venv", str(cache / "env")], check=True)
    packages = next((cache / "env" / "lib").glob("python3*/site-packages"))
    (packages / "parent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", f"eai-delphi=={VERSION}"], check=True)
    subprocess.run([*pip, *NEEDED], check=True)
    subprocess.run(probe, check=True)
    return python


def material(cache: Path, windows: int, layers: list[int]) -> dict[str, Any]:
    """Model folder, windows of exactly `LENGTH` tokens as texts and as rows, and a threshold a layer."""
    import numpy as np
    import torch

    from maieutic.stimuli import load_corpus
    from maieutic.subjects import load_subject

    subject: Any = load_subject("smollm2-135m")
    if not (cache / "model" / "config.json").exists():
        subject.model.save_pretrained(cache / "model")
    joined = "\n\n".join(s.content for s in load_corpus("text"))
    spans = subject._encode(joined)
    texts: list[str] = []
    rows: list[list[int]] = []
    for at in range(0, len(spans) - LENGTH, LENGTH):
        text = joined[spans[at][1] : spans[at + LENGTH - 1][2]]
        ids = [t for t, _, _ in subject._encode(text)]
        if len(ids) == LENGTH and text not in texts:  # a cut within a word or a character reads otherwise by itself
            texts.append(text)
            rows.append([*subject.prefix, *ids])
        if len(rows) == windows:
            break
    if len(rows) < windows:
        raise SystemExit(f"the packaged corpus gives {len(rows)} windows: ask for fewer with --windows")
    np.save(cache / "rows.npy", np.array(rows, np.int64))
    (cache / "texts.json").write_text(json.dumps(texts))
    thresholds: dict[str, float] = {}
    for layer in layers:
        site = f"layers.{layer}.mlp"
        seen = torch.cat([subject.forward([t], [site]).values[site][0].abs().flatten() for t in texts[:8]])
        thresholds[str(layer)] = float(seen.kthvalue(int(seen.numel() * (1 - ACTIVE / 1536))).values)
    return {"windows": windows, "tokens": windows * LENGTH, "thresholds": thresholds}


# --- one measurement, in a process of its own ----------------------------------------------------------------------
def peak() -> int:
    """Highest resident set since `forget`, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget() -> int:
    """Let the kernel count the peak anew; gives the present one."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def measured(work: Any, folder: Path) -> dict[str, float]:
    """Processor and wall seconds, memory and disk of some work."""
    before, cpu, wall = forget(), time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    disk = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return {"cpu": cpu, "wall": wall, "memory": float(peak() - before), "disk": float(disk)}


def theirs(cache: Path, layer: int, threshold: float, out: Path) -> dict[str, float]:
    """The cache of delphi: run and write splits, as its command line does."""
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != Path(__file__).parent]  # this file has delphi's name

    import numpy as np
    import torch
    from delphi.latents.cache import LatentCache  # pyright: ignore[reportMissingImports]
    from transformers import AutoModel

    torch.set_num_threads(1)
    model = AutoModel.from_pretrained(cache / "model", dtype=torch.float32).eval()
    rows = torch.from_numpy(np.load(cache / "rows.npy"))

    def encode(neurons: torch.Tensor) -> torch.Tensor:
        return torch.where(neurons.abs() > threshold, neurons, 0.0)

    def work() -> None:
        cached = LatentCache(model, {f"layers.{layer}.mlp.down_proj": encode}, batch_size=BATCH, transcode=True)
        cached.run(rows.numel(), rows)
        cached.save_splits(n_splits=5, save_dir=out)

    return measured(work, out)


def ours(cache: Path, layer: int, threshold: float, out: Path, *, sparse: bool) -> dict[str, float]:
    """A harvest into a run folder."""
    from dataclasses import replace

    import torch

    from maieutic.harvest import Sparse, harvest
    from maieutic.stimuli import Corpus
    from maieutic.subjects import load_subject

    torch.set_num_threads(1)
    subject = load_subject("smollm2-135m")
    _ = subject.fingerprint
    made = Corpus.from_texts(json.loads((cache / "texts.json").read_text()), name="windows")
    corpus = replace(made, stimuli=[replace(s, split="discover") for s in made])
    site = f"layers.{layer}.mlp"
    kept = Sparse(sites=(site,), threshold=threshold, precision="float16") if sparse else None
    return measured(lambda: harvest(subject, corpus, [site], run=out, keep=(), sparse=kept), out)


def same(cache: Path, out: Path, layer: int) -> dict[str, Any]:
    """Non-zeros of both, without the prefix token's: how many each has, how many are at one place, how far values are apart."""
    import numpy as np
    from safetensors.numpy import load_file

    from maieutic.harvest import SparseStore
    from maieutic.stimuli import Corpus

    found: list[Any] = []
    for file in (out / "delphi").rglob("*.safetensors"):
        data, first = load_file(file), int(file.stem.split("_")[0])
        row, position, latent = data["locations"].astype(np.int64).T
        found.append(np.stack([row, position - 1, latent + first, data["activations"].astype(np.float64)]))
    theirs = np.concatenate(found, axis=1)
    theirs = theirs[:, theirs[1] >= 0]
    made = Corpus.from_texts(json.loads((cache / "texts.json").read_text()), name="windows")
    store = SparseStore.open(out / "sparse" / "harvest" / "smollm2-135m" / "sparse")
    # positions count over all stimuli in the order read, each LENGTH long
    assert len(made) == len(store.stimulus) and (store.lengths == LENGTH).all(), "windows of one length"
    position = store.position[0].astype(np.int64)
    unit = np.repeat(np.arange(len(store.offsets[0]) - 1), np.diff(store.offsets[0]))
    place = (store.stimulus.astype(np.int64)[position // LENGTH] * LENGTH + position % LENGTH) * 1536 + unit
    order, value = np.argsort(place), store.value[0].astype(np.float64)
    other = ((theirs[0] * LENGTH + theirs[1]) * 1536 + theirs[2]).astype(np.int64)
    other_order = np.argsort(other)
    _, a, b = np.intersect1d(place[order], other[other_order], assume_unique=True, return_indices=True)
    apart = np.abs(value[order][a] - theirs[3][other_order][b])
    return {"maieutic": len(place), "delphi": len(other), "common": len(a), "apart": float(apart.max(initial=0.0))}


# --- the comparison ------------------------------------------------------------------------------------------------
def child(python: Path, kind: str, cache: Path, layer: int, threshold: float, out: Path) -> dict[str, float]:
    """Measure one kind in a process of its own."""
    import shutil

    shutil.rmtree(out / kind, ignore_errors=True)
    (out / kind).mkdir(parents=True)
    command = [
        str(python),
        __file__,
        "--cache",
        str(cache),
        "--child",
        kind,
        str(layer),
        str(threshold),
        str(out / kind),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    if done.returncode:
        raise SystemExit(f"{kind} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def show(row: dict[str, Any]) -> None:
    """Print a layer's figures."""
    print(f"layer {row['layer']}, {row['tokens']:,} tokens, non-zeros {row['same']}")
    for kind in KINDS:
        taken = row["taken"][kind]
        middle = {name: statistics.median(t[name] for t in taken) for name in taken[0]}
        pairs = zip(row["taken"]["delphi"], taken, strict=True)
        ratios = sorted(t["cpu"] / own["cpu"] for t, own in pairs)
        print(
            f"  {kind:<8} {middle['cpu']:8.1f} s cpu {middle['wall']:8.1f} s wall {middle['memory'] / 2**20:8.0f} MB memory "
            f"{middle['disk'] / 2**20:8.1f} MB disk; delphi / this: {statistics.median(ratios):.2f} "
            f"[{ratios[0]:.2f}, {ratios[-1]:.2f}] time, "
            f"{statistics.median(t['memory'] for t in row['taken']['delphi']) / middle['memory']:.1f} memory"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the environment, the model and results")
    parser.add_argument("--windows", type=int, default=128, help="of 127 tokens; multiples of 32")
    parser.add_argument("--layers", default="7,29")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    cache: Path = args.cache.resolve()
    if args.child:
        kind, layer, threshold, out = args.child
        given = (cache, int(layer), float(threshold), Path(out))
        print(json.dumps(theirs(*given) if kind == "delphi" else ours(*given, sparse=kind == "sparse")))
        return
    if args.windows % BATCH or args.windows < BATCH:
        raise SystemExit(
            f"delphi leaves out the rows of a batch that is not full: give --windows a multiple of {BATCH}"
        )
    cache.mkdir(parents=True, exist_ok=True)
    python, layers = environment(cache), [int(n) for n in args.layers.split(",")]
    about = material(cache, args.windows, layers)
    rows: list[dict[str, Any]] = []
    for layer in layers:
        taken: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for _ in range(args.rounds):
            for kind in KINDS:
                by = python if kind == "delphi" else Path(sys.executable)
                taken[kind].append(child(by, kind, cache, layer, about["thresholds"][str(layer)], cache / "out"))
        rows.append(
            {"layer": layer, "tokens": about["tokens"], "taken": taken, "same": same(cache, cache / "out", layer)}
        )
        if not args.json:
            show(rows[-1])
    if args.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
