"""The whole front from one call."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from .. import boards, checks
from ..folders import alone
from ..graph.seeds import require_model
from ..search.arguments import Regularizer, Target, pressed
from ..search.convert import convert
from ..search.cost import cost
from ..search.model import SearchModel
from . import steps
from .executors import Processes
from .front import Front
from .job import Data, Job, save
from .measure import board_of
from .plan import Epochs, Plan, even_bounds, given_bounds, random_seeds
from .samples import Samples, spread
from .schedule import conduct
from .show import Show
from .store import Store

CALIBRATION = 200
"""Samples from which the ranges of integers are taken."""
OWN = "epochs", "callbacks", "verbose", "x", "y", "validation_data", "initial_epoch"
"""Arguments of `fit` that a sweep sets itself."""


def sweep(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    directory: str | os.PathLike[str],
    validation_data: Any = None,
    metric: Regularizer = "size",
    points: int = 6,
    bounds: Iterable[Target] | None = None,
    seeds: int | Sequence[int] = 1,
    descent: bool = True,
    epochs: int | None = None,
    search_epochs: int | None = None,
    fine_tune_epochs: int | None = None,
    train: Callable[..., Any] | None = None,
    quantization: str | None = "int8",
    calibration: Any = None,
    monitor: str | None = None,
    mode: str = "auto",
    search: Iterable[str] = ("channels", "kernel", "dilation"),
    exclude: Iterable[str] | str = (),
    round_to: int = 1,
    executor: Any = None,
    verbose: bool | int = True,
    **fit: Any,
) -> Front:
    """Find the front of accuracy against cost: what accuracy there is for which flash, RAM, milliseconds or size.

    One search visits all bounds, from the loosest to the tightest: each stage starts from what the last one exported,
    and takes less time as the network shrinks. At every bound a copy is fine-tuned, converted to int8, run on
    TFLite-Micro and measured. What is finished is on disk at once: call again with the same arguments after a crash or
    a kill, and the sweep goes on.

    Args:
        model: the seed, compiled with loss, metrics and optimizer, which all stages are trained with. It is trained
            first if its optimizer has not made a step yet.
        x: inputs as `fit` takes them: arrays, a `tf.data.Dataset`, a `keras.utils.PyDataset`; or a function: `train`.
        y: targets, unless `x` has them.
        directory: where all results are kept, one sweep a directory.
        validation_data: (x, y), (x, y, weights) or a finite dataset. Accuracies of the front are those on it.
        metric: the cost or costs that are pressed down, as the regularizer of `convert`: "size", "macs", "flash",
            "ram", "latency", "latency:pico2", one of your own, a list of them.
        points: how many bounds, between the seed's cost and the least that can be reached, evenly in the logarithm.
        bounds: the bounds themselves, in place of `points`: numbers in the unit of the cost, dictionaries of costs and
            numbers, boards or their names; as the target of `convert`.
        seeds: random seeds: how many, or a list of them. Each has its own points; the front is that of all.
        descent: whether each search starts from what the last one exported; if not, each starts from the seed.
        epochs: how long the seed is trained, or was. Default: as many as its optimizer has made, else 30.
        search_epochs: of each search. Default: a fifth of the seed's epochs (without descent three quarters).
        fine_tune_epochs: of each point. Default: a quarter of the seed's epochs (without descent a half).
        train: a function of yours, `train(model, stage)`, which trains the model it is given in place (a search model
            by `fit`, or in a loop with `model.controller.step()`). A `keras_pit.Stage` says what for, and how long.
            What it returns is kept as the history, if it is a `History` or a dictionary of lists.
        quantization: "int8", or None for no file: then accuracy is that in float, and costs are those known beforehand.
        calibration: some 100 typical inputs for the ranges of the integers, as for `to_tflite`; default: 200 of `x` if
            that is arrays, else of the validation data.
        monitor: the metric that says how good a model is; default: the first that the seed is compiled with, or "loss".
        mode: "max" if more of it is better, "min" if less is; "auto" tells by its name.
        search: what is searched, as for `convert`, but for "inputs": all points take the same data.
        exclude: names of layers that stay as they are, as for `convert`.
        round_to: channels in blocks of so many, as for `convert`.
        executor: where to run: anything with `submit(function, *arguments)` that returns something with `result()`, as
            the pools of `concurrent.futures` or `dask.distributed`'s `Client.get_executor()`. Tasks exchange files
            only: all machines must see `directory` under the same path. Or how many processes of this machine, which
            share its cores; default: two, one where there is one core, or where a GPU is shared.
        verbose: whether to tell what is going on.
        **fit: further arguments of `fit`, as `batch_size` or `class_weight`.

    Returns:
        A `Front`: `print(front)`, `front.plot(path)`, `front.html(path)`, `front.best(max_ram=32_000).model()`. Points
        that have failed are in `front.failures`, with the reason; a further call tries them again.

    Raises:
        TypeError: if an argument is of a wrong type.
        ValueError: if an argument is wrong, or the directory holds another sweep.
        BlockingIOError: if another process works in the directory; what is finished can be read by `Front.load`.
        RuntimeError: if no point could be made.

    Reference: Risso et al., "Pruning In Time (PIT)", DAC 2021, arXiv 2203.14768, for the search.

    Example:

        front = keras_pit.sweep(model, x, y, validation_data=(x_val, y_val), metric="latency", directory="runs/kws")
        print(front)
        slim = front.best(max_latency=20).model()
    """
    if isinstance(model, SearchModel):
        raise TypeError("The model is a search model: pass the seed, that is what keras_pit.convert was given.")
    require_model(model)
    if callable(x) and train is None:
        x, train = None, x
    job = _job(model, x, y, validation_data, calibration, train, fit)
    if "inputs" in search:
        raise ValueError(
            "`search` has 'inputs', received by a sweep: its models all take the same data, expected some of "
            "'channels', 'kernel', 'dilation', 'kernel_2d', 'branches'. Find the inputs by one search, then sweep what "
            "it exports."
        )
    options = {"search": tuple(search), "exclude": _names(exclude), "round_to": round_to}
    store = Store(checks.path(directory, "`directory`"))
    here = executor is None or isinstance(executor, int)
    if not here:
        checks.function(getattr(executor, "submit", None), "`executor.submit`", "a function: submit(function, *args)")
    elif executor is not None:
        checks.whole(executor, "`executor`", least=1)
    with_descent = checks.flag(descent, "`descent`")
    trained = int(model.optimizer.iterations) if model.compiled and model.optimizer is not None else 0
    found = _bounds(model, metric, points, bounds, options)
    costs = tuple(dict.fromkeys(name for bound in found for name in bound))
    plan = Plan(
        costs=costs,
        bounds=found,
        seeds=random_seeds(seeds),
        descent=with_descent,
        epochs=Epochs.of(epochs, search_epochs, fine_tune_epochs, _epochs(trained, job), with_descent),
        trained=trained > 0,
        quantization=quantization
        if quantization is None
        else checks.one_of(quantization, "`quantization`", ("int8",), "None stands for no file."),
        monitor=monitor if monitor is None else checks.text(monitor, "`monitor`"),
        mode=checks.one_of(mode, "`mode`", ("auto", "min", "max")),
        board=boards.get(board_of(costs)).name,
        options={name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
        shapes=[list(weight.shape) for weight in model.weights],
    )
    with alone(store.directory):
        plan = _agreed(store, plan, model)
        if any(not store.done(step) for step in plan.steps()):
            save(job, store.job)
            store.forgive()
            place = Processes(executor) if here else contextlib.nullcontext(executor)
            with Show(store, plan, bool(verbose)) as show, place as own:
                workers, run = (own.workers, steps.run_on) if here else (None, steps.run)
                conduct(store, plan, own, workers, run, show)
                show()
            store.job.unlink(missing_ok=True)
    front = Front.load(store.directory)
    if not front.points:
        reasons = "; ".join(f"{failure.step.name}: {failure.reason}" for failure in front.failures)
        raise RuntimeError(f"No point of the sweep could be made. {reasons or 'Nothing was tried.'}")
    return front


def _job(model: Any, x: Any, y: Any, validation: Any, calibration: Any, train: Any, fit: dict[str, Any]) -> Job:
    """What the steps work with, checked."""
    if (x is None) == (train is None):
        raise ValueError(
            "A sweep needs either data to train with (x and y, as for `fit`) or a function train(model, stage), "
            f"received {'none' if x is None else 'both'} of them."
        )
    if train is not None:
        checks.function(train, "`train`", "a function train(model, stage)")
    elif not model.compiled:
        raise ValueError(
            f"Model '{model.name}' is not compiled: compile it with optimizer, loss and metrics, which all stages are "
            "trained with, or pass a function train(model, stage)."
        )
    if validation is None:
        raise ValueError("`validation_data` is missing: accuracies of the front are measured on it.")
    known = inspect.signature(keras.Model.fit).parameters
    for name in fit:
        if name not in known:
            raise TypeError(f"sweep() has no argument `{name}`, and neither has `fit`: see help(keras_pit.sweep).")
        if name in OWN:
            raise ValueError(f"`{name}` of `fit` is the sweep's own: pass epochs, search_epochs and fine_tune_epochs.")
    if hasattr(x, "element_spec"):
        fit = {"shuffle": False, **fit}  # a dataset shuffles itself, and Keras warns of the default
    samples = Samples.of(validation)
    if calibration is None:
        arrays = x is not None and not isinstance(x, keras.utils.PyDataset) and not hasattr(x, "element_spec")
        calibration = spread(x if arrays else samples.x, CALIBRATION)
    return Job(None if x is None else Data(x, y, fit), samples, calibration, train)


def _bounds(model: Any, metric: Any, points: Any, bounds: Any, options: dict[str, Any]) -> Any:
    if bounds is None:
        pressed(metric, None)
        return even_bounds(model, metric, checks.whole(points, "`points`", least=1), options)
    convert(model, **options)  # refuses what no search can take
    return given_bounds(bounds, metric, lambda name: cost(model, name))


def _names(exclude: Any) -> tuple[str, ...]:
    names = (exclude,) if isinstance(exclude, str) else checks.listed(exclude, "`exclude`", "a list of names of layers")
    return tuple(checks.text(name, "Each of `exclude`") for name in names)


def _epochs(trained: int, job: Job) -> int | None:
    """How many epochs a seed was trained, by the steps that its optimizer has made."""
    if not trained or job.data is None:
        return None
    x, batch = job.data.x, job.data.options.get("batch_size") or 32
    if isinstance(x, keras.utils.PyDataset):
        steps_of_epoch = x.num_batches or 0
    elif hasattr(x, "element_spec"):
        steps_of_epoch = int(x.cardinality())
    else:
        steps_of_epoch = -(-len(keras.tree.flatten(x)[0]) // batch)
    return max(1, round(trained / steps_of_epoch)) if steps_of_epoch > 0 else None


def _agreed(store: Store, plan: Plan, model: keras.Model) -> Plan:
    """The plan of the directory, to which random seeds may be added; a new directory gets this one.

    Raises:
        ValueError: if the directory holds another sweep.
    """
    content = store.read_plan()
    if content is None:
        model.save(store.seed.with_name(".seed.keras"))
        store.seed.with_name(".seed.keras").replace(store.seed)
    else:
        old, new = content, plan.as_dict()
        names = [name for name in new if name != "seeds" and _listed(new[name]) != _listed(old.get(name))]
        if names:
            told = "; ".join(f"{name} is {old.get(name)!r}, now {new[name]!r}" for name in names)
            raise ValueError(
                f"Directory '{store.directory}' holds another sweep: {told}. Call with the same arguments to go on "
                "with it, or give this one a directory of its own."
            )
        both = tuple(dict.fromkeys((*old["seeds"], *plan.seeds)))
        plan = Plan.from_dict({**new, "seeds": both})
    store.write_plan(plan.as_dict())
    return plan


def _listed(value: Any) -> Any:
    """A value as JSON has it: lists for tuples."""
    if isinstance(value, dict):
        return {name: _listed(one) for name, one in value.items()}
    return [_listed(one) for one in value] if isinstance(value, (list, tuple)) else value
