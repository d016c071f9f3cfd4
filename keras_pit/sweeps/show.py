"""What a sweep tells while it is at work: stage, epoch, time left; a line for each finished point.

In a terminal there is one line that changes, elsewhere only what is final.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.status import Status

from .plan import Plan
from .store import Step, Store

STAGES = {"seed": "training the seed", "search": "searching", "point": "fine-tuning and measuring"}


class Show:
    """Shows how far a sweep is.

    Args:
        store: where it is.
        plan: what it does.
        verbose: whether to show anything.
    """

    def __init__(self, store: Store, plan: Plan, verbose: bool) -> None:
        self._store, self._plan, self._verbose = store, plan, verbose
        self._console = Console(stderr=True)
        self._status: Status | None = None
        self._told = set(store.steps())
        self._begin, self._first = time.monotonic(), self._share()
        if self._told and verbose:
            self._console.print(f"{len(self._told)} of {len(plan.steps())} steps are finished from before")

    def __enter__(self) -> Show:
        if self._verbose and self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self) -> None:
        """Tell what is new."""
        if not self._verbose:
            return
        for step in self._plan.steps():
            if step not in self._told and self._store.done(step):
                self._told.add(step)
                if step.kind != "search":
                    self._console.print(self._result(step), highlight=False)
            elif step not in self._told and (failure := self._store.failed(step)):
                self._told.add(step)
                self._console.print(f"{step.name} has failed: {failure.reason}", style="red", highlight=False)
        if self._status is not None:
            self._status.update(self._now())

    def _result(self, step: Step) -> str:
        found = self._store.figures(step)
        known = self._plan.named(found["costs"])
        costs = ", ".join(f"{name} {known[name]:,.5g}" for name in self._plan.costs)
        int8 = "" if found["accuracy_int8"] is None else f", in int8 {found['accuracy_int8']:.4g}"
        seconds = sum(found["seconds"].values())
        where = f"point {step.point} of {len(self._plan.bounds)}" if step.point else "seed"
        seed = f" (random seed {step.seed})" * (len(self._plan.seeds) > 1)
        return f"{where}{seed}: {found['monitor']} {found['accuracy']:.4g}{int8}, {costs}, {seconds:.0f} s"

    def _now(self) -> str:
        parts = []
        for step in self._plan.steps():
            told = self._store.progress(step)
            if told:
                seed = f" with random seed {step.seed}" * (len(self._plan.seeds) > 1)
                point = f", point {step.point} of {len(self._plan.bounds)}" * bool(step.point)
                parts.append(f"{STAGES[step.kind]}{point}{seed}: epoch {told['epoch']} of {told['epochs']}")
        return f"{'; '.join(parts) or 'starting'}{self._time_left()}"

    def _time_left(self) -> str:
        share = self._share()
        if share <= self._first:
            return ""
        seconds = (time.monotonic() - self._begin) * (1 - share) / (share - self._first)
        minutes, seconds = divmod(round(seconds), 60)
        return f" (about {minutes // 60}:{minutes % 60:02}:{seconds:02} left)"

    def _share(self) -> float:
        """How much of all work is done, from 0 to 1."""
        done, total = 0.0, 0.0
        for step in self._plan.steps():
            weight = self._plan.weight(step)
            total += weight
            if self._store.done(step) or self._store.failed(step):
                done += weight
            elif told := self._store.progress(step):
                done += weight * told["epoch"] / max(told["epochs"] + 1, 1)
        return done / total
