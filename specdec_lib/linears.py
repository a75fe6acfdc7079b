"""A model's linear layers as the fast path calls them: packed for oneDNN on a CPU, as they are elsewhere.

PyTorch multiplies a few rows by a matrix through a kernel made for many, which packs the matrix again at every call.
Packing it once halves the time of a forward of 1 to 8 tokens, at the price of a second copy of the weights.
"""

import platform

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

_ONEDNN = torch.ops.mkldnn
SMALL, FEW = 2**16, 2**18  # weights of a layer, multiplications of a call


class Loaded:
    """The layer as it was loaded, whatever its kind: quantized ones compute as they are."""

    def __init__(self, layer: nn.Module):
        self.layer = layer

    def __call__(self, rows: Tensor) -> Tensor:
        """(n, in) to (n, out)."""
        return self.layer(rows)

    def gelu(self, rows: Tensor) -> Tensor:
        return gelu(self.layer(rows))

    def plus(self, rows: Tensor, other: Tensor) -> Tensor:
        return other + self.layer(rows)


class Packed(Loaded):
    """The same with the weights also in oneDNN's own order; activation and addition are part of its kernel.

    A call of that kernel costs some microseconds before it computes anything: a small layer meets few rows as loaded.
    """

    def __init__(self, layer: nn.Linear):
        self.weight, self.bias = layer.weight.detach(), layer.bias
        self._packed = _ONEDNN._reorder_linear_weight(self.weight)
        weights = self.weight.numel()
        self._fewest = FEW // weights if weights <= SMALL else 1  # rows worth that call

    def __call__(self, rows: Tensor) -> Tensor:
        if len(rows) < self._fewest:
            return linear(rows, self.weight, self.bias)
        return _ONEDNN._linear_pointwise(rows, self._packed, self.bias, "none", [], "")

    def gelu(self, rows: Tensor) -> Tensor:
        if len(rows) < self._fewest:
            return gelu(linear(rows, self.weight, self.bias))
        return _ONEDNN._linear_pointwise(rows, self._packed, self.bias, "gelu", [], "none")

    def plus(self, rows: Tensor, other: Tensor) -> Tensor:
        if len(rows) < self._fewest:
            return other + linear(rows, self.weight, self.bias)
        return _ONEDNN._linear_pointwise.binary(rows, other, self._packed, self.bias, "add")


def prepared(layer: nn.Module) -> Loaded | Packed:
    """The layer in the form that is fastest for few rows."""
    return Packed(layer) if _packs(layer) else Loaded(layer)


def _packs(layer: nn.Module) -> bool:
    return (
        type(layer) is nn.Linear
        and layer.weight.device.type == "cpu"
        and platform.machine() in ("x86_64", "AMD64")
        and torch.backends.mkldnn.is_available()
        and (
            layer.weight.dtype == torch.float32
            or (layer.weight.dtype == torch.bfloat16 and _ONEDNN._is_mkldnn_bf16_supported())
        )
    )
