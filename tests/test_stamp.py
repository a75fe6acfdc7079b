"""What is known of the environment that rows are measured in."""

import platform
import subprocess

import pytest

from specdec_lib.measuring import stamp
from specdec_lib.measuring.stamp import environment, facts, gpu_facts


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts a program called nvidia-smi first in the path, which prints one line."""

    def install(line, code=0):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\necho '{line}'\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


def test_memory_libraries_and_processor_are_known():
    here = facts("cpu")
    assert here["memory"].endswith(" GiB")
    assert {"numpy", "tokenizers", "safetensors"} <= here.keys()
    if platform.machine() in ("x86_64", "AMD64"):
        assert "avx" in here["flags"] or "sse4_1" in here["flags"]


def test_facts_do_not_part_rows():
    one, other = environment("cpu", 2), environment("cpu", 2)
    other["facts"]["commit"] = "another"
    assert one["id"] == other["id"]


def test_the_gpus_driver_power_and_clocks_are_read(smi):
    smi("570.86.15, 350.00 W, 1695 MHz, [N/A]")
    assert gpu_facts("1234") == {"driver_version": "570.86.15", "power.limit": "350.00 W", "clocks.max.sm": "1695 MHz"}


@pytest.mark.parametrize(("line", "code"), [("no devices were found", 0), ("1, 2, 3, 4", 9)])
def test_a_gpu_that_tells_nothing_is_no_error(smi, line, code):
    smi(line, code)
    assert gpu_facts("1234") == {}


def test_without_nvidia_smi_there_are_no_gpu_facts(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_facts(None) == {}


def test_the_tree_is_clean_until_a_tracked_file_changes(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    monkeypatch.setattr(stamp, "HOME", tmp_path)
    assert "commit" not in facts("cpu")
    (tmp_path / "reproduce.sh").write_text("one")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    assert facts("cpu")["tree"] == "clean"
    (tmp_path / "reproduce.sh").write_text("two")
    assert facts("cpu")["tree"] == "changed"
    assert len(facts("cpu")["commit"]) == 12
