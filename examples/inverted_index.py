"""Build an inverted index: for each word, the files that it is in.

Run it so:

    python inverted_index.py /usr/share/common-licenses/* --word freedom --word patent
"""

import argparse
import os
import re

from simspark import SparkContext

WORD = re.compile(r"[a-z]+")


def words_of_file(path):
    """The distinct words of one file, each with the file's name."""
    with open(path, encoding="utf-8", errors="replace") as text:
        found = {word for line in text for word in WORD.findall(line.lower())}
    return [(word, os.path.basename(path)) for word in found]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("files", nargs="+", help="text files")
    options.add_argument("--word", action="append", default=[], help="a word to look up; may be repeated")
    options.add_argument("--save", help="a directory to save the index to")
    options.add_argument("--master", help="where to run; SIMSPARK_MASTER or local[*] if not given")
    given = options.parse_args()

    with SparkContext(given.master, "inverted index") as sc:
        paths = [os.path.abspath(path) for path in given.files]
        index = (
            sc.parallelize(paths, len(paths))
            .flatMap(words_of_file)
            .groupByKey(sc.defaultParallelism)
            .mapValues(sorted)
            .cache()
        )
        print(f"{index.count():,} words in {len(paths)} files")
        for word in given.word:
            for files in index.lookup(word) or [[]]:
                print(f"{word}: {', '.join(files) or 'nowhere'}")
        if given.save:
            index.map(lambda entry: f"{entry[0]}\t{' '.join(entry[1])}").saveAsTextFile(given.save)


if __name__ == "__main__":
    main()
