"""The protocol of Inngest, as much as the app needs: functions that an event triggers, with steps and sleeps."""

import hashlib
import http.server
import json
import os
import urllib.parse
import urllib.request


class Interrupt(Exception):
    """Ends a call: the server records what the step did, and calls again."""

    def __init__(self, **operation):
        self.operation = operation


class StepFailed(Exception):
    """A step has failed, and is not tried again. If the function does not catch it, neither is the function."""


class Step:
    """What a function calls. Steps that the server has recorded return what it recorded."""

    def __init__(self, recorded, announce, target):
        self.recorded, self.announce, self.target = recorded, announce, target

    def run(self, id, work):
        hashed = hashlib.sha1(id.encode()).hexdigest()
        if hashed in self.recorded:
            if "error" in self.recorded[hashed]:  # all attempts have failed
                raise StepFailed(self.recorded[hashed]["error"]["message"])
            return self.recorded[hashed]["data"]
        if self.announce and self.target != hashed:  # its result may be replaced
            raise Interrupt(id=hashed, op="StepPlanned", displayName=id)
        try:
            data = work()
        except Exception as e:  # the server tries again
            error = {"name": type(e).__name__, "message": str(e)}
            raise Interrupt(id=hashed, op="StepError", displayName=id, error=error) from e
        raise Interrupt(id=hashed, op="StepRun", displayName=id, data=data)

    def sleep(self, id, duration):
        hashed = hashlib.sha1(id.encode()).hexdigest()
        if hashed not in self.recorded:
            raise Interrupt(id=hashed, op="Sleep", displayName=id, name=duration)


def serve(app, functions):
    """Serve functions, a dict of id: (event, function), at /api/inngest of PORT. Each takes the event, the run's id and a Step."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200, {"function_count": len(functions)})

        def do_PUT(self):
            url = f"http://{self.headers['Host']}/api/inngest"
            registration = {
                "url": url, "v": "0.1", "deployType": "ping", "sdk": "python:stdlib", "appName": app, "framework": "http.server",
                "functions": [{
                    "id": f"{app}-{id}", "name": id, "triggers": [{"event": event}],
                    "steps": {"step": {"id": "step", "name": "step", "runtime": {"type": "http", "url": f"{url}?fnId={id}&stepId=step"}}},
                } for id, (event, _) in functions.items()],
            }
            request = urllib.request.Request(
                os.environ["INNGEST_DEV"] + "/fn/register", json.dumps(registration).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as response:
                self.answer(response.status, {"message": "registered", "modified": True})

        def do_POST(self):
            call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            _, function = functions[query["fnId"][0]]
            step = Step(call["steps"], call["ctx"]["disable_immediate_execution"], query["stepId"][0])
            try:
                self.answer(200, function(call["event"], call["ctx"]["run_id"], step))
            except Interrupt as i:
                self.answer(206, [i.operation])
            except StepFailed as e:
                self.answer(400, {"name": "StepFailed", "message": str(e)}, {"X-Inngest-No-Retry": "true"})
            except Exception as e:
                self.answer(500, {"name": type(e).__name__, "message": str(e)})

        def answer(self, status, value, headers=None):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Inngest-Sdk", "python:stdlib")
            self.send_header("X-Inngest-Req-Version", "1")
            for name, text in (headers or {}).items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
