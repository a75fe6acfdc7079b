"""Malformed input made by a seeded generator: the same words, bytes and values in every run."""

import json
import struct
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random

WORDS = [
    *(
        "",
        " ",
        "\t",
        "-",
        "--",
        "-k",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "1e-999",
        "-1",
        "0",
        "-0",
        "00",
        "1e3",
        "1.5",
        "+1",
    ),
    *("9" * 30, "-" + "9" * 30, str(2**63), str(-(2**63) - 1), "9" * 5000, "0x10", "1_0", "１２", "١٢", "½", "²", "∞"),
    *(
        "true",
        "None",
        "[]",
        "{}",
        "null",
        "%s",
        "%(prog)s",
        "{0}",
        "\\",
        "'",
        '"',
        "$(x)",
        "*",
        "?",
        "#",
        "a=b",
        "=",
        ":",
    ),
    *("\x00", "a\x00b", "\n", "a\nb", "\r", "\x1b[31m", "\x7f", "\ufeff", "\u202e", "\u2028", "\ufffe", "\U0010ffff"),
    *("\ud800", "\udcff", "a\udc80b", "e\u0301" * 9, "\U0001f600" * 50, "あ" * 200, "x" * 5000, "か/" * 900),
    *("/dev/null", "/dev/null/below", "/proc/none", "/proc/self/mem", ".", "..", "~", "nowhere", "nowhere/at/all"),
    *(
        "a/b",
        "a//b",
        "/a",
        "a/",
        "-/-",
        "auto",
        "cpu:1",
        "cuda",
        "cuda:99",
        "cpu:",
        "mps",
        "meta",
        "mini-target",
        "hub",
    ),
    *("embedded", "speculative", "local", "tcp://", "tcp://127.0.0.1:1", "http://127.0.0.1:1", "tls://x", "inproc://x"),
]
"""What a user or a program may put where a word is wanted."""

VALUES = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        10**9,
        -(10**9),
        2**31,
        2**63,
        -(2**63),
        10**30,
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.0,
        1e308,
    ),
    *(
        5e-324,
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        " ",
        "x",
        "1",
        "nan",
        "あ",
        "\x00",
        "a\nb",
        "\ud800",
        "x" * 3000,
    ),
    *([], [[]], [None], [0], [-1], ["x"], [float("nan")], [1] * 500, {}, {"a": 1}, {"": {}}, {"あ": [1, {"b": None}]}),
]
"""What JSON, or Python, may hold where another thing is wanted."""


def bytes_of(random: Random, content: bytes) -> bytes:
    """The content, damaged as files are: cut short, overwritten, in another encoding, with something in between."""
    place, length = random.randrange(len(content) + 1), random.randrange(1, 40)
    damage: Callable[[], bytes] = random.choice(
        [
            lambda: content[:place],
            lambda: content[place:],
            lambda: content[:place] + random.randbytes(length) + content[place + length :],
            lambda: content[:place] + random.randbytes(length) + content[place:],
            lambda: content[:place] + content[place + length :],
            lambda: content[:place] + bytes(length) + content[place:],
            lambda: content[:place] + b"\n" + content[place:],
            lambda: (
                content[:place] + random.choice([b'"', b"{", b"}", b"[", b",", b"\\", b"e9", b"-"]) + content[place:]
            ),
            lambda: flipped(random, content),
            lambda: flipped(random, content),
            lambda: b"\xef\xbb\xbf" + content,
            lambda: content + content[:place],
            lambda: content.decode("utf-8", "replace").encode("utf-16"),
            lambda: content.decode("utf-8", "replace").encode("shift_jis", "replace"),
            lambda: content.replace(b"\n", b"\r\n"),
            lambda: random.choice(
                [b"", b"\x00" * 64, b"\n", b"[]", b"null", b"5", b'"x"', b"{}", b"[" * 9999, b'{"a":' * 9999]
            ),
        ]
    )
    return damage()


def flipped(random: Random, content: bytes) -> bytes:
    """A few bits turned."""
    damaged = bytearray(content)
    for _ in range(random.randrange(1, 6) if damaged else 0):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def value_of(random: Random, value: object, others: list = VALUES) -> object:
    """A JSON value with one thing in it changed, dropped, doubled or renamed, at whatever depth."""
    value = deepcopy(value)
    places = list(_places(value))
    if not places:
        return random.choice(others)
    container, key = random.choice(places)
    match random.randrange(8):
        case 0:
            del container[key]
        case 1 if isinstance(container, list):
            container.insert(key, deepcopy(container[key]))
        case 1:
            container[key + random.choice(["", " ", "_", "x"])] = container.pop(key)
        case 2 if isinstance(container[key], int | float) and not isinstance(container[key], bool):
            container[key] = random.choice([-container[key], container[key] * 10**6, container[key] + 1, 0])
        case _:
            container[key] = deepcopy(random.choice(others))
    return value


def _places(value: object) -> Iterator[tuple]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def safetensors_of(random: Random, content: bytes) -> bytes:
    """A file of safetensors with a changed header before the same data."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.dumps(value_of(random, json.loads(content[8 : 8 + size]))).encode("utf-8", "surrogatepass")
    length = random.choice([len(header)] * 6 + [0, 2**62, len(header) + 9])
    return struct.pack("<Q", length) + header + content[8 + size :]
