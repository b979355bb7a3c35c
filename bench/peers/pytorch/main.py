# One workload in PyTorch: `main.py WORKLOAD eager|compile [SPEC]`, answering rounds like serve.ts. SPEC is a kernel of bench/kernels.ts, or a function
# of bench/functions.ts, as JSON.
# The model and the step are PyTorch's own way to write them; with "compile" the model goes through torch.compile with its defaults.
import json, resource, sys, time
import torch

import functions, kernels, language, networks, vision

makers = {"cnn": vision.cnn, "mlp": vision.mlp, "xor": vision.xor, "resnet18": vision.resnet, "gpt": language.gpt, "lora": language.lora, "lstm_lm": language.lstm, "net_": networks.network}


def training(workload, compiled):
    make = next((make for prefix, make in makers.items() if workload.startswith(prefix)), None)
    if make is None:
        raise SystemExit(f"unknown workload {workload}")
    model, optimizer, x, y, loss_of = make(workload)
    if compiled:
        model = torch.compile(model)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def serve(step):
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


torch.manual_seed(0)
workload, mode, spec = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else None
if spec is None:
    serve(training(workload, mode == "compile"))
else:
    serve(kernels.make(spec) if "op" in spec else functions.make(spec))
