"""A network of a whole window -> the network of one time step, which keeps the rest as state.

    Program --transform.streamed--> Streamed: Program of a step, where its tensors come from, when it decides

    PAD, CONV_2D with 3 taps, dilation 4, on (1, 1, 128, 16)
    CIRCULAR_BUFFER of 9 slots, CONV_2D on (1, 9, 1, 16)

    costs     "streaming_ram", "streaming_latency": what a board charges for it

Nothing is quantized here: tensors of a step have the scales of those of the window, so the integers are the same ones.
The costs of a board read the program of a step as any other; `deployment` writes a file of it. Open `transform` first,
then `values`, which has the idea of time; `rules` has a row for each operator.
"""

from .costs import of_a_step
from .timing import Timing
from .transform import Streamed, streamed
from .values import CannotStream, Origin

__all__ = ["CannotStream", "Origin", "Streamed", "Timing", "of_a_step", "streamed"]
