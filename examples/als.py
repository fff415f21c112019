"""Guess the ratings that users have not given, by alternating least squares: a few numbers for each user and item.

Run it so:

    python als.py ratings.txt                  lines of "user item rating"
    python als.py --users 200 --items 100      made-up ratings
"""

import argparse
import random

from simspark import SparkContext


def parsed(line):
    user, item, rating = line.split()[:3]
    return user, item, float(rating)


def invented(user, items, rank):
    """The ratings of a user for about half of the items, from tastes that nobody has told."""
    tastes = random.Random(user)
    likes = [tastes.random() for _ in range(rank)]
    for item in range(items):
        qualities = random.Random(-1 - item)
        has = [qualities.random() for _ in range(rank)]
        if tastes.random() < 0.5:
            yield user, item, dot(likes, has)


def dot(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


def first_guess(key, rank):
    chance = random.Random(str(key))
    return [0.1 + chance.random() for _ in range(rank)]


def solved(matrix, right):
    """The solution of a small set of linear equations, by elimination."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(size):
            if row != column:
                factor = rows[row][column] / rows[column][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [rows[index][size] / rows[index][index] for index in range(size)]


def best_factors(ratings, factors, regularization):
    """The factors of one side that explain its ratings best, given those of the other side."""
    pairs = [(factors[other], rating) for other, rating in ratings]
    rank = len(pairs[0][0])
    matrix = [
        [sum(f[row] * f[column] for f, _ in pairs) + (regularization * len(pairs) if row == column else 0.0)
         for column in range(rank)]
        for row in range(rank)
    ]  # fmt: skip
    return solved(matrix, [sum(f[row] * rating for f, rating in pairs) for row in range(rank)])


def improved(grouped, factors, regularization):
    """New factors for one side, in parallel; those of the other side are a broadcast."""
    known = grouped.context.broadcast(factors)
    found = grouped.mapValues(lambda ratings: best_factors(ratings, known.value, regularization)).collectAsMap()
    known.destroy()
    return found


def root_mean_square(ratings, users, items):
    known = ratings.context.broadcast((users, items))

    def squared_error(rating):
        user, item, value = rating
        users, items = known.value
        return (value - dot(users[user], items[item])) ** 2

    return ratings.map(squared_error).mean() ** 0.5


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file", nargs="?", help="a text file of ratings")
    options.add_argument("--users", type=int, default=60, help="how many users to make up without a file")
    options.add_argument("--items", type=int, default=40, help="how many items to make up without a file")
    options.add_argument("--rank", type=int, default=3, help="how many numbers describe a user or an item")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--regularization", type=float, default=0.001)
    options.add_argument("--master", help="where to run; SIMSPARK_MASTER or local[*] if not given")
    given = options.parse_args()

    with SparkContext(given.master, "alternating least squares") as sc:
        if given.file:
            ratings = sc.textFile(given.file).map(parsed).cache()
        else:
            size, rank = given.items, given.rank
            ratings = sc.range(given.users).flatMap(lambda user: invented(user, size, rank)).cache()
        by_user = ratings.map(lambda rating: (rating[0], rating[1:])).groupByKey().cache()
        by_item = ratings.map(lambda rating: (rating[1], (rating[0], rating[2]))).groupByKey().cache()
        items = {item: first_guess(item, given.rank) for item in by_item.keys().collect()}
        for number in range(1, given.rounds + 1):
            users = improved(by_user, items, given.regularization)
            items = improved(by_item, users, given.regularization)
            print(f"round {number}: error {root_mean_square(ratings, users, items):.5f}")


if __name__ == "__main__":
    main()
