"""Count the words of text files.

Run it so:

    python wordcount.py /usr/share/common-licenses/*
"""

import argparse
import re

from simspark import SparkContext

WORD = re.compile(r"[a-z']+")


def words(line):
    return WORD.findall(line.lower())


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("files", nargs="+", help="text files, directories or globs")
    options.add_argument("--top", type=int, default=10, help="how many words to show")
    options.add_argument("--master", help="where to run; SIMSPARK_MASTER or local[*] if not given")
    given = options.parse_args()

    with SparkContext(given.master, "word count") as sc:
        counts = (
            sc.textFile(given.files)
            .flatMap(words)
            .map(lambda word: (word, 1))
            .reduceByKey(lambda a, b: a + b)
            .cache()
        )
        print(f"{counts.values().sum():,} words, {counts.count():,} different")
        for word, count in counts.takeOrdered(given.top, key=lambda pair: (-pair[1], pair[0])):
            print(f"{count:>9,}  {word}")


if __name__ == "__main__":
    main()
