"""Results under hashes lie in folders of their first digits; those of earlier versions are found where they are."""

from pathlib import Path

from voxplain.files import remove_abandoned
from voxplain.store import Store, key
from voxplain.store.disk import gather


def never() -> int:
    raise AssertionError("made again although it was there")


def test_no_folder_holds_all_results(tmp_path: Path):
    store, keys = Store(tmp_path), [key("step", 1, number=i) for i in range(600)]
    for number, name in enumerate(keys[:50]):
        store.record("step", name, lambda number=number: number)
    assert all(path.parent.name == path.name[:2] for path in tmp_path.glob("step/*/*.json"))
    assert store.names("step") == tuple(sorted(keys[:50]))
    assert [entry.key for entry in store.describe()] == sorted(keys[:50])
    assert all(store.has("record", "step", name) for name in keys[:50])
    assert not store.has("record", "step", keys[50])
    assert len({name[:2] for name in keys}) > 200, "the first digits divide the keys evenly"


def test_a_result_of_an_earlier_version_is_found(tmp_path: Path):
    store, name = Store(tmp_path), key("step", 1, number=1)
    store.record("step", name, lambda: 7)
    (shared,) = tmp_path.glob("step/*/*.json")
    flat = tmp_path / "step" / shared.name
    shared.rename(flat)
    assert store.record("step", name, never) == 7
    assert store.has("record", "step", name)
    assert store.names("step") == (name,)
    assert [entry.size for entry in store.describe()] == [flat.stat().st_size]
    other = Store(tmp_path / "other")
    assert gather(other, [tmp_path]) == 1
    assert other.record("step", name, never) == 7
    assert gather(other, [tmp_path]) == 0


def test_what_a_killed_process_left_in_any_folder_of_a_store_goes(tmp_path: Path):
    left = tmp_path / "run" / "store" / "step" / "ab" / ".abcd.json.0123.voxplain-tmp"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    Store(tmp_path / "run" / "store")
    assert not left.exists()
    left.write_text("half")
    remove_abandoned(tmp_path / "run")
    assert not left.exists()
