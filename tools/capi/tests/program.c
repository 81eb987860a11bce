/* Calls every function of the interface with valid and invalid arguments. Prints the bits of scores
 * and hits for tests/c.rs to compare, and asserts everything else. Built and run by tests/c.rs. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lanerank.h"
#include "lanerank.h" /* the include guard works */

#ifdef NDEBUG
#error "this program checks with assert"
#endif

#define COUNT 4

static struct lanerank_text passages[COUNT];

static unsigned bits(float value) {
    unsigned result;
    memcpy(&result, &value, sizeof result);
    return result;
}

/* Checks the status, and that the error's message contains `what`. */
static void expect(enum lanerank_status found, enum lanerank_status expected, const char *what) {
    if (found != expected || !strstr(lanerank_last_error(), what)) {
        fprintf(stderr, "status %d, text \"%s\"; expected %d, \"%s\"\n", found, lanerank_last_error(), expected, what);
        exit(1);
    }
}

static void *in_a_thread(void *ranker) {
    float scores[COUNT];
    /* Errors are per thread. */
    assert(lanerank_last_error()[0] == '\0');
    assert(lanerank_scores(ranker, lanerank_string("what is a river bank"), passages, COUNT, scores) == LANERANK_STATUS_OK);
    expect(lanerank_scores(NULL, lanerank_string("q"), passages, COUNT, scores), LANERANK_STATUS_ARGUMENT, "ranker is NULL");
    return NULL;
}

static void print(const char *name, const struct lanerank_ranker *ranker) {
    float scores[COUNT];
    struct lanerank_hit hits[COUNT];
    size_t written, i;
    struct lanerank_text query = lanerank_string("what is a river bank");
    assert(lanerank_scores(ranker, query, passages, COUNT, scores) == LANERANK_STATUS_OK);
    assert(lanerank_rerank(ranker, query, passages, COUNT, hits, COUNT, &written) == LANERANK_STATUS_OK);
    assert(written == COUNT);
    for (i = 0; i < COUNT; i++) {
        assert(bits(hits[i].score) == bits(scores[hits[i].index]));
        printf("%s score %08x hit %zu %08x %zu %zu\n", name, bits(scores[i]), hits[i].index, bits(hits[i].logit),
               hits[i].query_tokens_cut, hits[i].passage_tokens_cut);
    }
}

static char *read_all(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    char *data;
    assert(file && !fseek(file, 0, SEEK_END));
    *len = (size_t)ftell(file);
    rewind(file);
    data = malloc(*len);
    assert(data && fread(data, 1, *len, file) == *len);
    fclose(file);
    return data;
}

static void wrong_openings(char *data, size_t len) {
    struct lanerank_options options = {0};
    struct lanerank_ranker *ranker = (struct lanerank_ranker *)&options;
    expect(lanerank_open_default(NULL, NULL), LANERANK_STATUS_ARGUMENT, "out is NULL");
    expect(lanerank_open_file(NULL, NULL, &ranker), LANERANK_STATUS_ARGUMENT, "path is NULL");
    assert(!ranker);
    expect(lanerank_open_file("no/such/file.lane", NULL, &ranker), LANERANK_STATUS_IO, "no/such/file.lane");
    expect(lanerank_open_memory(NULL, 5, NULL, &ranker), LANERANK_STATUS_ARGUMENT, "data is NULL");
    expect(lanerank_open_memory(NULL, 0, NULL, &ranker), LANERANK_STATUS_MODEL, "model file");
    expect(lanerank_open_memory((uint8_t *)data, (size_t)-1, NULL, &ranker), LANERANK_STATUS_ARGUMENT, "not a possible length");
    expect(lanerank_open_memory((uint8_t *)data, len - 1, NULL, &ranker), LANERANK_STATUS_MODEL, "model file");
    data[len - 1] ^= 1;
    expect(lanerank_open_memory((uint8_t *)data, len, NULL, &ranker), LANERANK_STATUS_MODEL, "checksum");
    data[len - 1] ^= 1;
    options.max_length = 2;
    expect(lanerank_open_default(&options, &ranker), LANERANK_STATUS_ARGUMENT, "max_length");
    expect(lanerank_open_default((struct lanerank_options *)1, &ranker), LANERANK_STATUS_ARGUMENT, "options is misaligned");
    assert(!ranker);
}

static void wrong_calls(const struct lanerank_ranker *ranker) {
    float scores[COUNT] = {7, 7, 7, 7};
    struct lanerank_hit hits[COUNT];
    size_t written = 99;
    struct lanerank_text query = lanerank_string("q"), bad[2];
    bad[0] = lanerank_string("good");
    bad[1] = lanerank_text_of("ab\xff", 3);
    expect(lanerank_scores(ranker, query, NULL, 2, scores), LANERANK_STATUS_ARGUMENT, "passages is NULL");
    expect(lanerank_scores(ranker, query, passages, COUNT, NULL), LANERANK_STATUS_ARGUMENT, "scores is NULL");
    expect(lanerank_scores(ranker, query, passages, (size_t)-1, scores), LANERANK_STATUS_ARGUMENT, "not a possible length");
    expect(lanerank_scores(ranker, query, bad, 2, scores), LANERANK_STATUS_UTF8, "passages[1] is not UTF-8 from byte 2");
    expect(lanerank_scores(ranker, bad[1], passages, 1, scores), LANERANK_STATUS_UTF8, "query is not UTF-8");
    expect(lanerank_scores(ranker, lanerank_text_of(NULL, 1), passages, 1, scores), LANERANK_STATUS_ARGUMENT, "query is NULL");
    bad[1].data = NULL;
    expect(lanerank_scores(ranker, query, bad, 2, scores), LANERANK_STATUS_ARGUMENT, "passages[1] is NULL");
    assert(scores[0] == 7 && scores[1] == 7);
    expect(lanerank_rerank(ranker, query, passages, COUNT, NULL, COUNT, &written), LANERANK_STATUS_ARGUMENT, "hits is NULL");
    assert(written == 0);
    expect(lanerank_rerank(ranker, query, passages, COUNT, hits, COUNT, NULL), LANERANK_STATUS_ARGUMENT, "written is NULL");
    expect(lanerank_rerank(NULL, query, passages, COUNT, hits, COUNT, &written), LANERANK_STATUS_ARGUMENT, "ranker is NULL");
    assert(lanerank_threads(NULL) == 0 && lanerank_max_length(NULL) == 0);
    lanerank_free(NULL);
}

static void right_calls(const struct lanerank_ranker *ranker) {
    float scores[1] = {7};
    struct lanerank_hit hits[2];
    size_t written = 99;
    struct lanerank_text query = lanerank_string("what is a river bank");
    assert(lanerank_scores(ranker, query, NULL, 0, NULL) == LANERANK_STATUS_OK);
    assert(lanerank_rerank(ranker, query, NULL, 0, NULL, 0, &written) == LANERANK_STATUS_OK && written == 0);
    assert(lanerank_rerank(ranker, query, passages, COUNT, hits, 2, &written) == LANERANK_STATUS_OK && written == 2);
    assert(hits[0].logit >= hits[1].logit);
    assert(lanerank_rerank(ranker, query, passages, COUNT, NULL, 0, &written) == LANERANK_STATUS_OK && written == 0);
    assert(lanerank_scores(ranker, lanerank_text_of(NULL, 0), passages, 1, scores) == LANERANK_STATUS_OK && scores[0] != 7);
}

int main(int argc, char **argv) {
    struct lanerank_options options = {0};
    struct lanerank_ranker *ranker;
    pthread_t threads[3];
    size_t len, i;
    char *data;
    assert(argc == 2);
    passages[0] = lanerank_string("A bank lends money: loans, scores and ranking.");
    passages[1] = lanerank_string("The bank of a river is the land by the water.");
    passages[2] = lanerank_text_of("nul\0inside", 10);
    passages[3] = lanerank_string("the river bank flooded and the water ran on, the dog ran with it. the river bank flooded "
                                  "and the water ran on, the dog ran with it.");
    assert(strcmp(lanerank_version(), "0.0") > 0 && lanerank_last_error()[0] == '\0');
    data = read_all(argv[1], &len);
    wrong_openings(data, len);

    assert(lanerank_open_default(NULL, &ranker) == LANERANK_STATUS_OK);
    assert(lanerank_max_length(ranker) == 512 && lanerank_threads(ranker) >= 1);
    print("default", ranker);
    wrong_calls(ranker);
    right_calls(ranker);
    lanerank_free(ranker);

    options.max_length = 24;
    options.threads = 2;
    options.special_tokens_as_text = 1;
    assert(lanerank_open_file(argv[1], &options, &ranker) == LANERANK_STATUS_OK);
    assert(lanerank_max_length(ranker) == 24 && lanerank_threads(ranker) == 2);
    print("file", ranker);
    for (i = 0; i < 3; i++) {
        assert(!pthread_create(&threads[i], NULL, in_a_thread, ranker));
    }
    for (i = 0; i < 3; i++) {
        assert(!pthread_join(threads[i], NULL));
    }
    lanerank_free(ranker);

    assert(lanerank_open_memory((uint8_t *)data, len, NULL, &ranker) == LANERANK_STATUS_OK);
    free(data);
    print("memory", ranker);
    lanerank_free(ranker);
    return 0;
}
