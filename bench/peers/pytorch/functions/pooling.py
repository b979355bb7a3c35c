import torch.nn.functional as F

functions = {
    "max_pool2d_2x2": lambda x: F.max_pool2d(x, 2),
    "max_pool2d_3x3_stride2": lambda x: F.max_pool2d(x, 3, stride=2, padding=1),
    "avg_pool2d_2x2": lambda x: F.avg_pool2d(x, 2),
    "adaptive_avg_pool2d_1x1": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_avg_pool2d_7x7": lambda x: F.adaptive_avg_pool2d(x, 7),
    "max_pool1d_2": lambda x: F.max_pool1d(x, 2),
    "interpolate_nearest": lambda x: F.interpolate(x, scale_factor=2),
    "interpolate_bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "unfold": lambda x: F.unfold(x, 3, padding=1),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
}
