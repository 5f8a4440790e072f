"""Counts and prints what the program has proven; the first fact that does not hold ends it."""

import time

_proven = []


class NotAFact(Exception):
    """What was expected and what was seen instead."""


def holds(fact, condition, seen=''):
    """`fact` is proven when `condition` is true; `seen` is shown when it is not."""
    if not condition:
        raise NotAFact(f'{fact}: {seen}' if seen != '' else fact)
    _proven.append(fact)
    print(f'ok {fact}', flush=True)


def equal(fact, seen, expected):
    """`fact` is proven when both values are equal."""
    holds(fact, seen == expected, f'expected {expected!r}, got {seen!r}')


def error(kind, call):
    """The error of type `kind` that `call` ends with."""
    try:
        answer = call()
    except kind as raised:
        return raised
    raise NotAFact(f'expected {kind.__name__}, got the answer {answer!r}')


def wait_for(what, condition, patience=20.0):
    """The first true value of `condition`, within `patience` seconds."""
    end = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > end:
            raise NotAFact(f'no {what} within {patience} seconds')
        time.sleep(0.02)
    return value


def total():
    """How many facts hold."""
    return len(_proven)
