"""One picture, read at once; nothing of it is kept. Needs no package."""

import json
import os
import urllib.error
import urllib.request

with open("face.jpg", "rb") as file:
    request = urllib.request.Request(
        os.environ["MIEN_URL"] + "/api/v1/analyze", file.read(), {"Content-Type": "image/jpeg"}
    )
try:
    with urllib.request.urlopen(request) as answer:
        for face in json.load(answer)["faces"]:
            print(f"{face['label']} {face['confidence']:.2f} at {face['box']}")
except urllib.error.HTTPError as error:  # every error has this one shape
    print(json.load(error)["error"]["message"])
