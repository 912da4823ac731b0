"""``python tools/licences.py`` writes the table of docs/licences.md from the installed packages."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "licences.md"
BEGIN, END = "<!-- packages: by tools/licences.py -->\n", "<!-- end of packages -->\n"

# Libraries inside wheels whose licences ask more of who passes them on, by their names.
COPYLEFT = {
    "libx264": "GPL-2.0-or-later",
    "libx265": "GPL-2.0-or-later",
    "libde265": "LGPL-3.0-or-later",
    "libheif": "LGPL-3.0-or-later",
    "libavcodec": "LGPL",
    "libmp3lame": "LGPL-2.0-or-later",
    "libgnutls": "LGPL-2.1-or-later",
    "libgmp": "LGPL-3.0-or-later or GPL-2.0-or-later",
    "libnettle": "LGPL-3.0-or-later or GPL-2.0-or-later",
    "libgfortran": "GPL-3.0 with the runtime exception",
    "libgomp": "GPL-3.0 with the runtime exception",
}


def pinned() -> list[str]:
    """The names in requirements.txt that are installed here, in its order."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [re.split(r"[=;\[ ]", line)[0] for line in lines if line and not line.startswith("#")]
    return list(dict.fromkeys(names))


def licence_of(name: str) -> str:
    """What a package declares: its expression, its classifiers or its field, in that order."""
    about = distribution(name).metadata
    if about.get("License-Expression"):
        return str(about["License-Expression"])
    classes = [c for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    if classes:
        return "; ".join(c.rpartition(" :: ")[2] for c in classes)
    return str(about.get("License") or "not declared").strip().splitlines()[0][:60]


def bundled(name: str) -> dict[str, str]:
    """Shared libraries in a wheel that :data:`COPYLEFT` names, with their licences."""
    found = {}
    for path in distribution(name).files or []:
        library = path.name.split("-")[0].split(".")[0]
        if ".so" in path.name and library in COPYLEFT:
            found[library] = COPYLEFT[library]
    return dict(sorted(found.items()))


def table() -> str:
    """One line for each package that requirements.txt names."""
    rows = [
        "| package | licence it declares | (L)GPL libraries inside its Linux wheel |",
        "|---|---|---|",
    ]
    for name in pinned():
        try:
            inside = ", ".join(f"{library} ({terms})" for library, terms in bundled(name).items())
            rows.append(f"| {name} | {licence_of(name)} | {inside} |")
        except PackageNotFoundError:
            rows.append(f"| {name} | not installed here | |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    DOCUMENT.write_text(text[:begin] + table() + text[end:], encoding="utf-8")
