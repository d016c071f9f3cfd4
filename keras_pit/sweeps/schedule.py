"""From a plan to tasks, and from tasks to an executor, until all steps are finished or have failed.

A task is a list of steps that one process makes. Tasks are as small as they can be, so that processes and machines
share the work: in a descent, points are fine-tuned and measured while the search goes on.

    descent       [seed] -> [search-1] -> [search-2] -> ...           each search-n -> [point-n]
    independent   [seed] -> [search-1 point-1], [search-2 point-2], ...

A seed that came trained is only measured, and no search waits for that. A task whose process dies is not repeated: the
step that it was at has failed, and the rest becomes a new task.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .plan import Plan
from .store import Step, Store

_GLANCE = 0.25
"""So often, in seconds, progress is looked at."""


@dataclass(eq=False)
class Task:
    """Steps for one process, and the task that must have ended before."""

    steps: list[Step]
    after: Task | None = None


def tasks(plan: Plan) -> list[Task]:
    """The tasks of a plan, in the order in which a single process should make them."""
    found: list[Task] = []
    for seed in plan.seeds:
        points = range(1, len(plan.bounds) + 1)
        pairs = [[Step("search", seed, point), Step("point", seed, point)] for point in points]
        found.append(Task([Step("seed", seed)]))
        last = None if plan.trained else found[-1]
        for search, point in pairs:
            if not plan.descent:
                found.append(Task([search, point], last))
            else:
                last = Task([search], last)
                found += [last, Task([point], last)]
    return found


def conduct(
    store: Store, plan: Plan, executor: Any, workers: int | None, run: Callable[..., None], tell: Callable[[], None]
) -> None:
    """Have all steps made that are not finished.

    Args:
        store: where they are.
        plan: the plan.
        executor: has `submit(function, *arguments)`, which returns something with `result()`.
        workers: how many tasks it runs at once; None if it decides itself what goes first.
        run: what is submitted: takes the directory and names of steps.
        tell: called now and then to show progress.
    """
    waiting = [task for task in tasks(plan) if _left(store, task)]
    if workers != 1:  # what most of the others wait for goes first
        waiting.sort(key=lambda task: task.steps[0].kind != "search")
    running: list[Task] = []
    ended: queue.Queue[tuple[Task, BaseException | None]] = queue.Queue()
    while waiting or running:
        for task in list(_ready(waiting, running)):
            if workers is not None and len(running) >= workers:
                break
            waiting.remove(task)
            if any(_possible(store, plan, step) for step in _left(store, task)):
                running.append(task)
                _submit(task, store, executor, run, ended)
        try:
            task, error = ended.get(timeout=_GLANCE)
        except queue.Empty:
            tell()
            continue
        running.remove(task)
        rest = [step for step in _left(store, task) if store.failed(step) is None]
        broken = next((step for step in rest if _possible(store, plan, step)), None)
        if broken is not None:
            store.fail(broken, error or "The task came back without it, and without a reason.")
            store.forget(broken)
            waiting = _resumed(task, [step for step in rest if step != broken], waiting)
        tell()


def _submit(task: Task, store: Store, executor: Any, run: Callable[..., None], ended: queue.Queue[Any]) -> None:
    names = [step.name for step in _left(store, task)]
    try:
        future = executor.submit(run, str(store.directory), names)
    except Exception as error:  # noqa: BLE001 - executors raise what they like, as when their workers are gone
        ended.put((task, error))
        return

    def wait() -> None:
        try:
            future.result()
        except BaseException as error:  # noqa: BLE001 - as above; that of a cancelled task is a BaseException
            ended.put((task, error))
        else:
            ended.put((task, None))

    threading.Thread(target=wait, daemon=True).start()


def _ready(waiting: list[Task], running: list[Task]) -> Iterator[Task]:
    for task in waiting:
        if task.after is None or (task.after not in waiting and task.after not in running):
            yield task


def _left(store: Store, task: Task) -> list[Step]:
    return [step for step in task.steps if not store.done(step)]


def _possible(store: Store, plan: Plan, step: Step) -> bool:
    """Whether what a step needs is there: if not, something else has failed."""
    seed = Step("seed", step.seed)
    if step.kind == "seed":
        return True
    if step.kind == "point":
        return store.done(Step("search", step.seed, step.point))
    return store.done(seed) or (plan.trained and store.failed(seed) is None)


def _resumed(task: Task, rest: list[Step], waiting: list[Task]) -> list[Task]:
    """What waits, with a new task for the rest of one that broke off."""
    if not rest:
        return waiting
    new = Task(rest, task.after)
    for other in waiting:
        if other.after is task:
            other.after = new
    return [new, *waiting]
