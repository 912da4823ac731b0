"""A folder of pictures as a survey: make it, send the files, analyse, fetch the report."""

import json
import os
import time
import urllib.parse
import urllib.request
from pathlib import Path

SURVEYS = os.environ["MIEN_URL"] + "/api/v1/surveys"


def call(method, path="", body=None, kind="application/json"):
    data = json.dumps(body).encode() if kind == "application/json" and body else body
    request = urllib.request.Request(SURVEYS + path, data, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


survey = call("POST", "", {"name": "Packages", "purpose": "product", "consent": True})["id"]
for file in sorted(Path("pictures").iterdir()):
    query = urllib.parse.urlencode({"path": file.name, "group": "Package A"})
    call("PUT", f"/{survey}/files?{query}", file.read_bytes(), "application/octet-stream")
job = call("POST", f"/{survey}/jobs")["id"]
while call("GET", f"/{survey}/progress")["state"] not in ("done", "failed", "cancelled"):
    time.sleep(0.5)
report = call("GET", f"/{survey}/jobs/{job}/export/json")
for sentence in report["plain"]:
    print(sentence)
