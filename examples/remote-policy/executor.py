"""A policy executor for aios in Python's standard library: python3 executor.py [PORT]"""
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def calm_first(question, parameters, state, context):
    """A load balancer: the instance with the fewest requests in flight, and by turns among equals."""
    turn = state.get("turn", 0)
    least = min(one["outstandingRequests"] for one in question["instances"])
    calm = [one["id"] for one in question["instances"] if one["outstandingRequests"] == least]
    return {"instanceId": calm[turn % len(calm)]}, {"turn": turn + 1}


def manage(command, data, state): return state, {"turn": 0} if command == "reset" else state


class Executor(BaseHTTPRequestHandler):
    def do_POST(self):
        token = os.environ.get("AIOS_POLICY_EXECUTOR_TOKEN_PYTHON")
        if token and self.headers["authorization"] != f"Bearer {token}":
            return self.answer(401, {"success": False, "message": "wrong token"})
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            if self.path == "/management":
                data, state = manage(asked["mgmt_action"], asked["mgmt_data"], asked["state"])
            else:
                data, state = calm_first(asked["input_data"], asked["parameters"], asked["state"], asked["context"])
            self.answer(200, {"success": True, "data": data, "state": state, "logs": [f"turn {state['turn']}"]})
        except Exception as fault:
            self.answer(200, {"success": False, "message": repr(fault)})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8090), Executor).serve_forever()
