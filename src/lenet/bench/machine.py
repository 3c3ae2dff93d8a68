"""What a measurement ran on: processor, versions, and which kernel computes the convolutions."""

import os
import platform
import subprocess
from pathlib import Path

import numpy
import torch

import lenet
from lenet.kernels.convolution import explain_backend

ROOT = Path(__file__).parents[3]


def describe_machine() -> dict[str, object]:
    """Processor, cores, threads, system, versions and kernel, for `lenet env` and beside every measurement.

    `kernel` is "compiled" or "torch" (PyTorch's own operators) and `kernel_reason` says why;
    `instruction_set` is the compiled kernel's, `vector_instructions` PyTorch's.
    """
    name, reason = backend = explain_backend()
    return {
        "lenet": lenet.__version__,
        "commit": _find_commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _find_processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "kernel": "torch" if name == "torch" else "compiled",
        "instruction_set": None if name == "torch" else name,
        "kernel_reason": reason if name == "torch" else f"installed, and this processor has {name}",
        "blocks": ", ".join(backend),
    }


def _find_processor() -> str:
    """Name, family and model: cloud providers call processors of very different speed by one name."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    found: dict[str, str] = {}
    for line in cpuinfo.read_text().splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    numbers = [f"{name.split()[-1]} {found[name]}" for name in ("cpu family", "model") if name in found]
    return ", ".join([found.get("model name", platform.processor()), *numbers])


def _find_commit() -> str | None:
    """The commit that the package runs from; None where it is installed and not checked out."""
    if not (ROOT / ".git").exists():  # else an installation inside another project would name its commit
        return None
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        # The results that a benchmark wrote before this one change no program.
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "*.py", "src"]).returncode
        return f"{commit}-dirty" if changed else commit
    except (OSError, subprocess.CalledProcessError):
        return None
