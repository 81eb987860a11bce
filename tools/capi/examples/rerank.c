/* Ranks the lines of standard input for the query that is the first argument. */
#include <stdio.h>
#include <stdlib.h>

#include "lanerank.h"

#define MOST 1000

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, lanerank_last_error());
    return 1;
}

int main(int argc, char **argv) {
    static char lines[MOST][4096];
    static struct lanerank_text passages[MOST];
    static struct lanerank_hit hits[MOST];
    struct lanerank_ranker *ranker = NULL;
    size_t count = 0, written = 0, i;

    if (argc < 2) {
        fprintf(stderr, "usage: rerank QUERY [MODEL.lane] < passages\n");
        return 2;
    }
    if (argc > 2 ? lanerank_open_file(argv[2], NULL, &ranker) : lanerank_open_default(NULL, &ranker)) {
        return failed("open");
    }
    while (count < MOST && fgets(lines[count], sizeof lines[count], stdin)) {
        passages[count] = lanerank_text_of(lines[count], strcspn(lines[count], "\r\n"));
        count++;
    }
    if (lanerank_rerank(ranker, lanerank_string(argv[1]), passages, count, hits, MOST, &written)) {
        lanerank_free(ranker);
        return failed("rerank");
    }
    for (i = 0; i < written; i++) {
        struct lanerank_text text = passages[hits[i].index];
        printf("%.4f  %.*s\n", hits[i].score, (int)text.len, text.data);
    }
    lanerank_free(ranker);
    return 0;
}
