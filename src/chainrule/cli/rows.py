"""The rows of a table that `chainrule train` learns from, those held out, and how good the network is on them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule import NeuralNetwork
from chainrule.data.facts import Facts
from chainrule.data.samples import Samples, Use, split
from chainrule.data.streams import Stream
from chainrule.ranks.group import ALONE, Group


class Rows(NamedTuple):
    """The rows of a table, in memory or read in windows."""

    facts: Facts
    training: tuple[Any, Any]  # X and y, as ``train`` takes them
    watched: tuple[Any, Any]  # X and y of the held-out rows, as ``validation_data``
    # Held-out features and targets, unscaled; for a stream, only the rows that this rank reads.
    checked: Iterable[tuple[np.ndarray, np.ndarray]]
    trained: int  # rows
    held_out: int
    left_out: int = 0
    uses: Sequence[Use] = ()
    places: tuple[np.ndarray, ...] = ()  # indices of the training rows and of the held-out rows
    group: Group = ALONE  # the ranks that share the held-out rows


def in_memory(samples: Samples, target: str, held_out: float, seed: int) -> Rows:
    """Return the samples of a table, with some rows held out."""
    learnt, kept = np.arange(len(samples.y)), np.arange(0)
    if held_out:
        learnt, kept = split(samples, held_out, np.random.default_rng(seed))
    facts = Facts.fit(samples, target, learnt)
    inputs, targets = facts.scaler.apply(samples.X), facts.targets(samples.y)
    return Rows(
        facts,
        (inputs[learnt], targets[learnt]),
        (inputs[kept], targets[kept]),
        [(samples.X[kept], samples.y[kept])],
        int(learnt.size),
        int(kept.size),
        samples.left_out,
        samples.uses,
        (learnt, kept),
    )


def read_in_windows(stream: Stream, task: str | None, held_out: float, seed: int, group: Group) -> Rows:
    """Return the rows of a stream, with some blocks held out."""
    if not held_out:
        facts = Facts.over(stream, stream, task, group)
        return Rows(facts, (facts.applied(stream), None), (None, None), (), len(stream), 0)
    learnt, kept = stream.split(held_out, np.random.default_rng(seed).permutation)
    facts = Facts.over(stream, learnt, task, group)
    training, watched = ((facts.applied(part), None) for part in (learnt, kept))

    def truth(y: np.ndarray) -> np.ndarray:
        return facts.truth({facts.target: y}) if facts.labels else y

    checked = ((raw.X, truth(raw.y)) for raw in kept.shard(group.rank, group.size).read_all())
    return Rows(facts, training, watched, checked, len(learnt), len(kept), group=group)


def score(rows: Rows, network: NeuralNetwork) -> dict[str, float | None]:
    """Return the accuracy, or R² and the root of the mean squared error, over the held-out rows.

    The record also has the accuracy of always predicting their most common class.
    """
    if not rows.held_out:
        return {}
    facts, answers = rows.facts, []
    for X, y in rows.checked:
        P = network.backend.to_numpy(network.predict(facts.scaler.apply(X)))  # (n, k) or (n, 1)
        answers.append((np.argmax(P, axis=1) if facts.labels else facts.values(P), y))
    every = [answer for theirs in rows.group.gather(answers) for answer in theirs]
    predicted, truth = (np.concatenate(parts) for parts in zip(*every, strict=True))  # (n,)
    if facts.labels:
        return {
            "accuracy": float(np.mean(predicted == truth)),
            "commonest_class": float(np.bincount(truth).max() / truth.size),
        }
    error = float(np.mean((predicted - truth) ** 2))
    spread = np.mean((truth - np.mean(truth)) ** 2)  # the error of predicting the mean
    return {"r2": float(1 - error / spread) if spread > 0 else None, "rmse": error**0.5}
