"""Few cases instead of all combinations: every pair of values of two axes occurs in one of them."""

from itertools import combinations, cycle, product

import pytest


def all_pairs(*axes):
    """Return tuples with a value of each axis that hold every pair of values of two axes.

    Greedy: the tuple with the most pairs that are still missing comes next (D. M. Cohen et al., "The AETG
    system", 1997). Most faults need one value or a pair of values (D. R. Kuhn et al., 2004).

    >>> all_pairs("ab", "xy", (1, 2))
    [('a', 'x', 1), ('a', 'y', 2), ('b', 'x', 2), ('b', 'y', 1)]
    """
    places = product(*(range(len(axis)) for axis in axes))
    pairs = {place: set(combinations(enumerate(place), 2)) for place in places}
    missing, chosen = set().union(*pairs.values()), []
    while missing:
        chosen.append(max(pairs, key=lambda place: len(pairs[place] & missing)))
        missing -= pairs[chosen[-1]]
    return [tuple(axis[i] for axis, i in zip(axes, place, strict=True)) for place in chosen]


def in_turn(cases, *axes):
    """Return parameters for pytest: each case of a dictionary, with the values of the other axes in turn."""
    others = zip(*map(cycle, axes), strict=False)
    return [
        pytest.param(case, *values, id=name)
        for (name, case), values in zip(cases.items(), others, strict=False)
    ]
