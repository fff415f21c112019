"""Logistic regression by gradient descent over cached blocks of numpy rows: small jobs on large cached data."""

from __future__ import annotations

import operator

from forks import answering

from workloads import Goal

TITLE = "logistic regression, 1 M x 20, 20 iterations"
GOAL = Goal(of_pyspark=1 / 20, of_floor=0.42 / 0.35)
NEEDS = ("numpy",)
BLOCKS = 8
FEATURES = 20
ITERATIONS = 20


def rdd(sc, given):
    import numpy as np

    rows = given.size(1_000_000, 80) // BLOCKS
    points = sc.parallelize(range(BLOCKS)).map(lambda seed: block(seed, rows)).cache()
    points.count()

    def job():
        weights = np.zeros(FEATURES)
        for _ in range(ITERATIONS):
            slope = points.map(lambda pair: gradient(pair, weights)).reduce(operator.add)  # noqa: B023 - run at once
            weights = weights - slope / (rows * BLOCKS)
        return [float(weight) for weight in weights]

    return job


def block(seed, rows):
    """Rows of features, and a label of each."""
    import numpy as np

    chance = np.random.default_rng(seed)
    features = chance.standard_normal((rows, FEATURES))
    return features, np.where(features.sum(axis=1) + chance.standard_normal(rows) > 0, 1.0, -1.0)


def gradient(pair, weights):
    """The slope of the loss over one block."""
    import numpy as np

    features, labels = pair
    return ((1.0 / (1.0 + np.exp(-labels * (features @ weights))) - 1.0) * labels) @ features


def floor(given):
    import numpy as np

    rows = given.size(1_000_000, 80) // BLOCKS
    blocks = {}

    def answer(side, message):
        if not blocks:
            blocks.update({seed: block(seed, rows) for seed in side.half(BLOCKS)})
        weights = np.frombuffer(message)
        return sum(gradient(pair, weights) for pair in blocks.values()).tobytes()

    lines = answering(answer)

    def slope(weights):
        for line in lines:
            line.send(weights.tobytes())
        return sum(np.frombuffer(line.receive()) for line in lines)

    slope(np.zeros(FEATURES))

    def job():
        weights = np.zeros(FEATURES)
        for _ in range(ITERATIONS):
            weights = weights - slope(weights) / (rows * BLOCKS)
        return [float(weight) for weight in weights]

    return job


def dask(client, given):
    import numpy as np
    from distributed import wait

    rows = given.size(1_000_000, 80) // BLOCKS
    points = client.map(block, range(BLOCKS), rows=rows)
    wait(points)

    def job():
        weights = np.zeros(FEATURES)
        for _ in range(ITERATIONS):
            slope = client.submit(sum, client.map(gradient, points, weights=weights)).result()
            weights = weights - slope / (rows * BLOCKS)
        return [float(weight) for weight in weights]

    return job


def ray(ray, given):
    import numpy as np

    rows = given.size(1_000_000, 80) // BLOCKS
    make, slope_of = ray.remote(block), ray.remote(gradient)
    points = [make.remote(seed, rows) for seed in range(BLOCKS)]
    ray.wait(points, num_returns=BLOCKS)

    def job():
        weights = np.zeros(FEATURES)
        for _ in range(ITERATIONS):
            slope = sum(ray.get([slope_of.remote(pair, weights) for pair in points]))
            weights = weights - slope / (rows * BLOCKS)
        return [float(weight) for weight in weights]

    return job
