import torch, torch.nn.functional as F

functions = {
    "dropout": lambda x: F.dropout(x, 0.1),
    "dropout2d": lambda x: F.dropout2d(x, 0.1),
    "randn": lambda: torch.randn(1024, 1024),
    "rand": lambda: torch.rand(1024, 1024),
    "zeros": lambda: torch.zeros(1024, 1024),
    "arange": lambda: torch.arange(1 << 20, dtype=torch.int32),
}
