"""Values of a bank on disk: found again to the bit, bounded, and put right where they were damaged."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from banking import TEXT, Watched, alone, said, same, text_subject, units_of

from maieutic.lab import Bank
from maieutic.lab.bank_files import BankFiles, BankFolderWarning
from maieutic.subjects.base import Unit


# --- on disk ---------------------------------------------------------------------------------------------------------
def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_another_bank_finds_the_files_and_reads_the_same_bits(tmp_path: Path) -> None:
    stimuli, units = said("a cat sat", "", "on the moon"), units_of(TEXT)
    first = Bank(TEXT, sites=["low", "high"], folder=tmp_path)
    wanted, _ = first.read(stimuli, units)
    assert len(files(tmp_path)) == 3
    subject = Watched(TEXT)
    second = Bank(subject, sites=["low", "high"], folder=tmp_path)
    found, fresh = second.read(stimuli, units)
    assert same(found, wanted)
    assert (fresh, subject.passes, second.use.loaded, second.use.fresh) == ([False] * 3, [], 3, 0)


def test_other_weights_and_other_sites_have_other_files(tmp_path: Path) -> None:
    stimuli, unit = said("a cat sat"), [Unit(site="low", index=0)]
    Bank(TEXT, sites=["low"], folder=tmp_path).read(stimuli, unit)
    for subject, sites in ((text_subject(seed=1), ["low"]), (TEXT, ["low", "high"])):
        found, fresh = Bank(subject, sites=sites, folder=tmp_path).read(stimuli, unit)
        assert fresh == [True]
        assert same(found, alone(subject, stimuli, unit))
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize("harm", ["cut", "empty", "header", "value", "other"])
def test_a_damaged_file_is_measured_again_and_put_right(tmp_path: Path, harm: str) -> None:
    stimuli, unit = said("a cat sat on the mat", "another text"), [Unit(site="low", index=0)]
    Bank(TEXT, sites=["low"], folder=tmp_path).read(stimuli, unit)
    path = next(p for p in files(tmp_path) if p.stem == stimuli[0].id)
    whole = path.read_bytes()
    harmed = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "header": b"\xff" + whole[1:],
        "value": whole[:-5] + bytes([whole[-5] ^ 0x10]) + whole[-4:],
        "other": next(p for p in files(tmp_path) if p != path).read_bytes()[::-1],
    }
    path.write_bytes(harmed[harm])
    found, fresh = Bank(TEXT, sites=["low"], folder=tmp_path).read(stimuli, unit)
    assert fresh == [True, False]
    assert same(found, alone(TEXT, stimuli, unit))
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_a_warning_and_no_measurement(tmp_path: Path) -> None:
    (tmp_path / "bank").write_text("a file where a folder should be")
    bank = Bank(TEXT, sites=["low"], folder=tmp_path / "bank")
    stimuli, unit = said("one", "two"), [Unit(site="low", index=0)]
    with pytest.warns(BankFolderWarning, match="no longer kept on disk") as warned:
        found, _ = bank.read(stimuli, unit)
    assert len(warned) == 1
    assert same(found, alone(TEXT, stimuli, unit))


def test_the_folder_stays_within_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    # a text of 31 characters takes 31 x 33 x 4 = 4,092 bytes and a header: two blocks of 4 kB
    shelf, limit = BankFiles(tmp_path, limit_bytes=20 * 8192), 20 * 8192
    arrays = {"low": np.zeros((1, 31, 33), np.float32)}
    names = [f"{i:064x}" for i in range(60)]
    for i, name in enumerate(names):
        shelf.save(name, arrays)
        os.utime(tmp_path / name[:2] / f"{name}.safetensors", (i, i))
        if i > 0:
            # the first is read all the time
            assert shelf.load(names[0], ["low"]) is not None
    left = {p.stem for p in files(tmp_path)}
    assert sum(p.stat().st_blocks * 512 for p in files(tmp_path)) <= limit * 17 / 16
    assert names[0] in left
    assert names[-1] in left
    assert names[1] not in left
    assert len(left) > 10


def test_ids_that_are_no_digests_never_become_paths(tmp_path: Path) -> None:
    (good,) = said("a text")
    bank = Bank(TEXT, sites=["low"], folder=tmp_path / "bank")
    bank.read([replace(good, id="../../outside")], [Unit(site="low", index=0)])
    assert files(tmp_path) == []
