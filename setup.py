"""The package, its commands and what they need. Tool settings are in pyproject.toml."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


def version() -> str:
    """Read the version without importing the package, whose dependencies are not there yet."""
    text = (HERE / "simspark" / "_version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit('simspark/_version.py has no line __version__ = "..."')
    return found.group(1)


class BuildWithExamples(build_py):
    """Put the examples into the wheel, where ``simspark demo`` finds them; a checkout has them beside the package."""

    def run(self) -> None:
        """Copy the package, then the examples."""
        super().run()
        if not getattr(self, "editable_mode", False):
            target = Path(self.build_lib) / "simspark" / "examples"
            target.mkdir(parents=True, exist_ok=True)
            for program in sorted((HERE / "examples").glob("*.py")):
                shutil.copyfile(program, target / program.name)


EXTRAS = {
    "web": ["starlette>=0.37", "uvicorn>=0.29", "argon2-cffi>=23.1", "prometheus_client>=0.20"],
    "spark": ["pyspark>=3.5"],
    "fs": ["fsspec>=2024.2"],
    "arrow": ["pyarrow>=15"],
    "postgres": ["psycopg>=3.1"],
    "test": [
        "pytest>=8",
        "pytest-timeout>=2.3",
        "hypothesis>=6.100",
        "fsspec>=2024.2",
        "numpy>=1.26",
        "ruff>=0.11",
        "mypy>=1.15",
        "types-psutil>=5.9",
        "msgpack-types>=0.3",
        "build>=1.2",
        "setuptools>=64",
        "wheel>=0.43",
    ],
    "docs": ["mkdocs>=1.6"],
    "bench": ["numpy>=1.26"],
}

setup(
    name="simspark",
    version=version(),
    description="Spark's RDD programming model, all in Python: one program from laptop to cluster",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["simspark", "simspark.*"]),
    cmdclass={"build_py": BuildWithExamples},
    package_data={"simspark": ["py.typed"]},
    install_requires=[
        "click>=8.1.7",
        "cloudpickle>=3.0",
        "msgpack>=1.0.8",
        "psutil>=5.9.6",
        "pyzmq>=26.0",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "simspark-master = simspark.cli.master:main",
            "simspark-worker = simspark.cli.worker:main",
            "simspark = simspark.cli.simspark:main",
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: System :: Distributed Computing",
        "Typing :: Typed",
    ],
)
