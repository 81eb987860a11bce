/* lanerank: rerank search results with a small cross-encoder on an ordinary CPU. README.md has an example. */

#ifndef LANERANK_H
#define LANERANK_H

/* Made by cbindgen of tools/capi: cargo test -p lanerank-capi says how. Do not edit. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Strings that end with a NUL: lanerank_string("a query"). */
#define lanerank_string(s) lanerank_text_of((s), strlen(s))

/*
 What became of a call. Everything but LANERANK_STATUS_OK leaves a text for lanerank_last_error.
 */
typedef enum lanerank_status {
    /*
     Done.
     */
    LANERANK_STATUS_OK = 0,
    /*
     A null or misaligned pointer, a length that cannot be, or a choice out of range.
     */
    LANERANK_STATUS_ARGUMENT = 1,
    /*
     A text is not UTF-8.
     */
    LANERANK_STATUS_UTF8 = 2,
    /*
     A file could not be read.
     */
    LANERANK_STATUS_IO = 3,
    /*
     A model file is damaged, or of a kind that lanerank does not run.
     */
    LANERANK_STATUS_MODEL = 4,
    /*
     LANERANK_ISA names a kernel tier that is unknown or that this CPU lacks.
     */
    LANERANK_STATUS_ISA = 5,
    /*
     The model's arithmetic ended in NaN.
     */
    LANERANK_STATUS_NOT_A_NUMBER = 6,
    /*
     A fault of lanerank's own; please report it.
     */
    LANERANK_STATUS_INTERNAL = 7,
} lanerank_status;

/*
 An opened model. Any number of threads may use one at once; a child process after fork() opens its
 own, because it has not the threads of its parent.
 */
typedef struct lanerank_ranker lanerank_ranker;

/*
 Choices; all zeros are the defaults, and so is NULL in place of this.
 */
typedef struct lanerank_options {
    /*
     Longest query and passage together, in tokens; 0 for what the model says.
     */
    size_t max_length;
    /*
     Threads that one call may use, the calling one included; 0 for as many as this process may use.
     */
    size_t threads;
    /*
     Not 0: SEP in brackets and its like in a text are read as plain text. Worth setting where passages come
     from people you do not trust.
     */
    uint32_t special_tokens_as_text;
} lanerank_options;

/*
 A text in UTF-8. It need not end with a NUL, and may hold one. data may be NULL where len is 0.
 */
typedef struct lanerank_text {
    /*
     Its first byte.
     */
    const char *data;
    /*
     Its length in bytes.
     */
    size_t len;
} lanerank_text;

/*
 A passage's place in a ranking.
 */
typedef struct lanerank_hit {
    /*
     The passage's index among those given.
     */
    size_t index;
    /*
     Tokens that truncation cut from the query.
     */
    size_t query_tokens_cut;
    /*
     Tokens that truncation cut from the passage.
     */
    size_t passage_tokens_cut;
    /*
     Relevance: 0 to 1 from a cross-encoder, the cosine from a sentence encoder.
     */
    float score;
    /*
     The model's output before the sigmoid.
     */
    float logit;
} lanerank_hit;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The text of the last error that a call in this thread ended with, in UTF-8; empty where there was
 none. It stays valid until the next call that fails in this thread, and must not be freed.
 */
const char *lanerank_last_error(void);

/*
 Opens the model inside this library: no file, no network.

 options may be NULL. *out becomes the handle, or NULL where this fails; free it with lanerank_free.

 # Safety
 `options` must be null or point to options, `out` must be null or point to room for a pointer.
 */
enum lanerank_status lanerank_open_default(const struct lanerank_options *options,
                                           struct lanerank_ranker **out);

/*
 Opens a model file, which is read into memory and verified.

 path ends with a NUL; on Windows it is UTF-8. The rest is as with lanerank_open_default.

 # Safety
 As `lanerank_open_default`; `path` must be null or point to a string that ends with a NUL.
 */
enum lanerank_status lanerank_open_file(const char *path,
                                        const struct lanerank_options *options,
                                        struct lanerank_ranker **out);

/*
 Opens a model file that is in memory. It is copied: the memory may be freed afterwards.

 The rest is as with lanerank_open_default.

 # Safety
 As `lanerank_open_default`; `data` must be null or point to `len` bytes that nobody changes
 meanwhile.
 */
enum lanerank_status lanerank_open_memory(const uint8_t *data,
                                          size_t len,
                                          const struct lanerank_options *options,
                                          struct lanerank_ranker **out);

/*
 Frees a ranker; NULL is nothing to free. No call may use it meanwhile or afterwards.

 # Safety
 `ranker` must be null or a handle that was opened and not freed, and no other thread may use it.
 */
void lanerank_free(struct lanerank_ranker *ranker);

/*
 Threads that one call may use, the calling one included; 0 for NULL.

 # Safety
 `ranker` must be null or a handle that was opened and not freed.
 */
size_t lanerank_threads(const struct lanerank_ranker *ranker);

/*
 Longest query and passage together, in tokens; 0 for NULL.

 # Safety
 `ranker` must be null or a handle that was opened and not freed.
 */
size_t lanerank_max_length(const struct lanerank_ranker *ranker);

/*
 The version of this library, such as "0.1.0"; it must not be freed.
 */
const char *lanerank_version(void);

/*
 Scores passages for a query. scores has room for count floats, and gets them in the order of the
 passages; where this fails it is left alone.

 # Safety
 `ranker` must be null or a handle that was opened and not freed; the texts must be as they say and
 `scores` must have the room, and nobody else may use that meanwhile.
 */
enum lanerank_status lanerank_scores(const struct lanerank_ranker *ranker,
                                     struct lanerank_text query,
                                     const struct lanerank_text *passages,
                                     size_t count,
                                     float *scores);

/*
 Ranks passages for a query, best first; equal ones in the order given. hits has room for capacity
 hits: with less than count the best are given. *written becomes how many there are.

 # Safety
 As `lanerank_scores`, with `hits` and `written` in place of `scores`.
 */
enum lanerank_status lanerank_rerank(const struct lanerank_ranker *ranker,
                                     struct lanerank_text query,
                                     const struct lanerank_text *passages,
                                     size_t count,
                                     struct lanerank_hit *hits,
                                     size_t capacity,
                                     size_t *written);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LANERANK_H */

#ifndef LANERANK_TEXT_OF
#define LANERANK_TEXT_OF
/* The text of len bytes at data. */
static inline struct lanerank_text lanerank_text_of(const char *data, size_t len) {
    struct lanerank_text text;
    text.data = data;
    text.len = len;
    return text;
}
#endif
