import torch
from torch import optim


# A function of the parameters that gives the step.
def by(optimizer, lr=1e-3, **options):
    return lambda parameters: optimizer(parameters, lr=lr, **options).step


functions = {
    "sgd": by(optim.SGD),
    "sgd_momentum": by(optim.SGD, momentum=0.9, weight_decay=1e-4),
    "adam": by(optim.Adam),
    "adamw": by(optim.AdamW),
    "rmsprop": by(optim.RMSprop),
    "adagrad": by(optim.Adagrad),
    "nadam": by(optim.NAdam),
    "radam": by(optim.RAdam),
    "adamax": by(optim.Adamax),
    "adadelta": by(optim.Adadelta, lr=1.0),
    "muon": lambda parameters: by(optim.Muon)(parameters),  # since PyTorch 2.9
    "clip_grad_norm": lambda parameters: lambda: torch.nn.utils.clip_grad_norm_(parameters, 1.0),
}
