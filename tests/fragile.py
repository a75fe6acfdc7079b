"""A GPT-NeoX that fails as a file in its folder says: at a token, for want of memory, or with its whole process."""

import json
import os
import signal
from functools import cached_property
from pathlib import Path
from weakref import WeakSet

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GPTNeoXConfig, GPTNeoXForCausalLM

_LOADED: WeakSet["Fragile"] = WeakSet()


class FragileConfig(GPTNeoXConfig):
    model_type = "fragile"


class Fragile(GPTNeoXForCausalLM):
    config_class = FragileConfig

    def __init__(self, config):
        super().__init__(config)
        _LOADED.add(self)

    @property
    def family(self) -> Path:
        """The folder of the models that it shares memory with."""
        return Path(self.config.name_or_path).parent

    @cached_property
    def fault(self) -> dict:
        """{"raises_at": tokens}, {"kills_at": tokens} or {"room": models of its folder that fit in memory}."""
        file = Path(self.config.name_or_path) / "fault.json"
        return json.loads(file.read_text()) if file.is_file() else {}

    def forward(self, input_ids=None, *arguments, **options):
        fault = self.fault
        loaded = sum(module.device.type != "meta" and module.family == self.family for module in _LOADED)
        if loaded > fault.get("room", loaded):
            raise torch.OutOfMemoryError("Tried to allocate 2.00 GiB.")
        if any(token in input_ids for token in fault.get("raises_at", [])):
            raise RuntimeError("device-side assert triggered")
        if any(token in input_ids for token in fault.get("kills_at", [])):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(input_ids, *arguments, **options)


AutoConfig.register("fragile", FragileConfig)
AutoModelForCausalLM.register(FragileConfig, Fragile)


def fragile(module: GPTNeoXForCausalLM) -> Fragile:
    """The same model, of the kind that can fail."""
    copy = Fragile(FragileConfig(**{**module.config.to_dict(), "model_type": "fragile"})).eval()
    copy.load_state_dict(module.state_dict())
    return copy


def set_fault(folder: str, **fault) -> None:
    """Let a saved model fail when it is loaded next, or be sound again without a fault; its weights stay the same."""
    (Path(folder) / "fault.json").write_text(json.dumps(fault))
