"""PageRank over cached links: a join and a reduceByKey in each iteration."""

from __future__ import annotations

import marshal
import operator
from collections import defaultdict

from forks import fork_two

from workloads import Goal

TITLE = "PageRank, 200 k nodes, 2 M edges, 10 iterations"
GOAL = Goal(of_pyspark=1 / 4.5, of_floor=8.5 / 4.50, peak_mb=600)
MIX = 2654435761


def rdd(sc, given):
    nodes, edges = given.size(200_000, 20), given.size(2_000_000, 200)
    links = sc.range(edges).map(lambda e: (e % nodes, (e * MIX >> 7) % nodes)).groupByKey().mapValues(list).cache()
    links.count()

    def spread(row):
        _, (targets, rank) = row
        share = rank / len(targets)
        return [(target, share) for target in targets]

    def job():
        ranks = links.mapValues(lambda targets: 1.0)
        for _ in range(10):
            shares = links.join(ranks).flatMap(spread)
            ranks = shares.reduceByKey(operator.add).mapValues(lambda rank: 0.15 + 0.85 * rank)
        return ranks.map(lambda row: row[1] * (row[0] % 7 + 1)).sum()

    return job


def floor(given):
    nodes, edges = given.size(200_000, 20), given.size(2_000_000, 200)

    def work(side):
        links = defaultdict(list)
        for e in range(edges):
            if e % nodes & 1 == side.number:
                links[e % nodes].append((e * MIX >> 7) % nodes)
        side.parent.send(b"ready")
        side.parent.receive()
        ranks = dict.fromkeys(links, 1.0)
        for _ in range(10):
            ranks = iterate(side, links, ranks)
        side.parent.send(repr(sum([rank * (node % 7 + 1) for node, rank in ranks.items()])).encode())

    lines = fork_two(work)
    for line in lines:
        line.receive()

    def job():
        for line in lines:
            line.send(b"go")
        return sum(float(line.receive()) for line in lines)

    return job


def shares(links, ranks):
    """What some nodes give to those that they link to."""
    sums = defaultdict(float)
    for node, targets in links.items():
        if node in ranks:
            share = ranks[node] / len(targets)
            for target in targets:
                sums[target] += share
    return sums


def iterate(side, links, ranks):
    """The next ranks of this side's nodes."""
    sums = shares(links, ranks)
    given_away = {node: value for node, value in sums.items() if node & 1 != side.number}
    for node in given_away:
        del sums[node]
    for node, value in marshal.loads(side.swap(marshal.dumps(given_away))).items():
        sums[node] += value
    return {node: 0.15 + 0.85 * value for node, value in sums.items()}


def ray(ray, given):
    nodes, edges = given.size(200_000, 20), given.size(2_000_000, 200)

    @ray.remote
    def link(number):
        links = defaultdict(list)
        for e in range(edges):
            if e % nodes & 1 == number:
                links[e % nodes].append((e * MIX >> 7) % nodes)
        return dict(links)

    @ray.remote(num_returns=2)
    def spread(links, ranks):
        sums = shares(links, ranks)
        return [{node: value for node, value in sums.items() if node & 1 == side} for side in range(2)]

    @ray.remote
    def merge(sums, others):
        sums = defaultdict(float, sums)
        for node, value in others.items():
            sums[node] += value
        return {node: 0.15 + 0.85 * value for node, value in sums.items()}

    weigh = ray.remote(lambda ranks: sum([rank * (node % 7 + 1) for node, rank in ranks.items()]))
    links = [link.remote(number) for number in range(2)]
    ray.wait(links, num_returns=2)

    def job():
        ranks = [ray.remote(lambda links: dict.fromkeys(links, 1.0)).remote(part) for part in links]
        for _ in range(10):
            parts = [spread.remote(*part) for part in zip(links, ranks, strict=True)]
            ranks = [merge.remote(*sides) for sides in zip(*parts, strict=True)]
        return sum(ray.get([weigh.remote(part) for part in ranks]))

    return job
