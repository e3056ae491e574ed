"""How much work the keys of a pickle are, found without unpickling it.

A key is hashed as it is read. Tuples keep no hash: one that holds another twice, which holds another twice, sixty
levels deep, would be hashed 2^60 times, out of a kilobyte and before anything of it can be looked at.
"""

import pickletools
from typing import IO, Any

_MOST_WORK = 10**6


def check_keys(pickle: bytes | IO[bytes]) -> None:
    """Refuse a pickle with a tuple that takes a million steps to hash.

    Raises:
        ValueError: if it has one, or is no pickle.
    """
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[Any, int] = {}
    try:
        for opcode, argument, _ in pickletools.genops(pickle):
            _step(opcode, argument, stack, marks, memo)
            if stack and stack[-1] > _MOST_WORK:
                break
        else:
            return
    except (IndexError, KeyError) as error:
        raise ValueError("it is no whole pickle") from error
    raise ValueError("it holds tuples of tuples that would take forever to look at")


def _step(opcode: Any, argument: Any, stack: list[int], marks: list[int], memo: dict[Any, int]) -> None:
    """One opcode, on a stack that holds of each value how many parts it takes to hash it."""
    name = opcode.name
    if name in _PUT:
        memo[len(memo) if argument is None else int(argument)] = stack[-1]
    elif name in _GET:
        stack.append(memo[int(argument)])
    elif name == "MARK":
        marks.append(len(stack))
    elif name == "DUP":
        stack.append(stack[-1])
    else:
        n_taken, has_mark, n_made, is_sum = _EFFECTS[name]
        first = (marks.pop() if has_mark else len(stack)) - n_taken
        if first < 0:
            raise IndexError
        cost = 1 + sum(stack[first:]) if is_sum else 1
        del stack[first:]
        stack += [cost] * n_made


_PUT, _GET = {"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"}, {"BINGET", "LONG_BINGET", "GET"}

# How many values an opcode takes beside those above a mark, whether it takes these, and how many it leaves. Lists and
# dicts can be no keys; what a call makes may hash as its arguments do.
_EFFECTS = {
    opcode.name: (
        sum(part.name not in ("mark", "stackslice") for part in opcode.stack_before),
        pickletools.markobject in opcode.stack_before,
        len(opcode.stack_after),
        opcode.name.startswith(("TUPLE", "REDUCE", "NEWOBJ", "BINPERSID")),
    )
    for opcode in pickletools.opcodes
}
