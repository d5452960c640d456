"""Small damage to bytes, of the kinds that upset parsers."""

from __future__ import annotations

import random
import re
import struct

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
NUMBERS = (
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"-Infinity",
    b"99999999999999999999",
    b"2147483648",
    b"null",
    b'""',
    b"[]",
    b"{}",
)
WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutate(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Return `data` with one to four kinds of damage; `other` lends a piece."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_KINDS)(result, rng, other)
    return bytes(result)


def _flip(data: bytearray, rng: random.Random, _other: bytes) -> None:
    for _ in range(rng.randint(1, 8)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _front(data: bytearray, rng: random.Random, _other: bytes) -> None:
    """Headers are where the promises are."""
    for _ in range(rng.randint(1, 4)):
        if data:
            data[rng.randrange(min(len(data), 96))] = rng.choice((*INTERESTING, rng.randrange(256)))


def _word(data: bytearray, rng: random.Random, _other: bytes) -> None:
    if len(data) > 8:
        place = rng.randrange(len(data) - 4)
        data[place : place + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(WORDS))


def _cut(data: bytearray, rng: random.Random, _other: bytes) -> None:
    if data:
        del data[rng.randrange(len(data)) :]


def _drop(data: bytearray, rng: random.Random, _other: bytes) -> None:
    if data:
        place = rng.randrange(len(data))
        del data[place : place + rng.randint(1, 64)]


def _repeat(data: bytearray, rng: random.Random, _other: bytes) -> None:
    if data:
        place = rng.randrange(len(data))
        data[place:place] = data[place : place + rng.randint(1, 256)] * rng.randint(1, 20)


def _splice(data: bytearray, rng: random.Random, other: bytes) -> None:
    if data and other:
        place, start = rng.randrange(len(data)), rng.randrange(len(other))
        data[place : place + rng.randint(0, 64)] = other[start : start + rng.randint(1, 256)]


def _number(data: bytearray, rng: random.Random, _other: bytes) -> None:
    """In text, put another number where one stood."""
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", bytes(data[:20_000])))
    if found:
        place = rng.choice(found)
        data[place.start() : place.end()] = rng.choice(NUMBERS)


_KINDS = (_flip, _front, _word, _cut, _drop, _repeat, _splice, _number)
