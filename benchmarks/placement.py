"""Do the last bits of a matrix product depend on where its factors lie, and what does it cost that they do not?

python benchmarks/placement.py                # as the package sets it: MKL_CBWR=AUTO
MKL_CBWR= python benchmarks/placement.py      # as the library is by itself
"""

import os
import time

import interp  # noqa: F401  (sets MKL_CBWR, before the first product)

import torch  # isort: skip

OFFSETS = range(16)  # floats of 4 bytes: all places within 64 bytes
SHAPES = ((17, 24, 8), (25, 16, 8), (64, 17, 5), (113, 128, 48))


def placed(values: torch.Tensor, offset: int) -> torch.Tensor:
    """The same values, this many floats behind an aligned address."""
    room = torch.empty(values.numel() + len(OFFSETS))
    return room[offset : offset + values.numel()].view(values.shape).copy_(values)


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"MKL_CBWR={os.environ['MKL_CBWR']!r}, {torch.backends.cpu.get_cpu_capability()}")
    for m, k, n in SHAPES:
        left, right = torch.randn(m, k), torch.randn(k, n)
        want = left @ right
        found = [placed(left, i) @ placed(right, j) for i in OFFSETS for j in (0, i)]
        for i in OFFSETS:
            found.append(placed(torch.empty(m, n), i))
            torch.matmul(left, right, out=found[-1])
        odd = sum(not torch.equal(product, want) for product in found)
        stack = torch.randn(8, m, k), torch.randn(8, k, n)
        started = time.perf_counter()
        for _ in range(2000):
            torch.bmm(*stack)
        took = (time.perf_counter() - started) / 2000
        print(f"({m}, {k}) x ({k}, {n}): {odd} of {len(found)} places differ; 8 at once {1e6 * took:.1f} us")


if __name__ == "__main__":
    main()
