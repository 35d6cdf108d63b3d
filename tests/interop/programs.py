"""How each SDK's program is made ready to run. Packages come from their registries, into a folder of the session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """The command line, and variables it needs beside the session's own."""

    words: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


def need(name: str) -> str:
    """Path of a tool; the test is skipped, saying so, where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def fetch(words: Sequence[str], folder: Path, **environment: str) -> None:
    """Run a package manager; the test is skipped with its last words when it cannot fetch or build."""
    variables = {**os.environ, **environment}
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=400, check=False, env=variables
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{' '.join(words[:3])} took longer than 400 s")
    if done.returncode:
        pytest.skip(f"{' '.join(words[:3])} failed: {(done.stdout + done.stderr)[-800:]}")


def python(folder: Path) -> Program:
    return Program([sys.executable, str(HERE / "python" / "program.py")])


def node(folder: Path) -> Program:
    npm, program = need("npm"), need("node")
    fetch([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "plivo"], folder)
    return Program([program, str(HERE / "node" / "program.cjs")], {"NODE_PATH": str(folder / "node_modules")})


def go(folder: Path) -> Program:
    compiler = need("go")
    shutil.copytree(HERE / "go", folder, dirs_exist_ok=True)
    fetch([compiler, "build", "-o", "program", "."], folder)
    return Program([str(folder / "program")])


def java(folder: Path) -> Program:
    maven, compiler, machine = need("mvn"), need("javac"), need("java")
    shutil.copytree(HERE / "java", folder, dirs_exist_ok=True)
    fetch([maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"], folder)
    fetch([compiler, "-encoding", "UTF-8", "-cp", "lib/*", "-d", "classes", "Program.java"], folder)
    (jar,) = (folder / "lib").glob("plivo-java-*.jar")
    path = f"{folder}/classes{os.pathsep}{folder}/lib/*"
    return Program([machine, "-cp", path, "Program", jar.stem.removeprefix("plivo-java-")])


def ruby(folder: Path) -> Program:
    program = need("ruby")
    fetch([program, "-e", 'require "plivo"'], folder)  # as it is installed: gem install plivo
    return Program([program, str(HERE / "ruby" / "program.rb")])


def php(folder: Path) -> Program:
    """With the SDK that ``PLIVO_PHP_AUTOLOAD`` names, else as composer can fetch it."""
    program = need("php")
    autoload = os.environ.get("PLIVO_PHP_AUTOLOAD")
    if autoload is None:
        fetch([need("composer"), "require", "--no-interaction", "--quiet", "plivo/plivo-php"], folder)
        autoload = str(folder / "vendor" / "autoload.php")
    return Program([program, str(HERE / "php" / "program.php")], {"PLIVO_PHP_AUTOLOAD": autoload})


def dotnet(folder: Path) -> Program:
    program = need("dotnet")
    shutil.copytree(HERE / "dotnet", folder, dirs_exist_ok=True)
    fetch([program, "build", "--nologo", "--output", "built"], folder, DOTNET_CLI_TELEMETRY_OPTOUT="1")
    return Program([program, str(folder / "built" / "Interop.dll")])


PROGRAMS: dict[str, Callable[[Path], Program]] = {
    "python": python,
    "node": node,
    "go": go,
    "java": java,
    "ruby": ruby,
    "php": php,
    "dotnet": dotnet,
}
