"""Reference tokenizers and parquet files for test/golden/tokenizers, made by the Python packages `tokenizers` (0.23.2) and `pyarrow` (25.0.1).

Run in the repository: python scripts/golden/text_data.py
Writes text.txt (made of syllables by a seeded generator, with many ties between pairs) and reference.json: merges, vocabulary sizes and encodings by settings.
"""

import json
import random
from pathlib import Path

import pyarrow
import pyarrow.parquet
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

folder = Path("test/golden/tokenizers")
random.seed(5)
syllables = ["ka", "to", "mi", "ren", "sol", "ü", "den", "a", "io", "str", "öß", "ла", "го", "漢字", "ng", "é"]
marks = [" ", " ", " ", " ", ", ", ". ", "  ", "'s ", "'ll ", "-", " 12 ", " 3.14 ", "\t", "! ", " (x) ", "\u00a0", "\u0085", " \U0001f600 "]
vocabulary = ["".join(random.choices(syllables, k=random.randint(1, 3))) for _ in range(120)]
lines = []
for _ in range(150):
    line = "".join(random.choice(vocabulary) + random.choice(marks) for _ in range(random.randint(0, 9)))
    lines.append(line + random.choice(["\n", "\n", "\n", "  \n", "\n\n"]))
text = "".join(lines)
(folder / "text.txt").write_text(text, encoding="utf-8")

probes = ["", " ", "kato miren", "  Kato's\n\n\tdenü!  42 ", "x\u0085y\u00a0z \ufeff", "漢字ka \U0001f600\U0001f468\u200d\U0001f469 ла", "unseen QXZ 'tis we'll", "<|endoftext|>kato"]
special = ["<unk>", "<s>", "</s>"]
kinds = {}


def case(name, model, pre, special_tokens, decoder=None, **options):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre
    if decoder:
        tokenizer.decoder = decoder
    trainer = trainers.BpeTrainer(special_tokens=special_tokens, show_progress=False, **options)
    tokenizer.train([str(folder / "text.txt")], trainer)
    saved = json.loads(tokenizer.to_str())["model"]
    encodings = [tokenizer.encode(probe).ids for probe in probes]
    vocab = sorted(saved["vocab"], key=saved["vocab"].get)
    kinds[name] = {"vocab": vocab, "merges": saved["merges"], "ids": encodings, "decoded": [tokenizer.decode(ids, skip_special_tokens=False) for ids in encodings]}


level = pre_tokenizers.ByteLevel(add_prefix_space=False)
alphabet = pre_tokenizers.ByteLevel.alphabet()
case("byteLevel", models.BPE(), level, ["<|endoftext|>"], decoder=decoders.ByteLevel(), vocab_size=420, min_frequency=2, initial_alphabet=alphabet)
prefixed = pre_tokenizers.ByteLevel(add_prefix_space=True)
case("byteLevelPrefix", models.BPE(), prefixed, ["<|endoftext|>"], decoder=decoders.ByteLevel(), vocab_size=330, max_token_length=5, initial_alphabet=alphabet)
case("whitespace", models.BPE(unk_token="<unk>"), pre_tokenizers.Whitespace(), special, vocab_size=150)
case("metaspace", models.BPE(unk_token="<unk>"), pre_tokenizers.Metaspace(), special, decoder=decoders.Metaspace(), vocab_size=150, limit_alphabet=21)
case("bert", models.BPE(unk_token="<unk>"), pre_tokenizers.BertPreTokenizer(), special, vocab_size=140, min_frequency=3)
result = {"probes": probes, "kinds": kinds}
(folder / "reference.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")

table = pyarrow.table({"text": [f"row {i} ü" for i in range(10)], "label": list(range(10))})
for codec in ["snappy", "gzip", "brotli"]:
    pyarrow.parquet.write_table(table, folder / f"rows-{codec}.parquet", compression=codec, row_group_size=4, write_statistics=False, store_schema=False)
