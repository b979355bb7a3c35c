"""
Makes test/golden/extra: kinks, NaN and infinities, scalars, empty tensors, negative dims, broadcasting and every option, for the functions of F.
Run from the repository's root with torch 2.13: python scripts/golden/extra_ops.py
"""
import warnings

import torch
import torch.nn.functional as F

from record import I, R, T, U, case, save

warnings.simplefilter("ignore")
inf = float("inf")
nan = float("nan")
K = T([-7, -6, -3.5, -3, -1, -0.5, 0, 0.5, 1, 3, 3.5, 6, 7])  # where piecewise functions bend
KN = T([-inf, -100, -3, -1, 0, 1, 3, 100, inf, nan])

# unary at kinks, NaN, inf, scalars, empties
un = {
    'abs': torch.abs, 'neg': torch.neg, 'exp': torch.exp, 'expm1': torch.expm1, 'sin': torch.sin, 'cos': torch.cos, 'tanh': torch.tanh,
    'sinh': torch.sinh, 'cosh': torch.cosh, 'atan': torch.atan, 'erf': torch.erf, 'sigmoid': torch.sigmoid, 'logSigmoid': F.logsigmoid,
    'relu': F.relu, 'relu6': F.relu6, 'silu': F.silu, 'mish': F.mish, 'softplus': F.softplus, 'softsign': F.softsign, 'elu': F.elu,
    'selu': F.selu, 'celu': F.celu, 'hardtanh': F.hardtanh, 'hardswish': F.hardswish, 'hardsigmoid': F.hardsigmoid, 'sign': torch.sign,
    'floor': torch.floor, 'ceil': torch.ceil, 'round': torch.round, 'trunc': torch.trunc, 'square': torch.square,
    'tanhshrink': F.tanhshrink, 'softshrink': F.softshrink, 'hardshrink': F.hardshrink, 'gelu': F.gelu, 'leakyRelu': F.leaky_relu,
    'tan': torch.tan, 'frac': torch.frac, 'exp2': torch.exp2, 'sinc': torch.sinc, 'erfc': torch.erfc,
}
for k, f in un.items():
    case(k, lambda x, f=f: f(x), K / 2 if k in ('cosh', 'sinh', 'exp', 'expm1', 'exp2') else K)
    case(k, lambda x, f=f: f(x), R(2, 1, 3) * 4 if k not in ('exp', 'expm1', 'sinh', 'cosh', 'exp2') else R(2, 1, 3))
    case(k, lambda x, f=f: f(x), R(1)[0].reshape(()))
    case(k, lambda x, f=f: f(x), R(0, 3))
for k in [
    'abs', 'neg', 'exp', 'expm1', 'tanh', 'erf', 'sigmoid', 'logSigmoid', 'relu', 'relu6', 'softplus', 'elu', 'selu', 'celu', 'hardtanh',
    'floor', 'ceil', 'round', 'trunc', 'square', 'hardshrink', 'leakyRelu', 'hardsigmoid', 'softshrink', 'atan', 'cosh', 'sinh',
]:
    case(k, lambda x, f=un[k]: f(x), KN, nograd=True)
for k in ['relu', 'relu6', 'sigmoid', 'tanh', 'softplus', 'elu', 'hardtanh', 'logSigmoid', 'leakyRelu', 'abs', 'selu']:
    case(k, lambda x, f=un[k]: f(x), T([-inf, -100, -3, -1, 0, 1, 3, 100, inf]))
P = T([1e-06, 0.25, 0.5, 1, 2, 10, 1000])
for k, f in {
    'log': torch.log, 'log1p': torch.log1p, 'sqrt': torch.sqrt, 'rsqrt': torch.rsqrt, 'reciprocal': torch.reciprocal, 'log2': torch.log2,
    'log10': torch.log10,
}.items():
    case(k, lambda x, f=f: f(x), P[1:])
    case(k, lambda x, f=f: f(x), T([0, 1, inf, nan, -1]), nograd=True)
case('asin', torch.asin, U(5))
case('acos', torch.acos, -U(5))
case('logit', torch.logit, U(6))
case('logit', lambda x, o: torch.logit(x, o['eps']), T([0, 0.05, 0.5, 0.97, 1]), {'eps': 0.1})
for ap in ['none', 'tanh']:
    case('gelu', lambda x, o: F.gelu(x, approximate=o['approximate']), K, {'approximate': ap})
case('elu', lambda x, o: F.elu(x, o['alpha']), K, {'alpha': 0.5})
case('celu', lambda x, o: F.celu(x, o['alpha']), K, {'alpha': 0.5})
case('celu', lambda x, o: F.celu(x, o['alpha']), K, {'alpha': 2})
case('softplus', lambda x, o: F.softplus(x, o['beta'], o['threshold']), K * 4, {'beta': 2, 'threshold': 10})
case('softshrink', lambda x, o: F.softshrink(x, o['lambd']), K, {'lambd': 1})
case('hardshrink', lambda x, o: F.hardshrink(x, o['lambd']), K, {'lambd': 3})
case('hardtanh', lambda x, o: F.hardtanh(x, o['minVal'], o['maxVal']), K, {'minVal': -0.5, 'maxVal': 3})
case('threshold', lambda x, a, b: F.threshold(x, a, b), K, 0.5, -2)
case('prelu', F.prelu, R(2, 3, 4), T([0.25]))
case('prelu', F.prelu, R(2, 3, 4), R(3))
case('prelu', F.prelu, K, T([-0.5]))
for o in [{'min': -0.5}, {'max': 0.5}, {'min': -3, 'max': 3}, {'min': 2, 'max': -2}]:
    case('clamp', lambda x, o: torch.clamp(x, min=o.get('min'), max=o.get('max')), K, o)
case('clamp', lambda x, o: torch.clamp(x, min=o.get('min'), max=o.get('max')), R(3, 4), {'min': R(3, 4), 'max': R(3, 4) + 1})
case('clamp', lambda x, o: torch.clamp(x, min=o.get('min'), max=o.get('max')), R(3, 4), {'min': R(4)})
for d in [0, 1, -2]:
    case('glu', lambda x, o: F.glu(x, o['dim']), R(4, 2, 6), {'dim': d})
case('glu', F.glu, R(3, 4))

# binary
S = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1, 3), (4, 1)), ((), (3,)), ((3,), ()), ((0, 3), (1, 3)), ((1,), (2, 2))]
def mk(s, f=R):
    return f(*s) if s else f(1)[0].reshape(())
for k, f in {
    'add': torch.add, 'sub': torch.sub, 'mul': torch.mul, 'div': torch.div, 'maximum': torch.maximum, 'minimum': torch.minimum,
    'atan2': torch.atan2, 'logaddexp': torch.logaddexp, 'hypot': torch.hypot,
}.items():
    for a, b in S:
        case(k, f, mk(a), mk(b))
for a, b in S:
    case('pow', torch.pow, mk(a, U) + 0.2, mk(b))
for k, f in {'maximum': torch.maximum, 'minimum': torch.minimum}.items():
    case(k, f, T([1, 1, 2, -1, 0]), T([1, 2, 1, -1, 0]))
    case(k, f, T([nan, 1, inf]), T([1, nan, -inf]), nograd=True)
for e in [2, 3, 0.5, -1, 0, 1, -2, 2.5, 4]:
    case('pow', torch.pow, U(5) + 0.3, e)
for e in [2, 3, 1, 0, 4]:
    case('pow', torch.pow, T([-2, -0.5, 0, 1, 3]), e)
case('pow', lambda a, b: torch.pow(a, b), 2, R(4))
case('pow', torch.pow, T([0, 0, 2, 0.5]), T([2, 0, 0, 3]))
for s in [2, -1.5, 0.5]:
    for k, f in {
        'add': torch.add, 'sub': torch.sub, 'mul': torch.mul, 'div': torch.div, 'remainder': torch.remainder, 'fmod': torch.fmod,
        'eq': torch.eq, 'lt': torch.lt, 'ge': torch.ge,
    }.items():
        case(k, f, R(3, 3), s, nograd=k in ('remainder', 'fmod'))
case('remainder', torch.remainder, R(4) * 5, T([2, -2, 1.5, -3]))
case('fmod', torch.fmod, R(4) * 5, T([2, -2, 1.5, -3]))
case('floorDivide', torch.floor_divide, R(4) * 5, T([2, -2, 1.5, -3]), nograd=True)
for k, f in {'eq': torch.eq, 'ne': torch.ne, 'lt': torch.lt, 'le': torch.le, 'gt': torch.gt, 'ge': torch.ge}.items():
    case(k, f, T([1, 2, nan, inf]), T([1, 3, nan, inf]))
    case(k, f, I(3, 2, 3), I(3, 3))
case('xlogy', torch.xlogy, T([0, 0, 1, 2]), T([0.5, 2, 3, 4]))
case('where', lambda c, a, b: torch.where(c != 0, a, b), I(2, 3, 1), R(3, 4), R(4))
case('where', lambda c, a, b: torch.where(c != 0, a, b), I(2, 4), R(2, 4), 2.5)
case('lerp', torch.lerp, R(3), R(3), 0.3)
case('lerp', torch.lerp, R(3), R(3), U(3))
case('addcmul', lambda x, a, b, o: torch.addcmul(x, a, b, value=o['value']), R(3), R(3), R(3), {'value': 0.5})
case('addcdiv', lambda x, a, b, o: torch.addcdiv(x, a, b, value=o['value']), R(3), R(3), U(3), {'value': 2})
case('isnan', torch.isnan, KN)
case('isinf', torch.isinf, KN)
case('isfinite', torch.isfinite, KN)
case('nanToNum', lambda x, o: torch.nan_to_num(x, o['nan'], o['posinf'], o['neginf']), KN, {'nan': 1, 'posinf': 5, 'neginf': -5})

# reductions
def dimof(o):
    d = o.get('dim')
    return tuple(d) if isinstance(d, list) else d
X = (2, 3, 4)
for o in [{}, {'dim': 1}, {'dim': -1, 'keepdim': True}, {'dim': [0, 2]}, {'dim': [1, -1], 'keepdim': True}, {'dim': [0, 1, 2]}]:
    d = dimof(o)
    kd = o.get('keepdim', False)
    dd = d if d is not None else (0, 1, 2)
    for k, f in {'sum': torch.sum, 'mean': torch.mean}.items():
        case(k, lambda x, o: f(x, dim=dd, keepdim=kd), R(*X), o)
    case('logsumexp', lambda x, o: torch.logsumexp(x, dim=dd, keepdim=kd), R(*X) * 5, o)
    for c in [0, 1]:
        case('var', lambda x, o: torch.var(x, dim=dd, correction=c, keepdim=kd), R(*X), {**o, 'correction': c})
        case('std', lambda x, o: torch.std(x, dim=dd, correction=c, keepdim=kd), R(*X), {**o, 'correction': c})
    case('max', lambda x, o: torch.amax(x, dim=dd, keepdim=kd), R(*X), o)
    case('min', lambda x, o: torch.amin(x, dim=dd, keepdim=kd), R(*X), o)
    for od in [2, 1, 0, 3, 0.5, 1.5, 2.5, -1]:
        case('norm', lambda x, o: torch.linalg.vector_norm(x, od, dim=dd, keepdim=kd), R(*X), {**o, 'ord': od})
for o in [{'dim': 1}, {'dim': -1, 'keepdim': True}, {'dim': 0}]:
    case('prod', lambda x, o: torch.prod(x, o['dim'], o.get('keepdim', False)), R(*X), o)
    case('argmax', lambda x, o: torch.argmax(x, o['dim'], o.get('keepdim', False)), R(*X), o)
    case('argmin', lambda x, o: torch.argmin(x, o['dim'], o.get('keepdim', False)), R(*X), o)
case('prod', lambda x, o: torch.prod(x, o['dim']), T([[0, 2, 3], [0, 0, 3], [1, 2, 3]]), {'dim': 1})
case('prod', lambda x: torch.prod(x), T([2, 0, 3]))
case('max', torch.amax, T([[1, 3, 3], [2, 2, 2]]))
case('max', lambda x, o: torch.amax(x, 1), T([[1, 3, 3], [2, 2, 2]]), {'dim': 1})
case('min', lambda x, o: torch.amin(x, 1), T([[1, 1, 3], [2, 2, 2]]), {'dim': 1})
case('max', torch.amax, T([1, nan, 2]), nograd=True)
case('argmax', torch.argmax, T([1, 3, 3, 2]))
case('argmin', torch.argmin, T([1, 0, 0, 2]))
for f, k in [(torch.sum, 'sum'), (torch.mean, 'mean'), (torch.amax, 'max'), (torch.prod, 'prod')]:
    case(k, lambda x, f=f: f(x), R(1)[0].reshape(()))
case('sum', lambda x, o: x.sum(0), R(0, 3), {'dim': 0})
case('prod', lambda x, o: x.prod(0), R(0, 3), {'dim': 0})
case('mean', lambda x, o: x.mean(1), R(0, 3), {'dim': 1})
case('logsumexp', lambda x, o: torch.logsumexp(x, 1), T([[-inf, -inf], [-inf, 0], [1000, 1000]]), {'dim': 1})
case('logsumexp', lambda x, o: torch.logsumexp(x, 1), T([[inf, 0], [inf, -inf]]), {'dim': 1}, nograd=True)
case('norm', torch.linalg.vector_norm, T([0, 0, 0]))
case('norm', lambda x, o: torch.linalg.vector_norm(x, 2, dim=1), T([[0, 0], [3, 4]]), {'dim': 1})
case('norm', lambda x, o: torch.linalg.vector_norm(x, 3, dim=1), T([[0, 0], [3, -4], [0, 1]]), {'dim': 1, 'ord': 3})
case('norm', lambda x, o: torch.linalg.vector_norm(x, 1, dim=1), T([[0, 0], [3, -4], [0, 1]]), {'dim': 1, 'ord': 1})
for d in [0, 1, 2, -1]:
    case('cumsum', torch.cumsum, R(*X), d)
    case('cumprod', torch.cumprod, R(*X), d)
case('cumprod', torch.cumprod, T([[2, 0, 3, 4], [1, 0, 0, 2]]), 1)
case('cumsum', torch.cumsum, R(0, 2), 0)
case('any', lambda x, o: torch.any(x != 0, 1), I(2, 3, 2), {'dim': 1})
case('all', lambda x, o: torch.all(x != 0, 1), I(2, 3, 2), {'dim': 1})
case('any', lambda x: torch.any(x != 0), I(2, 3))
case('all', lambda x: torch.all(x != 0), I(2, 0))

# sort
for o in [{}, {'dim': 0}, {'dim': -1, 'descending': True}, {'dim': 1, 'descending': True}]:
    case('sort', lambda x, o: tuple(torch.sort(x, dim=o.get('dim', -1), descending=o.get('descending', False), stable=True)), R(3, 5, 2), o)
case(
    'sort', lambda x, o: tuple(torch.sort(x, dim=-1, descending=o['descending'], stable=True)), T([[1, 2, 1, 2, 0, 1]]),
    {'descending': True},
)
case('sort', lambda x: tuple(torch.sort(x, stable=True)), T([[1, 2, 1, 2, 0, 1]]))
case('sort', lambda x: tuple(torch.sort(x, stable=True)), T([3, nan, 1, inf, -inf]), nograd=True)
for o in [{}, {'dim': 0}, {'largest': False}]:
    case('topk', lambda x, k, o: tuple(torch.topk(x, k, dim=o.get('dim', -1), largest=o.get('largest', True))), R(5, 6), 3, o)
case('argsort', lambda x, o: torch.argsort(x, dim=o['dim'], descending=True, stable=True), R(3, 4), {'dim': 0, 'descending': True})

# shape
case('reshape', torch.reshape, R(2, 3, 4), [-1])
case('reshape', torch.reshape, R(2, 3, 4), [3, -1, 2])
case('reshape', torch.reshape, R(0, 3), [3, 0])
case('reshape', torch.reshape, R(1), [])
for a, b in [(0, 1), (-1, -2), (1, 1)]:
    case('transpose', torch.transpose, R(2, 3, 4), a, b)
case('permute', torch.permute, R(2, 3, 4), [2, 0, 1])
case('permute', torch.permute, R(2, 3, 4), [-1, 0, 1])
case('squeeze', lambda x: torch.squeeze(x), R(1, 3, 1))
for d in [0, -1, 1]:
    case('squeeze', torch.squeeze, R(1, 3, 1), d)
case('squeeze', lambda x, d: torch.squeeze(x, tuple(d)), R(1, 3, 1), [0, 2])
for d in [0, 1, 2, -1, -3]:
    case('unsqueeze', torch.unsqueeze, R(2, 3), d)
for a in [[], [1], [0, 1], [1, 2], [-2, -1]]:
    case('flatten', lambda x, *a: torch.flatten(x, *a), R(2, 3, 4), *a)
case('flatten', torch.flatten, R(1)[0].reshape(()))
case('unflatten', lambda x, d, s: torch.unflatten(x, d, s), R(2, 6), 1, [2, -1])
case('movedim', torch.movedim, R(2, 3, 4), 0, -1)
case('expand', lambda x, s: x.expand(*s), R(3, 1), [-1, 4])
case('expand', lambda x, s: x.expand(*s), R(3), [2, 3])
case('expand', lambda x, s: x.expand(*s), R(1), [0])
for d in [0, 1, -1]:
    case('cat', lambda ts, d: torch.cat(ts, d), [R(2, 3), R(2, 3)], d)
    case('stack', lambda ts, d: torch.stack(ts, d), [R(2, 3), R(2, 3), R(2, 3)], d)
case('cat', lambda ts: torch.cat(ts), [R(2), R(0), R(3)])
case('stack', lambda ts, d: torch.stack(ts, d), [R(2), R(2)], -2)
case('cat', lambda ts: torch.cat(ts), [R(2)])
case('split', lambda x, n, d: list(torch.split(x, n, d)), R(7, 2), 3, 0)
case('split', lambda x, n: list(torch.split(x, n)), R(7, 2), 2)
case('split', lambda x, n, d: list(torch.split(x, n, d)), R(2, 5), [2, 3], -1)
for c in [1, 2, 3, 4, 5, 7]:
    case('chunk', lambda x, c, d: list(torch.chunk(x, c, d)), R(5, 2), c, 0)
case('chunk', lambda x, c: list(torch.chunk(x, c)), R(6), 3)
case('unbind', lambda x, d: list(torch.unbind(x, d)), R(2, 3), 1)
case('narrow', torch.narrow, R(5, 3), 0, -3, 2)
case('narrow', torch.narrow, R(5, 3), -1, 0, 2)
case('narrow', torch.narrow, R(5, 3), 0, 2, 0)
for d, i in [(0, 0), (1, -1), (-1, 2)]:
    case('select', torch.select, R(3, 4), d, i)
case('flip', torch.flip, R(3, 4), [0])
case('flip', torch.flip, R(3, 4, 2), [-1, 0])
case('roll', lambda x, s, d: torch.roll(x, s, d), R(3, 4), -1, 0)
case('roll', lambda x, s, d: torch.roll(x, s, d), R(3, 4), [1, 5], [0, 1])
case('roll', lambda x, s: torch.roll(x, s), R(3, 4), 5)
case('pad', lambda x, p: F.pad(x, p), R(2, 3), [1, 0])
case('pad', lambda x, p: F.pad(x, p), R(2, 3, 4), [0, 1, 2, 0, 1, 1])
case('pad', lambda x, p: F.pad(x, p), R(4, 5), [-1, -1, -1, 0])
case('pad', lambda x, p: F.pad(x, p), R(4, 5), [-1, 2])
case('pad', lambda x, p, o: F.pad(x, p, mode='reflect'), R(1, 2, 6), [2, 3], {'mode': 'reflect'})
case('pad', lambda x, p, o: F.pad(x, p, mode='replicate'), R(1, 2, 4, 5), [2, 3, 1, 0], {'mode': 'replicate'})
case('pad', lambda x, p, o: F.pad(x, p, mode='circular'), R(1, 2, 4, 5), [2, 1, 1, 0], {'mode': 'circular'})
case('pad', lambda x, p, o: F.pad(x, p, mode='replicate'), R(2, 4), [2, 3], {'mode': 'replicate'})
case('repeat', lambda x, s: x.repeat(*s), R(2, 3), [2, 2])
case('repeat', lambda x, s: x.repeat(*s), R(3), [2, 1])
case('tile', lambda x, s: torch.tile(x, tuple(s)), R(2, 3), [2])
case('tile', lambda x, s: torch.tile(x, tuple(s)), R(3), [2, 2])
case('repeatInterleave', lambda x, n, d: torch.repeat_interleave(x, n, d), R(2, 3), 2, 1)
case('repeatInterleave', lambda x, n: torch.repeat_interleave(x, n), R(2, 3), 2)
for k, f in {'tril': torch.tril, 'triu': torch.triu}.items():
    for d in [0, -1, 2, 10, -10]:
        case(k, lambda x, d, f=f: f(x, d), R(3, 4), d)
    case(k, lambda x, f=f: f(x), R(2, 3, 3))
for a in [[], [1], [-1], [0, 1, 2], [0, -2, -1], [1, 0, 2]]:
    case('diagonal', lambda x, *a: torch.diagonal(x, *a), R(3, 4, 5), *a)
case('meshgrid', lambda ts: list(torch.meshgrid(*ts, indexing='ij')), [R(2), R(3), R(2)])
case('meshgrid', lambda ts, o: list(torch.meshgrid(*ts, indexing=o['indexing'])), [R(2), R(3)], {'indexing': 'xy'})

# index
case('gather', torch.gather, R(3, 4), 0, I(3, 2, 4))
case('gather', torch.gather, R(3, 4), -1, I(4, 3, 6))
case('gather', torch.gather, R(2, 3, 4), 1, I(3, 2, 5, 4))
case('gather', torch.gather, R(3, 4), 1, I(4, 2, 2))
case('takeAlongDim', lambda x, i, d: torch.take_along_dim(x, i, d), R(3, 4), I(4, 3, 2), 1)
for d in [0, 1, -1]:
    case('indexSelect', torch.index_select, R(3, 4), d, I(3, 5))
case('scatterAdd', torch.scatter_add, R(3, 4), 0, I(3, 2, 4), R(2, 4))
case('scatterAdd', torch.scatter_add, R(3, 4), 1, I(4, 3, 6), R(3, 6))
case('scatterAdd', torch.scatter_add, R(3, 4), 1, torch.zeros(3, 2, dtype=torch.int64), R(3, 2))
case('scatter', torch.scatter, R(3, 4), 1, torch.tensor([[0, 2], [1, 3], [3, 0]]), R(3, 2))
case('indexAdd', lambda x, d, i, s: torch.index_add(x, d, i, s), R(4, 3), 0, I(4, 5), R(5, 3))
case('maskedFill', lambda x, m, v: x.masked_fill(m != 0, v), R(2, 3), I(2, 3), 5)
case('maskedFill', lambda x, m, v: x.masked_fill(m != 0, v), R(2, 3, 4), I(2, 3, 1), -1000000000.0)
case('embedding', F.embedding, I(5, 7), R(5, 2))
case('embedding', lambda i, w, o: F.embedding(i, w, padding_idx=o['paddingIdx']), I(5, 2, 2, 2), R(5, 2), {'paddingIdx': -1})
case('oneHot', lambda x, n: F.one_hot(x, n), I(4, 2, 3), 6)
case('oneHot', lambda x, n: F.one_hot(x, n), I(4, 2, 3), 4)

# linalg
for a, b in [
    ((2, 3, 4), (2, 4, 5)), ((5, 1, 2, 3), (4, 3, 2)), ((2, 3, 4), (4,)), ((3,), (2, 3, 4)), ((0, 3), (3, 2)), ((3, 0), (0, 2)),
    ((1, 1), (1, 1)), ((7, 33), (33, 19)),
]:
    case('matmul', torch.matmul, R(*a), R(*b))
for eq, *s in [
    ('ij,jk', (2, 3), (3, 4)), ('ij->ji', (2, 3)), ('ij->', (2, 3)), ('ii', (3, 3)), ('ij->j', (2, 3)), ('i,j->ij', (2,), (3,)),
    ('bi,bi->b', (2, 3), (2, 3)), ('bi,bi->bi', (2, 3), (2, 3)), ('...ij,...jk->...ik', (2, 5, 3, 4), (5, 4, 2)),
    ('b...i,bij->b...j', (2, 3, 4), (2, 4, 5)), ('ij,jk,kl->il', (2, 3), (3, 4), (4, 2)), ('ijk,ijk->', (2, 3, 4), (2, 3, 4)),
    ('bij,bjk,bk->bi', (2, 3, 4), (2, 4, 5), (2, 5)), ('iij->ij', (3, 3, 2)), ('iji->j', (3, 2, 3)), ('ij,kl->ijkl', (2, 2), (2, 3)),
    ('a,b,c->abc', (2,), (3,), (2,)), ('...->...', (2, 3)), ('i...->...', (2, 3)), ('ij,ij->ij', (1, 3), (2, 3)),
    ('bhqd,bhkd->bhqk', (1, 2, 3, 4), (1, 2, 5, 4)), ('ba', (2, 3)), ('bnij,bnjk,bnkl->bnil', (2, 2, 3, 2), (2, 2, 2, 3), (2, 2, 3, 2)),
    ('i,i->', (4,), (4,)), ('ij,j->i', (3, 4), (4,)), ('ijk,jil->kl', (2, 3, 4), (3, 2, 5)), ('Ab,bC->AC', (2, 3), (3, 2)),
]:
    case('einsum', lambda e, *t: torch.einsum(e, *t), eq, *[R(*x) for x in s])
case('outer', torch.outer, R(2), R(1))
case('dot', torch.dot, R(3), R(3))
case('mv', torch.mv, R(2, 3), R(3))
case('mm', torch.mm, R(2, 3), R(3, 2))
case('bmm', torch.bmm, R(2, 2, 3), R(2, 3, 2))
case('t', torch.t, R(2, 3))
case('addmm', lambda c, a, b, o: torch.addmm(c, a, b, beta=o['beta'], alpha=o['alpha']), R(2), R(3, 4), R(4, 2), {'beta': 0.5, 'alpha': 2})
case('baddbmm', lambda c, a, b: torch.baddbmm(c, a, b), R(2, 3, 2), R(2, 3, 4), R(2, 4, 2))
case('linear', F.linear, R(4), R(3, 4), R(3))
case('linear', F.linear, R(2, 2, 4), R(3, 4))
case('bilinear', lambda a, b, w: F.bilinear(a, b, w), R(2, 3, 4), R(2, 3, 5), R(2, 4, 5))
case('bilinear', F.bilinear, R(4), R(5), R(2, 4, 5), R(2))
M = lambda n: R(n, n) + 3 * torch.eye(n, dtype=torch.float64)
for n in [1, 2, 5]:
    case('inverse', torch.inverse, M(n), rtol=0.001, atol=0.0001)
    case('det', torch.det, M(n), rtol=0.001, atol=0.0001)
case('inverse', torch.inverse, torch.stack([M(3), M(3)]).detach(), rtol=0.001, atol=0.0001)
case('det', torch.det, torch.stack([M(3), M(3)]), rtol=0.001, atol=0.0001)
def spd(n):
    a = R(n, n)
    return (a @ a.T / n + torch.eye(n)).float().double()
case('cholesky', torch.linalg.cholesky, spd(3), rtol=0.001, atol=0.0001)
case('cholesky', torch.linalg.cholesky, torch.stack([spd(2), spd(2)]), rtol=0.001, atol=0.0001)
case('cholesky', torch.linalg.cholesky, spd(1), rtol=0.001, atol=0.0001)
case('solve', torch.linalg.solve, M(3), R(3, 2), rtol=0.001, atol=0.0001)
case('logdet', torch.logdet, spd(3), rtol=0.001, atol=0.0001)

# distances
case('normalize', F.normalize, R(3, 4))
case('normalize', lambda x, o: F.normalize(x, p=o['p'], dim=o['dim']), R(3, 4), {'p': 1, 'dim': 0})
case('normalize', lambda x, o: F.normalize(x, dim=-1), T([[0, 0], [3, 4]]), {'dim': -1}, nograd=True)
case('cosineSimilarity', F.cosine_similarity, R(3, 4), R(3, 4))
case('cosineSimilarity', lambda a, b, o: F.cosine_similarity(a, b, dim=o['dim']), R(3, 1, 4), R(5, 4), {'dim': -1})
case('cosineSimilarity', lambda a, b, o: F.cosine_similarity(a, b, dim=0), R(4), R(4), {'dim': 0})
case('cosineSimilarity', F.cosine_similarity, T([[0, 0], [1, 2]]), T([[1, 2], [2, 1]]))
case('pairwiseDistance', F.pairwise_distance, R(3, 4), R(3, 4))
case(
    'pairwiseDistance', lambda a, b, o: F.pairwise_distance(a, b, p=o['p'], keepdim=o['keepdim']), R(3, 4), R(3, 4),
    {'p': 1, 'keepdim': True},
)
case('pairwiseDistance', F.pairwise_distance, R(4), R(4))
for p in [2, 1, 3]:
    case('cdist', lambda a, b, o: torch.cdist(a, b, o['p']), R(2, 3, 4), R(2, 5, 4), {'p': p})
case('cdist', lambda a, b: torch.cdist(a, b), T([[0, 0], [1, 1]]), T([[0, 0], [4, 5]]))

# conv/pool
for kw in [
    {}, {'stride': 2}, {'padding': 1}, {'stride': [2, 1], 'padding': [0, 2], 'dilation': [1, 2]}, {'padding': 'same'},
    {'padding': 'same', 'dilation': 2}, {'padding': 'valid'}, {'groups': 2, 'stride': 2, 'padding': 1},
]:
    t = {k: tuple(v) if isinstance(v, list) else v for k, v in kw.items()}
    gp = kw.get('groups', 1)
    case('conv2d', lambda x, w, b, o: F.conv2d(x, w, b, **t), R(2, 4, 9, 8), R(6, 4 // gp, 3, 3), R(6), kw)
case('conv2d', lambda x, w: F.conv2d(x, w), R(2, 3, 5, 5), R(4, 3, 2, 4))
case('conv2d', lambda x, w, b, o: F.conv2d(x, w, None, padding='same'), R(1, 2, 5, 6), R(3, 2, 2, 4), None, {'padding': 'same'})
case('conv2d', lambda x, w, b, o: F.conv2d(x, w, b, groups=4), R(2, 4, 5, 5), R(8, 1, 3, 3), R(8), {'groups': 4})
case('conv2d', lambda x, w: F.conv2d(x, w), R(3, 5, 5), R(4, 3, 2, 2))
case('conv2d', lambda x, w: F.conv2d(x, w), R(1, 3, 4, 4), R(5, 3, 1, 1))
case('conv2d', lambda x, w, b, o: F.conv2d(x, w, b, stride=3), R(1, 1, 28, 28), R(4, 1, 5, 5), R(4), {'stride': 3})
for kw in [
    {}, {'stride': 2, 'padding': 1}, {'stride': 3, 'padding': 2, 'outputPadding': 1},
    {'stride': [2, 1], 'padding': [1, 0], 'outputPadding': [1, 0]}, {'groups': 2, 'stride': 2}, {'dilation': 2, 'padding': 1},
]:
    t = {'output_padding' if k == 'outputPadding' else k: tuple(v) if isinstance(v, list) else v for k, v in kw.items()}
    gp = kw.get('groups', 1)
    case('convTranspose2d', lambda x, w, b, o: F.conv_transpose2d(x, w, b, **t), R(2, 4, 5, 4), R(4, 6 // gp, 3, 3), R(6 // gp * gp), kw)
case(
    'conv1d', lambda x, w, b, o: F.conv1d(x, w, b, stride=2, padding=3, dilation=2), R(2, 3, 12), R(4, 3, 3), R(4),
    {'stride': 2, 'padding': 3, 'dilation': 2},
)
case('conv1d', lambda x, w, b, o: F.conv1d(x, w, b, padding='same'), R(2, 3, 12), R(4, 3, 4), R(4), {'padding': 'same'})
case('convTranspose1d', lambda x, w, b, o: F.conv_transpose1d(x, w, b, stride=2), R(2, 4, 5), R(4, 3, 3), R(3), {'stride': 2})
case(
    'conv3d', lambda x, w, b, o: F.conv3d(x, w, b, stride=(1, 2, 1), padding=(1, 0, 1)), R(2, 2, 4, 5, 5), R(3, 2, 2, 3, 3), R(3),
    {'stride': [1, 2, 1], 'padding': [1, 0, 1]},
)
case(
    'conv3d', lambda x, w, b, o: F.conv3d(x, w, b, groups=2, dilation=2), R(1, 4, 5, 5, 5), R(4, 2, 2, 2, 2), R(4),
    {'groups': 2, 'dilation': 2},
)
for kw in [
    {'kernelSize': 2}, {'kernelSize': [3, 2], 'stride': [2, 1]}, {'kernelSize': 3, 'stride': 1, 'padding': 1},
    {'kernelSize': 2, 'ceilMode': True}, {'kernelSize': 3, 'stride': 2, 'padding': 1, 'ceilMode': True},
]:
    tk = lambda v: tuple(v) if isinstance(v, list) else v
    t = dict(
        kernel_size=tk(kw['kernelSize']), stride=tk(kw.get('stride')), padding=tk(kw.get('padding', 0)),
        ceil_mode=kw.get('ceilMode', False),
    )
    case('maxPool2d', lambda x, o: F.max_pool2d(x, **t), R(2, 3, 7, 7), kw)
    case('avgPool2d', lambda x, o: F.avg_pool2d(x, **t), R(2, 3, 7, 7), kw)
    case('avgPool2d', lambda x, o: F.avg_pool2d(x, **t, count_include_pad=False), R(2, 3, 7, 7), {**kw, 'countIncludePad': False})
case('maxPool2d', lambda x, o: F.max_pool2d(x, 2, dilation=2, stride=1), R(2, 3, 7, 7), {'kernelSize': 2, 'dilation': 2, 'stride': 1})
case('maxPool2d', lambda x, o: F.max_pool2d(x, 2), T([[[[1, 1], [1, 1]], [[-1, -2], [-1, -3]]]]), {'kernelSize': 2})
case('maxPool1d', lambda x, o: F.max_pool1d(x, 2, padding=1), R(2, 3, 7), {'kernelSize': 2, 'padding': 1})
case('avgPool1d', lambda x, o: F.avg_pool1d(x, 3, stride=2, padding=1), R(2, 3, 7), {'kernelSize': 3, 'stride': 2, 'padding': 1})
for s in [[2, 2], [3, 5], 1, [7, 7], [8, 9]]:
    case('adaptiveAvgPool2d', lambda x, s: F.adaptive_avg_pool2d(x, s), R(2, 3, 7, 7), s)
for s in [[None, 2]]:
    case('adaptiveAvgPool2d', lambda x, s: F.adaptive_avg_pool2d(x, tuple(s)), R(2, 3, 7, 6), s)
for kw in [{'kernelSize': 2}, {'kernelSize': [2, 3], 'dilation': [2, 1], 'padding': 1, 'stride': 2}]:
    t = dict(
        kernel_size=kw['kernelSize'] if not isinstance(kw['kernelSize'], list) else tuple(kw['kernelSize']),
        dilation=tuple(kw['dilation']) if 'dilation' in kw else 1, padding=kw.get('padding', 0), stride=kw.get('stride', 1),
    )
    case('unfold', lambda x, o: F.unfold(x, **t), R(2, 3, 6, 7), kw)
case('fold', lambda x, o: F.fold(x, (4, 5), 2), R(2, 12, 12), {'outputSize': [4, 5], 'kernelSize': 2})

# interpolate
for o in [
    {'size': [6, 8]}, {'size': [4, 5]}, {'size': 7}, {'scaleFactor': 1.5}, {'scaleFactor': [2, 0.5]}, {'size': [2, 2]}, {'scaleFactor': 3},
]:
    for m in ['nearest', 'nearest-exact', 'bilinear', 'bicubic']:
        for ac in [None] if m.startswith('nearest') else [False, True]:
            oo = {**o, 'mode': m}
            if ac is not None:
                oo['alignCorners'] = ac
            t = lambda v: tuple(v) if isinstance(v, list) else v
            case(
                'interpolate',
                lambda x, o: F.interpolate(
                    x, size=t(o.get('size')), scale_factor=t(o.get('scaleFactor')), mode=o['mode'], align_corners=o.get('alignCorners'),
                ),
                R(1, 2, 4, 5), oo,
            )
for ac in [False, True]:
    case(
        'interpolate', lambda x, o: F.interpolate(x, size=o['size'], mode='linear', align_corners=ac), R(2, 2, 5),
        {'size': 8, 'mode': 'linear', 'alignCorners': ac},
    )
    case(
        'interpolate', lambda x, o: F.interpolate(x, scale_factor=2, mode='trilinear', align_corners=ac), R(1, 2, 2, 3, 2),
        {'scaleFactor': 2, 'mode': 'trilinear', 'alignCorners': ac},
    )
case('interpolate', lambda x, o: F.interpolate(x, scale_factor=2), R(2, 2, 5), {'scaleFactor': 2})
case('interpolate', lambda x, o: F.interpolate(x, size=(7, 5)), R(1, 1, 49, 49), {'size': [7, 5]})
case('interpolate', lambda x, o: F.interpolate(x, scale_factor=0.3), R(1, 1, 49, 31), {'scaleFactor': 0.3})
case(
    'interpolate', lambda x, o: F.interpolate(x, size=(1, 1), mode='bilinear', align_corners=True), R(1, 1, 4, 3),
    {'size': 1, 'mode': 'bilinear', 'alignCorners': True},
)
case('pixelShuffle', F.pixel_shuffle, R(2, 9, 2, 2), 3)
case('pixelShuffle', F.pixel_shuffle, R(4, 2, 2), 2)
case('pixelUnshuffle', F.pixel_unshuffle, R(2, 1, 6, 4), 2)

# norm layers
case('layerNorm', lambda x, w: F.layer_norm(x, w.shape, w), R(3, 4), R(4))
case('layerNorm', lambda x, w, b, o: F.layer_norm(x, (4,), w, b, eps=o['eps']), R(3, 4), R(4), R(4), {'eps': 0.01})
case('layerNorm', lambda x, w, b: F.layer_norm(x, w.shape, w, b), R(2, 3, 4, 5), R(4, 5), R(4, 5))
case('rmsNorm', lambda x, w: F.rms_norm(x, w.shape, w), R(3, 4), R(4))
case('rmsNorm', lambda x, w, o: F.rms_norm(x, w.shape, w, eps=o['eps']), R(2, 3, 4), R(3, 4), {'eps': 1e-05})
for gr in [1, 2, 6]:
    case('groupNorm', lambda x, n, w, b: F.group_norm(x, n, w, b), R(2, 6, 3), gr, R(6), R(6))
case('groupNorm', lambda x, n: F.group_norm(x, n), R(2, 6, 3, 2), 3)
case('groupNorm', lambda x, n, w, b, o: F.group_norm(x, n, w, b, eps=o['eps']), R(2, 6, 3, 2), 3, R(6), R(6), {'eps': 0.1})
case('instanceNorm', lambda x: F.instance_norm(x), R(2, 3, 7))
for sh in [(4, 3), (4, 3, 5), (4, 3, 2, 2)]:
    case(
        'batchNorm', lambda x, m, v, w, b, o: F.batch_norm(x, m.detach(), v.detach(), w, b, training=True), R(*sh), R(3), U(3), R(3), R(3),
        {'training': True},
    )
    case(
        'batchNorm', lambda x, m, v, w, b, o: F.batch_norm(x, m.detach(), v.detach(), w, b, training=False, eps=o['eps']), R(*sh), R(3),
        U(3), R(3), R(3), {'training': False, 'eps': 0.01},
    )
case('batchNorm', lambda x, m, v: F.batch_norm(x, m.detach(), v.detach()), R(4, 3), R(3), U(3))
for d in [0, 1, 2, -2]:
    case('softmax', F.softmax, R(2, 3, 4) * 10, d)
    case('logSoftmax', F.log_softmax, R(2, 3, 4) * 10, d)
case('softmax', F.softmax, T([[-inf, 0, 1], [1000, 1000, -1000]]), -1)
case('softmax', F.softmax, R(5), 0)
case('logSoftmax', F.log_softmax, T([[1000, 0, -1000]]), -1)
case('softmin', F.softmin, R(2, 3), 1)
case('softmax', F.softmax, R(3, 1), 1)

# attention
for o in [{}, {'isCausal': True}, {'scale': 0.5}]:
    case(
        'scaledDotProductAttention',
        lambda q, k, v, o: F.scaled_dot_product_attention(q, k, v, is_causal=o.get('isCausal', False), scale=o.get('scale')), R(2, 2, 3, 4),
        R(2, 2, 5, 4), R(2, 2, 5, 6), o,
    )
case('scaledDotProductAttention', lambda q, k, v: F.scaled_dot_product_attention(q, k, v), R(2, 3, 4), R(2, 5, 4), R(2, 5, 4))
case('scaledDotProductAttention', lambda q, k, v: F.scaled_dot_product_attention(q, k, v), R(3, 4), R(5, 4), R(5, 4))
case(
    'scaledDotProductAttention', lambda q, k, v, o: F.scaled_dot_product_attention(q, k, v, attn_mask=o['attnMask']), R(2, 2, 3, 4),
    R(2, 2, 5, 4), R(2, 2, 5, 4), {'attnMask': R(3, 5)},
)
case(
    'scaledDotProductAttention', lambda q, k, v, o: F.scaled_dot_product_attention(q, k, v, attn_mask=o['attnMask'] != 0), R(2, 2, 3, 4),
    R(2, 2, 5, 4), R(2, 2, 5, 4), {'attnMask': torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])},
)
case(
    'scaledDotProductAttention', lambda q, k, v, o: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True), R(2, 6, 4, 4),
    R(2, 2, 4, 4), R(2, 2, 4, 4), {'enableGqa': True, 'isCausal': True},
)
case(
    'scaledDotProductAttention', lambda q, k, v, o: F.scaled_dot_product_attention(q, k, v, attn_mask=o['attnMask'] != 0, enable_gqa=True),
    R(2, 4, 3, 4), R(2, 2, 5, 4), R(2, 2, 5, 4), {'enableGqa': True, 'attnMask': torch.ones(2, 1, 3, 5, dtype=torch.int64).tril()},
)

# losses
REd = ['mean', 'sum', 'none']
for r in REd:
    o = {'reduction': r}
    case('crossEntropy', lambda x, t, o: F.cross_entropy(x, t, reduction=r), R(4, 5), I(5, 4), o)
    case(
        'crossEntropy', lambda x, t, o: F.cross_entropy(x, t, reduction=r, ignore_index=1, label_smoothing=0.2), R(6, 3),
        torch.tensor([0, 1, 2, 1, 0, 2]), {**o, 'ignoreIndex': 1, 'labelSmoothing': 0.2},
    )
    case(
        'crossEntropy', lambda x, t, o: F.cross_entropy(x, t, reduction=r, weight=o['weight']), R(6, 3), torch.tensor([0, 1, 2, 1, 0, 2]),
        {**o, 'weight': U(3)},
    )
    case('crossEntropy', lambda x, t, o: F.cross_entropy(x, t, reduction=r), R(2, 3, 4), I(3, 2, 4), o)
    case(
        'crossEntropy', lambda x, t, o: F.cross_entropy(x, t.detach(), reduction=r), R(4, 3), torch.softmax(R(4, 3), 1).float().double(), o,
    )
    case(
        'crossEntropy', lambda x, t, o: F.cross_entropy(x, t, reduction=r, weight=o['weight'], label_smoothing=0.1, ignore_index=2),
        R(6, 3), torch.tensor([0, 1, 2, 1, 0, 2]), {**o, 'weight': U(3), 'labelSmoothing': 0.1, 'ignoreIndex': 2},
    )
    case('crossEntropy', lambda x, t, o: F.cross_entropy(x, t, reduction=r), R(5), I(5, 1)[0], o)
    case('nllLoss', lambda x, t, o: F.nll_loss(x, t, reduction=r), R(4, 5), I(5, 4), o)
    case(
        'nllLoss', lambda x, t, o: F.nll_loss(x, t, reduction=r, weight=o['weight'], ignore_index=0), R(6, 3),
        torch.tensor([0, 1, 2, 1, 0, 2]), {**o, 'weight': U(3), 'ignoreIndex': 0},
    )
    case('nllLoss', lambda x, t, o: F.nll_loss(x, t, reduction=r), R(2, 3, 2, 2), I(3, 2, 2, 2), o)
    a, b = (T([0, 1, -1, 2, 0.5, -3]), T([0, 0, 0, 0, 0, -2]))
    case('mseLoss', lambda x, y, o: F.mse_loss(x, y, reduction=r), R(3, 2), R(3, 2), o)
    case('l1Loss', lambda x, y, o: F.l1_loss(x, y, reduction=r), a, b, o)
    for be in [1, 0.5, 2, 0]:
        case('smoothL1Loss', lambda x, y, o: F.smooth_l1_loss(x, y, reduction=r, beta=be), a, b, {**o, 'beta': be})
    for de in [1, 0.5, 2]:
        case('huberLoss', lambda x, y, o: F.huber_loss(x, y, reduction=r, delta=de), a, b, {**o, 'delta': de})
    case('softMarginLoss', lambda x, y, o: F.soft_margin_loss(x, y.detach(), reduction=r), R(4) * 10, T([1, -1, 1, -1]), o)
    case('binaryCrossEntropy', lambda x, y, o: F.binary_cross_entropy(x, y, reduction=r), U(3, 2), U(3, 2), o)
    case(
        'binaryCrossEntropy', lambda x, y, o: F.binary_cross_entropy(x, y.detach(), reduction=r), T([0, 1, 0, 1, 0.5]),
        T([0, 1, 0.5, 0.5, 1]), o, rtol=0.001,
    )
    case(
        'binaryCrossEntropy', lambda x, y, o: F.binary_cross_entropy(x, y, reduction=r, weight=o['weight'].detach()), U(3, 2), U(3, 2),
        {**o, 'weight': U(2)},
    )
    case(
        'binaryCrossEntropyWithLogits', lambda x, y, o: F.binary_cross_entropy_with_logits(x, y, reduction=r), T([0, 1, -1, 50, -50, 100]),
        T([0, 1, 0, 1, 1, 0]), o,
    )
    case(
        'binaryCrossEntropyWithLogits',
        lambda x, y, o: F.binary_cross_entropy_with_logits(x, y, reduction=r, pos_weight=o['posWeight'], weight=o['weight']), R(3, 2),
        U(3, 2), {**o, 'posWeight': U(2), 'weight': U(3, 2)},
    )
    case(
        'klDiv', lambda x, y, o: F.kl_div(x, y, reduction=r), F.log_softmax(R(3, 4), 1).float().double(),
        F.softmax(R(3, 4), 1).float().double(), o,
    )
    case('klDiv', lambda x, y, o: F.kl_div(x, y, reduction=r, log_target=True), R(3, 4), R(3, 4), {**o, 'logTarget': True})
    case('klDiv', lambda x, y, o: F.kl_div(x, y.detach(), reduction=r), R(4), T([0, 0.5, 0.5, 0]), o)
    case(
        'tripletMarginLoss', lambda a, p, n, o: F.triplet_margin_loss(a, p, n, reduction=r, margin=0.5, p=1, swap=True), R(4, 3), R(4, 3),
        R(4, 3), {**o, 'margin': 0.5, 'p': 1, 'swap': True},
    )
    case('tripletMarginLoss', lambda a, p, n, o: F.triplet_margin_loss(a, p, n, reduction=r), R(3), R(3), R(3), o)
    case(
        'cosineEmbeddingLoss', lambda a, b, t, o: F.cosine_embedding_loss(a, b, t.detach(), reduction=r, margin=0.2), R(4, 3), R(4, 3),
        T([1, -1, -1, 1]), {**o, 'margin': 0.2},
    )
    case('cosineEmbeddingLoss', lambda a, b, t, o: F.cosine_embedding_loss(a, b, t.detach(), reduction=r), R(3), R(3), T(1), o)
    case(
        'hingeEmbeddingLoss', lambda x, t, o: F.hinge_embedding_loss(x, t.detach(), reduction=r, margin=1), T([0.5, 1, 2, 1, -1]),
        T([1, -1, -1, 1, -1]), {**o, 'margin': 1},
    )
    case(
        'marginRankingLoss', lambda a, b, t, o: F.margin_ranking_loss(a, b, t.detach(), reduction=r, margin=0.5), T([1, 2, 3, 0.5]),
        T([1, 1, 4, 1]), T([1, -1, 1, 1]), {**o, 'margin': 0.5},
    )
    for p in [1, 2]:
        case(
            'multiMarginLoss', lambda x, t, o: F.multi_margin_loss(x, t, p=p, reduction=r, margin=0.7), R(3, 4), I(4, 3),
            {**o, 'p': p, 'margin': 0.7},
        )
        case(
            'multiMarginLoss', lambda x, t, o: F.multi_margin_loss(x, t, p=p, reduction=r, weight=o['weight'].detach()), R(3, 4), I(4, 3),
            {**o, 'p': p, 'weight': U(4)},
        )
    case(
        'multilabelSoftMarginLoss', lambda x, t, o: F.multilabel_soft_margin_loss(x, t.detach(), reduction=r), R(3, 4), I(2, 3, 4).double(),
        o,
    )
    case('poissonNllLoss', lambda x, t, o: F.poisson_nll_loss(x, t, reduction=r), R(4), T([0, 1, 2, 5]), o)
    case(
        'poissonNllLoss', lambda x, t, o: F.poisson_nll_loss(x, t.detach(), reduction=r, log_input=False, full=True), U(4), T([0, 1, 2, 5]),
        {**o, 'logInput': False, 'full': True},
    )
    case('gaussianNllLoss', lambda x, t, v, o: F.gaussian_nll_loss(x, t, v, reduction=r), R(3, 2), R(3, 2), U(3, 2), o)
    case(
        'gaussianNllLoss', lambda x, t, v, o: F.gaussian_nll_loss(x, t, v, reduction=r, full=True, eps=0.3), R(3, 2), R(3, 2), U(3, 1),
        {**o, 'full': True, 'eps': 0.3},
    )
    case('gaussianNllLoss', lambda x, t, v, o: F.gaussian_nll_loss(x, t, v, reduction=r), R(3, 2), R(3, 2), U(3), o)
    lp = F.log_softmax(R(8, 2, 5), -1).float().double()
    case(
        'ctcLoss', lambda x, t, il, tl, o: F.ctc_loss(x, t, il, tl, reduction=r), lp, torch.tensor([[1, 2, 3], [2, 2, 4]]), [8, 7], [3, 2],
        o, rtol=0.001, atol=0.0001,
    )
    case(
        'ctcLoss', lambda x, t, il, tl, o: F.ctc_loss(x, t, il, tl, reduction=r, blank=4, zero_infinity=True), lp,
        torch.tensor([[1, 1, 1], [2, 2, 0]]), [8, 2], [3, 3], {**o, 'blank': 4, 'zeroInfinity': True}, rtol=0.001, atol=0.0001,
    )
case(
    'klDiv', lambda x, y, o: F.kl_div(x, y, reduction='batchmean', log_target=True), R(3, 4, 2), R(3, 4, 2),
    {'reduction': 'batchmean', 'logTarget': True},
)

save("test/golden/extra/ops", "float64 PyTorch references beyond test/golden/ops, made by scripts/golden/extra_ops.py")
