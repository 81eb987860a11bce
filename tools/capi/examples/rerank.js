// Ranks the lines of standard input for the query that is the first argument.
const fs = require("fs");
const koffi = require("koffi");

const library = koffi.load(process.env.LANERANK_LIBRARY || "liblanerank_capi.so");
const Text = koffi.struct("lanerank_text", { data: "const char *", len: "size_t" });
const Hit = koffi.struct("lanerank_hit", {
    index: "size_t", query_tokens_cut: "size_t", passage_tokens_cut: "size_t", score: "float", logit: "float",
});
const open = library.func("int lanerank_open_default(void *options, _Out_ void **out)");
const rerank = library.func(
    "int lanerank_rerank(void *ranker, lanerank_text query, lanerank_text *passages, size_t count, " +
    "_Out_ lanerank_hit *hits, size_t capacity, _Out_ size_t *written)");
const lastError = library.func("const char *lanerank_last_error()");
const free = library.func("void lanerank_free(void *ranker)");

const check = (status) => { if (status !== 0) throw new Error(lastError()); };
const text = (string) => ({ data: string, len: Buffer.byteLength(string) });

const out = [null];
check(open(null, out));
const ranker = out[0];
const passages = fs.readFileSync(0, "utf8").split("\n").filter((line) => line);
const hits = passages.map(() => ({ index: 0, query_tokens_cut: 0, passage_tokens_cut: 0, score: 0, logit: 0 }));
const written = [0];
check(rerank(ranker, text(process.argv[2]), passages.map(text), passages.length, hits, hits.length, written));
for (const hit of hits.slice(0, Number(written[0]))) {
    console.log(`${hit.score.toFixed(4)}  ${passages[Number(hit.index)]}`);
}
free(ranker);
