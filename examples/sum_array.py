"""Sum an array after mapping it, spread over all executors.

Run it so:

    python sum_array.py                      ten million numbers from memory
    python sum_array.py numbers.txt          numbers from a file, one a line
    python sum_array.py --count 1000 --master local[4]
"""

import argparse
import time

from simspark import SparkContext


def scaled(number):
    return 3 * number + 1


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file", nargs="?", help="a text file with a number on each line")
    options.add_argument("--count", type=int, default=10_000_000, help="how many numbers without a file")
    options.add_argument("--master", help="where to run; SIMSPARK_MASTER or local[*] if not given")
    given = options.parse_args()

    with SparkContext(given.master, "sum of an array") as sc:
        start = time.perf_counter()
        if given.file:
            numbers = sc.textFile(given.file, 2 * sc.defaultParallelism).map(int)
        else:
            numbers = sc.parallelize(list(range(given.count)), 2 * sc.defaultParallelism)
        total = numbers.map(scaled).sum()
        print(f"sum: {total}")
        print(f"time: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
