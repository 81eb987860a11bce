"""FlashRank behind Python's HTTP server, one thread per connection, for `load.py`.

python tools/server/checks/flashrank_server.py PORT MODEL_NAME CACHE_DIR
"""

import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from flashrank import Ranker, RerankRequest


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # One packet per answer.
    disable_nagle_algorithm = True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        passages = [{"id": i, "text": t} for i, t in enumerate(body["texts"])]
        hits = self.server.ranker.rerank(RerankRequest(query=body["query"], passages=passages))
        answer = json.dumps([{"index": h["id"], "score": float(h["score"])} for h in hits]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # The client disconnected.


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    server.ranker = Ranker(model_name=sys.argv[2], cache_dir=sys.argv[3])
    print("ready", flush=True)
    server.serve_forever()
