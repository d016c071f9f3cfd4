"""What is read of a .tflite file at most, and the two ways to refuse one.

A file of some kilobytes can declare tensors of gigabytes, or one table that a thousand operators share. So the sizes
are checked against `LIMITS` before any work is done, far above what runs on a microcontroller, and everything that is
done with a file afterwards takes time and memory in proportion to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DeploymentError, UnreadableFileError


@dataclass(frozen=True)
class Limits:
    """The largest numbers, of a file as a whole unless something else is said."""

    bytes: int = 128 * 2**20
    subgraphs: int = 64
    operators: int = 4096
    tensors: int = 16_384
    tables: int = 65_536
    """Of any other kind: buffers, operator codes, signatures, metadata."""
    rank: int = 8
    """Dimensions of one tensor."""
    elements: int = 2**22
    """Of one activation; all activations together may have `total` times as many. Constants lie in the file's bytes."""
    total: int = 16
    vectors: int = 2**19
    """Numbers of all inputs and outputs together, of a file for `deploy`: the self-test holds them as text."""
    work: int = 2**33
    """Multiply-accumulates, taps of pooling, elements read and made in one inference (`operands.work`)."""
    run: int = 2**30
    """The same of a file for `deploy`, which runs it: some seconds of plain kernels."""
    seconds: float = 60.0
    """For such a run; a file may hold a loop without an end."""
    sharing: int = 8
    """Parts may be shared: their bytes, counted as often as something refers to them, come to so many times the file's
    size, and `slack` more."""
    slack: int = 64 * 1024


LIMITS = Limits()


def damaged(what: str) -> DeploymentError:
    """The error for a file that contradicts itself."""
    return UnreadableFileError(
        f"The .tflite file is damaged: {what}. Expected a whole file as a converter writes it; copy or make it again."
    )


def beyond(what: str, limit: int) -> DeploymentError:
    """The error for a file that declares too much."""
    return DeploymentError(
        f"The .tflite file is beyond the limits: {what}, expected at most {limit:,}. Such a file is not for a "
        "microcontroller; convert a smaller model."
    )
