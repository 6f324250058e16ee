"""The blocks of code in README and docs."""

import ast
import pathlib
import re
import shlex

import pytest

import kseg

ROOT = pathlib.Path(kseg.__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)\n```", re.DOTALL)


def blocks(path, *languages):
    """Yield `(reason not to run it or None, text)` of the document's blocks in `languages`."""
    for block in BLOCK.finditer(path.read_text()):
        if block["language"] in languages:
            yield block["reason"], block["text"]


def commands(text):
    """Yield the commands of a shell block, as lists of words, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        if words:
            yield words


def commands_of(path):
    """Return the commands of all shell blocks of a document."""
    return [words for _, text in blocks(path, "sh") for words in commands(text)]


def program_of(path):
    """Return what the Python blocks of a document say, comments left out, and which are not run."""
    return [(reason is None, ast.dump(ast.parse(text))) for reason, text in blocks(path, "python")]


def parameters(documents):
    """Return documents as parameters of a test, named by their paths."""
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in documents]


def different(code_of):
    """Return the documents with code that no document before them has as it is: translations share their code."""
    first = {}
    for path in DOCUMENTS:
        code = code_of(path)
        if code:
            first.setdefault(repr(code), path)
    return parameters(first.values())
