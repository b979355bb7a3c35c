# Answers rounds like serve.ts: one workload per process. Needs torch; the model and step are PyTorch's own way to write them.
import json, re, resource, sys, time
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


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.ln2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(self.ln1(x)).split(width, 2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, width)
        x = x + self.proj(mixed)
        return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, layers, heads, width, positions, vocab):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(positions, width)
        self.blocks, self.ln = nn.ModuleList(Block(width, heads) for _ in range(layers)), nn.LayerNorm(width)
        self.head = nn.Linear(width, vocab, bias=False)
        self.head.weight = self.wte.weight
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln(x)).flatten(0, 1)


def gpt(workload):
    layers, heads, width, vocab = {"gpt_4": (4, 4, 128, 65), "gpt_6": (6, 6, 384, 65)}.get(workload[:5], (12, 12, 768, 50257))
    length, batch = (int(next(word[1:] for word in workload.split("_") if re.fullmatch(letter + r"\d+", word))) for letter in "tb")
    model = GPT(layers, heads, width, length, vocab)
    tokens = lambda: torch.randint(0, vocab, (batch, length))
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3), tokens(), tokens().flatten(), F.cross_entropy


def lora(workload):
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    if "llama" in workload:
        sizes = dict(hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12, num_key_value_heads=12, vocab_size=32000)
        base, targets = LlamaForCausalLM(LlamaConfig(**sizes, max_position_embeddings=512, tie_word_embeddings=True)), ["q_proj", "v_proj"]
    else:
        base, targets = GPT2LMHeadModel(GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)), ["c_attn"]
    tuned = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=targets, fan_in_fan_out="llama" not in workload))
    tuned.train()
    vocab = base.config.vocab_size
    tokens = lambda: torch.randint(0, vocab, (1, 256))
    model = lambda x: tuned(x, use_cache=False).logits.flatten(0, 1)
    return model, torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=1e-3), tokens(), tokens().flatten(), F.cross_entropy


def setup(workload):
    if workload.startswith("lora"):
        return lora(workload)
    if workload.startswith("gpt"):
        return gpt(workload)
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
