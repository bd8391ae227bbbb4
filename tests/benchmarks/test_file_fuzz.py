"""A small part of the fuzz benchmark: files in every form are read as meant, and no row goes without a word."""

import pytest

import file_fuzz

PAIRS = 100


@pytest.mark.parametrize("first", range(0, PAIRS, 20))
def test_pairs_of_files(tmp_path, first):
    pairs = [file_fuzz.make(100_000 + seed, tmp_path) for seed in range(first, first + 20)]
    found = {pair.seed: (pair.faults, *file_fuzz.judge(pair)) for pair in pairs}
    assert not {seed: what for seed, what in found.items() if what[1] or what[2]}
    assert sum(not pair.faults for pair in pairs) >= 8
