"""Find the centres of clusters of points, each point a line of numbers.

Run it so:

    python kmeans.py points.txt --clusters 3
    python kmeans.py --points 100000             points made up around as many places as there are clusters
"""

import argparse
import random

from simspark import SparkContext


def parsed(line):
    return tuple(map(float, line.replace(",", " ").split()))


def invented(index, clusters):
    """A point near one of the places (0, 0), (10, 10), (20, 20) ..."""
    chance = random.Random(index)
    middle = 10.0 * (index % clusters)
    return chance.gauss(middle, 1.0), chance.gauss(middle, 1.0)


def distance(left, right):
    return sum((a - b) ** 2 for a, b in zip(left, right, strict=True))


def nearest(point, centres):
    return min(range(len(centres)), key=lambda index: distance(point, centres[index]))


def added(left, right):
    """Two (sum of points, number of points)."""
    return tuple(a + b for a, b in zip(left[0], right[0], strict=True)), left[1] + right[1]


def far_apart(points, count):
    """Centres to begin with: some point, then again and again the one that is farthest from those."""
    centres = [points.first()]
    while len(centres) < count:
        chosen = tuple(centres)
        centres.append(points.max(key=lambda point, chosen=chosen: min(distance(point, each) for each in chosen)))
    return centres


def improved(points, centres):
    """Each centre moved to the middle of the points that are nearest to it."""
    known = points.context.broadcast(centres)
    sums = (
        points.map(lambda point: (nearest(point, known.value), (point, 1)))
        .reduceByKey(added)
        .collectAsMap()
    )
    known.destroy()
    return [
        tuple(value / sums[index][1] for value in sums[index][0]) if index in sums else centre
        for index, centre in enumerate(centres)
    ]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file", nargs="?", help="a text file of points")
    options.add_argument("--clusters", type=int, default=3)
    options.add_argument("--points", type=int, default=10_000, help="how many points to make up without a file")
    options.add_argument("--tolerance", type=float, default=1e-6, help="stop when centres move less than this")
    options.add_argument("--master", help="where to run; SIMSPARK_MASTER or local[*] if not given")
    given = options.parse_args()

    with SparkContext(given.master, "k-means") as sc:
        if given.file:
            points = sc.textFile(given.file).map(parsed).cache()
        else:
            clusters = given.clusters
            points = sc.range(given.points).map(lambda index: invented(index, clusters)).cache()
        centres = far_apart(points, given.clusters)
        rounds, moved = 0, float("inf")
        while moved > given.tolerance:
            before, centres = centres, improved(points, centres)
            moved = sum(map(distance, before, centres))
            rounds += 1
        print(f"{points.count():,} points, {given.clusters} clusters, {rounds} rounds")
        for centre in sorted(centres):
            print(" ".join(f"{value:.3f}" for value in centre))


if __name__ == "__main__":
    main()
