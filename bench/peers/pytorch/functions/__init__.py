# The functions that bench/functions declares, as PyTorch calls them: by theme, like bench/peers/graft/functions.
import torch

from . import algebra, convolutions, creation, elementwise, indexing, layers, losses, norms, optimizers, pooling, reductions, shapes

themes = [elementwise, reductions, shapes, indexing, convolutions, pooling, norms, losses, algebra, layers, creation]
functions = {name: function for theme in themes for name, function in theme.functions.items()}


def definite(shape):
    a = torch.randn(shape)
    return a @ a.t() + shape[0] * torch.eye(shape[0])


fillers = {
    "normal": torch.randn,
    "positive": lambda shape: torch.rand(shape) + 0.1,
    "definite": definite,
    "zeros": torch.zeros,
    "ones": torch.ones,
    "bits": lambda shape: torch.randint(0, 2, shape).float(),
    "whole": lambda shape, below: torch.randint(0, below, shape),
    "padding": lambda shape: torch.arange(shape[-1]) < torch.randint(40, shape[-1], (shape[0], 1, 1, 1)),
}


def filled(values, shape, **rest):
    return fillers[values](shape, **rest), values in ("normal", "positive", "definite")


def make(spec):
    call, options = spec["call"], spec["options"]
    declared = [filled(**declared) for declared in spec["inputs"]]
    inputs = [tensor for tensor, _ in declared]
    if call in optimizers.functions:
        return update(optimizers.functions[call], inputs)
    if call in layers.makers:
        function = layers.makers[call]()
        parameters = list(function.parameters())
    elif call in functions:
        function, parameters = functions[call], []
    else:
        raise SystemExit(f"there is no function {call} in bench/peers/pytorch/functions")
    if spec["grad"]:
        learning = [tensor.requires_grad_() for tensor, learns in declared if learns]
        return gradients(learning + parameters, lambda: function(*inputs, **options))

    def step():
        with torch.no_grad():
            return function(*inputs, **options)

    return step


def gradients(learning, forward):
    dy = torch.randn_like(forward())

    def step():
        for tensor in learning:
            tensor.grad = None
        y = forward()
        y.backward(dy)  # torch.autograd.grad would return views, of which nothing is computed, where a gradient repeats or reorders dy
        return y

    return step


def update(make_update, inputs):
    parameters = [torch.nn.Parameter(tensor) for tensor in inputs]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    return make_update(parameters)
