"""A child process of the bench ``harvest``: read so many tokens, harvesting or not, and print the peak of memory.

    python -m maieutic.bench.harvest_memory harvest 20000 4 FOLDER

prints ``{"peak": bytes, "seconds": processor time of reading, "tokens": as the model counts them}``. On Linux the peak is
counted from when the model is loaded, elsewhere from the start. Nothing is compared here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import resource
import sys
import time
from pathlib import Path

from maieutic.harvest import harvest
from maieutic.stimuli import Corpus, load_corpus
from maieutic.stimuli.base import Stimulus
from maieutic.subjects import Subject, load_subject


def texts_of(subject: Subject, tokens: int) -> tuple[Corpus, int]:
    """A corpus of at least so many tokens, all to discover, and how many they are.

    Texts of the packaged corpus, repeated with their words turned round where they are too few.
    """
    found = [s.content for s in load_corpus("text").split("discover")]
    stimuli: list[Stimulus] = []
    total = 0
    while total < tokens:
        turn, at = divmod(len(stimuli), len(found))
        words = found[at].split(" ")
        turn %= max(len(words), 1)
        text = " ".join(words[turn:] + words[:turn]) if turn else found[at]
        total += len(subject.tokens(text))
        name = hashlib.sha256(text.encode()).hexdigest()
        stimuli.append(Stimulus(id=name, modality="text", load=lambda text=text: text, group=name, split="discover"))
    return Corpus(name="texts", modality="text", stimuli=stimuli), total


def main(what: str, tokens: int, layers: int, folder: Path) -> None:
    """Read, then print."""
    import torch

    torch.set_num_threads(1)
    subject = load_subject("smollm2-135m")
    corpus, count = texts_of(subject, tokens)
    sites = [f"layers.{n}.mlp" for n in range(layers)]
    _ = subject.fingerprint
    _forget_peak()
    begun = time.process_time()
    if what == "harvest":
        harvest(subject, corpus, sites, run=folder, keep=())
    else:
        for stimulus in corpus:
            subject.stream([stimulus.content], sites[-1:], lambda *_: None)
    seconds = time.process_time() - begun
    sys.stdout.write(json.dumps({"peak": _peak(), "seconds": seconds, "tokens": count}) + "\n")


def _forget_peak() -> None:
    """Let the kernel count the peak anew: loading a model takes more than reading with it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Bytes."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
