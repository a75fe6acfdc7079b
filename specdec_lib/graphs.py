"""Work on the device that is recorded once and repeated: what a round costs beside its arithmetic is paid once.

A recorder runs a piece of work once and returns its outputs, with a function that repeats it into the same outputs. Of
the host's part nothing is repeated: so work to be recorded reads positions and tokens from tensors, never from Python.
"""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Work = Callable[[], tuple[Tensor | None, ...]]
Recorder = Callable[[Work, Sequence[torch.Generator]], tuple[tuple[Tensor, ...], Callable[[], None]]]


def cuda_graph(work: Work, generators: Sequence[torch.Generator]) -> tuple[tuple[Tensor, ...], Callable[[], None]]:
    """Record as a CUDA graph. generators: those the work draws from, so that a repetition goes on in their streams."""
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        outputs = work()
    graph.replay()
    return outputs, graph.replay


def recorder_for(device: torch.device) -> Recorder | None:
    """What records on this device; None where nothing needs to be recorded."""
    return cuda_graph if device.type == "cuda" else None


class Repeated:
    """A function of tensors that extends a session: run as it is at first, recorded when it is called again alike.

    work: (n, *tensors) -> tensors, where n, the tensors' shapes and the session's room say all that the host decides;
    it reads at most n more tokens than the first tensor holds, and draws from `chance`. Without a recorder in the
    session nothing is recorded. Where recording fails, a warning says so and the work is run as it is from then on.
    """

    def __init__(self, work: Callable[..., tuple[Tensor, ...]], session, chance):
        self.work, self.session = work, session
        self.generators = getattr(chance, "generators", None)  # none named: the host draws, so nothing can be recorded
        self.record: Recorder | None = None if self.generators is None else getattr(session, "recorder", None)
        self._recorded: dict[tuple, Recording | None] = {}

    def __call__(self, n: int, *inputs: Tensor) -> tuple[Tensor, ...]:
        if self.record is None:
            return self.work(n, *inputs)
        self.session.make_room(n + len(inputs[0]))
        key = n, *(tensor.shape for tensor in inputs), self.session.room
        if key not in self._recorded:  # the first run is the warm-up that recording needs
            self._recorded[key] = None
            return self.work(n, *inputs)
        if recording := self._recorded[key]:
            return recording.repeat(inputs)
        length = self.session.length
        try:
            self._recorded[key] = recording = Recording(self, n, inputs)
        except RuntimeError as error:
            warnings.warn(f"Rounds are not recorded, as recording failed: {error}", RuntimeWarning, stacklevel=2)
            self.record = None
            self.session.restart(length)
            return self.work(n, *inputs)
        return recording.outputs


class Recording:
    """One recorded run: its inputs and outputs stay where they are, and are written over at every repetition."""

    def __init__(self, repeated: Repeated, n: int, inputs: Sequence[Tensor]):
        self.session = repeated.session
        self.inputs = [tensor.to(self.session.device, copy=True) for tensor in inputs]
        before = self.session.length
        self.outputs, self._replay = repeated.record(lambda: repeated.work(n, *self.inputs), repeated.generators)
        self.advance = self.session.length - before

    def repeat(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        for kept, tensor in zip(self.inputs, inputs, strict=True):
            kept.copy_(tensor)
        self._replay()
        self.session.length += self.advance
        return self.outputs
