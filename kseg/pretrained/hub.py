"""Saving a model for others: a folder, or a repository of the Hugging Face Hub, with a model card."""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from kseg import __version__, checks, files, tasks
from kseg.pretrained.card import card
from kseg.pretrained.connection import connection, refusals
from kseg.types import Path

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SCHEME = "hf://"
MODEL, CARD, CONFIG = "model.keras", "README.md", "config.json"  # what `push` writes
_REPOSITORY = re.compile(r"(?P<name>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>\w[\w./-]*))?", re.ASCII)


def push(model: keras.Model, repository: Path, *, recipe: Any = None, scores: Any = None, licence: str | None = None,
         private: bool = False, commit_message: str | None = None, token: str | None = None) -> str:
    """Write `model` and its card where others find it; `kseg.load_model` reads both kinds of place.

    Three files: `model.keras` (with the optimiser, where it has one), `README.md` (the card) and `config.json` (the
    label set, for programs). Those of an earlier `push` are replaced; on the hub its history keeps them.

    Args:
        model: `keras.Model` from pixels to logits.
        repository: str, "user/model" on the hub, made if it is missing, all files in one commit; or a folder, which
            appears whole or not at all: "./folder", a path that exists, or an `os.PathLike`.
        recipe: `TrainingRecipe` or dict or None, how it was trained; of absolute paths only the last part is shown.
        scores: what `kseg.evaluate` returned, or a dict of numbers by name (and `per_class_iou`, a dict by class name,
            and `dataset`, a str), or None.
        licence: str or None, as the hub writes it: "apache-2.0".
        private: bool, whether nobody else may see the repository.
        commit_message: str or None (which model it is).
        token: str or None, of the hub; None for the one that `hf auth login` stored or `HF_TOKEN` holds.
    Returns:
        str, the repository's address on the web, or the folder.
    Raises:
        TypeError, ValueError: if the model, its label set, `recipe`, `scores` or `repository` is none of these, or
            the hub has a rule against it.
        FileExistsError: if the folder holds other things.
        ImportError: if huggingface_hub is not installed.
        PermissionError: if the hub refuses the token, or `private` is asked of a repository that is public.
        ConnectionError: if the hub cannot be reached.
    """
    _check_model(model)
    label_set, recipe = _labels(model), _plain(recipe)
    place = os.fspath(repository)
    if not isinstance(repository, str) or _is_folder(place):
        folder = os.path.expanduser(place)
        last = os.path.basename(os.path.abspath(folder))
        text = card(model, last, last, label_set, recipe=recipe, scores=scores, licence=licence)
        _write_folder(folder, model, text, label_set)
        return folder
    name = _parsed("repository", place.removeprefix(SCHEME), revision=False)[0]
    text = card(model, name.partition("/")[2], SCHEME + name, label_set, recipe=recipe, scores=scores, licence=licence)
    api = connection("repository", place, token)
    with tempfile.TemporaryDirectory() as folder:
        _write(folder, model, text, label_set)
        with refusals("repository", place, MODEL):
            return _upload(api, folder, name, private, commit_message or f"{model.name}, saved by kseg {__version__}")


def downloaded(address: str) -> str:
    """Return the path of `model.keras`, the one file that is fetched, in the hub's cache.

    Args:
        address: str, "hf://user/model" or "hf://user/model@revision" (a branch, tag or commit).
    Raises:
        ValueError: if it is no such address, or of no repository, revision or one without `model.keras`.
        ImportError, PermissionError, ConnectionError: as in `push`.
    """
    name, revision = _parsed("path", address.removeprefix(SCHEME))
    api = connection("path", address, None)
    with refusals("path", address, MODEL):
        return api.hf_hub_download(name, MODEL, revision=revision)


def _upload(api: "HfApi", folder: str, name: str, private: bool, message: str) -> str:
    from huggingface_hub import CommitOperationAdd

    api.create_repo(name, private=private or None, exist_ok=True)  # None leaves an organisation its own default
    if private and not api.model_info(name).private:  # the hub ignores the wish for a repository that exists
        raise PermissionError(checks.sentence(
            "private", f"must be False for {name}, which everyone sees", private,
            "Make the repository private on its settings page, or choose another name."))
    # `upload_folder` may split into several commits, between which others would see half.
    api.create_commit(name, [CommitOperationAdd(file, os.path.join(folder, file)) for file in (MODEL, CARD, CONFIG)],
                      commit_message=message)
    return f"{api.endpoint}/{name}"


def _write_folder(folder, model, text, label_set):
    if os.path.isfile(folder):
        raise FileExistsError(checks.sentence("repository", "must be a folder or new", folder,
                                              "A file alone is written by model.save."))
    others = set(os.listdir(folder)) - {MODEL, CARD, CONFIG} if os.path.isdir(folder) else ()
    if others:  # a draft takes the place of the whole folder
        raise FileExistsError(checks.sentence(
            "repository", f"must be a folder of nothing but {MODEL}, {CARD} and {CONFIG}, or a new one", folder,
            f"Choose another folder: this one holds {min(others)}."))
    with files.draft(folder, folder_with=MODEL) as draft:
        os.mkdir(draft)
        _write(draft, model, text, label_set)


def _write(folder, model, text, label_set):
    model.save(os.path.join(folder, MODEL))
    config = {"format": 1, "kseg_version": __version__, "model": model.name, "label_set": label_set.to_dict(),
              "task": tasks.of_model(model).name,
              "input": {"channels": model.inputs[0].shape[-1], "range": [0, 255],
                        "image_size": list(model.inputs[0].shape[1:3])}}
    files.write_text(os.path.join(folder, CARD), text)
    files.write_text(os.path.join(folder, CONFIG), json.dumps(config, indent=1))


def _check_model(model):
    given = getattr(model, "inputs", None) if isinstance(model, keras.Model) else None
    if not given or len(given) != 1 or len(given[0].shape) != 4 or len(model.outputs[0].shape) != 4:
        raise TypeError(checks.sentence(
            "model", "must be a functional keras.Model from pixels [B, H, W, channels] to logits [B, H, W, classes]",
            getattr(model, "name", None) or type(model).__name__,
            "Build one with kseg.models or load one with kseg.load_model."))


def _labels(model):
    classes, found = model.outputs[0].shape[-1], getattr(model, "label_set", None)
    task = tasks.of_model(model)
    if found is not None and len(found) != task.names(classes):
        raise ValueError(checks.sentence("label_set", f"must name the {classes} classes of the model",
                                         list(found.names), "Set model.label_set to one of as many names, or None."))
    return found or task.label_set(classes)


def _plain(recipe):
    values = recipe.to_dict() if hasattr(recipe, "to_dict") else recipe
    try:
        if values is not None and not isinstance(values, Mapping):
            raise TypeError
        return json.loads(json.dumps(values))
    except (TypeError, ValueError) as failure:
        raise TypeError(checks.sentence("recipe", "must be a TrainingRecipe or a dict that JSON can hold", recipe,
                                        "Pass numbers, texts, lists and dicts of them.")) from failure


def _is_folder(place):
    return os.path.isabs(place) or place.startswith((".", "~")) or os.path.exists(place)


def _parsed(argument, text, revision=True):
    """Return ("user/model", revision or None)."""
    found = _REPOSITORY.fullmatch(text)
    if not found or ".." in text or (found["revision"] and not revision):
        raise ValueError(checks.sentence(
            argument, f"must name a repository as user/model{' or user/model@revision' if revision else ''}", text,
            "Use letters, digits, '-', '_' and '.'." + ("" if revision else " Begin a folder's path with ./")))
    return found["name"], found["revision"]
