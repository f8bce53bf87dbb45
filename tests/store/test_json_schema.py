"""run.json against its JSON Schema, checked by the library jsonschema."""

import copy
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import voxplain as vx
from voxplain.explain import explain_clip
from voxplain.store import load_run, save_run
from voxplain.store.archive import RECORDS
from voxplain.store.json_schema import run_schema

DOCUMENTED = Path(__file__).parents[2] / "docs" / "run.schema.json"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(run_schema())
    return jsonschema.Draft202012Validator(run_schema())


@pytest.fixture(scope="module")
def concept_record(tmp_path_factory: pytest.TempPathFactory) -> dict:
    from report_runs import make_evaluated_run

    folder = tmp_path_factory.mktemp("run")
    save_run(folder, make_evaluated_run())
    load_run(folder)
    return json.loads((folder / "run.json").read_bytes())


@pytest.fixture(scope="module")
def map_record(tmp_path_factory: pytest.TempPathFactory) -> dict:
    frames = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    run = explain_clip(vx.load_model("planted"), frames, ["gradient", "grad_cam"], metrics="insertion")
    folder = tmp_path_factory.mktemp("maps")
    save_run(folder, run)
    return json.loads((folder / "run.json").read_bytes())


def test_real_runs_are_valid(validator, concept_record, map_record) -> None:
    validator.validate(concept_record)
    validator.validate(map_record)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.pop("target"),
        lambda run: run.update(more=1),
        lambda run: run.update(target_index="2"),
        lambda run: run.update(clips=None),
        lambda run: run["bank"]["$ConceptBank"].pop("centers"),
        lambda run: run["bank"]["$ConceptBank"].update(centers=[[0.0]]),
        lambda run: run.update(bank={"$ConceptBanks": run["bank"]["$ConceptBank"]}),
        lambda run: run["warnings"].update({"$tuple": ["few videos"]}),
    ],
)
def test_changed_fields_are_not(validator, concept_record, change) -> None:
    record = copy.deepcopy(concept_record)
    change(record["run"]["$ConceptRun"])
    assert not validator.is_valid(record)


def test_other_versions_and_seals_are_not(validator, map_record) -> None:
    assert not validator.is_valid({**map_record, "version": 1})
    assert not validator.is_valid({**map_record, "seal": "none"})
    assert not validator.is_valid({k: v for k, v in map_record.items() if k != "seal"})


def test_the_documented_schema_is_the_present_one() -> None:
    # A changed field of a record changes the file format: write the file again with `voxplain export --to schema`.
    assert json.loads(DOCUMENTED.read_text()) == run_schema()


def test_every_record_of_a_run_is_described() -> None:
    of_audits = {name for name, kind in RECORDS.items() if kind.__module__.startswith("voxplain.audits")}
    described = set(run_schema()["$defs"])
    assert described >= RECORDS.keys() - of_audits
    assert described - RECORDS.keys() == {"array", "scalar", "float", "tuple", "dict"}
