"""FlashRank as a plain Lambda function: the model is loaded once, at import."""

import json, os
from flashrank import Ranker, RerankRequest

RANKER = Ranker(model_name=os.environ["FLASHRANK_NAME"], cache_dir=os.environ["FLASHRANK_CACHE"])


def handler(event, _context):
    body = json.loads(event["body"])
    passages = [{"id": i, "text": t} for i, t in enumerate(body["texts"])]
    hits = RANKER.rerank(RerankRequest(query=body["query"], passages=passages))
    answer = [{"index": h["id"], "score": float(h["score"])} for h in hits]
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(answer),
    }
