"""Write the checkpoints beside this file, and what they hold to expected.npz. Needs torch 2.3 or newer."""

import argparse
import pathlib
import warnings
from collections import OrderedDict
from unittest import mock

import numpy as np
import safetensors.torch
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
DTYPES = (torch.float64, torch.float32, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)


class History:
    """A class that the reader does not have."""

    def __init__(self, values):
        self.values = values


class Settings(dict):
    """A dict that the reader does not have, built by a function of its own."""

    def __reduce__(self):
        return Settings, (), {"frozen": True}, None, iter(self.items())


def numbers(*shape, dtype=torch.float32, start=0):
    count = int(np.prod(shape, dtype=int))
    return (torch.arange(start, start + count) * 37 % 101 - 50).reshape(shape).to(dtype)


def every_dtype():
    named = {str(dtype).removeprefix("torch."): numbers(2, 3, dtype=dtype) for dtype in DTYPES}
    return OrderedDict(named, scalar=torch.tensor(2.5), counter=torch.tensor(7), empty=torch.empty(0, 3))


def views():
    whole = numbers(4, 6)
    return {
        "whole": whole, "transposed": whole.T, "part": whole[1:3, 2:5], "steps": whole[::2, ::3], "row": whole[3],
        "one": whole[2, 2], "expanded": numbers(3, 1).expand(3, 4), "parameter": nn.Parameter(numbers(2, 2, start=5)),
        "channels_last": numbers(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    }


def network():
    made = nn.Sequential(OrderedDict(conv=nn.Conv2d(2, 3, 3), norm=nn.BatchNorm2d(3),
                                     inner=nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU())))
    made.register_buffer("grid", numbers(2, 2))
    made.register_buffer("scratch", numbers(2, 2), persistent=False)
    with torch.no_grad():
        for index, value in enumerate(made.state_dict().values()):
            value.copy_(numbers(*value.shape, start=index))
    return made


def training_run(model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(numbers(1, 2, 3, 5)).sum().backward()
    optimizer.step()
    meta = {"config": Settings(a=1), "history": History([np.float64(0.5)]), "namespace": argparse.Namespace(lr=0.1),
            "score": np.float32(0.25), "table": np.arange(3), "classes": {"road", "sky"}, "frozen": frozenset((1, 2)),
            "size": torch.Size((2, 3)), "dtype": torch.float16, "device": torch.device("cpu"), "version": (1, None),
            ("a", 1): 2}
    return {"meta": meta, "optimizer": optimizer.state_dict(), "state_dict": model.state_dict(), "epoch": 3}


def main():
    expected = {}

    def save(name, value, arrays, **options):
        torch.save(value, HERE / name, **options)
        expect(name, arrays)

    def expect(name, arrays):
        for key, value in arrays.items():
            value = value.detach()
            expected[f"{name}:{key}"] = (value.float() if value.dtype in (torch.float16, torch.bfloat16)
                                         else value).numpy()

    legacy = {"_use_new_zipfile_serialization": False}
    save("dtypes.pth", every_dtype(), every_dtype())
    save("dtypes_legacy.pth", every_dtype(), every_dtype(), **legacy)
    save("views.pt", views(), views())
    save("views_legacy.pt", views(), views(), **legacy)
    half = {"float16": numbers(3, 4).half() / 8, "bfloat16": numbers(3, 4).bfloat16() / 8, "float32": numbers(2)}
    save("half.bin", half, half)
    save("half_legacy.bin", half, half, **legacy)
    unsigned = {"uint16": numbers(2, 3).abs().to(torch.uint16), "uint32": numbers(2, 3).abs().to(torch.uint32)}
    save("unsigned.pt", unsigned, unsigned)
    model = network()
    run = training_run(model)
    names = {key: value.clone() for key, value in run["state_dict"].items()}
    save("run.ckpt", run, names)
    save("run_legacy.pth.tar", {**run, "state_dict": nn.DataParallel(model).state_dict()}, names, **legacy)
    save("protocol4.pt", run, names, pickle_protocol=4)
    average = torch.optim.swa_utils.AveragedModel(model)
    save("average.pth", {"model": model.state_dict(), "model_ema": average.state_dict()}, names)
    compiled = {f"model._orig_mod.{key}": value for key, value in names.items()}
    save("compiled.ckpt", {"state_dict": compiled, "loss": torch.tensor(0.5)}, names)
    pair = {"critic": {"w": numbers(2)}, "generator": {"w": numbers(3), "b": numbers(1)}, "step": torch.tensor(1)}
    save("pair.pt", pair, pair["generator"])
    without_source = mock.patch("torch.serialization.get_source_lines_and_file", side_effect=OSError)
    with warnings.catch_warnings(), without_source:  # else PyTorch's source and where it is installed go into the file
        warnings.simplefilter("ignore")
        save("whole.pt", model, names)
        save("whole_legacy.pt", {"model": nn.DataParallel(model), "epoch": 1}, names, **legacy)
    torch.save({"w": numbers(4).to(torch.float8_e4m3fn)}, HERE / "float8.pt")
    torch.save({"epoch": 3, "history": History([1])}, HERE / "no_tensors.pt")
    safetensors.torch.save_file({**half, **every_dtype()}, HERE / "all.safetensors")
    expect("all.safetensors", {**half, **every_dtype()})
    np.savez_compressed(HERE / "expected.npz", **expected)


if __name__ == "__main__":
    main()
