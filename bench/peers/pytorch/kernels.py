# The kernels of bench/kernels.ts, as PyTorch calls them. "grad" computes the result and the gradients of all inputs.
import torch, torch.nn.functional as F


def leaf(shape, grad=False):
    return torch.randn(shape, requires_grad=grad)


def gradients(inputs, dy, forward):
    def step():
        y = forward()
        return y, torch.autograd.grad(y, inputs, dy)

    return step


def matmul(m, n, k, ta, tb):
    a, b = leaf((k, m) if ta else (m, k)), leaf((n, k) if tb else (k, n))
    return lambda: (a.t() if ta else a) @ (b.t() if tb else b)


def conv(part, batch, inputs, outputs, side):
    x, w, dy = leaf((batch, inputs, side, side)), leaf((outputs, inputs, 3, 3)), leaf((batch, outputs, side, side))
    if part == "forward":
        return lambda: F.conv2d(x, w, padding=1)
    mask = [part == "input", part == "weight", False]
    return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, mask)


def attention(batch, heads, length, width, sample, grad):
    q, k, v, dy = (leaf((batch, heads, length, width), grad and i < 3) for i in range(4))
    of_sample = torch.arange(length) // sample
    places = {"attn_mask": (of_sample[:, None] == of_sample[None]).tril()} if sample < length else {"is_causal": True}
    forward = lambda: F.scaled_dot_product_attention(q, k, v, **places)
    return gradients([q, k, v], dy, forward) if grad else forward


def rowwise(op, rows, width, grad):
    x, dy = leaf((rows, width), grad), leaf((rows, width) if grad else (1,))
    weight, bias = torch.ones(width, requires_grad=grad), torch.zeros(width, requires_grad=grad)
    forward = {"layer_norm": lambda: F.layer_norm(x, (width,), weight, bias), "softmax": lambda: F.softmax(x, -1), "gelu": lambda: F.gelu(x)}[op]
    return gradients([x, weight, bias] if op == "layer_norm" else [x], dy, forward) if grad else forward


def adamw(size):
    parameter = torch.nn.Parameter(torch.randn(size))
    parameter.grad = torch.randn(size)
    return torch.optim.AdamW([parameter], lr=1e-3).step


def embedding(vocab, width, tokens, part):
    at = torch.randint(0, vocab, (tokens,))
    if part == "forward":
        weight = leaf((vocab, width))
        return lambda: F.embedding(at, weight)
    dy = leaf((tokens, width))
    return lambda: torch.ops.aten.embedding_dense_backward(dy, at, vocab, -1, False)


def cross_entropy(rows, classes, grad):
    logits, labels = leaf((rows, classes), grad), torch.randint(0, classes, (rows,))
    forward = lambda: F.cross_entropy(logits, labels)
    return gradients([logits], torch.ones(()), forward) if grad else forward


def make(spec):
    op = spec.pop("op")
    if op in ("layer_norm", "softmax", "gelu"):
        return rowwise(op, **spec)
    return {"matmul": matmul, "conv": conv, "attention": attention, "adamw": adamw, "embedding": embedding, "cross_entropy": cross_entropy}[op](**spec)
