"""Logits of the embedded target in the library of 2023, with its plain attention and after BetterTransformer.transform.

`bash run.sh` makes the environment this needs, runs it and so writes oracle.json and logits.safetensors beside it.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import json
import logging
import platform
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from optimum.bettertransformer import BetterTransformer
from safetensors.torch import save
from transformers import GPTNeoXForCausalLM

HERE = Path(__file__).parent
TARGET = HERE.parent / "mini" / "target"
PACKAGES = ["torch", "transformers", "optimum", "tokenizers", "huggingface-hub", "accelerate", "numpy", "safetensors"]
# The beginning of article a-003 as the paper's prompt, in the family's tokens.
TOKENS = [
    *(4568, 407, 270, 4384, 1942, 715, 922, 269, 1773, 296, 660, 261, 1343, 5598, 345, 395, 325, 570, 342, 300, 291),
    *(502, 260, 639, 4387, 267, 339, 2508, 2, 834, 407, 270, 278, 5543, 1928, 406, 260, 313, 262, 274, 633, 315, 267),
    *(4351, 259, 810, 892, 262),
]
KEPT_EVERY = 4  # tokens of the vocabulary, so that the fixture stays small


def translated(config: dict) -> dict:
    """Today's configuration in the words of transformers 4.37: the rotary embedding has two keys of its own."""
    config = dict(config)
    rope = config.pop("rope_parameters")
    if rope["rope_type"] != "default":
        raise ValueError(f"transformers 4.37 has no rotary embedding of the kind {rope['rope_type']!r}.")
    return config | {"rotary_pct": rope["partial_rotary_factor"], "rotary_emb_base": rope["rope_theta"]}


def load() -> GPTNeoXForCausalLM:
    with TemporaryDirectory() as folder:
        config = translated(json.loads((TARGET / "config.json").read_text()))
        (Path(folder) / "config.json").write_text(json.dumps(config))
        (Path(folder) / "model.safetensors").symlink_to(TARGET / "model.safetensors")
        return GPTNeoXForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()


@torch.inference_mode()
def cached(model: GPTNeoXForCausalLM, n: int) -> torch.Tensor:
    """Logits (n, vocab) of the last n tokens, read at once over a cache of all before them."""
    tokens = torch.tensor([TOKENS])
    cache = model(tokens[:, :-n], use_cache=True).past_key_values
    return model(tokens[:, -n:], past_key_values=cache, use_cache=True).logits[0]


@torch.inference_mode()
def cases(model: GPTNeoXForCausalLM) -> dict[str, torch.Tensor]:
    """Logits of the last tokens: (4, vocab), for a single token (1, vocab)."""
    full = model(torch.tensor([TOKENS]), use_cache=False).logits[0, -4:]
    return {"full forward": full, "one cached token": cached(model, 1), "four cached tokens": cached(model, 4)}


def main() -> None:
    logging.getLogger("optimum").setLevel(logging.ERROR)  # a notice about padding in training
    plain = cases(load())
    better = cases(BetterTransformer.transform(load()))
    reference = plain["full forward"]
    scale = reference.abs().max()
    differences = {
        case: {
            name: float((logits[case] - reference[-len(logits[case]) :]).abs().max() / scale)
            for name, logits in (("plain", plain), ("bettertransformer", better))
        }
        for case in plain
    }
    about = {
        "weights_sha256": sha256((TARGET / "model.safetensors").read_bytes()).hexdigest(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "differences": differences,
    }
    (HERE / "oracle.json").write_text(json.dumps(about, indent=1) + "\n")
    kept = {
        f"{name}, {case}": rows[:, ::KEPT_EVERY].contiguous()
        for name, logits in (("plain", plain), ("bettertransformer", better))
        for case, rows in logits.items()
    }
    (HERE / "logits.safetensors").write_bytes(save(kept | {"token_ids": torch.tensor(TOKENS)}))
    print("max|difference| / max|logit| against the plain attention's full forward")
    print(f"(optimum {version('optimum')}, transformers {version('transformers')}, {len(TOKENS)} tokens)\n")
    print(f"{'':20}{'plain attention':>18}{'BetterTransformer':>20}")
    for case, row in differences.items():
        print(f"{case:20}{row['plain']:18.1e}{row['bettertransformer']:20.1e}")
    print("\nFour tokens read over a cache: after BetterTransformer.transform the first of them sees the first key of")
    print("the text alone, the second sees two, and so on. A draft's tokens are verified in just this way.")


if __name__ == "__main__":
    main()
