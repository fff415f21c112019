"""Find all pairs of places between which there is a way, however many steps it has.

Run it so:

    python transitive_closure.py edges.txt             lines of "from to"
    python transitive_closure.py --vertices 100 --edges 200        a made-up graph
"""

import argparse
import random

from simspark import SparkContext


def edge(line):
    start, end = line.split()[:2]
    return start, end


def invented_graph(vertices, edges):
    chance = random.Random(42)
    found = set()
    while len(found) < edges:
        start, end = chance.randrange(vertices), chance.randrange(vertices)
        if start != end:
            found.add((start, end))
    return sorted(found)


def longer_ways(ways):
    """Each two ways, of which the second begins where the first ends, as one: ways double in length."""
    by_end = ways.map(lambda way: (way[1], way[0]))
    return by_end.join(ways).values()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file", nargs="?", help="a text file of edges")
    options.add_argument("--vertices", type=int, default=100, help="how many places to make up without a file")
    options.add_argument("--edges", type=int, default=200, help="how many edges to make up without a file")
    options.add_argument("--master", help="where to run; SIMSPARK_MASTER or local[*] if not given")
    given = options.parse_args()

    with SparkContext(given.master, "transitive closure") as sc:
        if given.file:
            edges = sc.textFile(given.file).map(edge)
        else:
            edges = sc.parallelize(invented_graph(given.vertices, given.edges))
        partitions = sc.defaultParallelism
        ways = edges.distinct(partitions).cache()
        count, before, rounds = ways.count(), 0, 0
        while count > before:
            shorter, before = ways, count
            ways = ways.union(longer_ways(ways)).distinct(partitions).cache()
            count = ways.count()
            shorter.unpersist()
            rounds += 1
        print(f"{count:,} pairs after {rounds} rounds")


if __name__ == "__main__":
    main()
