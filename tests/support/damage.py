# ruff: noqa: PT017, S311, T201  a program, not a test
"""Damaged model files: truncated, flipped, with other headers and with records that contradict themselves.

Run as a program with a count, it loads that many and prints how many were refused and the memory it took. Each must
be refused in one line, or load as a network that predicts what the whole one does.
"""

import json
import random
import re
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

from chainrule import NeuralNetwork
from chainrule.cli.options import loaded
from chainrule.data.facts import Facts
from chainrule.data.samples import features_and_target

ODD = [
    *(None, True, 0, -1, 3, 1e308, 10**400, float("nan"), float("inf")),
    *("", "x" * 100_000, "\ud800", b"\0".hex()),
    *([], {}, [[]], ["a"], ["a", "a"], [0.0, 1.0], [None] * 3, {"mean": [1.0], "scale": [0.0]}),
]
DTYPES = ["BF16", "F8_E4M3", "F16", "F32", "F64", "I64", "U8", "BOOL", "C64", "Q"]


def model(path, task):
    """Save a small network as ``chainrule train`` does, and return a table for it and its predictions."""
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(size=9), "b": rng.normal(size=9), "y": np.array([0, 1, 2] * 3)}
    samples = features_and_target(table, "y", task)
    facts = Facts.fit(samples, "y", np.arange(9))
    classes = task == "classification"
    loss = "cross_entropy" if classes else "mean_squared_error"
    net = NeuralNetwork(2, (4,), 3 if classes else 1, loss=loss, dtype="float32", seed=0)
    net.metadata["table"] = facts.to_dict()
    net.save(path)
    return table, predictions(path, table)


def predictions(path, table):
    """Return what ``chainrule predict`` computes."""
    net, facts = loaded(path, "numpy")
    outputs = net.predict(facts.inputs(table))
    return outputs if facts.labels else facts.values(outputs)


def parts(content):
    """Return the header of a safetensors file as JSON has it, and the arrays as bytes."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def whole(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def truncated(content, rng):
    return content[: rng.randrange(len(content))]


def flipped(content, rng):
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 8])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def other_bytes(content, rng):
    start = rng.randrange(len(content))
    return content[:start] + rng.randbytes(rng.randrange(1, 64)) + content[start + rng.randrange(64) :]


def lying_header(content, rng):
    header, data = parts(content)
    entry = header[rng.choice([name for name in header if name != "__metadata__"])]
    match rng.randrange(4):
        case 0:
            entry["dtype"] = rng.choice(DTYPES)
        case 1:
            entry["shape"] = [rng.choice([0, 1, 3, 2**31, 2**62]) for _ in range(rng.randrange(4))]
        case 2:
            entry["data_offsets"] = sorted(rng.choice([0, 8, len(data), 2**40]) for _ in range(2))
        case _:
            return struct.pack("<Q", rng.choice([0, 7, 2**20, 2**40, 2**63])) + content[8:]
    return whole(header, data)


def deep(content, rng):
    depth = rng.choice([50, rng.randrange(300, 1100), 100_000])
    header, data = parts(content)
    if rng.random() < 0.5:
        return whole(b'{"__metadata__":' + b"[" * depth + b"]" * depth + b"}", data)
    record = "[" * depth + "]" * depth
    header["__metadata__"]["chainrule"] = f'{{"format": 1, "network": {{}}, "metadata": {record}}}'
    return whole(header, data)


def contradicting(content, rng):
    """Change a value of the record, at any depth, or take it out; the checksum is taken out."""
    header, data = parts(content)
    record = json.loads(header["__metadata__"]["chainrule"])
    place = record
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.3:
            break
        place = place[key]
    if rng.random() < 0.3:
        del place[key]
    else:
        place[key] = rng.choice(ODD)
    record.pop("crc32", None)
    header["__metadata__"] = {"chainrule": json.dumps(record)}
    return whole(header, data)


DAMAGES = [truncated, flipped, other_bytes, lying_header, deep, contradicting, contradicting]


def main(count):
    folder = Path(tempfile.mkdtemp())
    path, rng = folder / "m.safetensors", random.Random(0)
    refused = 0
    models = []
    for task in ("classification", "regression"):
        table, wanted = model(path, task)
        models.append((path.read_bytes(), table, wanted))
    for number in range(count):
        content, table, wanted = models[number % 2]
        damage = DAMAGES[number // 2 % len(DAMAGES)]
        path.write_bytes(damage(content, rng))
        try:
            got = predictions(path, table)
        except (ValueError, MemoryError) as error:
            assert "\n" not in str(error), (damage, number, error)
            assert len(str(error)) < 2000, (damage, number, len(str(error)), str(error)[:300])
            refused += 1
            continue
        if damage is not contradicting:
            assert np.array_equal(got, wanted), (damage.__name__, number)
        assert np.isfinite(got).all(), (damage.__name__, number)
    # Of this program alone: ru_maxrss would count what the process was before it was replaced, pytest.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024
    print(json.dumps({"files": count, "refused": refused, "peak_MiB": peak}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
