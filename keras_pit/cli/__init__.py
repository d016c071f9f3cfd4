"""The command line `keras-pit`: what the package does, from model file to firmware, without a line of Python.

    main       the group of commands, and what becomes of errors     -> exit code 0 yes, 1 no, 2 wrong use
    look       summary, profile, fits, boards                        -> what is there
    make       export, convert, deploy, verify                       -> files
    run        search, report                                        -> a run in a folder
    session    where output goes: tables or JSON on stdout, the rest on stderr
    options    what commands share; models: loading them, quietly

A command is a function of a file here, decorated with `options.command` and listed in `main.COMMANDS`. What needs
Keras is imported in the function, so that `--help`, `boards`, `profile` and `fits` of a file start at once. Open `main`
first.
"""

from .main import main

__all__ = ["main"]
