"""A checkpoint's weights: which files hold them, whether they fit, and whether they came whole."""

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

import psutil
import torch
from transformers import PreTrainedModel

SAFETENSORS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
PICKLED = ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"]
"""File names of each form: one file, or several and their index."""

MARGIN = 1.2
"""Memory asked for in units of the weights': loading takes 1.0 at 32 and 16 bits, and a run its cache."""


def find(folder: Path, what: str, patterns: list[str]) -> list[Path]:
    """The files that hold a checkpoint's weights in one form, empty where it has none in that form.

    patterns: SAFETENSORS or PICKLED. Raises ValueError where the index is broken or names a file that isn't there.
    """
    whole, _, index = patterns
    if (folder / whole).is_file():
        return [folder / whole]
    if not (folder / index).is_file():
        return []
    try:
        names = sorted(set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()))
        files = [folder / Path(name).name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{what} has a broken {index}: delete that copy ({folder}) and load it again.") from error
    if lost := [file.name for file in files if not file.is_file()]:
        raise ValueError(
            f"{what} is incomplete ({', '.join(lost[:3])} not in {folder}): connect to the network and load it again."
        )
    return files


def complete(folder: Path, patterns: list[str]) -> bool:
    """Whether all weights of one form are there."""
    try:
        return bool(find(folder, "", patterns))
    except ValueError:
        return False


def choose(folder: Path, what: str, pickled: bool) -> list[Path]:
    """The files that are loaded: safetensors; pickled ones only where there are no others and they are wanted.

    Raises ValueError where there are none to load.
    """
    files = find(folder, what, SAFETENSORS)
    if not files and find(folder, what, PICKLED):
        if not pickled:
            raise ValueError(only_pickled(what))
        files = find(folder, what, PICKLED)
    if not files:
        raise ValueError(f"{what} has no weights in {folder}: put model.safetensors there, or choose another model.")
    return files


def only_pickled(what: str) -> str:
    """What is said of weights in the pickled form alone."""
    return (
        f"{what} has no weights in safetensors, only pickled ones (pytorch_model.bin): "
        "name it in --pickled (in Python: pickled=True) to have them read as data alone, or choose another model."
    )


def shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor, from the files' headers."""
    return {name: shape for file in files for name, shape in _shapes(file)}


def check_size(what: str, shapes: Mapping[str, tuple[int, ...]], bits: float, places: list[str]) -> None:
    """Raise ValueError unless weights of these shapes fit into the free memory of each place, "cpu" or a CUDA device.

    bits: of a weight; below 16 only matrices of layers have so few.
    """
    weights = sum(
        prod(shape) * (max(bits, 16) if len(shape) < 2 or "embed" in name else bits) / 8
        for name, shape in shapes.items()
    )
    needed = MARGIN * weights
    for place in places:
        cuda = place.startswith("cuda")
        free = torch.cuda.mem_get_info(place)[0] if cuda else psutil.virtual_memory().available
        if needed > free:
            raise ValueError(
                f"{what} needs about {needed / 1e9:.1f} GB of {'CUDA' if cuda else 'main'} memory and "
                f"{free / 1e9:.1f} GB are free: free some (nvidia-smi or top show who holds it), or choose another "
                "device, a smaller model or fewer bits."
            ) from MemoryError()


def check_described(what: str, described: PreTrainedModel, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError where a configuration's model has more weights than the files hold.

    described: that model without memory, on the device "meta".
    """
    wanted, held = described.num_parameters(), sum(map(prod, shapes.values()))
    if wanted > held:
        raise ValueError(
            f"The configuration of {what} describes {wanted:,} weights and its files hold {held:,}: "
            "they don't belong together, so delete that copy and load it again."
        )


def check_loaded(what: str, module: PreTrainedModel, info: Mapping[str, object]) -> None:
    """Raise ValueError unless every weight came from the files, each of them was used, and all are finite.

    info: transformers' loading information. Weights tied to others aren't missing.
    """
    faults = {
        "missing": info["missing_keys"],
        "of another shape": {name for name, *_ in info["mismatched_keys"]},
        "not the architecture's": info["unexpected_keys"],
    }
    for fault, names in faults.items():
        if names:
            raise ValueError(
                f"The weights of {what} don't fit its configuration ({len(names)} {fault}, such as {min(names)}): "
                "delete that copy and load it again, or choose another model."
            )
    for name, weight in module.named_parameters():
        if weight.is_floating_point() and not torch.stack(weight.aminmax()).isfinite().all():
            raise ValueError(
                f"The weights of {what} are not all finite ({name}): load it with more bits, or choose another model."
            )


def _shapes(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    if file.suffix == ".safetensors":
        with file.open("rb") as content:
            size = int.from_bytes(content.read(8), "little")
            whole = file.stat().st_size
            header = json.loads(content.read(min(size, whole)))
        header.pop("__metadata__", None)
        if 8 + size + max((tensor["data_offsets"][1] for tensor in header.values()), default=0) != whole:
            raise ValueError(f"{file.name} is not as long as it says")
        for name, tensor in header.items():
            if not all(type(size) is int and size >= 0 for size in tensor["shape"]):
                raise ValueError(f"{name} has the shape {tensor['shape']}")
            yield name, tuple(tensor["shape"])
    else:
        for name, tensor in torch.load(file, map_location="meta", weights_only=True).items():
            yield name, tuple(tensor.shape)
