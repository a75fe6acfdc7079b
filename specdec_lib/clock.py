"""The time at which a device has done all it was asked."""

import time

import torch


def now(device: torch.device) -> float:
    """Seconds, once all work on the device so far is done; only differences mean anything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
