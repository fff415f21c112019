"""Fit a logistic regression by gradient descent, on lines of a label (1 or -1) and the values that go with it.

Run it so:

    python logistic_regression.py points.txt
    python logistic_regression.py --points 100000        points made up on both sides of a plane
"""

import argparse
import math
import random

from simspark import SparkContext


def parsed(line):
    """A line as (label, values); a 1 before the values gives the plane its place."""
    label, *values = map(float, line.replace(",", " ").split())
    return label, (1.0, *values)


def invented(index, dimensions):
    """A point of a plane's one side or of the other: the sum of its values decides, mostly."""
    chance = random.Random(index)
    values = [chance.uniform(-1, 1) for _ in range(dimensions)]
    return (1.0 if sum(values) + chance.gauss(0, 0.1) > 0 else -1.0), (1.0, *values)


def dot(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


def gradient(point, weights):
    """What one point would change of the weights, and its loss."""
    label, values = point
    margin = max(-700.0, min(700.0, label * dot(weights, values)))
    share = -label / (1.0 + math.exp(margin))
    return [share * value for value in values], math.log1p(math.exp(-margin))


def total_gradient(points, weights):
    known = points.context.broadcast(weights)

    def add(sums, point):
        change, loss = gradient(point, known.value)
        return [a + b for a, b in zip(sums[0], change, strict=True)], sums[1] + loss

    def merge(left, right):
        return [a + b for a, b in zip(left[0], right[0], strict=True)], left[1] + right[1]

    return points.treeAggregate(([0.0] * len(weights), 0.0), add, merge)


def right_share(points, weights):
    return points.map(lambda point: point[0] * dot(weights, point[1]) > 0).mean()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file", nargs="?", help="a text file of points")
    options.add_argument("--points", type=int, default=5_000, help="how many points to make up without a file")
    options.add_argument("--dimensions", type=int, default=3, help="how many values each of those has")
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--step", type=float, default=5.0, help="how far to go along the mean gradient each round")
    options.add_argument("--master", help="where to run; SIMSPARK_MASTER or local[*] if not given")
    given = options.parse_args()

    with SparkContext(given.master, "logistic regression") as sc:
        if given.file:
            points = sc.textFile(given.file).map(parsed).cache()
        else:
            dimensions = given.dimensions
            points = sc.range(given.points).map(lambda index: invented(index, dimensions)).cache()
        count = points.count()
        weights = [0.0] * len(points.first()[1])
        for _ in range(given.rounds):
            change, loss = total_gradient(points, weights)
            weights = [weight - given.step * value / count for weight, value in zip(weights, change, strict=True)]
        print(f"{count:,} points, loss {loss / count:.4f} before the last round")
        print(f"{right_share(points, weights):.1%} on the right side")
        print("weights: " + " ".join(f"{weight:.4f}" for weight in weights))


if __name__ == "__main__":
    main()
