"""README and docs: each Python block runs, each command is one that kseg understands, each public name is described."""

import importlib
import re

import pytest
import yaml

from kseg.cli import parser
from kseg.models.arguments import SHARED
from tests.campaigns.__main__ import main as campaigns
from tests.documents.blocks import BLOCK, DOCUMENTS, ROOT, blocks, commands_of, different, parameters, program_of

# What makes an example light enough for a test; each must still occur in a document.
LIGHTER = {"(128, 128)": "(32, 32)", "(192, 256)": "(64, 96)", "steps=40": "steps=1", "epochs=2": "epochs=1",
           "filters=64": "filters=8", 'encoder_name="vgg16"': 'encoder_name="vgg16", fc_filters=8',
           "DeepLabV1(classes=21": "DeepLabV1(classes=21, fc6_filters=8", '"LargeFOV"': '"SmallFOV-light"'}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`classes` should each occur")  # in one batch they may not
@pytest.mark.parametrize("path", different(program_of))
def test_python_runs(path, workplace, one_batch, monkeypatch):
    monkeypatch.chdir(workplace)
    names = {}
    for reason, text in blocks(path, "python"):
        for heavy, light in LIGHTER.items():
            text = text.replace(heavy, light)
        code = compile(text, str(path), "exec")
        if reason is None:
            exec(code, names)


def test_what_makes_examples_light_still_occurs():
    text = "".join(path.read_text() for path in DOCUMENTS)
    assert [heavy for heavy in LIGHTER if heavy not in text] == []


@pytest.mark.parametrize("path", different(commands_of))
def test_commands_are_understood(path):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands_of(path):
        if words[0] == "kseg":
            parser().parse_args(words[1:])
        elif words[0] == "make":
            assert set(words[1:]) <= set(targets), words
        elif words[:3] == ["python", "-m", "tests.campaigns"]:
            with pytest.raises(SystemExit) as ended:
                campaigns([*words[3:], "--help"])
            assert ended.value.code == 0, words
        elif words[0] == "python" and words[1] != "-m":
            script = (ROOT / words[1]).read_text()
            assert [word for word in words if word.startswith("--") and f'"{word}"' not in script] == []
        else:
            assert words[0] in ("pip", "python", "tensorboard", "git", "docker", "pre-commit"), words


def test_the_compose_file_is_yaml():
    (_, text), = blocks(ROOT / "docs/deployment.md", "yaml")
    assert "tensorflow/serving" in yaml.safe_load(text)["services"]["street"]["image"]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in ROOT.glob("docs/reference/[!i]*.md")])
def test_every_public_name_is_in_the_reference(path):
    name = "kseg" if path.stem == "kseg" else f"kseg.{path.stem}"
    module = importlib.import_module(name)
    table = getattr(module, "_PUBLIC", None)
    public = [one for one in dir(module) if not one.startswith("_")
              and (table is None or table.get(one, "") is not None)
              and type(getattr(module, one)).__name__ not in ("module", "_Package")]
    described = re.findall(r"^::: (\S+)$", path.read_text(), re.MULTILINE)
    assert sorted(described) == sorted(f"{name}.{one}" for one in public)


def test_the_shared_arguments_are_in_the_reference():
    table = (ROOT / "docs/reference/models.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(SHARED)


@pytest.mark.parametrize("path", parameters(DOCUMENTS))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", path.read_text())):
        if not re.match(r"[a-z]+:|#", target):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_the_readme_is_short():
    for path in ROOT.glob("README*.md"):
        assert len(path.read_text().splitlines()) <= 130
