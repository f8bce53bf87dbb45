"""A key is shared by equal inputs and by no others."""

import copy
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voxplain.errors import DataError
from voxplain.store import content_hash, key


@dataclasses.dataclass(frozen=True)
class SLIC:
    segments: tuple[object, ...] = (15, 50, 80)
    compactness: object = 20.0


@dataclasses.dataclass(frozen=True)
class Grid:
    segments: tuple[object, ...] = (15, 50, 80)
    compactness: object = 20.0


@dataclasses.dataclass(frozen=True)
class Threads:
    seed: int = 0
    workers: int = dataclasses.field(default=1, compare=False)


# Few and similar leaves, so that hypothesis often draws two values that a careless key would confuse.
NUMBERS = st.sampled_from([True, False, 0, 1, -1, 0.0, -0.0, 1.0, math.nan, math.inf, -math.inf])
NAMES = st.sampled_from(["a", "b", "__float__", "__dict__", "__type__", "fields"])
LEAVES = st.none() | NUMBERS | NAMES | st.sampled_from(["", "1", "true", "nan", "é"])


def nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    few = st.lists(inner, max_size=2)
    kinds = st.sampled_from([SLIC, Grid])
    made = st.builds(lambda kind, s, c: kind(tuple(s), c), kinds, few, inner)
    return few | few.map(tuple) | st.dictionaries(NAMES, inner, max_size=2) | made


VALUES = st.recursive(LEAVES, nested, max_leaves=4)


def same(a: object, b: object) -> bool:
    """Equality as keys promise it, written without any text form."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, SLIC | Grid) and isinstance(b, SLIC | Grid):
        return same(a.segments, b.segments) and same(a.compactness, b.compactness)
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


@given(VALUES, VALUES)
def test_two_values_share_a_key_only_if_they_are_equal(a: object, b: object) -> None:
    assert (key("s", 1, x=a) == key("s", 1, x=b)) == same(a, b)
    assert key("s", 1, x=a) == key("s", 1, x=copy.deepcopy(a))


ARRAYS = hnp.arrays(
    st.sampled_from([np.uint8, np.int16, np.int64, np.float32, np.float64, np.bool_, "U3", "S2", "c8"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@given(ARRAYS, st.data())
def test_one_flipped_byte_another_shape_or_type_changes_an_array_key(array: np.ndarray, data: st.DataObject) -> None:
    name = key("s", 1, x=array)
    assert key("s", 1, x=array.copy()) == name
    assert key("s", 1, x=np.array(array, order="F")) == name
    assert key("s", 1, x=array.astype(array.dtype.newbyteorder(">"))) == name
    assert key("s", 1, x=array[np.newaxis]) != name
    if array.dtype.kind in "if":
        assert key("s", 1, x=array.view(f"u{array.dtype.itemsize}")) != name
    if array.nbytes and array.dtype.kind != "U":
        flipped = bytearray(array.tobytes())
        flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        other = np.frombuffer(bytes(flipped), dtype=array.dtype).reshape(array.shape)
        assert key("s", 1, x=other) != name


def test_step_version_and_input_name_count_and_order_does_not() -> None:
    keys = [key("a", 1), key("b", 1), key("a", 2), key("a", 1, x=None), key("a", 1, y=None)]
    assert len(set(keys)) == len(keys)
    assert key("a", 1, x=1, y=2) == key("a", 1, y=2, x=1)
    assert key("a", 1, step="b", version=3) != key("a", 1)
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in keys)


def test_a_key_is_the_same_in_every_process_and_release() -> None:
    # Pinned: a change here silently throws away everybody's results, so it has to be meant.
    inputs = {"segments": (15, 50), "sigma": 1.0, "labels": np.arange(3, dtype=np.int16)}
    assert key("supervoxels", 1, **inputs) == "b8219b21d4df2da80072552dbd71cd8c"


def test_numpy_scalars_are_the_numbers_they_hold() -> None:
    assert key("s", 1, x=np.int64(5), y=np.float64(0.5), z=np.bool_(True)) == key("s", 1, x=5, y=0.5, z=True)


def test_fields_that_do_not_take_part_in_equality_do_not_change_the_key() -> None:
    assert key("s", 1, x=Threads(workers=1)) == key("s", 1, x=Threads(workers=8))
    assert key("s", 1, x=Threads(seed=0)) != key("s", 1, x=Threads(seed=1))


def test_a_file_counts_by_content_and_not_by_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    one.write_bytes(b"x" * 3_000_000)
    two.write_bytes(b"x" * 3_000_000)
    assert key("s", 1, x=one) == key("s", 1, x=two)
    two.write_bytes(b"x" * 2_999_999 + b"y")
    assert key("s", 1, x=one) != key("s", 1, x=two)
    assert key("s", 1, x=one) != key("s", 1, x=str(one))
    # sha256 of nothing, from FIPS 180
    two.write_bytes(b"")
    assert content_hash(two) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_folder_counts_by_the_names_and_content_in_it(tmp_path: Path) -> None:
    def frames(name: str, files: dict[str, bytes]) -> Path:
        for file, data in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path / name

    first = key("s", 1, x=frames("a", {"1.png": b"1", "more/2.png": b"2"}))
    assert first == key("s", 1, x=frames("b", {"more/2.png": b"2", "1.png": b"1"}))
    assert first != key("s", 1, x=frames("c", {"1.png": b"1", "2.png": b"2"}))
    assert first != key("s", 1, x=frames("d", {"1.png": b"1", "more/2.png": b"3"}))


def test_a_missing_path_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.mp4"):
        key("s", 1, x=tmp_path / "gone.mp4")


@pytest.mark.parametrize(
    "make",
    [
        lambda: len,
        lambda: {1, 2},
        lambda: {1: "a"},
        lambda: object(),
        lambda: b"bytes",
        lambda: 1j,
        lambda: np.array([object()]),
        lambda: np.ma.masked_array([1, 2], [True, False]),
        lambda: np.zeros(2, np.longdouble),
        lambda: np.zeros(2, "datetime64[s]"),
        lambda: SLIC,
    ],
)
def test_what_cannot_be_told_apart_is_refused_with_its_place(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="expected"):
        key("s", 1, model=make())
    with pytest.raises(TypeError, match=r"got|model\['deep'\]\[1\]"):
        key("s", 1, model={"deep": (0, make())})


def test_a_dict_that_looks_like_a_tag_is_no_forgery() -> None:
    grid, array = Grid(), np.arange(3)
    fields = {"segments": [15, 50, 80], "compactness": 20.0}
    forged = [{"__type__": f"{__name__}.Grid", "fields": fields}, {"__array__": content_hash(array)}]
    forged += [{"__float__": "nan"}, {"__dict__": {"a": 1}}]
    for truth, dict_of_it in zip([grid, array, math.nan, {"a": 1}], forged, strict=True):
        assert key("s", 1, x=truth) != key("s", 1, x=dict_of_it)
