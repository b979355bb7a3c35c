"""Writes test/golden/models-extra: tiny text models with settings that test/golden/models has not, in its format, computed by Transformers (5.18, PyTorch 2.13).

Besides the keys of test/golden/models a language model's reference.json has: "greedy" (ids, with a prompt of 7), "penalty" (the same with a repetition penalty
of 1.3), "padded" (two prompts of different length in one batch, padded on the left) and "beams" (the three best of four beams under several settings).

    python scripts/golden/extra_models.py
"""

import json
import pathlib

import torch
import transformers as t
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parents[2] / "test" / "golden" / "models-extra"
VOCAB, PROMPT = 41, 7
torch.manual_seed(0)
torch.set_num_threads(1)


def settle(model):
    """Weights large enough that a mistake shows, at every width. Were they larger, float32 itself would miss the bounds of the tests: at a hidden size of 32 and 0.4, PyTorch's float32 is 1.6e-5 off its float64."""
    scale = 0.4 * (16 / model.config.hidden_size) ** 0.5
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, 0, scale)
        else:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def beams(model, ids):
    found = []
    for eos in (2, [2, 11, 12, 13, 14, 15, 16, 17]):
        for length_penalty, early_stopping in ((1.0, False), (0.0, "never"), (2.0, "never"), (1.0, True)):
            result = model.generate(
                ids, max_new_tokens=12, num_beams=4, do_sample=False, eos_token_id=eos, pad_token_id=0, length_penalty=length_penalty,
                early_stopping=early_stopping, num_return_sequences=3, return_dict_in_generate=True, output_scores=True,
            )  # fmt: skip
            ends = eos if isinstance(eos, list) else [eos]
            tokens = [row[PROMPT:] for row in result.sequences.tolist()]
            cut = [row[: next((i + 1 for i, id in enumerate(row) if id in ends), len(row))] for row in tokens]
            found.append({"eosTokenId": eos, "lengthPenalty": length_penalty, "earlyStopping": early_stopping, "tokens": cut, "scores": result.sequences_scores.tolist()})
    return found


def continuations(model, ids):
    prompt = ids[:1, :PROMPT]
    greedy = dict(do_sample=False, pad_token_id=0)
    short, long = ids[:1, :4], ids[1:, :9]
    batch = torch.cat([torch.cat([torch.zeros(1, 5).long(), short], 1), long])
    mask = torch.cat([torch.tensor([[0] * 5 + [1] * 4]), torch.ones(1, 9).long()])
    return {
        "greedy": model.generate(prompt, max_new_tokens=30, **greedy)[0].tolist(),
        "penalty": model.generate(prompt, max_new_tokens=16, repetition_penalty=1.3, **greedy)[0].tolist(),
        "padded": {"prompts": [short[0].tolist(), long[0].tolist()], "tokens": [row[9:] for row in model.generate(batch, attention_mask=mask, max_new_tokens=10, **greedy).tolist()]},
        "beams": beams(model, prompt),
    }


def case(name, model, kind="causal", generate=True, note=None):
    settle(model)
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, VOCAB, (2, 20), generator=generator)
    inputs = {"input_ids": ids}
    if kind == "causal":
        inputs["labels"] = ids.clone()
        inputs["labels"][0, :3] = -100
    else:
        inputs["attention_mask"] = torch.ones_like(ids)
        inputs["attention_mask"][1, -5:] = 0
        ids[1, -5:] = model.config.pad_token_id
        inputs["labels"] = torch.tensor([0, 2]) if kind == "sequence" else torch.randint(0, 3, ids.shape, generator=generator)
    output = model(**inputs)
    output.loss.backward()
    norms = {path: p.grad.norm().item() for path, p in model.named_parameters() if p.grad is not None}
    reference = {"inputs": list(inputs), "loss": output.loss.item(), "gradNorms": norms}
    if note:
        reference["note"] = note
    if kind == "causal" and generate:
        with torch.no_grad():
            reference |= continuations(model, ids)
    (folder / "reference.json").write_text(json.dumps(reference) + "\n")
    save_file({"logits": output.logits.detach().contiguous()} | {f"in/{key}": value.int() for key, value in inputs.items()}, folder / "reference.safetensors")
    print(name, reference["loss"])


BASE = dict(vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)  # fmt: skip


def rope(kind, **more):
    return dict(rope_theta=10000.0, rope_type=kind, **more)


def llama(**more):
    return t.LlamaForCausalLM(t.LlamaConfig(**(BASE | more)))


case("llama-linear", llama(rope_parameters=rope("linear", factor=4.0)))
case("llama-dynamic", llama(max_position_embeddings=16, head_dim=8, rope_parameters=rope("dynamic", factor=2.0)))
case("llama-yarn", llama(head_dim=8, rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=16)))
case("llama-biases", llama(num_attention_heads=8, num_key_value_heads=1, head_dim=6, attention_bias=True, mlp_bias=True, hidden_act="gelu", tie_word_embeddings=True))
case("qwen2-window", t.Qwen2ForCausalLM(t.Qwen2Config(**BASE, use_sliding_window=True, sliding_window=5, max_window_layers=1)))
case("qwen3-biases", t.Qwen3ForCausalLM(t.Qwen3Config(**BASE, head_dim=6, attention_bias=True, tie_word_embeddings=True)))
case("mistral-no-window", t.MistralForCausalLM(t.MistralConfig(**BASE, sliding_window=None, head_dim=6)))
case("mixtral-window", t.MixtralForCausalLM(t.MixtralConfig(**BASE, sliding_window=4, num_local_experts=5, num_experts_per_tok=3)))
GEMMA = BASE | dict(head_dim=6, query_pre_attn_scalar=24, sliding_window=4, attn_logit_softcapping=2.0, final_logit_softcapping=3.0)
case("gemma2-sdpa", t.Gemma2ForCausalLM(t.Gemma2Config(**GEMMA)), note="Transformers' default attention leaves attn_logit_softcapping out.")
eager = t.Gemma2ForCausalLM._from_config(t.Gemma2Config(**GEMMA), attn_implementation="eager")
eager.config.attn_implementation = "eager"  # what Graft looks for in config.json
case("gemma2-eager", eager)
factors = dict(short_factor=[1.0, 1.1, 1.2, 1.3], long_factor=[1.5, 2.0, 3.0, 4.0])
phi = t.Phi3Config(**(BASE | dict(hidden_size=32)), original_max_position_embeddings=16, sliding_window=7, rope_parameters=rope("longrope", **factors))
case("phi3-longrope", t.Phi3ForCausalLM(phi), generate=False, note="No continuations: behind the original length this version of Transformers loses its cache.")
case("phi3-partial", t.Phi3ForCausalLM(t.Phi3Config(**(BASE | dict(hidden_size=32)), rope_parameters=rope("default", partial_rotary_factor=0.5))))
GPT = dict(vocab_size=VOCAB, n_embd=16, n_head=4, n_layer=2, n_positions=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
case("gpt2-layer-scale", t.GPT2LMHeadModel(t.GPT2Config(**GPT, n_inner=40, scale_attn_by_inverse_layer_idx=True, activation_function="relu")))
case("gpt2-untied", t.GPT2LMHeadModel(t.GPT2Config(**GPT, tie_word_embeddings=False, scale_attn_weights=False)))
BERT = dict(vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40)
case("bert-token", t.BertForTokenClassification(t.BertConfig(**BERT, num_labels=3)), "token")
case("bert-mlm-relu", t.BertForMaskedLM(t.BertConfig(**BERT, hidden_act="relu")), "token")
case("roberta-mlm", t.RobertaForMaskedLM(t.RobertaConfig(**BERT, type_vocab_size=1)), "token")
case("roberta-token", t.RobertaForTokenClassification(t.RobertaConfig(**BERT, num_labels=3)), "token")
case("roberta-regression", t.RobertaForSequenceClassification(t.RobertaConfig(**BERT, num_labels=1)), "sequence")
DISTIL = dict(vocab_size=VOCAB, dim=16, hidden_dim=24, n_layers=2, n_heads=4, max_position_embeddings=40)
case("distilbert-mlm", t.DistilBertForMaskedLM(t.DistilBertConfig(**DISTIL)), "token")
case("distilbert-token", t.DistilBertForTokenClassification(t.DistilBertConfig(**DISTIL, num_labels=3)), "token")
