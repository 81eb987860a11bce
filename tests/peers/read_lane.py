#!/usr/bin/env python3
"""A second reader of `.lane` files, written from src/format/FORMAT.md alone.

    python tests/peers/read_lane.py FILE.lane ...

Checks every rule of that page, looks up every piece of the vocabulary and 10,000 other texts
through `tokenizer.lookup`, unpacks the weights and computes the self-test from them in float64 (if
the `tokenizers` package is installed). Bounds on the difference: 1e-4 without int8 weights;
otherwise 0.25 for a logit and 0.02 for a cosine, because the file's results have quantised
activations and these have not. Prints one line per file; exit code 1 when a file breaks a rule or a
bound.
"""

import math, random, re, struct, sys
from pathlib import Path
import numpy as np
from xxhash import xxh64_intdigest as checksum
import read_unigram
from read_unigram import need

DTYPES = [np.dtype(t) for t in ("u1", "<f4", "<f2", "i1", "<i4")]
U8, F32, F16, INT8, I32 = range(5)
ROWS, PANELS = 0, 1
NONE, M64 = 2**32 - 1, 2**64 - 1
CONFIG = (
    "architecture hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size "
    "max_position_embeddings type_vocab_size hidden_act eps head num_labels normalize max_length "
    "activations embedding_size"
).split()


class Cursor:
    def __init__(self, data, name):
        self.data, self.name, self.at = data, name, 0

    def bytes(self, n):
        need(self.at + n <= len(self.data), f"{self.name}: cut short")
        self.at += n
        return self.data[self.at - n : self.at]

    def numbers(self, fmt):
        return struct.unpack("<" + fmt, self.bytes(struct.calcsize("<" + fmt)))

    def text(self, n):
        return self.bytes(n).decode()


class Section:
    def __init__(self, entry, file):
        name, self.dtype, self.layout, rank, reserved, *numbers, tail = struct.unpack(
            "<56s3B5s7Q8s", entry
        )
        shape, (self.offset, length, self.checksum) = numbers[:4], numbers[4:]
        need(re.fullmatch(rb"[a-z0-9._]+\0*", name), f"name {name}")
        self.name, self.end = name.rstrip(b"\0").decode(), self.offset + length
        need(not any(reserved + tail), f"{self.name}: reserved bytes")
        need(
            self.dtype < 5 and self.layout < 2 and 1 <= rank <= 4 and not any(shape[rank:]),
            f"{self.name}: kind",
        )
        self.shape = self.stored = tuple(shape[:rank])
        if self.layout == PANELS:
            need(rank in (2, 3) and self.dtype in (F32, F16, INT8), f"{self.name}: panels of what?")
            *s, n, k = self.shape
            self.stored = (
                *s,
                -(-n // 16),
                *((-(-k // 64) * 16, 16, 4) if self.dtype == INT8 else (k, 16)),
            )
        need(length == math.prod(self.stored) * DTYPES[self.dtype].itemsize, f"{self.name}: length")
        self.data = file[self.offset : self.end]

    def array(self):
        """The elements in the shape of the directory, unpacked."""
        a = np.frombuffer(self.data, DTYPES[self.dtype]).reshape(self.stored)
        need(
            (a > -128).all() if self.dtype == INT8 else np.isfinite(a).all(),
            f"{self.name}: -128, NaN or infinity",
        )
        if self.layout == ROWS:
            return a
        *s, n, k = self.shape
        # Outputs before inputs.
        a = a.swapaxes(-3, -2) if self.dtype == INT8 else a.swapaxes(-2, -1)
        a = a.reshape(*s, -(-n // 16) * 16, -(-k // 64) * 64 if self.dtype == INT8 else k)
        need(
            not a[..., n:, :].any() and not a[..., k:].any(), f"{self.name}: padding of the panels"
        )
        return a[..., :n, :k]


def read_sections(file):
    need(len(file) >= 64, "shorter than its header")
    magic, version, count, length, directory_sum, reserved, header_sum = struct.unpack(
        "<8s2I2Q24sQ", file[:64]
    )
    need(magic == b"LANERANK" and version == 1, "magic or version")
    need(
        header_sum == checksum(file[:56]) and not any(reserved),
        "header: checksum or reserved bytes",
    )
    need(count <= 4096 and length == len(file), "count of sections or length of the file")
    end, sections = 64 + 128 * count, {}
    need(end <= length and directory_sum == checksum(file[64:end]), "checksum of the directory")
    for at in range(64, end, 128):
        s = Section(file[at : at + 128], file)
        need(s.name not in sections, f"{s.name} twice")
        need(s.offset == -(-end // 64) * 64 and s.end <= length, f"{s.name}: offset")
        need(not any(file[end : s.offset]), f"{s.name}: bytes before it")
        need(s.checksum == checksum(s.data), f"{s.name}: checksum")
        sections[s.name], end = s, s.end
    need(end == length, "bytes after the last section")
    return sections


class Model:
    def __init__(self, file):
        # Reading a section removes it.
        self.sections, self.cursors = read_sections(file), []
        self.small_sections()
        self.tokenizer_config()
        self.vocabulary()
        self.read_prompts()
        self.weights()
        need(not self.sections, f"sections too many: {list(self.sections)}")
        for s in self.cursors:
            need(s.at == len(s.data), f"{s.name}: bytes left over")

    def section(self, name, dtypes, layout, shape=None):
        need(name in self.sections, f"{name} is missing")
        s = self.sections.pop(name)
        need(s.dtype in dtypes and s.layout == layout, f"{name}: dtype or layout")
        need(s.shape == shape if shape else len(s.shape) == 1, f"{name}: shape {s.shape}")
        return s

    def dtype_of(self, name):
        need(name in self.sections, f"{name} is missing")
        return self.sections[name].dtype

    def cursor(self, name):
        self.cursors.append(Cursor(self.section(name, (U8,), ROWS).data, name))
        return self.cursors[-1]

    def small_sections(self):
        c = self.c = dict(zip(CONFIG, self.cursor("config").numbers("9If6I")))
        classifier = int(c["head"] == 0)
        electra, self.xlmr = c["architecture"] == 1, c["architecture"] == 2
        self.longest = c["max_position_embeddings"] - 2 * self.xlmr
        limits = (
            (0, 2),
            (1, 65536),
            (1, 128),
            (1, c["hidden_size"]),
            (1, 65536),
            (1, 2**24),
            (1, 65536),
            (1 + (classifier and not self.xlmr), 256),
            (0, 2),
            (0, 3.5e38),
            (0, 2),
            (classifier, 2 * classifier),
            (0, 1 - classifier),
            (2 + classifier, self.longest),
            (0, 15),
            (int(electra), 65536 if electra else 0),
        )
        for (name, value), (low, high) in zip(c.items(), limits):
            need(low <= value <= high, f"config: {name} {value}")
        need(c["hidden_size"] % c["num_attention_heads"] == 0, "config: num_attention_heads")
        s = self.cursor("metadata")
        *lines, rest = s.text(len(s.data)).split("\n")
        need(not rest and all("=" in line for line in lines), "metadata: not lines of key=value")
        s, self.rows = self.cursor("self_test"), []
        for _ in range(*s.numbers("I")):
            q, p = s.numbers("II")
            self.rows.append((s.text(q), s.text(p), *s.numbers("f")))
        need(all(math.isfinite(z) for _, _, z in self.rows), "self_test: a number is not finite")

    def tokenizer_config(self):
        s, self.added = self.cursor("tokenizer.config"), []
        version, self.flags, self.max_chars, self.n, *self.ids, length = s.numbers("9IB")
        self.unigram = version == 3
        need(
            1 <= version <= 3
            and self.flags < (24 if self.unigram else 16)
            and self.max_chars <= 4096 * (not self.unigram),
            "tokenizer.config: version, flags, max chars",
        )
        need(
            1 <= self.n <= 1048575 and length <= 15 * (not self.unigram),
            "tokenizer.config: number of pieces, length of the prefix",
        )
        classifier = self.c["head"] == 0
        need(self.c["max_length"] >= 2 + classifier * (1 + self.unigram), "config: max_length")
        types = 1 + (classifier and not self.unigram)
        need(self.c["type_vocab_size"] >= types, "config: type_vocab_size")
        self.prefix, rest, (added,) = s.text(length), s.bytes(15 - length), s.numbers("I")
        need(not any(rest) and added <= 4096, "tokenizer.config: prefix or number of added tokens")
        for _ in range(added):
            i, flags, zero, length = s.numbers("IBBH")
            need(i < self.n + added and zero == 0 and 1 <= length <= 1024, "an added token")
            need(flags < 16 * min(version, 2), "an added token's flags")
            self.added.append((i, flags, s.text(length)))
        need(len({text for _, _, text in self.added}) == added, "two added tokens with one text")
        size = max([self.n, *(i + 1 for i, _, _ in self.added)])
        need(size <= self.c["vocab_size"], "vocab_size below the tokenizer's")
        need(
            all(i < size for i in self.ids[:4]) and (self.ids[4] < size or self.ids[4] == NONE),
            "a special token's id",
        )

    def vocabulary(self):
        n, s = self.n, self.cursor("tokenizer.offsets")
        base = np.frombuffer(s.bytes(4 * (n // 256 + 1)), "<u4").astype(np.int64)
        at = base[np.arange(n + 1) // 256] + np.frombuffer(s.bytes(2 * (n + 1)), "<u2")
        s, sizes = self.cursor("tokenizer.text"), np.diff(at)
        need(at[0] == 0 and (sizes >= 0).all() and (sizes <= 255).all(), "tokenizer.offsets")
        self.pieces = [s.text(size).encode() for size in sizes]
        s = self.cursor("tokenizer.lookup")
        self.seed, b, slots, longest, self.w, zero = s.numbers("3IH2B")
        need(
            b and slots and not zero and longest == max(sizes) and self.w == n.bit_length(),
            "tokenizer.lookup: header",
        )
        masks, wanted = s.numbers("2048I"), [0] * 2048
        self.pilots, triples = (
            s.numbers(f"{b}H"),
            np.frombuffer(s.bytes(3 * slots), np.uint8).reshape(-1, 3),
        )
        need(s.bytes(1) == b"\0", "tokenizer.lookup: last byte")
        self.slots = (triples @ np.array([1, 256, 65536])).tolist()
        last = {p: i for i, p in enumerate(self.pieces) if p}
        for p in (p for p in last if len(p) >= 4):
            wanted[(int.from_bytes(p[:4], "little") * 0x9E3779B1 & NONE) >> 21] |= 1 << min(
                len(p) - 4, 31
            )
        need(list(masks) == wanted, "tokenizer.lookup: length masks")
        need(len(last) == slots - self.slots.count(0xFFFFFF), "tokenizer.lookup: slots in use")
        need(
            all(self.lookup(p) == i for p, i in last.items()),
            "tokenizer.lookup: a piece is not found",
        )
        rng, known, tried = random.Random(1), list(last), 0
        while tried < 10000:  # joined, truncated and altered pieces, and noise
            p, q = rng.choices(known, k=2)
            word = rng.choice([p + q, p[:-1], p[:-1] + q[-1:], p.swapcase(), rng.randbytes(len(p))])
            need(word in last or self.lookup(word) is None, f"tokenizer.lookup: {word} is found")
            tried += word not in last

        if self.unigram:
            self.scores, self.charsmap = read_unigram.sections(self, n, last)

    def read_prompts(self):
        self.prompts = ["", "", ""]
        if "tokenizer.prompts" not in self.sections:
            return
        s = self.cursor("tokenizer.prompts")
        sizes = []
        for i in range(3):
            sizes.append(*s.numbers("I"))
            self.prompts[i] = s.text(sizes[i])
        need(any(sizes) and max(sizes) <= 4096, "tokenizer.prompts: empty or too long")
        need(self.c["head"] or not any(sizes[1:]), "tokenizer.prompts: for a passage or text")

    def lookup(self, word):
        fold = lambda a, b: (a * b & M64) ^ (a * b >> 64)
        *chunks, last = [
            int.from_bytes(word[i : i + 8], "little") for i in range(0, len(word), 8)
        ] or [0]
        state = (self.seed + 1) * 0x9E3779B97F4A7C15 & M64
        for chunk in chunks:
            state = fold(state ^ chunk, 0xD6E8FEB86659FD93)
        h = fold(state ^ last, 0xA0761D6478BD642F ^ len(word))
        pilot = self.pilots[(h >> 32) * len(self.pilots) >> 32]
        mixed = (h ^ (pilot * 0x9FB21C651E98DF25 & M64)) * 0xC2B2AE3D27D4EB4F & M64
        bits, i = divmod(self.slots[(mixed >> 32) * len(self.slots) >> 32], 1 << self.w)
        return (
            i if bits == h % (1 << 24 - self.w) and i < self.n and self.pieces[i] == word else None
        )

    def weights(self):
        c, self.W, self.kinds = (
            self.c,
            {},
            {DTYPES[s.dtype].name for n, s in self.sections.items() if n.endswith(".weight")},
        )
        h, f, a, layers = (
            c["hidden_size"],
            c["intermediate_size"],
            c["num_attention_heads"],
            c["num_hidden_layers"],
        )
        e = c["embedding_size"] or h
        self.take("embeddings.word", "table", c["vocab_size"], e)
        self.take("embeddings.position", "table", c["max_position_embeddings"], e)
        self.take("embeddings.token_type", "table", c["type_vocab_size"], e)
        self.take("embeddings.layer_norm", "norm", e)
        if e != h:
            self.take("embeddings.project", "linear after norm", h, e)
        for i in range(layers):
            at, ffn = f"layers.{i}.attention.", f"layers.{i}.ffn."
            if i + 1 == layers and c["head"] != 1:
                q, q_bias = self.take(at + "query", "linear", h, h)
                k, k_bias = self.take(at + "key_t", "linear", a, h, h // a)
                v, v_bias = self.take(at + "value", "linear", a, h // a, h)
                need(not k_bias.any(), f"{at}key_t.bias is not zero")
                qkv = np.concatenate([q, k.swapaxes(1, 2).reshape(h, h), v.reshape(h, h)])
                self.W[at + "qkv"] = qkv, np.concatenate([q_bias, np.zeros(h), v_bias.reshape(h)])
            else:
                self.take(at + "qkv", "linear after norm", 3 * h, h)
            self.take(ffn + "intermediate", "linear after norm", f, h)
            for name, *shape in (at + "output", h, h), (ffn + "output", h, f):
                self.take(name, "linear", *shape)
            for name in at, ffn:
                self.take(name + "layer_norm", "norm", h)
        if c["head"] == 0:
            self.take("pooler", "linear", h, h)
            self.take("classifier", "table with bias", c["num_labels"], h)

    def take(self, name, kind, *shape):
        dtypes, outputs = ((F32,), shape) if kind == "norm" else ((F32, F16, INT8), shape[:-1])
        s = self.section(
            name + ".weight", dtypes, PANELS if kind.startswith("linear") else ROWS, shape
        )
        w = s.array()
        if s.dtype == INT8:
            if kind.startswith("linear"):
                sums = self.section(name + ".sum", (I32,), ROWS, outputs).array()
                need((sums == w.sum(-1, dtype=np.int64)).all(), f"{name}.sum")
            grouped = kind.startswith("table") and self.dtype_of(name + ".scale") == F16
            scale = self.section(
                name + ".scale",
                *((F16,), ROWS, (*outputs, -(-shape[-1] // 32)))
                if grouped
                else ((F32,), ROWS, outputs),
            ).array()
            w = w.astype(np.float32) * (
                scale.astype(np.float32).repeat(32, -1)[:, : shape[-1]]
                if grouped
                else scale[..., None]
            )
            if kind == "linear after norm":
                w = w * self.section(name + ".input_scale", (F32,), ROWS, shape[-1:]).array()
        bias = (
            None if kind == "table" else self.section(name + ".bias", (F32,), ROWS, outputs).array()
        )
        return self.W.setdefault(name, (w.astype(np.float32), bias))

    def tokenizer(self):
        from tokenizers import AddedToken, Tokenizer, models, normalizers
        from tokenizers import pre_tokenizers, processors

        vocab = {p.decode(): i for i, p in enumerate(self.pieces)}
        names = {i: text for text, i in vocab.items()} | {i: text for i, _, text in self.added}
        need(all(i in names for i in self.ids[:3]), "a special token without a text")
        flags = [bool(self.flags & 1 << bit) for bit in range(5)]
        if self.unigram:
            t = read_unigram.tokenizer(self, flags)
        else:
            lowercase, strip, clean, chinese, _ = flags
            t = Tokenizer(
                models.WordPiece(
                    vocab=vocab,
                    unk_token=names[self.ids[0]],
                    continuing_subword_prefix=self.prefix,
                    max_input_chars_per_word=self.max_chars,
                )
            )
            t.normalizer = normalizers.BertNormalizer(clean, chinese, strip, lowercase)
            t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        t.add_tokens([
            AddedToken(
                x,
                single_word=bool(g & 1),
                lstrip=bool(g & 2),
                rstrip=bool(g & 4),
                special=bool(g & 8),
                normalized=bool(g & 16),
            )
            for _, g, x in sorted(self.added)
        ])
        need(
            all(t.token_to_id(x) == i for i, _, x in self.added),
            "an added token has not the id that tokenizers gives it",
        )
        kind = processors.RobertaProcessing if self.unigram else processors.BertProcessing
        t.post_processor = kind(*((names[i], i) for i in (self.ids[2], self.ids[1])))
        t.enable_truncation(self.c["max_length"], strategy="longest_first")
        return t

    def linear(self, name, x):
        return x @ self.W[name][0].astype(float).T + self.W[name][1]

    def norm(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        return (
            x / np.sqrt((x * x).mean(-1, keepdims=True) + self.c["eps"]) * self.W[name][0]
            + self.W[name][1]
        )

    def act(self, x, kind):
        erf = (
            np.vectorize(math.erf)(x / 2**0.5)
            if kind == 0
            else np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))
        )
        return np.maximum(x, 0) if kind == 2 else x / 2 * (1 + erf)

    def hidden(self, encoding):
        a, h = self.c["num_attention_heads"], self.c["hidden_size"]
        counted = np.array([not self.xlmr or i != self.ids[3] for i in encoding.ids])
        positions = np.where(counted, np.cumsum(counted) - 1 + 2 * self.xlmr, 1)
        tables = (
            ("word", encoding.ids),
            ("position", positions),
            ("token_type", encoding.type_ids),
        )
        x = self.norm(
            "embeddings.layer_norm",
            sum(self.W["embeddings." + t][0][list(i)].astype(float) for t, i in tables),
        )
        if "embeddings.project" in self.W:
            x = self.linear("embeddings.project", x)
        for i in range(self.c["num_hidden_layers"]):
            at, ffn = f"layers.{i}.attention.", f"layers.{i}.ffn."
            q, k, v = self.linear(at + "qkv", x).reshape(-1, 3, a, h // a).transpose(1, 2, 0, 3)
            z = q @ k.swapaxes(1, 2) / (h // a) ** 0.5
            e = np.exp(z - z.max(-1, keepdims=True))
            y = (e / e.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(-1, h)
            x = self.norm(at + "layer_norm", x + self.linear(at + "output", y))
            inner = self.act(self.linear(ffn + "intermediate", x), self.c["hidden_act"])
            y = self.linear(ffn + "output", inner)
            x = self.norm(ffn + "layer_norm", x + y)
        return x

    def score(self, tokenizer, query, passage):
        query, passage = self.prompts[0] + query, self.prompts[1] + passage
        if self.c["head"] == 0:
            x = self.hidden(tokenizer.encode(query, passage))
            y = self.linear("pooler", x[0])
            y = self.act(y, 0) if self.c["architecture"] == 1 else np.tanh(y)
            z = self.linear("classifier", y)
            return z[0] if len(z) == 1 else z[1] - z[0]
        u, v = (self.hidden(tokenizer.encode(t)) for t in (query, passage))
        u, v = (u.mean(0), v.mean(0)) if self.c["head"] == 1 else (u[0], v[0])
        return u @ v / math.sqrt((u @ u) * (v @ v))


def check(path):
    m = Model(Path(path).read_bytes())
    done = f"{m.n} pieces, {len(m.W)} weights in {'/'.join(sorted(m.kinds))}, "
    try:
        t = m.tokenizer()
    except ImportError:
        return done + "self-test not computed: no tokenizers package"
    bound = 1e-4 if "int8" not in m.kinds else 0.25 if m.c["head"] == 0 else 0.02
    worst = max((abs(m.score(t, q, p) - z) for q, p, z in m.rows), default=0)
    need(worst <= bound, f"self-test differs by {worst:.2g}, more than {bound:g}")
    return done + f"{len(m.rows)} self-test rows within {worst:.2g} (bound {bound:g})"


if __name__ == "__main__":
    failed = 0
    for path in sys.argv[1:] or sys.exit(__doc__):
        try:
            print(f"{path}: ok: {check(path)}")
        except ValueError as e:
            failed = print(f"{path}: refused: {e}") or 1
    sys.exit(failed)
