"""Work on the device that is recorded once and repeated: what a round costs beside its arithmetic is paid once.

A recorder runs a piece of work once and returns its outputs, with a function that repeats it into the same outputs. Of
the host's part nothing is repeated: so work to be recorded reads positions and tokens from tensors, never from Python.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

Work = Callable[[], tuple[Tensor | None, ...]]
Recorded = tuple[tuple[Tensor | None, ...], Callable[[], None]]
Recorder = Callable[[Work, Sequence[torch.Generator]], Recorded]


def cuda_graph(work: Work, generators: Sequence[torch.Generator], device: torch.device) -> Recorded:
    """Record as a CUDA graph. generators: those the work draws from, so that a repetition goes on in their streams."""
    graph = torch.cuda.CUDAGraph()
    capture = torch.cuda.graph(graph, stream=torch.cuda.Stream(device))
    try:
        # The outer stream is come back to even where a failed capture leaves its own behind.
        with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
            for generator in generators:
                graph.register_generator_state(generator)
            with capture:
                outputs = work()
    except RuntimeError:
        for generator in generators:  # up to torch 2.12 they would believe for ever that a capture goes on
            generator.graphsafe_set_state(generator.clone_state())
        raise
    graph.replay()
    return outputs, graph.replay


def recorder_for(device: torch.device) -> Recorder | None:
    """What records on this device; None where nothing needs to be recorded."""
    return partial(cuda_graph, device=device) if device.type == "cuda" else None


class Repeated:
    """Work that extends a session: run as it is at first, recorded when it is called again alike.

    Without a recorder in the session nothing is recorded, nor where the host draws (a chance without `generators`).
    Where recording fails, a warning says so and all work is run as it is from then on.
    """

    def __init__(self, session, chance):
        self.session = session
        self.generators = getattr(chance, "generators", None)
        self.record: Recorder | None = None if self.generators is None else getattr(session, "recorder", None)
        self._recorded: dict[tuple, Recording | None] = {}

    def __call__(self, work: Callable[..., tuple[Tensor | None, ...]], n: int, *inputs: Tensor):
        """work(n, *inputs), whose number, shapes and types and the session's room say all that the host decides.

        work: reads at most n more tokens than the first of the inputs holds. Always the same for one n.
        """
        if self.record is None:
            return work(n, *inputs)
        self.session.make_room(n + len(inputs[0]))
        key = n, *((tensor.shape, tensor.dtype) for tensor in inputs), self.session.room
        if key not in self._recorded:  # the first run is the warm-up that recording needs
            self._recorded[key] = None
            return work(n, *inputs)
        if recording := self._recorded[key]:
            return recording.repeat(inputs)
        length = self.session.length
        try:
            self._recorded[key] = recording = Recording(self, work, n, inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            warnings.warn(f"Rounds are not recorded, as recording failed: {error}", RuntimeWarning, stacklevel=2)
            self.record = None
            self.session.restart(length)
            return work(n, *inputs)
        return recording.outputs


class Recording:
    """One recorded run: its inputs and outputs stay where they are, and are written over at every repetition."""

    def __init__(self, repeated: Repeated, work: Callable, n: int, inputs: Sequence[Tensor]):
        self.session = repeated.session
        self.inputs = [tensor.to(self.session.device, copy=True) for tensor in inputs]
        before = self.session.length
        self.outputs, self._replay = repeated.record(lambda: work(n, *self.inputs), repeated.generators)
        self.advance = self.session.length - before

    def repeat(self, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        for kept, tensor in zip(self.inputs, inputs, strict=True):
            kept.copy_(tensor)
        self._replay()
        self.session.length += self.advance
        return self.outputs
