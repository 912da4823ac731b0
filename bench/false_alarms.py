"""``python -m bench.false_alarms --json -``: how often do reports find what is not there?

Surveys in which two groups do not differ are compared as a report compares them: people with one
and with six pictures each, alike within a person (intraclass correlation 0.5), named and unnamed.
Unnamed, each file counts as another person unless the guess from its folder finds the people; how
often it does is told. ``differs`` is the share of surveys with any "differs": at most 0.05.

And how often the interval of Cohen's kappa holds the true one, with 20 to 60 labels of people who
agree with the model in a known share of faces.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from bench.shares import MIXES, draw_people
from webapp.domain import EMOTIONS
from webapp.survey.agreement import agreement, kappas
from webapp.survey.guess import guess_respondents
from webapp.survey.report.compare import compare_groups
from webapp.survey.report.statistics import Sample

SIZE = len(EMOTIONS)
PEOPLE = ((20, 1), (40, 1), (100, 1), (20, 6), (40, 6))  # of both groups, pictures of each
LABELS = ((20, 1), (40, 1), (60, 1), (10, 6), (7, 3), (20, 3))  # people, labels of each
RIGHT = 0.8  # of the model's answers in the faces that people label


def differs(
    mix: npt.NDArray[np.float64],
    people: int,
    pictures: int,
    named: bool,
    primary: str,
    rng: np.random.Generator,
) -> tuple[bool, bool]:
    """Whether anything "differs" in one survey, and whether its people were guessed."""
    classes, person = draw_people(mix, people, pictures, rng)
    groups = person % 2
    paths = [
        f"{'AB'[g]}/p{p:02d}/{n}.jpg" for n, (g, p) in enumerate(zip(groups, person, strict=True))
    ]
    guess = None if named else guess_respondents(paths, ("A", "B"))
    known = named or guess is not None
    clusters = person if known else np.arange(len(person))
    sharp = rng.dirichlet(np.full(SIZE, 0.3), len(classes)) * 0.4
    probabilities = sharp + 0.6 * np.eye(SIZE)[classes]
    sample = Sample(
        probabilities,
        groups,
        clusters,
        np.zeros(len(classes), dtype=bool),
        ("A", "B"),
        int(clusters.max()) + 1,
    )
    rows = compare_groups(sample, 5, primary)["rows"]
    return any(row["significant"] for row in rows), guess is not None


def kappa_covered(people: int, labels: int, rng: np.random.Generator) -> bool | None:
    """Whether the interval holds the true kappa; None where no kappa is said."""
    mix = np.array(MIXES["neutral .70"])
    confusion = np.full((SIZE, SIZE), (1 - RIGHT) / (SIZE - 1))
    np.fill_diagonal(confusion, RIGHT)
    truth = float(kappas((mix[:, None] * confusion)[None])[0])
    classes, person = draw_people(mix, people, labels, rng)
    read = np.array([rng.choice(SIZE, p=confusion[c]) for c in classes])
    tables = np.zeros((people, SIZE, SIZE))
    np.add.at(tables, (person, classes, read), 1)
    interval = agreement(tables).interval
    return None if interval is None else interval[0] <= truth <= interval[1]


@click.command(help=__doc__)
@click.option("--surveys", default=500, show_default=True, help="Of each kind.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", type=click.File("w"), default="-")
def main(surveys: int, seed: int, target: Any) -> None:
    nulls = []
    for (people, pictures), mix in itertools.product(PEOPLE, ("neutral .70", "uniform")):
        for named in (True, False):
            for primary in ("", "happy"):
                rng = np.random.default_rng([seed, people, pictures])
                found = [
                    differs(np.array(MIXES[mix]), people, pictures, named, primary, rng)
                    for _ in range(surveys)
                ]
                alarms, guessed = np.mean(found, axis=0)
                nulls.append(
                    {
                        "mix": mix,
                        "people": people,
                        "pictures": pictures,
                        "named": named,
                        "primary": primary,
                        "differs": round(float(alarms), 3),
                        "guessed": round(float(guessed), 3),
                    }
                )
    covers = []
    for people, labels in LABELS:
        rng = np.random.default_rng([seed, people, labels])
        found_all = [kappa_covered(people, labels, rng) for _ in range(surveys)]
        said = [one for one in found_all if one is not None]
        covers.append(
            {
                "people": people,
                "labels": people * labels,
                "said_in": round(len(said) / surveys, 3),
                "covered": round(float(np.mean(said)), 3) if said else None,
            }
        )
    json.dump({"surveys": surveys, "nulls": nulls, "kappa": covers}, target, indent=1)
    target.write("\n")


if __name__ == "__main__":
    main()
