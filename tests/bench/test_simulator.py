"""Ranks in virtual time: no work is lost or made up, more ranks help, and the real coordinator hands it out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from bench import simulator
from bench.contest import Cost as Took
from bench.contest import Failed
from bench.machine import Machine
from bench.simulation import SimulatedRun, Simulation
from grt_batch.core.config import Config
from grt_batch.core.timing import Stage
from grt_batch.pipeline.cost_model import Cost, Model, Work
from grt_batch.pipeline.request import RunRequest, RunSummary

MB = 10**6
WORKS = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(1, 60 * MB), min_size=1, max_size=4), min_size=1, max_size=3
).map(Work)
SKEWED = Work({"big": [40 * MB] * 60, **{str(number): [10 * MB // 9] * 60 for number in range(9)}})
"""One of ten instances has 80 % of the bytes."""


RATES = {
    Stage.READ: Cost(1_000e6),
    Stage.GUNZIP: Cost(500e6, 0.004),
    Stage.DECODE: Cost(500e6, 0.004),
    Stage.LEAD: Cost(1_500e6, 0.006),
    Stage.JOIN: Cost(1_700e6, 0.006),
    Stage.AGGREGATE: Cost(500e6, 0.03),
    Stage.STORE: Cost(450e6, 0.03),
    Stage.REDUCE: Cost(each=0.001),
    Stage.MERGE: Cost(80e6, 0.015),
    Stage.TABLES: Cost(45e6),
    Stage.TSV: Cost(400e6, 0.02),
    Stage.COPY: Cost(45e6, 0.2),
    Stage.SWAP: Cost(each=0.04),
    Stage.SEND: Cost(2_000e6, 40e-6),
    Stage.RECEIVE: Cost(2_000e6, 40e-6),
}
MODEL = Model(
    costs=RATES,
    start=1.5,
    prepare=0.75,
    warm=0.4,
    partial_factor=16.5,
    partial_power=0.72,
    table_factor=15_000,
    table_power=0.4,
)
"""A machine that nobody has: what is said of more ranks must not hang on the last calibration."""


def simulated(work: Work, ranks: int, **options: object) -> SimulatedRun:
    return Simulation(work, ranks, MODEL, **options).run()  # type: ignore[arg-type]


def of_all(outcome: SimulatedRun) -> Counter[Stage]:
    total: Counter[Stage] = Counter()
    for stages in outcome.busy.values():
        total.update(stages)
    return total


@examples(30)
@given(work=WORKS, ranks=st.integers(2, 9), cores=st.sampled_from([1, 2, 100]))
def test_every_byte_is_worked_at_once(work: Work, ranks: int, cores: int) -> None:
    model = MODEL
    outcome = simulated(work, ranks, cores=cores)
    found = of_all(outcome)
    texts = [model.text(size) for size in work.archives]
    for stage in (Stage.GUNZIP, Stage.JOIN, Stage.STORE):
        assert found[stage] == pytest.approx(sum(model.seconds_of(stage, text) for text in texts)), stage
    warm = found[Stage.DECODE] - sum(model.seconds_of(Stage.DECODE, text) for text in texts)
    assert warm == pytest.approx(model.warm * round(warm / model.warm))
    assert model.warm - 1e-6 < warm < model.warm * ranks
    assert found[Stage.READ] == pytest.approx(model.seconds_of(Stage.READ, sum(work.archives)))
    # No core did two things at a time, and no rank.
    assert outcome.reduced * min(cores, ranks) >= sum(outcome.busy_reducing.values()) - found[Stage.READ] - 1e-6
    assert all(busy <= outcome.reduced + 1e-6 for busy in outcome.busy_reducing.values())


@pytest.mark.parametrize(
    "work",
    [SKEWED, Work({"a": [10 * MB] * 40}), Work({"a": [400 * MB]}), Work({"a": [200 * MB, MB], "b": [30 * MB] * 7})],
    ids=["skewed", "even", "one archive", "mixed"],
)
def test_more_ranks_are_never_slower(work: Work) -> None:
    seconds = [simulated(work, ranks).reduced for ranks in (2, 3, 4, 6, 9, 17, 33, 65)]
    for fewer, more in pairwise(seconds):
        assert more <= fewer + 0.01
    assert seconds[2] < 0.85 * seconds[0]


@pytest.mark.parametrize("ranks", [5, 17, 33])
def test_nobody_idles_where_one_instance_has_nearly_all(ranks: int) -> None:
    outcome = simulated(SKEWED, ranks)
    assert outcome.idle <= 0.1
    assert outcome.coordinating <= 0.3


def test_a_single_archive_is_shared_as_far_as_its_leader_allows() -> None:
    model, tar = MODEL, 400 * MB
    work = Work({"a": [tar]})
    alone, helped = (simulated(work, ranks).reduced for ranks in (2, 9))
    assert alone == pytest.approx(model.prepare + model.warm + model.alone(tar), rel=0.05)
    assert model.prepare + model.before(tar) < helped < 0.75 * alone


def test_one_rank_does_all_one_after_another() -> None:
    model = MODEL
    outcome = simulated(Work({"a": [MB, 2 * MB]}), 1)
    assert outcome.reduced == pytest.approx(model.prepare + model.warm + model.alone(MB) + model.alone(2 * MB))
    assert outcome.seconds > outcome.reduced


def test_the_model_of_the_plan_says_the_same() -> None:
    for work, ranks in ((SKEWED, 9), (SKEWED, 17), (Work({"a": [10 * MB] * 40}), 5)):
        wanted = MODEL.seconds(work, ranks) - MODEL.start
        assert simulated(work, ranks).seconds == pytest.approx(wanted, rel=0.1)


def test_cores_are_shared() -> None:
    work = Work({"a": [10 * MB] * 24})
    one, two, four = (simulated(work, 5, cores=cores).reduced for cores in (1, 2, 4))
    assert one == pytest.approx(2 * two, rel=0.1)
    assert two == pytest.approx(2 * four, rel=0.15)


def test_three_things_on_two_cores_take_one_and_a_half_times_as_long() -> None:
    machine, done = Machine(cores=2, storage=1), list[tuple[str, float]]()
    for name, seconds in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        machine.compute(Stage.JOIN, seconds, lambda name=name: done.append((name, machine.now)))
    machine.compute(Stage.READ, 1.0, lambda: done.append(("read", machine.now)))
    machine.after(1.5, lambda: done.append(("later", machine.now)))
    machine.run(lambda: len(done) == 5)
    assert done == [("read", 1.0), ("a", 1.5), ("b", 1.5), ("later", 1.5), ("c", 2.5)]


def test_nobody_reads_faster_than_the_storage_gives() -> None:
    work = Work({"a": [50 * MB] * 20})
    slow = simulated(work, 9, storage=100.0 * MB).reduced
    assert slow >= 1000 * MB / (100 * MB)
    assert slow > 1.5 * simulated(work, 9).reduced


def test_ranks_that_wait_for_ever_are_found_out() -> None:
    with pytest.raises(RuntimeError, match="every rank waits"):
        Machine(1, 1).run(lambda: False)


def test_it_is_the_coordinator_of_the_program_that_hands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work({"a": [10 * MB] * 12})
    usual = simulated(work, 5)
    monkeypatch.setattr("grt_batch.ranks.coordinator.controllers", lambda ranks, archives: min(1, archives))
    one_leads = simulated(work, 5)
    assert of_all(one_leads)[Stage.JOIN] == pytest.approx(of_all(usual)[Stage.JOIN])
    assert one_leads.reduced > 1.5 * usual.reduced


def test_the_same_again_is_the_same() -> None:
    assert simulated(SKEWED, 7) == simulated(SKEWED, 7)


def test_the_command_prints_a_row_for_each_number_of_ranks(capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--jobs", "1000000", "--instances", "4", "--archives", "5", "--largest", "0.5"]
    simulator.main([*size, "--ranks", "3,5", "--cores", "2"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("1 million jobs, 0.1 GB of tar.gz in 20 archives of 4 instances, of which the largest")
    assert said[0].endswith(" has 50%.")
    assert [line.split("|")[1].strip() for line in said[2:]] == ["ranks", "-------", "3", "5"]


def test_the_docs_show_the_costs_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    simulator.main(["--costs"])
    assert capsys.readouterr().out in simulator.DOCS.read_text(encoding="utf-8") + "\n"


@pytest.fixture
def ran(config: Config, run_here: Callable[..., RunSummary]) -> Path:
    """The run.json of a serial run."""
    run_here(config)
    return config.reports / "latest" / "run.json"


def test_a_run_is_compared_and_put_into_docs(ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "scaling.md"
    page.write_text(simulator.DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    simulator.main(["--compare", str(ran), str(ran), "--rates", str(ran), "--docs", str(page), "--cores", "2"])
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert " 2 cores, load before: " in lines[0]
    assert lines[0].endswith(" jobs in 12 archives.")
    numbers = json.loads(ran.read_bytes())
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells[:2] == ["1", f"{simulator.seconds_of(numbers):.1f}"]
    assert cells[4] == f"{simulator.cpu_seconds_of(numbers):.1f}"
    once = page.read_text(encoding="utf-8")
    assert said.strip() in once
    simulator.main(["--compare", str(ran), "--docs", str(page)])
    assert once.partition("<!-- begin")[0] == page.read_text(encoding="utf-8").partition("<!-- begin")[0]


def test_a_run_that_knew_something_is_not_compared(
    ran: Path, config: Config, run_here: Callable[..., RunSummary]
) -> None:
    run_here(config)
    with pytest.raises(Failed, match="did not read all of its archives"):
        simulator.comparison([ran], Model(), 2)
    with pytest.raises(SystemExit, match=r"^bench: .*did not read all"):
        simulator.main(["--compare", str(ran)])
    ran.unlink()
    ran.write_text("{}")
    with pytest.raises(SystemExit, match=r"^bench: .*run.json says nothing of stages"):
        simulator.main(["--compare", str(ran)])


def test_the_fastest_of_several_runs_counts(tmp_path: Path, sample: Path) -> None:
    commands: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], log: Path, environment: dict[str, str]) -> Took:
        commands.append(command)
        latest = Path(command[command.index("--reports") + 1]) / "latest"
        latest.mkdir(parents=True)
        begin = RunRequest(Config(), simulator.UNTIL).started
        took = timedelta(seconds={0: 9, 1: 3, 2: 5, 3: 7}[len(commands) % 4])
        times = {"started": begin.isoformat(sep=" "), "finished": (begin + took).isoformat(sep=" ")}
        (latest / "run.json").write_text(json.dumps(times))
        return Took(1, 1, 1)

    found = simulator.measured((1, 3), sample, tmp_path, 2, run)
    assert [simulator.seconds_of(json.loads(file.read_bytes())) for file in found] == [3, 7]
    assert ["--ranks" in command for command in commands] == [False, False, True, True]


def test_other_rates_give_other_times() -> None:
    slow = replace(MODEL, costs={stage: cost.slower(2) for stage, cost in MODEL.costs.items()})
    work = Work({"a": [10 * MB] * 10})
    assert Simulation(work, 3, slow).run().seconds > 1.7 * simulated(work, 3).seconds
