import torch.nn.functional as F

functions = {
    "batch_norm": lambda x, weight, bias, mean, variance: F.batch_norm(x, mean, variance, weight, bias, training=True),
    "batch_norm_eval": lambda x, weight, bias, mean, variance: F.batch_norm(x, mean, variance, weight, bias),
    "group_norm": lambda x, weight, bias: F.group_norm(x, 8, weight, bias),
    "instance_norm": F.instance_norm,
    "layer_norm_64": lambda x, weight, bias: F.layer_norm(x, (64,), weight, bias),
    "layer_norm_images": lambda x: F.layer_norm(x, x.shape[1:]),
    "rms_norm": lambda x, weight: F.rms_norm(x, weight.shape, weight),
}
