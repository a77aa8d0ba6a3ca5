"""The costs of stages are found again in runs that took as long as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import calibration
from bench.contest import Failed
from grt_batch.core.timing import Stage
from grt_batch.pipeline.cost_model import COSTS, IN_AND_OUT, Cost, Model

SIZES = ("text_per_byte", "text_per_job", "partial_factor", "partial_power", "table_factor", "table_power")
ONE_RANK = COSTS.keys() - {Stage.SEND, Stage.RECEIVE}


def run(folder: Path, tar: int, archives: int) -> Path:
    """Return the run.json of a run of one instance that took as long as the model says."""
    model = Model()
    text, each = model.text(tar), tar // archives
    sizes = dict.fromkeys(COSTS, text) | {
        Stage.READ: tar, Stage.MERGE: archives * model.partials(each), Stage.REDUCE: 0, Stage.SWAP: 0,
        **dict.fromkeys((Stage.TABLES, Stage.TSV, Stage.COPY), model.tables({"a": tar})),
    }  # fmt: skip
    of_archives = {Stage.GUNZIP, Stage.DECODE, Stage.LEAD, Stage.JOIN, Stage.AGGREGATE, Stage.STORE, Stage.MERGE}
    of_archives.add(Stage.REDUCE)
    seconds = {stage: model.seconds_of(stage, sizes[stage], archives if stage in of_archives else 1) for stage in COSTS}
    rank: dict[str, Any] = {
        "seconds": {stage: taken if stage in IN_AND_OUT else 99 for stage, taken in seconds.items()},
        "cpu_seconds": {stage: 99 if stage in IN_AND_OUT else taken for stage, taken in seconds.items()},
        "bytes": {**sizes, Stage.GUNZIP: text},
    }
    told = {"bytes": tar, "text_bytes": text, "jobs": text / model.text_per_job, "archives": {"published": archives}}
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({**told, "stages": [rank]}))
    rows = "".join(f"a\t{each}\n" for _ in range(archives))
    (folder / "archive.tsv").write_text(f"instance_id\tbytes\n{rows}")
    return folder / "run.json"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Runs of little and of more, in few and in many archives."""
    sizes = ((40_000_000, 4), (160_000_000, 4), (40_000_000, 100))
    return [run(tmp_path / str(number), *size) for number, size in enumerate(sizes)]


def test_the_costs_and_sizes_of_the_model_are_found_again(files: list[Path]) -> None:
    runs = [json.loads(file.read_bytes()) for file in files]
    found = calibration.costs_of(runs)
    assert found.keys() == ONE_RANK
    for stage, cost in found.items():
        assert cost.per_second == pytest.approx(COSTS[stage].per_second), stage
        assert cost.each == pytest.approx(COSTS[stage].each), stage
    sizes = calibration.sizes_of(files, runs)
    assert sizes == {name: pytest.approx(getattr(Model(), name), rel=1e-4) for name in SIZES}


def test_they_are_put_where_the_model_has_them(files: list[Path], tmp_path: Path) -> None:
    code = tmp_path / "cost_model.py"
    known = calibration.MODEL.read_text(encoding="utf-8")
    code.write_text(known, encoding="utf-8")
    calibration.main(["--runs", *map(str, files), "--write", str(code)])
    assert costs_in(code.read_text(encoding="utf-8")) == costs_in(known)
    assert f"table_factor: float = {Model().table_factor:_.0f}\n" in code.read_text(encoding="utf-8")
    slower = calibration.put({Stage.JOIN: Cost(5e6, 0.5), Stage.SWAP: Cost(each=2.0)}, {"text_per_job": 9.0}, known)
    for line in ("Stage.JOIN: Cost(5e6, 0.5),", "Stage.SWAP: Cost(each=2),", "text_per_job: float = 9\n"):
        assert line in slower


def costs_in(code: str) -> list[str]:
    """Return the lines with the costs of stages."""
    found = [line for line in code.splitlines() if "Stage." in line and ": Cost(" in line]
    assert len(found) == len(COSTS)
    return found


def test_a_stage_that_no_run_had_keeps_its_cost(files: list[Path]) -> None:
    runs = [json.loads(file.read_bytes()) for file in files]
    for one in runs:
        for what in ("seconds", "cpu_seconds", "bytes"):
            one["stages"][0][what].pop(Stage.STORE)
    assert Stage.STORE not in calibration.costs_of(runs)


def test_runs_of_one_size_show_no_law(files: list[Path]) -> None:
    with pytest.raises(SystemExit, match=r"^bench: the runs must differ in the sizes"):
        calibration.main(["--runs", str(files[0]), str(files[0])])


def test_a_model_without_a_place_for_it_stays_as_it_is() -> None:
    with pytest.raises(Failed, match="0 places"):
        calibration.put({Stage.JOIN: Cost(5e6)}, {}, "# another\n")
