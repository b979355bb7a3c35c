# The networks of bench/peers/graft/networks.ts.
import torch, torch.nn as nn, torch.nn.functional as F
from vision import conv


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, active=True):
    return nn.Sequential(conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs), *([nn.ReLU6()] if active else []))


class Residual(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


def inverted(inputs, outputs, stride):
    wide = inputs * 6
    body = nn.Sequential(conv_norm(inputs, wide, 1), conv_norm(wide, wide, 3, stride, wide), conv_norm(wide, outputs, 1, active=False))
    return Residual(body) if stride == 1 and inputs == outputs else body


class ConvNeXtBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        h = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return x + self.down(F.gelu(self.up(h))).permute(0, 3, 1, 2)


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.positions = nn.Conv2d(3, 192, 8, 8), nn.Parameter(torch.zeros(1, 64, 192))
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(192, 3, 768, 0.0, F.gelu, batch_first=True, norm_first=True) for _ in range(4))
        self.head = nn.Linear(192, 100)

    def forward(self, x):
        h = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        for layer in self.layers:
            h = layer(h)
        return self.head(h.mean(1))


def group_normed(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.SiLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.down3 = group_normed(3, 32), group_normed(32, 64), group_normed(64, 128)
        self.up2, self.join2 = nn.ConvTranspose2d(128, 64, 2, 2), group_normed(128, 64)
        self.up1, self.join1 = nn.ConvTranspose2d(64, 32, 2, 2), group_normed(64, 32)
        self.head = nn.Conv2d(32, 5, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.down3(F.max_pool2d(b, 2))
        d = self.join2(torch.cat([self.up2(c), b], 1))
        return self.head(self.join1(torch.cat([self.up1(d), a], 1)))


class Speech(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv1d(1, 64, 10, 5), nn.GELU(), nn.Conv1d(64, 64, 3, 2), nn.GELU(), nn.MaxPool1d(2), nn.Conv1d(64, 128, 3, 2), nn.GELU())
        self.rnn, self.head = nn.GRU(128, 128, batch_first=True), nn.Linear(128, 35)

    def forward(self, x):
        return self.head(self.rnn(self.convs(x).transpose(1, 2))[0][:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions, self.norm = nn.Embedding(30000, 256), nn.Embedding(64, 256), nn.LayerNorm(256)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(256, 4, 1024, 0.1, F.gelu, batch_first=True) for _ in range(4))
        self.head = nn.Linear(256, 2)

    def forward(self, x):
        padding = x == 0
        h = self.norm(self.words(x) + self.positions(torch.arange(x.shape[1])))
        for layer in self.layers:
            h = layer(h, src_key_padding_mask=padding)
        return self.head(h[:, 0])


class Recommender(nn.Module):
    def __init__(self):
        super().__init__()
        self.users, self.items = nn.Embedding(50000, 32), nn.Embedding(20000, 32)
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x):
        return self.net(torch.cat([self.users(x[:, 0]), self.items(x[:, 1])], 1)).squeeze(1)


def generator():
    up = nn.ConvTranspose2d
    return nn.Sequential(up(64, 128, 4, 1, 0), nn.BatchNorm2d(128), nn.ReLU(), up(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU(), up(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), up(32, 3, 4, 2, 1), nn.Tanh())


def pooled(width, classes):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)


def padded(batch, length, words):
    lengths = torch.randint(20, length + 1, (batch, 1))
    return torch.where(torch.arange(length)[None] < lengths, torch.randint(1, words, (batch, length)), 0)


def network(workload):
    name = workload.split("_")[1]
    integers, noise = torch.randint, torch.randn
    if name == "mobilenet":
        model = nn.Sequential(conv_norm(3, 16, 3), inverted(16, 24, 2), inverted(24, 24, 1), inverted(24, 32, 2), inverted(32, 32, 1), *pooled(32, 10))
        x, y, loss = noise(16, 3, 32, 32), integers(10, (16,)), F.cross_entropy
    elif name == "convnext":
        model = nn.Sequential(nn.Conv2d(3, 64, 4, 4), ConvNeXtBlock(64), ConvNeXtBlock(64), *pooled(64, 10))
        x, y, loss = noise(8, 3, 128, 128), integers(10, (8,)), F.cross_entropy
    elif name == "vit":
        model, x, y, loss = ViT(), noise(16, 3, 64, 64), integers(100, (16,)), F.cross_entropy
    elif name == "unet":
        model, x, y, loss = UNet(), noise(4, 3, 64, 64), integers(5, (4, 64, 64)), F.cross_entropy
    elif name == "speech":
        model, x, y, loss = Speech(), noise(8, 1, 16000), integers(35, (8,)), F.cross_entropy
    elif name == "encoder":
        model, x, y, loss = Encoder(), padded(16, 64, 30000), integers(2, (16,)), F.cross_entropy
    elif name == "recommender":
        model, x, y, loss = Recommender(), integers(20000, (1024, 2)), torch.rand(1024).round(), F.binary_cross_entropy_with_logits
    else:
        model, x, y, loss = generator(), noise(16, 64, 1, 1), torch.zeros([]), lambda output, target: (output - target).square().mean()
    return model, torch.optim.Adam(model.parameters(), lr=1e-3), x, y, loss
