# The language models of bench/peers/graft/language.ts; LoRA with Transformers and PEFT.
import re
import torch, torch.nn as nn, torch.nn.functional as F


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


class LSTMModel(nn.Module):
    def __init__(self, vocab, width, layers):
        super().__init__()
        self.embed, self.lstm, self.head = nn.Embedding(vocab, width), nn.LSTM(width, width, layers, batch_first=True), nn.Linear(width, vocab)

    def forward(self, tokens):
        return self.head(self.lstm(self.embed(tokens))[0]).flatten(0, 1)


def next_token(model, optimizer, vocab, batch, length):
    tokens = lambda: torch.randint(0, vocab, (batch, length))
    return model, optimizer, tokens(), tokens().flatten(), F.cross_entropy


def gpt(workload):
    layers, heads, width, vocab = {"gpt_4": (4, 4, 128, 65), "gpt_6": (6, 6, 384, 65)}.get(workload[:5], (12, 12, 768, 50257))
    length, batch = (int(next(word[1:] for word in workload.split("_") if re.fullmatch(letter + r"\d+", word))) for letter in "tb")
    model = GPT(layers, heads, width, length, vocab)
    return next_token(model, torch.optim.AdamW(model.parameters(), lr=1e-3), vocab, batch, length)


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
    model = lambda x: tuned(x, use_cache=False).logits.flatten(0, 1)
    return next_token(model, torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=1e-3), base.config.vocab_size, 1, 256)


def lstm(workload):
    vocab, width, layers, batch, length = 10000, 512, 2, 20, 35
    model = LSTMModel(vocab, width, layers)
    return next_token(model, torch.optim.Adam(model.parameters(), lr=1e-3), vocab, batch, length)
