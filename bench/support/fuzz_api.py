"""The REST interface under requests made from its own description, good ones and bad ones.

schemathesis makes the requests. Some of their path parameters are replaced by those of a survey
that exists and was analysed, because a request for nothing is refused before anything can go wrong.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import seed as seeded
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from bench.support.scenes import frames_of_a_face

TIMEOUT_S = 60
KNOWN_SHARE = 0.6
# Which bodies are pictures or CSV files is more than the description can say, and so are the rules
# between fields.
LEFT_OUT = [checks.positive_data_acceptance, checks.negative_data_rejection]


class Answer(Protocol):
    """What is read of a response, whichever library it came with."""

    @property
    def status_code(self) -> int: ...

    def json(self) -> Any: ...


@dataclass
class Findings:
    """What came back: statuses by operation, and whatever broke a rule, with its request."""

    requests: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def blame(self, rule: str, example: str) -> None:
        self.broken[rule] += 1
        self.examples.setdefault(rule, example[:500])

    def to_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "statuses": dict(sorted(self.statuses.items())),
            "broken": dict(self.broken),
            "examples": self.examples,
        }


def one_shape(body: Any) -> bool:
    """Whether a parsed body is an error in the one shape."""
    error = body.get("error") if isinstance(body, dict) else None
    return (
        isinstance(error, dict)
        and set(body) == {"error"}
        and set(error) == {"code", "message", "detail"}
        and isinstance(error["code"], str)
        and isinstance(error["message"], str)
        and isinstance(error["detail"], dict)
    )


def judge(findings: Findings, name: str, answer: Answer, example: str) -> None:
    """Count an answer of the REST interface, and blame it where it breaks a rule."""
    findings.requests += 1
    findings.statuses[f"{name} {answer.status_code}"] += 1
    if answer.status_code >= 500:
        findings.blame(f"{name}: status {answer.status_code}", example)
    if answer.status_code >= 400:
        try:
            right = one_shape(answer.json())
        except ValueError:
            right = False
        if not right:
            findings.blame(f"{name}: error {answer.status_code} in another shape", example)


def analysed_survey(url: str) -> dict[str, Any]:
    """Make a survey of two pictures and have it analysed; the path parameters that name its parts.

    Raises RuntimeError where the analysis does not end well.
    """
    api = f"{url}api/v1/surveys"
    new = {"name": "Fuzz", "purpose": "research", "consent": True, "keep_until": "2035-01-31"}
    survey = requests.post(api, json=new, timeout=TIMEOUT_S).json()["id"]
    for number, picture in enumerate(frames_of_a_face()[:2]):
        query = {"path": f"{number}.jpg", "group": "A"}
        requests.put(f"{api}/{survey}/files", params=query, data=picture, timeout=TIMEOUT_S)
    job = requests.post(f"{api}/{survey}/jobs", timeout=TIMEOUT_S).json()["id"]
    until = time.monotonic() + 2 * TIMEOUT_S
    while (state := requests.get(f"{api}/{survey}/progress", timeout=TIMEOUT_S).json())[
        "state"
    ] in ("queued", "running", "reporting"):
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    if state["state"] != "done":
        raise RuntimeError(f"The survey to fuzz was not analysed: {state}.")
    faces = requests.get(f"{api}/{survey}/jobs/{job}/review", timeout=TIMEOUT_S).json()["faces"]
    known: dict[str, Any] = {"survey_id": survey, "job_id": job}
    if faces:
        known |= {"face_id": faces[0]["face"], "upload_id": faces[0]["upload"]}
    return known


def fuzz_api(url: str, examples: int, seed: int) -> Findings:
    """``examples`` good and as many bad requests for every operation of the server at ``url``."""
    schema = schemathesis.openapi.from_url(f"{url}api/v1/openapi.json")
    known, findings, dice = analysed_survey(url), Findings(), random.Random(seed)

    def send(case: Case) -> None:
        # a deleted survey would leave nothing to look for
        if case.operation.method.upper() != "DELETE" and dice.random() < KNOWN_SHARE:
            there = {k: v for k, v in known.items() if k in (case.path_parameters or {})}
            case.path_parameters = {**(case.path_parameters or {}), **there}
        name = case.operation.label
        answer = case.call(timeout=TIMEOUT_S)
        example = case.as_curl_command()
        judge(findings, name, answer, example)
        try:
            case.validate_response(answer, excluded_checks=LEFT_OUT)
        except FailureGroup as group:
            for one in group.exceptions:
                # a number that no id can be matches no route, only its neighbours'
                if answer.status_code != 405:
                    findings.blame(f"{name}: {type(one).__name__}", f"{one}\n{example}")

    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            run = seeded(seed)(given(operation.as_strategy(generation_mode=mode))(send))
            run = hypothesis_settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )(run)
            try:
                run()
            except Unsatisfiable:
                continue  # an operation without input has no bad requests
    return findings
