"""The bytes of a record: what goes in comes out, and whatever is changed is found out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from starrec.store import FORMAT, CorruptRecord, Kind, OtherVersion, records

INT32 = arrays(np.int32, st.integers(0, 20))
kinds = st.sampled_from(list(Kind))
indices = st.integers(0, 2**32 - 1)


@given(kinds, indices, INT32)
def test_numbers_come_back(kind, index, values):
    raw = records.check(kind, index, records.encode(kind, index, values))
    assert np.array_equal(records.int32s(raw), values)
    assert not records.int32s(raw).flags.writeable


@given(indices, st.integers(0, 9))
def test_a_history_comes_back(index, length):
    items, times = np.arange(length, dtype=np.int32), np.arange(length, dtype=np.int64) - 2**40
    found_items, found_times = records.history(records.encode(Kind.HISTORY, index, times, items))
    assert np.array_equal(found_items, items) and np.array_equal(found_times, times)


@given(kinds, indices, kinds, indices)
def test_keys_sort_by_kind_and_index(kind, index, other_kind, other):
    assert records.parse_key(records.key(kind, index)) == (kind, index)
    in_order = records.key(kind, index) < records.key(other_kind, other)
    assert in_order == ((kind, index) < (other_kind, other))


@given(kinds, indices, INT32, st.data())
def test_any_changed_byte_is_found_out(kind, index, values, data):
    raw = bytearray(records.encode(kind, index, values))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    if at == 7:
        return  # the one byte that means nothing
    with pytest.raises((CorruptRecord, OtherVersion)):
        records.check(kind, index, bytes(raw))


@given(kinds, indices, INT32, st.data())
def test_a_cut_value_is_found_out(kind, index, values, data):
    raw = records.encode(kind, index, values)
    with pytest.raises(CorruptRecord):
        records.check(kind, index, raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(CorruptRecord):
        records.check(kind, index, raw + b"\0")


@given(kinds, indices, kinds, indices, INT32)
def test_a_value_under_another_key_is_found_out(kind, index, other_kind, other, values):
    if (kind, index) != (other_kind, other):
        with pytest.raises(CorruptRecord):
            records.check(other_kind, other, records.encode(kind, index, values))


def test_what_is_missing_or_of_another_format_says_so():
    with pytest.raises(CorruptRecord, match="missing"):
        records.check(Kind.META, 0, None)
    raw = bytearray(records.encode(Kind.META, 0, b"{}"))
    raw[4] = FORMAT + 1
    with pytest.raises(OtherVersion, match=f"format {FORMAT + 1}.*format {FORMAT}"):
        records.check(Kind.META, 0, bytes(raw))
