"""Devices that are there."""

import torch


def named_device(name: str) -> str:
    """The device of this name; "auto" is a GPU of CUDA where there is one, else the CPU.

    Raises:
        ValueError: if it is not there, or is unknown.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(name)
    return name


def check_device(device: str) -> None:
    """Nothing, if the device is there.

    Raises:
        ValueError: if it is not, or is unknown.
    """
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    if device not in there:
        raise ValueError(
            f"Device {device!r} is not there: this machine has {', '.join(there)}. Use --device cpu."
        )
