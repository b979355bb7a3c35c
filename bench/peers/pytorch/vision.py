# The networks of bench/peers/graft/vision.ts.
import torch, torch.nn as nn, torch.nn.functional as F


class SimpleCNN(nn.Module):
    def __init__(self, side):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * (side // 2) ** 2, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))


def conv(inputs, outputs, kernel, stride, groups=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs, 3, 1), nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.downsample = None if same else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + (x if self.downsample is None else self.downsample(x)))


def resnet18(classes):
    widths, blocks = [64, 64, 128, 256, 512], []
    for i, width in enumerate(widths[1:]):
        blocks += [BasicBlock(widths[i], width, 1 if i == 0 else 2), BasicBlock(width, width, 1)]
    return nn.Sequential(conv(3, 64, 3, 1), nn.BatchNorm2d(64), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def cnn(workload):
    side = int(workload[3:5])
    model = SimpleCNN(side)
    return model, torch.optim.Adam(model.parameters(), lr=1e-3), torch.randn(64, 1, side, side), torch.randint(0, 10, (64,)), F.cross_entropy


def mlp(workload):
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), torch.randn(128, 784), torch.randint(0, 10, (128,)), F.cross_entropy


def xor(workload):
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    return model, torch.optim.SGD(model.parameters(), lr=0.1), x, torch.tensor([[0.0], [1], [1], [0]]), F.mse_loss


def resnet(workload):
    model = resnet18(10)
    return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,)), F.cross_entropy
