"""A stack for tests: `harness up` as a child process, and its JSON API."""

import json
import os
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request


class Stack:
    def __init__(self, *command, inngest="sim"):
        self.dir = tempfile.TemporaryDirectory()
        self.up = subprocess.Popen(
            [os.environ.get("HARNESS_BIN", "harness"), "up", "--json", "--exit-with-parent", "--stack", self.dir.name,
             "--ports", "free", "--inngest", inngest, "--", *command],
            stdout=subprocess.PIPE, text=True)
        # When all is up, it prints a JSON object. If the app does not start, it says why, and ends.
        lines = []
        while not lines or lines[-1] not in ("}\n", ""):
            lines.append(self.up.stdout.readline())
        if lines[-1] == "":
            raise RuntimeError("harness up has ended: see above")
        self.api = json.loads("".join(lines))["api"]

    def request(self, method, path, body=None):
        request = urllib.request.Request(
            self.api["url"] + path, None if body is None else json.dumps(body).encode(), method=method,
            headers={"Authorization": "Bearer " + self.api["token"], "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as e:
            raise RuntimeError(json.load(e)["error"]) from None

    def stop(self):
        self.up.send_signal(signal.SIGINT)
        self.up.wait()
        self.dir.cleanup()
