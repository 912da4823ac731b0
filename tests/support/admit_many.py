"""Admits several uploads in one process, because starting TensorFlow takes seconds.

``python -m tests.support.admit_many FOLDER`` reads ``FOLDER/requests.json``, a list of the fields
of :class:`training.admission.admit.Request`, and writes ``FOLDER/answers.json`` in their order.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from training.admission.admit import Request, admit
from webapp.errors import MienError


def main(folder: Path) -> None:
    answers = []
    for number, fields in enumerate(json.loads((folder / "requests.json").read_text())):
        work = folder / str(number)
        work.mkdir()
        for name in ("file", "evaluation", "active"):
            if fields.get(name):
                fields[name] = Path(fields[name])
        fields["labels"] = tuple(fields.get("labels", ()))
        copied = work / "incoming"
        copied.write_bytes(fields["file"].read_bytes())
        try:
            request = Request(**fields | {"file": copied})
            answers.append({"ok": admit(request, work, lambda _: None, lambda: None)})
        except MienError as error:
            answers.append(error.to_json())
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
