"""Imports that wait until they are needed.

    keras_pit.boards      a table of boards       0.1 s
    keras_pit.convert     needs Keras             several seconds, most of them TensorFlow's

A package whose names are loaded when they are first used (PEP 562) says where each is; type checkers read the same from
imports under `TYPE_CHECKING`. What Keras finds by name in a saved model must be there as soon as Keras is: it is
imported with it, at once or later.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def names(package: str, homes: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: its name.
        homes: names by the module in the package that defines them; "" for the modules themselves.
    """
    known = {name: f"{package}.{home}" if home else package for home, listed in homes.items() for name in listed}

    def load(name: str) -> Any:
        if name not in known:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = known[name]
        found = importlib.import_module(f"{package}.{name}") if home == package else _from(home, name)
        # The next access does not come here; a submodule of the same name does not take its place any more.
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *known})

    return load, listed


def _from(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def with_keras(*modules: str, importers: Sequence[str]) -> None:
    """Import modules as soon as Keras is imported, which may be already.

    Args:
        modules: their names.
        importers: packages that import Keras, and that these modules import: they come first, whole.
    """
    if "keras" in sys.modules:
        _import(modules)
    else:
        sys.meta_path.insert(0, _OnImport({"keras", *importers}, modules))


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)


class _OnImport(MetaPathFinder):
    """Finds nothing itself, but has the first of some modules, once it is there, followed by others."""

    def __init__(self, names: set[str], followers: Sequence[str]) -> None:
        self.names, self.followers = names, followers

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in self.names:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            sys.meta_path.insert(0, self)
            return spec
        spec.loader = _Followed(spec.loader, self)
        return spec


class _Followed(Loader):
    """Loads a module as its own loader does, then imports what follows."""

    def __init__(self, loader: Loader, finder: _OnImport) -> None:
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From now on the module is what it would be without us.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        try:
            self._loader.exec_module(module)
        except BaseException:
            sys.meta_path.insert(0, self._finder)
            raise
        if "keras" in sys.modules:
            _import(self._finder.followers)
        else:
            sys.meta_path.insert(0, self._finder)
