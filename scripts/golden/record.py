"""Records calls of PyTorch as golden cases: the format is that of test/golden (see its README). Needs torch and numpy."""
import json
import struct

import numpy as np
import torch

_random = torch.Generator().manual_seed(11)
cases = []
tensors = {}


def _f32(x):
    """Values that f32 holds exactly, as float64: both sides start from the same numbers."""
    return x.float().double()


def R(*shape):
    """Normal random numbers."""
    return _f32(torch.randn(*shape, generator=_random, dtype=torch.float64))


def U(*shape):
    """Uniform random numbers from 0.05 to 0.95."""
    return _f32(torch.rand(*shape, generator=_random, dtype=torch.float64) * 0.9 + 0.05)


def I(high, *shape):
    """Whole random numbers below `high`."""
    return torch.randint(0, high, shape, generator=_random, dtype=torch.int64)


def T(values):
    return torch.tensor(values, dtype=torch.float64)


def _store(key, tensor):
    tensor = tensor.detach()
    kind = np.float32 if tensor.is_floating_point() else np.int32
    tensors[key] = np.array(tensor.numpy(), dtype=kind, order="C")


class _Call:
    """The arguments of one call, as JSON and as tensors that PyTorch can differentiate."""

    def __init__(self, name, differentiable):
        self.name = name
        self.differentiable = differentiable
        self.leaves = []

    def leaf(self, tensor, constant=False):
        key = f"{self.name}/in{len(self.leaves)}"
        _store(key, tensor)
        own = tensor.clone()
        if self.differentiable and not constant and own.is_floating_point():
            own.requires_grad_(True)
        self.leaves.append((key, own))
        return {"tensor": key}, own

    def value(self, value, constant=False):
        if isinstance(value, torch.Tensor):
            return self.leaf(value, constant)
        if isinstance(value, dict):  # weights of losses have no gradient in PyTorch
            pairs = {key: self.value(inner, constant=key in ("weight", "posWeight")) for key, inner in value.items()}
            return {key: pair[0] for key, pair in pairs.items()}, {key: pair[1] for key, pair in pairs.items()}
        return value, value

    def argument(self, value):
        if isinstance(value, torch.Tensor):
            return self.leaf(value)
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], torch.Tensor):
            pairs = [self.leaf(tensor) for tensor in value]
            return {"tensors": [pair[0]["tensor"] for pair in pairs]}, [pair[1] for pair in pairs]
        described, own = self.value(value)
        return {"value": described}, own


def case(call, function, *arguments, rtol=1e-4, atol=1e-5, nograd=False):
    """Records `F.<call>(*arguments)`, which PyTorch computes as `function(*arguments)`; `nograd` leaves the gradients out."""
    name = f"{call}.x{len(cases)}"
    recorder = _Call(name, not nograd)
    pairs = [recorder.argument(argument) for argument in arguments]
    result = function(*[own for _, own in pairs])
    multiple = isinstance(result, (list, tuple))
    outputs = list(result) if multiple else [result]
    record = {"id": name, "call": call, "args": [described for described, _ in pairs], "rtol": rtol, "atol": atol}
    record["outputs"] = [f"{name}/out{i}" for i in range(len(outputs))]
    if multiple:
        record["multiple"] = True
    cotangents = []
    loss = 0
    for i, output in enumerate(outputs):
        _store(f"{name}/out{i}", output)
        if output.requires_grad:
            cotangent = R(*output.shape) if output.ndim else R(1)[0]
            _store(f"{name}/cot{i}", cotangent)
            cotangents.append(f"{name}/cot{i}")
            loss = loss + (output * cotangent).sum()
    wanted = [(key, own) for key, own in recorder.leaves if own.requires_grad]
    if cotangents:
        found = torch.autograd.grad(loss, [own for _, own in wanted], allow_unused=True)
        grads = {}
        for (key, _), gradient in zip(wanted, found):
            if gradient is not None:
                grads[key] = key.replace("/in", "/grad_in")
                _store(grads[key], gradient)
        record["cotangents"] = cotangents
        record["grads"] = grads
    cases.append(record)


def save(path, about):
    """Writes `<path>.json` and `<path>.safetensors`."""
    header = {}
    offset = 0
    for key, array in tensors.items():
        kind = "F32" if array.dtype == np.float32 else "I32"
        header[key] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{path}.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(array.tobytes())
    with open(f"{path}.json", "w") as file:
        file.write(json.dumps({"about": about, "cases": cases}, separators=(",", ":")))
    print(f"{len(cases)} cases, {offset} bytes")
