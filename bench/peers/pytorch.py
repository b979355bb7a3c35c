# Answers rounds like serve.ts: one workload per process. Needs torch; the model and step are PyTorch's own way to write them.
import json, resource, sys, time
import torch, torch.nn as nn, torch.nn.functional as F

torch.manual_seed(0)


class SimpleCNN(nn.Module):
    def __init__(self, side):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * (side // 2) ** 2, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))


def setup(workload):
    if workload.startswith("cnn"):
        side = int(workload[3:5])
        model = SimpleCNN(side)
        return model, torch.optim.Adam(model.parameters(), lr=1e-3), torch.randn(64, 1, side, side), torch.randint(0, 10, (64,)), F.cross_entropy
    if workload == "mlp_b128":
        model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
        return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), torch.randn(128, 784), torch.randint(0, 10, (128,)), F.cross_entropy
    if workload == "xor_b4":
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
        return model, torch.optim.SGD(model.parameters(), lr=0.1), x, torch.tensor([[0.0], [1], [1], [0]]), F.mse_loss
    raise SystemExit(f"unknown workload {workload}")


if sys.argv[1] == "matmul_1024":
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
else:
    model, optimizer, x, y, loss_of = setup(sys.argv[1])


def step():
    if sys.argv[1] == "matmul_1024":
        return a @ b
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


started = False
for line in sys.stdin:
    seconds = json.loads(line)["milliseconds"] / 1e3
    answer = {}
    if not started:
        begin = time.perf_counter()
        step()
        answer["first"] = (time.perf_counter() - begin) * 1e3
        for _ in range(5):
            step()
        started = True
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        begin = time.perf_counter()
        step()
        times.append((time.perf_counter() - begin) * 1e3)
    answer.update(times=times, rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    print(json.dumps(answer), flush=True)
