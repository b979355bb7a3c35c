# Views are written out, as Graft's results are.
import torch, torch.nn.functional as F

functions = {
    "transpose": lambda x: x.t().contiguous(),
    "channels_last": lambda x: x.permute(0, 2, 3, 1).contiguous(),
    "channels_first": lambda x: x.permute(0, 3, 1, 2).contiguous(),
    "split_heads": lambda x: x.transpose(1, 2).contiguous(),
    "cat": lambda a, b, dim: torch.cat([a, b], dim),
    "stack": lambda a, b, dim: torch.stack([a, b], dim),
    "narrow": lambda x: x.narrow(1, 100, 500).contiguous(),
    "roll": lambda x, dim: x.roll(100, dim),
    "flip": lambda x, dim: x.flip(dim),
    "pad": lambda x: F.pad(x, (1, 1, 1, 1)),
    "tril": torch.tril,
    "repeat": lambda x: x.repeat(4, 1),
    "repeat_interleave": lambda x, dim: x.repeat_interleave(4, dim),
}
