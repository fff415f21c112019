"""Rank the pages of a graph by the links between them.

Run it so:

    python pagerank.py edges.txt             lines of "page page": the first links to the second
    python pagerank.py --pages 10000         a made-up graph
"""

import argparse

from simspark import SparkContext

DAMPING = 0.85


def edge(line):
    page, target = line.split()[:2]
    return page, target


def invented_links(page, pages):
    """A few links from each page, most of them to pages with low numbers."""
    return [(page, (page * step * step + step) % (1 + page % pages)) for step in range(1, 6)]


def shares(item):
    """What a page gives to each page that it links to."""
    _, (targets, rank) = item
    return [(target, rank / len(targets)) for target in targets]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file", nargs="?", help="a text file of links")
    options.add_argument("--pages", type=int, default=10_000, help="how many pages to make up without a file")
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--master", help="where to run; SIMSPARK_MASTER or local[*] if not given")
    given = options.parse_args()

    with SparkContext(given.master, "page rank") as sc:
        if given.file:
            edges = sc.textFile(given.file).map(edge)
        else:
            pages = given.pages
            edges = sc.range(pages).flatMap(lambda page: invented_links(page, pages))
        links = edges.distinct().groupByKey(sc.defaultParallelism).cache()
        ranks = links.mapValues(lambda _: 1.0)
        for _ in range(given.rounds):
            given_away = links.join(ranks).flatMap(shares).reduceByKey(lambda a, b: a + b)
            ranks = given_away.mapValues(lambda share: 1 - DAMPING + DAMPING * share)
        for page, rank in ranks.top(10, key=lambda pair: pair[1]):
            print(f"{rank:10.3f}  {page}")


if __name__ == "__main__":
    main()
