"""Adapters made by PEFT for models of test/golden/models: DoRA, rsLoRA, patterns, a fresh head. Writes test/golden/adapters.

    python scripts/golden/adapters.py     (PyTorch 2.13, Transformers 5.18, PEFT 0.21)
"""

import json
import os
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

root = Path(__file__).resolve().parents[2] / "test/golden"
ids = torch.tensor([[5, 8, 13, 21, 34, 55, 2, 7]])

CASES = {
    "llama-dora": dict(r=4, lora_alpha=8, use_dora=True, target_modules=["q_proj", "up_proj"]),
    "llama-rslora": dict(r=4, lora_alpha=8, use_rslora=True, target_modules="all-linear"),
    "gpt2-dora": dict(r=4, lora_alpha=8, use_dora=True, target_modules=["c_attn", "c_proj"]),
    "gpt2-patterns": dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_fc"], rank_pattern={"h.0.attn.c_attn": 2}, alpha_pattern={r".*\.1\.mlp\.c_fc": 32}),
    "bert-classify-head": dict(r=2, lora_alpha=8, target_modules=["query", "value"], modules_to_save=["classifier"]),
    "phi3-regex": dict(r=2, lora_alpha=8, target_modules=r".*layers\.0.*qkv_proj"),
}

for name, options in CASES.items():
    torch.manual_seed(7)
    base = root / "models" / name.rsplit("-", 1)[0]
    make = AutoModelForSequenceClassification if "classify" in name else AutoModelForCausalLM
    model = get_peft_model(make.from_pretrained(base), LoraConfig(fan_in_fan_out="gpt2" in name, **options)).eval()
    learning = {key: p for key, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for p in learning.values():
            p.add_(0.1 * torch.randn_like(p))
    logits = model(input_ids=ids).logits
    logits.square().sum().backward()
    norms = {key.removeprefix("base_model.model."): p.grad.norm().item() for key, p in learning.items()}
    folder = root / "adapters" / name
    model.save_pretrained(folder)
    os.remove(folder / "README.md")
    os.chmod(folder / "adapter_model.safetensors", 0o644)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": None}, indent=2) + "\n")  # no path of this machine
    expected = dict(inputIds=ids.tolist(), shape=list(logits.shape), logits=logits.flatten().tolist(), gradNorms=norms)
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
