"""Where a sweep runs: in processes of its own, in those of a pool, on a cluster; and what is left when one dies."""

import concurrent.futures
import os
import time

import pytest
from sweeps import tiny
from sweeps.tiny import forks, sweep

from keras_pit.sweeps import Processes, executors
from keras_pit.sweeps.plan import Epochs, Plan
from keras_pit.sweeps.schedule import conduct, tasks
from keras_pit.sweeps.store import Step, Store


def figures(front):
    """What must not depend on where a point was made."""
    return [(point.number, point.seed, point.accuracy, point.costs) for point in front]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("here"), points=3)


def test_two_processes_by_default(tmp_path, here):
    """One dies, and one point fails; the next call makes what is missing, and nothing else."""
    front = sweep(tmp_path, points=3, executor=None, train=tiny.dying)
    assert [point.number for point in front] == [3]
    failed = {failure.step.name: failure.reason for failure in front.failures}
    assert failed.keys() == {"point-0-1", "search-0-2"}
    assert failed["point-0-1"] == "ArithmeticError: not today"
    assert "The process was killed by SIGKILL" in failed["search-0-2"]
    third = Store(tmp_path).folder(Step("point", 0, 3)).stat().st_mtime_ns
    front = sweep(tmp_path, points=3)
    assert not front.failures and figures(front)[:2] == figures(here)[:2]
    assert third == Store(tmp_path).folder(Step("point", 0, 3)).stat().st_mtime_ns


def test_a_pool_of_processes(tmp_path, here):
    """With a worker that dies, which breaks a pool: what is finished stays, and another pool goes on."""
    broken = pytest.raises(RuntimeError, match=r"(?s)No point .*search-0-2: BrokenProcessPool")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=forks()) as pool, broken:
        sweep(tmp_path, points=3, executor=pool, train=tiny.dying)
    assert {"seed-0", "search-0-1"} <= {step.name for step in Store(tmp_path).steps()}
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=forks()) as pool:
        front = sweep(tmp_path, points=3, executor=pool)
    assert not front.failures and figures(front) == figures(here)


def test_a_cluster_of_two_workers(tmp_path, here, monkeypatch):
    """One of them dies in the middle of a task: dask gives it to another one."""
    distributed = pytest.importorskip("distributed")
    import dask

    forks()
    monkeypatch.setenv("KERAS_PIT_TEST_MARK", str(tmp_path / "mark"))
    settings = {
        "distributed.worker.multiprocessing-method": "forkserver",
        "distributed.dashboard.link": "",
        "distributed.nanny.pre-spawn-environ": {},
        "distributed.nanny.environ": {"KERAS_PIT_TEST_MARK": str(tmp_path / "mark")},
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path), silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        front = sweep(tmp_path / "sweep", points=3, executor=client.get_executor(), train=tiny.dying_once)
    assert not front.failures and figures(front) == figures(here)
    assert (tmp_path / "mark").exists()


def plan(**options):
    values = {"costs": ("size",), "bounds": ({"size": 9.0}, {"size": 4.0}), "seeds": (0,), "descent": True}
    values |= {"epochs": Epochs(3, 2, 1), "trained": False, "quantization": None, "monitor": None, "mode": "auto"}
    return Plan(**{**values, "board": "nano33ble", "options": {}, "shapes": [], **options})


@pytest.mark.parametrize(
    ("descent", "trained", "expected", "after"),
    [
        (True, False, ["seed-0", "search-0-1", "point-0-1", "search-0-2", "point-0-2"], [None, 0, 1, 1, 3]),
        (True, True, ["seed-0", "search-0-1", "point-0-1", "search-0-2", "point-0-2"], [None, None, 1, 1, 3]),
        (False, False, ["seed-0", "search-0-1 point-0-1", "search-0-2 point-0-2"], [None, 0, 0]),
        (False, True, ["seed-0", "search-0-1 point-0-1", "search-0-2 point-0-2"], [None, None, None]),
    ],
)
def test_tasks(descent, trained, expected, after):
    found = tasks(plan(descent=descent, trained=trained))
    assert [" ".join(step.name for step in task.steps) for task in found] == expected
    assert [None if task.after is None else found.index(task.after) for task in found] == after


class Later:
    """An executor that works when it is told to, and on what was submitted first."""

    def __init__(self):
        self.submitted = []

    def submit(self, function, directory, names):
        future = concurrent.futures.Future()
        self.submitted.append((names, lambda: future.set_result(function(directory, names))))
        return future


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (1, "seed-0 search-0-1 point-0-1 search-0-2 point-0-2 search-0-3 point-0-3"),
        (2, "search-0-1 seed-0 search-0-2 point-0-1 search-0-3 point-0-2 point-0-3"),
    ],
)
def test_what_goes_first(tmp_path, workers, expected):
    """One process finishes point by point; where there are two, the search goes on beside what is fine-tuned."""
    store, executor, order, most = Store(tmp_path), Later(), [], 0

    def make(directory, names):
        for name in names:
            with store.making(Step.named(name)):
                order.append(name)

    def tell():
        nonlocal most
        most = max(most, len(executor.submitted))
        if executor.submitted:
            executor.submitted.pop(0)[1]()

    bounds = tuple({"size": size} for size in (9.0, 6.0, 4.0))
    conduct(store, plan(bounds=bounds, trained=True), executor, workers, make, tell)
    assert order == expected.split() and most == workers


def test_no_search_goes_on_from_a_trained_seed_that_fails(tmp_path):
    """As one that does not become an int8 file: each point would end in the same way."""
    store, made = Store(tmp_path), []

    def make(directory, names):
        step = Step.named(names[0])
        made.append(step.kind)
        if step.kind == "seed":
            store.fail(step, "no kernel")
        else:
            with store.making(step):
                pass

    conduct(store, plan(trained=True), tiny.Here(), 1, make, lambda: None)
    assert made == ["seed"] and list(store.failures())


def test_what_an_executor_refuses_has_failed(tmp_path):
    class Full:
        def submit(self, function, *arguments):
            raise OSError("no machine is free")

    with pytest.raises(RuntimeError, match="seed-0: OSError: no machine is free"):
        sweep(tmp_path, executor=Full())


def test_what_comes_back_empty_has_failed(tmp_path):
    class Nothing:
        def submit(self, function, *arguments):
            return tiny.Done(None)

    with pytest.raises(RuntimeError, match="seed-0: The task came back without it"):
        sweep(tmp_path, executor=Nothing())


def test_two_processes_on_one_directory(tmp_path, here):
    """The second one is told of the first, which is not disturbed; a lock whose owner is dead is no lock."""
    directory = tmp_path / "sweep"
    process = forks().Process(target=hold, args=(directory,))
    process.start()
    while not (directory / "reached").exists():
        assert process.is_alive()
        time.sleep(0.05)
    with pytest.raises(BlockingIOError, match=f"works in .* \\(process {process.pid} on "):
        sweep(directory, points=3)
    process.kill()
    process.join()
    front = sweep(directory, points=3)
    assert figures(front) == figures(here)


def hold(directory):
    """A sweep that stops in the middle, after it has told so."""

    def training(model, stage):
        if (stage.kind, stage.point) == ("search", 2):
            (directory / "reached").touch()
            time.sleep(60)
        return tiny.train(model, stage)

    tiny.sweep(directory, points=3, train=training)


def test_the_first_one_to_finish_a_step_has_made_it(tmp_path):
    """Two workers may make the same step, as when one was taken for dead."""
    store, step = Store(tmp_path), Step("point", 0, 1)
    with store.making(step) as slow:
        (slow / "who").write_text("slow")
        with store.making(step) as quick:
            (quick / "who").write_text("quick")
    assert (store.folder(step) / "who").read_text() == "quick"
    assert [path.name for path in tmp_path.iterdir()] == ["point-0-1"]


def test_steps_are_named():
    assert Step.named("point-3-12") == Step("point", 3, 12) and Step("point", 3, 12).name == "point-3-12"
    for name in ("point-1", "seed-1-1", "other-1", "point-1-x"):
        with pytest.raises(ValueError, match=r"is no step|invalid literal"):
            Step.named(name)


def test_processes_tell_what_they_printed():
    expected = r"(?s)ended with exit code 1\. It printed: .*No module named 'nowhere'"
    with Processes() as executor, pytest.raises(RuntimeError, match=expected):
        executor.submit(Nowhere.run).result()


def test_a_process_takes_one_task_after_the_other_and_ends_with_what_kills_it():
    with Processes(1) as executor:
        first, second = (executor.submit(os.putenv, "KERAS_PIT_TEST", "1") for _ in range(2))
        assert first.result() is None and second.result() is None
        (process,) = executor._running
        assert process.tasks == 2 and not process.ended
        with pytest.raises(RuntimeError, match=r"exit code 3\. It printed: \(nothing\)"):
            executor.submit(os._exit, 3).result()
        executor.submit(os.putenv, "KERAS_PIT_TEST", "1").result()
        assert executor._running != {process}
        (process,) = executor._running
    assert process.ended


def test_a_process_gives_way_to_a_new_one_in_time(monkeypatch):
    monkeypatch.setattr(executors, "TASKS", 2)
    with Processes(1) as executor:
        numbers = []
        for _ in range(3):
            executor.submit(os.putenv, "KERAS_PIT_TEST", "1").result()
            numbers += [process._process.pid for process in executor._running]
    assert len(numbers) == 2 and numbers[0] != numbers[1]


class Nowhere:
    @staticmethod
    def run():
        """What no other process can import."""


Nowhere.run.__module__ = "nowhere"
