"""What benchmarks print becomes the tables of docs/benchmarks.md."""

import importlib.util
import re
import shlex

import pytest

from kseg.cli import parser
from kseg.cli.tables import show
from tests.documents.blocks import ROOT


@pytest.fixture(scope="module")
def collect():
    spec = importlib.util.spec_from_file_location("collect_benchmarks", ROOT / "examples" / "collect_benchmarks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_as_they_are_printed_become_markdown(collect, capsys):
    print("Epoch 1/18")
    show([("who", "left"), ("a heading of words that is longer than its share " * 2, "right"), ("seconds", "right")],
         [["one", "cells that have to go on in a second line of the terminal " * 3, "0.5"], ["two", "", "7"]],
         "what it is of")
    text = collect.as_markdown(capsys.readouterr().out)
    assert text.splitlines() == [
        "what it is of", "", f"| who | {'a heading of words that is longer than its share ' * 2}| seconds |",
        "| --- | --- | --- |",
        f"| one | {'cells that have to go on in a second line of the terminal ' * 3}| 0.5 |", "| two |  | 7 |"]


def test_other_output_is_kept(collect):
    assert collect.as_markdown("3 examples\n\n| a | b |\n|---|---|\n") == "3 examples\n\n| a | b |\n|---|---|"
    assert collect.as_markdown("jax 3 ms\n") == "```text\njax 3 ms\n```"


def test_only_what_is_marked_is_replaced(collect):
    document = "before\n<!-- measured: a -->\nold\n<!-- /measured -->\n<!-- measured: b -->\nold\n<!-- /measured -->\n"
    assert collect.put(document, "b", "new\n") == document[:-len("old\n<!-- /measured -->\n")] + (
        "new\n<!-- /measured -->\n")
    with pytest.raises(SystemExit, match="0 marks of c"):
        collect.put(document, "c", "new")


def test_every_benchmark_has_its_place_and_a_command_that_is_understood(collect):
    document = (ROOT / "docs" / "benchmarks.md").read_text()
    assert sorted(match["name"] for match in collect.MARKED.finditer(document)) == sorted(collect.COMMANDS)
    for command in collect.COMMANDS.values():
        program, *words = shlex.split(command)
        if program == "kseg":
            parser().parse_args(words)
            continue
        script = (ROOT / words[0]).read_text()
        assert [word for word in words if word.startswith("--") and f'"{word}"' not in script] == [], command


def test_a_benchmark_that_was_run_is_not_run_again(collect, tmp_path, monkeypatch):
    (tmp_path / "unpooling.txt").write_text("ratio 0.4\n")
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- measured: unpooling -->\nold\n<!-- /measured -->\n")
    monkeypatch.setattr(collect, "DOCUMENT", document)
    monkeypatch.setattr("sys.argv", ["collect_benchmarks.py", str(tmp_path), "--only", "unpooling", "steps"])
    monkeypatch.setitem(collect.COMMANDS, "steps", "python examples/step_time_benchmark.py --peer-python PYTHON")
    collect.main()  # `steps` is left out: no PYTHON
    assert re.search(r"`python examples/unpooling_benchmark.py`, \d{4}-\d\d-\d\d, \d+ cores, .+\n\n```text\nratio 0.4\n"
                     "```\n<!-- /measured -->\n$", document.read_text())
