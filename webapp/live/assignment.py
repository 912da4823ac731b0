"""Which found box continues which track, decided for all of them at once.

``scipy.optimize.linear_sum_assignment`` does the same; importing it costs the web process a fifth
of a second and 40 MB for what is a handful of faces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def assign(costs: Sequence[Sequence[float]], missing: float) -> dict[int, int]:
    """The pairs ``{row: column}`` of least total cost, where leaving a row out costs ``missing``.

    ``costs[row][column]`` is finite, or infinite for a pair that cannot be. Exact in
    O(rows² (columns + rows)): the Hungarian method with potentials (Kuhn 1955, Munkres 1957).
    """
    rows = len(costs)
    columns = len(costs[0]) if rows else 0
    # each row has a column of its own that stands for "none"; infinity would poison potentials
    far = 1e9
    width = columns + rows
    table = [
        [c if math.isfinite(c) else far for c in row]
        + [missing if other == index else far for other in range(rows)]
        for index, row in enumerate(costs)
    ]
    row_potential = [0.0] * (rows + 1)
    column_potential = [0.0] * (width + 1)
    owner = [0] * (width + 1)  # row of each column, counted from 1; 0 is nobody
    for row in range(1, rows + 1):
        way = [0] * (width + 1)
        least = [math.inf] * (width + 1)
        used = [False] * (width + 1)
        owner[0] = row
        at = 0
        while owner[at]:
            used[at] = True
            here, delta, following = owner[at], math.inf, 0
            for column in range(1, width + 1):
                if used[column]:
                    continue
                reduced = (
                    table[here - 1][column - 1] - row_potential[here] - column_potential[column]
                )
                if reduced < least[column]:
                    least[column], way[column] = reduced, at
                if least[column] < delta:
                    delta, following = least[column], column
            for column in range(width + 1):
                if used[column]:
                    row_potential[owner[column]] += delta
                    column_potential[column] -= delta
                else:
                    least[column] -= delta
            at = following
        while at:
            owner[at] = owner[way[at]]
            at = way[at]
    return {
        owner[column] - 1: column - 1
        for column in range(1, columns + 1)
        if owner[column] and math.isfinite(costs[owner[column] - 1][column - 1])
    }
