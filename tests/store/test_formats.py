"""Values come back from their bytes, the same content gives the same bytes, and damage is seen."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from stored_values import RECORD_VALUE, TENSORS, VOLUME, equal

from voxplain.store.formats import ARRAYS, LABELS, RECORD


def test_the_same_content_gives_the_same_bytes_at_another_time_and_in_another_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = {f"n{i}": np.full((i, 2), i, np.float32) for i in range(9)}
    before = ARRAYS.encode(many), LABELS.encode(VOLUME), RECORD.encode({"a": 1, "b": 2})
    monkeypatch.setattr(time, "time", lambda: 2e9)
    backwards = {name: np.asfortranarray(many[name]) for name in reversed(many)}
    after = (ARRAYS.encode(backwards), LABELS.encode(np.array(VOLUME, order="F")), RECORD.encode({"b": 2, "a": 1}))
    assert before == after
    assert LABELS.encode(VOLUME.astype(">i2")) == before[1]


NUMBERS = st.sampled_from(["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", ">f4", ">i2"])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


@given(st.dictionaries(st.text(max_size=3), hnp.arrays(NUMBERS, SHAPES), max_size=3))
def test_arrays_of_any_type_shape_and_layout_come_back(arrays: dict[str, np.ndarray]) -> None:
    turned = {name: array.T[..., ::-1] if array.ndim > 1 else array for name, array in arrays.items()}
    back = ARRAYS.decode(ARRAYS.encode(turned))
    assert back.keys() == turned.keys()
    for name, array in turned.items():
        assert equal(array.astype(array.dtype.newbyteorder("=")), back[name])


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(PLAIN)
def test_records_come_back_to_the_last_bit(value: Any) -> None:
    assert equal(value, RECORD.decode(RECORD.encode(value)))


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (ARRAYS, {"x": np.array(["text"])}),
        (ARRAYS, {"x": np.zeros(2, np.complex128)}),
        (ARRAYS, {"x": [1, 2]}),
        (ARRAYS, {"x": np.ma.masked_array([1, 2], [True, False])}),
        (LABELS, np.zeros(3)),
        (LABELS, [1, 2]),
        (RECORD, {"x": np.zeros(2)}),
        (RECORD, {1: "a"}),
        (RECORD, {"__float__": "nan"}),
        (RECORD, {"x": {1, 2}}),
    ],
)
def test_values_that_would_not_come_back_are_refused(form: Any, value: Any) -> None:
    with pytest.raises(TypeError, match="expected"):
        form.encode(value)


@pytest.mark.parametrize(("form", "value"), [(ARRAYS, TENSORS), (LABELS, VOLUME), (RECORD, RECORD_VALUE)])
def test_no_cut_is_taken_for_a_whole_file(form: Any, value: Any) -> None:
    whole = form.encode(value)
    for length in range(len(whole)):
        with pytest.raises(Exception):  # noqa: B017 - parsers raise what they like, the store catches all
            form.decode(whole[:length])


@pytest.mark.parametrize(("form", "value"), [(ARRAYS, TENSORS), (LABELS, VOLUME)])
def test_a_flipped_bit_never_changes_a_value_unseen(form: Any, value: Any) -> None:
    whole = form.encode(value)
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        try:
            back = form.decode(bytes(flipped))
        except Exception:
            continue
        assert equal(value, back)  # in padding, dates and the like
