"""Estimate pi by throwing darts at a square.

Run it so:

    python pi.py 10000000
"""

import sys
from random import Random

from simspark import SparkContext


def hits(part, throws):
    """How many of these throws land within the circle."""
    draw = Random(part).random
    return sum(draw() ** 2 + draw() ** 2 <= 1.0 for _ in range(throws))


def main():
    throws = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with SparkContext(appName="pi") as sc:
        parts = 2 * sc.defaultParallelism
        each = max(1, throws // parts)
        inside = sc.range(parts, numSlices=parts).map(lambda part: hits(part, each)).sum()
        print(f"pi is about {4 * inside / (each * parts):.5f}")


if __name__ == "__main__":
    main()
